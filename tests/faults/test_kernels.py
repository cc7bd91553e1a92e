# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that falls ill while messages stream: stopped, frozen, read-only, full, slow, answering 500, cut off by a
firewall in one direction and in both.

Two kernels on real WebDAV servers, all tools at work with --watch, as a supervisor runs them. Something picks up what
the kernels are given, at once, as a kernel does. In the end every message has arrived once, byte for byte; one that
arrived twice did so because it was in doubt for too long, and carries the mark. UMS_ALL=1: each illness in turn, then 30
at random, more than 10,000 messages in all; else three illnesses and some hundred messages.
"""
import collections
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
import unittest

import illness
from installation import BIN, SOURCE, Installation, process_tree
from patience import within
from servers import Apache, Certificates, Nginx, scratch_directory

ALL = os.environ.get("UMS_ALL") == "1"
HOLD_DOWN = 5
MARK = b"X-UMS-Possible-Duplicate: yes\r\n"


class Pickup(threading.Thread):
    """The part of the kernels: takes what lies in R_*/Out, at once. `arrived`: number -> (when, kernel, marked, digest)."""

    def __init__(self, servers):
        super().__init__(daemon=True)
        self.places = {kernel: os.path.join(server.root, "R_ExConn", "Out") for kernel, server in servers.items()}
        self.paused = set()
        self.arrived = collections.defaultdict(list)
        self.last = collections.Counter()
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    def run(self):
        while not self.stopping.is_set():
            for kernel in self.places:
                if kernel not in self.paused:
                    self.take(kernel)
            self.stopping.wait(0.01)

    def take(self, kernel):
        place = self.places[kernel]
        try:
            names = [n for n in os.listdir(place) if not n.startswith(".")]
        except OSError:
            return
        for name in names:
            path = os.path.join(place, name)
            try:
                with open(path, "rb") as file:
                    content = file.read()
                os.unlink(path)
            except OSError:
                continue
            head, separator, body = content.partition(b"\r\n\r\n")
            marked = MARK in head + separator
            number = int(head.split(b"X-Test: ", 1)[1].split(b"\r\n", 1)[0])
            plain = (head + separator).replace(MARK, b"") + body
            with self.lock:
                self.arrived[number].append((time.monotonic(), kernel, marked, hashlib.sha256(plain).hexdigest()))
                self.last[kernel] += 1

    def first_after(self, when, kernel):
        with self.lock:
            return min((at for found in self.arrived.values() for at, k, *_ in found if k == kernel and at >= when), default=None)


class Stream(threading.Thread):
    """The part of a connector: hands over so many messages a second, until it is told to end."""

    def __init__(self, out, rate):
        super().__init__(daemon=True)
        self.out, self.rate = out, rate
        self.random = random.Random(7)
        self.digests = []
        self.burst = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            self.one()
            if self.burst > 0:
                self.burst -= 1
            else:
                self.stopping.wait(1 / self.rate)

    def one(self):
        number = len(self.digests)
        head = (b"MAIL FROM:sales@example.com\r\nRCPT TO:fax#+49 89 4799 %d\r\n" % number
                + b"X-Test: %d\r\nMIME-Version: 1.0\r\n\r\n" % number)
        content = head + self.random.randbytes(int(min(200_000, self.random.lognormvariate(9, 1))))
        self.digests.append(hashlib.sha256(content).hexdigest())
        partial = os.path.join(self.out, f".{number}.part")
        with open(partial, "wb") as file:
            file.write(content)
        os.rename(partial, os.path.join(self.out, f"{number:06d}.tmp"))


class World:
    """Two kernels, a connector, an MDS with its supervisor, the stream and the pick-up."""

    def __init__(self, test, first, interval, rate):
        scratch = scratch_directory()
        directory = scratch.__enter__()
        test.addCleanup(scratch.__exit__, None, None, None)
        certificates = Certificates(directory)
        second = Nginx if first is Apache else Apache
        self.servers = {"k1": first(directory, certificates), "k2": second(directory, certificates)}
        for server in self.servers.values():
            illness.mount_documents(server)
            test.addCleanup(illness.unmount_documents, server)
            server.start()
            test.addCleanup(server.stop)
        self.logs = os.path.join(directory, "logs")
        out = os.path.join(directory, "CR", "ExConn", "Out")
        os.makedirs(out)
        kernels = "".join(f"  {name}: {{url: '{s.url}', check: {{interval: {interval}s, timeout: {min(3000, interval * 750)}ms}},"
                          " limit: {answer: 2s, stall: 2s},"
                          f" auth: {{method: {s.auth}, user: {s.user}, password-file: {s.password_file}}}}}\n"
                          for name, s in self.servers.items())
        self.mds = Installation(directory, config=f"""
kernels:
{kernels}connectors:
  ExConn: {{root: {directory}/CR}}
sites:
  munich: {{kernels: [k1, k2], hold-down: {HOLD_DOWN}s}}
routes:
  - {{to: munich}}
""")
        with open(self.mds.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.mds.config, "w", encoding="utf-8") as file:
            file.write(text.replace("settle: 0s", "settle: 0s, in-doubt: {wait: 20s}", 1))
        self.pickup = Pickup(self.servers)
        self.stream = Stream(out, rate)
        self.out = out
        self._supervisor = subprocess.Popen(
            [os.path.join(SOURCE, "examples", "ums-supervisor"), "-c", self.mds.config, "-i", "1", "-l", self.logs],
            env=self.mds.environment(), stdin=subprocess.DEVNULL, start_new_session=True)
        test.addCleanup(self.kill)
        self.pickup.start()
        test.addCleanup(self.pickup.stopping.set)
        self.stream.start()
        test.addCleanup(self.stream.stopping.set)

    def kill(self):
        if self._supervisor.poll() is None:
            os.killpg(self._supervisor.pid, signal.SIGKILL)
            self._supervisor.wait()

    def end(self):
        """The supervisor ends, and all that it started."""
        below = process_tree(self._supervisor.pid)
        self._supervisor.send_signal(signal.SIGTERM)
        self._supervisor.wait(within(90))
        for pid in below:
            end = time.monotonic() + within(30)
            while os.path.exists(f"/proc/{pid}/cwd") and time.monotonic() < end:
                time.sleep(0.1)
        return self._supervisor.returncode

    def state(self, kernel):
        status = self.mds.run("ums-failover", "status", "--json", codes=None).stdout.decode()
        return next((x["state"] for x in map(json.loads, status.splitlines()) if x.get("kernel") == kernel), None)

    def log(self):
        text = ""
        for name in sorted(os.listdir(self.logs)):
            with open(os.path.join(self.logs, name), encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text


class Kernels(unittest.TestCase):
    def report(self, text):
        print(f"  {self.id().rsplit('.', 1)[-1]}: {text}", file=sys.stderr)

    def until(self, condition, seconds, what, meanwhile=lambda: None, pause=0.1):
        end = time.monotonic() + within(seconds)
        while not (found := condition()):
            if time.monotonic() > end:
                self.fail(f"not within {seconds} s: {what}")
            meanwhile()
            time.sleep(pause)
        return found

    def fall_ill(self, world, kind, interval, lasts):
        """One illness of the first kernel; how long it took until a message came to the other one, and back."""
        server = world.servers["k1"]
        label = kind.__name__
        publishing = os.path.join(world.mds.spool, "kernel", "k1", "publishing")

        def meanwhile():
            ill.keep_up()
            doubts[0] = max(doubts[0], len(os.listdir(publishing)))
        doubts = [0]
        self.until(lambda: world.state("k1") == "up", 120, f"k1 is up before {label}")
        begin = time.monotonic()
        self.until(lambda: world.pickup.first_after(begin, "k1"), 60, f"traffic at k1 before {label}")
        # In the middle of much: so that some are just being published.
        world.stream.burst = 200
        before = world.pickup.last["k1"]
        self.until(lambda: world.pickup.last["k1"] > before + 60, 60, f"much traffic at k1 before {label}", pause=0.002)
        if kind is illness.Full:
            world.pickup.paused.add("k1")
        ill = kind(server)
        with ill:
            begin = time.monotonic()
            there = self.until(lambda: world.pickup.first_after(begin, "k2"), 60, f"{label}: a message at k2",
                               meanwhile) - begin
            # Then what waits for it goes to the other one, and only then can what was in doubt be sent twice.
            self.until(lambda: world.state("k1") == "down", 90, f"k1 is down of {label}", meanwhile)
            end = time.monotonic() + lasts
            while time.monotonic() < end:
                meanwhile()
                time.sleep(0.1)
        back_again = time.monotonic()
        world.pickup.paused.discard("k1")
        if ill.met is not None:
            self.assertGreater(ill.met, 0, f"{label} met nothing: the test shows nothing")
        # What was on its way arrives at once; traffic is back when the kernel is up and gets something.
        self.until(lambda: world.state("k1") == "up", HOLD_DOWN + 10 * interval + 30, f"k1 is up after {label}")
        up = time.monotonic()
        back = self.until(lambda: world.pickup.first_after(up, "k1"), 60, f"{label}: traffic at k1") - back_again
        return there, back, doubts[0]

    def settle(self, world):
        """The stream ends, everything arrives, and each message is looked at."""
        world.stream.stopping.set()
        world.stream.join()
        self.until(lambda: not os.listdir(world.out) and not world.mds.listed(), 300, "the spool is empty")
        time.sleep(1)
        self.assertEqual(world.end(), 0)
        self.assertEqual(world.mds.leftovers(), [])
        log = world.log()
        problems, doubles, marked = [], 0, 0
        for number, digest in enumerate(world.stream.digests):
            found = world.pickup.arrived.pop(number, [])
            if not found:
                problems.append(f"{number} did not arrive")
            if any(d != digest for *_, d in found):
                problems.append(f"{number} is not what was handed over")
            unmarked = sum(not mark for _, _, mark, _ in found)
            if unmarked > 1:
                problems.append(f"{number} arrived {unmarked} times without a mark: {found}")
            doubles += len(found) > 1
            marked += len(found) - unmarked
        problems += [f"nobody handed over {number}" for number in world.pickup.arrived]
        resent = log.count("marked as a possible duplicate")
        if marked > resent:
            problems.append(f"{marked} messages carry the mark, the log knows of {resent}")
        self.assertEqual(problems, [])
        return (f"{len(world.stream.digests)} messages: {len(world.stream.digests) - doubles} arrived once,"
                f" {doubles} twice with the mark of a doubt; none was lost")

    def course(self, first, kinds, interval, longest=3):
        """Illnesses of 3 to `longest` seconds from when the other kernel has taken over."""
        world = World(self, first, interval, rate=10)
        chance = random.Random(interval)
        times = collections.defaultdict(list)
        in_doubt = 0
        for kind in kinds:
            there, back, doubts = self.fall_ill(world, kind, interval, chance.uniform(3, longest))
            times[kind.__name__].append((there, back))
            in_doubt += doubts
            if not ALL:
                continue
            self.report(f"{kind.__name__}: {there:.1f} s to the other kernel, {back:.1f} s back, {doubts} in doubt")
        result = self.settle(world)
        all_there = [there for found in times.values() for there, _ in found]
        all_back = [back for found in times.values() for _, back in found]
        self.report(f"{len(kinds)} illnesses; to the other kernel {statistics.median(all_there):.1f} s (at most {max(all_there):.1f}),"
                    f" back {statistics.median(all_back):.1f} s (at most {max(all_back):.1f}); {in_doubt} in doubt; {result}")
        self.assertLess(max(all_there), within(30))
        # A kernel that is down is looked at every three intervals; then twice in one.
        self.assertLess(max(all_back), within(HOLD_DOWN + 4 * interval + 10))

    def test_a_few(self):
        self.course(Nginx, (illness.Frozen, illness.CutOffBack, illness.Failing), 2)

    @unittest.skipUnless(ALL, "of tests/run --all")
    def test_each_in_turn(self):
        """With the intervals of an installation that says nothing of them."""
        self.course(Apache, illness.ALL, 10, longest=45)

    @unittest.skipUnless(ALL, "of tests/run --all")
    def test_at_random(self):
        chance = random.Random(11)
        self.course(Nginx, [chance.choice(illness.ALL) for _ in range(30)], 3, longest=45)


if __name__ == "__main__":
    if not BIN:
        sys.exit("UMS_BIN must name the directory of the programs")
    illness.enter_namespaces()
    unittest.main(verbosity=2)
