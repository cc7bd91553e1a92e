/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The state machine of a kernel (common/health/health.hpp): up, suspect, down, probation, up. A kernel fails and recovers
 * as it likes for a while; at each tick of the clock it is looked at.
 *
 * Claims: a kernel that has recovered for good gets messages again, for ever; it comes back only after `rise` good looks in a
 * row and `hold` ticks of probation, so that it does not flap faster; with fail-back manual only a person brings it back; it
 * goes down after `fall` failed looks in a row, and not before. check.py runs the model as it is, and with each MUTANT_*.
 */
#define FALL 3
#define RISE 2
#ifndef HOLD
#define HOLD 3
#endif
#define MOST 5 /* counters stay here */

mtype = { up, suspect, down, probation };

mtype status = up;
byte failures = 0;  /* in a row */
byte successes = 0; /* in a row */
byte waited = 0;    /* ticks in probation */
bool asked = true; /* a person asked for it since; only wanted with fail-back manual */

byte changes = 4; /* of the kernel's mind */
bool works = true;

/* What really happened, for the claims. */
byte good = 0;
byte bad = 0;
byte tested = 0;

#ifdef MUTANT_NO_HOLD
#define HELD true
#else
#define HELD (waited >= HOLD)
#endif
#ifdef MUTANT_BACK_UNASKED
#define ASKED true
#elif defined(MANUAL)
#define ASKED asked
#else
#define ASKED true
#endif

#define LESS(x) (x < MOST -> x + 1 : MOST)

active proctype World() {
end:
    do
    :: atomic { changes > 0 -> changes--; works = !works }
    :: atomic { changes == 0 && !works -> works = true }
#ifdef MANUAL
    :: atomic { status == probation && !asked -> asked = true }
#endif
    od
}

active proctype Looks() {
    do
    :: atomic {
        if
        :: works -> good = LESS(good); bad = 0
        :: else -> bad = LESS(bad); good = 0
        fi;
        if
        :: status == probation -> waited = LESS(waited); tested = LESS(tested)
        :: else
        fi;
        if
        :: works ->
            failures = 0;
            successes = LESS(successes);
            if
            :: status == suspect -> status = up
            :: status == down ->
#ifndef MUTANT_NEVER_BACK
                status = probation;
#endif
#ifndef MUTANT_SUCCESSES_KEPT
                successes = 1;
#endif
                waited = 0; tested = 0; asked = false
            :: else
            fi;
            if
            :: status == probation && successes >= RISE && HELD && ASKED ->
                assert(good >= RISE);
                assert(tested >= HOLD);
#ifdef MANUAL
                assert(asked);
#endif
                status = up
            :: else
            fi
        :: else ->
#ifndef MUTANT_SUCCESSES_KEPT
            successes = 0;
#endif
            failures = LESS(failures);
            if
            :: status == up -> status = suspect
            :: status == probation ->
#ifndef MUTANT_PROBATION_FORGIVES
                status = down
#else
                skip
#endif
            :: else
            fi;
            if
            :: status == suspect && failures >= FALL -> assert(bad >= FALL); status = down
            :: else
            fi;
            /* It has had its chances. */
            assert(!(status == suspect && bad >= FALL));
            assert(!(status == probation && bad > 0))
        fi
    }
    od
}

ltl recovers { <> [] (status == up) }
