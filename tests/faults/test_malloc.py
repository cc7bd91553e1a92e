#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every allocation of every tool fails, once: of the tool itself, of its libraries, of its child processes.

What was accepted is somewhere at every moment, and after runs without faults each message has arrived once, byte for byte; one
more run changes nothing. A library that cannot do better may abort; nothing may crash otherwise. Each case proves that its
allocation failed. UMS_ALL=1: every allocation, or every UMS_STEP-th; else a sample.
"""
import os
import shutil
import struct
import subprocess
import sys

import rooms
import test_syscalls
from patience import within
from sweep import Sweep
from test_syscalls import SCENES, Place

LIBRARY = os.path.join(os.environ.get("UMS_BUILD", ""), "tests", "liballocations.so")
SAMPLE = None if rooms.ALL else int(os.environ.get("UMS_SAMPLE", "6"))  # of each scene
# What a run may end with beside the codes of the manual: 70, as an allocation of ours fails with, and an abort.
CODES = test_syscalls.CODES | {70, -6, 134}


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


def numbers(total):
    if SAMPLE is None:
        return range(1, total + 1, int(os.environ.get("UMS_STEP", "1")))
    # Most of the first ones belong to the options and the configuration: nothing has been begun then.
    return sorted({total * (2 * i + SAMPLE) // (3 * SAMPLE) for i in range(SAMPLE)} - {0})


def cases_of(name, total):
    return [(name, "malloc", number) for number in numbers(total)]


def main():
    if not os.path.exists(LIBRARY):
        raise SystemExit("UMS_BUILD must name a build with tests: there is no " + LIBRARY)
    Sweep(Allocations, sys.argv[1:] or list(SCENES), cases_of, "allocations").run()


if __name__ == "__main__":
    main()
