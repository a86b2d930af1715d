/*
 * The stack: a top that says how many items there are and whose push is under way, and cells that anybody writes for
 * the slot that pushes. Items are blobs that never come back (or, with IMM, immediates, which nobody names).
 *
 *    u1 u2  name the blob; intent CLAIM           o5     load the top
 *    u3     claim it                              o6     load the item's cell
 *    u5     load the top                          o8 o9  name the item and its cell; intent POP
 *    u7     put the item where helpers look       o10    CAS of the top: popped
 *    u8 u9  name the cell; intent PUSH            o11 o12 release; clear the intent
 *    u10    CAS of the top: pushed
 *    u11    finish; u12: clear the intent
 *
 *    finishing (h1…h5): load the cell's version; load the pusher's item; has the top moved?; CAS of the cell that
 *    expects what was loaded, with the top's version; CAS of the top: nobody's push is under way
 *
 * After its recovery a slot has another owner, who puts items of his own where helpers look.
 *
 * Mutants:
 *    M_NORECHECK     a helper does not look whether the top has moved before it writes the cell
 *    M_BLIND         a helper writes the cell whatever it holds
 *    M_TOPFIRST      the top lets go before the cell is written
 *    M_NOFINISH      a pusher leaves the finishing to others, and goes on
 *    M_NORECFINISH   recovery frees a slot whose push is under way (IMM)
 *    M_CELLALONE     recovery takes what the cell holds for the stack's, whatever the count
 *    M_NOSCAN        recovery does not look whether a living slot names the item
 *    M_NAMELATE      a popper names the item after its CAS
 *    M_CLEARFIRST    a popper clears the intent before it releases
 *
 * M_NOTOP passes: recovery looks whether count and cell belong together, but a dead slot's item is not pushed again, so
 * it need not.
 */
#include "common.inc"
#ifndef NU
#define NU 2		/* who push */
#endif
#ifndef NO
#define NO 1		/* who pop */
#endif
#define N (NU + NO)
#ifndef NI
#define NI 1		/* items of each */
#endif
#ifndef ND
#define ND 1		/* attempts of each popper */
#endif
#ifndef C
#define C 2		/* cells */
#endif
#ifndef K
#define K 2
#endif
#ifndef RK
#define RK 1
#endif
#define NV (NU * NI)
#define STRANGE 99	/* an item of the slot's next owner */
byte kills, rk;
bool dead[N], fin[N], rec[N];
byte top_ver, top_own, top_count;
byte c_ver[C], c_v[C];
byte p_v[N];			/* push_value of each slot */
byte i_st[N], i_v[N], i_k[N];	/* 1 CLAIM, 2 PUSH, 3 POP */
byte bl[NV + 1];		/* blobs: 0 not yet, 1 claimed, 2 released */
byte s_v[C + 1], s_n;		/* what a stack would hold */
bool g_popped[NV + 1];

/* Finishing, by a client (X is S) or the recoverer (X is R), whose look at the top gave ver, o, n. */
#ifdef M_NORECHECK
#define MOVED 0
#else
#define MOVED (top_ver != ver)
#endif
#ifdef M_BLIND
#define AS_SEEN 1
#else
#define AS_SEEN (c_ver[n - 1] == cv)
#endif
#define WRITE(X) X( if :: cv != ver && AS_SEEN -> c_ver[n - 1] = ver; c_v[n - 1] = pv :: else fi )
#define LET_GO(X) X( if :: top_ver == ver -> top_ver = ver + 1; top_own = 0 :: else fi )
#ifdef M_TOPFIRST
#define FINISH(X) LET_GO(X); WRITE(X)
#else
#define FINISH(X) WRITE(X); LET_GO(X)
#endif
#define HELP(X, out) \
	X( cv = c_ver[n - 1] ); \
	X( pv = p_v[o - 1] ); \
	X( if :: MOVED -> goto out :: else fi ); \
	FINISH(X)
#ifdef IMM
#define BLOB(x) skip
#else
#define BLOB(x) S( x )
#endif

proctype Pusher(byte me) {
	byte k = 0, v = 0, ver = 0, o = 0, n = 0, cv = 0, pv = 0, mine = 0;
u0:	S( if :: k == NI -> goto done :: else fi; v = me * NI + k + 1 );
u1:	BLOB( i_v[me] = v );
u2:	BLOB( i_st[me] = 1 );
u3:	BLOB( bl[v] = 1 );
u5:	S( ver = top_ver; o = top_own; n = top_count;
	   if :: o != 0 -> goto uh :: o == 0 && n == C -> goto ufull :: else fi );
u7:	S( p_v[me] = v );
u8:	BLOB( i_k[me] = n );
u9:	BLOB( i_st[me] = 2 );
u10:	S( if :: top_ver == ver -> top_ver = ver + 1; top_own = me + 1; top_count = n + 1;
				   assert(s_n == n); s_v[s_n] = v; s_n++; mine = ver + 1
	      :: else -> i_st[me] = (i_st[me] == 2 -> 1 : 0); goto u5 fi );
#ifndef M_NOFINISH
u11:	S( ver = top_ver; o = top_own; n = top_count; if :: ver != mine -> goto u12 :: else fi );
	HELP(S, u11);
	goto u11;
#endif
u12:	S( i_st[me] = 0; k++; v = 0; ver = 0; o = 0; n = 0; mine = 0; cv = 0; pv = 0; goto u0 );
uh:	HELP(S, u5);
	goto u5;
ufull:	BLOB( bl[v] = 2 );
ufull2:	S( i_st[me] = 0; k++; v = 0; ver = 0; n = 0; o = 0; cv = 0; pv = 0; goto u0 );
die:	skip;
done:	atomic { k = 0; v = 0; ver = 0; o = 0; n = 0; cv = 0; pv = 0; mine = 0; fin[me] = 1 }
}

proctype Popper(byte me) {
	byte a = 0, v = 0, ver = 0, o = 0, n = 0, cv = 0, pv = 0;
o0:	S( if :: a == ND -> goto done :: else fi; v = 0 );
o5:	S( ver = top_ver; o = top_own; n = top_count;
	   if :: o != 0 -> goto oh :: o == 0 && n == 0 -> a++; goto o0 :: else fi );
o6:	S( v = c_v[n - 1] );
#ifndef M_NAMELATE
o8:	BLOB( i_v[me] = v; i_k[me] = n - 1 );
o9:	BLOB( i_st[me] = 3 );
#endif
o10:	S( if :: top_ver == ver -> top_ver = ver + 1; top_count = n - 1;
				   assert(s_n == n && s_v[n - 1] == v); s_n--; s_v[s_n] = 0;
				   assert(!g_popped[v]); g_popped[v] = 1
	      :: else -> i_st[me] = 0; goto o5 fi );
#ifdef M_NAMELATE
o8:	BLOB( i_v[me] = v; i_k[me] = n - 1 );
o9:	BLOB( i_st[me] = 3 );
#endif
#ifdef M_CLEARFIRST
o12:	S( i_st[me] = 0 );
#endif
o11:	BLOB( assert(bl[v] == 1); bl[v] = 2 );
#ifndef M_CLEARFIRST
o12:	S( i_st[me] = 0 );
#endif
	atomic { a++; ver = 0; o = 0; n = 0; cv = 0; pv = 0; goto o0 };
oh:	HELP(S, o5);
	goto o5;
die:	skip;
done:	atomic { a = 0; v = 0; ver = 0; o = 0; n = 0; cv = 0; pv = 0; fin[me] = 1 }
}

#define NAMES(q)  (!dead[q] && i_st[q] != 0 && i_v[q] == i_v[t])

active proctype Recoverer() {
	byte t = 0, q = 0, v = 0, ver = 0, o = 0, n = 0, cv = 0, pv = 0;
again:	atomic { t = 0; q = 0; v = 0; ver = 0; o = 0; n = 0; cv = 0; pv = 0 };
end0:	atomic { if
	:: dead[0] && !rec[0] -> t = 0
	:: dead[1] && !rec[1] -> t = 1
	:: N > 2 && dead[2 % N] && !rec[2 % N] -> t = 2 % N
	:: N > 3 && dead[3 % N] && !rec[3 % N] -> t = 3 % N
	fi };
#ifndef M_NORECFINISH
r0:	R( ver = top_ver; o = top_own; n = top_count; if :: o != t + 1 -> goto r1 :: else fi );
	HELP(R, r0);
	goto r0;
#endif
r1:	R( if :: i_st[t] == 0 -> goto r9 :: i_st[t] == 1 -> goto r5 :: else fi );
r2:	R( ver = top_ver; o = top_own; n = top_count; if :: o != 0 -> goto rh :: else fi );
r2b:	R( v = c_v[i_k[t]] );
#ifndef M_NOTOP
	R( if :: top_ver != ver -> goto r2 :: else fi );
#endif
#ifdef M_CELLALONE
	R( if :: v == i_v[t] -> goto r8 :: else fi );
#else
	R( if :: v == i_v[t] && i_k[t] < n -> goto r8 :: else fi );
#endif
	q = 0;
#ifndef M_NOSCAN
r3:	do
	:: q < N -> R( !(q != t && NAMES(q)) -> q++ )	/* else: deferred, looked at again */
	:: q >= N -> break
	od;
#endif
r5:	R( if :: bl[i_v[t]] == 1 -> bl[i_v[t]] = 2 :: else fi );
r8:	R( i_st[t] = 0 );
r9:	R( p_v[t] = STRANGE; rec[t] = 1; goto again );
rh:	HELP(R, r2);
	goto r2
}

#define QUIET(i) ((fin[i] && !dead[i]) || (dead[i] && rec[i]))
/* In the end cells and count are what a stack would be, and its items are all that is claimed. */
active proctype Checker() {
	byte i, j;
	bool f;
	atomic { QUIET(0) && QUIET(1) && (N < 3 || QUIET(2 % N)) && (N < 4 || QUIET(3 % N)) ->
		assert(top_own == 0 && top_count == s_n);
		i = 0;
		do
		:: i < s_n -> assert(c_v[i] == s_v[i]); i++
		:: else -> break
		od;
#ifndef IMM
		i = 1;
		do
		:: i <= NV -> f = 0; j = 0;
			do
			:: j < s_n -> if :: s_v[j] == i -> f = 1 :: else fi; j++
			:: else -> break
			od;
			assert(f == (bl[i] == 1)); i++
		:: else -> break
		od
#endif
	}
}

init { atomic {
	byte i = 0;
	if :: kills = 0 :: K > 0 -> kills = 1 :: K > 1 -> kills = 2 fi;
	if :: rk = 0 :: RK > 0 -> rk = 1 fi;
	do
	:: i < NU -> run Pusher(i); i++
	:: i >= NU && i < N -> run Popper(i); i++
	:: else -> break
	od
} }
