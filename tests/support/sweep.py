# SPDX-License-Identifier: GPL-3.0-or-later
"""Many cases of one fault each, in as many processes as there are processors.

    result = Sweep(Place, scenes, cases_of, "system calls").run()

`Place(directory)` is where one process works: calls(scene) says what can fail there, check(scene, fault, number) tries one
case and returns nothing if the fault did not fire, else (what failed, how it ended), or raises Violation.
"""
import collections
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time

# /tmp is a disk on most machines, and each case begins with a tree of its own.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PLACE = None


class Violation(Exception):
    """Something that was promised is not so."""


def _begin(place, top):
    global PLACE  # pylint: disable=global-statement
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    directory = tempfile.mkdtemp(dir=top)
    os.chmod(directory, 0o755)
    PLACE = place(directory)


def _calls(scene):
    return scene, PLACE.calls(scene)


def _check(case):
    try:
        return case, PLACE.check(*case), ""
    except Violation as violation:
        return case, None, str(violation)


class Sweep:
    """`cases_of(scene, calls)` yields the cases of a scene; `most` makes a sample of all of them."""

    def __init__(self, place, scenes, cases_of, what, most=lambda cases: cases):
        self.place, self.scenes, self.cases_of, self.what, self.most = place, scenes, cases_of, what, most
        self.fired = collections.Counter()  # (scene, fault)
        self.by_call = collections.Counter()
        self.ends = collections.Counter()
        self.violations = []
        self.cases = []

    def run(self):
        """Says the figures. Ends the program with 1 after a violation, or if too few faults fired."""
        began = time.monotonic()
        top = tempfile.mkdtemp(prefix="ums-faults.", dir=SCRATCH)
        os.chmod(top, 0o755)
        try:
            with multiprocessing.Pool(os.cpu_count(), _begin, (self.place, top)) as pool:
                self._run(pool)
        finally:
            shutil.rmtree(top, ignore_errors=True)
        total = sum(self.fired.values())
        for scene in self.scenes:
            print(f"  {scene}: " + ", ".join(f"{fault} {n}" for (one, fault), n in sorted(self.fired.items()) if one == scene),
                  file=sys.stderr)
        print("  by call: " + ", ".join(f"{call} {n}" for call, n in self.by_call.most_common(30)), file=sys.stderr)
        print(f"  {len(self.cases)} cases, {total} faults fired ({', '.join(f'{n} {end}' for end, n in sorted(self.ends.items()))}), "
              f"{len(self.violations)} violations, {time.monotonic() - began:.0f} s", file=sys.stderr)
        # Threads and processes take their turns differently in each run: a few of the last calls may not be met.
        if self.violations or total < len(self.cases) * 0.9:
            raise SystemExit(1)

    def _run(self, pool):
        for scene, calls in pool.imap(_calls, self.scenes):
            self.cases += self.cases_of(scene, calls)
            print(f"  {scene}: {calls if isinstance(calls, int) else len(calls)} {self.what}", file=sys.stderr)
        self.cases = self.most(self.cases)
        tried = pool.imap_unordered(_check, self.cases, chunksize=4)
        for count, ((scene, fault, _), found, violation) in enumerate(tried, 1):
            if count % 1000 == 0:
                print(f"  {count} of {len(self.cases)}", file=sys.stderr, flush=True)
            if violation:
                self.violations.append(violation)
                print("VIOLATION " + violation, file=sys.stderr, flush=True)
            elif found:
                self.fired[(scene, fault)] += 1
                self.by_call[found[0]] += 1
                self.ends[found[1]] += 1
