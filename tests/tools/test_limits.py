# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, large messages and full disks. UMS_ALL=1: 100,000 entries and a message of 2 GB; else 20,000 and 200 MB."""
import contextlib
import hashlib
import os
import re
import subprocess
import sys
import threading
import time

import rooms
from patience import within
from rooms import ALL, Case, message, read, write

COUNT = 100_000 if ALL else 20_000
LARGE = 2_000_000_000 if ALL else 200_000_000
MOST = 64 * 1024  # KiB, as ru_maxrss counts
PROGRAMS = ("ums-fetch", "ums-route", "ums-failover", "ums-sitemap", "ums-push", "ums-spool")


def is_sanitized():
    """A build with a sanitizer takes its own memory."""
    with open(rooms.tool("ums-push"), "rb") as program:
        return re.search(rb"__(asan|tsan|msan|hwasan)_init", program.read()) is not None


class Memory(Case):
    def measured(self, world, name, *arguments, codes=(0,), stdin=None, stdout=subprocess.DEVNULL):
        """The largest resident size of the tool or of one of its workers, in KiB; asserted to be in bounds.

        A small process of its own waits for the tool and for what the tool waited for; ru_maxrss of a child counts what
        it was before exec, too, and this test is no small process.
        """
        waiter = ("import os, resource, subprocess, sys\n"
                  "p = subprocess.Popen(sys.argv[1:])\n"
                  "_, status, own = os.wait4(p.pid, 0)\n"
                  "below = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
                  "print('measured', os.waitstatus_to_exitcode(status), own.ru_maxrss, below.ru_maxrss, file=sys.stderr)\n")
        process = subprocess.run([sys.executable, "-S", "-c", waiter, rooms.tool(name), *arguments], env=world.environment(),
                                 stdin=stdin or subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, timeout=within(1500), check=False)
        found = re.search(rb"measured (-?\d+) (\d+) (\d+)\n", process.stderr)
        self.assertIsNotNone(found, process.stderr)
        code, own, below = (int(x) for x in found.groups())
        self.assertIn(code, codes, f"{name} {arguments} {process.stderr[-2000:]}")
        peak = max(own, below)
        print(f"  {name} {' '.join(arguments)[:60]}: {peak} KiB", file=sys.stderr)
        self.assertGreater(peak, 1000, "nothing was measured")
        if not is_sanitized():
            self.assertLess(peak, MOST, f"{name} {arguments}")
        return peak

    def many(self, world, queue, attributes, content):
        """COUNT entries; not more bytes than the names need, as all are links to one file of many."""
        path = os.path.join(world.spool, queue, "new")
        os.makedirs(path, exist_ok=True)
        for i in range(COUNT):
            name = os.path.join(path, f"{1795406406000000 + i}.many{i % 1000:04d}.BER1{attributes}")
            if i % 1000 == 0:
                write(name, content)
                source = name
            else:
                os.link(source, name)

    def count(self, world, queue):
        return len(world.queue(queue))

    def test_many_outgoing(self):
        world = self.rooms()
        world.run("ums-route")
        self.many(world, "outgoing", ",c=ExConn", message(1))
        self.measured(world, "ums-spool", "list")
        self.measured(world, "ums-failover", "status")
        self.measured(world, "ums-route", "-n")
        self.measured(world, "ums-route")
        self.assertEqual(self.count(world, "site/munich"), COUNT)
        self.measured(world, "ums-failover")
        self.assertEqual(self.count(world, "kernel/k1"), COUNT)
        self.measured(world, "ums-push", "--limit", "200")
        self.assertEqual(self.count(world, "kernel/k1"), COUNT - 200)
        self.measured(world, "ums-push", "-n")
        self.measured(world, "ums-spool", "list", "--json")

    def test_many_incoming_and_parked(self):
        world = self.rooms()
        world.run("ums-route")
        self.many(world, "incoming", ",o=k1", message(1))
        self.measured(world, "ums-sitemap")
        self.assertEqual(self.count(world, "connector/ExConn"), COUNT)
        self.measured(world, "ums-push", "--limit", "200")
        self.many(world, "noroute", ",c=ExConn", message(1))
        self.measured(world, "ums-spool", "list", "--noroute")
        self.measured(world, "ums-failover")
        names = os.path.join(self.directory, "names")
        with open(names, "wb") as out:
            self.measured(world, "ums-spool", "list", "--noroute", "-q", stdout=out)
        self.assertEqual(read(names).count(b"\n"), COUNT)
        with open(names, "rb") as ids:
            self.measured(world, "ums-route", "--names", "-", stdin=ids)

    def test_many_in_a_down_kernel(self):
        world = self.rooms(("k1", "k2"), rooms.ONE_SITE.replace("[k1]", "[k1, k2]"))
        world.run("ums-route")
        self.many(world, "kernel/k1", ",c=ExConn,s=munich", message(1))
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        self.measured(world, "ums-failover")
        self.assertEqual(self.count(world, "kernel/k2"), COUNT)

    def test_many_at_the_source(self):
        world = self.rooms()
        for i in range(COUNT):
            with open(os.path.join(world.out(), f"job-with-quite-a-name-{i:06d}.tmp"), "wb") as file:
                file.write(b"RCPT TO:fax#+49 89 1\r\n\r\n")
        world.run("ums-fetch", "--from", "SapConn")
        self.measured(world, "ums-fetch", "-n")
        self.measured(world, "ums-fetch", "--limit", "200")
        self.assertEqual(self.count(world, "outgoing"), 200)
        if ALL:  # each file is made durable: that takes its time
            self.measured(world, "ums-fetch")
            self.assertEqual(self.count(world, "outgoing"), COUNT)

    def test_large_message(self):
        world = self.rooms(("k1", "k2"), """
sites:
  munich: {kernels: [k1], hold-down: 0s, dial: rewrite, numbering: {country: 49, area: 89, outside-line: 0}}
  vienna: {kernels: [k2], hold-down: 0s}
routes:
  - {recipient: '+43*', to: vienna}
  - {to: munich}
""")
        path = os.path.join(world.out(), "large.tmp")
        head = message(1, ["fax#+49 89 4799", "fax#+43 1 2"])
        with open(path + ".part", "wb") as file:
            file.write(head)
            file.truncate(LARGE)
            file.seek(LARGE - 3)
            file.write(b"end")
        os.rename(path + ".part", path)
        for name in ("ums-fetch", "ums-route", "ums-failover", "ums-push"):
            self.measured(world, name)
        for kernel, recipient in (("k1", b"fax#04799"), ("k2", b"fax#+43 1 2")):
            name, = os.listdir(world.kernel_out(kernel))
            arrived = os.path.join(world.kernel_out(kernel), name)
            with open(arrived, "rb") as file:
                start = file.read(4096)
                file.seek(-3, os.SEEK_END)
                self.assertEqual(file.read(), b"end")
            self.assertIn(b"RCPT TO:" + recipient + b"\r\n", start)
            self.assertEqual(start.count(b"RCPT TO"), 1)
            self.assertEqual(os.path.getsize(arrived), LARGE - len(head) + len(start.split(b"\0", 1)[0]))
        # And back: the one at k2 comes in.
        os.rename(arrived, os.path.join(world.kernel_in("k2"), "incoming.tmp"))
        size = os.path.getsize(os.path.join(world.kernel_in("k2"), "incoming.tmp"))
        for name in ("ums-fetch", "ums-sitemap", "ums-push"):
            self.measured(world, name)
        name, = os.listdir(world.inbox())
        self.assertEqual(os.path.getsize(os.path.join(world.inbox(), name)), size)
        self.assertEqual(world.listed() + world.leftovers(), [])
        # By hand.
        name = os.path.join(world.inbox(), name)
        with open(name, "rb") as stdin:
            self.measured(world, "ums-route", "-", stdin=stdin)
        for arguments in (("--outgoing",), ("--incoming", "--explain")):
            with open(name, "rb") as stdin:
                self.measured(world, "ums-sitemap", "--site", "munich", *arguments, "-", stdin=stdin, codes=(0, 1))
        self.measured(world, "ums-push", "--to", "k2", "--connector", "SapConn", name)
        with open(name, "rb") as stdin:
            self.measured(world, "ums-fetch", "--connector", "ExConn", "-", stdin=stdin)

    def test_sitemap_streams(self):
        """It writes before it has read everything, and needs no more for more."""
        world = self.rooms()
        process = self.start_with_pipes(world, "ums-sitemap", "--site", "munich", "-")
        read_back = []
        first = threading.Event()
        reader = threading.Thread(target=lambda: read_back.append(self.drain(process, first)), daemon=True)
        reader.start()
        process.stdin.write(message(1, extra=b"X: 1\r\n"))
        block = b"x" * 1_000_000
        process.stdin.write(block * 4)
        process.stdin.flush()
        self.assertTrue(first.wait(within(20)), "something comes before its input has ended")
        for _ in range(LARGE // len(block)):
            process.stdin.write(block)
        # Not ru_maxrss: that counts what this process was before exec.
        peak = int(re.search(rb"VmHWM:\s+(\d+) kB", read(f"/proc/{process.pid}/status")).group(1))
        process.stdin.close()
        reader.join(600)
        self.assertEqual(process.wait(within(60)), 0)
        self.assertGreater(read_back[0], LARGE)
        print(f"  ums-sitemap -: {peak} KiB", file=sys.stderr)
        if not is_sanitized():
            self.assertLess(peak, MOST)

    def start_with_pipes(self, world, name, *arguments):
        process = subprocess.Popen([rooms.tool(name), *arguments], env=world.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.stdout.close()))
        return process

    @staticmethod
    def drain(process, first):
        total = 0
        while got := os.read(process.stdout.fileno(), 1 << 20):
            total += len(got)
            first.set()
        return total


class FullDisk(Case):
    @contextlib.contextmanager
    def small_disk(self, path, size):
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False)
        if done.returncode != 0:
            self.fail("this test needs a small file system of its own (mount -t tmpfs), so it must run as root with CAP_SYS_ADMIN: "
                      + done.stderr.decode().strip())
        try:
            yield path
        finally:
            for _ in range(50):
                if subprocess.run(["umount", path], capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.1)

    def setUp(self):
        super().setUp()
        self.disk = os.path.join(self.directory, "disk")
        context = self.small_disk(self.disk, "6m")
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def world_on_disk(self):
        world = self.rooms()
        text = read(world.config).decode().replace(world.spool, os.path.join(self.disk, "spool"))
        write(world.config, text.encode())
        world.spool = os.path.join(self.disk, "spool")
        return world

    def filler(self, leave):
        """Fills the disk up to `leave` bytes."""
        status = os.statvfs(self.disk)
        size = max(0, status.f_bavail * status.f_frsize - leave)
        with open(os.path.join(self.disk, "filler"), "wb") as file:
            file.write(b"f" * size)

    def sources(self, world):
        return sorted(os.listdir(world.out()))

    def same(self, world, contents):
        """All of them, once; without the megabytes in the failure's text."""
        digests = [[hashlib.sha256(c).hexdigest() for c in some] for some in (world.delivered(), contents)]
        self.assertEqual(sorted(digests[0]), sorted(digests[1]))

    def no_partials(self, world):
        path = os.path.join(world.spool, "outgoing", "tmp")
        self.assertEqual(os.listdir(path) if os.path.isdir(path) else [], [])

    def test_fetch_refuses_and_goes_on_when_there_is_room(self):
        for leave in (0, 4096, 200_000, 1_000_000):
            with self.subTest(leave=leave):
                world = self.world_on_disk()
                world.passes()
                self.filler(leave)
                contents = [message(i, body=b"x" * 700_000) for i in range(4)]
                for i, content in enumerate(contents):
                    write(os.path.join(world.out(), f"{i}.tmp"), content)
                for _ in range(2):
                    done = self.run_clean(world, "ums-fetch", codes=(73,))
                    self.assertIn(b"full", done.stderr)
                    self.no_partials(world)
                    self.assertEqual(len(self.sources(world)) + len(world.queue("outgoing")), 4)
                done = self.run_clean(world, "ums-fetch", "--connector", "ExConn", "-", stdin=message(9, body=b"x" * 1_500_000), codes=(73,))
                self.assertEqual(done.stdout, b"")
                self.no_partials(world)
                os.unlink(os.path.join(self.disk, "filler"))
                for _ in range(6):
                    world.passes()
                self.same(world, contents)
                self.assertEqual(self.sources(world) + world.listed() + world.leftovers(), [])
                for name in os.listdir(world.kernel_out()):
                    os.unlink(os.path.join(world.kernel_out(), name))

    def test_more_than_fits(self):
        """20 MB through a spool of 6 MB."""
        world = self.world_on_disk()
        contents = [message(i, body=b"y" * 1_000_000) for i in range(20)]
        for i, content in enumerate(contents):
            write(os.path.join(world.out(), f"{i:02d}.tmp"), content)
        codes = set()
        for _ in range(60):
            codes.add(world.run("ums-fetch", codes=(0, 73)).returncode)
            for name in ("ums-route", "ums-failover", "ums-push"):
                world.run(name, codes=(0, 75))
            if not self.sources(world) and not world.listed():
                break
        self.assertIn(73, codes, "it was never full: the test shows nothing")
        self.same(world, contents)

    def test_what_was_accepted_goes_on_when_the_disk_is_full(self):
        world = self.world_on_disk()
        for i in range(50):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i))
        world.passes(1)
        for i in range(50, 100):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i))
        world.run("ums-fetch")
        self.filler(0)
        world.run("ums-route")
        world.run("ums-failover", codes=(0, 73))
        world.run("ums-push")
        self.same(world, [message(i) for i in range(100)])
        self.assertEqual(world.listed(), [])

    def test_full_kernel(self):
        """The kernel's disk: its fault, so the messages wait, and leave when there is room."""
        world = self.rooms()
        text = read(world.config).decode().replace(world.kernels["k1"], os.path.join(self.disk, "k1"))
        write(world.config, text.encode())
        world.kernels["k1"] = os.path.join(self.disk, "k1")
        os.mkdir(world.kernels["k1"])
        write(os.path.join(world.out(), "0.tmp"), message(0))
        world.passes()
        self.filler(300_000)
        contents = [message(i, body=b"z" * 400_000) for i in range(1, 4)]
        for i, content in enumerate(contents):
            write(os.path.join(world.out(), f"{i}.tmp"), content)
        for _ in range(3):
            world.passes(codes=(0, 69, 75))
        self.assertEqual(len(world.listed()), 3)
        self.assertEqual(world.queue("failed"), [])
        self.assertEqual(world.delivered(), [message(0)], "no half message")
        os.unlink(os.path.join(self.disk, "filler"))
        world.drain()  # a refused message pauses for a minute and up to a quarter more
        self.same(world, contents + [message(0)])


if __name__ == "__main__":
    rooms.main()
