# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at once, holders that die, and system calls that fail: after a clean run every message is there once.

Faults are put into system calls with strace; each test proves that its fault fired.
"""
import os
import re
import shutil
import signal
import subprocess
import time

import rooms
from installation import process_tree
from patience import within
from rooms import Case, message, read, write

MESSAGES = 5
TWO_SITES = """
sites:
  munich: {kernels: [k1], hold-down: 0s}
  vienna: {kernels: [k2], hold-down: 0s}
routes:
  - {recipient: '+43*', to: vienna}
  - {to: munich}
"""
STAGES = ("ums-fetch", "ums-route", "ums-failover", "ums-push")
FAULTS = ("renameat2:error=EIO", "fsync:error=EIO", "fdatasync:error=EIO", "write:error=ENOSPC", "openat:error=EMFILE", "unlink,unlinkat:error=EIO",
          "copy_file_range,sendfile:error=EIO", "pread64:error=EIO")
KILLS = ("renameat2", "fsync,fdatasync,syncfs", "write", "unlink,unlinkat", "copy_file_range,sendfile,pwrite64", "openat")


class Locks(Case):
    @classmethod
    def setUpClass(cls):
        strace = shutil.which("strace")
        if not strace:
            raise AssertionError("strace is missing (Debian package strace): without it no fault can be injected")
        done = subprocess.run([strace, "-f", "-e", "trace=none", "true"], capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError("ptrace is not permitted here, so no fault can be injected: " + done.stderr.decode().strip())

    def world(self):
        return self.rooms(("k1", "k2"), TWO_SITES)

    def fill(self, world, count=MESSAGES):
        """One of them has recipients in both sites. -> what must lie at k1, at k2, and in the connector's In"""
        at_k1, at_k2 = [], []
        for i in range(count):
            both = i == 2
            recipients = ["fax#+49 89 1", "fax#+43 1"] if both else ["fax#+49 89 1"] if i % 2 else ["fax#+43 1"]
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, recipients))
            if both or recipients[0].startswith("fax#+49"):
                at_k1.append(message(i, ["fax#+49 89 1"]))
            if both or recipients[0].startswith("fax#+43"):
                at_k2.append(message(i, ["fax#+43 1"]))
        return sorted(at_k1), sorted(at_k2)

    def check_all_once(self, world, expected, label):
        """A clean run finishes whatever was begun."""
        for _ in range(4):
            world.passes(codes=(0, 75))
            if not os.listdir(world.out()) and not any(world.queue(q, s) for q in ("outgoing", "site/munich", "site/vienna", "kernel/k1", "kernel/k2")
                                                       for s in ("new", "sending", "publishing")):
                break
        self.assertEqual((world.delivered("k1"), world.delivered("k2")), expected, label)
        self.assertEqual(world.listed() + world.leftovers(), [], label)
        self.assertEqual(os.listdir(world.out()), [], label)
        # A removal that was not made durable may come back with the power: the witness stays for it, till the next message.
        self.assertLessEqual(self.staged(world), {"owner", "witness"}, label)
        if "witness" in self.staged(world):
            write(os.path.join(world.out(), "next.tmp"), message(99, ["fax#+49 89 1", "fax#+43 1"]))
            world.passes()
            self.assertEqual(self.staged(world), {"owner"}, label)

    def staged(self, world):
        """What lies in our stage directories on the kernels."""
        stages = [os.path.join(kernel, ".BER1") for kernel in world.kernels.values()]
        return {name.split(".")[0] if name.startswith("witness.") else name
                for stage in stages if os.path.isdir(stage) for name in os.listdir(stage)}

    def strace(self, world, injection, name, *arguments):
        """(exit code, how often the fault fired, output)"""
        log = os.path.join(self.directory, "strace.log")
        calls = injection.split(":")[0]
        done = subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}", "-e", f"inject={injection}", rooms.tool(name), *arguments],
                              env=world.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=within(120), check=False)
        text = read(log)
        fired = text.count(b"(INJECTED)") + len(re.findall(rb"killed by SIGKILL", text))
        self.assertIsNone(rooms.CONTROL.search(done.stderr), done.stderr)
        self.assertNotIn(b"internal error", done.stderr)
        return done.returncode, fired, done.stdout + done.stderr

    def calls_before(self, world, calls, name):
        """How many of these calls loading the program takes."""
        log = os.path.join(self.directory, "loading.log")
        subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}", rooms.tool(name), "--version"], env=world.environment(),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        text = read(log)
        os.unlink(log)
        # What is printed is a write of its own, not of the loader's.
        return 0 if calls.startswith("write") else len([x for x in text.splitlines() if b"(" in x])

    def prepare(self, world, name):
        """Everything before `name` is done."""
        for stage in STAGES[:STAGES.index(name)]:
            world.run(stage)

    def fresh(self):
        for entry in os.listdir(self.directory):
            shutil.rmtree(os.path.join(self.directory, entry)) if os.path.isdir(os.path.join(self.directory, entry)) else \
                os.unlink(os.path.join(self.directory, entry))
        world = self.world()
        # Directories and identities that every spool has; the interesting part is what comes then.
        world.passes()
        return world, self.fill(world)

    def inject(self, name, injection, most):
        """Lets the N-th of these calls fail, for each N until none is left. -> how many times it fired"""
        loading = self.calls_before(self.world(), injection.split(":")[0], name)
        # strace counts for each process: workers begin at 1, the tool itself behind its loader.
        count = self.inject_from(name, injection, 1, most)
        return count + (self.inject_from(name, injection, loading + 1, most) if loading else 0)

    def inject_from(self, name, injection, start, most):
        count = 0
        for when in range(start, start + most):
            world, expected = self.fresh()
            self.prepare(world, name)
            code, fired, output = self.strace(world, f"{injection}:when={when}", name)
            label = f"{name} {injection}:when={when}: {code} {output.decode(errors='replace')[-800:]}"
            if fired:
                count += 1
                if b"error while loading shared libraries" in output:
                    self.assertEqual(code, 127, label)
                elif b"cannot read the configuration" in output:
                    self.assertEqual(code, 78, label)
                elif "signal" not in injection:
                    self.assertIn(code, (0, 1, 69, 73, 74, 75, 77), label)
            else:
                self.assertEqual(code, 0, label)
            self.check_all_once(world, expected, label)
            if not fired:
                break
        return count

    def faults_of(self, name, most=12):
        total = 0
        for injection in FAULTS:
            with self.subTest(tool=name, injection=injection):
                fired = self.inject(name, injection, most)
                total += fired
                if injection.startswith(("renameat2", "openat")):
                    self.assertGreater(fired, 2, f"{injection} never fired: the test shows nothing")
        self.assertGreater(total, 10)

    def test_faults_fetch(self):
        self.faults_of("ums-fetch")

    def test_faults_route(self):
        self.faults_of("ums-route")

    def test_faults_push(self):
        self.faults_of("ums-push")

    def test_faults_failover(self):
        self.faults_of("ums-failover", 6)

    def kills_of(self, name):
        total = 0
        for calls in KILLS:
            with self.subTest(tool=name, calls=calls):
                total += self.inject(name, f"{calls}:signal=KILL", 12)
        self.assertGreater(total, 15)

    def test_kill_fetch(self):
        self.kills_of("ums-fetch")

    def test_kill_route(self):
        self.kills_of("ums-route")

    def test_kill_push(self):
        self.kills_of("ums-push")

    def test_every_call_fails_for_a_while(self):
        """Nothing at all can be written, or made durable: all is kept."""
        for injection in ("renameat2:error=EIO", "fsync,fdatasync,syncfs:error=EIO", "write,copy_file_range,sendfile,pwrite64:error=ENOSPC"):
            for name in STAGES:
                with self.subTest(tool=name, injection=injection):
                    world, expected = self.fresh()
                    self.prepare(world, name)
                    for _ in range(2):
                        code, fired, output = self.strace(world, f"{injection}:when=1+", name)
                        if name in ("ums-fetch", "ums-push") or fired:
                            self.assertGreater(fired, 0)
                            self.assertGreaterEqual(code, 1, output)
                    self.check_all_once(world, expected, f"{name} {injection} {output}")

    # One holder a queue.

    def held(self, world, name, calls="renameat2", when=1):
        """`name`, held up for long in the middle of its work, with the locks that it has. -> strace, the tool's processes"""
        log = os.path.join(self.directory, "held.log")
        process = subprocess.Popen(["strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter=60000000:when={when}",
                                    rooms.tool(name)], env=world.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        self.addCleanup(lambda: self.end(process, self.below(process.pid)))
        self.wait_until(lambda: os.path.exists(log) and calls.encode() in read(log), 20, "the holder is at it")
        return process

    @staticmethod
    def end(process, victims):
        """The tool's processes die, then the strace that holds them up."""
        for pid in victims + [process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(within(10))

    @staticmethod
    def below(pid):
        return process_tree(pid)[1:]

    def second_does_nothing(self, name):
        world, expected = self.fresh()
        self.prepare(world, name)
        process = self.held(world, name)
        before = rooms.tree(self.directory)
        before.pop(os.path.join(self.directory, "held.log"))
        for arguments in ((), ("-v",), ("--json",)):
            done = self.run_clean(world, name, *arguments, timeout=within(20))
            self.assertEqual(done.stdout, b"")
            self.assertEqual(b"another run is at it" in done.stderr, arguments == ("-v",), done.stderr)
        after = rooms.tree(self.directory)
        after.pop(os.path.join(self.directory, "held.log"))
        self.assertEqual(after, before)
        # The holder dies: its lock goes with it.
        victims = self.below(process.pid)
        self.assertTrue(victims)
        self.end(process, victims)
        started = time.monotonic()
        self.assertNotEqual(world.run(name).stdout, b"")
        self.assertLess(time.monotonic() - started, within(10))
        self.check_all_once(world, expected, name)

    def test_second_run_fetch(self):
        self.second_does_nothing("ums-fetch")

    def test_second_run_route(self):
        self.second_does_nothing("ums-route")

    def test_second_run_push(self):
        world, expected = self.fresh()
        self.prepare(world, "ums-push")
        # Both kernels' workers are held up.
        process = self.held(world, "ums-push")
        self.wait_until(lambda: len(self.below(process.pid)) >= 3, 10, "workers run")
        time.sleep(0.5)
        self.assertEqual(self.run_clean(world, "ums-push", timeout=within(20)).stdout, b"")
        self.end(process, self.below(process.pid))
        self.check_all_once(world, expected, "ums-push")

    def test_second_run_failover(self):
        self.second_does_nothing("ums-failover")

    def test_two_of_each_at_once(self):
        world = self.world()
        expected = self.fill(world, 60)
        for _ in range(4):
            for name in STAGES:
                both = [self.start(world, name, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
                for process in both:
                    error = process.stderr.read()
                    self.assertIn(process.wait(within(60)), (0, 75), error)
        self.check_all_once(world, expected, "two of each")


if __name__ == "__main__":
    rooms.main()
