# SPDX-License-Identifier: GPL-3.0-or-later
"""One message by hand, the options that all tools share, exit codes, pipes, --watch, and who may do what."""
import ctypes
import json
import os
import pwd
import signal
import shutil
import subprocess
import time

import rooms
from patience import within
from rooms import Case, message, read, shell, tree, write

TOOLS = ("ums-fetch", "ums-route", "ums-failover", "ums-sitemap", "ums-push", "ums-spool")
STAGES = TOOLS[:-1]
TWO_SITES = """
sites:
  munich:
    kernels: [k1]
    hold-down: 0s
    numbering: {country: 49, area: 89, subscriber: 4799, extension-digits: 3, outside-line: 0}
    dial: rewrite
  vienna: {kernels: [k2], hold-down: 0s, mark: {X-UMS-Site: vienna}}
routes:
  - {recipient: '+43*', to: vienna}
  - {recipient: '+49*', to: munich}
"""


class Single(Case):
    def world(self, **options):
        return self.rooms(("k1", "k2"), TWO_SITES, **options)

    def job(self, content, name="job.tmp"):
        path = os.path.join(self.directory, name)
        write(path, content)
        return path

    def test_fetch_puts_one_message_into_the_spool(self):
        world = self.world()
        content = message(1)
        done = self.run_clean(world, "ums-fetch", "--connector", "ExConn", "-", stdin=content)
        name, result, detail = done.stdout.decode().rstrip("\n").split("\t")
        self.assertEqual((result, detail, world.queue("outgoing")), ("fetched", "ExConn", [name]))
        self.assertEqual(world.entry("outgoing", name), content)
        path = self.job(message(2, extra=b"Importance: high\r\n"))
        line, = self.json_lines(world, "ums-fetch", "--json", "--connector", "SapConn", path)
        self.assertEqual((line["result"], line["source"]), ("fetched", path))
        self.assertIn(",p=1", line["name"])
        self.assertTrue(os.path.exists(path), "a FILE stays its owner's")
        quiet = self.run_clean(world, "ums-fetch", "-q", "--connector", "ExConn", path, path)
        self.assertEqual(len(set(quiet.stdout.split())), 2)
        self.assertEqual(len(world.queue("outgoing")), 4)
        self.assertEqual(len(self.json_lines(world, "ums-spool", "list", "--json")), 4)

    def test_fetch_refuses(self):
        world = self.world()
        good = self.job(message(1))
        cases = [((good,), b"", 64, b"--connector"),
                 (("--connector", "Nobody", good), b"", 64, b"Nobody"),
                 (("--connector", "ExConn"), b"", 64, b"FILE"),
                 (("--connector", "ExConn", "-"), b"", 65, b"empty"),
                 (("--connector", "ExConn", "-"), b"no header\n\nbody", 65, b""),
                 (("--connector", "ExConn", "-"), b"\0" * 10, 65, b"NUL"),
                 (("--connector", "ExConn", self.job(b"", "empty")), b"", 65, b"empty"),
                 (("--connector", "ExConn", self.directory + "/absent\x1b[2J"), b"", 74, b"absent"),
                 (("--connector", "ExConn", self.directory), b"", 74, b""),
                 (("--from", "k1\n"), b"", 64, b"k1"),
                 (("--names", "-"), b"", 64, b"--names"),
                 (("--no-such-option",), b"", 64, b"--no-such-option"),
                 (("--watch=0",), b"", 64, b"--watch"),
                 (("--watch", "-n"), b"", 64, b"--dry-run"),
                 (("--watch", "5"), b"", 64, b"--watch=5"),
                 (("--limit", "x"), b"", 64, b"--limit"),
                 (("--color", "blue"), b"", 64, b"--color")]
        for arguments, stdin, code, words in cases:
            with self.subTest(arguments):
                done = self.run_clean(world, "ums-fetch", *arguments, codes=(code,), stdin=stdin)
                self.assertEqual(done.stdout, b"")
                self.assertTrue(done.stderr.startswith(b"ums-fetch: error: "), done.stderr)
                self.assertIn(words, done.stderr)
        for queue in ("outgoing/tmp", "outgoing/new"):
            path = os.path.join(world.spool, queue)
            self.assertEqual(os.listdir(path) if os.path.isdir(path) else [], [])

    def test_route_prints_the_site(self):
        world = self.world()
        self.assertEqual(self.run_clean(world, "ums-route", "-", stdin=message(1, ["fax#+43 1 2"])).stdout, b"vienna\n")
        both = message(1, ["fax#+43 1 2", "SMS#+49 89 3", "voc#+43 1 4"])
        self.assertEqual(self.run_clean(world, "ums-route", "-", stdin=both).stdout,
                         b"vienna\tfax#+43 1 2, voc#+43 1 4\nmunich\tSMS#+49 89 3\n")
        self.assertEqual(self.run_clean(world, "ums-route", "-", stdin=message(1, ["fax#+1 2"]), codes=(1,)).stdout, b"noroute\n")
        path = self.job(both)
        lines = self.json_lines(world, "ums-route", "--json", path)
        self.assertEqual([(x["site"], x["rule"], len(x["recipients"])) for x in lines], [("vienna", 1, 2), ("munich", 2, 1)])
        line, = self.json_lines(world, "ums-route", "--json", "-", stdin=message(1, ["fax#+1 2"]), codes=(1,))
        self.assertIsNone(line["site"])
        text = self.run_clean(world, "ums-route", "--explain", path).stdout.decode()
        for words in ("+4312", "rule 1", "rule 2", "-> vienna", "-> munich", "service sms"):
            self.assertIn(words, text)
        lines = self.json_lines(world, "ums-route", "--explain", "--json", path)
        self.assertEqual([x["number"] for x in lines], ["+4312", "+49893", "+4314"])
        self.assertFalse(os.path.exists(world.spool), "no spool is touched")

    def test_route_refuses(self):
        world = self.world()
        for arguments, stdin, code in ((("-",), b"", 65), (("-",), b"\r\n\r\n", 65), (("-",), b"MAIL FROM:a@b\r\n\r\n", 65),
                                       (("-",), b"X: " + b"a" * 2_000_000, 65), (("/nowhere",), b"", 74), ((self.directory,), b"", 74),
                                       (("--explain",), b"", 64), (("--connector", "ExConn"), b"", 64)):
            with self.subTest(arguments, stdin=stdin[:20]):
                done = self.run_clean(world, "ums-route", *arguments, codes=(code,), stdin=stdin)
                self.assertEqual(done.stdout, b"")
                self.assertTrue(done.stderr.startswith(b"ums-route: error: "))

    def test_sitemap_message(self):
        world = self.world()
        content = message(1, ["fax#+49 89 4799 123", "fax#+43 1 2"], body=b"\x00\xff" * 100_000)
        changed = self.run_clean_bytes(world, "ums-sitemap", "--outgoing", "--site", "munich", "-", stdin=content)
        self.assertIn(b"RCPT TO:fax#", changed.split(b"\r\n\r\n")[0])
        self.assertNotEqual(changed, content)
        self.assertEqual(changed.split(b"\r\n\r\n", 1)[1], content.split(b"\r\n\r\n", 1)[1])
        path = self.job(content)
        self.assertEqual(self.run_clean_bytes(world, "ums-sitemap", "--outgoing", "--site", "munich", path), changed)
        # What leaves through the spool is the same.
        world.run("ums-fetch", "--connector", "ExConn", "-", stdin=message(2, ["fax#+49 89 4799 123"]))
        world.passes()
        self.assertEqual(world.delivered("k1"), [self.run_clean_bytes(world, "ums-sitemap", "--outgoing", "--site", "munich", "-",
                                                                      stdin=message(2, ["fax#+49 89 4799 123"]))])
        self.assertIn(b"X-UMS-Site: vienna\r\n",
                      self.run_clean_bytes(world, "ums-sitemap", "--outgoing", "--site", "vienna", "-", stdin=message(1)))
        incoming = self.run_clean_bytes(world, "ums-sitemap", "--site", "munich", "-", stdin=message(1, ["fax#123"]))
        self.assertIn(b"RCPT TO:fax#+49894799123\r\n", incoming.replace(b" ", b"").replace(b"RCPTTO", b"RCPT TO"))
        text = self.run_clean(world, "ums-sitemap", "--outgoing", "--site", "munich", "--explain", path).stdout
        self.assertIn(b"recipient 'fax#+49 89 4799 123'", text)
        for direction in ("--outgoing", "--incoming"):
            lines = self.json_lines(world, "ums-sitemap", direction, "--site", "munich", "--json", path)
            self.assertEqual([x["recipient"] for x in lines], ["fax#+49 89 4799 123", "fax#+43 1 2"])
            for line in lines:
                self.assertTrue(line["steps"])

    def run_clean_bytes(self, world, name, *arguments, **options):
        """stdout is the message itself; only stderr must be clean."""
        done = world.run(name, *arguments, **options)
        self.assertEqual(done.stderr, b"")
        return done.stdout

    def test_sitemap_number_and_sites(self):
        world = self.world()
        number = ("number", "--site", "munich", "--outgoing", "+49 89 12345")
        steps = self.run_clean(world, "ums-sitemap", *number).stdout.decode().splitlines()
        self.assertGreater(len(steps), 1)
        for step in steps:
            self.assertEqual(step.count("\t"), 1)
        self.assertEqual(self.run_clean(world, "ums-sitemap", *number, "-q").stdout, b"012345\n")
        self.assertEqual(self.run_clean(world, "ums-sitemap", "-q", *number).stdout, b"012345\n")
        line, = self.json_lines(world, "ums-sitemap", *number, "--json")
        self.assertEqual((line["result"], line["direction"], line["site"]), ("012345", "outgoing", "munich"))
        formed = self.run_clean(world, "ums-sitemap", "number", "--site", "munich", "--incoming", "-q", "123").stdout
        self.assertEqual(formed.replace(b" ", b""), b"+49894799123\n")
        lines = self.json_lines(world, "ums-sitemap", "sites", "--json")
        self.assertEqual([x["site"] for x in lines], ["munich", "vienna"])
        self.assertIsNone(lines[1]["numbering"])
        table = self.run_clean(world, "ums-sitemap", "sites").stdout.decode().splitlines()
        self.assertEqual([row.split()[0] for row in table], ["SITE", "munich", "vienna"])
        for arguments, code in ((("number", "--site", "munich", "+49"), 64), (("number", "--outgoing", "--site", "munch", "1"), 64),
                                (("number", "--outgoing", "--site", "munich", "no number"), 65), (("number", "--outgoing", "1"), 64),
                                (("--site", "munich"), 64), (("--outgoing", "--incoming", "-"), 64), (("--site", "munich", "/nowhere"), 74),
                                (("--site", "munich", "-"), 65), (("number",), 64), (("sites", "extra"), 64)):
            with self.subTest(arguments):
                self.assertEqual(self.run_clean(world, "ums-sitemap", *arguments, codes=(code,)).stdout, b"")
        self.assertIn(b"munich", self.run_clean(world, "ums-sitemap", "--site", "munch", "-", codes=(64,)).stderr)

    def test_push_one_past_the_spool(self):
        world = self.world()
        content = message(1, ["fax#+43 1 2"])
        done = self.run_clean(world, "ums-push", "--to", "k2", "--connector", "ExConn", "-", stdin=content)
        self.assertEqual(done.stdout.decode().split("\t")[1], "delivered")
        self.assertEqual(world.delivered("k2"), [content])
        path = self.job(content)
        line, = self.json_lines(world, "ums-push", "--json", "--to", "SapConn", path)
        self.assertEqual((line["result"], line["target"]), ("delivered", "SapConn"))
        self.assertEqual(world.received("SapConn"), [content])
        self.assertFalse(os.path.exists(world.spool), "no spool is touched")
        self.assertEqual([n for _, _, names in os.walk(world.kernels["k2"]) for n in names if not n.endswith(".tmp")], [])
        for arguments, stdin, code in ((("-",), content, 64), (("--to", "k1", "--to", "k2", "-"), content, 64),
                                       (("--to", "k9", "-"), content, 64), (("--to", "k1", "-"), content, 64),
                                       (("--to", "k1", "--connector", "Nobody", "-"), content, 64),
                                       (("--to", "k1", "--connector", "ExConn", "-"), b"", 65),
                                       (("--to", "k1", "--connector", "ExConn", "-"), b"no header", 65),
                                       (("--to", "k1", "--connector", "ExConn", "/nowhere"), b"", 74),
                                       (("--connector", "ExConn"), b"", 64)):
            with self.subTest(arguments):
                self.run_clean(world, "ums-push", *arguments, stdin=stdin, codes=(code,))
        world.run("ums-failover", "disable", "k2")
        for more in ((), ("-n",)):
            done = self.run_clean(world, "ums-push", *more, "--to", "k2", "--connector", "ExConn", "-", stdin=content, codes=(75,))
            self.assertIn(b"'k2' is disabled", done.stderr)
        self.assertEqual(world.delivered("k2"), [content])
        world.run("ums-failover", "enable", "k2")
        name = self.run_clean(world, "ums-push", "-q", "--to", "k2", "--connector", "ExConn", "-", stdin=content).stdout.decode().strip()
        self.assertRegex(self.run_clean(world, "ums-spool", "trace", name).stdout, rb"ums-push  \S+  delivered  by hand: k2 R_ExConn/Out/")
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        done = self.run_clean(world, "ums-push", "--to", "k1", "--connector", "ExConn", "-", stdin=content, codes=(69,))
        self.assertIn(b"nothing arrived", done.stderr)

    def test_dry_run_changes_nothing(self):
        world = self.world()
        for i in range(4):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1", "fax#+49 2"] if i % 2 else ["fax#+1"]))
            write(os.path.join(world.kernel_in(), f"{i}.tmp"), message(10 + i))
        # Something in every queue.
        for steps in (5, 3, 2, 1):
            write(os.path.join(world.out(), f"more{steps}.tmp"), message(20 + steps, ["fax#+43 1"]))
            for name in STAGES[:steps]:
                world.run(name, codes=(0, 1))
        path = self.job(message(50, ["fax#+43 1"]))
        write(os.path.join(world.out(), "last.tmp"), message(60))
        before = tree(self.directory)
        lines = {}
        for arguments in ((), ("--json",), ("-q",), ("-v",)):
            for name in STAGES:
                done = self.run_clean(world, name, "-n", *arguments, codes=(0, 1))
                lines[name] = done.stdout.splitlines()
        self.run_clean(world, "ums-fetch", "--dry-run", "--connector", "ExConn", path)
        self.run_clean(world, "ums-push", "-n", "--to", "k1", "--connector", "ExConn", path)
        self.run_clean(world, "ums-failover", "-n", "disable", "k1")
        for command in ("hold", "release", "requeue", "delete"):
            self.run_clean(world, "ums-spool", command, "-n", *world.listed(), codes=(0, 65))
        self.assertEqual(tree(self.directory), before)
        self.assertTrue(lines["ums-fetch"] and lines["ums-route"], lines)

    def test_dry_run_without_a_spool(self):
        world = self.world()
        write(os.path.join(world.out(), "1.tmp"), message(1))
        before = tree(self.directory)
        for name in STAGES:
            self.run_clean(world, name, "-n", codes=(0, 74))
        self.assertEqual(tree(self.directory), before)

    def test_shared_options_stand_before_or_after_a_subcommand(self):
        world = self.world()
        world.run("ums-fetch", "--connector", "ExConn", "-", stdin=message(1))
        elsewhere = dict(world.environment(), UMS_CONFIG="/nowhere")
        for arguments in (("-c", world.config, "--json", "list"), ("list", "-c", world.config, "--json"),
                          ("--json", "list", "outgoing", "--config", world.config), ("list", "outgoing", "--json", "--config=" + world.config)):
            done = subprocess.run([rooms.tool("ums-spool"), *arguments], env=elsewhere, capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["queue"], "outgoing")
        for arguments in (("-c", world.config, "status", "--json"), ("status", "--json", "-c", world.config)):
            done = subprocess.run([rooms.tool("ums-failover"), *arguments], env=elsewhere, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(self.run_clean(world, "ums-failover", "drain", "-n", "k1").stdout,
                         self.run_clean(world, "ums-failover", "-n", "drain", "k1").stdout)
        for name in TOOLS:
            self.assertIn(b"Usage", self.run_clean(world, name, "--help").stdout)
            self.assertRegex(self.run_clean(world, name, "--version").stdout, rb"^%s \d+\.\d+" % name.encode())

    def test_spool_option(self):
        world = self.world()
        other = os.path.join(self.directory, "other")
        before = tree(self.directory)
        for name in STAGES + ("ums-spool",):
            for more in ((), ("-n",)):
                done = self.run_clean(world, name, "--spool", other, *more, *(("list",) if name == "ums-spool" else ()), codes=(74,))
                self.assertIn(b"there is no spool at '" + other.encode(), done.stderr)
        self.run_clean(world, "ums-fetch", "--spool", other, "--connector", "ExConn", "-", stdin=message(1), codes=(74,))
        self.run_clean(world, "ums-failover", "--spool", other, "disable", "k1", codes=(74,))
        self.assertEqual(tree(self.directory), before, "a mistyped spool is not made")
        world.run("ums-fetch", "--spool", world.spool, "--from", "ExConn")  # the configured one is
        os.rename(world.spool, other)
        world.run("ums-fetch", "--spool", other, "--connector", "ExConn", "-", stdin=message(1, ["fax#+43 1"]))
        self.assertFalse(os.path.exists(world.spool))
        done = subprocess.run([rooms.tool("ums-route"), "--spool", "other", "-q"], env=world.environment(), cwd=self.directory,
                              capture_output=True, check=True)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertEqual(len(os.listdir(os.path.join(other, "site", "vienna", "new"))), 1)

    def test_names_pipeline(self):
        world = self.world()
        other = world.run("ums-fetch", "-q", "--connector", "ExConn", "-", stdin=message(99, ["fax#+43 9"])).stdout.decode().strip()
        for i in range(30):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1", "fax#+49 89 1"] if i == 7 else ["fax#+43 1"]))
        done = shell(world, "set -o pipefail; ums-fetch -q | ums-route -q --names - | ums-failover -q --names - | ums-push --names -")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        results = [line.split("\t")[1] for line in done.stdout.decode().splitlines()]
        self.assertEqual(len(world.delivered("k2")), 30)
        self.assertEqual(results, ["delivered"] * (30 + len(world.delivered("k1"))))
        self.assertEqual(world.listed(), [other], "the one that nobody named stays")

    def test_names_with_nul(self):
        world = self.world()
        for i in range(3):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1"]))
        done = shell(world, "set -o pipefail; ums-fetch -q0 | tee fetched | ums-route -q0 --names - | ums-failover -q0 --names - | ums-push -q0 --names -",
                     cwd=self.directory)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(done.stdout.count(b"\0"), 3)
        self.assertNotIn(b"\n", done.stdout)
        self.assertEqual(len(world.delivered("k2")), 3)
        # Also into files; names that are nobody's do no harm.
        world.run("ums-fetch", "--connector", "ExConn", "-", stdin=message(5, ["fax#+43 1"]))
        path = self.job(b"".join(n.encode() + b"\tand more\n" for n in world.listed()) + b"\nnobody\n\x1b[2J\n../../etc/passwd\n", "names")
        self.assertEqual(len(self.run_clean(world, "ums-route", "-q", "--names", path).stdout.splitlines()), 1)
        self.run_clean(world, "ums-route", "--names", "/nowhere", codes=(74,))
        self.assertEqual(self.run_clean(world, "ums-failover", "-q", "--names", "-", stdin=b"").stdout, b"", "no names, no work")
        self.assertEqual(len(world.queue("site/vienna")), 1)

    def test_requeue_what_failed(self):
        world = self.world()
        for i in range(3):
            write(os.path.join(world.out(), f"{i}.tmp"), b"MAIL FROM:a@b\r\nX: %d\r\n\r\n" % i)
        world.run("ums-fetch")
        world.run("ums-route", codes=(1,))
        self.assertEqual(len(world.queue("failed")), 3)
        done = shell(world, "set -o pipefail; ums-spool list --failed -q | ums-spool requeue -")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual((len(world.queue("failed")), len(world.queue("outgoing"))), (0, 3))
        self.assertEqual(os.listdir(os.path.join(world.spool, "failed", "new")), [], "no .why stays behind")
        for zero in ("list --failed -q0 | ums-spool requeue -q0 -", "-q -0 list --failed | ums-spool -0 requeue -q -",
                     "list --failed -q --null | ums-spool requeue --null -q -"):
            done = shell(world, f"ums-route -q >/dev/null; ums-spool {zero}")
            self.assertEqual((done.stdout.count(b"\0"), done.stdout.count(b"\n"), done.stderr), (3, 0, b""), zero)

    def test_limit(self):
        world = self.world()
        for i in range(9):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1"] if i % 2 else ["fax#+49 89 1"]))
        for name, queue in (("ums-fetch", "outgoing"), ("ums-route", "site"), ("ums-failover", "kernel")):
            for count, left in ((2, 7), (7, 0), (1, 0)):
                done = self.run_clean(world, name, "-q", "--limit", str(count))
                self.assertEqual(len(done.stdout.splitlines()), min(count, left + count if left else 7 if count == 7 else 0))
            self.assertEqual(len(world.listed(queue)), 9)
        self.assertEqual(len(self.run_clean(world, "ums-push", "-q", "--limit", "7").stdout.splitlines()), 7)
        self.assertEqual(len(world.listed("kernel")), 2)
        self.run_clean(world, "ums-push", "-q", "--limit", "2")
        self.assertEqual(world.listed(), [])

    def test_watch_sees_a_new_file_and_ends_on_sigterm(self):
        world = self.world()
        write(os.path.join(world.out(), "0.tmp"), message(0, ["fax#+43 1"]))
        world.passes()
        watching = {name: self.start(world, name, "--watch=60", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for name in STAGES}
        time.sleep(1.5)  # all of them stand and wait
        for i in range(1, 4):
            started = time.monotonic()
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1"]))
            self.wait_until(lambda: len(world.delivered("k2")) == i + 1, 8, "the message goes through all tools by their watching alone")
            self.assertLess(time.monotonic() - started, within(8))
        for number, stop in zip(range(9), (signal.SIGTERM, signal.SIGINT) * 3):
            if number >= len(STAGES):
                break
            process = watching[STAGES[number]]
            started = time.monotonic()
            process.send_signal(stop)
            self.assertEqual(process.wait(within(10)), 0, STAGES[number])
            self.assertLess(time.monotonic() - started, within(3))
            self.assertEqual(process.stderr.read(), b"")

    def test_watch_fetch_within_two_seconds(self):
        world = self.world()
        process = self.start(world, "ums-fetch", "--watch=60", "-q", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(0.7)
        for i in range(3):
            started = time.monotonic()
            write(os.path.join(world.out(), f"{i}.tmp"), message(i))
            self.assertTrue(process.stdout.readline())
            self.assertLess(time.monotonic() - started, within(2))
        process.terminate()
        self.assertEqual(process.wait(within(3)), 0)

    def test_watch_with_settle_takes_it_without_another_event(self):
        world = self.world(settle="1s")
        process = self.start(world, "ums-fetch", "--watch=60", "-q", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(0.7)
        started = time.monotonic()
        write(os.path.join(world.out(), "1.tmp"), message(1))
        self.wait_until(lambda: world.queue("outgoing"), 5, "a file is taken when it has settled, not when the clock comes by")
        self.assertGreater(time.monotonic() - started, 0.9)
        process.terminate()
        self.assertEqual(process.wait(within(3)), 0)

    def test_fetch_tells_of_what_stays_in_every_run(self):
        """A claim that somebody keeps open for writing cannot be taken; it is never forgotten."""
        world = self.world()
        world.passes()
        write(os.path.join(world.out(), "slow.tmp"), message(1, ["fax#+43 1"]))
        claim = ".ums-claim-" + read(os.path.join(world.spool, "state/uuid")).decode()[:8] + "-1795406406000000.aaaaaaaa.BER1"
        os.rename(os.path.join(world.out(), "slow.tmp"), os.path.join(world.out(), claim))
        os.makedirs(os.path.join(world.spool, "state/claims"), exist_ok=True)
        write(os.path.join(world.spool, "state/claims/connector.ExConn.Out"), claim.encode() + b"\n")
        with open(os.path.join(world.out(), claim), "ab"):
            for _ in range(7):
                done = self.run_clean(world, "ums-fetch", codes=(75,))
                self.assertIn(claim.encode(), done.stderr)
                self.assertEqual(done.stdout, b"")
            self.assertIn(b"rename it to any other name in 'ExConn/Out'", done.stderr)
            done = self.run_clean(world, "ums-fetch", "-n", codes=(75,))
            self.assertEqual((done.stdout, claim.encode() in done.stderr), (b"", True), "what is left is not what would be fetched")
            write(os.path.join(world.out(), "good.tmp"), message(2, ["fax#+43 1"]))
            self.assertEqual(len(self.run_clean(world, "ums-fetch", "-q", "--limit", "1", codes=(75,)).stdout.splitlines()), 1)
            process = self.start(world, "ums-fetch", "--watch=1", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.assertIn(b"rename it to any other name in 'ExConn/Out'", process.stderr.readline())
            time.sleep(2.5)
            process.terminate()
            self.assertEqual((process.wait(within(5)), process.stderr.read()), (0, b""), "once a process")
        os.rename(os.path.join(world.out(), claim), os.path.join(world.out(), "slow.tmp"))
        self.run_clean(world, "ums-fetch")
        self.assertEqual((os.listdir(world.out()), len(world.queue("outgoing"))), ([], 2))

    def test_fetch_tells_of_a_file_that_cannot_be_opened(self):
        user = self.unprivileged()
        world = self.world()
        for i in range(2):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1"]))
        if user is not None:
            for directory, _, names in os.walk(self.directory):
                for path in [directory] + [os.path.join(directory, n) for n in names]:
                    os.chown(path, user, pwd.getpwuid(user).pw_gid)
        os.chmod(os.path.join(world.out(), "0.tmp"), 0)
        done = self.run_as(world, user, "ums-fetch", "-n")
        self.assertEqual((done.returncode, b"0.tmp" in done.stderr, b"0.tmp" in done.stdout, b"1.tmp" in done.stdout), (75, True, False, True))
        for _ in range(7):
            done = self.run_as(world, user, "ums-fetch")
            self.assertEqual((done.returncode, b"'0.tmp'" in done.stderr), (75, True), done)
        self.assertEqual(len(world.queue("outgoing")), 1)
        os.chmod(os.path.join(world.out(), "0.tmp"), 0o644)
        self.assertEqual(self.run_as(world, user, "ums-fetch").returncode, 0)

    def test_closed_and_full_output(self):
        world = self.world()
        for i in range(3):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1"]))
        path = self.job(message(1, ["fax#+43 1"]))
        world.run("ums-fetch", "--connector", "ExConn", path)
        for command in (f"ums-route {path}", f"ums-route --explain {path}", "ums-sitemap sites", "ums-sitemap sites --json",
                        f"ums-sitemap --site munich --outgoing {path}", "ums-sitemap number --site munich --outgoing +4989123",
                        "ums-failover status", "ums-spool list", "ums-spool show $(ums-spool list -q)", "ums-fetch --help",
                        "ums-push --version", "ums-route --check-config"):
            for redirect in (">&-", ">/dev/full"):
                done = shell(world, f"{command} {redirect}")
                self.assertEqual(done.returncode, 74, f"{command} {redirect}: {done.stderr}")
                self.assertIn(b"standard output", done.stderr, command)
                self.assertEqual(done.stderr.count(b": error: "), 1, done.stderr)
        # The work is done all the same; only the report is lost.
        for name, queue in (("ums-fetch", "outgoing"), ("ums-route", "site"), ("ums-failover", "kernel")):
            done = shell(world, f"{name} >/dev/full")
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertEqual(len(world.listed(queue)), 4)
        done = shell(world, "ums-push >&-")
        self.assertEqual(done.returncode, 74, done.stderr)
        self.assertEqual(len(world.delivered("k2")), 4)

    def test_head_takes_one_line(self):
        world = self.world()
        for i in range(2000):
            world.place("outgoing", f"{1795406406000000 + i}.aaaa{i:04d}.BER1,c=ExConn", message(i, ["fax#+43 1"]))
        world.run("ums-spool", "list", "-q")
        done = shell(world, "ums-spool list | head -1; echo ${PIPESTATUS[0]} >&2")
        self.assertEqual(done.stdout.count(b"\n"), 1)
        self.assertIn(done.stderr.splitlines()[-1], (b"0", b"74"))
        done = shell(world, "ums-route | head -1 >/dev/null; echo ${PIPESTATUS[0]} >&2")
        self.assertIn(done.stderr.splitlines()[-1], (b"0", b"74"))
        self.assertEqual(len(world.queue("site/vienna")), 2000, "a reader that leaves does not stop the work")

    def test_closed_standard_error_and_input(self):
        world = self.world()
        write(os.path.join(world.out(), "1.tmp"), message(1, ["fax#+43 1"]))
        for name in STAGES:
            done = shell(world, f"{name} <&- >/dev/null 2>&-")
            self.assertEqual(done.returncode, 0, name)
        self.assertEqual(len(world.delivered("k2")), 1)
        self.assertNotEqual(shell(world, "ums-fetch --connector ExConn - <&-").returncode, 0)

    def test_configuration(self):
        world = self.world()
        write(os.path.join(world.out(), "1.tmp"), message(1))
        bad = os.path.join(self.directory, "bad.yaml")
        write(bad, read(world.config).replace(b"kernels: [k2]", b"kernels: [k7]").replace(b"to: munich", b"to: munch")
              .replace(b"subscriber:", b"subscribre:"))
        before = tree(self.directory)
        for name in TOOLS:
            extra = ("list",) if name == "ums-spool" else ()
            for arguments in (("-c", bad), ("-c", bad, "--check-config")):
                done = self.run_clean(world, name, *arguments, *extra, codes=(78,))
                for words in (b"k7", b"munch", b"subscribre"):
                    self.assertIn(words, done.stderr)
                self.assertGreaterEqual(len([x for x in done.stderr.splitlines() if b": error: " in x and b"bad.yaml:" in x]), 3)
            done = self.run_clean(world, name, "-c", "/nowhere/mds.yaml", *extra, codes=(78,))
            self.assertIn(b"/nowhere/mds.yaml", done.stderr)
            self.assertNotIn(b": error: ", self.run_clean(world, name, "--check-config", *extra).stderr)
        self.assertEqual(tree(self.directory), before)
        nothing = {k: v for k, v in world.environment().items() if k != "UMS_CONFIG"}
        if not os.path.exists("/etc/ums/mds.yaml"):
            done = subprocess.run([rooms.tool("ums-route")], env=nothing, capture_output=True, check=False)
            self.assertEqual(done.returncode, 78)
            self.assertIn(b"/etc/ums/mds.yaml", done.stderr)

    def test_the_log_has_what_is_wrong_with_the_configuration(self):
        world = self.world()
        text = read(world.config)
        log = os.path.join(self.directory, "log")
        for number, arguments in enumerate(((), ("--check-config",))):
            write(world.config, text.replace(b"kernels: [k2]", b"kernels: [k7]"))
            done = self.run_clean(world, "ums-route", "--log", log, *arguments, codes=(78,))
            lines = [json.loads(line) for line in read(log).splitlines()]
            wrong = [x for x in lines if "'k7'" in x["text"]]
            self.assertEqual([x["level"] for x in wrong], ["error"] * (number + 1))
            self.assertIn(wrong[0]["text"].encode() + b"\n", done.stderr)
        # Warnings are said by -v only, but the log is for whoever reads it later.
        write(world.config, text.replace(b"timeout: 2s", b"timeout: 10s"))
        os.remove(log)
        self.assertEqual(self.run_clean(world, "ums-route", "--log", log).stderr, b"")
        self.assertEqual([json.loads(line)["level"] for line in read(log).splitlines()][:1], ["warning"])

    def test_secrets_with_wrong_permissions(self):
        secret = self.job(b"geheim-4711\n", "k1.secret")
        world = self.rooms(kernel_options=f", auth: {{method: basic, user: mds, password-file: '{secret}'}}")
        text = read(world.config).decode().replace("url: 'file:" + world.kernels["k1"] + "'", "url: 'dav://127.0.0.1:9/CR/'")
        write(world.config, text.encode())
        world.place("kernel/k1", "1795406406000000.aaaaaaaa.BER1,c=ExConn,s=munich", message(1))
        for mode in (0o644, 0o640, 0o604):
            os.chmod(secret, mode)
            done = self.run_clean(world, "ums-push", codes=None)
            if mode == 0o640 and done.returncode != 77:
                continue  # a group may be trusted with it
            self.assertEqual(done.returncode, 77, f"{mode:o} {done.stderr}")
            self.assertIn(b"kernel 'k1': refused to read the secret", done.stderr)
            self.assertIn(b"k1.secret", done.stderr)
            self.assertNotIn(b"geheim", done.stderr + done.stdout)
        os.chmod(secret, 0o600)
        done = self.run_clean(world, "ums-push", codes=(69,))
        self.assertNotIn(b"geheim", done.stderr + done.stdout)
        self.assertEqual(len(world.queue("kernel/k1")), 1)

    def unprivileged(self):
        return pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else None

    def run_as(self, world, user, name, *arguments, stdin=b""):
        return subprocess.run([rooms.tool(name), *arguments], env=world.environment(), input=stdin, user=user, group=user and pwd.getpwuid(user).pw_gid,
                              extra_groups=[] if user else None, capture_output=True, timeout=within(60), check=False)

    def test_spool_in_a_place_that_cannot_be_written(self):
        user = self.unprivileged()
        world = self.world()
        write(os.path.join(world.out(), "1.tmp"), message(1))
        os.chmod(self.directory, 0o555)
        self.addCleanup(os.chmod, self.directory, 0o755)
        before = tree(self.directory)
        for name in STAGES:
            done = self.run_as(world, user, name)
            self.assertEqual(done.returncode, 77, f"{name} {done.stderr}")
            self.assertIn(b"spool", done.stderr)
        self.assertEqual(self.run_as(world, user, "ums-fetch", "--connector", "ExConn", "-", stdin=message(1)).returncode, 77)
        self.assertEqual(tree(self.directory), before)

    def test_spool_of_somebody_else(self):
        user = self.unprivileged()
        if user is None:
            self.skipTest("needs root, to be somebody else")
        world = self.world()
        write(os.path.join(world.out(), "1.tmp"), message(1, ["fax#+43 1"]))
        world.run("ums-fetch")
        write(os.path.join(world.out(), "2.tmp"), message(2, ["fax#+43 1"]))
        before = tree(self.directory)
        for name in STAGES:
            done = self.run_as(world, user, name)
            self.assertIn(done.returncode, (77,) if name in ("ums-fetch", "ums-route") else (0, 77), f"{name} {done.stderr}")
        self.assertEqual(self.run_as(world, user, "ums-fetch", "--connector", "ExConn", "-", stdin=message(1)).returncode, 77)
        self.assertEqual(self.run_as(world, user, "ums-spool", "delete", *world.listed()).returncode, 77)
        self.assertEqual(tree(self.directory), before)

    def test_everything_as_an_ordinary_user(self):
        user = self.unprivileged()
        world = self.world()
        for i in range(5):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i, ["fax#+43 1", "fax#+49 89 1"] if i == 2 else ["fax#+43 1"]))
            write(os.path.join(world.kernel_in(), f"{i}.tmp"), message(10 + i))
        if user is not None:
            for directory, _, names in os.walk(self.directory):
                for path in [directory] + [os.path.join(directory, n) for n in names]:
                    os.chown(path, user, pwd.getpwuid(user).pw_gid)
        for name in STAGES:
            done = self.run_as(world, user, name)
            self.assertEqual((done.returncode, done.stderr), (0, b""), name)
        self.assertEqual((len(world.delivered("k2")), len(world.delivered("k1")), len(world.received())), (5, 1, 5))
        self.assertEqual(world.listed() + world.leftovers(), [])

    def test_watch_does_not_wait_for_a_fifo_as_configuration(self):
        world = self.world()
        world.passes()
        good = os.path.join(self.directory, "good.yaml")
        shutil.copy(world.config, good)
        process = self.start(world, "ums-route", "--watch=1", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for number in range(3):
            write(os.path.join(world.out(), "1.tmp"), message(number, ["fax#+43 1"]))
            world.run("ums-fetch", "-c", good)
            self.wait_until(lambda: not world.queue("outgoing"), 8, "it goes on with the configuration that it has")
            if number == 0:
                os.mkfifo(os.path.join(self.directory, "fifo"))
                os.rename(os.path.join(self.directory, "fifo"), world.config)
            time.sleep(1.5)
        process.terminate()
        self.assertEqual((process.wait(within(5)), process.stderr.read()), (0, b""))

    def test_root_becomes_the_owner_of_the_spool(self):
        """What root writes into the spool of another user that user could not read. Without root: it stays ours."""
        user = self.unprivileged()
        world = self.world()
        world.passes()
        owner = os.geteuid() if user is None else user
        if user is not None:
            subprocess.run(["chown", "-R", f"{user}:{pwd.getpwuid(user).pw_gid}", self.directory], check=True)
        write(os.path.join(world.out(), "1.tmp"), message(1, ["fax#+43 1"]))
        os.chown(os.path.join(world.out(), "1.tmp"), owner, -1)
        for name, *arguments in (("ums-failover", "disable", "k1"), ("ums-fetch",), ("ums-route",), ("ums-spool", "hold", "-"),
                                 ("ums-spool", "release", "-"), ("ums-failover", "status"), ("ums-failover",), ("ums-push",),
                                 ("ums-fetch", "--connector", "ExConn", "-")):
            given = "\n".join(world.listed()).encode() if name == "ums-spool" else message(2, ["fax#+43 1"])
            self.run_clean(world, name, *arguments, stdin=given)
        self.assertEqual(len(world.delivered("k2")), 1)
        for directory, directories, names in os.walk(world.spool):
            for path in [os.path.join(directory, n) for n in directories + names]:
                self.assertEqual(os.lstat(path).st_uid, owner, path)
        if user is None:
            return
        # Root without the right to become somebody else, as in some containers.
        def without_rights():
            libc = ctypes.CDLL(None, use_errno=True)
            for capability in (6, 7):  # CAP_SETGID, CAP_SETUID
                if libc.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
                    raise OSError(ctypes.get_errno(), "prctl")

        before = tree(world.spool)
        done = subprocess.run([rooms.tool("ums-failover"), "enable", "k1"], env=world.environment(), capture_output=True,
                              preexec_fn=without_rights, timeout=within(60), check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn(b"cannot become the owner of the spool", done.stderr)
        self.assertEqual(tree(world.spool), before)

    def test_a_link_to_the_message(self):
        """FILE may be a link, as for any other tool; and /dev/stdin is a name of standard input."""
        world = self.world()
        link = os.path.join(self.directory, "link")
        os.symlink(self.job(message(1, ["fax#+43 1"])), link)
        self.assertEqual(self.run_clean(world, "ums-route", link).stdout, b"vienna\n")
        self.run_clean(world, "ums-sitemap", "--site", "munich", "--explain", link)
        self.run_clean(world, "ums-fetch", "--connector", "ExConn", link)
        self.assertEqual(world.entry("outgoing", world.queue("outgoing")[0]), message(1, ["fax#+43 1"]))
        self.run_clean(world, "ums-push", "--to", "k1", "--connector", "ExConn", link)


if __name__ == "__main__":
    rooms.main()
