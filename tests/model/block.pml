/*
 * Blocks: states, the bits above them, and writers that die. Two blocks in one word, with a bit above it and one above that: the
 * smallest tree in which what is free can be hidden at each level. See shm/block.h.
 *
 *    i1     the intent names the block               f2     load the state
 *    s2     load the state                           f3     CAS STORED → FREE
 *    s3     CAS FREE → CLAIMED                       t…     settle; the intent goes
 *    t…     settle
 *    s5 s6  the data, in two pieces                  settling: look at the state; set the bit and look again, or clear it;
 *    s7     CLAIMED → STORED; the intent goes        then the same for each word and the bit above it
 *
 * Checked: two writers are never in one block; what is read is what one store has put there; in the end, when the dead have been
 * repaired, nothing is claimed, and no bit hides what is free.
 *
 * Mutants:
 *    M_NOLOOK      who sets a block's bit does not look again
 *    M_NOLOOKUP    who sets the bit of a full word does not look again
 *    M_NOTUP       who makes something free clears the block's bit only
 *    M_ONEUP       … and the one above it only
 *    M_UPFIRST     bits are settled from the top
 *    M_INTENTLATE  the intent comes after the CAS
 *    M_CLEARFIRST  the intent goes before settling
 *    M_RECCLEAR    recovery clears the intent first
 *    M_RECNOSETTLE recovery only gives the block back
 *    M_RECALL      recovery gives back whatever is claimed there, not only by the dead one
 *    M_NOVERSION   a reader looks only whether the block is stored
 */
#include "common.inc"
#ifndef N
#define N 2		/* writers */
#endif
#ifndef NO
#define NO 2		/* operations of each */
#endif
#ifndef NR
#define NR 1		/* copies that the reader makes */
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 1
#endif
#define FREE	0
#define STORED	1
#define CLAIM	2
byte kills, rk;
bool dead[N], fin[N], rec[N], rfin;
byte who[2], ver[2];
bool bt[2], up, top;
byte intent[N];
byte d1[2], d2[2];	/* data: who has written it, and when */

#ifdef M_NOLOOK
#define LOOK_AGAIN(X, b) skip
#else
#define LOOK_AGAIN(X, b) X( f = (who[b] == FREE) ); if :: f -> X( bt[b] = 0 ) :: else fi
#endif
#ifdef M_NOLOOKUP
#define LOOK_UP(X, cond, above) skip
#else
#define LOOK_UP(X, cond, above) X( f = !(cond) ); if :: f -> X( above = 0 ) :: else fi
#endif
#define SETTLE_BLOCK(X, b) \
	X( f = (who[b] == FREE) ); \
	if :: f -> X( bt[b] = 0 ) :: else -> X( bt[b] = 1 ); LOOK_AGAIN(X, b) fi
#define SETTLE_WORD(X, cond, above) \
	X( f = (cond) ); \
	if :: f -> X( above = 1 ); LOOK_UP(X, cond, above) :: else -> X( above = 0 ) fi
#if defined(M_NOTUP)
#define SETTLE(X, b) SETTLE_BLOCK(X, b); \
	X( f = bt[0] && bt[1] ); if :: f -> SETTLE_WORD(X, bt[0] && bt[1], up); SETTLE_WORD(X, up, top) :: else fi
#elif defined(M_ONEUP)
#define SETTLE(X, b) SETTLE_BLOCK(X, b); SETTLE_WORD(X, bt[0] && bt[1], up); \
	X( f = up ); if :: f -> SETTLE_WORD(X, up, top) :: else fi
#elif defined(M_UPFIRST)
#define SETTLE(X, b) SETTLE_WORD(X, up, top); SETTLE_WORD(X, bt[0] && bt[1], up); SETTLE_BLOCK(X, b)
#else
#define SETTLE(X, b) SETTLE_BLOCK(X, b); SETTLE_WORD(X, bt[0] && bt[1], up); SETTLE_WORD(X, up, top)
#endif

proctype Writer(byte me) {
	byte k = 0, b = 0, w = 0, v = 0, mark = 0;
	bool f = 0;
w0:	S( if :: k == NO -> goto done :: else fi; k++; mark = 16 * (me + 1) + k );
	if :: goto s0 :: b = 0; goto f0 :: b = 1; goto f0 fi;

	/* searching: each word is looked at by itself, what is found may be old */
s0:	S( f = top; if :: f -> goto w0 :: else fi );
s0b:	S( f = up; if :: f -> b = 0; goto wrong :: else fi );
s0c:	S( if :: !bt[0] -> b = 0 :: bt[0] && !bt[1] -> b = 1 :: else -> b = 0; goto wrong fi );
#ifndef M_INTENTLATE
i1:	S( intent[me] = b + 1 );
#endif
s2:	S( w = who[b]; v = ver[b]; if :: w != FREE -> goto t0 :: else fi );
s3:	S( if :: who[b] == FREE && ver[b] == v -> who[b] = CLAIM + me; ver[b] = v + 1 :: else -> goto s0 fi );
#ifdef M_INTENTLATE
i1:	S( intent[me] = b + 1 );
#endif
	SETTLE(S, b);
s5:	S( d1[b] = mark );
s6:	S( assert(who[b] == CLAIM + me && d1[b] == mark); d2[b] = mark );
s7:	S( assert(who[b] == CLAIM + me && d1[b] == mark && d2[b] == mark); who[b] = STORED );
s8:	S( intent[me] = 0; b = 0; w = 0; v = 0; f = 0; goto w0 );

	/* what was found is taken: its bits are wrong */
wrong:	S( intent[me] = b + 1 );
t0:	SETTLE(S, b);
	goto s0;

f0:	S( intent[me] = b + 1 );
f2:	S( w = who[b]; v = ver[b]; if :: w != STORED -> goto s8 :: else fi );
f3:	S( if :: who[b] == STORED && ver[b] == v -> who[b] = FREE :: else -> goto s8 fi );
#ifdef M_CLEARFIRST
	S( intent[me] = 0 );
#endif
	SETTLE(S, b);
	goto s8;
die:	skip;
done:	atomic { k = 0; b = 0; w = 0; v = 0; f = 0; mark = 0; fin[me] = 1 }
}

active proctype Reader() {
	byte k = 0, v = 0, a = 0, c = 0, b = 0;
r0:	if :: k == NR -> goto done :: else fi;
	if :: b = 0 :: b = 1 fi;
	L( v = ver[b]; if :: who[b] != STORED -> k++; goto r0 :: else fi );
	L( a = d1[b] );
	L( c = d2[b] );
#ifdef M_NOVERSION
	L( if :: who[b] == STORED -> assert(a == c) :: else fi; k++ );
#else
	L( if :: who[b] == STORED && ver[b] == v -> assert(a == c) :: else fi; k++ );
#endif
	goto r0;
done:	atomic { k = 0; v = 0; a = 0; c = 0; b = 0; rfin = 1 }
}

#ifdef M_RECALL
#define HIS (who[b] >= CLAIM)
#else
#define HIS (who[b] == CLAIM + t)
#endif

active proctype Recoverer() {
	byte t = 0, b = 0;
	bool f = 0;
again:	atomic { t = 0; b = 0; f = 0 };
end0:	atomic { if
	:: dead[0] && !rec[0] -> t = 0
	:: dead[1] && !rec[1] -> t = 1
	:: N > 2 && dead[2 % N] && !rec[2 % N] -> t = 2 % N
	fi };
	R( if :: intent[t] == 0 -> goto r9 :: else fi; b = intent[t] - 1 );
#ifdef M_RECCLEAR
	R( intent[t] = 0 );
#endif
	R( if :: HIS -> who[b] = FREE :: else fi );
#ifndef M_RECNOSETTLE
	SETTLE(R, b);
#endif
	R( intent[t] = 0 );
r9:	R( rec[t] = 1; goto again )
}

#define QUIET(i) ((fin[i] && !dead[i]) || (dead[i] && rec[i]))
active proctype Checker() {
	atomic { rfin && QUIET(0) && QUIET(1) && (N < 3 || QUIET(2 % N)) ->
		assert(who[0] <= STORED && who[1] <= STORED);
		assert(who[0] == STORED || !bt[0]);
		assert(who[1] == STORED || !bt[1]);
		assert(!up || (bt[0] && bt[1]));
		assert(!top || up);
		assert(who[0] == FREE || d1[0] == d2[0]);
		assert(who[1] == FREE || d1[1] == d2[1])
	}
}

init { atomic {
	byte i = 0;
	if :: kills = 0 :: K > 0 -> kills = 1 :: K > 1 -> kills = 2 fi;
	if :: rk = 0 :: RK > 0 -> rk = 1 fi;
	/* one block is stored already */
	if :: who[0] = STORED; bt[0] = 1; ver[0] = 1 :: skip fi;
	do
	:: i < N -> run Writer(i); i++
	:: else -> break
	od
} }
