#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ums-route as a rule engine: what rules hold and reject, mails without an envelope, cases, simulation, pictures."""
import email
import email.policy
import json
import os
import re
import shutil
import unittest

import rooms
from rooms import Case, message, read, tree, write

SITES = """
sites:
  munich: {kernels: [k1], hold-down: 0s}
  vienna: {kernels: [k2], hold-down: 0s}
routes:
"""
RULES = SITES + """
  - {name: premium, recipient: '+49900*', reject: 'Not dialled. Ask 4711.'}
  - {recipient: '+43*', to: vienna}
  - {attachment: '*.exe', hold: 'look at it'}
  - {size: {over: 100KB}, hold: large}
  - {header: {From: '@evil.example'}, to: noroute}
  - {recipient: '+49*', to: munich}
"""
MAIL = ", mail: {domains: {fax.example.com: fax}}"
MAIL_HEAD = b"From: Bob <bob@example.com>\r\nSubject: =?utf-8?q?M=C3=BC?=\r\n"


def mail(to, extra=b"", body=b"hello\r\n"):
    return MAIL_HEAD + b"To: " + to + b"\r\n" + extra + b"\r\n" + body


EXE = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
       b"--b\r\nContent-Type: application/x-dos; name=a.exe\r\n\r\nxx\r\n--b--\r\n")


class Route(Case):
    def world(self, rules=RULES, **options):
        return self.rooms(("k1", "k2"), rules, mds=MAIL, **options)

    def fetch(self, world, content, name="1.tmp", connector="ExConn"):
        write(os.path.join(world.out(connector), name), content)
        world.run("ums-fetch")

    def test_rejected_with_a_report(self):
        world = self.world()
        content = message(1, ("fax#+49 900 1", "+43 1", "+49900 2"), extra=b"Subject: a\r\n")
        self.fetch(world, content)
        done = self.run_clean(world, "ums-route", codes=(1,))
        self.assertEqual([line.split(b"\t")[1] for line in done.stdout.splitlines()], [b"parked", b"routed", b"routed"])
        failed, = world.queue("failed")
        self.assertIn(b"rejected: Not dialled. Ask 4711. (rule 1 'premium'", read(os.path.join(world.spool, "failed", "new", failed + ".why")))
        self.assertEqual(world.entry("failed", failed), content.replace(b"RCPT TO:+43 1\r\n", b""))
        world.passes()
        self.assertEqual(world.delivered("k2"), [content.replace(b"RCPT TO:fax#+49 900 1\r\n", b"").replace(b"RCPT TO:+49900 2\r\n", b"")])
        report, = world.received()
        self.assertTrue(report.startswith(b"MAIL FROM:<>\r\nRCPT TO:sales@example.com\r\n"), report)
        parsed = email.message_from_bytes(report.split(b"\r\n", 2)[2], policy=email.policy.default)
        self.assertEqual((parsed.get_content_type(), parsed["Subject"]), ("multipart/report", "Not sent: a"))
        text, status, original = parsed.iter_parts()
        self.assertEqual(text.get_content().split(), "This message was not sent to: fax#+49 900 1 +49900 2 Not dialled. Ask 4711.".split())
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        self.assertIn("Subject: a", original.get_content())
        # Decided again by hand, it is rejected again, once more with a report.
        self.run_clean(world, "ums-spool", "requeue", failed.split(",")[0])
        world.passes(codes=None)
        self.assertEqual((len(world.queue("failed")), len(world.received())), (1, 2))

    def test_rejected_and_nobody_to_tell(self):
        world = self.world()
        for i, extra in enumerate((b"Auto-Submitted: auto-replied\r\n", b"Precedence: list\r\n")):
            self.fetch(world, message(i, ("+49 900 1",), extra=extra), f"{i}.tmp")
        self.fetch(world, b"MAIL FROM:<>\r\nRCPT TO:+49 900 1\r\n\r\nx\r\n", "9.tmp")
        world.passes(codes=None)
        self.assertEqual((len(world.queue("failed")), world.received()), (3, []))

    def test_held_until_released(self):
        world = self.world()
        content = message(1, ("+49 89 1",), extra=EXE[0], body=EXE[1])
        self.fetch(world, content)
        self.run_clean(world, "ums-route", codes=(1,))
        held, = world.queue("outgoing", "hold")
        self.assertIn(b"look at it (rule 3", self.run_clean(world, "ums-spool", "list", "--hold").stdout)
        world.passes(2)
        self.assertEqual(world.queue("outgoing", "hold"), [held], "it stays")
        self.run_clean(world, "ums-spool", "release", held.split(",")[0])
        world.passes()
        self.assertEqual((world.delivered("k1"), world.listed()), ([content], []))

    def test_size_looks_at_the_whole_message(self):
        world = self.world()
        large = message(1, ("+49 89 1",), body=b"x" * 200_000 + b"\r\n")
        self.fetch(world, large)
        self.run_clean(world, "ums-route", codes=(1,))
        self.assertEqual(len(world.queue("outgoing", "hold")), 1)
        path = os.path.join(self.directory, "large.tmp")
        write(path, large)
        self.assertEqual(self.run_clean(world, "ums-route", path, codes=(1,)).stdout, b"hold\n")
        self.assertEqual(self.run_clean(world, "ums-route", "-", stdin=large, codes=(1,)).stdout, b"hold\n")
        self.assertEqual(self.run_clean(world, "ums-route", "-", stdin=message(1, ("+49 89 1",))).stdout, b"munich\n")

    def test_mails_get_their_envelope(self):
        world = self.world()
        one = mail(b'"+43 1" <+49-89-1@fax.example.com>, Bob <bob@example.com>')
        self.fetch(world, one)
        both = mail(b"0043-1@fax.example.com, /FAX=+49 89 2/@example.net", b"Cc: 0049891@fax.example.com\r\n")
        self.fetch(world, both, "2.tmp")
        copy = mail(b"+431@fax.example.com, +49891@fax.example.com", b"Delivered-To: +431@fax.example.com\r\n")
        self.fetch(world, copy, "3.tmp")
        world.passes()
        sender = b"MAIL FROM:bob@example.com\r\n"
        self.assertEqual(sorted(world.delivered("k1")), sorted([
            sender + b"RCPT TO:fax#+49-89-1\r\n" + one,
            sender + b"RCPT TO:fax#+49 89 2\r\nRCPT TO:fax#0049891\r\n" + both]))
        self.assertEqual(sorted(world.delivered("k2")), sorted([
            sender + b"RCPT TO:fax#0043-1\r\n" + both, sender + b"RCPT TO:fax#+431\r\n" + copy]))
        self.assertEqual(world.listed() + world.leftovers(), [])

    def test_mail_for_nobody_of_ours(self):
        world = self.world()
        self.fetch(world, mail(b"bob@example.com"))
        done = self.run_clean(world, "ums-route", codes=(1,))
        self.assertIn(b"no address in it is one of ours", done.stdout)
        self.assertEqual(len(world.queue("failed")), 1)

    def test_all_reasons_of_noroute(self):
        world = self.world(SITES + "  - {name: blocked, recipient: '+49900*', to: noroute}\n  - {recipient: '+49*', to: munich}\n")
        self.fetch(world, message(1, ("+1 2", "+49 900 1", "+49 89 1")))
        done = self.run_clean(world, "ums-route", codes=(1,))
        self.assertIn(b"no rule matches '+1 2'; rule 1 'blocked'", done.stdout)

    # Trying, without touching anything.

    def cases(self, world, text, *arguments, codes=(0,)):
        path = os.path.join(self.directory, "cases.yaml")
        write(path, text.encode())
        return self.run_clean(world, "ums-route", "--test", path, *arguments, codes=codes)

    def test_cases(self):
        world = self.world()
        write(os.path.join(self.directory, "offer.tmp"), mail(b"0043-1@fax.example.com, +49891@fax.example.com"))
        good = """cases:
  - {recipient: '0043 1 5330', to: vienna}
  - {name: premium, recipient: 'fax#+49 900-1', sender: a@b, connector: ExConn, to: reject}
  - {recipient: '+49 1', attachment: [text/plain, a.exe], to: hold}
  - {recipient: ['+49 1', '+43 1'], size: 1MB, at: '2026-11-21T10:00:00Z', to: [vienna, hold]}
  - {recipient: '+49 1', header: {From: 'X <a@evil.example>'}, to: noroute}
  - {message: offer.tmp, to: [munich, vienna]}
"""
        before = tree(self.directory)
        done = self.cases(world, good)
        self.assertEqual(done.stdout.splitlines()[-1], b"6 cases, 0 failed")
        self.assertIn(b"cases.yaml:3\tok\tpremium\n", done.stdout)
        self.assertEqual(self.cases(world, good, "-q").stdout, b"")
        after = tree(self.directory)
        after.pop(os.path.join(self.directory, "cases.yaml"))
        self.assertEqual(after, before, "nothing is touched")
        bad = good.replace("to: reject", "to: munich").replace("[munich, vienna]", "munich")
        done = self.cases(world, bad, codes=(1,))
        self.assertRegex(done.stdout, rb"cases.yaml:3\tFAILED\tpremium\n  - munich\n  \+ reject  rule 1 'premium' \(.*\): recipient '\+49900\*'\n")
        self.assertRegex(done.stdout, rb"cases.yaml:7\tFAILED\t[^\n]*offer.tmp\n  \+ vienna  rule 2")
        self.assertEqual(len(self.cases(world, bad, "-q", codes=(1,)).stdout.splitlines()), 2)
        lines = [json.loads(line) for line in self.cases(world, bad, "--json", codes=(1,)).stdout.splitlines()]
        self.assertEqual([x["passed"] for x in lines], [True, False, True, True, True, False])
        self.assertEqual((lines[1]["expected"], lines[1]["got"]), (["munich"], ["reject"]))

    def test_cases_with_mistakes(self):
        world = self.world()
        done = self.cases(world, """cases:
  - {recipient: '1', to: munch}
  - {recipient: '1'}
  - {to: munich}
  - {recipient: '1', at: noon, size: big, conector: x, to: munich}
""", codes=(78,))
        for words in (b"2:26: error: unknown site 'munch'; did you mean 'munich'?", b"3:5: error: the case has no 'to'",
                      b"5:26: error: 'at' must be a time in UTC", b"'size' must be", b"did you mean 'connector'?"):
            self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"'cases' is missing", self.cases(world, "case: []\n", codes=(78,)).stderr)
        self.assertIn(b"error", self.run_clean(world, "ums-route", "--test", "/nowhere", codes=(78,)).stderr)

    def test_simulate(self):
        world = self.world()
        directory = os.path.join(self.directory, "jobs")
        os.makedirs(os.path.join(directory, "below"))
        for i in range(3):
            write(os.path.join(directory, "below", f"{i}.tmp"), message(i, ("+43 1",)))
        write(os.path.join(directory, "both.tmp"), message(4, ("+43 1", "+49 89 1", "+49 89 2")))
        write(os.path.join(directory, "none.tmp"), message(5, ("+1 2",)))
        write(os.path.join(directory, "broken.tmp"), b"")
        old = world.config + ".old"
        write(old, read(world.config).replace(b"to: vienna", b"to: munich"))
        before = tree(self.directory)
        done = self.run_clean(world, "ums-route", "--simulate", directory)
        self.assertEqual([line.split() for line in done.stdout.decode().splitlines()],
                         [["SITE", "MESSAGES", "RECIPIENTS"], ["munich", "1", "2"], ["noroute", "1", "1"], ["vienna", "4", "4"]])
        self.assertIn(b"1 file is no message", done.stderr)
        done = self.run_clean(world, "ums-route", "--simulate", directory, "--against", old, codes=(1,))
        self.assertEqual(done.stdout.count(b"\tmunich -> vienna\t+43 1: rule 2"), 4)
        self.assertIn(["vienna", "4", "4", "0"], [line.split() for line in done.stdout.decode().splitlines()])
        self.run_clean(world, "ums-route", "--simulate", directory, "--against", world.config)
        objects = [json.loads(x) for x in self.run_clean(world, "ums-route", "--simulate", directory, "--against", old, "--json",
                                                         codes=(1,)).stdout.splitlines()]
        self.assertEqual(len([x for x in objects if x.get("before") == "munich" and x.get("now") == "vienna"]), 4)
        self.assertIn({"site": "vienna", "messages": 4, "recipients": 4, "before": 0}, objects)
        self.assertEqual(tree(self.directory), before, "nothing is touched")

    def test_simulate_a_queue(self):
        world = self.world()
        self.fetch(world, message(1, ("+1 2",)))
        self.run_clean(world, "ums-route", codes=(1,))
        write(world.config + ".new", read(world.config) + b"  - {recipient: '+1*', to: vienna}\n")
        done = self.run_clean(world, "ums-route", "-c", world.config + ".new", "--simulate", "noroute")
        self.assertIn(["vienna", "1", "1"], [line.split() for line in done.stdout.decode().splitlines()])
        self.assertEqual(len(world.queue("noroute")), 1)
        done = self.run_clean(world, "ums-route", "--simulate", "nirvana", codes=(64,))
        self.assertIn(b"neither a directory nor a queue", done.stderr)

    def test_pictures(self):
        world = self.world()
        dot = self.run_clean(world, "ums-route", "--graph", "dot").stdout.decode()
        for words in ('label="1 premium\\nrecipient \'+49900*\'"', "r1 -> reject [label=\"Not dialled. Ask 4711.\"];",
                      "r1 -> r2 [label=\"else\"];", "r2 -> s1;", "-> noroute [label=\"else\"]", "label=\"k1\", shape=box3d"):
            self.assertIn(words, dot)
        mermaid = self.run_clean(world, "ums-route", "--graph", "mermaid").stdout.decode()
        self.assertTrue(mermaid.startswith("flowchart LR\n"))
        self.assertIn('r2 --> s1\n', mermaid)
        svg = self.run_clean(world, "ums-route", "--graph", "svg").stdout
        self.assertIn(b"<svg", svg)
        self.assertEqual(len(re.findall(rb'class="node"', svg)), dot.count(", shape="))
        self.assertIn(b"dot, mermaid or svg", self.run_clean(world, "ums-route", "--graph", "png", codes=(64,)).stderr)

    def test_picture_without_graphviz(self):
        world = self.world()
        empty = os.path.join(self.directory, "bin")
        os.mkdir(empty)
        os.symlink(os.path.join(rooms.BIN, "ums-route"), os.path.join(empty, "ums-route"))
        self.assertIsNotNone(shutil.which("dot"))
        done = rooms.subprocess.run([os.path.join(empty, "ums-route"), "--graph", "svg"], capture_output=True, check=False,
                                    env=dict(world.environment(), PATH=empty))
        self.assertEqual(done.returncode, 64)
        self.assertIn(b"Debian package graphviz", done.stderr)

    # What --check-config finds in tables.

    def check(self, world, codes=(0,)):
        return self.run_clean(world, "ums-route", "--check-config", codes=codes).stderr

    def test_tables_that_take_each_others_numbers(self):
        write(os.path.join(self.directory, "wide.csv"), b"number,site\n+43,vienna\n+49 89,munich\n+1,munich\n")
        write(os.path.join(self.directory, "narrow.csv"), b"+43 1,munich\n+43 5,vienna\n+498,vienna\n+49 89 47,vienna\n+1 2,munich\n+7,vienna\n")
        rules = SITES + """  - {recipient: '+7*', hold: ask}
  - {recipient: {prefixes: wide.csv}, to: '*'}
  - {recipient: {prefixes: narrow.csv}, to: '*'}
  - {to: munich}
"""
        text = self.check(self.world(rules)).decode()
        self.assertRegex(text, r"2 rows of prefixes narrow.csv never act: the rule in line \d+ takes these numbers; '\+431' \(line 1\) "
                               r"goes to 'vienna' there, and would go to 'munich' here\n")
        self.assertEqual(text.count("never act"), 1)
        self.assertNotIn("no row of a table", text)
        write(os.path.join(self.directory, "one.csv"), b"+43,munich\n")
        text = self.check(self.world(SITES + "  - {recipient: {prefixes: one.csv}, to: '*'}\n  - {to: munich}\n")).decode()
        self.assertIn("no rule and no row of a table routes to site 'vienna'", text)
        text = self.check(self.world(rules.replace("hold: ask", "to: munich"))).decode()
        self.assertIn("1 row of prefixes narrow.csv never acts", text)

    def test_tables_that_cannot_be_used(self):
        path = os.path.join(self.directory, "t.csv")
        world = self.world(SITES + "  - {recipient: {prefixes: t.csv}, to: '*'}\n  - {to: munich}\n")
        for content, words in ((b"+43,viena\n", b"there is no site 'viena'"), (b"abc+1,munich\n", b"is no number"),
                               (b"+43,munich\n0043,vienna\n", b"stands in line 1 with another site")):
            write(path, content)
            self.assertIn(words, self.check(world, codes=(78,)))
            self.assertIn(words, self.run_clean(world, "ums-route", codes=(78,)).stderr)

    def test_jobs_exclude_each_other(self):
        world = self.world()
        for arguments in (("--test", "x", "--graph", "dot"), ("--simulate", ".", "-"), ("--against", "x"),
                          ("--connector", "ExConn")):
            self.run_clean(world, "ums-route", *arguments, codes=(64,))
        done = self.run_clean(world, "ums-route", "--connector", "Nobody", "-", stdin=message(1), codes=(64,))
        self.assertIn(b"no connector 'Nobody'", done.stderr)


if __name__ == "__main__":
    unittest.main()
