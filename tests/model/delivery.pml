/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Delivery by stage, publish, or revoke (common/delivery/courier.hpp), of one message that two workers of kernel A's queue
 * try to deliver, and that ums-failover may hand to kernel B whenever it lies in new/.
 *
 * Requests to A are answered, lost, carried out without an answer, or carried out later, once or twice; workers die at any
 * step; the kernel takes what was published at any time; somebody may clear the stage directory. What is durable is
 * global, what a process knows is local and dies with it. B stands for a kernel that does all it is told.
 *
 * Claims: the message arrives at most once; who says that it arrived is right; it does not wait for ever. check.py runs the
 * model as it is, and with each MUTANT_*, which must break a claim.
 */
#define LAST 2 /* attempts at A; then B gets it */

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

mtype = { fresh, sending, publishing, in_doubt, done };

/* The spool. */
mtype entry = fresh;
byte number = 0; /* of the last attempt, in the entry's name */
bool at_b = false;
bool locked = false;

/* The kernel A: its stage directory, and how often a message came to stand under a final name, here or at B. */
bool stage[LAST + 1];
bool revoked[LAST + 1];
bool final = false;
bool witness[LAST + 1]; /* one for each attempt, as each has a batch of its own */
byte arrived = 0;

/* On its way to A. */
bool publish_late[LAST + 1];
bool revoke_late[LAST + 1];

byte faults = FAULTS;
byte crashes = CRASHES;
byte wipes = 1;

inline publish(n) {
    if
    :: stage[n] -> stage[n] = false; final = true; arrived++
    :: else
    fi
}

inline revoke(n) {
    if
    :: stage[n] -> stage[n] = false; revoked[n] = true
    :: else
    fi
}

/* Late requests: each once, or once more. */
inline late(n) {
    if
    :: publish_late[n] ->
        publish(n);
        if
        :: publish_late[n] = false
        :: faults > 0 -> faults--
        fi
    :: revoke_late[n] ->
        revoke(n);
        if
        :: revoke_late[n] = false
        :: faults > 0 -> faults--
        fi
    fi
}

active proctype Network() {
end:
    do
    :: atomic { publish_late[1] || revoke_late[1] -> late(1) }
    :: atomic { publish_late[LAST] || revoke_late[LAST] -> late(LAST) }
    od
}

active proctype Kernel() {
end:
    do
    :: atomic { final -> final = false }
    :: atomic { wipes > 0 && (witness[1] || witness[LAST]) ->
            wipes--;
            witness[1] = false; witness[LAST] = false;
            stage[1] = false; stage[LAST] = false;
            revoked[1] = false; revoked[LAST] = false }
    od
}

active proctype Failover() {
end:
    do
    :: atomic { entry == fresh && !at_b -> at_b = true }
    od
}

active proctype B() {
end:
    do
    :: atomic { entry == fresh && at_b -> arrived++; entry = done }
    od
}

#ifdef MUTANT_WITNESS_SHARED
/* Another batch of the same run puts it there again. */
active proctype Others() {
end:
    do
    :: atomic { entry == publishing && !witness[number] -> witness[number] = true }
    od
}
#endif

active proctype Once() {
end:
    atomic { arrived > 1 -> assert(false) }
}

#define MAY_DIE if :: atomic { crashes > 0 -> crashes--; locked = false; goto born } :: skip fi

active [2] proctype Worker() {
    byte n;
    bool answered, s, r, f, w;
born:
    n = 0; answered = false; s = false; r = false; f = false; w = false;
#ifdef MUTANT_NO_LOCK
    entry != done && entry != in_doubt && !at_b;
#else
    atomic { !locked && entry != done && entry != in_doubt && !at_b -> locked = true }
#endif
    /* An attempt that was ended by a death never left. */
    if
    :: atomic { entry == sending -> entry = fresh }
    :: else
    fi;
    do
    :: entry == publishing -> n = number; goto resolve
    :: entry == fresh && !at_b && number < LAST ->
#ifdef MUTANT_NO_LOCK
        entry = sending; number++; /* what it saw a while ago, not what the rename says */
#else
        if
        :: atomic { entry == fresh && !at_b -> entry = sending; number++ }
        :: else -> goto leave
        fi;
#endif
        n = number;
#ifdef MUTANT_NAME_REUSED
        n = 1;
#endif
        MAY_DIE;
#ifndef MUTANT_WITNESS_AFTER_UPLOAD
        witness[n] = true;
        MAY_DIE;
#endif
        /* 2. The upload. An attempt whose upload is not answered has failed for certain. */
        if
        :: stage[n] = true
        :: atomic { faults > 0 -> faults--; entry = fresh; goto leave }
        :: atomic { faults > 0 -> faults--; stage[n] = true; entry = fresh; goto leave }
        fi;
        MAY_DIE;
        /* 3. */
#ifdef MUTANT_WITNESS_AFTER_UPLOAD
        witness[n] = true;
        MAY_DIE;
#endif
#ifndef MUTANT_JOURNAL_AFTER
        entry = publishing;
        MAY_DIE;
#endif
        /* 4. */
        answered = false;
        if
        :: atomic {
            if
            :: stage[n] -> publish(n); answered = true
            :: else
            fi }
        :: atomic { faults > 0 -> faults-- }
        :: atomic { faults > 0 -> faults--; publish(n) }
        :: atomic { faults > 0 -> faults--; publish_late[n] = true }
        fi;
        MAY_DIE;
#ifdef MUTANT_JOURNAL_AFTER
        entry = publishing;
        MAY_DIE;
#endif
        if
        :: answered -> goto delivered
        :: else
        fi;
#ifdef MUTANT_RETARGET_ON_TIMEOUT
        atomic { entry = fresh; at_b = true; goto leave };
#endif
resolve:
#ifdef MUTANT_NAME_REUSED
        n = 1;
#endif
#ifdef MUTANT_DELETE_AS_FENCE
        /* The stage name is deleted; that nothing is there counts as published. */
        if
        :: atomic { stage[n] -> stage[n] = false; entry = fresh; goto leave }
        :: atomic { !stage[n] -> goto delivered }
        :: atomic { faults > 0 -> faults--; stage[n] = false }
        fi;
        goto resolve;
#endif
        answered = false;
        if
        :: atomic {
            if
            :: stage[n] -> revoke(n); answered = true
            :: else
            fi }
        :: atomic { faults > 0 -> faults-- }
        :: atomic { faults > 0 -> faults--; revoke(n) }
        :: atomic { faults > 0 -> faults--; revoke_late[n] = true }
        fi;
        MAY_DIE;
        /* Where it was, then where it can have gone, then whether the directory is the one that we knew. */
#ifdef MUTANT_LOOKS_IN_ANY_ORDER
        r = revoked[n];
        f = final;
        s = stage[n];
#else
        s = stage[n];
        r = revoked[n];
        f = final;
#endif
#ifdef MUTANT_NO_WITNESS
        w = true;
#else
        w = witness[n];
#endif
        if
        :: !s && r && !f ->
#ifdef MUTANT_PROOF_REMOVED_FIRST
            revoked[n] = false;
            MAY_DIE;
            entry = fresh
#else
            entry = fresh;
            MAY_DIE;
            revoked[n] = false
#endif
        :: !s && (f || (!r && w && !answered)) -> goto delivered
        :: s -> skip /* the next look */
        :: else -> entry = in_doubt
        fi;
        goto leave
    :: else -> goto leave
    od;
delivered:
    assert(arrived == 1);
    entry = done;
leave:
    if
    :: entry == done || entry == in_doubt
    :: atomic { else -> locked = false; goto born }
    fi;
    locked = false
}

/* Faults, deaths and repetitions come to an end here; then so does waiting. Where all attempts at A are used up ums-failover
 * is what moves it on. */
ltl ends { <> (entry == done || entry == in_doubt) }
