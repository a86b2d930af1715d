/*
 * The barrier of a team: shm/team_state.c, team_barrier.c, team_recover.c. N members go through NB barriers, any K of them
 * are killed, W times somebody gives up waiting (deadline) and comes again, and who is through leaves. The recoverer may be killed RK times.
 * t_… is the state, 16 bytes that change as one; the truth of who has arrived is one word for each member.
 *
 * Checked: a barrier is passed only when all who live have arrived; nobody hangs; of one epoch all say the same: passed, or broken.
 * ELASTIC: a death shrinks the team. EARLY: members may leave at any time.
 *
 * Mutants: M_TRUSTCOUNT (release on the count alone where it may be wrong), M_NORECSCAN (who takes out does not look whether all have arrived),
 * M_RESETFIRST (the first survivor opens the team again), M_NOBUMP (a death in a broken team does not move the version),
 * M_NORESCAN (not elastic: who takes out does not look once more afterwards),
 * M_DYINGGONE (not elastic: the dead do not count before the team is broken), M_WNOVER (giving up does not move the version),
 * M_WLATE (one's own word is taken back after the count), M_SPLIT (the last one arrives and releases in two steps).
 */
#include "common.inc"
#ifndef N
#define N 3
#endif
#ifndef NB
#define NB 2
#endif
#ifndef K
#define K 1
#endif
#ifndef RK
#define RK 1
#endif
#ifndef W
#define W 0
#endif
#define JOINED	0
#define DYING	1
#define DEAD	2
#define LEAVING 3
#define LEFT	4
byte kills, rk, w;
bool dead[N];
byte t_st, t_e, t_c, t_n, t_v;
byte m_state[N], m_arr[N], m_told[N];
byte outc[12];   /* ghost: of an epoch: 0 nothing, 1 passed, 2 broken */
bool broke[N];   /* ghost: the team has been broken for this death */
byte g_in[N];    /* ghost: epoch + 1 in which the member is really at the barrier */
#if defined(ELASTIC) || defined(M_DYINGGONE)
#define COUNTS(j) (m_state[j] == JOINED)
#else
#define COUNTS(j) (m_state[j] <= DYING)
#endif
#define ALL (COUNTS(0) + (N > 1 -> COUNTS(1 % N) : 0) + (N > 2 -> COUNTS(2 % N) : 0))
#define MISSING(j) (g_in[j] != t_e + 1 && m_state[j] < DEAD && !(dead[j] && (ELA || broke[j])))
#ifdef ELASTIC
#define ELA 1
#else
#define ELA 0
#endif
inline released() {
	assert(!MISSING(0) && (N < 2 || !MISSING(1 % N)) && (N < 3 || !MISSING(2 % N)));
	assert(outc[t_e] != 2); outc[t_e] = 1;
	t_e = t_e + 1; t_c = 0; t_v = t_v + 1
}
/* Jumps to `no` when nothing can be released, else releases; tries again when the version has moved. */
#define RELEASE(STEP, e, top, next, done) \
top: STEP( if :: t_e != e || t_st == 1 -> goto done :: else -> v = t_v; j = 0; nn = 0 fi ); \
next: STEP( if :: j == N && nn == 0 -> goto done \
		:: j == N && nn > 0 -> if :: t_v == v -> j = 0; nn = 0; v = 0; released(); goto done :: else -> goto top fi \
		:: j < N && COUNTS(j % N) && m_arr[j % N] != e + 1 -> goto done \
		:: else -> nn = nn + COUNTS(j % N); j++; goto next fi )
#define REOPEN(STEP, e, top, next, done) \
top: STEP( if :: t_e != e || t_st == 0 -> goto done :: else -> v = t_v; j = 0; nn = 0 fi ); \
next: STEP( if :: j == N && nn == 0 -> goto done \
		:: j == N && nn > 0 -> if :: t_v == v -> t_st = 0; t_c = 0; t_n = nn; t_e = t_e + 1; t_v = t_v + 1; j = 0; nn = 0; v = 0; goto done \
				       :: else -> goto top fi \
		:: j < N && m_state[j % N] == JOINED && m_told[j % N] != e + 1 -> goto done \
		:: else -> nn = nn + (m_state[j % N] == JOINED); j++; goto next fi )

proctype Member(byte me) {
	byte b = 0, e = 0, v = 0, j = 0, nn = 0;
again:	S( if :: b == NB -> goto leave
#ifdef EARLY
	      :: b < NB -> goto leave
#endif
	      :: b < NB && t_st == 1 && m_told[me] != t_e + 1 -> e = t_e; goto told
	      :: b < NB && t_st == 0 -> e = t_e
	      fi ); /* broken, and told: waits until it is open */
	S( m_arr[me] = e + 1; g_in[me] = e + 1 );
	S( if :: t_e != e || t_st == 1 -> goto out
	      :: t_e == e && t_st == 0 && t_c + 1 >= t_n && t_n == N && !ELA ->
#ifdef M_SPLIT
		t_c = t_c + 1; t_v = t_v + 1; goto split
#else
		released(); goto out
#endif
	      :: else -> t_c = t_c + 1; t_v = t_v + 1; if :: t_c < t_n -> goto waits :: else fi
	      fi );
#ifdef M_SPLIT
	goto waits;
split:	S( released(); goto out );
#endif
#ifdef M_TRUSTCOUNT
	S( if :: t_e == e && t_st == 0 -> released() :: else fi ); goto waits;
#endif
	RELEASE(S, e, r1, r2, waits);
waits:	if
	:: atomic { t_e != e || t_st == 1 -> goto out }
	:: atomic { w > 0 && t_e == e && t_st == 0 -> w-- }
	:: atomic { kills > 0 -> kills--; dead[me] = 1; goto die }
	fi;
#ifndef M_WLATE
	S( m_arr[me] = e );
#endif
	S( if :: t_e != e || t_st == 1 -> goto out
	      :: else -> t_c = (t_c > 0 -> t_c - 1 : 0); g_in[me] = 0;
#ifndef M_WNOVER
		t_v = t_v + 1
#endif
	      fi );
#ifdef M_WLATE
	S( m_arr[me] = e );
#endif
	goto again;
out:	S( if :: t_e != e -> assert(outc[e] != 2); b++; goto again
	      :: else -> assert(t_st == 1 && outc[e] != 1); outc[e] = 2 fi );
told:	S( m_told[me] = e + 1; b++ );
#ifdef M_RESETFIRST
	S( if :: t_st == 1 && t_e == e -> t_st = 0; t_e = t_e + 1; t_c = 0; t_n = ALL; t_v = t_v + 1 :: else fi ); goto again;
#endif
	REOPEN(S, e, o1, o2, again);
leave:	S( m_state[me] = LEAVING );
l1:	S( e = t_e; if :: t_st == 1 -> goto l3 :: else -> v = t_v fi );
	S( nn = ALL );
	S( if :: t_v == v && t_st == 0 -> t_n = nn; t_v = t_v + 1; e = t_e :: else -> goto l1 fi );
	RELEASE(S, e, l4, l5, left);
	goto left;
l3:	REOPEN(S, e, l6, l7, left);
left:	S( m_state[me] = LEFT );
die:	atomic { b = 0; e = 0; v = 0; j = 0; nn = 0 }
}

/* Whoever finds a dead lock; one at a time. The lock stays dead until all is done. */
active proctype Recoverer() {
	byte t = 0, v = 0, j = 0, nn = 0, e = 0;
again:	atomic { t = 0; v = 0; j = 0; nn = 0; e = 0 };
end0:	atomic { if :: dead[0] -> t = 0 :: N > 1 && dead[1 % N] -> t = 1 % N :: N > 2 && dead[2 % N] -> t = 2 % N fi };
	R( if :: m_state[t] == JOINED -> m_state[t] = DYING :: m_state[t] == DEAD -> goto rescan :: m_state[t] == LEFT -> goto done :: else fi );
	if :: m_state[t] == LEAVING || ELA -> skip :: else -> goto breaks fi;
c1:	R( e = t_e; if :: t_st == 1 -> goto c3 :: else -> v = t_v fi );
	R( nn = ALL );
	R( if :: t_v == v && t_st == 0 -> t_n = nn; t_v = t_v + 1; e = t_e :: else -> goto c1 fi );
#ifndef M_NORECSCAN
	RELEASE(R, e, c4, c5, finish);
#endif
	goto finish;
c3:	REOPEN(R, e, c6, c7, finish);
	goto finish;
breaks:	R( e = t_e; broke[t] = 1; if :: t_st == 0 -> t_st = 1; t_v = t_v + 1; assert(outc[e] != 1); goto finish
		      :: else ->
#ifndef M_NOBUMP
			t_v = t_v + 1
#endif
		      fi );
	REOPEN(R, e, d1, d2, finish);
finish:	R( m_state[t] = (m_state[t] == LEAVING -> LEFT : DEAD) );
rescan:
#ifndef M_NORESCAN
	R( e = t_e ); /* while it was DYING the others may have opened the team and come to the next barrier */
	RELEASE(R, e, f1, f2, done);
#endif
done:	R( dead[t] = 0; goto again )
}

init {
	atomic {
		byte i = 0;
		kills = K; rk = RK; w = W; t_n = N;
		do :: i < N -> run Member(i); i++ :: else -> break od
	}
}
