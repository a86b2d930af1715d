/*
 * The queue with leases: a place goes EMPTY → FULL → LEASED(owner) → EMPTY of the next lap when it is acknowledged, or back to
 * FULL when it is given back, by its owner or by recovery. Every producer and taker may be killed at every step, and so
 * may the recoverer. A blob is its item's for good: v is a name that never comes back (offset and generation).
 *
 *    c1 c1h    look at the head; move it over what is taken for good
 *    h1 c1s    the hint; look behind it, then once more behind the head before it is said that there is nothing
 *    c2 c3     entry of the record; CAS of the cell FULL → LEASED
 *    c3h       the hint moves behind the item, if nothing was given back since it was read
 *    c5 c6     acknowledge: intent names the blob; CAS LEASED → EMPTY of the next lap; wake who waits for the place
 *    c7 - c10  release the blob; clear the intent, the entry; move the head on
 *    e1        give back: CAS LEASED → FULL
 *    e2 e3     the hint moves back to it, next generation; the place that is filled next changes, and its sleepers wake
 *    e5        clear the entry
 *    w1 w3     BLOCK: set W in the place that is filled next, search again, sleep if that has not changed since
 *
 * Mutants:
 *    M_HEADPAST     the head moves over a leased place
 *    M_RECLATE      the entry is written after the CAS
 *    M_NOACKINTENT  the acknowledging CAS is not announced
 *    M_ACKCLEAR     the entry is cleared before that CAS
 *    M_ENDCLEAR     the entry is cleared before the hint has moved back and the takers were woken
 *    M_NOSCAN       recovery does not look whether a living slot names the blob
 *    M_NOLOWER      an item that comes back does not move the hint back
 *    M_NOGEN        the hint has no generation
 *    M_NORESCAN     who found nothing sleeps without searching again
 *    M_NOWAKEEND    who gives back does not wake those who wait for items
 *    M_SAMEWORD     … wakes them, but the place does not change
 *    M_STRICT       "always the first one" is too strong: what comes back is behind what was taken meanwhile
 */
#include "common.inc"
#ifndef C
#define C 2		/* places, all of them elements */
#endif
#ifndef NI
#define NI 3		/* items */
#endif
#ifndef NC
#define NC 2		/* takers; one producer */
#endif
#ifndef ND
#define ND 2		/* turns of each taker */
#endif
#ifndef NE
#define NE 1		/* how many of all leases are given back by their owners */
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 1
#endif
#define N (NC + 1)
#define LAP(p) ((p) / C)
#define IX(p)  ((p) % C)
#define IS(p, state) (q_lap[IX(p)] == LAP(p) && q_st[IX(p)] == state)
mtype:st = { EMPTY, FULL, LEASED };
byte kills, rk, ends;
bool dead[N], fin[N], rec[N];
mtype:st q_st[C];
byte q_lap[C], q_v[C], q_own[C], q_ver[C];
bool q_w[C];
byte head, tail, hint, generation;
byte ls_pos[N];		/* the record: position + 1, 0 none */
byte ak_v[N];		/* intent of an acknowledgement: the blob */
byte cur[N];		/* slot.cur: place + 1 */
byte sl[N];		/* on which place one sleeps, + 1 */
bool wn[N];		/* the CAS found W */
byte bl[NI + 1];	/* blob: 0 not yet, 1 allocated, 2 released */
bool acked[NI + 1], enq[NI + 1];
bool began[N], exc[N], pend[C];	/* ghosts: in a search; something came back meanwhile; is coming back */

inline wake(ix) { y = 0; do :: y < N -> if :: sl[y] == (ix) + 1 -> sl[y] = 0 :: else fi; y++ :: else -> break od; y = 0 }
inline changed(ix) { wn[me] = q_w[ix]; q_w[ix] = 0; q_ver[ix]++ }
/* The place of the position that is filled next: the tail is at most one behind. */
inline filled_next() { e = tail; if :: q_lap[IX(e)] > LAP(e) || (q_lap[IX(e)] == LAP(e) && q_st[IX(e)] != EMPTY) -> e++ :: else fi }
inline came_back(p) { pend[IX(p)] = 0; y = 0; do :: y < N -> if :: began[y] -> exc[y] = 1 :: else fi; y++ :: else -> break od; y = 0 }
inline lower(p) {
#ifndef M_NOLOWER
	if :: hint > p -> hint = p :: else fi;
#ifndef M_NOGEN
	generation++;
#endif
#endif
	came_back(p)
}
/* What W promises: whoever sleeps on the place wakes, and who is about to does not. */
inline tell_takers() {
#ifndef M_NOWAKEEND
	filled_next();
	if :: q_w[IX(e)] -> wake(IX(e));
#ifndef M_SAMEWORD
			    q_w[IX(e)] = 0; q_ver[IX(e)]++
#endif
	   :: else fi;
	e = 0
#else
	skip
#endif
}
/* Nothing is in front of p that was there when the search began. */
inline order() {
	j = head;
	do
	:: j < p -> if :: IS(j, FULL) ->
#ifdef M_STRICT
				assert(0)
#else
				assert(exc[me] || pend[IX(j)])
#endif
		       :: else fi; j++
	:: else -> break
	od;
	j = 0
}

proctype Producer(byte me) {
	byte k = 1, t = 0, y = 0;
p0:	S( if :: k > NI -> goto done :: else fi; t = tail );
p1:	S( if :: IS(t, EMPTY) -> skip
	      :: q_lap[IX(t)] > LAP(t) || (q_lap[IX(t)] == LAP(t) && q_st[IX(t)] != EMPTY) -> goto p3
	      :: else -> assert(q_lap[IX(t)] < LAP(t) && q_st[IX(t)] != EMPTY); goto isfull fi );
p2a:	S( cur[me] = IX(t) + 1 );
p2:	S( if :: IS(t, EMPTY) -> q_st[IX(t)] = FULL; q_v[IX(t)] = k; bl[k] = 1; enq[k] = 1; k++; changed(IX(t))
	      :: else -> goto p0 fi );
p2b:	S( if :: wn[me] -> wake(IX(t)) :: else fi );
p2c:	S( cur[me] = 0; wn[me] = 0 );
p3:	S( if :: tail == t -> tail = t + 1 :: else fi; goto p0 );
isfull:	S( k++; goto p0 );
die:	skip;
done:	atomic { k = 0; t = 0; fin[me] = 1 }
}

proctype Taker(byte me) {
	byte a = 0, h = 0, p = 0, v = 0, j = 0, y = 0, e = 0, hh = 0, hg = 0, arm = 255, armp = 0;
	bool whole = 0;
c0:	S( if :: a == ND -> goto done :: else fi; if :: !began[me] -> exc[me] = 0; began[me] = 1 :: else fi; h = head );
c1:	S( p = h; whole = 1;
	   if :: IS(h, FULL) -> v = q_v[IX(h)]; goto c2
	      :: IS(h, EMPTY) -> goto isempty
	      :: IS(h, LEASED) ->
#ifdef M_HEADPAST
			goto c1h
#else
			skip
#endif
	      :: q_lap[IX(h)] > LAP(h) -> goto c1h
	      :: else -> assert(head != h); goto c0 fi );
h1:	S( hh = hint; hg = generation; p = h + 1; if :: hint > p && hint < h + C -> p = hint; whole = 0 :: else fi );
c1s:	S( if :: p == h + C && (q_lap[IX(p)] < LAP(p) || IS(p, EMPTY)) -> goto none
	      :: p == h + C && !(q_lap[IX(p)] < LAP(p) || IS(p, EMPTY)) -> goto c0
	      :: p < h + C && IS(p, FULL) -> v = q_v[IX(p)]; goto c2
	      :: p < h + C && (IS(p, LEASED) || q_lap[IX(p)] > LAP(p)) -> p++; goto c1s
	      :: p < h + C && IS(p, EMPTY) -> goto none
	      :: else -> assert(head != h); goto c0 fi );
none:	S( if :: whole -> goto isempty :: else -> whole = 1; p = h + 1; goto c1s fi );
c1h:	S( if :: head == h -> head = h + 1 :: else fi; goto c0 );
c2:
#ifndef M_RECLATE
	S( ls_pos[me] = p + 1 );
#endif
c3:	S( if :: IS(p, FULL) -> assert(q_v[IX(p)] == v); order(); q_st[IX(p)] = LEASED; q_own[IX(p)] = me; q_ver[IX(p)]++
	      :: else -> goto c3f fi );
#ifdef M_RECLATE
c3b:	S( ls_pos[me] = p + 1 );
#endif
c3h:	S( began[me] = 0; if :: p != h && hint == hh && generation == hg && hint < p + 1 -> hint = p + 1 :: else fi );
c4:	S( assert(bl[v] == 1); if :: skip :: ends > 0 -> ends--; goto e1 fi );
c5:
#ifndef M_NOACKINTENT
	S( ak_v[me] = v );
#endif
#ifdef M_ACKCLEAR
c5b:	S( ls_pos[me] = 0 );
#endif
c6a:	S( cur[me] = IX(p) + 1 );
c6:	S( assert(IS(p, LEASED) && q_own[IX(p)] == me); q_st[IX(p)] = EMPTY; q_lap[IX(p)]++; q_v[IX(p)] = 0; q_own[IX(p)] = 0;
	   changed(IX(p)); assert(!acked[v]); acked[v] = 1 );
c6b:	S( if :: wn[me] -> wake(IX(p)) :: else fi );
c7:	S( assert(bl[v] == 1); bl[v] = 2 );
c8:	S( ak_v[me] = 0; wn[me] = 0 );
c9:	S( ls_pos[me] = 0; cur[me] = 0 );
c10:	S( if :: head == p -> head = p + 1 :: else fi; goto next );
e1:	S( cur[me] = IX(p) + 1 );
e1b:	S( assert(IS(p, LEASED) && q_own[IX(p)] == me); q_st[IX(p)] = FULL; q_own[IX(p)] = 0; changed(IX(p)); pend[IX(p)] = 1 );
e1c:	S( if :: wn[me] -> wake(IX(p)) :: else fi );
#ifdef M_ENDCLEAR
e5:	S( ls_pos[me] = 0 );
#endif
e2:	S( lower(p) );
e3:	S( tell_takers() );
e4:	S( wn[me] = 0; cur[me] = 0 );
#ifndef M_ENDCLEAR
e5:	S( ls_pos[me] = 0 );
#endif
next:	atomic { a++; h = 0; p = 0; v = 0; hh = 0; hg = 0; whole = 0; arm = 255; armp = 0; goto c0 };
c3f:	S( ls_pos[me] = 0; v = 0; goto c0 );
isempty:
#ifdef BLOCK
	/* Nothing is leased in front: then nothing can come back there, and W may be set at the last moment. */
	if
#ifndef M_NORESCAN
	:: atomic { p != h && arm == q_ver[IX(p)] && armp == p && q_w[IX(p)] -> goto w3 }
	:: atomic { p != h && !(arm == q_ver[IX(p)] && armp == p && q_w[IX(p)]) -> goto w1 }
#endif
	:: atomic { else -> skip }
	fi;
w0:	S( if :: IS(p, EMPTY) || (q_lap[IX(p)] < LAP(p) && q_st[IX(p)] == LEASED) -> arm = q_ver[IX(p)]; q_w[IX(p)] = 1
	      :: else -> goto c0 fi );
w3:	S( if :: q_w[IX(p)] && q_ver[IX(p)] == arm -> began[me] = 0; sl[me] = IX(p) + 1 :: else -> goto c0 fi );
end_w4:	S( sl[me] == 0 -> arm = 255; goto c0 );
w1:	S( if :: IS(p, EMPTY) || (q_lap[IX(p)] < LAP(p) && q_st[IX(p)] == LEASED) -> q_w[IX(p)] = 1; arm = q_ver[IX(p)]; armp = p :: else fi; goto c0 );
#else
	atomic { a++; began[me] = 0; goto c0 };
#endif
die:	sl[me] = 0;
done:	atomic { a = 0; h = 0; p = 0; v = 0; hh = 0; hg = 0; whole = 0; arm = 0; armp = 0; began[me] = 0; fin[me] = 1 }
}

active proctype Recoverer() {
	byte t = 0, p = 0, y = 0, e = 0;
again:	atomic { t = 0; p = 0; e = 0 };
end0:	atomic { if
	:: dead[0] && !rec[0] -> t = 0
	:: dead[1] && !rec[1] -> t = 1
	:: N > 2 && dead[2 % N] && !rec[2 % N] -> t = 2 % N
	:: N > 3 && dead[3 % N] && !rec[3 % N] -> t = 3 % N
	fi };
	/* The intent first: the blob is the cell's, or is released. */
r1:	R( if :: ak_v[t] == 0 -> goto r3
	      :: ak_v[t] != 0 && (q_v[0] == ak_v[t] || q_v[1 % C] == ak_v[t] || q_v[C - 1] == ak_v[t]) -> goto r3
	      :: else -> y = 0 fi );
#ifndef M_NOSCAN
	/* A living one that names it releases it: deferred, looked at again. */
r1b:	do
	:: y < N -> R( !(y != t && !dead[y] && ak_v[y] == ak_v[t]) -> y++ )
	:: y >= N -> break
	od;
	y = 0;
#endif
r2:	R( if :: bl[ak_v[t]] == 1 -> bl[ak_v[t]] = 2 :: else fi );
r3:	R( if :: ls_pos[t] == 0 -> goto r8 :: else -> p = ls_pos[t] - 1 fi );
r4:	R( if :: IS(p, LEASED) && q_own[IX(p)] == t -> q_st[IX(p)] = FULL; q_own[IX(p)] = 0; q_w[IX(p)] = 0; q_ver[IX(p)]++; pend[IX(p)] = 1 :: else fi );
r5:	R( wake(IX(p)) );
r6:	R( lower(p) );
r7:	R( tell_takers() );
r7b:	R( ls_pos[t] = 0 );
r8:	R( if :: cur[t] != 0 -> wake(cur[t] - 1) :: else fi );
r9:	R( ak_v[t] = 0; cur[t] = 0; rec[t] = 1; goto again )
}

#define QUIET(i) ((fin[i] && !dead[i]) || (dead[i] && rec[i]))
/* In the end each item is acknowledged once, or in the queue, with its blob; and the head and the hint lead to it. */
#ifdef PRE	/* the first place is leased for ever */
#define IDLE(i) (q_own[i] == 255)
#else
#define IDLE(i) 0
#endif
active proctype Checker() {
	byte i, j;
	bool f;
end2:	atomic { QUIET(0) && QUIET(1) && (N < 3 || QUIET(2 % N)) && (N < 4 || QUIET(3 % N)) ->
		i = 1;
		do
		:: i <= NI -> f = 0; j = 0;
			do
			:: j < C -> assert(q_st[j] != LEASED || IDLE(j)); if :: q_st[j] == FULL && q_v[j] == i -> f = 1 :: else fi; j++
			:: else -> break
			od;
			assert(f == (enq[i] && !acked[i]));
			assert(f == (bl[i] == 1)); i++
		:: else -> break
		od;
		j = head;
		do
		:: q_lap[IX(j)] > LAP(j) || (q_lap[IX(j)] == LAP(j) && q_st[IX(j)] != EMPTY) -> j++
		:: else -> break
		od;
		i = 0;
		do
		:: i < C -> assert(q_st[i] != FULL || (q_lap[i] * C + i >= head && q_lap[i] * C + i < j)); i++
		:: else -> break
		od
	}
}
#ifdef BLOCK
/* Nobody sleeps while there is something to take. */
active proctype Mon() {
	byte i = 0;
	bool f = 0;
end1:	atomic { timeout -> i = 0;
		do :: i < C -> if :: q_st[i] == FULL -> f = 1 :: else fi; i++ :: else -> break od;
		i = 0;
		do :: i < N -> assert(!(sl[i] != 0 && f)); i++ :: else -> break od }
}
#endif

init { atomic {
	byte i = 0;
	do :: i < C -> q_st[i] = EMPTY; i++ :: else -> break od;
#ifdef PRE
	q_st[0] = LEASED; q_own[0] = 255; tail = 1;
#endif
	i = 1;
	ends = NE;
	if :: kills = 0 :: K > 0 -> kills = 1 :: K > 1 -> kills = 2 :: K > 2 -> kills = 3 fi;
	if :: rk = 0 :: RK > 0 -> rk = 1 fi;
	run Producer(0);
	do :: i < N -> run Taker(i); i++ :: else -> break od
} }
