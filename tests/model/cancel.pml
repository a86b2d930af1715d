/*
 * Ending another thread's wait: shm/cancel.c, with the sleep around it. Each atomic block is one access to memory
 * or one system call.
 *
 * One sleeper makes NO calls in a row, each of which waits until a cell is full and empties it. One giver fills the cell
 * NG times. One canceller asks NC times.
 *
 * Checked: the canceller says "cancelled" for just those calls that end cancelled, one each; what a cancelled call
 * wanted is still there; and nobody hangs: a state in which nothing moves has the canceller at its end.
 *
 * Deaths are not modelled: all of it is memory of one process.
 *
 * Mutants, all must fail:
 *   M_NOAGAIN   the canceller wakes once only
 *   M_ENDLAST   the turn that ended is noted after the state
 *   M_BYSTATE   the canceller looks at the state, not at the turn that ended
 *   M_BLINDEND  a call that has its result says nothing to who asked (who then has nothing but the time to go by)
 * One that must hold: M_NOLOOK, the sleeper does not look at the state before it sleeps; that saves one wake only.
 */
#ifndef NO
#define NO 3
#endif
#ifndef NC
#define NC 2
#endif
#ifndef NG
#define NG 2
#endif
#define IDLE    0
#define WAITING 1
#define ASKED   2
#define ENDED   3

byte turn, state, ended;      /* turn and state are one word */
bool isfull, asleep, asking;    /* the cell; the sleeper in the kernel's queue; the canceller in that of the word */
byte given, taken, was_cancelled, said_cancelled;

proctype Sleeper() {
  byte n=0; bool entered=0;
next: atomic { entered=0; if :: n==NO -> goto done :: else -> n++ fi };
look: atomic { if :: isfull -> isfull=0; taken++; goto end :: else fi };
    /* shm_cancel_enter */
    if :: !entered -> atomic { turn++; state=WAITING; entered=1 }
       :: else ->
#ifndef M_NOLOOK
	atomic { if :: state==ASKED -> goto cancelled :: else fi }
#else
	skip
#endif
    fi;
    atomic { if :: !isfull -> asleep=1 :: else -> goto woken fi };
end_asleep: !asleep;
woken: atomic { if :: state==ASKED -> goto cancelled :: else -> goto look fi };

cancelled: was_cancelled++;
#ifdef M_ENDLAST
    atomic { state=ENDED; asking=0 };
    ended=turn;
#else
    ended=turn;
    atomic { state=ENDED; asking=0 };
#endif
    goto next;

end: /* shm_cancel_end */
    if :: entered ->
	atomic { if :: state==WAITING -> state=IDLE; goto next :: else fi };
	atomic { if :: state==ASKED -> state=IDLE;
#ifndef M_BLINDEND
		asking=0
#endif
		:: else fi }
       :: else fi;
    goto next;
done: skip
}

proctype Giver() {
  byte n=0;
end_more: if :: n<NG -> n++ :: goto done fi;
end_give: atomic { !isfull -> isfull=1; given++ };
    atomic { asleep=0 };
    goto end_more;
done: skip
}

proctype Canceller() {
  byte n=0, mine=0;
next: atomic { if :: n==NC -> goto done :: else -> n++ fi };
    atomic { if :: state==WAITING -> mine=turn :: else -> goto next fi };
    atomic { if :: state==WAITING && turn==mine -> state=ASKED :: else -> goto next fi };
again: atomic { if :: !(state==ASKED && turn==mine) -> goto told :: else fi };
    atomic { asleep=0 };
    /* sleeps on the word; may come out at any time */
    atomic { if :: state==ASKED && turn==mine -> asking=1 :: else -> goto told fi };
#if defined(M_NOAGAIN) || defined(M_BLINDEND)
    !asking;
#else
    if :: !asking :: atomic { asking -> asking=0 } fi;
#endif
    goto again;
told:
#ifdef M_BYSTATE
    atomic { if :: state==ENDED -> said_cancelled++ :: else fi; goto next };
#else
    atomic { if :: ended==mine -> said_cancelled++ :: else fi; goto next };
#endif
done: skip
}

/* Nobody can move. */
active proctype Quiet() {
end0: atomic { timeout -> assert(said_cancelled==was_cancelled); assert(given==taken+isfull) }
}

init { atomic { run Sleeper(); run Giver(); run Canceller() } }
