# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites: numbers that come in and go out, whose message it is, what is refused, and what is proved by cases."""
import hashlib
import os
import re
import subprocess
import threading
import time

import pbx
import rooms
from installation import BIN
from rooms import ALL, Case, message, read, write

SITES = """
site-defaults:
  kernels: [k1]
  numbering: {outside-line: 0, extension-digits: 3}
  hold-down: 0s
sites:
  munich:
    numbering: {country: 49, area: 89, subscriber: 4799, internal-length: 4, blocked: '0900*'}
    lines: {X-Controller: 1}
    dial: rewrite
    connector: {voc: SapConn, other: ExConn}
    ddi: {'98?': ignore, '99?': reject, '2*': voice}
    caller-id: '+49 89 4799 0'
    header-line: 'Example %n %d %p'
    conversions: ['O;O=+49894799;O=9[10]']
    examples:
      - {number: '+49 89 4799-123', direction: outgoing, expected: '04799123'}
  berlin:
    numbering: {country: 49, area: 30, subscriber: 456987, e164-only: yes}
    lines: {X-Controller: 2}
    doubled: park
    connector: [ExConn, SapConn]
routes:
  - {recipient: '+4930*', to: berlin}
  - {sender: '@berlin.example', to: berlin}
  - {to: munich}
"""


class Sitemap(Case):
    def world(self, config=SITES, **options):
        return self.rooms(("k1",), config, connectors="  ExConn: {{root: '{root}'}}\n  SapConn: {{root: '{root}'}}\n", **options)

    def number(self, world, site, direction, number, *more, codes=(0,)):
        done = self.run_clean(world, "ums-sitemap", "number", "--site", site, direction, "-q", *more, number, codes=codes)
        return done.stdout.decode().rstrip("\n")

    def receive(self, world, content, connector="ExConn"):
        """Fetched from the kernel's directory of a connector that the configuration does not know: numbers decide."""
        write(os.path.join(world.kernel_in("k1", connector), f"in{len(content)}.tmp"), content)
        world.passes(3, codes=None)

    # What comes in.

    def test_numbers_lines_and_connectors(self):
        world = self.world()
        os.makedirs(world.kernel_in("k1", "Stray"), exist_ok=True)
        self.receive(world, message(1, ["123"], extra=b"X-Controller: 1\r\n"), "Stray")
        got, = world.received("ExConn")
        self.assertIn(b"RCPT TO:+49 89 4799123\r\n", got)
        self.assertIn(b"X-UMS-Original-Recipient: 123\r\n", got)
        # Voice, by the DDI map, to another connector; a caller as the site writes it.
        voice = message(2, ["222"]).replace(b"sales@example.com", b"030 1234567")
        self.receive(world, voice, "Stray")
        got, = world.received("SapConn")
        self.assertIn(b"MAIL FROM:+49 301234567\r\nRCPT TO:+49 89 4799222\r\n", got)
        self.assertIn(b"X-UMS-Original-Sender: 030 1234567\r\n", got)

    def test_recipients_of_two_sites(self):
        world = self.world()
        os.makedirs(world.kernel_in("k1", "Stray"), exist_ok=True)
        self.receive(world, message(1, ["089 4799123", "+49 30 456987456", "+49 89 4799 124"]), "Stray")
        got = sorted(world.received("ExConn"))
        self.assertEqual(len(got), 2, got)
        self.assertIn(b"RCPT TO:+49 30 456987456\r\n", got[0])
        self.assertNotIn(b"4799", got[0])
        self.assertIn(b"RCPT TO:+49 89 4799123\r\nRCPT TO:+49 89 4799 124\r\n", got[1])
        self.assertEqual(world.received("SapConn"), got[:1], "it is a connector of berlin alone")

    def test_several_connectors_get_it(self):
        world = self.world()
        os.makedirs(world.kernel_in("k1", "Stray"), exist_ok=True)
        self.receive(world, message(1, ["123"], extra=b"X-Controller: 2\r\n"), "Stray")
        for connector in ("ExConn", "SapConn"):
            got, = world.received(connector)
            self.assertIn(b"RCPT TO:+49 30 456987123\r\n", got)
        self.assertEqual(world.queue("incoming"), [])

    def test_doubled_is_parked_where_the_site_says_so(self):
        world = self.world()
        self.receive(world, message(1, ["456987123"], extra=b"X-Controller: 2\r\n"))
        name, = [entry for entry in world.queue("failed") if not entry.endswith(".why")]
        why = rooms.read(os.path.join(world.spool, "failed", "new", name + ".why"))
        self.assertIn(b"doubled: park of site 'berlin'", why)
        self.assertEqual(world.received("ExConn"), [])
        # Elsewhere it is mended.
        self.receive(world, message(22, ["4799123"], extra=b"X-Controller: 1\r\n"))
        got, = world.received("ExConn")
        self.assertIn(b"RCPT TO:+49 89 4799123\r\n", got)

    def test_ddi_ignore_and_reject(self):
        world = self.world()
        caller = message(1, ["981"]).replace(b"sales@example.com", b"+43 1 5330")
        self.receive(world, caller)
        self.assertEqual(len([x for x in world.queue("failed") if not x.endswith(".why")]), 1)
        self.assertEqual(world.delivered("k1"), [], "what is ignored is told to nobody")
        rejected = message(222, ["991"]).replace(b"sales@example.com", b"+43 1 5330")
        self.receive(world, rejected)
        self.assertEqual(len([x for x in world.queue("failed") if not x.endswith(".why")]), 2)
        report, = world.delivered("k1")
        head = report.split(b"\r\n\r\n")[0]
        self.assertIn(b"RCPT TO:0004315330\r\n", head)
        self.assertIn(b"MAIL FROM:<>\r\n", head)
        self.assertIn(b"rejects calls to '99?'", report)
        # A caller whom the site blocks is not called, nor one without a full number.
        for number, sender in ((3333, b"0900 123"), (44444, b"4711"), (555555, b"anonymous")):
            self.receive(world, message(number, ["992"]).replace(b"sales@example.com", sender))
        self.assertEqual(len([x for x in world.queue("failed") if not x.endswith(".why")]), 5)
        reports = world.delivered("k1")
        self.assertEqual(len(reports), 2, "4711 is an extension of the site, and has a full number")
        # Of several recipients only that one stays behind.
        self.receive(world, message(6666666, ["123", "993"]))
        got, = world.received("ExConn")
        self.assertNotIn(b"993", got)
        name, = [x for x in world.queue("noroute") if not x.endswith(".why")]
        self.assertIn(b"RCPT TO:993\r\n", world.entry("noroute", name))

    def test_a_send_report_is_no_call(self):
        """In the connector's own directory, without a sender: what the DDI map and `doubled` say of numbers is not about it."""
        world = self.world()
        for i, number in enumerate(("981", "991", "+49 89 4799 4799 123")):
            for connector in ("ExConn", "Stray"):
                report = message(i, [number]).replace(b"sales@example.com", b"<>")
                write(os.path.join(world.kernel_in("k1", connector), f"{i}.tmp"), report)
        write(world.config, read(world.config).replace(b"lines: {X-Controller: 1}", b"lines: {X-Controller: 1}\n    doubled: park"))
        world.passes(2, codes=None)
        self.assertEqual(len(world.received("ExConn")), 3)
        self.assertEqual(len([x for x in world.queue("failed") if not x.endswith(".why")]), 3, "those that no kernel gave to a connector")

    def test_who_is_rejected_is_told_once_whatever_is_killed(self):
        """The report leaves with what is rejected, or not at all; the kernel fetches it between the runs."""
        world = self.world()
        callers = [f"+43 1 7{i:03d}" for i in range(150)]
        for i, caller in enumerate(callers):
            write(os.path.join(world.kernel_in("k1", "Z"), f"{i}.tmp"), message(i, ["991"]).replace(b"sales@example.com", caller.encode()))
        world.run("ums-fetch")
        os.makedirs(world.kernel_out("k1"), exist_ok=True)
        told, killed_between = [], 0
        for pause in [0.01 * k for k in range(4, 60, 2)] + [0.8, 1.2, 2, None]:
            with world.start("ums-sitemap", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                if pause is not None:
                    time.sleep(pause)
                    process.kill()
                process.wait()
            left = len(world.queue("incoming"))
            killed_between += process.returncode == -9 and 0 < len(callers) - left < len(callers)
            for name in ("ums-route", "ums-failover", "ums-push"):
                world.run(name, codes=(0, 1))
            for name in os.listdir(world.kernel_out("k1")):
                path = os.path.join(world.kernel_out("k1"), name)
                told.append(re.search(rb"RCPT TO:(\S+)", read(path)).group(1).decode())
                os.unlink(path)
        self.assertGreater(killed_between, 0, "no run was killed between two messages")
        self.assertEqual(world.queue("incoming"), [])
        self.assertEqual(sorted(told), sorted("0004317" + caller[-3:] for caller in callers))
        self.assertEqual(len([x for x in world.queue("failed") if not x.endswith(".why")]), len(callers))

    # What goes out.

    def test_identity_and_dial_strings(self):
        world = self.world()
        world.run("ums-fetch", "--connector", "ExConn", "-", stdin=message(1, ["fax#+49 89 112345", "+43 1 2"]))
        world.passes(2, codes=None)
        got, = world.delivered("k1")
        self.assertEqual(got, message(1, ["fax#0089112345", "000" + "4312"],
                                      extra=b"X-IFAXDATA-DChID: 90\r\nX-UMS-Header-Line: Example %n %d %p\r\n"))

    def test_refused_numbers_go_back_with_a_report(self):
        world = self.world()
        job = message(1, ["0900 123", "+49 89 1"]).replace(b"sales@example.com", b"anna@berlin.example")
        world.run("ums-fetch", "--connector", "ExConn", "-", stdin=job.replace(b"0900 123", b"089 5"))
        world.run("ums-fetch", "--connector", "ExConn", "-", stdin=message(2, ["0900 123", "+49 89 1"]))
        world.passes(2, codes=None)
        failed = sorted(world.entry("failed", x) for x in world.queue("failed") if not x.endswith(".why"))
        self.assertEqual([b"0900" in x for x in failed], [False, True])
        reports = sorted(world.received("ExConn"))
        self.assertEqual(len(reports), 2)
        self.assertIn(b"takes only numbers with '+'", reports[0])
        self.assertIn(b"the site blocks '+49900*'", reports[1])
        self.assertEqual(len(world.delivered("k1")), 2)

    # Tried and proved.

    def test_number(self):
        world = self.world()
        self.assertEqual(self.number(world, "munich", "--outgoing", "+49 89 4799-123"), "04799123")
        self.assertEqual(self.number(world, "munich", "--incoming", "456987", "--type", "subscriber"), "+49 89 456987")
        self.assertEqual(self.number(world, "munich", "--incoming", "03012345", "--kind", "originator"), "+49 3012345")
        self.assertEqual(self.number(world, "munich", "--incoming", "2", "--type=2"), "+49 2")
        done = self.run_clean(world, "ums-sitemap", "number", "--site", "munich", "--outgoing", "+49 89 112345").stdout.decode()
        self.assertIn("not dialled so: it begins like the short number '112'", done)
        for arguments, code, words in (
                (("number", "--site", "munich", "--outgoing", "0900 1"), 65, b"the site blocks '+49900*'"),
                (("number", "--site", "berlin", "--outgoing", "089 1"), 65, b"only numbers with '+'"),
                (("number", "--site", "munich", "--incoming", "1", "--type", "local"), 64, b"'local' is no type"),
                (("number", "--site", "munich", "--outgoing", "1", "--type", "national"), 64, b"go with --incoming"),
                (("number", "--site", "munich", "--incoming", "1", "--kind", "sender"), 64, b"--kind"),
                (("--test", "x", "--outgoing"), 64, b"--test"), (("import", "/nowhere"), 74, b"/nowhere")):
            with self.subTest(arguments):
                done = self.run_clean(world, "ums-sitemap", *arguments, codes=(code,))
                self.assertEqual(done.stdout, b"")
                self.assertIn(words, done.stderr)

    def test_numbers_from_standard_input(self):
        world = self.world()
        lines = b"123\r\nfax#4799123\nanna\n\n456"
        command = ("ums-sitemap", "number", "--site", "munich", "--incoming", "-")
        self.assertEqual(self.run_clean(world, *command, "-q", stdin=lines).stdout,
                         b"+49 89 4799123\n+49 89 4799123\nanna\n\n+49 89 4799456\n")
        self.assertEqual(self.run_clean(world, *command, stdin=b"123\n").stdout, b"123\t+49 89 4799123\n")
        line, = self.json_lines(world, *command, "--json", stdin=b"123\n")
        self.assertEqual((line["number"], line["result"]), ("123", "+49 89 4799123"))
        done = self.run_clean(world, "ums-sitemap", "number", "--site", "munich", "--outgoing", "-q", "-", codes=(1,),
                              stdin=b"0900 1\n+43 1\n")
        self.assertEqual(done.stdout, b"refused\n000431\n")

    def test_advice(self):
        """Of libphonenumber; it changes no number."""
        world = self.world()
        command = ("ums-sitemap", "number", "--site", "munich")
        text = self.run_clean(world, *command, "--outgoing", "+49 89 47990").stdout.decode()
        self.assertIn("\tadvice: DE: ", text)
        line, = self.json_lines(world, *command, "--json", "--outgoing", "+43 1 5330")
        self.assertEqual(line["advice"]["region"], "AT")
        line, = self.json_lines(world, *command, "--json", "--outgoing", "+999 1234")
        self.assertEqual((line["advice"]["plausible"], line["advice"]["region"]), (False, None))
        line, = self.json_lines(world, *command, "--json", "--outgoing", "+49 89 4799 1234 5678 9012 34")
        self.assertEqual((line["advice"]["plausible"], line["result"]), (False, "04799" + "12345678901234"))
        line, = self.json_lines(world, *command, "--json", "--outgoing", "+43 01 5330")
        self.assertFalse(line["advice"]["plausible"])
        self.assertIn("prefix stands behind the country", str(line["advice"]))
        line, = self.json_lines(world, *command, "--json", "--incoming", "123")
        self.assertEqual(line["advice"]["region"], "DE")
        self.assertNotIn(b"advice", self.run_clean(world, *command, "-q", "--outgoing", "+49 89 1").stdout)
        # It is loaded for that alone.
        for arguments in (("number", "--site", "munich", "--outgoing", "-q", "+49 89 1"), ("sites",), ("--site", "munich", "-"), ()):
            with self.subTest(arguments):
                done = subprocess.run([os.path.join(BIN, "ums-sitemap"), "-c", world.config, *arguments], input=message(1),
                                      env={**os.environ, "LD_DEBUG": "files", "ASAN_OPTIONS": "detect_leaks=0"}, check=True,
                                      capture_output=True)
                self.assertNotIn(b"libphonenumber", done.stderr)

    def test_cases(self):
        world = self.world()
        path = os.path.join(self.directory, "cases.yaml")
        write(path, b"""cases:
  - {site: munich, number: '+49 89 4799-123', direction: outgoing, expected: 04799123}
  - {name: the trap, site: berlin, number: 456987123, direction: incoming, expected: '+49 30 456987 123'}
  - {site: munich, number: 0900 1, direction: outgoing, expected: refused}
  - {site: munich, number: 03012345, kind: originator, direction: incoming, expected: +493012345}
""")
        done = self.run_clean(world, "ums-sitemap", "--test", path).stdout.decode().splitlines()
        self.assertEqual(done[-1], "4 cases, 0 failed")
        self.assertEqual(done[1], path + ":3\tok\tthe trap")
        with open(path, "a", encoding="utf-8") as file:
            file.write("  - {site: berlin, number: '123', direction: incoming, expected: '124'}\n")
        done = self.run_clean(world, "ums-sitemap", "--test", path, codes=(1,)).stdout.decode()
        self.assertIn(path + ":6\tFAILED\tberlin, incoming: 123\n  - 124\n  + +49 30 456987123\n    123  signalled\n", done)
        self.assertEqual(self.run_clean(world, "ums-sitemap", "-q", "--test", path, codes=(1,)).stdout.decode(), path + ":6\n")
        self.assertEqual([x["passed"] for x in self.json_lines(world, "ums-sitemap", "--json", "--test", path, codes=(1,))],
                         [True] * 4 + [False])
        write(path, b"cases:\n  - {site: munch, number: x, direction: up}\n")
        done = self.run_clean(world, "ums-sitemap", "--test", path, codes=(78,))
        self.assertIn(b"cases.yaml:2:12: error: unknown site 'munch'; did you mean 'munich'?", done.stderr)
        self.assertIn(b"has no 'expected'", done.stderr)

    def test_examples_are_checked(self):
        wrong = SITES.replace("expected: '04799123'", "expected: '4799123'")
        world = self.world(wrong)
        for arguments in (("--check-config",), ("sites",)):
            done = world.run("ums-sitemap", *arguments, codes=(78,))
            self.assertIn(b"'+49 89 4799-123' becomes '04799123', not '4799123'", done.stderr)

    def test_import(self):
        world = self.world()
        csv = b"Site,Country Code,Area Code,Subscriber Number,Outside Line Access,Colour\nA,49,089,4799,0,red\n"
        done = self.run_clean(world, "ums-sitemap", "import", "-", codes=(1,), stdin=csv)
        self.assertEqual(done.stdout.decode(), "sites:\n  a:\n    kernels: [CHANGE-ME]\n    numbering:\n      country: '49'\n"
                         "      area: '89'\n      subscriber: '4799'\n      outside-line: '0'\n")
        self.assertIn(b"'Colour' is not known", done.stderr)
        self.assertIn(b"without its leading 0", done.stderr)
        done = self.run_clean(world, "ums-sitemap", "import", "-", stdin=csv.replace(b",Colour", b"").replace(b",red", b"").replace(b"089", b"89"))
        self.assertEqual(done.stderr, b"")
        self.run_clean(world, "ums-sitemap", "import", "-", codes=(65,), stdin=b"a,b\n1,2\n")

    # Measures.

    def test_round_trip(self):
        """What a PBX signals for an extension becomes a number; dialled from anywhere, that number is the extension again. And
        whoever is dialled is who was wanted."""
        world = self.rooms(("k1",), pbx.config())
        rng = pbx.generator(6)
        count = 100_000 if ALL else 12_000
        places = list(pbx.PLACES)
        coming, going, types = {}, {}, {}
        for _ in range(count // 2):
            site = rng.choice(places)
            extension = pbx.digits(rng, pbx.PLACES[site][3])
            number, kind = pbx.signalled(rng, site, extension)
            country, area, main = pbx.PLACES[site][:3]
            coming.setdefault((site, kind), []).append((number, (country, area + main + extension)))
            types[kind] = types.get(kind, 0) + 1
        self.assertEqual(len(types), 4)
        formed = []
        for (site, kind), numbers in coming.items():
            answers = self.ask(world, site, "--incoming", [number for number, _ in numbers], "--type", kind)
            for (number, wanted), answer in zip(numbers, answers):
                self.assertEqual(answer.replace(" ", ""), "+" + "".join(wanted), (site, kind, number))
                formed.append((answer, wanted))
        for answer, wanted in formed:
            going.setdefault(rng.choice(places), []).append((answer, wanted))
        for _ in range(count // 2):
            site = rng.choice(places)
            wanted = pbx.subscriber(rng, site)
            going.setdefault(site, []).append((pbx.spelled(rng, *wanted), wanted))
        shortest = 0
        for site, numbers in going.items():
            for (number, wanted), dial in zip(numbers, self.ask(world, site, "--outgoing", [number for number, _ in numbers])):
                self.assertEqual(pbx.dialled(site, dial), wanted, (site, number, dial))
                shortest += len(dial) < len("".join(wanted))
        self.assertGreater(shortest, count // 20, "nothing was shortened")

    def ask(self, world, site, direction, numbers, *more):
        done = self.run_clean(world, "ums-sitemap", "number", "--site", site, direction, "-q", *more, "-",
                              stdin="".join(number + "\n" for number in numbers).encode())
        answers = done.stdout.decode().splitlines()
        self.assertEqual(len(answers), len(numbers))
        return answers

    def test_a_huge_message_streams(self):
        """Its body byte for byte, folded and odd lines too, in little memory."""
        world = self.world()
        size = (2 << 30) if ALL else (96 << 20)
        head = (b"MAIL FROM:a@example.com\nRCPT TO:fax#+49 89 1234\nSubject: one\n  two\n\tthree\nx-ODD :  v\nX-Test: 1\n\n")
        block = hashlib.sha512(b"seed").digest() * 4096
        expected = hashlib.sha256()
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=1"}
        with subprocess.Popen([os.path.join(BIN, "ums-sitemap"), "-c", world.config, "--site", "munich", "--outgoing", "-"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
            def feed():
                process.stdin.write(head)
                sent = 0
                while sent < size:
                    process.stdin.write(block)
                    expected.update(block)
                    sent += len(block)
                process.stdin.close()
            feeder = threading.Thread(target=feed)
            feeder.start()
            got = b""
            while b"\n\n" not in got:
                got += process.stdout.read1(65536)
            changed, rest = got.split(b"\n\n", 1)
            digest = hashlib.sha256(rest)
            peak = 0
            for chunk in iter(lambda: process.stdout.read(1 << 20), b""):
                digest.update(chunk)
                peak = max(peak, self.resident(process.pid))
            feeder.join()
            self.assertEqual(process.wait(), 0)
        self.assertEqual(digest.hexdigest(), expected.hexdigest())
        self.assertEqual(changed + b"\n\n", head.replace(b"RCPT TO:fax#+49 89 1234\n", b"RCPT TO:fax#01234\nX-IFAXDATA-DChID: 90\n"
                                                         b"X-UMS-Header-Line: Example %n %d %p\n"))
        self.assertGreater(peak, 0)
        self.assertLess(peak, (64 << 20) + self.sanitizer())

    @staticmethod
    def resident(pid):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                return next((int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM")), 0)
        except OSError:
            return 0

    @staticmethod
    def sanitizer():
        """What its shadow takes."""
        with open(os.path.join(BIN, "ums-sitemap"), "rb") as file:
            return (192 << 20) if b"libasan" in file.read() else 0


if __name__ == "__main__":
    rooms.main()
