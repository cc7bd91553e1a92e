#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every allocation of every tool fails, once: of the tool itself, of its libraries, of its child processes.

What was accepted is somewhere at every moment, and after runs without faults each message has arrived once, byte for byte; one
more run changes nothing. A library that cannot do better may abort; nothing may crash otherwise. Each case proves that its
allocation failed. UMS_ALL=1: every allocation from the moment when the configuration is read; else a sample.
"""
import collections
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import rooms
import test_syscalls
from patience import within
from test_syscalls import SCENES, Place, Violation

LIBRARY = os.path.join(os.environ.get("UMS_BUILD", ""), "tests", "liballocations.so")
SAMPLE = None if rooms.ALL else int(os.environ.get("UMS_SAMPLE", "6"))  # of each scene
# What a run may end with beside the codes of the manual: 70, as an allocation of ours fails with, and an abort.
CODES = test_syscalls.CODES | {64, 70, -6, 134}


class Allocations(Place):
    def run(self, name, fault, number):
        world, arguments, kept = self.scene(name)
        shutil.rmtree(self.case, ignore_errors=True)
        shutil.copytree(kept, self.case, symlinks=True)
        before = test_syscalls.inventory(self.case)
        with open(self.report, "wb") as file:
            file.write(bytes(16))
        environment = world.environment()
        environment.update(LD_PRELOAD=LIBRARY, UMS_ALLOCATIONS=self.report, UMS_FAILS=str(number))
        # A sanitizer wants to be the first library, and takes an allocation that fails for a reason to end.
        environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0:allocator_may_return_null=1"
        done = subprocess.run([rooms.tool(SCENES[name][0]), *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=within(120), check=False)
        with open(self.report, "rb") as file:
            self.count, failed = struct.unpack("QQ", file.read(16))
        return world, before, done, [f"fired {fault}"] if failed else []

    def calls(self, name):
        super().calls(name)
        return self.count

    def has_crashed(self, fault, call, done):
        return done.returncode not in CODES


PLACE = None


def begin(top):
    global PLACE  # pylint: disable=global-statement
    directory = tempfile.mkdtemp(dir=top)
    os.chmod(directory, 0o755)
    PLACE = Allocations(directory)


def count(name):
    return name, PLACE.calls(name)


def check(case):
    try:
        return case, PLACE.check(*case), ""
    except Violation as violation:
        return case, None, str(violation)


def numbers(total):
    if SAMPLE is None:
        return range(1, total + 1)
    # Most of the first ones belong to the options and the configuration: nothing has been begun then.
    return sorted({total * (2 * i + SAMPLE) // (3 * SAMPLE) for i in range(SAMPLE)} - {0})


def main():
    if not os.path.exists(LIBRARY):
        raise SystemExit("UMS_BUILD must name a build with tests: there is no " + LIBRARY)
    wanted = sys.argv[1:] or list(SCENES)
    top = tempfile.mkdtemp(prefix="ums-malloc.", dir=test_syscalls.SCRATCH)
    os.chmod(top, 0o755)
    fired = collections.Counter()
    ends = collections.Counter()
    violations = []
    cases = []
    began = time.monotonic()
    try:
        with multiprocessing.Pool(os.cpu_count(), begin, (top,)) as pool:
            for name, total in pool.imap(count, wanted):
                cases += [(name, "malloc", number) for number in numbers(total)]
                print(f"  {name}: {total} allocations", file=sys.stderr)
            for (name, _, _), found, violation in pool.imap_unordered(check, cases, chunksize=4):
                if violation:
                    violations.append(violation)
                    print("VIOLATION " + violation, file=sys.stderr, flush=True)
                elif found:
                    fired[name] += 1
                    ends[found[1]] += 1
    finally:
        shutil.rmtree(top, ignore_errors=True)
    total = sum(fired.values())
    print("  " + ", ".join(f"{name} {fired[name]}" for name in wanted), file=sys.stderr)
    print(f"  {len(cases)} cases, {total} allocations failed ({', '.join(f'{n} {end}' for end, n in sorted(ends.items()))}), "
          f"{len(violations)} violations, {time.monotonic() - began:.0f} s", file=sys.stderr)
    # Threads and processes take their turns differently in each run: a few of the last ones may not be met.
    if violations or total < len(cases) * 0.9:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
