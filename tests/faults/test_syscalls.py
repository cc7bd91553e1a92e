#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every system call of every tool, once: its process is killed before it and after it, and it fails with each error.

What was accepted is somewhere at every moment, and after runs without faults each message has arrived once, byte for byte; one
more run changes nothing. Each case proves that its fault fired. UMS_ALL=1: every call; else every UMS_STEP-th case.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys

import rooms
from installation import TOOLS
from patience import within
from rooms import Rooms, message, write
from sweep import Sweep, Violation

INJECT = os.path.join(os.environ.get("UMS_BUILD", ""), "tests", "inject")
STEP = 1 if rooms.ALL else int(os.environ.get("UMS_STEP", "401"))
CONFIG = """
sites:
  munich: {kernels: [k1, k2], hold-down: 0s}
  vienna: {kernels: [k2], hold-down: 0s, numbering: {country: 43, area: 1, blocked: '+49*'}}
routes:
  - {recipient: '+43*', to: vienna}
  - {to: munich}
"""
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EMFILE", "EINTR", "EACCES")
KILLS = ("kill", "kill-after", "kill-one")
# Calls that no error of a disk, a directory or a descriptor ends, or whose failure means something else. A process can be killed before them all the same.
NEVER_FAIL = {"mmap", "poll", "ppoll", "select", "wait4", "clone", "clone3", "fork", "vfork", "execve", "prlimit64",
              "getrandom", "epoll_wait", "getcwd"}
MOVES_BYTES = {"read", "write", "pread64", "pwrite64", "sendfile", "copy_file_range", "sendto", "recvfrom"}
# What a run may end with: it says what is wrong, and is no crash.
CODES = {0, 1, 65, 69, 73, 74, 75, 77, 78}
MARK = b"X-UMS-Possible-Duplicate: yes\r\n"
RECIPIENTS = ("fax#+49 89 1", "fax#+43 1 2")


class World(Rooms):
    """A place that can be put back to how it was."""

    def __init__(self, directory):
        super().__init__(directory, ("k1", "k2"), CONFIG, mds=", in-doubt: {sms: resend}", kernel_options=", recall: yes")
        self.may_be_marked = False  # a person sends one again, in this scene

    def environment(self):
        # A leak check at exit would be traced as well, and cannot be.
        return dict(super().environment(), ASAN_OPTIONS="detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", ""))

    def hand_over(self):
        write(os.path.join(self.out(), "one.tmp"), message(1, [RECIPIENTS[0]]))
        write(os.path.join(self.out(), "both.tmp"), message(2, RECIPIENTS, body=b"x" * 70_000))
        write(os.path.join(self.out("SapConn"), "vienna.tmp"), message(3, [RECIPIENTS[1]], extra=b"Importance: high\r\n"))
        write(os.path.join(self.kernel_in("k1"), "incoming.tmp"), message(4, ["fax#+49 8142 1"]))
        write(os.path.join(self.kernel_in("k2", "SapConn"), "incoming2.tmp"), message(5, ["voc#+49 8142 2"]))

    def expected(self):
        """What lies in the kernels' Out, and in the connectors' In, when all has arrived."""
        return {"kernels": digests([message(1, [RECIPIENTS[0]]), message(2, [RECIPIENTS[0]], body=b"x" * 70_000),
                                    message(2, [RECIPIENTS[1]], body=b"x" * 70_000),
                                    message(3, [RECIPIENTS[1]], extra=b"Importance: high\r\n")]),
                "connectors": digests([message(4, ["fax#+49 8142 1"]), message(5, ["voc#+49 8142 2"])])}

    def arrived(self):
        kernels = [c for k in self.kernels for connector in rooms.CONNECTORS for c in self.delivered(k, connector)]
        if self.may_be_marked:
            kernels = [c.replace(MARK, b"") for c in kernels]
        return {"kernels": digests(kernels), "connectors": digests([c for one in rooms.CONNECTORS for c in self.received(one)])}

    def contents(self):
        """Of every file that may be a message: at a source, in the spool, or where it arrived."""
        places = [self.root] + list(self.kernels.values())
        for top in places:
            for directory, _, names in os.walk(top):
                if "/.BER1" in directory:
                    continue
                for name in names:
                    yield os.path.join(directory, name)
        for directory, _, names in os.walk(self.spool):
            if os.path.basename(directory) not in ("new", "sending", "publishing", "hold") or directory.startswith(os.path.join(self.spool, "sent")):
                continue
            for name in names:
                if not name.endswith(".why"):
                    yield os.path.join(directory, name)

    def somewhere(self):
        """Pairs of message and recipient that are anywhere."""
        found = set()
        for path in self.contents():
            text = rooms.read(path)
            number = re.search(rb"^X-Test: (\d+)\r$", text, re.M)
            if number:
                found.update((int(number.group(1)), r.decode()) for r in re.findall(rb"^RCPT TO:(.*)\r$", text, re.M))
        return found

    def parked(self):
        return [n for q in ("failed", "noroute") for n in self.queue(q)] + [
            n for kind in ("kernel", "connector", "site") for q in self.names(kind) for n in self.queue(f"{kind}/{q}", "hold")]

    def names(self, kind):
        path = os.path.join(self.spool, kind)
        return os.listdir(path) if os.path.isdir(path) else []

    def end_pauses(self):
        """As if the pauses after refusals were over."""
        for directory, _, names in os.walk(self.spool):
            for name in names:
                if re.search(r",t=\d+", name):
                    os.rename(os.path.join(directory, name), os.path.join(directory, re.sub(r",t=\d+", "", name)))

    def recover(self, by_hand):
        expected = self.expected()
        for _ in range(8):
            # What a person had begun, a person ends.
            if by_hand == "hold":
                self.run("ums-spool", "release", "-", codes=None, stdin=self.run("ums-spool", "list", "--hold", "-q").stdout)
            elif by_hand == "settle":
                self.run("ums-failover", "settle", "--send-again", "-", codes=None, stdin=self.run("ums-spool", "list", "--in-doubt", "-q").stdout)
            for name in TOOLS:
                self.run(name, "-q", codes=None)
            if self.arrived() == expected and not self.leftovers_of_messages():
                return True
            self.end_pauses()
        return False

    def leftovers_of_messages(self):
        # Who dies while he puts a message on hold leaves its reason, for an hour.
        return [x for x in self.leftovers() if not x.startswith("sent/new/") and not x.endswith(".why")] + [
            n for one in rooms.CONNECTORS for n in os.listdir(self.out(one))] + [
            os.path.join(d, n) for k in self.kernels.values() for d, _, names in os.walk(k) if d.endswith("/In") for n in names]


def digests(contents):
    return sorted(hashlib.sha256(c).hexdigest() for c in contents)


def inventory(top):
    """Names and sizes below, to see whether anything was done at all."""
    found = {}
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            found[path] = (status.st_size, status.st_ino, status.st_mtime_ns)
        found[directory] = None
    return found


# How each tool is met: what runs before it, and its arguments. `done`: what it must have done if it ends with 0.
def stage(*before):
    def prepare(world):
        world.hand_over()
        for name in before:
            world.run(name, codes=(0, 75))
        return ()
    return prepare


def ids(world, *queues):
    return [n.split(",")[0] for q in queues for n in world.queue(q)]


def held(world):
    stage("ums-fetch", "ums-route")(world)
    world.run("ums-spool", "hold", *ids(world, "site/munich", "site/vienna"))
    return tuple(n.split(",")[0] for s in ("munich", "vienna") for n in world.queue(f"site/{s}", "hold"))


def at_sites(command):
    def prepare(world):
        stage("ums-fetch", "ums-route")(world)
        return (command, *ids(world, "site/munich", "site/vienna"))
    return prepare


def delivered_to_k1(world):
    stage(*TOOLS)(world)
    world.run("ums-failover", "disable", "k1")
    return ()


def in_doubt(world):
    """Killed between publish and end, the kernel away: a person settles."""
    stage("ums-fetch", "ums-route", "ums-failover")(world)
    name = world.queue("kernel/k1")[0]
    path = os.path.join(world.spool, "kernel/k1")
    os.makedirs(os.path.join(path, "publishing"), exist_ok=True)
    os.rename(os.path.join(path, "new", name), os.path.join(path, "publishing", name + ",v=000000nobody"))
    return ("settle", "--send-again", name.split(",")[0])


def gone(world):
    """A kernel that the configuration no longer knows: its queue goes back to routing."""
    stage("ums-fetch", "ums-route", "ums-failover")(world)
    os.rename(os.path.join(world.spool, "kernel/k1"), os.path.join(world.spool, "kernel/old"))
    return ()


def renamed(world, queue, old, new):
    """As if the entries of a queue had had other names."""
    names = [n for n in world.queue(queue) if old in n]
    if not names:
        raise Violation(f"{queue} has no {old}")
    where = os.path.join(world.spool, queue, "new")
    for name in names:
        os.rename(os.path.join(where, name), os.path.join(where, name.replace(old, new)))


def strays(world):
    """Queued as of a site that the configuration no longer knows: decided about anew."""
    stage("ums-fetch", "ums-route", "ums-failover", "ums-sitemap")(world)
    renamed(world, "kernel/k1", ",s=munich", ",s=gone")
    renamed(world, "connector/ExConn", ",s=munich", ",s=gone")
    return ()


def refused(world):
    """Queued for a fallback site that does not send it by now."""
    stage("ums-fetch", "ums-route", "ums-failover", "ums-sitemap")(world)
    renamed(world, "kernel/k1", ",s=munich", ",s=vienna,h=munich")
    kernel = os.path.join(world.spool, "kernel")
    for name in world.queue("kernel/k1"):
        os.rename(os.path.join(kernel, "k1/new", name), os.path.join(kernel, "k2/new", name))
    return ()


SCENES = {
    "fetch": ("ums-fetch", stage()),
    "route": ("ums-route", stage("ums-fetch")),
    "failover": ("ums-failover", stage("ums-fetch", "ums-route")),
    "push": ("ums-push", stage("ums-fetch", "ums-route", "ums-failover", "ums-sitemap")),
    "sitemap": ("ums-sitemap", stage("ums-fetch")),
    "recall": ("ums-failover", delivered_to_k1),
    "rescue": ("ums-failover", gone),
    "strays": ("ums-failover", strays),
    "refused": ("ums-push", refused),
    "settle": ("ums-failover", in_doubt),
    "hold": ("ums-spool", at_sites("hold")),
    "release": ("ums-spool", lambda world: ("release", *held(world))),
    "requeue": ("ums-spool", at_sites("requeue")),
}


class Place:
    """Where one process works: a world, and how it was before each scene."""

    def __init__(self, directory):
        self.directory = directory
        self.case = os.path.join(directory, "case")
        self.scenes = {}
        self.report = os.path.join(directory, "report")

    def scene(self, name):
        if name not in self.scenes:
            shutil.rmtree(self.case, ignore_errors=True)
            os.mkdir(self.case)
            world = World(self.case)
            arguments = SCENES[name][1](world)
            world.may_be_marked = name == "settle"
            kept = os.path.join(self.directory, "scene-" + name)
            os.rename(self.case, kept)
            self.scenes[name] = (world, arguments, kept)
        return self.scenes[name]

    def run(self, name, fault, number):
        world, arguments, kept = self.scene(name)
        shutil.rmtree(self.case, ignore_errors=True)
        shutil.copytree(kept, self.case, symlinks=True)
        before = inventory(self.case)
        program = rooms.tool(SCENES[name][0])
        done = subprocess.run([INJECT, self.report, world.config, fault, str(number), program, *arguments], env=world.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=within(120), check=False)
        if done.returncode == 125:
            raise Violation("nothing can be traced here: " + done.stderr.decode(errors="replace"))
        with open(self.report, encoding="ascii") as report:
            lines = report.read().splitlines()
        return world, before, done, lines

    def calls(self, name):
        _, _, done, lines = self.run(name, "none", 0)
        if done.returncode not in (0, 75):
            raise Violation(f"{name} without a fault ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
        return lines

    def has_crashed(self, fault, call, done):
        # Where threads take other turns than when they were counted, it may be a call that cannot fail.
        return fault not in KILLS and done.returncode not in CODES and call not in NEVER_FAIL and not call.isdigit()

    def check(self, name, fault, number):
        """Whether it fired, in which call, and whether anything had been done. Raises Violation."""
        world, before, done, lines = self.run(name, fault, number)
        if not lines:
            return None
        call = lines[0].split()[1]
        said = (done.stdout + done.stderr).decode(errors="replace")
        where = f"{name}: {fault} at call {number} ({call}), ended with {done.returncode}\n{said[-2000:]}"
        pairs = {(1, RECIPIENTS[0]), (2, RECIPIENTS[0]), (2, RECIPIENTS[1]), (3, RECIPIENTS[1]), (4, "fax#+49 8142 1"), (5, "voc#+49 8142 2")}
        missing = pairs - world.somewhere()
        if missing:
            raise Violation(f"{where}\nnowhere: {missing}")
        if self.has_crashed(fault, call, done):
            raise Violation(f"{where}\nno code that the manual knows")
        if fault not in KILLS and done.returncode != 0 and not said:
            raise Violation(f"{where}\nit did not say why")
        if inventory(self.case) == before and fault in (*KILLS, "malloc"):
            return call, "untouched"
        recovered = world.recover({"hold": "hold", "release": "hold", "settle": "settle"}.get(name))
        if not recovered:
            parked = world.parked()
            if parked and not world.leftovers_of_messages():
                return call, "parked"
            expected, arrived = world.expected(), world.arrived()
            raise Violation(f"{where}\nnot recovered: {world.leftovers_of_messages()}\n" +
                            "".join(f"{len(expected[at])} expected at the {at}, {len(arrived[at])} arrived\n" for at in expected if expected[at] != arrived[at]) +
                            world.run("ums-spool", "list", codes=None).stdout.decode())
        for tool_name in TOOLS:
            world.run(tool_name, "-q", codes=None)
        if world.arrived() != world.expected() or world.leftovers_of_messages():
            raise Violation(f"{where}\nanother run changed something: {world.leftovers_of_messages()}")
        return call, "recovered"


def cases_of(name, calls):
    for number, call in enumerate(calls, 1):
        for fault in KILLS:
            yield name, fault, number
        if call.isdigit() or call in NEVER_FAIL:
            continue
        for fault in ERRORS:
            yield name, fault, number
        if call in MOVES_BYTES:
            yield name, "short", number


def main():
    if not os.path.exists(INJECT):
        raise SystemExit("UMS_BUILD must name a build with tests: there is no " + INJECT)
    Sweep(Place, sys.argv[1:] or list(SCENES), cases_of, "system calls", lambda cases: cases[::STEP]).run()


if __name__ == "__main__":
    main()
