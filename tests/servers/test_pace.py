#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests a batch costs, how many go at a time, and the limits of the configuration on messages and bytes."""

import os
import shutil
import threading
import time
import unittest

from davserver import Dav
from hostile import Hostile, reply
from installation import Installation
from samba import Samba
from servers import scratch_directory

OUT, IN = "R_Ex/Out", "R_Ex/In"


class Counting:
    """Passes requests on to `script` and knows how many there were at a time, each of which took `delay` seconds."""

    def __init__(self, script, delay=0.0):
        self.script, self.delay = script, delay
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.begun = []  # time and method

    def __call__(self, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.begun.append((time.monotonic(), request.method))
        try:
            time.sleep(self.delay)
            return self.script(request)
        finally:
            with self.lock:
                self.now -= 1

    def count(self, method):
        return sum(one == method for _, one in self.begun)


class World:
    """An MDS with one kernel; its spool is there."""

    def __init__(self, directory, url, kernel=""):
        self.mds = Installation(directory, config=f"""
kernels:
  k1: {{url: '{url}'{kernel}}}
connectors:
  Ex: {{root: '{directory}/CR', numbers: ['*']}}
sites:
  munich: {{kernels: [k1]}}
routes:
  - {{to: munich}}
""")
        self.mds.run("ums-push", "--to", "k1")
        self.queue = os.path.join(self.mds.spool, "kernel", "k1", "new")
        os.makedirs(self.queue, exist_ok=True)

    def send(self, count, size=200):
        contents = [b"RCPT TO:fax#+4989%d\r\n\r\n" % i + b"%d" % (i % 10) * size + b"\r\n" for i in range(count)]
        for i, content in enumerate(contents):
            with open(os.path.join(self.queue, f"{1795406406000000 + i}.pacetest{i}.BER1,c=Ex"), "wb") as out:
                out.write(content)
        return sorted(contents)

    def push(self, **more):
        return self.mds.run("ums-push", "--to", "k1", **more)

    def incoming(self):
        directory = os.path.join(self.mds.spool, "incoming", "new")
        found = []
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as one:
                found.append(one.read())
        return sorted(found)


class Case(unittest.TestCase):
    def setUp(self):
        self.context = scratch_directory()
        self.directory = self.context.__enter__()
        self.addCleanup(self.context.__exit__, None, None, None)
        self.dav = Dav(directories=("R_Ex", OUT, IN))

    def arrived(self):
        return sorted(self.dav.under(OUT).values())


class Requests(Case):
    def push_some(self, script, count=20):
        counting = Counting(script)
        with Hostile(counting) as server:
            world = World(self.directory, server.url)
            world.push()  # what is asked once has been asked
            counting.begun.clear()
            contents = world.send(count)
            done = world.push(codes=None)
        return world, contents, counting, done

    def test_a_batch_is_checked_by_one_listing(self):
        _, contents, counting, done = self.push_some(self.dav)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.arrived(), contents)
        self.assertLess(counting.count("MOVE"), 25)
        self.assertLess(counting.count("PROPFIND"), 10)

    def test_what_the_listing_does_not_show_is_asked_for(self):
        def silent(request):
            if request.method == "PROPFIND" and request.headers.get("depth") == "1" and ".BER1" in request.path:
                return reply(403)
            return self.dav(request)
        _, contents, counting, done = self.push_some(silent)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.arrived(), contents)
        self.assertGreaterEqual(counting.count("PROPFIND"), 20)

    def test_a_stage_full_of_strangers_is_not_read_to_its_end(self):
        for i in range(5000):
            self.dav.files[f".BER1/a-stranger-{i}"] = b"x"
        self.dav.directories.add(".BER1")
        _, contents, _, done = self.push_some(self.dav)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.arrived(), contents)

    def test_the_one_that_came_in_part_is_found(self):
        """A server that keeps half of one upload, and says 201 to all."""
        cut = []

        def short(request):
            if request.method == "PUT" and b"+498913" in request.body and not cut:
                cut.append(request.path)
                request = request._replace(body=request.body[:100])
            return self.dav(request)
        world, contents, _, done = self.push_some(short)
        self.assertEqual(len(cut), 1)
        self.assertEqual(done.returncode, 75, done.stderr)
        self.assertIn(b"100 bytes arrived of", done.stdout + done.stderr)
        self.assertEqual(self.arrived(), [c for c in contents if b"+498913" not in c])
        self.assertEqual(len(os.listdir(world.queue)), 1)
        self.assertFalse([name for name in self.dav.under(".BER1") if name.endswith(".part")])


class Width(Case):
    def most(self, delay, kernel="", script=None, count=150):
        counting = Counting(script or self.dav, delay)
        with Hostile(counting) as server:
            world = World(self.directory, server.url, kernel)
            contents = world.send(count)
            for _ in range(5):
                if world.push(codes=None).returncode == 0:
                    break
            self.assertEqual(self.arrived(), contents)
        return counting.most

    def test_a_distant_server_gets_more_at_a_time(self):
        self.assertGreater(self.most(0.03), 16)

    def test_but_never_more_than_the_configuration_allows(self):
        self.assertLessEqual(self.most(0.03, ", limit: {connections: 3}"), 3)

    def test_nor_where_the_line_is_to_be_kept_free(self):
        self.assertLessEqual(self.most(0.03, ", limit: {bandwidth: 1MB}"), 2)

    def test_a_server_that_complains_gets_few(self):
        refused = []

        def busy(request):
            if len(refused) < 3 and request.method == "PUT":
                refused.append(request.path)
                return reply(503)
            return self.dav(request)
        counting = Counting(busy, 0.02)
        with Hostile(counting) as server:
            world = World(self.directory, server.url)
            contents = world.send(150)
            world.push(codes=None)
            # The run that was told to wait has ended. Within one run: the rest of the first batch.
            for _ in range(5):
                if world.push(codes=None).returncode == 0:
                    break
        self.assertEqual(self.arrived(), contents)
        self.assertEqual(len(refused), 3)


class Limits(Case):
    def test_messages_per_second_out(self):
        counting = Counting(self.dav)
        with Hostile(counting) as server:
            world = World(self.directory, server.url, ", limit: {messages-per-second: 5}")
            contents = world.send(12)
            world.push()
        self.assertEqual(self.arrived(), contents)
        moves = [when for when, method in counting.begun if method == "MOVE"][-12:]
        # 5 at once, then 5 a second later, then 2: never 12 within two seconds.
        self.assertGreater(moves[-1] - moves[0], 1.9)
        self.assertGreater(moves[5] - moves[0], 0.9)

    def test_messages_per_second_in(self):
        for i in range(5):
            self.dav.files[f"{IN}/job{i}.tmp"] = b"RCPT TO:fax#1\r\n\r\n%d\r\n" % i
        wanted = sorted(self.dav.under(IN).values())
        counting = Counting(self.dav)
        with Hostile(counting) as server:
            world = World(self.directory, server.url, ", limit: {messages-per-second: 2}")
            world.mds.run("ums-fetch", "--from", "k1")
        self.assertEqual(world.incoming(), wanted)
        gets = [when for when, method in counting.begun if method == "GET"]
        self.assertGreater(gets[-1] - gets[0], 1.9)

    def test_less_than_one_a_second(self):
        counting = Counting(self.dav)
        with Hostile(counting) as server:
            world = World(self.directory, server.url, ", limit: {messages-per-second: 0.5}")
            contents = world.send(2)
            world.push()
        self.assertEqual(self.arrived(), contents)
        moves = [when for when, method in counting.begun if method == "MOVE"]
        self.assertGreater(moves[-1] - moves[-2], 1.9)

    def test_bandwidth_of_webdav(self):
        """300 kB at 100 kB/s, of which each of two connections has half."""
        counting = Counting(self.dav)
        with Hostile(counting) as server:
            world = World(self.directory, server.url, ", limit: {bandwidth: 100kB}")
            contents = world.send(1, 300_000)
            begin = time.monotonic()
            world.push()
            self.assertGreater(time.monotonic() - begin, 3)
            self.assertEqual(self.arrived(), contents)
            for i in range(4):
                self.dav.files[f"{IN}/job{i}.tmp"] = b"RCPT TO:fax#1\r\n\r\n%d" % i * 4000
            wanted = sorted(self.dav.under(IN).values())
            world.mds.run("ums-fetch", "--from", "k1")
        self.assertEqual(world.incoming(), wanted)
        gets = [when for when, method in counting.begun if method == "GET"][-4:]
        self.assertGreater(gets[-1] - gets[0], 0.002 * len(wanted[0]) / 100)

    def test_bandwidth_of_smb(self):
        with Samba(self.directory) as server:
            out, inbox = os.path.join(server.root, OUT), os.path.join(server.root, IN)
            for path in (out, inbox):
                os.makedirs(path)
            for path in (os.path.dirname(out), out, inbox):
                shutil.chown(path, server.unix)
            world = World(self.directory, server.url, f", auth: {{user: {server.user}, password-file: {server.password_file}}}"
                                                      ", limit: {bandwidth: 100kB}")
            content = world.send(1, 300_000)[0]
            begin = time.monotonic()
            world.push()
            self.assertGreater(time.monotonic() - begin, 3)
            there = os.path.join(out, os.listdir(out)[0])
            with open(there, "rb") as one:
                self.assertEqual(one.read(), content)
            os.rename(there, os.path.join(inbox, "job.tmp"))
            begin = time.monotonic()
            world.mds.run("ums-fetch", "--from", "k1")
            self.assertGreater(time.monotonic() - begin, 3)
        self.assertEqual(world.incoming(), [content])


if __name__ == "__main__":
    unittest.main()
