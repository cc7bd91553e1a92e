#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ums-push and ums-fetch over connections that are cut or stalled after N bytes, in front of real servers.

For each direction N goes over every byte that the undisturbed run sends, but of the messages themselves only over every
1,024th; the usual run takes a sample of that, UMS_ALL=1 (tests/long cuts) all for nginx, every third for Apache, and every seventh for Samba,
whose runs log in anew; a stall costs its deadline, so that is tried at every 64th, and of Samba every 256th. After the
fault the tools run again, undisturbed, until nothing is left: then every message is there exactly once, byte for byte, and
the source, the stage directory and the spool are clean.

A server of another kind is one more Side.
"""

import collections
import contextlib
import os
import shutil
import sys
import time
import unittest

from installation import Installation
from proxy import Cutter
from samba import SHARE, Samba
from servers import Apache, Certificates, Nginx, scratch_directory

ALL = os.environ.get("UMS_ALL") == "1"
MOST_RUNS = 8

# What a sweep needs of a server: the port that is cut, the directory that the kernel's url leads to, that url for the
# port of the cutter, how long a login may take, the keys of the kernel that this kind needs, and who owns the files there.
Side = collections.namedtuple("Side", "name port root url connect options owner")


def side_of(server, url, connect, options):
    status = os.stat(server.root)
    return Side(server.name, server.port, server.root, url, connect, options, (status.st_uid, status.st_gid))


def dav_side(server):
    return side_of(server, lambda port: f"dav://127.0.0.1:{port}/", "500ms", "")


def smb_side(server):
    return side_of(server, lambda port: f"smb://127.0.0.1:{port}/{SHARE}", "3s",
                   f", auth: {{user: {server.user}, password-file: {server.password_file}}}")


FEW = (100, 2500)
MANY = (100, 200, 1500, 10, 30, 3000, 50, 70, 90)  # so many are claimed into a basket, by WebDAV


class World:
    """An MDS with one kernel behind a cutter. push() and fetch() are one case each."""

    def __init__(self, directory, side, cutter):
        self.side = side
        self.cutter = cutter
        self.mds = Installation(directory, config=f"""
kernels:
  k1: {{url: '{side.url(cutter.port)}', limit: {{connections: 1, connect: {side.connect}, answer: 200ms, stall: 200ms}}{side.options}}}
connectors:
  ExConn: {{root: '{directory}/CR', numbers: ['*']}}
sites:
  munich: {{kernels: [k1]}}
routes:
  - {{to: munich}}
""")
        self.case = 0
        self.streams = {}  # what the last disturbed run has sent
        self.out = os.path.join(side.root, "R_ExConn", "Out")
        self.inbox = os.path.join(side.root, "R_ExConn", "In")
        for path in (os.path.dirname(self.inbox), self.inbox):
            os.makedirs(path, exist_ok=True)
            os.chown(path, *side.owner)
        self.mds.run("ums-push", "--to", "k1")  # makes the spool
        self.queue = os.path.join(self.mds.spool, "kernel", "k1")
        os.makedirs(os.path.join(self.queue, "new"), exist_ok=True)

    def messages(self, sizes):
        self.case += 1
        return [b"RCPT TO:fax#+49 89 %d\r\nX-Case: %d\r\n\r\n" % (i, self.case) + b"%d" % i * size + b"\r\n"
                for i, size in enumerate(sizes)]

    def files(self, directory):
        found = []
        if os.path.isdir(directory):
            for name in sorted(os.listdir(directory)):
                with open(os.path.join(directory, name), "rb") as one:
                    found.append(one.read())
        return found

    def left(self):
        """Files; a basket of which nobody knows what is still on its way stands empty for ten minutes."""
        return [name for _, _, names in os.walk(self.inbox) for name in names]

    def entries(self):
        return [name for state in ("new", "sending", "publishing", "hold") for name in self.listed(os.path.join(self.queue, state))]

    @staticmethod
    def listed(directory):
        return os.listdir(directory) if os.path.isdir(directory) else []

    @staticmethod
    def empty(directory):
        for name in World.listed(directory):
            os.remove(os.path.join(directory, name))

    def disturbed(self, tool, arguments, fault):
        self.cutter.arm(*fault)
        done = self.mds.run(tool, *arguments, codes=None, timeout=60)
        fired = self.cutter.fired
        self.streams = {direction: bytes(passed) for direction, passed in self.cutter.passed.items()}
        self.cutter.arm()
        self.cutter.end_all()
        if done.returncode < 0 or done.returncode == 70:
            raise AssertionError(f"{tool} ended with {done.returncode}: {done.stderr}")
        return fired, done

    def push(self, fault=(), sizes=FEW):
        contents = self.messages(sizes)
        for i, content in enumerate(contents):
            name = f"{1795406406000000 + self.case}.cutcase{i}.BER1,c=ExConn"
            with open(os.path.join(self.queue, "new", name), "wb") as out:
                out.write(content)
        fired, first = self.disturbed("ums-push", ("--to", "k1"), fault)
        said = [first.stdout + first.stderr]
        taken = []
        for _ in range(MOST_RUNS):
            if self.case % 2 == 0:  # the kernel is quick, and what is published again would be sent again
                taken += self.files(self.out)
                self.empty(self.out)
            if not self.entries():
                break
            again = self.mds.run("ums-push", "--to", "k1", codes=None, timeout=60)
            said.append(again.stdout + again.stderr)
        left = self.entries()
        found = taken + self.files(self.out)
        if left or sorted(found) != sorted(contents):
            raise AssertionError(f"{fault}: left {left}; {len(found)} of {len(contents)} arrived, {len(set(found))} different; "
                                 + b"\n--\n".join(said).decode(errors="replace"))
        self.empty(self.out)
        return fired

    def fetch(self, fault=(), sizes=FEW):
        contents = self.messages(sizes)
        for i, content in enumerate(contents):
            partial = os.path.join(self.side.root, ".writing")
            with open(partial, "wb") as out:
                out.write(content)
            os.chown(partial, *self.side.owner)
            os.rename(partial, os.path.join(self.inbox, f"job{self.case}-{i}.tmp"))
        fired, first = self.disturbed("ums-fetch", ("--from", "k1"), fault)
        said = [first.stdout + first.stderr]
        incoming = os.path.join(self.mds.spool, "incoming", "new")
        for _ in range(MOST_RUNS):
            if not self.left() and len(said) > 1:
                break
            again = self.mds.run("ums-fetch", "--from", "k1", codes=None, timeout=60)
            said.append(again.stdout + again.stderr)
        found = self.files(incoming)
        notes = [name for _, _, names in os.walk(os.path.join(self.mds.spool, "state", "fetch")) for name in names]
        if self.left() or notes or sorted(found) != sorted(contents):
            raise AssertionError(f"{fault}: at the source {self.left()}, notes {notes}; {len(found)} of "
                                 f"{len(contents)} arrived, {len(set(found))} different; " + b"\n--\n".join(said).decode(errors="replace"))
        self.empty(incoming)
        return fired


def positions(stream, bodies):
    """Every byte of the stream, but of the messages in it every 1,024th alone."""
    skipped = set()
    for body in bodies:
        start = stream.find(body)
        if start >= 0:
            skipped.update(at for at in range(start + 1, start + len(body)) if (at - start) % 1024)
    return [at for at in range(len(stream)) if at not in skipped]


def sample(values, count):
    if ALL or len(values) <= count:
        return values
    return [values[i * len(values) // count] for i in range(count)]


class Cuts(unittest.TestCase):
    def sweep(self, side, cut_step=1, stall_step=64):
        with scratch_directory() as directory, Cutter(("127.0.0.1", side.port)) as cutter:
            world = World(directory, side, cutter)
            cases = [("push", world.push, FEW), ("fetch", world.fetch, FEW)]
            if side.name != "samba":
                cases.append(("fetch of many", world.fetch, MANY))
            for name, work, sizes in cases:
                def case(fault=(), work=work, sizes=sizes):
                    return work(fault, sizes)
                case()  # directories are made, the server is known
                case()
                streams = world.streams
                bodies = [b"%d" % i * size for i, size in enumerate(sizes)]
                if sizes is MANY:  # their requests are like one another
                    cut_step, stall_step = 7 * cut_step, 7 * stall_step
                for direction in ("up", "down"):
                    every = positions(streams[direction], bodies)
                    self.assertGreater(len(every), 500, f"{name} {direction}: too little was recorded")
                    for kind, most, step in (("cut", 16, cut_step), ("stall", 3, stall_step)):
                        chosen = sample(every[::step] if ALL else every, most)
                        start = time.monotonic()
                        fired = 0
                        for at in chosen:
                            with self.subTest(side=side.name, tool=name, direction=direction, kind=kind, at=at):
                                fired += case((direction, at, kind))
                        print(f"  {side.name} {name} {direction}: {fired} of {len(chosen)} {kind} "
                              f"({len(streams[direction])} bytes, {time.monotonic() - start:.1f} s)", file=sys.stderr)
                        # Near the end a run may need less than the recorded one, whose servers said the time of day.
                        self.assertGreater(fired, 0.9 * len(chosen))

    def test_nginx(self):
        with scratch_directory() as d, Nginx(d, Certificates(d), auth="none") as server:
            self.sweep(dav_side(server))

    def test_samba(self):
        with scratch_directory() as d, Samba(d) as server:
            self.sweep(smb_side(server), cut_step=7, stall_step=256)

    def test_apache(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="none") as server:
            self.sweep(dav_side(server), cut_step=3)


if __name__ == "__main__":
    unittest.main()
