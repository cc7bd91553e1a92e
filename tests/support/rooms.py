# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for one test: an MDS whose kernels and connectors are plain directories, and how it is looked at."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from installation import BIN, Installation, tool
from patience import within

ALL = os.environ.get("UMS_ALL") == "1"
# What a terminal would act on. Tabs and line ends make up the output itself.
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
CONNECTORS = ("ExConn", "SapConn")
ONE_SITE = """
sites:
  munich: {kernels: [k1], hold-down: 0s}
routes:
  - {to: munich}
"""


def message(number, recipients=("fax#+49 89 1",), extra=b"", body=b""):
    head = b"MAIL FROM:sales@example.com\r\n" + b"".join(b"RCPT TO:%s\r\n" % r.encode() for r in recipients)
    return head + extra + b"X-Test: %d\r\n\r\n" % number + body + b"body of %d\r\n" % number


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    """Whole at once, as a careful writer does it."""
    directory, name = os.path.split(path)
    partial = os.path.join(directory, ".writing")
    with open(partial, "wb") as file:
        file.write(content)
    os.rename(partial, path)


def tree(*tops):
    """Everything below: path -> what it is and holds, but no times. For before-and-after comparisons."""
    found = {}
    for top in tops:
        for directory, directories, names in os.walk(top):
            for name in directories:
                found[os.path.join(directory, name)] = "directory"
            for name in names:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                content = hashlib.sha256(read(path)).hexdigest() if os.path.isfile(path) and not os.path.islink(path) else ""
                found[path] = f"{status.st_mode:o} {status.st_ino} {status.st_mtime_ns} {content}"
    return found


class Rooms(Installation):
    """Kernels k1, k2, ... below kernels/, connectors ExConn and SapConn below CR/."""

    def __init__(self, directory, kernels=("k1",), config=ONE_SITE, mds="", name="mds", kernel_options="",
                 connectors="  ExConn: {{root: '{root}', numbers: ['*']}}\n  SapConn: {{root: '{root}'}}\n", settle="0s"):
        super().__init__(directory, name=name)
        self.root = os.path.join(directory, "CR")
        self.kernels = {k: os.path.join(directory, "kernels", k) for k in kernels}
        for path in self.kernels.values():
            os.makedirs(path, exist_ok=True)
        for one in CONNECTORS:
            os.makedirs(self.out(one), exist_ok=True)
            os.makedirs(self.inbox(one), exist_ok=True)
        # Entries that tests make have fixed times of arrival.
        mds = mds if "expire" in mds else mds + ", expire: 36500d"
        lines = [f"mds: {{id: BER1, spool: '{self.spool}', settle: {settle}, numbering: {{country: 49, area: 8142}}{mds}}}", "kernels:"]
        lines += [f"  {k}: {{url: 'file:{path}', check: {{interval: 10s, timeout: 2s, fall: 2, rise: 1}}{kernel_options}}}"
                  for k, path in self.kernels.items()]
        text = "\n".join(lines) + "\nconnectors:\n" + connectors.format(root=self.root) + config
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def out(self, connector="ExConn"):
        return os.path.join(self.root, connector, "Out")

    def inbox(self, connector="ExConn"):
        return os.path.join(self.root, connector, "In")

    def kernel_in(self, kernel="k1", connector="ExConn"):
        path = os.path.join(self.kernels[kernel], "R_" + connector, "In")
        os.makedirs(path, exist_ok=True)
        return path

    def kernel_out(self, kernel="k1", connector="ExConn"):
        return os.path.join(self.kernels[kernel], "R_" + connector, "Out")

    def queue(self, queue, state="new"):
        """Entries of a queue in one state, as names."""
        path = os.path.join(self.spool, queue, state)
        return sorted(n for n in (os.listdir(path) if os.path.isdir(path) else []) if not n.endswith(".why"))

    def entry(self, queue, name):
        return read(os.path.join(self.spool, queue, "new", name))

    def place(self, queue, name, content, state="new"):
        """An entry put into the spool by hand, which is made if there is none yet."""
        path = os.path.join(self.spool, queue, state)
        os.makedirs(self.spool, exist_ok=True)
        write(os.path.join(self.spool, "VERSION"), b"ums-spool 1\n")
        os.makedirs(path, exist_ok=True)
        write(os.path.join(path, name), content)
        return name

    def delivered(self, kernel="k1", connector="ExConn"):
        path = self.kernel_out(kernel, connector)
        return sorted(read(os.path.join(path, n)) for n in (os.listdir(path) if os.path.isdir(path) else []))

    def received(self, connector="ExConn"):
        return sorted(read(os.path.join(self.inbox(connector), n)) for n in os.listdir(self.inbox(connector)))


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp(prefix="ums-tools."))
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def rooms(self, *arguments, **options):
        return Rooms(self.directory, *arguments, **options)

    def start(self, rooms, name, *arguments, **options):
        """A process that is ended with the test, if it has not ended itself."""
        process = rooms.start(name, *arguments, **options)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()

        self.addCleanup(end)
        return process

    def run_clean(self, rooms, name, *arguments, codes=(0,), **options):
        """A run whose output a terminal can be shown."""
        done = rooms.run(name, *arguments, codes=codes, **options)
        self.assertIsNone(CONTROL.search(done.stdout), done.stdout)
        self.assertIsNone(CONTROL.search(done.stderr), done.stderr)
        return done

    def json_lines(self, rooms, name, *arguments, codes=(0,), **options):
        done = self.run_clean(rooms, name, *arguments, codes=codes, **options)
        lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
        for line in lines:
            self.assertIsInstance(line, dict)
        return lines

    def wait_until(self, condition, seconds, what):
        end = time.monotonic() + within(seconds)
        while not condition():
            if time.monotonic() > end:
                self.fail(f"not within {seconds} s: {what}")
            time.sleep(0.02)


def shell(rooms, script, **options):
    return subprocess.run(["bash", "-c", script], env=rooms.environment(), stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=within(120), check=False, **options)


def main():
    if not BIN or not os.path.exists(tool("ums-fetch")):
        raise SystemExit("UMS_BIN must name the directory of the programs")
    unittest.main(verbosity=2)
