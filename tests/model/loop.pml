/*
 * Chunks of a loop: shm/team_loop.c. N members take NC chunks from one word {next, taker, try}; each names the chunk in its record
 * before, and confirms the one before it. Any K are killed. What a dead one held is an orphan, taken by another in the same manner.
 * The barrier behind is that of barrier.pml: here a member that finds nothing waits until all chunks are done or there is an orphan.
 *
 * Checked: no chunk is held by two at once, none is lost, and one is done once (in the model a
 * member does a chunk and says so in one step; in between lies what is done twice).
 *
 * Mutants: M_NAMELATE (the record is written after the word), M_NOCONFIRM (the taker before is not confirmed), M_NOTRY (the try is not
 * compared), M_BLIND (recovery believes the word as it is, without a compare-and-swap of the record), M_NOGIVEN (recovery of one who
 * took an orphan does not look whether it did).
 */
#include "common.inc"
#ifndef N
#define N 2
#endif
#ifndef NC
#define NC 3
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 1
#endif
#define NONE	0
#define TRY	1
#define ORPHAN	2 /* trying to take what `peer` held */
#define HELD	3
#define GIVEN	4
byte kills, rk;
bool dead[N], gone[N];
byte l_next, l_taker, l_try;                        /* one word; taker: id + 1 */
byte ch_state[N], ch_peer[N], ch_try[N], ch_what[N];  /* state, peer and try are one word */
byte done[NC];                                     /* ghost: how often done */
byte holds[N];                                     /* ghost: chunk + 1 that it has really taken and not done */
#ifdef M_NOTRY
#define SAME_TRY 1
#else
#define SAME_TRY (ch_try[t - 1] == y)
#endif
inline confirm() {
	if
	:: t > 0 -> if :: ch_state[t - 1] == TRY && SAME_TRY -> ch_state[t - 1] = HELD :: else fi
	:: else
	fi
}
#define HAS(j) (holds[j] == x + 1 && !dead[j] && !gone[j])
inline took(x) {
	assert(!HAS(0) && !(N > 1 && HAS(1 % N)) && !(N > 2 && HAS(2 % N)));
	assert(done[x] == 0);
	holds[me] = x + 1
}
proctype Member(byte me) {
	byte x = 0, t = 0, y = 0, p = 0, try = 0;
again:	S( x = l_next; t = l_taker; y = l_try );
	if :: x >= NC -> goto orphans :: else fi;
#ifndef M_NOCONFIRM
	S( confirm() );
#endif
#ifndef M_NAMELATE
	S( try++; ch_state[me] = NONE; ch_what[me] = x );
	S( ch_state[me] = TRY; ch_try[me] = try );
	S( if :: l_next == x && l_taker == t && l_try == y -> l_next = x + 1; l_taker = me + 1; l_try = try; took(x)
	      :: else -> goto failed fi );
#else
	S( try++; if :: l_next == x && l_taker == t && l_try == y -> l_next = x + 1; l_taker = me + 1; l_try = try; took(x)
	      :: else -> goto again fi );
	S( ch_state[me] = NONE; ch_what[me] = x );
#endif
	S( ch_state[me] = HELD; ch_try[me] = try );
	goto work;
failed:	S( ch_state[me] = NONE ); goto again;
orphans: p = 0;
o1:	if :: p == N -> goto idle :: else fi;
	S( if :: gone[p % N] && ch_state[p % N] == HELD -> x = ch_what[p % N]; y = ch_try[p % N] :: else -> p++; goto o1 fi );
	S( try++; ch_state[me] = NONE; ch_what[me] = x );
	S( ch_state[me] = ORPHAN; ch_peer[me] = p; ch_try[me] = try );
	S( if :: ch_state[p % N] == HELD && ch_try[p % N] == y -> ch_state[p % N] = GIVEN; ch_peer[p % N] = me; ch_try[p % N] = try; took(x)
	      :: else -> goto lost fi );
	S( ch_state[me] = HELD );
	goto work;
lost:	S( ch_state[me] = NONE ); p++; goto o1;
work:	S( done[x] = done[x] + 1; holds[me] = 0; ch_state[me] = NONE );
	goto again;
idle:	if /* at the barrier: all has been done, or there is an orphan */
	:: atomic { (gone[0] && ch_state[0] == HELD) || (N > 1 && gone[1 % N] && ch_state[1 % N] == HELD) ||
		    (N > 2 && gone[2 % N] && ch_state[2 % N] == HELD) -> goto orphans }
	:: atomic { (gone[0] || dead[0] || holds[0] == 0) && (N < 2 || gone[1 % N] || dead[1 % N] || holds[1 % N] == 0) &&
		    (N < 3 || gone[2 % N] || dead[2 % N] || holds[2 % N] == 0) && !dead[0] && !(N > 1 && dead[1 % N]) && !(N > 2 && dead[2 % N]) &&
		    !((gone[0] && ch_state[0] == HELD) || (N > 1 && gone[1 % N] && ch_state[1 % N] == HELD) ||
		      (N > 2 && gone[2 % N] && ch_state[2 % N] == HELD)) ->
			x = 0; do :: x < NC -> assert(done[x] > 0); x++ :: else -> break od; goto die }
	:: atomic { kills > 0 -> kills--; dead[me] = 1; goto die }
	fi;
die:	atomic { x = 0; t = 0; y = 0; p = 0; try = 0 }
}
active proctype Recoverer() {
	byte t = 0, y = 0, s = 0, p = 0; bool taken = 0;
again:	atomic { t = 0; y = 0; s = 0; p = 0; taken = 0 };
end0:	atomic { if :: dead[0] -> t = 0 :: N > 1 && dead[1 % N] -> t = 1 % N :: N > 2 && dead[2 % N] -> t = 2 % N fi };
	R( s = ch_state[t]; y = ch_try[t]; p = ch_peer[t] );
	if :: s == TRY -> R( taken = (l_taker == t + 1 && l_try == y) )
	   :: s == ORPHAN ->
#ifdef M_NOGIVEN
		taken = 1
#else
		R( taken = (ch_state[p % N] == GIVEN && ch_peer[p % N] == t && ch_try[p % N] == y) )
#endif
	   :: else -> goto settled
	fi;
#ifdef M_BLIND
	R( ch_state[t] = (taken -> HELD : NONE) );
#else
	R( if :: ch_state[t] == s && ch_try[t] == y -> ch_state[t] = (taken -> HELD : NONE) :: else fi );
#endif
settled: R( gone[t] = 1 );
	R( dead[t] = 0; goto again )
}
init { atomic { byte i = 0; kills = K; rk = RK; do :: i < N -> run Member(i); i++ :: else -> break od } }
