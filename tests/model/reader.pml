/*
 * Read locks, and their repair: shm/reader.c. Its steps are those of the code, in their order; each atomic block is one
 * access to shared memory or one system call.
 *
 * One cell, which only says how many read locks there are. Each of N clients takes the lock E times, gives it back as
 * often, and does that NO times; its entries are in its record. A writer, who waits for FULL, comes NW times. A client
 * may be killed at any step (K), and the recoverer, whom the next one follows (RK); with STOPS, that many clients
 * stop for good somewhere, which holds nobody up but the writer (who may sleep on when the one that is to wake him stops:
 * behind readers he sleeps for a bounded time).
 *
 * Checked: the writer never works while somebody living has the lock; the count never falls below none; when nobody
 * can move any more and all the dead are recovered, the cell has the count of those who are there, and neither a client nor,
 * if the cell is FULL, the writer sleeps.
 *
 * Mutants, each one thing left out or out of order; all must fail:
 *   M_ENTRYLATE    the entry is made after the cell's CAS
 *   M_TRYFIRST     the look at the cell comes before the entry is made only the first time
 *   M_HELDBLIND    TRYING becomes HELD by a store
 *   M_NOSAY        a release does not say RELEASING before its CAS
 *   M_NOCHECK      a release that has lost its CAS does not look whether a recount has done it
 *   M_CHECKFIRST   … looks before it loads the cell
 *   M_NOFREEZE     recounts without freezing the cell
 *   M_NOCANCEL     a recount leaves TRYING as it is
 *   M_NORELEASED   a recount leaves RELEASING as it is
 *   M_RECNOSAY     recovery of a hold does not say RELEASING before its CAS
 *   M_RECLEAR      recovery clears the entry before its CAS
 *   M_RECENDED     recovery does not look at the cell of an entry that a recount has ended
 *   M_RECWAKE      recovery wakes only when it finds W
 */
#include "common.inc"
#ifndef N
#define N 2
#endif
#ifndef E
#define E 1
#endif
#ifndef NO
#define NO 1
#endif
#ifndef NW
#define NW 1
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 1
#endif
#ifndef STOPS
#define STOPS 0
#endif

/* the cell's tag */
#define FULL	0
#define READERS 1
#define FROZEN	2
/* an entry's state */
#define NONE	  0
#define TRYING	  1
#define HELD	  2
#define RELEASING 3
#define CANCELLED 4
#define RELEASED  5

byte kills = K, rk = RK, stops = STOPS;
bool dead[N], fin[N], rec[N], halted[N];
byte tag, n, ver; bool W; /* the cell */
byte entry[N * E];
byte has[N];		  /* how many locks it knows that it has */
bool asleep;		  /* the writer, in the kernel's queue */

#define MINE entry[me * E + i]
/* A step, or a stop right before it. */
#define T(x) if :: atomic { x } :: atomic { kills > 0 -> kills--; dead[me] = 1; goto die } \
		:: atomic { stops > 0 -> stops--; halted[me] = 1; goto end_halt } fi

proctype Client(byte me) {
	byte o = 0, i = 0, v = 0, t = 0, c = 0;
next:	atomic { v = 0; t = 0; c = 0; i = 0; if :: o == NO -> goto done :: else -> o++ fi };

/* readRW */
take:	T( v = ver; t = tag; c = n );
	if :: t == FROZEN -> goto frozen :: else fi;
#ifndef M_ENTRYLATE
	T( MINE = TRYING );
#endif
#ifdef M_TRYFIRST
retry:
#endif
	T( if :: ver == v -> ver++; tag = READERS; n++ :: else -> goto lost fi );
#ifdef M_ENTRYLATE
	T( MINE = HELD; has[me]++ );
#elif defined(M_HELDBLIND)
	T( MINE = HELD; has[me]++ );
#else
	T( if :: MINE == TRYING -> MINE = HELD; has[me]++ :: else -> goto cancelled fi );
#endif
	i++;
	if :: i < E -> goto take :: else -> goto release fi;
lost:	skip;
#ifdef M_TRYFIRST
	T( v = ver; t = tag; if :: t == FROZEN -> goto cancelled :: else -> goto retry fi );
#endif
cancelled:
	T( MINE = NONE );
	goto take;
frozen:	T( tag != FROZEN );
	goto take;

/* releaseRW */
release: i--;
	T( has[me]--; v = ver; t = tag; c = n );
	if :: t == FROZEN -> goto rfrozen :: else fi;
#ifndef M_NOSAY
	T( MINE = RELEASING );
#endif
rcas:	T( if :: ver == v -> assert(t == READERS && n > 0); ver++; n--; c = 0;
		 if :: n == 0 -> tag = FULL; c = W; W = 0 :: else fi
	      :: else -> goto rlost fi );
	if :: c -> T( asleep = 0 ) :: else fi;
rdone:	T( MINE = NONE );
	v = 0; t = 0; c = 0;
	if :: i > 0 -> goto release :: else -> goto next fi;
rlost:	skip;
#ifdef M_CHECKFIRST
	T( if :: MINE == RELEASED -> goto rdone :: else fi );
	T( v = ver; t = tag; c = n );
	if :: t == FROZEN -> goto rfrozen :: else -> goto rcas fi;
#else
	T( v = ver; t = tag; c = n );
	if :: t == FROZEN -> goto rfrozen :: else fi;
#ifndef M_NOCHECK
	T( if :: MINE == RELEASED -> goto rdone :: else fi );
#endif
	if :: t == READERS -> goto rcas2 :: else fi;
	T( assert(false) ); /* neither frozen, nor released, nor counted */
rcas2:	skip;
#ifndef M_NOSAY
	T( if :: MINE == HELD -> MINE = RELEASING :: else fi );
#endif
	goto rcas;
#endif
rfrozen: T( tag != FROZEN );
	goto rlost;

end_halt: false;
die:	skip;
done:	atomic { o = 0; i = 0; v = 0; t = 0; c = 0; fin[me] = 1 }
}

/* Waits for FULL, changes the value, keeps the tag. Dies never, sleeps for as long as it is let. */
active proctype Writer() {
	byte w = 0, v = 0, t = 0; bool f = 0;
wnext:	if :: w == NW -> goto wdone :: else -> w++ fi;
wlook:	L( v = ver; t = tag; f = W );
	if :: t != FULL -> goto wwait :: else fi;
	L( if :: ver == v && W == f -> ver++; v = 0;
		 do :: v < N -> assert(dead[v] || has[v] == 0); v++ :: else -> break od; v = 0
	      :: else -> goto wlook fi );
	goto wnext;
wwait:	if :: !f -> L( if :: ver == v && W == f -> W = 1 :: else -> goto wlook fi ) :: else fi;
	L( if :: ver == v && W -> asleep = 1 :: else -> goto wlook fi );
end_asleep:
	!asleep;
	goto wlook;
wdone:	skip
}

#define REF entry[d * E + k]
/* shm_reader_recover, by whoever has the recovery lock */
active proctype Recoverer() {
	byte d = 0, k = 0, v = 0, t = 0, c = 0, z = 0, m = 0;
again:	atomic { d = 0; k = 0; v = 0; t = 0; c = 0; z = 0; m = 0 };
end0:	atomic { if :: dead[0] && !rec[0] -> d = 0 :: N > 1 && dead[1 % N] && !rec[1 % N] -> d = 1 % N
		    :: N > 2 && dead[2 % N] && !rec[2 % N] -> d = 2 % N fi };
each:	R( if :: k == E -> rec[d] = 1; goto again :: k < E && REF == NONE -> k++; goto each :: else fi );
settle:	skip;
#ifdef M_RECENDED
	R( if :: REF == CANCELLED || REF == RELEASED -> goto clear :: else fi );
#endif
#ifdef M_RECLEAR
	R( m = REF; REF = NONE );
#else
	R( m = REF );
#endif
	R( v = ver; t = tag; c = n );
	if :: t == FULL -> goto clear
	   :: t == FROZEN -> goto recount
	   :: t == READERS && m == HELD -> goto hold
	   :: t == READERS && (m == TRYING || m == RELEASING) -> goto freeze
	   :: t == READERS && (m == CANCELLED || m == RELEASED || m == NONE) -> goto clear fi;

hold:	skip;
#ifndef M_RECNOSAY
	R( REF = RELEASING );
#endif
hcas:	R( if :: ver == v -> assert(n > 0); ver++; n--; if :: n == 0 -> tag = FULL; c = W; W = 0 :: else -> c = 0 fi
	      :: else -> v = ver; t = tag; goto hcas fi );
	goto clear;

#ifdef M_NOFREEZE
freeze: skip;
#else
freeze:	R( if :: ver == v ->
		 ver++; tag = FROZEN; v++
	      :: else -> goto settle fi );
#endif
recount: z = 0; m = 0;
	do :: z < N * E ->
		R( if
#ifndef M_NOCANCEL
		      :: entry[z] == TRYING -> entry[z] = CANCELLED
#endif
#ifndef M_NORELEASED
		      :: entry[z] == RELEASING -> entry[z] = RELEASED
#endif
		      :: entry[z] == HELD -> m++
		      :: else fi );
		z++
	   :: else -> break od;
	R( if :: ver == v -> ver++; n = m; tag = (m -> READERS : FULL); c = W; W = 0 :: else fi );
	z = 0; m = 0;
	goto settle;
clear:	skip;
#ifdef M_RECWAKE
	R( if :: c -> asleep = 0 :: else fi );
#else
	R( asleep = 0 );
#endif
	R( REF = NONE; k++ );
	v = 0; t = 0; c = 0; m = 0;
	goto each
}

/* Nobody can move. */
active proctype Quiet() {
	byte i = 0, m = 0;
end0:	atomic { timeout ->
		i = 0;
		do :: i < N -> assert((dead[i] && rec[i]) || (!dead[i] && fin[i]) || halted[i]);
			       m = m + (dead[i] -> 0 : has[i]); i++ :: else -> break od;
		if :: STOPS == 0 -> assert(n == m && tag == FULL); assert(!asleep) :: else fi;
		assert(tag != FROZEN); assert(tag != FULL || n == 0) }
}

init { atomic { byte i = 0; do :: i < N -> run Client(i); i++ :: else -> break od } }
