/*
 * The queue: places that are EMPTY or FULL in some lap, tail and head that follow, blobs that slots name. Every
 * producer and consumer may be killed at every step, and so may the recoverer. Blocks are used again: generations.
 *
 *    p1 p2   name the blob; intent CLAIM            c2 c3   name it with its cell; intent REPLACE
 *    p3 p4   claim the block; fill it               c4      CAS of the cell: dequeued
 *    p5 p6   look for room, then at the place       c5      move the head on
 *    p7 p8   name the cell; intent REPLACE          c7 c8   release the block; clear the intent
 *    p9      CAS of the cell: enqueued
 *    p10 p11 move the tail on; clear the intent
 *
 * Mutants:
 *    M_NAMELATE    a consumer names the blob after its CAS
 *    M_NOSCAN      recovery does not look whether a living slot names the blob
 *    M_CLEARFIRST  a consumer clears the intent before it releases
 *    M_NOPOS       a producer does not say before its CAS that it may have published
 *    M_NOHELP      nobody moves another's tail on
 *    M_NOGEN       recovery does not compare generations
 */
#include "common.inc"
#ifndef C
#define C 2		/* places */
#endif
#ifndef E
#define E C		/* elements: how many items are allowed */
#endif
#ifndef NP
#define NP 1
#endif
#ifndef NC
#define NC 1
#endif
#define N (NP + NC)
#ifndef NI
#define NI 2		/* items of each producer */
#endif
#ifndef ND
#define ND 2		/* attempts of each consumer */
#endif
#ifndef NB
#define NB 2		/* blocks */
#endif
#ifndef K
#define K 2		/* kills of clients */
#endif
#ifndef RK
#define RK 1		/* and of the recoverer */
#endif
byte kills, rk;
bool dead[N], fin[N], rec[N];
bool q_full[C];
byte q_lap[C], q_b[C], q_g[C];
byte head, tail;
byte b_gen[NB], b_own[NB], b_item[NB];
byte i_st[N], i_b[N], i_g[N], i_pos[N];		/* 1 CLAIM, 2 REPLACE by a producer, 3 by a consumer */
bool g_enq[NP * NI + 1], g_taken[NP * NI + 1];	/* what has happened */
byte g_last[NP], g_held;

#define AT(p)	   ((p) % C)
#define LAP(p)	   ((p) / C)
#define VACANT(p)  (!q_full[AT(p)] && q_lap[AT(p)] == LAP(p))
#define HELD(p)	   (q_full[AT(p)] && q_lap[AT(p)] == LAP(p))
#define TAKEN(p)   (q_lap[AT(p)] > LAP(p))

inline pickfree() {
	if
	:: b_own[0] == 0 -> b = 0
	:: NB > 1 && b_own[1 % NB] == 0 -> b = 1 % NB
	:: NB > 2 && b_own[2 % NB] == 0 -> b = 2 % NB
	:: else -> k++; goto p0
	fi;
	g = b_gen[b]
}

proctype Producer(byte me) {
	byte k = 0, b = 0, g = 0, t = 0;
p0:	S( if :: k == NI -> goto done :: else fi; pickfree() );
p1:	S( i_b[me] = b; i_g[me] = g );
p2:	S( i_st[me] = 1 );
p3:	S( if :: b_gen[b] == g && b_own[b] == 0 -> b_own[b] = me + 1 :: else -> goto p3f fi );
p4:	S( b_item[b] = me * NI + k + 1 );
p5:	S( t = tail );
p5r:	S( if :: t < E || TAKEN(t - E) -> skip :: else -> assert(HELD(t - E)); goto p6f fi );
p6:	S( if :: VACANT(t) -> skip
	      :: HELD(t) || TAKEN(t) -> goto p6h
	      :: else -> assert(0) fi );
#ifndef M_NOPOS
p7:	S( i_pos[me] = t );
p8:	S( i_st[me] = 2 );
#endif
p9:	S( if :: VACANT(t) -> q_full[AT(t)] = 1; q_b[AT(t)] = b; q_g[AT(t)] = g; g_enq[b_item[b]] = 1;
			      g_held++; assert(g_held <= E)
	      :: else -> i_st[me] = 1; goto p5 fi );
p10:	S( if :: tail == t -> tail = t + 1 :: else fi );
p11:	S( i_st[me] = 0; k++; b = 0; g = 0; t = 0; goto p0 );
p6h:
#ifdef M_NOHELP
	S( tail != t -> goto p5 );
#else
	S( if :: tail == t -> tail = t + 1 :: else fi; goto p5 );
#endif
p6f:	S( assert(b_gen[b] == g && b_own[b] == me + 1); b_own[b] = 0; b_gen[b]++; b_item[b] = 0 );
p6g:	S( i_st[me] = 0; k++; b = 0; g = 0; t = 0; goto p0 );
p3f:	S( i_st[me] = 0; b = 0; g = 0; goto p0 );
die:	skip;
done:	atomic { k = 0; b = 0; g = 0; t = 0; fin[me] = 1 }
}

proctype Consumer(byte me) {
	byte a = 0, b = 0, g = 0, h = 0, it = 0;
c0:	S( if :: a == ND -> goto done :: else fi; h = head );
c1:	S( if :: HELD(h) -> b = q_b[AT(h)]; g = q_g[AT(h)]
	      :: VACANT(h) -> a++; goto c0
	      :: else -> assert(TAKEN(h)); goto c1h fi );
#ifndef M_NAMELATE
c2:	S( i_b[me] = b; i_g[me] = g; i_pos[me] = h );
c3:	S( i_st[me] = 3 );
#endif
c4:	S( if :: HELD(h) -> assert(q_b[AT(h)] == b && q_g[AT(h)] == g);
			    q_full[AT(h)] = 0; q_lap[AT(h)] = q_lap[AT(h)] + 1; q_b[AT(h)] = 0; q_g[AT(h)] = 0;
			    it = b_item[b]; assert(b_gen[b] == g && b_own[b] != 0 && it != 0);
			    assert(!g_taken[it]); g_taken[it] = 1; g_held--;
			    assert(g_last[(it - 1) / NI] < it); g_last[(it - 1) / NI] = it
	      :: else -> goto c4f fi );
#ifdef M_NAMELATE
c2:	S( i_b[me] = b; i_g[me] = g; i_pos[me] = h );
c3:	S( i_st[me] = 3 );
#endif
c5:	S( if :: head == h -> head = h + 1 :: else fi );
#ifdef M_CLEARFIRST
c8:	S( i_st[me] = 0 );
#endif
c7:	S( assert(b_gen[b] == g && b_own[b] != 0 && b_item[b] == it); b_own[b] = 0; b_gen[b]++; b_item[b] = 0 );
#ifndef M_CLEARFIRST
c8:	S( i_st[me] = 0 );
#endif
c9:	atomic { a++; b = 0; g = 0; h = 0; it = 0; goto c0 };
c4f:	S( i_st[me] = 0; b = 0; g = 0; goto c0 );
c1h:	S( if :: head == h -> head = h + 1 :: else fi; goto c0 );
die:	skip;
done:	atomic { a = 0; b = 0; g = 0; h = 0; it = 0; fin[me] = 1 }
}

#define NAMES(q)  (!dead[q] && i_st[q] != 0 && i_b[q] == i_b[t] && i_g[q] == i_g[t])
#ifdef M_NOGEN
#define SAMEGEN	  1
#else
#define SAMEGEN	  (b_gen[i_b[t]] == i_g[t])
#endif
#define RELEASE() b_own[i_b[t]] = 0; b_gen[i_b[t]] = b_gen[i_b[t]] + 1; b_item[i_b[t]] = 0

active proctype Recoverer() {
	byte t = 0, q = 0;
again:	atomic { t = 0; q = 0 };
end0:	atomic { if
	:: dead[0] && !rec[0] -> t = 0
	:: dead[1] && !rec[1] -> t = 1
	:: N > 2 && dead[2 % N] && !rec[2 % N] -> t = 2 % N
	:: N > 3 && dead[3 % N] && !rec[3 % N] -> t = 3 % N
	fi };
r1:	R( if :: i_st[t] == 0 -> goto r9 :: i_st[t] == 1 -> goto r5 :: else fi );
r2:	R( if :: q_full[AT(i_pos[t])] && q_b[AT(i_pos[t])] == i_b[t] && q_g[AT(i_pos[t])] == i_g[t] -> goto r8 :: else fi );
	q = 0;
#ifndef M_NOSCAN
r3:	do
	:: q < N -> R( !(q != t && NAMES(q)) -> q++ )	/* else: deferred, looked at again */
	:: q >= N -> break
	od;
#endif
r4:	R( if :: SAMEGEN && b_own[i_b[t]] != 0 -> RELEASE() :: else fi; goto r8 );
r5:	R( if :: b_gen[i_b[t]] == i_g[t] && b_own[i_b[t]] == t + 1 -> RELEASE() :: else fi );
r8:	R( i_st[t] = 0 );
r9:	R( rec[t] = 1; t = 0; q = 0; goto again )
}

#define QUIET(i) ((fin[i] && !dead[i]) || (dead[i] && rec[i]))
/* In the end each block is held by the place that refers to it, or free; nothing is lost, nothing came twice. */
active proctype Checker() {
	byte i, j;
	bool f;
	atomic { QUIET(0) && QUIET(1) && (N < 3 || QUIET(2 % N)) && (N < 4 || QUIET(3 % N)) ->
		i = 0;
		do
		:: i < NB -> f = 0; j = 0;
			do
			:: j < C -> if :: q_full[j] && q_b[j] == i -> assert(q_g[j] == b_gen[i]); f = 1 :: else fi; j++
			:: else -> break
			od;
			assert(f == (b_own[i] != 0)); i++
		:: else -> break
		od;
		i = 1;
		do
		:: i <= NP * NI -> f = 0; j = 0;
			do
			:: j < C -> if :: q_full[j] && b_item[q_b[j]] == i -> f = 1 :: else fi; j++
			:: else -> break
			od;
			assert(f == (g_enq[i] && !g_taken[i])); i++
		:: else -> break
		od
	}
}

init { atomic {
	byte i = 0;
	if :: kills = 0 :: K > 0 -> kills = 1 :: K > 1 -> kills = 2 :: K > 2 -> kills = 3 fi;
	if :: rk = 0 :: RK > 0 -> rk = 1 fi;
	do
	:: i < NP -> run Producer(i); i++
	:: i >= NP && i < N -> run Consumer(i); i++
	:: else -> break
	od
} }
