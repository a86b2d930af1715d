/*
 * An element whose value is a blob: writers that swap it for another, readers that copy it without saying so. Every
 * writer may be killed at every step, and so may the recoverer. Blocks are used again: generations.
 *
 *    w1 w2   intent CLAIM; name the block            l1      load the cell
 *    w3      claim it                                l2 l3   copy the block's two halves
 *    w4 w5   fill its two halves                     l4      has the cell moved? then again
 *    w6      load the cell
 *    w7 w8   name the old blob; intent REPLACE
 *    w9      CAS of the cell: written
 *    w10     release the old blob
 *    w11 w12 clear the intent, then the names
 *
 * Recovery: CLAIM: the block goes back if that generation is the dead one's. REPLACE: what the cell refers to stays; the
 * other goes, once no living slot names it. Then the slot has its next owner.
 *
 * Mutants:
 *    M_CLAIMFIRST   the block is claimed before it is named
 *    M_NOOLD        the old blob is not named
 *    M_REPLACELATE  intent REPLACE after the CAS
 *    M_CLEARFIRST   the intent is cleared before the old blob is released
 *    M_NOGEN        recovery does not compare generations
 *    M_RELGEN       a release does not compare generations
 *    M_NOCELL       recovery does not ask the cell
 *    M_NORECHECK    a reader does not look at the cell again
 *    M_NOVERSION    the cell's CAS compares the reference, not the version, and generations are not counted
 *    M_RECCLEAR     recovery clears the intent before it releases
 *
 * M_NOSCAN passes here (the release of one generation takes effect once, whoever comes first): the look at the living
 * slots is there for the queue's blobs and for the keys (queue.pml, map.pml).
 */
#include "common.inc"
#ifndef N
#define N 2		/* writers */
#endif
#ifndef NW
#define NW 2		/* writes of each */
#endif
#ifndef NL
#define NL 1		/* readers */
#endif
#ifndef NR
#define NR 1		/* reads of each */
#endif
#ifndef NB
#define NB (N + 1)	/* blocks */
#endif
#ifndef K
#define K 2
#endif
#ifndef RK
#define RK 1
#endif
byte kills, rk;
bool dead[N], fin[N], rec[N];
byte lfin;
byte c_ver, c_b, c_g;			/* the cell: version; block + 1 (0: no blob) and its generation */
byte b_gen[NB], b_own[NB], b_x[NB], b_y[NB];
byte i_st[N], i_new[N], i_ng[N], i_old[N], i_og[N]; /* 1 CLAIM, 2 REPLACE; blocks + 1 */
byte g_val;				/* what the element's value is */

#ifdef M_NOGEN
#else
#endif
#define ALLOCATED(b, g) (b_own[b] != 0 && b_gen[b] == g)
#ifdef M_RELGEN
#define RELEASE(b, g) if :: b_own[b] != 0 -> b_own[b] = 0; b_gen[b] = b_gen[b] + 1 :: else fi
#else
#define RELEASE(b, g) if :: ALLOCATED(b, g) -> b_own[b] = 0; b_gen[b] = b_gen[b] + 1 :: else fi
#endif

inline pickfree() {
	if
	:: b_own[0] == 0 -> b = 0
	:: b_own[1] == 0 -> b = 1
	:: NB > 2 && b_own[2 % NB] == 0 -> b = 2 % NB
	:: NB > 3 && b_own[3 % NB] == 0 -> b = 3 % NB
	:: else -> goto done
	fi;
	g = b_gen[b]
}

proctype Writer(byte me) {
	byte k = 0, b = 0, g = 0, ver = 0, ob = 0, og = 0;
w0:	S( if :: k == NW -> goto done :: else fi; pickfree() );
#ifdef M_CLAIMFIRST
w3:	S( if :: b_gen[b] == g && b_own[b] == 0 -> b_own[b] = me + 1 :: else -> goto w0 fi );
w1:	S( i_st[me] = 1 );
w2:	S( i_new[me] = b + 1; i_ng[me] = g );
#else
w1:	S( i_st[me] = 1 );
w2:	S( i_new[me] = b + 1; i_ng[me] = g );
w3:	S( if :: b_gen[b] == g && b_own[b] == 0 -> b_own[b] = me + 1 :: else -> goto w3f fi );
#endif
w4:	S( b_x[b] = me * NW + k + 1 );
w5:	S( b_y[b] = me * NW + k + 1 );
w6:	S( ver = c_ver; ob = c_b; og = c_g );
#ifndef M_NOOLD
w7:	S( i_old[me] = ob; i_og[me] = og );
#endif
#ifndef M_REPLACELATE
w8:	S( i_st[me] = 2 );
#endif
#ifdef M_NOVERSION
w9:	S( if :: c_b == ob ->
#else
w9:	S( if :: c_ver == ver ->
#endif
		assert(c_b == ob && c_g == og);
		c_ver++; c_b = b + 1; c_g = g; g_val = me * NW + k + 1
	      :: else -> i_st[me] = 1; goto w9f fi );
#ifdef M_REPLACELATE
w8:	S( i_st[me] = 2 );
#endif
#ifdef M_CLEARFIRST
w11:	S( i_st[me] = 0 );
#endif
w10:	S( if :: ob != 0 -> RELEASE(ob - 1, og) :: else fi );
#ifndef M_CLEARFIRST
w11:	S( i_st[me] = 0 );
#endif
w12:	S( i_new[me] = 0; i_old[me] = 0 );
	atomic { i_ng[me] = 0; i_og[me] = 0; k++; b = 0; g = 0; ver = 0; ob = 0; og = 0; goto w0 };
w9f:	S( i_old[me] = 0; i_og[me] = 0; goto w6 );
w3f:	S( i_st[me] = 0 );
w3g:	S( i_new[me] = 0; i_ng[me] = 0; b = 0; g = 0; goto w0 );
die:	skip;
done:	atomic { k = 0; b = 0; g = 0; ver = 0; ob = 0; og = 0; fin[me] = 1 }
}

/* A reader keeps nobody from anything, so its death is nothing. */
proctype Reader() {
	byte r = 0, ver = 0, b = 0, x = 0, y = 0, v = 0;
l1:	L( ver = c_ver; b = c_b; v = g_val );
	if :: b == 0 -> goto l5 :: else fi;
l2:	L( x = b_x[b - 1] );
l3:	L( y = b_y[b - 1] );
#ifdef M_NORECHECK
l4:	L( assert(x == y && x == v) );
#else
l4:	L( if :: c_ver == ver -> assert(x == y && x == v) :: else -> x = 0; y = 0; goto l1 fi );
#endif
l5:	atomic { r++; x = 0; y = 0; b = 0; ver = 0; v = 0; if :: r < NR -> goto l1 :: else lfin++ fi }
}

#define NAMES(q, r, h) (!dead[q] && i_st[q] != 0 && ((i_new[q] == r && i_ng[q] == h) || (i_old[q] == r && i_og[q] == h)))
#ifdef M_NOCELL
#define REFERS(r, h) 0
#else
#define REFERS(r, h) (c_b == r && c_g == h)
#endif

/* The other of the two goes: what the cell refers to stays, what a living slot names is looked at again later. */
#ifdef M_NOGEN
#define STALE(b, h) (b_own[b] == 0)
#define GIVE_BACK(b, h) if :: b_own[b] != 0 -> b_own[b] = 0; b_gen[b] = b_gen[b] + 1 :: else fi
#else
#define STALE(b, h) (!ALLOCATED(b, h))
#define GIVE_BACK(b, h) RELEASE(b, h)
#endif
#define SETTLE(r, h) \
	R( if :: r != 0 && !STALE(r - 1, h) && !REFERS(r, h) -> skip :: else -> q = N fi ); \
	SCAN(r, h) \
	R( if :: q != N + 1 && r != 0 -> GIVE_BACK(r - 1, h) :: else fi; q = 0 )
#ifdef M_NOSCAN
#define SCAN(r, h) R( if :: q == N -> q = N + 1 :: else fi );
#else
#define SCAN(r, h) \
	R( if :: q == N -> q = N + 1 :: else fi ); \
	do \
	:: q < N -> R( !(q != t && NAMES(q, r, h)) -> q++ ) \
	:: q >= N -> break \
	od;
#endif

active proctype Recoverer() {
	byte t = 0, q = 0;
again:	atomic { t = 0; q = 0 };
end0:	atomic { if
	:: dead[0] && !rec[0] -> t = 0
	:: N > 1 && dead[1 % N] && !rec[1 % N] -> t = 1 % N
	:: N > 2 && dead[2 % N] && !rec[2 % N] -> t = 2 % N
	fi };
#ifdef M_RECCLEAR
r0:	R( q = i_st[t]; i_st[t] = 0; if :: q == 0 -> goto r9 :: q == 1 -> q = 0; goto r5 :: else -> q = 0 fi );
#else
r1:	R( if :: i_st[t] == 0 -> goto r8 :: i_st[t] == 1 -> goto r5 :: else fi );
#endif
	SETTLE(i_new[t], i_ng[t]);
	SETTLE(i_old[t], i_og[t]);
	goto r8;
r5:	R( if :: i_new[t] != 0 && b_own[i_new[t] - 1] == t + 1 && b_gen[i_new[t] - 1] == i_ng[t] ->
		b_own[i_new[t] - 1] = 0; b_gen[i_new[t] - 1] = b_gen[i_new[t] - 1] + 1 :: else fi );
r8:	R( i_st[t] = 0 );
r9:	R( i_new[t] = 0; i_old[t] = 0 );
	R( rec[t] = 1; t = 0; q = 0; goto again )
}

#define QUIET(i) ((fin[i] && !dead[i]) || (dead[i] && rec[i]))
/* In the end one block is allocated, the cell's, with the value that was written last; or none, if none was. */
active proctype Checker() {
	byte i = 0;
	atomic { QUIET(0) && (N < 2 || QUIET(1 % N)) && (N < 3 || QUIET(2 % N)) && lfin == NL ->
		do
		:: i < NB -> assert((b_own[i] != 0) == (c_b == i + 1)); i++
		:: else -> break
		od;
		if
		:: c_b != 0 -> assert(b_gen[c_b - 1] == c_g && b_x[c_b - 1] == g_val && b_y[c_b - 1] == g_val)
		:: else -> assert(g_val == 0)
		fi
	}
}

init { atomic {
	byte i = 0;
	if :: kills = 0 :: K > 0 -> kills = 1 :: K > 1 -> kills = 2 fi;
	if :: rk = 0 :: RK > 0 -> rk = 1 fi;
	do
	:: i < N -> run Writer(i); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < NL -> run Reader(); i++
	:: else -> break
	od
} }
