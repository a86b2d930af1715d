/*
 * The key map: shm/map_*.c. Its steps are those of the code, in their order; each atomic block is one access
 * to shared memory (several stores of a slot's own record that mean nothing until its intent says so are one).
 *
 * All keys have one hash and one print (the worst case: they share one path). Keys are long strings: the key
 * word is a block, released after the tombstone; each insert's key and value block have one number, h, never
 * used again (an offset with its generation). A released block may read as anything.
 *
 * Checked: no step finds another key's element (the CAS of an operation, of a delete); what a look-up finds was
 * so, what it does not find was absent at one moment during it; never two live elements of one key; in the
 * end, when all dead are recovered, every live element is found once, and no element or block is lost.
 *
 * CLEAR: a table that is out of use is cleared for another life when no client is inside a step; readers, who
 * make no steps, are not waited for.
 *
 * Sizes: NPR processes, NOP operations each, NK keys, NE elements, S0 and S1 places of the two tables, K kills,
 * RK deaths of the recoverer, NL look-ups. GROW: there is a second table. PRE: key 0 is there at the start.
 *
 * Mutants, each one thing left out or out of order; all but those marked must fail:
 *   M_NOINFO       a look-up does not compare the binding at last
 *   M_NORECHECK    an insert helps a reservation without a second look at the place
 *   M_INFOFIRST    an insert writes the new binding before the key word
 *   M_NOIDENT      a tombstone forgets which binding it was
 *   M_TOMBFIRST    a delete buries before it marks the cell
 *   M_FREEFIRST    a delete frees the element before it buries
 *   M_BLKFIRST     a delete releases the key before it buries
 *   M_REUSE        an insert takes the place of a tombstone
 *   M_NOSEARCH     recovery of an insert does not look in the map
 *   M_PUBLISHLOSE  the loser of a race gives back while its intent says PUBLISH
 *   M_FROZENGO     an insert with an old view walks past frozen places (passes: its CAS on a frozen EMPTY fails)
 *   M_NONEXT       a look-up takes a frozen EMPTY for the end of its search
 *   M_NOVIEW       a look-up does not compare the map word at last
 *   M_EARLYFINISH  growth is declared over with places not moved
 *   M_NOCOPYTOMB   a delete whose entry is frozen does not bring it over before it buries
 *   M_NOHELPTOMB   an insert waits for the deleter instead of helping (passes: helping is for speed and the dead)
 */
#include "common.inc"
#ifndef NPR
#define NPR 2
#endif
#ifndef NOP
#define NOP 1
#endif
#ifndef NK
#define NK 1
#endif
#ifndef NE
#define NE 2
#endif
#ifndef S0
#define S0 3
#endif
#ifdef GROW
#ifndef S1
#define S1 4
#endif
#else
#undef S1
#define S1 0
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 0
#endif
#ifndef NL
#define NL 0
#endif
#define N NPR
#define NS (S0+S1)
#define NH (NPR*NOP+1)

byte kills, rk;
bool dead[N], fin[N], rec[N];
bool in[N], rin;                     /* inside a step; each operation is one, and so is each recovery */
/* places of the tables: 0 EMPTY 1 LIVE 2 TOMB; element and binding; frozen; moved */
byte m_st[NS], m_x[NS], m_b[NS]; bool m_fz[NS], m_mv[NS];
byte w;                              /* the map word: 0 table 0; 1 table 0, next 1; 2 table 1 */
byte e_st[NE], e_own[NE], e_ver[NE]; /* cells: 0 NONE 1 RESERVED 2 live 3 DELETED */
byte e_b[NE], e_h[NE];               /* the binding in info; the key word */
byte e_g[NE];                        /* ghost: key + 1 that the element is meant for */
byte kb[NH+1], vb[NH+1], kk[NH+1];   /* key and value blocks: 0 never 1 allocated 2 released; the key's text */
byte i_st[N], i_h[N], i_x[N], i_v[N];/* intents: 0 NONE 1 CLAIM 2 RESERVE 3 PUBLISH 4 DELETE */
/* ghosts of look-ups, the last one the reader's: key + 1, and whether it was absent at some moment */
byte lk[N+1]; bool lab[N+1];

#define SAME(i,x,b) (m_x[i]==x && m_b[i]==b)
#ifdef M_NOIDENT
#define COPYOF(d,s) (m_st[d]==1 && SAME(d,m_x[s],m_b[s]))
#else
#define COPYOF(d,s) (m_st[d]!=0 && SAME(d,m_x[s],m_b[s]))
#endif

inline relkb(h) {
  if :: kb[h]==1 -> kb[h]=2;
        z=0; do :: z<NS -> assert(!(m_st[z]==1 && !m_mv[z] && e_b[m_x[z]]==m_b[z] && e_h[m_x[z]]==h)); z++ :: else -> break od; z=0
     :: else fi }
inline relvb(h) { if :: vb[h]==1 -> vb[h]=2 :: else fi }
inline dupcheck() {
  z=0; do :: z<NE -> z2=z+1; do :: z2<NE -> assert(!(e_st[z]==2 && e_st[z2]==2 && e_g[z]==e_g[z2])); z2++ :: else -> break od; z++ :: else -> break od; z=0; z2=0 }
inline begin_look(i, key) {
  lk[i]=key+1; lab[i]=1; z=0; do :: z<NE -> if :: e_st[z]==2 && e_g[z]==key+1 -> lab[i]=0 :: else fi; z++ :: else -> break od; z=0 }
inline ended(key1) { z=0; do :: z<=N -> if :: lk[z]==key1 -> lab[z]=1 :: else fi; z++ :: else -> break od; z=0 }

/* map_move: what frozen place s leads to, into table 1. X is S or R. The hash is read first; when the place is not moved
   after that, it must have been readable. */
#define COPY(X, pfx) \
pfx##0: X( rd = (e_b[m_x[s]]==m_b[s] && kb[e_h[m_x[s]]]==1) ); \
pfx##1: X( if :: m_mv[s] -> goto pfx##5 :: else -> assert(rd); d=S0 fi ); \
pfx##2: X( if :: d==NS -> assert(0) /* S1 is too small */ :: d<NS && COPYOF(d,s) -> goto pfx##4 \
             :: d<NS && m_st[d]!=0 && !COPYOF(d,s) -> d++; goto pfx##2 :: d<NS && m_st[d]==0 -> skip fi ); \
pfx##3: X( if :: m_st[d]==0 -> m_st[d]=1; m_x[d]=m_x[s]; m_b[d]=m_b[s] :: else -> goto pfx##2 fi ); \
pfx##4: X( m_mv[s]=1 ); \
pfx##5: skip;

/* map_bury: makes the entry of binding b of x a tombstone, wherever it is */
#define BURY(X, pfx, me_done) \
pfx##a: X( vw=w; s=(vw==2 -> S0 : 0) ); \
    if :: vw==2 -> goto pfx##f :: else fi; \
pfx##b: X( if :: s==S0 || m_st[s]==0 -> goto pfx##e \
             :: s<S0 && m_st[s]==1 && SAME(s,x,b) && !m_fz[s] -> m_st[s]=2; goto me_done \
             :: s<S0 && m_st[s]==1 && SAME(s,x,b) && m_fz[s] -> skip \
             :: s<S0 && m_st[s]!=0 && !(m_st[s]==1 && SAME(s,x,b)) -> s++; goto pfx##b fi ); \
    if :: vw==0 -> goto pfx##a :: else fi; \
    BURYCOPY(X, pfx) \
pfx##e: if :: vw==0 -> goto pfx##g :: else s=S0 fi; \
pfx##f: X( if :: s==NS || m_st[s]==0 -> goto pfx##g \
             :: s<NS && m_st[s]==1 && SAME(s,x,b) -> m_st[s]=2; goto me_done \
             :: s<NS && m_st[s]!=0 && !(m_st[s]==1 && SAME(s,x,b)) -> s++; goto pfx##f fi ); \
pfx##g: X( if :: w!=vw -> goto pfx##a :: else -> goto me_done fi );
#if defined(GROW) && !defined(M_NOCOPYTOMB)
#define BURYCOPY(X, pfx) COPY(X, pfx##c)
#else
#define BURYCOPY(X, pfx) skip;
#endif

/* map_sight of place s, which was LIVE with element x and binding b. other: where to go on when it is not the key's. */
#define SIGHT(X, pfx, other) \
pfx##1: X( hh=e_h[x] ); \
pfx##2: X( if :: kb[hh]==1 -> mt=(kk[hh]==k) :: kb[hh]!=1 -> mt=0 :: kb[hh]==2 -> mt=1 fi ); \
    if :: !mt -> goto other :: else fi; \
pfx##3: X( st=e_st[x]; v=e_ver[x]; gk=(e_g[x]==k+1) ); \
pfx##4: X( if :: INFO(x,b) -> skip :: else -> goto other fi ); \
    if :: st==0 -> goto other :: else fi;
#ifdef M_NOINFO
#define INFO(x,b) (1)
#else
#define INFO(x,b) (e_b[x]==b)
#endif

/* map_search */
#ifdef M_NONEXT
#define NEXTTOO 0
#else
#define NEXTTOO (vw==1)
#endif
#ifdef M_NOVIEW
#define STALE 0
#else
#define STALE (w!=vw)
#endif
proctype Client(byte me) {
  byte n=0, op=0, k=0, s=0, x=0, b=0, v=0, h=0, hh=0, d=0, z=0, z2=0, st=0, vw=0, px=0, pv=0;
  bool prep=0, rd=0, mt=0, gk=0, in1=0;
next_op: atomic { in[me]=0; if :: n==NOP -> goto done :: else fi };
    atomic { in[me]=1; n++; h=(me*NOP)+n; prep=0; s=0; x=0; b=0; v=0; d=0; st=0; vw=0; px=0; pv=0; hh=0; rd=0; mt=0; gk=0; in1=0;
    if :: op=0 :: op=1
#ifdef GROW
       :: me==0 -> op=2
#endif
    fi;
    if :: k=0 :: NK>1 && op!=2 -> k=1 fi };
    if :: op==2 -> goto grow :: op==1 -> goto find :: else fi;

  /* ---- insert ---- */
insert: S( vw=w; s=(vw==2 -> S0 : 0) );
    if :: vw==1 -> goto migrate :: else fi;
walk: S( if :: s==NS || (s==S0 && vw==0) -> goto tabend
#ifndef M_FROZENGO
            :: s<NS && !(s==S0 && vw==0) && m_fz[s] -> goto insert
            :: s<NS && !(s==S0 && vw==0) && !m_fz[s] && m_st[s]==0 -> goto absent
#else
            :: s<NS && !(s==S0 && vw==0) && m_st[s]==0 -> if :: m_fz[s] -> goto insert :: else -> goto absent fi
#endif
            :: s<NS && !(s==S0 && vw==0) && m_st[s]==2 -> 
#ifdef M_REUSE
               if :: m_fz[s] -> s++; goto walk :: else -> goto absent fi
#else
               s++; goto walk
#endif
#ifndef M_FROZENGO
            :: s<NS && !(s==S0 && vw==0) && !m_fz[s] && m_st[s]==1 -> x=m_x[s]; b=m_b[s]
#else
            :: s<NS && !(s==S0 && vw==0) && m_st[s]==1 -> x=m_x[s]; b=m_b[s]
#endif
      fi );
    SIGHT(S, is, inext)
    if :: st==1 -> goto icheck :: st==3 -> goto itomb :: st==2 -> assert(gk); goto exists fi;
inext: s++; goto walk;
#ifdef M_NORECHECK
icheck: skip;
#else
icheck: S( if :: m_st[s]==1 && SAME(s,x,b) && !m_fz[s] -> assert(gk) :: else -> goto insert fi );
#endif
ihelp: S( if :: e_st[x]==1 && e_ver[x]==v -> e_st[x]=2; e_ver[x]=v+1; dupcheck() :: else fi; goto insert );
#ifdef M_NOHELPTOMB
itomb: S( e_st[x]!=3 || e_ver[x]!=v -> goto insert );
#else
itomb: S( if :: m_st[s]==1 && SAME(s,x,b) && !m_fz[s] -> m_st[s]=2 :: else fi; goto insert );
#endif
tabend:
#ifdef GROW
    if :: vw==0 -> goto grow :: else -> goto exists fi;      /* full: as if it existed, everything is given back */
#else
    goto exists;
#endif
absent: if :: prep -> goto publish :: else fi;
a1: S( i_h[me]=h );
a2: S( i_st[me]=1 );
a3: S( kb[h]=1; kk[h]=k );
a3b: S( vb[h]=1 );
a4: S( if :: e_st[0]==0 -> px=0 :: NE>1 && e_st[1%NE]==0 -> px=1%NE :: NE>2 && e_st[2%NE]==0 -> px=2%NE :: else -> goto lost fi; pv=e_ver[px] );
a5: S( i_x[me]=px; i_v[me]=pv+1 );
a6: S( i_st[me]=2 );
a7: S( if :: e_st[px]==0 && e_ver[px]==pv -> e_st[px]=1; e_own[px]=me; e_ver[px]=pv+1; e_g[px]=k+1 :: else -> goto a4 fi );
#ifdef M_INFOFIRST
k1: S( e_b[px]=e_b[px]+1 );
k2: S( e_h[px]=h );
#else
k1: S( e_h[px]=h );
k2: S( e_b[px]=e_b[px]+1 );
#endif
a8: S( i_st[me]=3; prep=1 );
publish: S( if :: m_st[s]==0 && !m_fz[s] -> m_st[s]=1; m_x[s]=px; m_b[s]=e_b[px]; prep=0
#ifdef M_REUSE
               :: m_st[s]==2 && !m_fz[s] -> m_st[s]=1; m_x[s]=px; m_b[s]=e_b[px]; prep=0
#endif
               :: else -> goto insert fi );
b2: S( if :: e_st[px]==1 && e_ver[px]==pv+1 -> assert(e_own[px]==me); e_st[px]=2; e_ver[px]=pv+2; dupcheck() :: else fi );
b3: S( i_st[me]=0; i_h[me]=0; i_x[me]=0; i_v[me]=0; goto next_op );
exists: if :: !prep -> goto next_op :: else fi;
#ifndef M_PUBLISHLOSE
l0: S( i_st[me]=2 );
#endif
lost: S( relkb(h) );
l2: S( if :: prep -> assert(e_st[px]==1 && e_own[px]==me); e_st[px]=0; e_ver[px]=e_ver[px]+1; e_g[px]=0; prep=0 :: else fi );
l3: S( i_st[me]=1 );
l4: S( relvb(h) );
l5: S( i_st[me]=0; i_h[me]=0; i_x[me]=0; i_v[me]=0; goto next_op );

  /* ---- freeze the path and bring it over; then insert into the next table, or finish the growth ---- */
grow: S( if :: w==0 -> w=1 :: else fi );
    vw=1;
migrate: s=0;
#ifdef GROW
m1: S( if :: s==S0 -> goto m9 :: s<S0 && !m_fz[s] -> m_fz[s]=1 :: else fi );
m2: S( if :: m_st[s]==0 && op!=2 -> goto m9                 /* a frozen EMPTY ends the path */
          :: m_st[s]==1 && !m_mv[s] -> skip
          :: else -> s++; goto m1 fi );
#ifdef M_EARLYFINISH
    if :: op==2 -> s++; goto m1 :: else fi;
#endif
    COPY(S, mc)
    s++; goto m1;
m9: if :: op==2 -> goto finish :: else -> s=S0; goto walk fi;
finish: S( if :: w==1 -> w=2 :: else fi; goto next_op );
#else
    goto next_op;
#endif

  /* ---- find, then operate or delete ---- */
find: atomic { begin_look(me, k) };
fa: S( vw=w; s=(vw==2 -> S0 : 0); in1=(vw==2) );
fb: S( if :: s==(in1 -> NS : S0) -> goto fd
          :: s<(in1 -> NS : S0) && m_st[s]==0 -> if :: !m_fz[s] && !in1 -> goto fe :: else -> goto fd fi
          :: s<(in1 -> NS : S0) && m_st[s]==2 -> s++; goto fb
          :: s<(in1 -> NS : S0) && m_st[s]==1 -> x=m_x[s]; b=m_b[s] fi );
    SIGHT(S, fs, fc)
    if :: st==2 -> assert(gk); goto found :: else -> goto fc fi;
fc: s++; goto fb;
fd: if :: NEXTTOO && !in1 -> in1=1; s=S0; goto fb :: else fi;
fe: S( if :: STALE -> goto fa :: else -> assert(lab[me]); lk[me]=0; lab[me]=0; goto next_op fi );
found:
    /* an operation's CAS would succeed here if the cell is unchanged: then it must be the key's */
o1: S( assert(!(e_st[x]==2 && e_ver[x]==v) || e_g[x]==k+1) );
d1: S( i_h[me]=e_h[x]; i_x[me]=x; i_v[me]=v+1; h=e_h[x] );
d2: S( i_st[me]=4 );
#ifdef M_TOMBFIRST
    goto tbf;
d3: S( if :: e_st[x]==2 && e_ver[x]==v -> e_st[x]=3; e_own[x]=me; e_ver[x]=v+1; ended(k+1); goto d5 :: else -> i_st[me]=0; goto fa fi );
tbf: skip;
#else
d3: S( if :: e_st[x]==2 && e_ver[x]==v -> assert(e_g[x]==k+1); e_st[x]=3; e_own[x]=me; e_ver[x]=v+1; ended(k+1)
          :: else -> i_st[me]=0; goto fa fi );
#endif
    lk[me]=0; lab[me]=0;
#ifdef M_BLKFIRST
    S( relkb(h) );
#endif
#ifdef M_FREEFIRST
    S( e_st[x]=0; e_ver[x]=v+2; e_g[x]=0 );
#endif
    BURY(S, t, buried)
buried: skip;
#ifdef M_TOMBFIRST
    goto d3;
#endif
d5: S( relkb(h) );
d5b: S( relvb(h) );
#ifndef M_FREEFIRST
d6: S( assert(e_st[x]==3 && e_own[x]==me); e_st[x]=0; e_ver[x]=v+2; e_g[x]=0 );
#endif
d8: S( i_st[me]=0; i_h[me]=0; i_x[me]=0; i_v[me]=0; goto next_op );

die: atomic { lk[me]=0; lab[me]=0 };
done: atomic { n=0; op=0; k=0; s=0; x=0; b=0; v=0; h=0; hh=0; d=0; z=0; z2=0; st=0; vw=0; px=0; pv=0; prep=0; rd=0; mt=0; gk=0; in1=0; fin[me]=1 }
}

#if NL > 0
/* shm_map_look: stores nothing */
active proctype Reader() {
  byte n=0, k=0, s=0, x=0, b=0, v=0, hh=0, z=0, st=0, vw=0; bool mt=0, gk=0, in1=0;
next: atomic { if :: n==NL -> goto done :: else fi; n++; if :: k=0 :: NK>1 -> k=1 fi; begin_look(N, k) };
    if :: skip :: goto keyof fi;
fa: L( vw=w; s=(vw==2 -> S0 : 0); in1=(vw==2) );
fb: L( if :: s==(in1 -> NS : S0) -> goto fd
          :: s<(in1 -> NS : S0) && m_st[s]==0 -> if :: !m_fz[s] && !in1 -> goto fe :: else -> goto fd fi
          :: s<(in1 -> NS : S0) && m_st[s]==2 -> s++; goto fb
          :: s<(in1 -> NS : S0) && m_st[s]==1 -> x=m_x[s]; b=m_b[s] fi );
    SIGHT(L, fs, fc)
    if :: st==2 -> assert(gk); goto next :: else -> goto fc fi;
fc: s++; goto fb;
fd: if :: NEXTTOO && !in1 -> in1=1; s=S0; goto fb :: else fi;
fe: L( if :: STALE -> goto fa :: else -> assert(lab[N]); goto next fi );
keyof: /* shm_map_key_of */
    if :: x=0 :: NE>1 -> x=1%NE fi;
q1: L( b=e_b[x] );
q2: L( hh=e_h[x] );
q3: L( if :: kb[hh]==1 -> k=kk[hh] :: kb[hh]!=1 -> k=9 fi );
q4: L( st=e_st[x]; gk=(e_g[x]==k+1) );
q5: L( assert(!(st==2 && e_b[x]==b) || gk); lk[N]=0; lab[N]=0; goto next );
done: atomic { lk[N]=0; lab[N]=0; n=0; k=0; s=0; x=0; b=0; v=0; hh=0; z=0; st=0; vw=0; mt=0; gk=0; in1=0 }
}
#endif

#ifdef CLEAR
/* shm_prepare_table: the gate waits until every client is out of its step or dead */
active proctype Daemon() {
  byte z;
end0: atomic { w==2 && !rin && (!in[0] || dead[0]) && (N<2 || !in[1%N] || dead[1%N]) && (N<3 || !in[2%N] || dead[2%N]) ->
    z=0; do :: z<S0 -> m_st[z]=0; m_x[z]=0; m_b[z]=0; m_fz[z]=0; m_mv[z]=0; z++ :: else -> break od; z=0 }
}
#endif

/* map_recover.c */
active proctype Recoverer() {
  byte t=0, s=0, d=0, x=0, b=0, h=0, z=0, z2=0, vw=0; bool rd=0;
again: atomic { rin=0; t=0; s=0; d=0; x=0; b=0; h=0; z=0; z2=0; vw=0; rd=0 };
end0: atomic { if :: dead[0] && !rec[0] -> t=0 :: N>1 && dead[1%N] && !rec[1%N] -> t=1%N :: N>2 && dead[2%N] && !rec[2%N] -> t=2%N fi;
       rin=1; h=i_h[t]; x=i_x[t]; b=e_b[x] };
    if :: i_st[t]==0 -> goto r9 :: i_st[t]==1 -> goto undo :: i_st[t]==2 -> goto undo :: i_st[t]==3 -> goto pub :: i_st[t]==4 -> goto del fi;
pub: R( if :: e_st[x]==1 && e_own[x]==t && e_ver[x]==i_v[t] -> skip :: else -> goto r8 fi );
#ifdef M_NOSEARCH
    goto undo;
#endif
p0: R( vw=w; s=(vw==2 -> S0 : 0) );
    if :: vw==2 -> goto p3 :: else fi;
p1: R( if :: s==S0 || m_st[s]==0 -> goto p2
          :: s<S0 && m_st[s]==1 && SAME(s,x,b) -> goto act
          :: s<S0 && m_st[s]!=0 && !(m_st[s]==1 && SAME(s,x,b)) -> s++; goto p1 fi );
p2: if :: vw==0 -> goto p4 :: else s=S0 fi;
p3: R( if :: s==NS || m_st[s]==0 -> goto p4
          :: s<NS && m_st[s]==1 && SAME(s,x,b) -> goto act
          :: s<NS && m_st[s]!=0 && !(m_st[s]==1 && SAME(s,x,b)) -> s++; goto p3 fi );
p4: R( if :: w!=vw -> goto p0 :: else -> goto undo fi );
act: R( if :: e_st[x]==1 && e_own[x]==t && e_ver[x]==i_v[t] -> e_st[x]=2; e_ver[x]=e_ver[x]+1; dupcheck() :: else fi; goto r8 );
undo: R( relkb(h) );
u2: R( relvb(h) );
u3: R( if :: i_st[t]>=2 && e_st[x]==1 && e_own[x]==t && e_ver[x]==i_v[t] -> e_st[x]=0; e_ver[x]=e_ver[x]+1; e_g[x]=0 :: else fi; goto r8 );
del: R( if :: e_st[x]==3 && e_own[x]==t && e_ver[x]==i_v[t] -> skip :: else -> goto r8 fi );
    if :: kb[h]!=1 -> goto buried :: else fi;
    BURY(R, t, buried)
buried: skip;
d5: R( relkb(h) );
d5b: R( relvb(h) );
d6: R( if :: e_st[x]==3 && e_own[x]==t && e_ver[x]==i_v[t] -> e_st[x]=0; e_ver[x]=e_ver[x]+1; e_g[x]=0 :: else fi );
r8: R( i_st[t]=0; i_h[t]=0; i_x[t]=0; i_v[t]=0 );
r9: R( rec[t]=1; goto again )
}

#define QUIET(i) ((fin[i] && !dead[i]) || (dead[i] && rec[i]))
active proctype Checker() {
  byte i, j, c; bool f;
  atomic { QUIET(0) && (N<2 || QUIET(1%N)) && (N<3 || QUIET(2%N)) ->
    /* a copier may have died between copy and mark: whoever comes along does that */
    i=0; do :: i<S0 -> if :: m_st[i]==1 && m_fz[i] && !m_mv[i] ->
        j=S0; do :: j<NS -> if :: COPYOF(j,i) -> m_mv[i]=1 :: else fi; j++ :: else -> break od :: else fi;
        assert(!(w==2 && m_st[i]==1 && !m_mv[i])); i++ :: else -> break od;
    i=0; do :: i<NE -> assert(e_st[i]==0 || e_st[i]==2);     /* no element is lost */
        c=0; j=0; do :: j<NS -> if :: m_st[j]==1 && !m_mv[j] && m_x[j]==i -> c++; assert(e_st[i]==2 && m_b[j]==e_b[i]) :: else fi; j++ :: else -> break od;
        assert(c == (e_st[i]==2));                            /* found in the map, once */
        i++ :: else -> break od;
    i=1; do :: i<=NH -> f=0; j=0; do :: j<NE -> if :: e_st[j]==2 && e_h[j]==i -> f=1 :: else fi; j++ :: else -> break od;
        assert(f == (kb[i]==1) && f == (vb[i]==1)); i++ :: else -> break od;  /* no block is lost, none is freed in use */
    /* nothing EMPTY before a live key on its path */
    f=0; i=0; do :: i<NS -> if :: i==S0 -> f=0 :: else fi;
        if :: m_st[i]==0 -> f=1 :: m_st[i]==1 && !m_mv[i] -> assert(!f) :: else fi; i++ :: else -> break od
  }
}
init { atomic { byte i=0;
  if :: kills=0 :: K>0 -> kills=1 :: K>1 -> kills=2 fi;
  if :: rk=0 :: RK>0 -> rk=1 fi;
#ifdef PRE
  m_st[0]=1; m_x[0]=0; m_b[0]=1; e_b[0]=1; e_h[0]=NH; e_st[0]=2; e_g[0]=1; kb[NH]=1; vb[NH]=1; kk[NH]=0;
#endif
  do :: i<N -> run Client(i); i++ :: else -> break od } }
