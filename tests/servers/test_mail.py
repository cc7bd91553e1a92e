#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`deliver:` of a connector: against mail servers that misbehave as told, and against Postfix and Dovecot."""

import contextlib
import glob
import itertools
import os
import re
import signal
import subprocess
import threading
import time
import unittest

from installation import Installation, process_tree
from mailhosts import DOMAIN, PASSWORD, USER, Dovecot, Postfix
from mailserver import CLOSE, SILENT, MailServer, Raw
from servers import Certificates, free_port, scratch_directory

ADDED = re.compile(rb"\A(?:(?:Date|From|Message-ID): [^\r\n]*\r\n)*")
# Before the dot nothing can have been delivered.
UNTOUCHED = ("greeting", "hello")
BEFORE = ("greeting", "hello", "mail", "rcpt", "data", "body")


def message(*recipients, subject="x", body=b"body\r\n", sender="+49 89 1", more=b""):
    head = b"MAIL FROM:" + sender.encode() + b"\r\n"
    head += b"".join(b"RCPT TO:" + one.encode() + b"\r\n" for one in recipients or ("fax#+49 8142 47",))
    return head + b"Subject: " + subject.encode() + b"\r\n" + more + b"\r\n" + body


def once(stage, what, number=1):
    """`what` at the first `number` times that the stage is reached."""
    left = [number]

    def script(at, _session):
        if at != stage or left[0] == 0:
            return None
        left[0] -= 1
        return what
    return script


class Site:
    """A spool with a kernel that received messages, and a connector `Mail` with a mail server."""

    def __init__(self, directory, deliver, *, wait="30m", connections=8, more=""):
        self.home = os.path.join(directory, "site%d" % len(os.listdir(directory)))
        os.makedirs(self.home)
        self.installation = Installation(self.home)
        self.numbers = itertools.count()
        with open(self.installation.config, "w", encoding="utf-8") as out:
            out.write(f"mds: {{id: BER1, spool: '{self.installation.spool}', settle: 0s, numbering: {{country: 49}},\n"
                      f"      in-doubt: {{wait: {wait}}}{more}}}\n"
                      f"kernels:\n  k: {{url: '{self.home}/kernel'}}\n"
                      f"connectors:\n  Mail: {{deliver: {{{deliver}}}, numbers: ['*'], limit: {{connections: {connections}}}}}\n"
                      "sites:\n  a: {kernels: [k]}\nroutes: [{to: a}]\n")

    def hand(self, *messages, box="R_Mail"):
        directory = os.path.join(self.home, "kernel", box, "In")
        os.makedirs(directory, exist_ok=True)
        for content in messages:
            with open(os.path.join(directory, f"m{next(self.numbers):05d}.tmp"), "wb") as out:
                out.write(content)
        self.installation.run("ums-fetch")
        self.installation.run("ums-sitemap")

    def push(self, *arguments, codes=None):
        """(exit code, [(id, result, detail)], what was said on stderr)"""
        done = self.installation.run("ums-push", *arguments, codes=codes)
        lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
        return done.returncode, [(name.split(",")[0], result, detail) for name, result, detail in lines], \
            done.stderr.decode()

    def results(self, *arguments, codes=None):
        return sorted(result for _, result, _ in self.push(*arguments, codes=codes)[1])

    def entries(self, queue="connector/Mail", state="new"):
        with contextlib.suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(os.path.join(self.installation.spool, queue, state))
                          if not name.endswith(".why"))
        return []

    def empty(self):
        return not self.installation.listed()

    def why(self):
        found = ""
        for path in glob.glob(os.path.join(self.installation.spool, "*", "**", "*.why"), recursive=True):
            with open(path, encoding="utf-8") as file:
                found += file.read()
        return found

    def make_due(self):
        """As if the pause were over."""
        directory = os.path.join(self.installation.spool, "connector", "Mail", "new")
        for name in os.listdir(directory):
            os.rename(os.path.join(directory, name), os.path.join(directory, re.sub(r",t=\d+", "", name)))


class MailTest(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.directory = self.stack.enter_context(scratch_directory())

    def server(self, script=None, **options):
        return self.stack.enter_context(MailServer(script, **options))

    def site(self, server, more="timeout: 2s", **options):
        url = server if isinstance(server, str) else server.url
        return Site(self.directory, f"url: '{url}', address: '{{number}}@{DOMAIN}', {more}", **options)

    def check_once(self, server, count=1):
        self.assertEqual(len(server.mails), count, server.mails)
        self.assertEqual(server.violations, [])


class Both(MailTest):
    """What SMTP and LMTP have in common, the one scripted server after the other."""

    def each(self):
        for lmtp in (False, True):
            with self.subTest(protocol="LMTP" if lmtp else "SMTP"):
                yield lmtp

    def test_a_mail_arrives_as_it_is(self):
        body = bytes(range(32, 127)) + b"\r\n.\r\n..\r\n.a\r\n\r\nend\r\n"
        for lmtp in self.each():
            server = self.server(lmtp=lmtp)
            site = self.site(server, f"from: '{{originator}}@{DOMAIN}'")
            site.hand(message("fax#+49 8142 47", body=body, more=b"X-A: b\r\n\tc\r\n"))
            code, lines, error = site.push()
            self.assertEqual((code, error), (0, ""))
            self.assertEqual([(r, d) for _, r, d in lines], [("delivered", f"Mail <+49814247@{DOMAIN}> 250 taken")])
            self.check_once(server)
            mail = server.mails[0]
            self.assertEqual((mail.sender, mail.recipients), ("+49891@" + DOMAIN, ["+49814247@" + DOMAIN]))
            self.assertEqual(ADDED.sub(b"", mail.data), b"Subject: x\r\nX-A: b\r\n\tc\r\n\r\n" + body)
            self.assertTrue(site.empty())
            self.assertEqual(server.verbs()[-1], "QUIT")
            # Nothing is left to do, and nothing is said again.
            self.assertEqual(site.push()[:2], (0, []))
            self.check_once(server)

    def test_a_socket_of_this_machine(self):
        server = self.server(lmtp=True, path=os.path.join(self.directory, "socket"))
        site = Site(self.directory, f"url: '{server.url}'")
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])
        self.assertEqual(server.mails[0].recipients, ["+49814247@localhost"])

    def test_each_recipient_has_its_own_answer(self):
        def script(stage, session):
            number = getattr(session, "asked", 0)
            if stage == "rcpt":
                last = server.commands[-1]
                session.asked = number + 1
                return b"451 4.2.0 full" if b"+492" in last else b"550 5.1.1 unknown" if b"+493" in last else None
            return None
        for lmtp in self.each():
            server = self.server(script, lmtp=lmtp)
            site = self.site(server, connections=1)
            site.hand(message("+491", "+492", "+493", "+494"))
            code, lines, _ = site.push()
            self.assertEqual(code, 75)
            self.assertEqual(sorted((r, re.sub("; next.*", "", d)) for _, r, d in lines), [
                ("deferred", f"Mail <+492@{DOMAIN}>: 451 4.2.0 full"),
                ("delivered", f"Mail <+491@{DOMAIN}> 250 taken"), ("delivered", f"Mail <+494@{DOMAIN}> 250 taken"),
                ("parked", f"Mail <+493@{DOMAIN}>: 550 5.1.1 unknown")])
            self.check_once(server, 2)
            self.assertIn("550 5.1.1 unknown", site.why())
            self.assertEqual(len(site.entries("failed")), 1)
            # The one that waits comes later, and the others never again.
            self.assertEqual(site.push()[1], [])
            script_off, server.script = server.script, lambda *_: None
            site.make_due()
            self.assertEqual(site.results(codes=(0,)), ["delivered"])
            server.script = script_off
            self.check_once(server, 3)
            self.assertEqual(sorted(m.recipients[0] for m in server.mails), [f"+49{n}@{DOMAIN}" for n in (1, 2, 4)])

    def test_recipients_that_ums_sitemap_chose_the_connector_for(self):
        server = self.server(once("rcpt", b"550 5.1.1 unknown"))
        site = self.site(server)
        site.hand(message("+491", "+492", "+493"), box="R_Another")
        self.assertEqual(len(site.entries()), 3)
        self.assertEqual(site.results(codes=(1,)), ["delivered", "delivered", "parked"])
        self.check_once(server, 2)

    def test_answers_at_each_stage(self):
        for lmtp in self.each():
            for stage in ("mail", "rcpt", "data", "dot"):
                for answer, result in ((b"451 4.0.0 later", "deferred"), (b"550 5.0.0 never", "parked")):
                    with self.subTest(stage=stage, answer=answer):
                        server = self.server(once(stage, answer), lmtp=lmtp)
                        site = self.site(server)
                        site.hand(message())
                        code, lines, error = site.push()
                        self.assertEqual((code, [r for _, r, _ in lines]), (75 if result == "deferred" else 1, [result]))
                        # That it is to wait is a mail server's way; what is parked needs a person, also without standard output.
                        self.assertRegex(error, "^$" if result == "deferred" else "did not take 1 message: .*550 5.0.0 never")
                        self.assertIn(answer.decode(), lines[0][2])
                        self.assertEqual(server.mails, [])
                        if result == "deferred":
                            site.make_due()
                            self.assertEqual(site.results(codes=(0,)), ["delivered"])
                            self.check_once(server)
                        else:
                            self.assertIn(answer.decode(), site.why())

    def test_the_connection_is_kept_after_a_refusal(self):
        for lmtp in self.each():
            server = self.server(once("rcpt", b"550 no"), lmtp=lmtp)
            site = self.site(server, connections=1)
            site.hand(*(message(subject=str(i)) for i in range(20)))
            self.assertEqual(site.results(), ["delivered"] * 19 + ["parked"])
            self.assertEqual(server.connections, 1)
            self.assertIn("RSET", server.verbs())

    def test_cut_at_each_stage(self):
        for lmtp in self.each():
            for stage in BEFORE:
                with self.subTest(stage=stage):
                    server = self.server(once(stage, CLOSE), lmtp=lmtp)
                    site = self.site(server)
                    site.hand(message(body=b"x" * 300_000))
                    code, lines, error = site.push()
                    self.assertIn(code, (69, 75))
                    # Without a connection nothing is touched.
                    self.assertEqual([r for _, r, _ in lines], [] if stage in UNTOUCHED else ["deferred"])
                    self.assertEqual(site.entries(state="publishing"), [])
                    self.assertEqual(site.results(codes=(0,)), ["delivered"])
                    self.check_once(server)
                    self.assertNotIn(b"X-UMS-Possible-Duplicate", server.mails[0].data)

    def test_cut_after_the_dot_is_a_doubt(self):
        for lmtp in self.each():
            server = self.server(once("dot", CLOSE), lmtp=lmtp)
            site = self.site(server)
            site.hand(message("fax#+491"), message("fax#+492"))
            code, lines, error = site.push("--limit", "1")
            self.assertEqual((code, [r for _, r, _ in lines]), (75, ["in-doubt"]))
            self.assertEqual(len(server.ended_mails), 1)
            entry, = site.entries(state="publishing")
            self.assertRegex(entry, ",w=[0-9]+")
            # It is not sent again unasked; another one is.
            self.assertEqual(site.results(codes=(75,)), ["delivered"])
            self.assertEqual(site.push()[:2], (75, []))
            self.check_once(server)
            # A person knows that it had arrived.
            site.installation.run("ums-failover", "settle", "--delivered", entry.split(",")[0])
            self.assertTrue(site.empty())

    def test_a_doubt_is_sent_again_with_a_mark_or_held(self):
        for lmtp in self.each():
            server = self.server(once("dot", CLOSE, 2), lmtp=lmtp)
            site = self.site(server, wait="1s", connections=2)
            site.hand(message("fax#+491"), message("sms#+492"))
            self.assertEqual(site.results(codes=(75,)), ["in-doubt", "in-doubt"])
            time.sleep(2.1)
            code, lines, _ = site.push()
            self.assertEqual(sorted(r for _, r, _ in lines), ["deferred", "delivered", "parked"])
            self.assertEqual(code, 75)
            self.check_once(server)
            self.assertIn(b"X-UMS-Possible-Duplicate: yes\r\n", server.mails[0].data)
            self.assertEqual(server.mails[0].recipients, ["+491@" + DOMAIN])
            ids = [re.search(rb"Message-ID: (\S+)", mail.data)[1] for mail in server.ended_mails
                   if mail.recipients == ["+491@" + DOMAIN]]
            self.assertEqual(len(ids), 2)
            self.assertEqual(len(set(ids)), 1)
            held, = site.entries(state="hold")
            self.assertIn("may have reached Mail", site.why())
            site.installation.run("ums-spool", "release", held.split(",")[0])
            self.assertEqual(site.results(codes=(0,)), ["delivered"])
            self.assertIn(b"X-UMS-Possible-Duplicate: yes\r\n", server.mails[1].data)

    def test_no_answer_at_each_stage(self):
        for lmtp in self.each():
            for stage in (*BEFORE, "dot"):
                with self.subTest(stage=stage):
                    server = self.server(once(stage, SILENT), lmtp=lmtp)
                    site = self.site(server, "timeout: 1s")
                    # More than a socket holds, so that a body that nobody reads is felt.
                    site.hand(message(body=b"x" * 12_000_000 if stage == "body" else b"x"))
                    began = time.monotonic()
                    code, lines, _ = site.push()
                    self.assertLess(time.monotonic() - began, 60)
                    if stage == "dot":
                        self.assertEqual((code, [r for _, r, _ in lines]), (75, ["in-doubt"]))
                        continue
                    self.assertIn(code, (69, 75))
                    self.assertEqual([r for _, r, _ in lines], [] if stage in UNTOUCHED else ["deferred"])
                    self.assertEqual(site.results(codes=(0,)), ["delivered"])
                    self.check_once(server)

    def test_what_is_no_answer(self):
        garbage = {
            "words": Raw(b"hello there\r\n"), "blank": Raw(b"\r\n"), "letters": Raw(b"25x ok\r\n"),
            "mixed": Raw(b"250-a\r\n550 b\r\n"), "no end": Raw(b"250-a\r\n" * 20_000), "long line": Raw(b"250 " + b"x" * 300_000),
            "binary": Raw(bytes(range(256)) + b"\r\n"), "1xx": b"150 wait", "3xx": b"399 what", "6xx": b"699 what",
        }
        for lmtp in self.each():
            for name, data in garbage.items():
                for stage in ("mail", "rcpt", "data", "dot"):
                    with self.subTest(garbage=name, stage=stage):
                        if stage == "data" and name == "3xx":
                            continue
                        server = self.server(once(stage, (data, CLOSE)), lmtp=lmtp)
                        site = self.site(server)
                        site.hand(message())
                        code, lines, _ = site.push()
                        self.assertEqual([r for _, r, _ in lines], ["in-doubt" if stage == "dot" else "deferred"])
                        self.assertEqual(server.mails, [])
                        if name == "no end":
                            self.assertIn("does not end", lines[0][2])
                        if stage != "dot":
                            self.assertEqual(site.results(codes=(0,)), ["delivered"])
                            self.check_once(server)

    def test_an_answer_that_came_before_its_question_counts_for_nothing(self):
        """Or one 250 too many after RCPT would be taken for that to the dot."""
        for lmtp in self.each():
            for stage in ("mail", "rcpt", "data", "body"):
                with self.subTest(stage=stage):
                    usual = b"354 go\r\n" if stage == "data" else b"250 ok\r\n" if stage != "body" else b""
                    early = Raw(usual + b"250 and one more\r\n") if stage != "body" else b"250 taken"
                    calls = []

                    def script(at, session, stage=stage, early=early, calls=calls):
                        if at == stage and not calls:
                            calls.append(1)
                            return early
                        return None
                    server = self.server(script, lmtp=lmtp)
                    site = self.site(server)
                    site.hand(message(body=b"x" * 3_000_000))
                    self.assertEqual(site.results(codes=(75,)), ["deferred"])
                    self.assertEqual(server.ended_mails, [])
                    server.script = lambda *_: None
                    self.assertEqual(site.results(codes=(0,)), ["delivered"])
                    self.check_once(server)

    def test_an_answer_that_nobody_asked_for_parks_nothing(self):
        for lmtp in self.each():
            server = self.server(once("mail", Raw(b"250 ok\r\n550 not you\r\n")), lmtp=lmtp)
            site = self.site(server)
            site.hand(message())
            self.assertEqual(site.results(codes=(75,)), ["deferred"])
            self.assertEqual(site.results(codes=(0,)), ["delivered"])
            self.check_once(server)

    def test_a_server_that_wants_no_more_of_it(self):
        for lmtp in self.each():
            for answer, result in ((b"552 5.3.4 too big", "parked"), (b"452 4.3.1 full", "deferred")):
                server = self.server(once("body", answer), lmtp=lmtp)
                site = self.site(server)
                site.hand(message(body=b"x" * 3_000_000))
                _, lines, _ = site.push()
                self.assertEqual([r for _, r, _ in lines], [result])
                self.assertIn(answer.decode(), lines[0][2])
                self.assertEqual(server.mails, [])

    def test_what_is_the_servers_fault_is_no_messages(self):
        for lmtp in self.each():
            for stage, answer, wanted in (("greeting", b"421 not now", 69), ("greeting", b"554 go away", 69),
                                          ("hello", b"550 go away", 69), ("mail", b"421 closing", 75),
                                          ("rcpt", b"421 closing", 75), ("mail", b"530 log in", 77),
                                          ("data", b"503 out of step", 75)):
                with self.subTest(stage=stage, answer=answer):
                    # libcurl tries HELO after an EHLO that was refused.
                    server = self.server(once(stage, answer, 9), lmtp=lmtp)
                    site = self.site(server, connections=1)
                    site.hand(*(message(subject=str(i)) for i in range(3)))
                    code, lines, error = site.push()
                    self.assertEqual([r for _, r, _ in lines], [] if stage in UNTOUCHED else ["deferred"] * 3)
                    self.assertEqual(code, wanted)
                    self.assertIn(answer.decode(), error)
                    self.assertIn("3 messages wait", error)
                    server.script = lambda *_: None
                    self.assertEqual(site.results(codes=(0,)), ["delivered"] * 3)
                    self.check_once(server, 3)

    def test_nobody_listens(self):
        for scheme in ("smtp", "smtps", "lmtp"):
            site = self.site(f"{scheme}://127.0.0.1:{free_port()}")
            site.hand(message())
            code, lines, error = site.push()
            self.assertEqual((code, lines), (69, []))
            self.assertIn("cannot reach 'Mail'", error)

    def test_connections(self):
        for lmtp in self.each():
            server = self.server(lmtp=lmtp)
            site = self.site(server, connections=3)
            site.hand(*(message(subject=str(i)) for i in range(40)))
            self.assertEqual(site.results(codes=(0,)), ["delivered"] * 40)
            self.assertEqual(server.connections, 3)
            self.check_once(server, 40)

    def test_a_server_that_takes_fewer_connections(self):
        def script(stage, session):
            return (b"421 too many", CLOSE) if stage == "greeting" and session.number > 2 else None
        for lmtp in self.each():
            server = self.server(script, lmtp=lmtp)
            site = self.site(server, connections=5)
            site.hand(*(message(subject=str(i)) for i in range(20)))
            self.assertEqual(site.results(codes=(0,)), ["delivered"] * 20)
            self.check_once(server, 20)

    def test_a_kept_connection_that_was_closed(self):
        """Before anything of a mail was taken, a new one is made, and nobody hears of it."""
        def script(stage, session):
            return CLOSE if stage == "mail" and session.mails == 2 else None
        for lmtp in self.each():
            server = self.server(script, lmtp=lmtp)
            site = self.site(server, connections=1)
            site.hand(*(message(subject=str(i)) for i in range(7)))
            code, lines, error = site.push()
            self.assertEqual((code, [r for _, r, _ in lines], error), (0, ["delivered"] * 7, ""))
            self.check_once(server, 7)


    def test_keeping_going(self):
        """With --watch mails leave as they come, and no connection is kept while there is nothing to send."""
        server = self.server()
        site = self.site(server)
        process = site.installation.start("ums-push", "--watch=1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for count in (1, 2):
            site.hand(message(subject=str(count)))
            end = time.monotonic() + 60
            while (len(server.mails) < count or server.verbs().count("QUIT") < count) and time.monotonic() < end:
                time.sleep(0.05)
            self.check_once(server, count)
            self.assertEqual(server.verbs().count("QUIT"), server.connections)
        process.terminate()
        process.wait(60)


class Killed(MailTest):
    def test_killed_at_each_stage(self):
        """kill -9 in the middle of the dialogue, and of the answer to the dot."""
        for lmtp in (False, True):
            for stage in (*BEFORE, "dot"):
                with self.subTest(stage=stage, lmtp=lmtp):
                    reached = threading.Event()
                    go_on = threading.Event()

                    def script(at, _session, stage=stage, reached=reached, go_on=go_on):
                        if at == stage and not reached.is_set():
                            reached.set()
                            go_on.wait(30)
                            return CLOSE
                        return None
                    server = self.server(script, lmtp=lmtp)
                    site = self.site(server, "timeout: 60s", wait="5s")
                    # More than a socket holds, where nobody is to have all of it.
                    site.hand(message(body=b"x" * (12_000_000 if stage == "body" else 1000)))
                    process = site.installation.start("ums-push", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    self.assertTrue(reached.wait(30))
                    for pid in reversed(process_tree(process.pid)):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    process.wait()
                    go_on.set()
                    doubts = site.entries(state="publishing")
                    self.assertEqual(len(doubts), 1 if stage == "dot" else 0)
                    if stage == "dot":
                        self.assertRegex(doubts[0], ",w=")
                        self.assertEqual(site.results(), [])
                        time.sleep(6.1)
                        self.assertEqual(site.results(codes=(75, 0)), ["deferred", "delivered"])
                    else:
                        self.assertEqual(site.results(codes=(0,)), ["delivered"])
                    self.check_once(server)
                    marked = b"X-UMS-Possible-Duplicate: yes" in server.mails[0].data
                    self.assertEqual(marked, stage == "dot")

    def test_asked_to_end(self):
        for stage in ("mail", "body"):
            reached = threading.Event()

            def script(at, _session, stage=stage, reached=reached):
                if at != stage:
                    return None
                reached.set()
                return SILENT
            server = self.server(script)
            site = self.site(server, "timeout: 5m")
            site.hand(message(body=b"x" * 12_000_000))
            process = site.installation.start("ums-push", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.assertTrue(reached.wait(30))
            process.terminate()
            process.wait(30)
            self.assertEqual(len(site.entries()), 1)


class Content(MailTest):
    def deliver(self, content, server=None, more="timeout: 2s", codes=(0,)):
        server = server or self.server()
        site = self.site(server, more)
        site.hand(content)
        return server, site, site.push(codes=codes)[1]

    def test_no_line_end_of_a_message_ends_the_mail(self):
        ends = (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"")
        body = b"".join(a + b"." + b + b"MAIL FROM:<evil@example.com>" + c for a in ends for b in ends for c in ends)
        server, _, _ = self.deliver(message(body=body))
        self.check_once(server)
        self.assertEqual(server.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"])
        self.assertEqual(server.mails[0].data.count(b"evil"), len(ends) ** 3)

    def test_bare_lf_and_no_last_line_end(self):
        server, _, _ = self.deliver(message(body=b"a\nb\r\n\nc").replace(b"\r\nSubject", b"\nSubject"))
        self.check_once(server)
        self.assertTrue(server.mails[0].data.endswith(b"Subject: x\r\n\r\na\r\nb\r\n\r\nc\r\n"))

    def test_a_message_without_body(self):
        server, _, _ = self.deliver(b"RCPT TO:+491\nSubject: alone")
        self.check_once(server)
        self.assertTrue(server.mails[0].data.endswith(b"Subject: alone\r\n\r\n"))

    def test_a_cr_in_the_header_makes_no_line(self):
        server, _, _ = self.deliver(b"RCPT TO:+491\r\nSubject: a\rBcc: evil@example.com\r\n\r\nx\r\n")
        self.assertIn(b"Subject: a Bcc: evil@example.com\r\n", server.mails[0].data)

    def test_nul(self):
        _, site, lines = self.deliver(message(body=b"a\0b"), codes=(1,))
        self.assertEqual([r for _, r, _ in lines], ["parked"])
        self.assertIn("NUL", site.why())

    def test_long_lines_stay(self):
        body = b"x" * 5000 + b"\r\n" + b"." * 3000 + b"\r\n"
        server, _, _ = self.deliver(message(body=body, more=b"X-Long: " + b"y" * 2000 + b"\r\n"))
        self.check_once(server)
        self.assertTrue(server.mails[0].data.endswith(b"X-Long: " + b"y" * 2000 + b"\r\n\r\n" + body))

    def test_8_bit(self):
        content = message(body="Gr\u00fc\u00dfe\r\n".encode())
        server, _, _ = self.deliver(content)
        self.assertTrue(server.mails[0].data.endswith("Gr\u00fc\u00dfe\r\n".encode()))
        self.assertTrue(any(b" BODY=8BITMIME" in command for command in server.commands))
        plain, _, _ = self.deliver(message())
        self.assertFalse(any(b"BODY" in command for command in plain.commands))
        server, site, lines = self.deliver(content, self.server(extensions=[b"SIZE"]), codes=(1,))
        self.assertEqual([r for _, r, _ in lines], ["parked"])
        self.assertIn("8BITMIME", site.why())
        self.assertEqual(server.ended_mails, [])

    def test_addresses_beyond_ascii(self):
        content = message("m\u00fcller@b\u00fccher.example")
        server, _, _ = self.deliver(content)
        self.assertEqual(server.mails[0].recipients, ["m\u00fcller@b\u00fccher.example"])
        self.assertIn(" SMTPUTF8", [c.decode() for c in server.commands if c.startswith(b"MAIL")][0])
        server, site, lines = self.deliver(content, self.server(extensions=[b"8BITMIME"]), codes=(1,))
        self.assertEqual([r for _, r, _ in lines], ["parked"])
        self.assertIn("SMTPUTF8", site.why())

    def test_size(self):
        server = self.server(extensions=[b"SIZE 1000"])
        _, site, lines = self.deliver(message(body=b"x" * 1000), server, codes=(1,))
        self.assertEqual([r for _, r, _ in lines], ["parked"])
        self.assertIn("SIZE", site.why())
        self.assertNotIn("MAIL", server.verbs())
        server, _, _ = self.deliver(message(body=b".\n" * 50))
        size = int(re.search(rb"SIZE=(\d+)", b"\n".join(server.commands))[1])
        self.assertEqual(size, len(server.mails[0].data))

    def test_memory_does_not_grow_with_the_message(self):
        server = self.server(extensions=[b"8BITMIME"])
        site = self.site(server, "timeout: 60s")
        site.hand(message(body=b"0123456789abcdef" * 64 * 1024 * 60))
        process = site.installation.start("ums-push", stdout=subprocess.DEVNULL)
        most = 0
        while process.poll() is None:
            for pid in process_tree(process.pid):
                with contextlib.suppress(OSError, TypeError), open(f"/proc/{pid}/status", encoding="ascii") as status:
                    most = max(most, int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]))
            time.sleep(0.02)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(server.mails), 1)
        if not self.sanitized():
            self.assertLess(most, 48 * 1024)

    @staticmethod
    def sanitized():
        with open(os.path.join(os.environ["UMS_BIN"], "ums-push"), "rb") as program:
            content = program.read()
        return b"__asan_init" in content or b"__tsan_init" in content


class Addresses(MailTest):
    def test_numbers_cannot_become_commands(self):
        server = self.server()
        site = self.site(server, f"from: '{{originator}}@{DOMAIN}', timeout: 2s")
        nasty = ["1> SIZE=1", "1\rDATA", "1<2>", '"', "\\", "a@b> NOTIFY=NEVER", "a b@c", "<x@y>", "1\x01", "@", "x@", "@y",
                 "\u00a0", "a@b@c", "a@b,c@d", "x" * 600, "1;2", "1(2)", "(", "a\tb", "fax#1\x7f", "\xff", "%0d%0aDATA",
                 "\u202e1", "a@[", "a@[1.2.3.4]", "..", ".", "a@-", "+49 1 ext. 5"]
        site.hand(*(message(one, subject=str(i), sender=sender) for i, one in enumerate(nasty)
                    for sender in (one, "+491")))
        _, lines, error = site.push()
        self.assertEqual({r for _, r, _ in lines} - {"delivered", "parked"}, set())
        self.assertGreaterEqual(len(lines), 50)
        self.assertRegex(error, r"\Aums-push: warning: 'Mail' did not take \d+ messages; the last: [^\n]*\n\Z")
        self.assertEqual(server.violations, [])
        self.assertEqual(set(server.verbs()), {"EHLO", "MAIL", "RCPT", "DATA", "QUIT"})
        for command in server.commands:
            if command.startswith((b"MAIL", b"RCPT")):
                # One path in brackets, quoted where it must be, and parameters of ours behind that of MAIL alone.
                path = rb'<(?:(?:[^\s<>"\\\x00-\x20]+|"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*")@[^\s<>@\x00-\x20]+)?>'
                self.assertRegex(command, rb"\A(?:MAIL FROM:" + path + rb"(?: SIZE=\d+)?(?: BODY=8BITMIME)?(?: SMTPUTF8)?|RCPT TO:"
                                 + path + rb")\Z")

    def test_a_file_of_addresses(self):
        server = self.server()
        table = os.path.join(self.directory, "addresses.csv")
        with open(table, "w", encoding="utf-8") as out:
            out.write("number,address\n+49 8142 47*,{digits}@ddi.example.com\n08142 4799,boss@example.com\n"
                      "+43*,{service}@austria.example.com\n")
        site = Site(self.directory, f"url: '{server.url}', addresses: '{table}'")
        # 08142 is completed by the numbering of the MDS: 49.
        site.hand(message("+49 8142 4711", "+49 (0)8142 4799", "sms#0043 1", "+1 555", "x@example.org"))
        _, lines, _ = site.push(codes=(1,))
        self.assertEqual(sorted(mail.recipients[0] for mail in server.mails),
                         ["4981424711@ddi.example.com", "boss@example.com", "sms@austria.example.com", "x@example.org"])
        self.assertEqual([r for _, r, _ in lines].count("parked"), 1)
        self.assertIn("no row of", site.why())

    def test_senders(self):
        server = self.server()
        site = self.site(server, f"from: 'fax.{{digits}}@{DOMAIN}'", connections=1)
        site.hand(message(sender="+49 89 1"), message(sender="<>", subject="2"), message(sender="a@b.example", subject="3"))
        self.assertEqual(site.results(codes=(0,)), ["delivered"] * 3)
        self.assertEqual(sorted(mail.sender for mail in server.mails), ["", "a@b.example", "fax.49891@" + DOMAIN])

    def test_plain_url(self):
        server = self.server()
        site = Site(self.directory, "url: x")
        with open(site.installation.config, encoding="utf-8") as file:
            text = file.read()
        with open(site.installation.config, "w", encoding="utf-8") as out:
            out.write(text.replace("deliver: {url: x}", f"deliver: '{server.url}'"))
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])
        self.assertEqual(server.mails[0].recipients, ["+49814247@localhost"])
        self.assertEqual(server.mails[0].sender, "")


class Secure(MailTest):
    """TLS and logins."""

    def setUp(self):
        super().setUp()
        self.certificates = Certificates(self.directory)
        self.secret = os.path.join(self.directory, "secret")
        with open(self.secret, "w", encoding="utf-8") as out:
            out.write(PASSWORD + "\n")
        os.chmod(self.secret, 0o600)
        self.auth = f"auth: {{user: {USER}, password-file: '{self.secret}'}}"
        self.ca = f"tls: {{ca: '{self.certificates.ca}'}}"

    def pair(self, name="good"):
        return self.certificates.file(name), self.certificates.key(name)

    def check_refused(self, server, more, code, text, site=None):
        site = site or self.site(server, more + ", timeout: 2s")
        site.hand(message())
        got, lines, error = site.push()
        self.assertEqual((got, lines, len(site.entries())), (code, [], 1), error)
        self.assertRegex(error, text)
        self.assertEqual(server.mails, [])
        self.assertNotIn(PASSWORD, error)

    def test_starttls_and_login(self):
        for method in ("automatic", "basic"):
            server = self.server(certificate=self.pair(), users={USER: PASSWORD})
            site = self.site(server, self.auth.replace("{", f"{{method: {method}, ", 1) + ", " + self.ca)
            site.hand(message(), message(subject="2"))
            self.assertEqual(site.results(codes=(0,)), ["delivered"] * 2)
            self.check_once(server, 2)
            self.assertIn("STARTTLS", server.verbs())

    def test_tls_from_the_start(self):
        server = self.server(certificate=self.pair(), tls=True, users={USER: PASSWORD})
        site = self.site(server, self.auth + ", " + self.ca)
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])

    def test_a_wrong_password(self):
        server = self.server(certificate=self.pair(), users={USER: "another"})
        self.check_refused(server, self.auth + ", " + self.ca, 77, "login was refused: 535 5.7.8 no")
        self.assertEqual(server.verbs().count("AUTH"), 1)

    def test_a_login_server_that_is_ill(self):
        server = self.server(once("auth", b"454 4.7.0 later"), certificate=self.pair(), users={USER: PASSWORD})
        self.check_refused(server, self.auth + ", " + self.ca, 69, "454 4.7.0 later")

    def test_no_login_is_offered(self):
        server = self.server(certificate=self.pair())
        self.check_refused(server, self.auth + ", " + self.ca, 77, "offers no login")

    def test_the_offer_of_tls_was_taken_away(self):
        """No password, and no message, goes over the wire in clear text."""
        server = self.server(users={USER: PASSWORD})
        self.check_refused(server, self.auth, 69, "STARTTLS")
        self.assertEqual(set(server.verbs()) - {"EHLO", "QUIT"}, set())
        server = self.server()
        self.check_refused(server, "tls: {starttls: require}", 69, "STARTTLS")
        self.assertNotIn("MAIL", server.verbs())
        server = self.server()
        self.check_refused(server, self.ca, 69, "STARTTLS")

    def test_what_came_before_tls_counts_for_nothing(self):
        server = self.server(once("starttls", Raw(b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n")), users={USER: PASSWORD},
                             certificate=self.pair())
        self.check_refused(server, self.auth + ", " + self.ca, 69, ".")
        self.assertNotIn("AUTH", server.verbs())

    def test_clear_text_where_it_is_allowed(self):
        server = self.server(users={USER: PASSWORD}, certificate=self.pair())
        site = self.site(server, self.auth + ", tls: {starttls: no}")
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])
        self.assertNotIn("STARTTLS", server.verbs())
        server = self.server()
        site = self.site(server, "tls: {starttls: try}")
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])

    def test_certificates(self):
        for name, text in (("self-signed", "is self-signed"), ("expired", "has expired"), ("wrong-name", "is not for the name")):
            for tls in (False, True):
                with self.subTest(name, tls=tls):
                    server = self.server(certificate=self.pair(name), tls=tls)
                    self.check_refused(server, self.ca, 69, text)
        server = self.server(certificate=self.pair())
        self.check_refused(server, f"tls: {{ca: '{self.certificates.file('other-ca')}'}}", 69, "certificate")
        self.check_refused(server, f"tls: {{ca: '{self.certificates.ca}', pin: '{self.certificates.pin('client')}'}}", 69, "pin")
        site = self.site(server, f"tls: {{ca: '{self.certificates.ca}', pin: '{self.certificates.pin('good')}'}}")
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])

    def test_tls_is_tried_unasked(self):
        server = self.server(certificate=self.pair("self-signed"))
        site = self.site(server)
        site.hand(message())
        self.assertEqual(site.results(codes=(0,)), ["delivered"])
        self.assertIn("STARTTLS", server.verbs())

    def test_the_password_is_nowhere(self):
        reached = threading.Event()
        go_on = threading.Event()

        def script(stage, _session):
            if stage == "mail":
                reached.set()
                go_on.wait(30)
                return b"550 " + PASSWORD[:4].encode()
            return None
        server = self.server(script, certificate=self.pair(), users={USER: PASSWORD})
        site = self.site(server, self.auth + ", " + self.ca)
        site.hand(message())
        log = os.path.join(self.directory, "log")
        process = site.installation.start("ums-push", "-vv", "--log", log, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertTrue(reached.wait(30))
        seen = b""
        for pid in process_tree(process.pid):
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    seen += file.read()
        go_on.set()
        out, _ = process.communicate(timeout=60)
        seen += out
        for directory, _, names in os.walk(self.directory):
            for name in names:
                path = os.path.join(directory, name)
                if path != self.secret:
                    with open(path, "rb") as file:
                        seen += file.read()
        self.assertNotIn(PASSWORD.encode(), seen)


class ByHand(MailTest):
    def test_one_message(self):
        server = self.server()
        site = self.site(server)
        content = message("+491", "+492")
        done = site.installation.run("ums-push", "--to", "Mail", "-", stdin=content)
        self.assertEqual(done.stdout.count(b"\tdelivered\t"), 2)
        self.check_once(server, 2)
        done = site.installation.run("ums-push", "--to", "Mail", "-n", "-", stdin=content)
        self.assertEqual(done.stdout.count(b"would be sent to Mail <+49"), 2)
        self.check_once(server, 2)

    def test_what_becomes_of_it(self):
        for stage, what, code in (("rcpt", b"550 no", 65), ("rcpt", b"450 later", 75), ("greeting", b"421 no", 69),
                                  ("mail", b"530 log in", 77), ("dot", CLOSE, 75), ("data", CLOSE, 75)):
            with self.subTest(stage=stage, what=what):
                site = self.site(self.server(once(stage, what)))
                done = site.installation.run("ums-push", "--to", "Mail", "-", stdin=message(), codes=(code,))
                self.assertEqual(b"\tin-doubt\t" in done.stdout, stage == "dot")
                self.assertEqual(b"nothing arrived" in done.stderr, stage != "dot")

    def test_dry_run(self):
        server = self.server()
        site = self.site(server)
        site.hand(message("+491"), message("a b@c"))
        lines = site.push("-n", codes=(0,))[1]
        self.assertEqual(sorted((r, d.split(" <")[0]) for _, r, d in lines)[0], ("delivered", "would be sent to Mail"))
        self.assertEqual(sorted(r for _, r, _ in lines), ["delivered", "parked"])
        self.assertEqual(server.connections, 0)
        self.assertEqual(len(site.entries()), 2)

    def test_probe(self):
        server = self.server()
        site = self.site(server, f"from: '{{originator}}@{DOMAIN}'")
        done = site.installation.run("ums-push", "--probe", "Mail")
        self.assertRegex(done.stdout.decode(), r"connect +ok +220 test ESMTP")
        self.assertRegex(done.stdout.decode(), rf"sender +ok +<\+4930000000@{DOMAIN}> is taken")
        self.assertEqual((server.mails, server.ended_mails), ([], []))
        site.installation.run("ums-push", "--probe", server.url)
        done = site.installation.run("ums-push", "--probe", f"smtp://127.0.0.1:{free_port()}", codes=(69,))
        self.assertIn(b"BAD", done.stdout)
        refused = self.site(self.server(once("mail", b"550 not you")))
        done = refused.installation.run("ums-push", "--probe", "Mail", codes=(1,))
        self.assertRegex(done.stdout.decode(), r"sender +BAD +<>: 550 not you")


class RealServers(MailTest):
    @classmethod
    def setUpClass(cls):
        if os.getuid() != 0:
            raise unittest.SkipTest("Postfix and Dovecot work for root only")
        cls.servers = contextlib.ExitStack()
        cls.addClassCleanup(cls.servers.close)
        directory = cls.servers.enter_context(scratch_directory())
        cls.certificates = Certificates(directory)
        cls.secret = os.path.join(directory, "secret")
        with open(cls.secret, "w", encoding="utf-8") as out:
            out.write(PASSWORD + "\n")
        os.chmod(cls.secret, 0o600)

    def corpus(self):
        return {
            "100": message("+49100", body=b"plain\r\n.\r\n..two\r\n" + b"x" * 990 + b"\r\nend\r\n"),
            "101": message("+49101", body="Gr\u00fc\u00dfe aus M\u00fcnchen\r\n".encode()),
            "102": message("+49102", body=os.urandom(200_000).hex().encode()),
            "103": message("+49103", body=b"unix\nlines\n.\nhere\n"),
            "104": message("+49104", body=b"\r\n\r\n\r\n"),
        }

    def check_boxes(self, host, corpus):
        """Byte for byte, but for what the servers put in front, and line ends as each of them stores them."""
        found = dict(host.mails(len(corpus)))
        self.assertEqual(set(found), {"49" + n for n in corpus})
        self.assertEqual(len(found), len(corpus))
        for number, content in corpus.items():
            wanted = content.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")
            stored = found["49" + number].replace(b"\r\n", b"\n")
            head, body = stored.split(b"\n\n", 1)
            self.assertEqual(body.rstrip(b"\n") if not wanted.endswith(b"\n") else body, wanted, number)
            self.assertIn(b"\nSubject: x", head)
            self.assertNotIn(b"RCPT TO", head)
            self.assertEqual(len(re.findall(rb"^Message-ID: <.*@ums\.invalid>$", head, re.MULTILINE)), 1)

    def run_corpus(self, host, url, more):
        site = Site(self.directory, f"url: '{url}', address: '{{digits}}@{DOMAIN}', from: '{{originator}}@{DOMAIN}', {more}")
        corpus = self.corpus()
        site.hand(*corpus.values())
        code, lines, error = site.push()
        self.assertEqual((code, [r for _, r, _ in lines]), (0, ["delivered"] * len(corpus)), error + str(lines))
        self.check_boxes(host, corpus)
        return site

    def tls(self, login=True):
        auth = f"auth: {{user: {USER}, password-file: '{self.secret}'}}, " if login else ""
        return auth + f"tls: {{ca: '{self.certificates.ca}'}}"

    def test_dovecot_lmtp(self):
        for socket in (False, True):
            with Dovecot(self.directory) as host:
                site = self.run_corpus(host, "lmtp://" + host.socket if socket else host.url, "timeout: 60s")
                done = site.installation.run("ums-push", "--probe", "Mail")
                self.assertIn(b"8-bit text", done.stdout)

    def test_postfix_starttls_and_login(self):
        with Dovecot(self.directory) as logins, Postfix(self.directory, self.certificates, logins) as host:
            site = self.run_corpus(host, host.url, self.tls())
            self.assertIn("sasl_username=" + USER, host.log())
            done = site.installation.run("ums-push", "--probe", "Mail")
            self.assertRegex(done.stdout.decode(), r"tls +ok +yes, and the certificate is good\n +login +ok +accepted")

    def test_postfix_tls_from_the_start(self):
        with Dovecot(self.directory) as logins, Postfix(self.directory, self.certificates, logins) as host:
            self.run_corpus(host, host.tls_url, self.tls())

    def test_postfix_without_login(self):
        with Postfix(self.directory, self.certificates) as host:
            site = self.run_corpus(host, host.url, "timeout: 60s")
            # Who is elsewhere is refused by name.
            site.hand(message("x@elsewhere.example"))
            code, lines, _ = site.push()
            self.assertEqual((code, [r for _, r, _ in lines]), (1, ["parked"]))
            self.assertRegex(site.why(), "5[0-9][0-9] 5")

    def test_postfix_refuses_a_wrong_password(self):
        wrong = os.path.join(self.directory, "wrong")
        with open(wrong, "w", encoding="utf-8") as out:
            out.write("not-this\n")
        os.chmod(wrong, 0o600)
        with Dovecot(self.directory) as logins, Postfix(self.directory, self.certificates, logins) as host:
            site = Site(self.directory, f"url: '{host.url}', " + self.tls().replace(self.secret, wrong))
            site.hand(message())
            code, _, error = site.push()
            self.assertEqual(code, 77)
            self.assertIn("login was refused", error)
            self.assertEqual(len(site.entries()), 1)

    def test_what_is_told_of_a_socket_that_is_not_there(self):
        mds = Installation(self.directory, name="socket", config=f"kernels: {{k: {{url: '{self.directory}/k'}}}}\nconnectors: {{Mail: {{deliver: "
                           f"{{url: 'lmtp://{self.directory}/no-socket', address: 'a@{DOMAIN}'}}, root: '{self.directory}/no-root', numbers: ['*']}}}}\n"
                           "sites: {s: {kernels: [k]}}\nroutes: [{to: s}]\n")
        done = mds.run("ums-push", "--probe", "Mail", codes=(69,))
        self.assertIn(f"{self.directory}/no-socket".encode(), done.stdout)
        self.assertIn(b"No such file", done.stdout)
        # What is fetched comes from the root, wherever it is delivered to.
        done = mds.run("ums-fetch", "--probe", "Mail", codes=(69,))
        self.assertIn(b"no-root", done.stdout)

    def test_postfix_and_a_thousand(self):
        with Postfix(self.directory, self.certificates) as host:
            site = Site(self.directory, f"url: '{host.url}', address: '{{digits}}@{DOMAIN}'")
            site.hand(*(message(f"+49{n:04d}", subject=str(n)) for n in range(300)))
            self.assertEqual(site.results(codes=(0,)), ["delivered"] * 300)
            self.assertEqual(len({box for box, _ in host.mails(300, 120)}), 300)


if __name__ == "__main__":
    unittest.main(verbosity=2)
