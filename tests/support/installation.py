# SPDX-License-Identifier: GPL-3.0-or-later
"""An MDS of a test's own: configuration, spool, connectors, and a reckoning of every message.

A Ledger knows each message that was handed over and finds it again by its content, wherever it came to lie, so that a
test can say of all of them: arrived, once, byte for byte, in the right place.
"""
import hashlib
import math
import os
import random
import signal
import subprocess
import threading
import time

from patience import within

BIN = os.environ.get("UMS_BIN", "")
SOURCE = os.environ.get("UMS_SOURCE", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TOOLS = ("ums-fetch", "ums-route", "ums-failover", "ums-sitemap", "ums-push")
# A message is fine if every later run would find nothing to do; what stands for "another run does it" is fine too.
QUIET_CODES = (0, 75)


def tool(name):
    return os.path.join(BIN, name)


def process_tree(pid):
    """The process and all below it."""
    found = [pid]
    for one in found:
        try:
            with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as children:
                found.extend(int(child) for child in children.read().split())
        except OSError:
            pass
    return found


class Installation:
    def __init__(self, directory, mds_id="BER1", config="", name="mds"):
        self.directory = directory
        self.config = os.path.join(directory, f"{name}.yaml")
        self.spool = os.path.join(directory, f"spool-{name}")
        self.mds_id = mds_id
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(f"mds: {{id: {mds_id}, spool: '{self.spool}', settle: 0s, numbering: {{country: 49, area: 8142}}}}\n" + config)

    def environment(self):
        return dict(os.environ, UMS_CONFIG=self.config, PATH=BIN + ":" + os.environ["PATH"], LC_ALL="C.UTF-8", TZ="UTC")

    def start(self, name, *arguments, **options):
        # For processes that a test may kill: a leak check at exit that loses its helper process waits for ever.
        environment = dict(self.environment(), ASAN_OPTIONS="detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", ""))
        return subprocess.Popen([tool(name), *arguments], env=environment, stdin=subprocess.DEVNULL, **options)

    def run(self, name, *arguments, codes=(0,), stdin=b"", timeout=300, **options):
        done = subprocess.run([tool(name), *arguments], env=self.environment(), input=stdin, capture_output=True,
                              timeout=within(timeout), check=False, **options)
        if codes is not None and done.returncode not in codes:
            raise AssertionError(f"{name} {arguments} ended with {done.returncode}\n{done.stdout.decode(errors='replace')[-3000:]}"
                                 f"\n{done.stderr.decode(errors='replace')[-6000:]}")
        return done

    def passes(self, count=1, codes=QUIET_CODES):
        for _ in range(count):
            for name in TOOLS:
                self.run(name, codes=codes)

    def listed(self, *arguments):
        return self.run("ums-spool", "list", "-q", *arguments).stdout.decode().splitlines()

    def drain(self, seconds=300):
        """Passes until the spool and the connectors' Out are empty."""
        end = time.monotonic() + within(seconds)
        while True:
            self.passes(codes=None)
            if not self.listed() and not self.leftovers():
                return
            if time.monotonic() > end:
                raise AssertionError(f"still in the spool: {self.leftovers()}\n" + self.run("ums-spool", "list").stdout.decode()[:4000])

    def leftovers(self):
        """Files of the spool that are neither entries nor state that may stay."""
        found = []
        for directory, _, names in os.walk(self.spool):
            relative = os.path.relpath(directory, self.spool)
            if relative.split(os.sep)[0] == "state" and relative.split(os.sep)[:2] != ["state", "fetch"]:
                continue
            found += [os.path.join(relative, n) for n in names if n not in ("lock", "VERSION")]
        return found


class Ledger:
    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.expected = {}  # digest -> (where, label)
        self.count = 0

    def body(self, size):
        """Base64-like lines; cheap to make, no two the same."""
        block = self.random.randbytes(3000).hex().encode()
        lines = b"\r\n".join(block[i:i + 76] for i in range(0, len(block), 76)) + b"\r\n"
        return (lines * (size // len(lines) + 1))[:size]

    def size(self, smallest, largest):
        return int(math.exp(self.random.uniform(math.log(smallest), math.log(largest))))

    def message(self, recipients, size, extra=b""):
        self.count += 1
        head = b"MAIL FROM:sales@example.com\r\n"
        head += b"".join(b"RCPT TO:%s\r\n" % r.encode() for r in recipients)
        head += extra + b"Subject: =?utf-8?q?Nummer_%d?=\r\nX-Test: %d\r\nMIME-Version: 1.0\r\n\r\n" % (self.count, self.count)
        return head + self.body(max(0, size - len(head)))

    def hand_over(self, directory, content, where, name=None, owner=None):
        """Puts a message into a source directory, whole at once, and expects it at `where` (a key of arrived())."""
        name = name or f"job{self.count:06d}.tmp"
        partial = os.path.join(directory, "." + name + ".part")
        with open(partial, "wb") as out:
            out.write(content)
        if owner:
            os.chown(partial, owner.st_uid, owner.st_gid)
        self.expect(content, where, name)
        # A name that is still there would be overwritten, and the message lost by the test itself.
        assert not os.path.exists(os.path.join(directory, name)), name
        os.rename(partial, os.path.join(directory, name))

    def expect(self, content, where, label=""):
        digest = hashlib.sha256(content).hexdigest()
        assert digest not in self.expected, "two messages of a test must differ"
        self.expected[digest] = (where, label)

    def check(self, places):
        """`places`: where -> directory. Every message lies once in its place, and nothing else lies there."""
        problems = []
        seen = {}
        for where, directory in places.items():
            if not os.path.isdir(directory):
                continue
            for name in os.listdir(directory):
                path = os.path.join(directory, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as stored:
                    digest = hashlib.sha256(stored.read()).hexdigest()
                seen.setdefault(digest, []).append((where, name))
        for digest, (where, label) in self.expected.items():
            found = seen.pop(digest, [])
            allowed = where if isinstance(where, tuple) else (where,)
            if len(found) != 1 or found[0][0] not in allowed:
                problems.append(f"{label} for {where}: found {found}")
        problems += [f"nobody handed over {found}" for found in seen.values()]
        if problems:
            raise AssertionError(f"{len(problems)} of {len(self.expected)} messages:\n" + "\n".join(problems[:20]))
        return len(self.expected)


class Loops:
    """Runs each tool again and again, as several crons would; a tool that was killed is started again at once."""

    def __init__(self, installation, tools=TOOLS, copies=1):
        self.installation = installation
        self.stopping = threading.Event()
        self.running = {}
        self.lock = threading.Lock()
        self.codes = {}
        self.errors = []
        self.threads = [threading.Thread(target=self._loop, args=(name, copy)) for name in tools for copy in range(copies)]

    def _loop(self, name, copy):
        while not self.stopping.is_set():
            process = self.installation.start(name, "-q", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            with self.lock:
                self.running[(name, copy)] = process.pid
            with process.stderr:
                error = process.stderr.read().decode(errors="replace")
            code = process.wait()
            with self.lock:
                self.running.pop((name, copy), None)
                self.codes.setdefault(name, []).append(code)
                if error:
                    self.errors.append(f"{name}: {error}")
            self.stopping.wait(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def kill_one(self, choose):
        """kill -9 for one process of ours, a tool or one of its workers. False if none was there."""
        with self.lock:
            roots = list(self.running.values())
        victims = [pid for root in roots for pid in process_tree(root)]
        if not victims:
            return False
        try:
            os.kill(choose.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True
