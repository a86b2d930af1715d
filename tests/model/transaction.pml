/*
 * Transactions over two heaps (shm/transaction*.c): one commit word, a record in each heap, recovery of each heap by itself.
 *
 * Heap 0 is the home, whose slot has the commit word; there is one cell in each. A transaction locks both (BUSY, owner,
 * version), replaces both blobs, or aborts. Each heap has a recoverer of its own, which may die at every step and begin
 * again; that of heap 1 asks the home. A slot of heap 0 that was recovered is taken by somebody else, who commits
 * transactions of the next numbers there. Plain writers swap blobs of cells that are not BUSY; that they do so without
 * leaks is blob.pml's.
 *
 * NT transactions at a time, NX of each process after the other, NW plain writers, K kills, RK kills of recoverers.
 *
 * Mutants:
 *   M_COMMITEACH  each heap has a commit word of its own       M_PERHEAP     the home's recovery does not wait for the other
 *   M_IDLEFIRST   the home goes idle before heap 1 is done     M_NONUMBER    the home is asked for its state, not its number
 *   M_STALESET    the set is not emptied before OPEN           M_OPENLATE    the record is opened after the lock
 *   M_ENTRYLATE   the entry is written after the lock          M_CLAIMFIRST  the blob is claimed before it is named
 *   M_RECIDLE     recovery clears the record before it has unlocked
 */
#include "common.inc"
#ifndef NT
#define NT 2
#endif
#ifndef NX
#define NX 1
#endif
#ifndef NW
#define NW 0
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 1
#endif
#define N (NT + NW)
#define NH (3 + 2 * NT * NX + NW)
#define IDLE 0
#define OPEN 1
#define COMMITTED 2
#define FULL 1
#define BUSY 2

byte kills, rk;
bool dead[N], fin[N];
bool rec[2 * N];			 /* slot of heap h recovered: t * 2 + h */
byte c_tag[2], c_own[2], c_ver[2], c_b[2]; /* the cells */
byte st[2 * NT], num[2 * NT];		 /* state words: one word in the code, changed as one here */
byte hnum[NT];				 /* in heap 1's record: the home's number */
byte cnt[2 * NT], e_ver[2 * NT], e_new[2 * NT], e_old[2 * NT];
byte kb[NH];				 /* blobs: 0 never, 1 allocated, 2 released */
byte by[NH];				 /* ghost: written by which transaction */
byte ncom;

#define P(i) (me * 2 + (i))
#define Q(i) (t * 2 + (i))

/* Releasing a generation twice does nothing; what a cell refers to is never released. */
inline rel(h) { if :: kb[h] == 1 -> kb[h] = 2; assert(c_b[0] != h && c_b[1] != h) :: else fi }

proctype Txn(byte me) {
	byte n = 0, i = 0, v = 0, b = 0;

b0:	atomic { if :: n == NX -> goto done :: else -> n++ fi; i = 0 };
open:
#ifndef M_STALESET
o1:	S( cnt[P(i)] = 0 );
#endif
o2:	S( if :: i == 1 -> hnum[me] = num[P(0)] :: else fi );
#ifndef M_OPENLATE
o3:	S( num[P(i)] = num[P(i)] + 1; st[P(i)] = OPEN );
#else
	num[P(i)] = num[P(i)] + 1;
#endif
	if :: i == 0 -> i = 1; goto open :: else -> i = 0 fi;
lock:
l1:	S( c_tag[i] != BUSY -> v = c_ver[i]; b = c_b[i] );
#ifndef M_ENTRYLATE
l2:	S( e_ver[P(i)] = 0 );
l3:	S( e_old[P(i)] = b; e_new[P(i)] = 0 );
l4:	S( e_ver[P(i)] = v + 1 );
l5:	S( cnt[P(i)] = 1 );
#endif
l6:	S( if :: c_tag[i] != BUSY && c_ver[i] == v && c_b[i] == b -> c_tag[i] = BUSY; c_own[i] = me; c_ver[i] = v + 1
	      :: else -> goto l1 fi );
#ifdef M_ENTRYLATE
l7:	S( e_ver[P(i)] = v + 1; e_old[P(i)] = b; e_new[P(i)] = 0; cnt[P(i)] = 1 );
#endif
#ifdef M_OPENLATE
l8:	S( st[P(i)] = OPEN );
#endif
	if :: i == 0 -> i = 1; goto lock :: else -> i = 0 fi;
#if NW == 0
	atomic { assert(by[c_b[0]] == by[c_b[1]]) };
#endif
write:
#ifndef M_CLAIMFIRST
w1:	S( e_new[P(i)] = 3 + 2 * (me * NX + n - 1) + i );
w2:	S( kb[e_new[P(i)]] = 1; by[e_new[P(i)]] = me * NX + n );
#else
w2:	S( kb[3 + 2 * (me * NX + n - 1) + i] = 1; by[3 + 2 * (me * NX + n - 1) + i] = me * NX + n );
w1:	S( e_new[P(i)] = 3 + 2 * (me * NX + n - 1) + i );
#endif
	if :: i == 0 -> i = 1; goto write :: else -> i = 0 fi;
	if :: goto commit :: goto back fi;

commit:
c1:	S( st[P(0)] = COMMITTED; ncom++ );
#ifdef M_COMMITEACH
c2:	S( st[P(1)] = COMMITTED );
#endif
forth:
#ifdef M_IDLEFIRST
	if :: i == 1 -> S( st[P(0)] = IDLE ) :: else fi;
#endif
f1:	S( assert(c_tag[i] == BUSY && c_own[i] == me && c_ver[i] == e_ver[P(i)]);
	   c_tag[i] = FULL; c_own[i] = 0; c_ver[i] = c_ver[i] + 1; c_b[i] = e_new[P(i)] );
f2:	S( rel(e_old[P(i)]) );
	if :: i == 0 -> i = 1; goto forth :: else fi;
	goto close;
back:
x1:	S( assert(c_tag[i] == BUSY && c_own[i] == me && c_ver[i] == e_ver[P(i)]);
	   c_tag[i] = FULL; c_own[i] = 0; c_ver[i] = c_ver[i] + 1 );
x2:	S( rel(e_new[P(i)]) );
	if :: i == 0 -> i = 1; goto back :: else fi;
close:
z1:	S( st[P(1)] = IDLE );
z2:	S( st[P(0)] = IDLE );
	atomic { i = 0; v = 0; b = 0; goto b0 };
die:	skip;
done:	atomic { n = 0; i = 0; v = 0; b = 0; fin[me] = 1 }
}

/* Swaps a blob, unless the cell is BUSY. Not killed: its blobs are another model's. */
proctype Writer(byte me) {
	byte c = 0, v = 0, b = 0, h = 0;

	atomic { h = 3 + 2 * NT * NX + (me - NT); kb[h] = 1; if :: c = 0 :: c = 1 fi };
s1:	atomic { c_tag[c] != BUSY -> v = c_ver[c]; b = c_b[c] };
s2:	atomic { if :: c_tag[c] != BUSY && c_ver[c] == v && c_b[c] == b -> c_b[c] = h; c_ver[c] = v + 1
		    :: else -> goto s1 fi };
s3:	atomic { rel(b); v = 0; b = 0; h = 0; c = 0; fin[me] = 1 }
}

/* The home's word, as heap 1's recovery reads it. */
#ifdef M_NONUMBER
#define HOME_COMMITTED (st[Q(0)] == COMMITTED)
#else
#define HOME_COMMITTED (st[Q(0)] == COMMITTED && num[Q(0)] == hnum[t])
#endif
#define OURS (c_tag[h] == BUSY && c_own[h] == t && c_ver[h] == e_ver[Q(h)])

active [2] proctype Recoverer() {
	byte h = _pid, t = 0;
	bool forward = 0;

again:	atomic { t = 0; forward = 0 };
end0:	atomic { if :: dead[0] && !rec[h] -> t = 0 :: NT > 1 && dead[1 % NT] && !rec[(1 % NT) * 2 + h] -> t = 1 % NT fi };
r0:	R( if :: st[Q(h)] == IDLE -> goto free
	      :: st[Q(h)] == COMMITTED -> forward = 1
	      :: st[Q(h)] == OPEN && h == 0 -> forward = 0
#ifdef M_COMMITEACH
	      :: st[Q(h)] == OPEN && h == 1 -> forward = 0
#else
	      :: st[Q(h)] == OPEN && h == 1 -> forward = HOME_COMMITTED
#endif
	   fi );
r1:	R( if :: forward -> st[Q(h)] = COMMITTED :: else fi );
#ifdef M_RECIDLE
r1b:	R( st[Q(h)] = IDLE );
#endif
	if :: cnt[Q(h)] == 0 -> goto r4 :: else fi;
r2:	R( if :: OURS -> c_tag[h] = FULL; c_own[h] = 0; c_ver[h] = c_ver[h] + 1;
			 if :: forward -> c_b[h] = e_new[Q(h)] :: else fi
	      :: else fi );
r3:	R( if :: forward -> rel(e_old[Q(h)]) :: !forward && e_new[Q(h)] != 0 -> rel(e_new[Q(h)]) :: else fi );
r4:
#if !defined(M_PERHEAP) && !defined(M_COMMITEACH)
	/* The slot stays dead until the other has asked. */
	R( !(forward && h == 0 && st[Q(1)] == OPEN) );
#endif
r5:	R( st[Q(h)] = IDLE );
free:	R( rec[Q(h)] = 1; goto again )
}

/* Whoever has the slot of heap 0 after it was recovered commits transactions that have nothing to do with these. */
active proctype Heir() {
	byte t = 0;

end1:	atomic { if :: rec[0] -> t = 0 :: NT > 1 && rec[(1 % NT) * 2] -> t = 1 % NT fi };
	atomic { num[Q(0)] = num[Q(0)] + 1; cnt[Q(0)] = 0; st[Q(0)] = COMMITTED };
	atomic { st[Q(0)] = IDLE; t = 0 }
}

#define QUIET(i) ((fin[i] && !dead[i]) || ((i) < NT && dead[i] && rec[(i) * 2] && rec[(i) * 2 + 1]))
active proctype Checker() {
	byte j = 0;

	atomic { QUIET(0) && (N < 2 || QUIET(1 % N)) && (N < 3 || QUIET(2 % N)) ->
		assert(c_tag[0] != BUSY && c_tag[1] != BUSY);
#if NW == 0
		assert(by[c_b[0]] == by[c_b[1]]);	   /* all or nothing */
		assert(ncom == 0 || by[c_b[0]] != 0);	   /* what was committed is not undone */
#endif
		j = 1;
		do :: j < NH -> assert((kb[j] == 1) == (c_b[0] == j || c_b[1] == j)); j++ :: else -> break od
	}
}

init {
	atomic {
		byte i = 0;

		if :: kills = 0 :: K > 0 -> kills = 1 :: K > 1 -> kills = 2 fi;
		if :: rk = 0 :: RK > 0 -> rk = 1 fi;
		c_tag[0] = FULL; c_tag[1] = FULL; c_b[0] = 1; c_b[1] = 2; kb[1] = 1; kb[2] = 1;
		do
		:: i < NT -> run Txn(i); i++
		:: i >= NT && i < N -> run Writer(i); i++
		:: i >= N -> break
		od
	}
}
