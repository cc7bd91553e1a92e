#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SMB store of common/transport against a real Samba."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

from installation import Installation, process_tree
from patience import within
from samba import SHARE, Samba
from servers import PASSWORD, program, scratch_directory
from stores import Caller, Calls, check_recall, conform, wrong_password


def access(server, **more):
    return {"user": server.user, "password_file": server.password_file, "names": "windows", **more}


def workers_of(caller):
    """The children of a store_call: its SMB sessions."""
    return [pid for pid in process_tree(caller.pid) if pid != caller.pid]


class Conformance(unittest.TestCase):
    def conform(self, **options):
        with scratch_directory() as d, Samba(d, **options) as server:
            conform(self, server.url, **access(server))

    def test_smb2(self):
        self.conform(protocol="SMB2_10")

    def test_smb3_signed(self):
        self.conform(signing="mandatory")

    def test_smb3_encrypted(self):
        self.conform(encryption="required")

    def test_one_session_is_enough(self):
        with scratch_directory() as d, Samba(d) as server:
            conform(self, server.url, **access(server, connections=1))

    def test_directory_below_the_share(self):
        with scratch_directory() as d, Samba(d) as server:
            path = os.path.join(server.root, "CR \u00fc 50%", "x")
            os.makedirs(path)
            for one in (os.path.dirname(path), path):
                os.chmod(one, 0o777)
            conform(self, server.url + "/CR%20%C3%BC%2050%25/x", **access(server))


class Recall(unittest.TestCase):
    def test_samba(self):
        with scratch_directory() as d, Samba(d) as server:
            check_recall(self, server, server.url)


class Sessions(Calls, unittest.TestCase):
    """Who is let in, and what becomes of a session that ends."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.directory = cls.stack.enter_context(scratch_directory())
        cls.server = cls.stack.enter_context(Samba(cls.directory))
        cls.wrong = wrong_password(cls.directory)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def test_wrong_password(self):
        for operation in (("look", ""), ("upload", "a", "100000"), ("rename", "a", "b"), ("list", ""), ("mkdir", "m")):
            with self.subTest(operation=operation):
                self.check(self.server.url, operation, "denied", "the user 'mds' was not accepted",
                           **access(self.server, password_file=self.wrong))

    def test_a_wrong_password_is_tried_once_for_all_messages(self):
        before = self.server.log().count("NT_STATUS_WRONG_PASSWORD")
        with Caller(self.server.url, **access(self.server, password_file=self.wrong)) as caller:
            answers = caller.call("upload", *(word for i in range(50) for word in (f"f{i}", "10")))
        self.assertEqual({answer[0] for answer in answers}, {"denied"})
        self.assertEqual(len(answers), 50)
        self.assertLessEqual(self.server.log().count("NT_STATUS_WRONG_PASSWORD") - before, 2)

    def test_no_ticket(self):
        """Without a user, Kerberos; never a silent anonymous session."""
        self.check(self.server.url, ("look", ""), "denied", "no ticket")
        self.check(self.server.url, ("upload", "a", "5"), "denied", "no ticket", **access(self.server, method="negotiate"))

    def test_dead_port(self):
        with socket.socket() as taken:  # bound, and not listening
            taken.bind(("127.0.0.1", 0))
            url = f"smb://127.0.0.1:{taken.getsockname()[1]}/{SHARE}"
            for operation in (("look", ""), ("rename", "a", "b"), ("upload", "a", "5"), ("list", ""), ("remove", "x")):
                self.check(url, operation, "unreachable", "refused", **access(self.server))

    def test_unknown_host(self):
        self.check("smb://no-such-host.invalid/share", ("rename", "a", "b"), "unreachable", **access(self.server))

    def test_unknown_share(self):
        self.check(f"smb://127.0.0.1:{self.server.port}/nothing", ("rename", "a", "b"), "unreachable",
                   **access(self.server))

    def test_old_protocol(self):
        with Samba(self.directory, protocol="NT1", settings=("server min protocol = NT1",)) as server:
            self.check(server.url, ("look", ""), "unreachable", **access(server))

    def test_a_directory_without_rights(self):
        path = os.path.join(self.server.root, "closed")
        os.mkdir(path, 0o555)
        self.check(self.server.url, ("upload", "closed/a", "5"), "denied", **access(self.server))

    def test_no_room(self):
        with scratch_directory() as d, contextlib.ExitStack() as stack:
            server = Samba(d)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", server.root], check=True)
            stack.callback(subprocess.run, ["umount", server.root], check=True)
            stack.enter_context(server)
            self.check(server.url, ("upload", "a", "5000000"), "full", **access(server))

    def sessions_of_server(self):
        found = []
        for pid in process_tree(self.server.pid)[1:]:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="ascii") as name:
                if name.read().startswith("smbd"):
                    found.append(pid)
        return found

    def test_a_dropped_session_is_replaced(self):
        with Caller(self.server.url, **access(self.server)) as caller:
            self.assertEqual(caller.verdict("upload", "first", "1000")[0], "done")
            before = set(workers_of(caller))
            for pid in self.sessions_of_server():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(2.5)  # younger sessions are not asked
            self.assertEqual(caller.verdict("upload", "second", "1000")[0], "done")
            self.assertNotEqual(set(workers_of(caller)), before, "the session was dropped")
            self.assertEqual(caller.verdict("remove", "second")[0], "done")
            self.assertEqual(caller.verdict("remove", "first")[0], "done")

    def test_a_session_that_ends_within_a_request_is_a_doubt(self):
        with Caller(self.server.url, **access(self.server)) as caller:
            self.assertEqual(caller.verdict("upload", "there", "1000")[0], "done")
            for pid in workers_of(caller):
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(caller.verdict("rename", "there", "then")[0], "unknown")
            self.assertEqual(caller.verdict("rename", "there", "then")[0], "done", "a new session")
            self.assertEqual(caller.verdict("remove", "then")[0], "done")

    def test_silence_ends_at_the_deadline(self):
        for operation in (("rename", "a", "b"), ("upload", "a", "5"), ("list", "")):
            with self.subTest(operation=operation), Samba(self.directory) as server, \
                    Caller(server.url, **access(server, answer=1000, stall=1000, connections=1)) as caller:
                self.assertEqual(caller.verdict("look", "")[0], "done")
                tree = process_tree(server.pid)
                for pid in tree:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    start = time.monotonic()
                    verdict, text = caller.verdict(*operation)
                    self.assertEqual(verdict, "unknown", text)
                    self.assertLess(time.monotonic() - start, within(15))
                finally:
                    for pid in tree:
                        os.kill(pid, signal.SIGCONT)

    def test_a_silent_host_does_not_cost_its_deadline_for_each_message(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            start = time.monotonic()
            url = f"smb://127.0.0.1:{listener.getsockname()[1]}/{SHARE}"
            with Caller(url, **access(self.server, connect=1000)) as caller:
                answers = caller.call("upload", *(word for i in range(100) for word in (f"f{i}", "1")))
        self.assertEqual({answer[0] for answer in answers}, {"unreachable"})
        self.assertEqual(len(answers), 100)
        self.assertLess(time.monotonic() - start, within(8))

    def test_nobody_else_can_win_after_a_contested_rename(self):
        """A file that somebody has open could still be renamed by him."""
        with Caller(self.server.url, **access(self.server)) as caller:
            self.assertEqual(caller.verdict("upload", "job.revoked", "1000")[0], "done")
            holder = subprocess.Popen([program("smbclient", "smbclient"), "-s", os.devnull, "-p", str(self.server.port),
                                       f"//127.0.0.1/{SHARE}", "-U", self.server.user + "%" + self.server.password],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                end = time.monotonic() + within(20)
                while (verdict := caller.verdict("download", "job.revoked", "1000"))[0] == "done":
                    holder.stdin.write("open job.revoked\n")  # in vain while the download has it
                    holder.stdin.flush()
                    time.sleep(0.2)
                    self.assertLess(time.monotonic(), end, "smbclient opens the file")
                self.assertEqual(verdict[0], "refused", verdict[1])
                # As after a revocation that was not sure, in the next run.
                answer, held = caller.call("claim", "job", "job.revoked")
                self.assertEqual((answer[0], held), ("unknown", ["held"]), answer)
                self.assertEqual(caller.verdict("rename", "job.revoked", "other")[0], "refused")
            finally:
                holder.communicate("exit\n", timeout=within(20))
            self.assertEqual(caller.call("claim", "job", "job.revoked")[-1][0], "exists", "nobody has it open now")
            self.assertEqual(caller.verdict("download", "job.revoked", "1000")[0], "done")
            self.assertEqual(caller.verdict("remove", "job.revoked")[0], "done")

    def test_a_link_to_another_server_is_not_followed(self):
        """A share can send its clients elsewhere (MS-DFSC): nobody there gets our login, or a message."""
        with scratch_directory() as directory, contextlib.ExitStack() as stack:
            others = []
            for address in (("127.0.0.1", 445), ("127.0.0.1", 139), ("127.0.0.2", 445), ("127.0.0.2", 139)):
                with contextlib.suppress(OSError):  # only root may listen there
                    others.append(stack.enter_context(socket.create_server(address)))
            server = stack.enter_context(Samba(directory, settings=("host msdfs = yes",), share_settings=("msdfs root = yes",)))
            os.symlink("msdfs:127.0.0.2\\ums$", os.path.join(server.root, "K1"))
            with Caller(server.url, **access(server)) as caller:
                self.assertEqual(caller.verdict("upload", "here", "5")[0], "done")
                for operation in (("upload", "K1/a", "5"), ("mkdir", "K1/d"), ("list", "K1")):
                    verdict, said = caller.verdict(*operation)
                    self.assertNotIn(verdict, ("done", "unknown"), said)
                self.assertEqual(caller.verdict("upload", "here too", "5")[0], "done")
            for other in others:
                other.settimeout(0.2)
                with self.assertRaises(TimeoutError):
                    other.accept()

    def test_a_file_that_is_held_open_is_named_and_stops_no_other(self):
        inbox = os.path.join(self.server.root, "held", "R_Ex", "In")
        os.makedirs(inbox)
        for name in ("open.tmp", "other.tmp"):
            with open(os.path.join(inbox, name), "wb") as out:
                out.write(b"RCPT TO:fax#1\r\n\r\n" + name.encode())
        for path, _, names in os.walk(os.path.join(self.server.root, "held")):
            for one in (path, *(os.path.join(path, name) for name in names)):
                shutil.chown(one, self.server.unix)
        with scratch_directory() as directory:
            mds = Installation(directory, config=f"kernels: {{k: {{url: '{self.server.url}/held', auth: {{user: {self.server.user}, password-file: {self.server.password_file}}}}}}}\n"
                               f"connectors: {{Ex: {{root: '{directory}/C', numbers: ['*']}}}}\nsites: {{s: {{kernels: [k]}}}}\nroutes: [{{to: s}}]\n")
            holder = subprocess.Popen([program("smbclient", "smbclient"), "-s", os.devnull, "-p", str(self.server.port),
                                       f"//127.0.0.1/{SHARE}", "-U", self.server.user + "%" + self.server.password, "-D", "held/R_Ex/In"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                end = time.monotonic() + within(20)
                with Caller(self.server.url, **access(self.server)) as caller:
                    while caller.verdict("download", "held/R_Ex/In/open.tmp", "25")[0] == "done":
                        holder.stdin.write("open open.tmp\n")
                        holder.stdin.flush()
                        time.sleep(0.2)
                        self.assertLess(time.monotonic(), end, "smbclient opens the file")
                done = mds.run("ums-fetch", "--from", "k", codes=(75,))
                self.assertIn(b"open.tmp", done.stdout + done.stderr)
                self.assertEqual(len(os.listdir(os.path.join(mds.spool, "incoming", "new"))), 1)
                self.assertEqual(os.listdir(inbox), ["open.tmp"])
            finally:
                holder.communicate("exit\n", timeout=within(20))
            mds.run("ums-fetch", "--from", "k")
            self.assertEqual(len(os.listdir(os.path.join(mds.spool, "incoming", "new"))), 2)

    def test_workers_end_with_their_parent_and_hold_nothing_of_it(self):
        caller = Caller(self.server.url, **access(self.server))
        self.assertEqual(caller.verdict("look", "")[0], "done")
        workers = workers_of(caller)
        self.assertEqual(len(workers), 1)
        opened = [os.readlink(f"/proc/{workers[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{workers[0]}/fd")]
        self.assertFalse([name for name in opened if "pipe:" in name], "the parent's standard streams")
        for secret in ("cmdline", "environ"):
            with open(f"/proc/{workers[0]}/{secret}", "rb") as text:
                self.assertNotIn(PASSWORD.encode(), text.read())
        caller.kill()
        end = time.monotonic() + within(10)
        while os.path.exists(f"/proc/{workers[0]}") and time.monotonic() < end:
            time.sleep(0.05)
        self.assertFalse(os.path.exists(f"/proc/{workers[0]}"))


if __name__ == "__main__":
    unittest.main()
