# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of common/transport, used from a test: one call at a time, or the whole conformance suite."""

import os
import re
import subprocess

from installation import Installation
from servers import PASSWORD, scratch_directory

PROGRAMS = os.path.join(os.environ["UMS_BUILD"], "tests")
WRONG = "not-the-one"


def environment(url, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UMS_STORE_")}
    # A proxy of the environment must not be used: nothing listens there.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    return {**kept, **nowhere, "UMS_STORE_URL": url, **{"UMS_STORE_" + k.upper(): str(v) for k, v in more.items()}}


class Caller:
    """store_call with one store: call() gives the lines that an operation printed, split at tabs."""

    def __init__(self, url, **more):
        self._process = subprocess.Popen([os.path.join(PROGRAMS, "store_call")], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                         env=environment(url, **more))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        out, err = self._process.communicate()
        if self._process.returncode != 0:
            raise AssertionError(f"store_call ended with {self._process.returncode}: {out}{err}")

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        self._process.kill()
        self._process.communicate()

    def call(self, *words):
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()
        lines = []
        while (line := self._process.stdout.readline()) not in (".\n", ""):
            lines.append(line.rstrip("\n").split("\t"))
        return lines

    def verdict(self, *words):
        """The verdict and the text of an operation with one answer."""
        answer = self.call(*words)[-1]
        return answer[0], answer[2]


def wrong_password(directory):
    """A password file with another password than a server's."""
    path = os.path.join(directory, "wrong-password")
    with open(path, "w", encoding="utf-8") as out:
        out.write(WRONG + "\n")
    return path


class Calls:
    """Of a test case: one operation, its verdict, and a text that tells no password."""

    def check(self, url, operation, verdict, text="", **more):
        with Caller(url, **more) as caller:
            got, said = caller.verdict(*operation)
        self.assertEqual(got, verdict, said)
        self.assertIn(text, said)
        self.assertNotIn(PASSWORD, said)
        self.assertNotIn(WRONG, said)


def conform(test, url, tests="[conformance]", **more):
    """store_conformance against one store."""
    done = subprocess.run([os.path.join(PROGRAMS, "store_conformance"), tests], env=environment(url, **more),
                          capture_output=True, text=True, check=False)
    test.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-6000:])
    test.assertIn("All tests passed", done.stdout)


def check_recall(test, server, url, tls=""):
    """What ums-push gave to a kernel on this server, and the kernel has not fetched, goes to another one."""
    with scratch_directory() as directory:
        inbox = os.path.join(directory, "C", "Ex", "Out")
        os.makedirs(inbox)
        other = os.path.join(directory, "k2")
        os.mkdir(other)
        mds = Installation(directory, config=f"kernels:\n  k1: {{url: '{url}', recall: yes, auth: {{user: {server.user}, password-file: {server.password_file}}}{tls}}}\n"
                           f"  k2: {{url: 'file:{other}'}}\nconnectors: {{Ex: {{root: '{directory}/C', numbers: ['*']}}}}\n"
                           "sites: {s: {kernels: [k1, k2], hold-down: 0s}}\nroutes: [{to: s}]\n")
        contents = [b"RCPT TO:fax#+49 89 1\r\n\r\nnumber %d\r\n" % i + b"x" * (i * 1000) for i in range(40)]
        for i, content in enumerate(contents):
            with open(os.path.join(inbox, f"{i}.tmp"), "wb") as out:
                out.write(content)
        mds.passes()
        lying = os.path.join(server.root, "R_Ex", "Out")
        test.assertEqual(len(os.listdir(lying)), len(contents))
        mds.run("ums-failover", "disable", "k1")
        # A pass takes back for some seconds at most; the next one goes on.
        taken = 0
        for _ in range(20):
            done = mds.run("ums-failover", codes=(0, 75))
            taken += sum(int(count) for count in re.findall(rb"(\d+) messages? w\w+ taken back from 'k1'", done.stderr))
            if done.returncode == 0:
                break
        test.assertEqual(taken, len(contents), done.stderr)
        test.assertEqual(os.listdir(lying), [])
        test.assertEqual(os.listdir(os.path.join(server.root, ".BER1")), ["owner"])
        mds.run("ums-push")
        arrived = os.path.join(other, "R_Ex", "Out")
        found = []
        for name in os.listdir(arrived):
            with open(os.path.join(arrived, name), "rb") as file:
                found.append(file.read())
        test.assertEqual(sorted(found), sorted(contents))
