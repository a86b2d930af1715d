/*
 * Sleeping on a cell, and waking: shm/wait.c, with the parts of shm/element.c around it. Its steps are those of the
 * code, in their order; each atomic block is one access to shared memory or one system call.
 *
 * One cell, EMPTY or FULL. Each process has a role, any there is:
 *
 *   LOOK     readFF          waits for FULL, changes nothing
 *   ADD      faa, cas, swap  waits for FULL as if to take, keeps the tag
 *   TAKE     readFE          waits for FULL, leaves EMPTY
 *   FILL     writeEF         waits for EMPTY, leaves FULL
 *   SETE     writeXE         waits for nothing, leaves EMPTY
 *   SETF     writeXF         waits for nothing, leaves FULL
 *
 * A waiter may fail at any time after it has slept: deadline, cancelled, no memory for what it wants to store.
 *
 * With ASYNC, those that wait may do so from an event loop: they watch the cell, and sleep on the heap's bell
 * (shm/bell.c, client/listener.c, client/group.c). The loop and the library's thread are one process here.
 *
 * Checked: when nobody can move any more and all dead are recovered, nobody is asleep whose tag is there.
 *
 * The futex word has 12 bits of the version, so it may come round: here the kernel does not compare it at all.
 * Spinning before the sleep only looks, and is left out.
 *
 * Sizes: N processes, NO operations each, K kills, RK deaths of the recoverer, NF waiters that fail. R0…R3: the
 * role of one process, where not any.
 *
 * Mutants, each one thing left out or out of order; all must fail:
 *   M_NOCUR       the cell is not named (slot.cur) before the CAS
 *   M_CURFIRST    slot.cur is cleared before the wake
 *   M_NOWAIT      the cell is not named (slot.wait) before the sleep
 *   M_WAITEARLY   slot.wait is cleared when woken, not when the operation is over
 *   M_NOVAL       the kernel does not compare the futex word
 *   M_NOPASS      who was woken and fails does not pass the wake on
 *   M_NOPASSKEEP  who was woken and keeps the tag does not pass the wake on
 *   M_NOKIND      wakes one, of whatever kind
 *   M_NOSLEPT     who has slept and takes does not set W again
 *   M_CLEARW      a change that keeps the tag clears W
 *   M_RECFIRST    recovery clears the record before it wakes
 * With ASYNC:
 *   M_NORING      who wakes a sleeper does not ring
 *   M_COUNTLATE   the count moves after the bell
 *   M_SPLIT       the bell moves, then its sleepers are woken
 *   M_NORECRING   recovery does not ring
 *   M_NOLOOK      a new watch does not look at its cell once more
 *   M_LOOKFIRST   the count is looked at before the bell is made odd
 * Who watches is given no wake that was another's, so it counts as one who never slept.
 */
#include "common.inc"
#ifndef N
#define N 3
#endif
#ifndef NO
#define NO 1
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 0
#endif
#ifndef NF
#define NF 0
#endif
#define LOOK 0
#define ADD  1
#define TAKE 2
#define FILL 3
#define SETE 4
#define SETF 5
#define ANY  6

#define WANTS_FULL(r)  (r<=TAKE)
#define WANTS_EMPTY(r) (r==FILL)
#define ADMITS(r,f)    (!(WANTS_FULL(r) && !f) && !(WANTS_EMPTY(r) && f))
/* as what it sleeps: WAIT_FULL_LOOK 0, WAIT_FULL_TAKE 1, WAIT_EMPTY 2 */
#define KIND(r) (r==LOOK -> 0 : (WANTS_FULL(r) -> 1 : 2))

byte kills, rk, fails;
bool dead[N], fin[N], rec[N];
byte role[N];
bool isfull, W; byte ver;              /* the cell's meta */
bool asleep[N];                      /* in the kernel's queue */
bool s_cur[N], s_wait[N];            /* slot.cur, slot.wait: the cell, or not */
bool async[N], onbell[N];            /* waits from an event loop; in the kernel's queue of the bell */
byte bell, count;

#ifdef ASYNC
inline ring_all() { z=0; do :: z<N -> onbell[z]=0; z++ :: else -> break od; z=0 }
/* FUTEX_WAKE_OP: one step */
#ifdef M_SPLIT
#define RING S( odd=bell%2 ); if :: odd -> S( bell++ ); S( ring_all() ) :: else fi
#else
#define RING S( odd=bell%2 ); if :: odd -> S( bell++; ring_all() ) :: else fi
#endif
#else
#define RING skip
#endif

#define IS(i,k) (i<N && asleep[i%N] && KIND(role[i%N])==k)
inline wake_all() { z=0; do :: z<N -> asleep[z]=0; z++ :: else -> break od; z=0 }
inline wake_all_kind(k) { z=0; do :: z<N -> if :: IS(z,k) -> asleep[z]=0 :: else fi; z++ :: else -> break od; z=0 }
/* whichever of them */
inline wake_one_kind(k) { if :: IS(0,k) -> asleep[0]=0 :: IS(1,k) -> asleep[1%N]=0 :: IS(2,k) -> asleep[2%N]=0
	:: IS(3,k) -> asleep[3%N]=0 :: else fi }
inline wake_one() { if :: asleep[0] -> asleep[0]=0 :: N>1 && asleep[1%N] -> asleep[1%N]=0
	:: N>2 && asleep[2%N] -> asleep[2%N]=0 :: N>3 && asleep[3%N] -> asleep[3%N]=0 :: else fi }

/* the tag that it leaves */
#define LEAVES(r,f) ((r==FILL || r==SETF) || (f && r!=TAKE && r!=SETE))

proctype Client(byte me) {
  byte n=0, v=0, z=0, b=0, c=0; bool f=0, w=0, t=0, slept=0, waited=0, odd=0;
next: atomic { v=0; b=0; c=0; odd=0; f=0; w=0; t=0; slept=0; waited=0; if :: n==NO -> goto done :: else -> n++ fi };

look: S( v=ver; w=W; f=isfull );
    if :: !ADMITS(role[me],f) -> goto wait :: role[me]==LOOK -> t=f; goto over :: else fi;
    t=LEAVES(role[me],f);
#ifndef M_NOCUR
    S( s_cur[me]=1 );                                  /* shm_step_cell */
#endif
    /* the operation takes effect; shm_wait_bit */
cas: S( if :: ver==v && W==w -> isfull=t; ver++;
#ifdef M_CLEARW
              if :: t==f -> W=0 :: else -> W=slept fi
#elif defined(M_NOSLEPT)
              if :: t==f -> W=w :: else -> W=0 fi
#else
              if :: t==f -> W=w :: else -> W=slept fi
#endif
           :: else -> goto again fi );
#ifdef M_CURFIRST
    S( s_cur[me]=0 );
#endif
    /* shm_wait_wake */
    if :: !w || t==f -> goto leave :: else fi;
#ifdef M_NOKIND
    S( wake_one() );
#else
    if :: t ->
          S( wake_all_kind(0) );
          S( wake_one_kind(1) )
       :: else -> S( wake_one_kind(2) ) fi;
#endif
#ifdef ASYNC
    /* shm_bell_ring */
#ifdef M_COUNTLATE
    RING;
    S( count++ );
#elif !defined(M_NORING)
    S( count++ );
    RING;
#endif
#endif
leave: S( s_cur[me]=0 );                               /* shm_step_leave */
  /* shm_wait_done */
over: if :: waited && slept && t==f -> goto pass :: waited && !(slept && t==f) -> goto over2 :: else -> goto next fi;
pass: skip;
#ifndef M_NOPASSKEEP
    S( wake_one_kind(KIND(role[me])) );
#endif
over2: S( s_wait[me]=0 );
    goto next;
again: S( s_cur[me]=0; goto look );

  /* shm_wait_cell */
wait:
#ifdef ASYNC
    if :: async[me] -> goto watch :: else fi;
#endif
    waited=1;
#ifndef M_NOWAIT
    S( s_wait[me]=1 );
#endif
    /* announce; the step around it names the cell, too, which slot.wait has done already */
    if :: !w -> S( if :: ver==v && W==w -> W=1 :: else -> goto look fi ) :: else fi;
    slept=1;
    /* shm_futex_wait */
    S( if :: isfull==f && W
#ifdef M_NOVAL
              || 1
#endif
              -> asleep[me]=1 :: else -> goto woken fi );
end_asleep: if :: atomic { !asleep[me] -> goto woken }
               :: atomic { fails>0 -> fails--; asleep[me]=0; goto failed }  /* whether or not it was woken just now */
               :: atomic { kills>0 -> kills--; dead[me]=1; goto die } fi;
woken:
#ifdef M_WAITEARLY
    S( s_wait[me]=0 );
#endif
    goto look;

#ifdef ASYNC
  /* watch() of shm/wait.c: announce, which names the cell while it is at it */
watch: if :: !w -> S( if :: ver==v && W==w -> W=1 :: else -> goto look fi ) :: else fi;
    /* listener_hold, group_add */
    S( c=count );
#ifndef M_NOLOOK
    S( if :: ver!=v || !W -> goto look :: else fi );
#endif
    /* listener_prepare */
listen:
#ifdef M_LOOKFIRST
    S( if :: count!=c -> c=count; odd=1 :: else -> odd=0 fi );
#endif
    S( if :: bell%2==0 -> bell++ :: else fi; b=bell );
#ifndef M_LOOKFIRST
    S( if :: count!=c -> c=count; odd=1 :: else -> odd=0 fi );
#endif
    if :: odd -> S( odd=0; if :: ver!=v || !W -> goto look :: else fi ) :: else fi;
    S( if :: bell==b -> onbell[me]=1 :: else -> goto listen fi );
end_bell: if :: atomic { !onbell[me] -> goto listen }
             :: atomic { fails>0 -> fails--; onbell[me]=0; goto next }
             :: atomic { kills>0 -> kills--; dead[me]=1; goto die } fi;
#endif

  /* shm_wait_done of one that failed */
failed: skip;
#ifndef M_NOPASS
    S( wake_one_kind(KIND(role[me])) );
#endif
    S( s_wait[me]=0; goto next );

die: asleep[me]=0; onbell[me]=0;
done: atomic { n=0; b=0; c=0; odd=0; v=0; f=0; w=0; t=0; slept=0; waited=0; fin[me]=1 }
}

/* shm_recover, as far as it wakes */
active proctype Recoverer() {
  byte i=0, z=0; bool owes=0;
again: atomic { i=0; owes=0 };
end0: atomic { if :: dead[0] && !rec[0] -> i=0 :: N>1 && dead[1%N] && !rec[1%N] -> i=1%N
                  :: N>2 && dead[2%N] && !rec[2%N] -> i=2%N :: N>3 && dead[3%N] && !rec[3%N] -> i=3%N fi;
               owes=(s_cur[i] || s_wait[i]) };
#ifdef M_RECFIRST
    R( s_cur[i]=0; s_wait[i]=0 );
#endif
    R( if :: owes -> wake_all() :: else fi );
#if defined(ASYNC) && !defined(M_NORECRING)
    if :: owes -> R( count++ ); R( if :: bell%2 -> bell++; ring_all() :: else fi ) :: else fi;
#endif
    R( s_cur[i]=0; s_wait[i]=0 );                      /* make_free */
    R( rec[i]=1; goto again )
}

/* Nobody can move. */
active proctype Quiet() {
  byte i=0;
end0: atomic { timeout -> i=0; do :: i<N -> assert(dead[i] || fin[i] || !ADMITS(role[i],isfull)); i++ :: else -> break od }
}

/* any: not below that of the process before it, if that had its choice, too: which of them has which does not matter */
inline cast(i,r) { if :: r<ANY -> role[i]=r; low=0
	:: r==ANY -> role[i]=low; do :: role[i]<SETF -> role[i]=role[i]+1 :: break od; low=role[i] fi }
#ifndef R0
#define R0 ANY
#endif
#ifndef R1
#define R1 ANY
#endif
#ifndef R2
#define R2 ANY
#endif
#ifndef R3
#define R3 ANY
#endif
init { atomic { byte i=0, low=0;
  cast(0,R0);
#if N>1
  cast(1,R1);
#endif
#if N>2
  cast(2,R2);
#endif
#if N>3
  cast(3,R3);
#endif
#ifdef ASYNC
  /* any but all that may not wait; the last one is a sleeper, or does not wait */
  i=0; do :: i<N -> if :: role[i]<=FILL && (i<N-1 || N==1) -> async[i]=1 :: 1 -> skip fi; i++ :: else -> break od;
#endif
  if :: isfull=0 :: isfull=1 fi;
  if :: kills=0 :: K>0 -> kills=1 :: K>1 -> kills=2 fi;
  if :: rk=0 :: RK>0 -> rk=1 fi;
  fails=NF;
  i=0; do :: i<N -> run Client(i); i++ :: else -> break od } }
