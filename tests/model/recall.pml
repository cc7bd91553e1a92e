/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Taking a message back from kernel A, which was given it and has not fetched it (Courier::recall() and settle() in
 * common/delivery/courier.hpp); then kernel B gets it, or A once more, under another name.
 *
 * Requests to A are answered, refused, lost, carried out without an answer, or carried out later, once or twice; a sync
 * fails, and A loses what was not synced; workers die at any step; A fetches what lies there at any time; somebody may clear
 * the stage directory. What is durable is global, what a process knows is local and dies with it.
 *
 * Claims: no more than one kernel has the message; who says that A has it is right; it does not wait for ever. check.py
 * runs the model as it is, and with each MUTANT_*, which must break a claim.
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

/* `lying`: in sent/, and A has it or had it. `over`: sent again. */
mtype = { lying, publishing, fresh, in_doubt, over };

mtype entry = lying;
bool tried = false; /* that it was taken back is not tried again */

bool final = true;   /* at A, where it lies */
bool final2 = false; /* at A, sent again */
bool revoked = false;
bool synced = true; /* the last rename */
bool witness = false;
byte fetched = 0; /* by A */
byte at_b = 0;

bool rename_late = false;
bool sync_fails = true; /* once, as A may lose power once: what is refused for ever stays in doubt */
bool power = true;
bool looking = false; /* a server that starts anew answers no look meanwhile, and the next run looks again */
byte faults = FAULTS;
byte crashes = CRASHES;
bool wipes = true;

inline take_back() {
    if
    :: final -> final = false; revoked = true; synced = false
    :: else
    fi
}

active proctype Network() {
end:
    do
    :: atomic { rename_late ->
            take_back();
            if
            :: rename_late = false
            :: faults > 0 -> faults--
            fi }
    od
}

active proctype Kernel() {
end:
    do
    :: atomic { final -> final = false; fetched++ }
    :: atomic { final2 -> final2 = false; fetched++ }
    :: atomic { wipes && witness -> wipes = false; witness = false; revoked = false }
    :: atomic { power && !looking && !synced && revoked -> power = false; revoked = false; final = true; synced = true }
    od
}

/* Sent again. */
active proctype Again() {
end:
    do
    :: atomic { entry == fresh -> at_b++; entry = over }
    :: atomic { entry == fresh ->
#ifdef MUTANT_SAME_NAME
            final = true;
#else
            final2 = true;
#endif
            entry = over }
    od
}

active proctype Once() {
end:
    do
    :: atomic { fetched + at_b > 1 -> assert(false) }
    :: atomic { entry == lying && !final && fetched == 0 -> assert(false) }
    :: atomic { entry == over && !final && !final2 && fetched + at_b == 0 -> assert(false) }
    od
}

#define MAY_DIE if :: atomic { crashes > 0 -> crashes--; looking = false; goto born } :: skip fi

active proctype Worker() {
    bool first, answered, refused, b, y, s, r, f, w;
born:
    first = false; answered = false; refused = false; b = false; y = false; s = false; r = false; f = false; w = false;
    if
    :: entry == over || entry == in_doubt || (entry == lying && tried) -> goto leave
    :: else
    fi;
    if
    :: entry == lying ->
        /* What has gone from there was fetched, and nobody takes it back. */
        if
        :: atomic { !final -> tried = true; goto leave }
        :: else
        fi;
        witness = true;
        MAY_DIE;
        first = true;
#ifndef MUTANT_JOURNAL_AFTER
        entry = publishing;
        MAY_DIE
#endif
    :: entry == publishing
    :: entry == fresh -> goto born
    fi;
again:
    answered = false; refused = false;
    if
    :: atomic { answered = final; take_back() }
    :: atomic { faults > 0 -> faults--; refused = true }
    :: atomic { faults > 0 -> faults-- }
    :: atomic { faults > 0 -> faults--; take_back() }
    :: atomic { faults > 0 -> faults--; rename_late = true }
    fi;
    MAY_DIE;
#ifdef MUTANT_JOURNAL_AFTER
    entry = publishing;
    MAY_DIE;
#endif
    looking = true;
#ifdef MUTANT_ONE_LOOK
    b = true;
#else
    b = revoked;
#endif
    if
    :: atomic { y = true; synced = true }
    :: atomic { sync_fails -> sync_fails = false; y = false }
    fi;
    MAY_DIE;
    /* Where it was, then where it can have gone, then where it was once more. */
#ifdef MUTANT_LOOKS_IN_ANY_ORDER
    r = revoked;
    s = final;
    f = final;
#else
    s = final;
    if /* in one request, or in two at the same time */
    :: r = revoked; f = final
    :: f = final; r = revoked
    fi;
#endif
    w = witness;
    looking = false;
#ifdef MUTANT_NO_WITNESS
    w = true;
#endif
    /* What was there before the sync, and is after it, is durable. */
#ifdef MUTANT_UNSYNCED_IS_PROOF
    y = true;
#else
    y = y && b;
#endif
    if
    :: r && !f && y ->
#ifdef MUTANT_PROOF_REMOVED_FIRST
        revoked = false;
        MAY_DIE;
        entry = fresh
#else
        entry = fresh;
        MAY_DIE;
        revoked = false
#endif
    :: r && !f && !y ->
#ifdef MUTANT_UNSYNCED_IS_FETCHED
        if
        :: w && !answered -> goto fetched_it
        :: else
        fi;
#endif
        first = false;
        goto again
#ifdef MUTANT_BOTH_MEANS_LYING
    :: f && r -> goto fetched_it
#else
    :: f && r -> first = false; goto again
#endif
    :: f && !r ->
        /* Refused, and no rename of it can be on its way: it stays there. */
#ifdef MUTANT_ANY_REFUSAL
        if
        :: refused -> goto fetched_it
#else
        if
        :: refused && first -> goto fetched_it
#endif
        :: else -> first = false; goto again
        fi
    :: s && !r && !f -> first = false; goto again
    :: !s && !r && !f && w && !answered -> goto fetched_it
    :: !s && !r && !f && !(w && !answered) -> entry = in_doubt
    fi;
    goto born;
fetched_it:
    atomic { entry = lying; tried = true };
leave:
    skip
}

/* Faults, deaths and repetitions come to an end here; then so does waiting. */
ltl ends { <> (entry == over || entry == in_doubt || (entry == lying && tried)) }
