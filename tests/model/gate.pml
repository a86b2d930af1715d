/*
 * The gate and the dirty marks: shm/gate.c, the steps of shm/slot.h, shm_mark of shm/supply.c, and a checkpoint as
 * doc/LAYOUT describes it. Each atomic block is one access to shared memory or one system call. Unlike the other
 * models this one has the store buffers of x86-64: a plain store of a client waits in a queue of its own, and
 * reaches memory when the hardware likes; a compare-and-swap waits until the queue is empty.
 *
 * A client takes a slot (slots_high), then makes steps: cur, gate, mark, CAS of a word on one of two pages, cur.
 * The daemon raises the gate, waits until every slot is out of its step or dead, marks the dirty pages in flight and
 * copies them, lowers the gate, writes the copies, and declares clean what is still marked in flight. It gives up
 * when somebody stays inside a step. It holds lock 0 while the gate is up, and so do recoverers, who may have no slot
 * and so make no steps. It may be killed at any moment: then whoever takes the dead lock lowers the gate, a
 * recoverer or one who has slept at the gate for a while; the next daemon takes a mark in flight for dirty.
 *
 * Checked: while the gate is up nothing changes; each checkpoint on disk is that one instant, no page missed; in
 * the end the disk has all; nobody sleeps at a lowered gate.
 *
 * header.dirty, the mark of the whole heap, is set and cleared like a page's and left out.
 *
 * Sizes: N clients, NO steps each, NCK checkpoints, K and DK kills of clients and of the daemon.
 * FILL: page 0 has a large blob, which is filled outside the step that publishes it on page 1.
 * STOP: a client may stay inside its step for ever.
 *
 * Mutants, each one thing left out or out of order; all must fail:
 *   M_NOMB        no membarrier
 *   M_HIGHFIRST   the daemon looks at slots_high before it raises the gate
 *   M_NODEAD      a dead client is waited for
 *   M_NOABORT     a stopped client is waited for (with STOP)
 *   M_NODOUBT     who sleeps at the gate does not look, after a while, whether the daemon lives
 *   M_NOLOCK      recovery does not take lock 0
 *   M_CLEAR       a page is marked clean when it is copied
 *   M_CLEARLATE   a page is marked clean when it is on disk, whatever the mark says then
 *   M_MARKOUT     the mark is set before the step is entered
 *   M_MARKAFTER   the mark is set after the store
 *   M_RECNOMARK   recovery does not mark what it stores
 *   M_NOREMARK    the step that publishes a blob does not mark the blob's page again (with FILL)
 */
#ifndef N
#define N 2
#endif
#ifndef NO
#define NO 2
#endif
#ifndef NCK
#define NCK 2
#endif
#ifndef K
#define K 1
#endif
#ifndef DK
#define DK 1
#endif
#define NP 2                         /* pages */
#define CLEAN     0
#define DIRTY     1
#define IN_FLIGHT 2

byte kills, dk;
bool dead[N], fin[N], rec[N], stays[N];
bool gate, sleeping[N];              /* the word, and who sleeps on it */
byte lock;                           /* lock 0: 0 free, 1 the daemon's, 2 another's, 3 dead */
byte high;                           /* slots_high */
bool cur[N];                         /* slot.cur: inside a step */
byte mark[NP], mem[NP];
byte bn[N], ba[N*4], bv[N*4];        /* store buffers: how many, where, what. 0: cur; 1+p: mark; 10+p: mem */
byte copy[NP], disk[NP], then[NP]; bool copied[NP];
bool finale, one_stays;

/* A step of a client: one access, or its death just before. Its queue is drained all the same. */
#define L(x) if :: atomic { x } :: atomic { kills > 0 -> kills--; dead[me] = 1; lock = 3; goto die } fi
#define S(x) if :: atomic { x } :: atomic { kills > 0 -> kills--; dead[me] = 1; goto die } fi
inline store(a,x) { bn[me]<3 -> ba[me*4+bn[me]]=a; bv[me*4+bn[me]]=x; bn[me]=bn[me]+1 }
/* the mark as this client sees it: its own stores first */
inline load_mark(q,r) { r=mark[q]; if :: bn[me]>0 && ba[me*4]==1+q -> r=bv[me*4] :: else fi;
   if :: bn[me]>1 && ba[me*4+1]==1+q -> r=bv[me*4+1] :: else fi; if :: bn[me]>2 && ba[me*4+2]==1+q -> r=bv[me*4+2] :: else fi }
/* shm_mark */
#define MARK(q) S( load_mark(q,d) ); if :: d!=DIRTY -> S( store(1+q,DIRTY) ) :: else fi

active proctype Hardware() {
  byte i=0;
end0: do :: atomic { bn[0]>0 -> i=0; goto drain } :: atomic { N>1 && bn[1%N]>0 -> i=1%N; goto drain } od;
drain: atomic { if :: ba[i*4]==0 -> cur[i]=bv[i*4] :: ba[i*4]>=1 && ba[i*4]<10 -> mark[ba[i*4]-1]=bv[i*4] :: ba[i*4]>=10 -> mem[ba[i*4]-10]=bv[i*4] fi;
     ba[i*4]=ba[i*4+1]; bv[i*4]=bv[i*4+1]; ba[i*4+1]=ba[i*4+2]; bv[i*4+1]=bv[i*4+2]; ba[i*4+2]=0; bv[i*4+2]=0; bn[i]=bn[i]-1;
     if :: bn[i]==0 -> ba[i*4]=0; bv[i*4]=0 :: else fi; i=0; goto end0 }
}

proctype Client(byte me) {
  byte n=0, p=0, d=0;
    /* take_slot: a CAS */
    S( bn[me]==0 -> high=(high>me+1 -> high : me+1) );
next: atomic { if :: n==NO -> goto done :: else -> n++ fi; d=0;
#ifdef FILL
     p=1
#else
     if :: p=0 :: p=1 fi
#endif
   };
#ifdef FILL
    MARK(0);
    S( store(10,n) );
#endif
#ifdef M_MARKOUT
    MARK(p);
#endif
  /* shm_step_enter */
enter: S( store(0,1) );
    S( if :: gate -> goto gate_wait :: else fi );
#if defined(FILL) && !defined(M_NOREMARK)
    MARK(0);
#endif
#if !defined(M_MARKOUT) && !defined(M_MARKAFTER)
    MARK(p);
#endif
#ifdef STOP
    if :: atomic { !one_stays -> one_stays=1; stays[me]=1; fin[me]=1; goto end_stays } :: skip fi;
#endif
    S( bn[me]==0 ->
#ifdef FILL
       mem[p]=n
#else
       mem[p]=mem[p]+1
#endif
       );
#ifdef M_MARKAFTER
    MARK(p);
#endif
    S( store(0,0); d=0; goto next );                  /* shm_step_leave */
  /* shm_gate_wait */
gate_wait: S( store(0,0) );
look: S( if :: !gate -> goto enter :: else -> sleeping[me]=1 fi );
#ifdef M_NODOUBT
    S( !sleeping[me] -> goto look );
#else
    /* woken, or time is up (that matters only when nobody will wake it) */
    S( !sleeping[me] || lock==3 || !gate -> sleeping[me]=0 );
    /* lower_if_dead; a death with the lock leaves it dead */
    if :: atomic { lock==3 -> lock=2 } :: atomic { lock!=3 -> goto look } fi;
    L( gate=0 );
    L( sleeping[0]=0; sleeping[1%N]=0 );
    L( lock=0; goto look );
#endif
end_stays: (false);
die: sleeping[me]=0;
done: atomic { n=0; p=0; d=0; fin[me]=1 }
}

/* A step of the daemon, or its death: what it had in its own memory is gone. */
#define D(x) if :: atomic { x } :: atomic { dk>0 -> dk--; if :: lock==1 -> lock=3 :: else fi; i=0; h=0; copied[0]=0; copied[1]=0; copy[0]=0; copy[1]=0; goto again } fi
#define QUIET(i) ((fin[i] && !dead[i] && bn[i]==0) || (dead[i] && rec[i]))
#define ALL_QUIET (lock!=2 && QUIET(0) && (N<2 || QUIET(1%N)))
/* shm_gate_lower */
#define LOWER(X) X( gate=0 ); X( sleeping[0]=0; sleeping[1%N]=0 ); X( lock=0 )

active proctype Daemon() {
  byte i=0, c=0, h=0;
again:
    finale=0;
idle: if :: c<NCK -> goto checkpoint
         :: c>=NCK && ALL_QUIET && !finale -> finale=1; goto checkpoint
         :: c>=NCK && ALL_QUIET && finale -> goto check
      fi;
checkpoint: atomic { if :: c<NCK -> c++ :: else fi };
  /* shm_gate_raise */
    D( if :: lock==0 || lock==3 -> lock=1 fi );
#ifdef M_HIGHFIRST
    D( h=high );
#endif
    D( gate=1 );
#ifndef M_NOMB
    i=0;
barrier: D( if :: i<N && bn[i%N]==0 -> i++; goto barrier :: i==N -> i=0 fi );
#endif
#ifndef M_HIGHFIRST
    D( h=high );
#endif
    i=0;
slots: D( if :: i==h -> goto raised
             :: i<h && !cur[i%N] -> i++; goto slots
#ifndef M_NODEAD
             :: i<h && cur[i%N] && dead[i%N] && bn[i%N]==0 -> i++; goto slots
#endif
#ifndef M_NOABORT
             :: i<h && cur[i%N] && stays[i%N] -> skip     /* out of patience */
#endif
          fi );
    LOWER(D); i=0; h=0; goto idle;

raised: atomic { then[0]=mem[0]; then[1]=mem[1]; i=0; h=0 };  /* ghost: the instant */
pages: D( if :: i==NP -> goto lower :: i<NP && mark[i%NP]==CLEAN -> i++; goto pages :: i<NP && mark[i%NP]!=CLEAN -> skip fi );
#ifdef M_CLEAR
    D( mark[i]=CLEAN );
#elif !defined(M_CLEARLATE)
    D( mark[i]=IN_FLIGHT );
#endif
    D( copy[i]=mem[i]; copied[i]=1; i++; goto pages );
lower:
#ifndef FILL
    assert(mem[0]==then[0] && mem[1]==then[1]);
#endif
    LOWER(D); i=0;
    /* a journal makes this one step */
    D( if :: copied[0] -> disk[0]=copy[0] :: else fi; if :: copied[1] -> disk[1]=copy[1] :: else fi;
#ifdef FILL
       assert(disk[0]>=disk[1])                       /* the blob that is published is there */
#else
       assert(disk[0]==then[0] && disk[1]==then[1])
#endif
     );
    /* a CAS: from IN_FLIGHT only */
clean: D( if :: i==NP -> goto clean_all :: i<NP && copied[i%NP] ->
#ifdef M_CLEARLATE
       mark[i]=CLEAN;
#else
       if :: mark[i]==IN_FLIGHT -> mark[i]=CLEAN :: else fi;
#endif
       i++; goto clean :: i<NP && !copied[i%NP] -> i++; goto clean fi );
clean_all: atomic { copied[0]=0; copied[1]=0; copy[0]=0; copy[1]=0; then[0]=0; then[1]=0; i=0; goto idle };

check:
#ifdef STOP
    skip
#elif defined(FILL)                  /* a fill that was never published may be missing */
    atomic { assert(disk[1]==mem[1] && disk[0]>=mem[1]) }
#else
    atomic { assert(disk[0]==mem[0] && disk[1]==mem[1]) }
#endif
}
/* shm_recover, by one who has no slot: its stores are in no step */
active proctype Recoverer() {
  byte i=0;
end0: atomic { if :: dead[0] && bn[0]==0 && !rec[0] -> i=0 :: N>1 && dead[1%N] && bn[1%N]==0 && !rec[1%N] -> i=1%N fi };
#ifndef M_NOLOCK
    atomic { lock==0 || lock==3 -> lock=2 };
    /* shm_gate_settle */
    if :: atomic { gate -> gate=0 }; atomic { sleeping[0]=0; sleeping[1%N]=0 } :: atomic { !gate } fi;
#endif
#if !defined(FILL) && !defined(STOP)
#ifndef M_RECNOMARK
    atomic { mark[1]=DIRTY };
#endif
    atomic { mem[1]=mem[1]+1; cur[i]=0 };
#else
    atomic { cur[i]=0 };
#endif
    atomic { rec[i]=1;
#ifndef M_NOLOCK
      lock=0;
#endif
      i=0; goto end0 }
}
init { atomic { byte i=0;
  if :: kills=0 :: K>0 -> kills=1 :: K>1 -> kills=2 fi;
  if :: dk=0 :: DK>0 -> dk=1 fi;
  do :: i<N -> run Client(i); i++ :: else -> break od } }
