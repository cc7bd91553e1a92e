# SPDX-License-Identifier: GPL-3.0-or-later
"""Malformed input at both ends: left alone or parked with its reason; never in the way of the messages around it."""
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import time

import rooms
from patience import within
from rooms import CONTROL, Case, message, read, write

RECIPIENT = b"RCPT TO:fax#+49 89 1\r\n"
THREE_SITES = """
sites:
  munich: {kernels: [k1], hold-down: 0s}
  vienna: {kernels: [k2], hold-down: 0s}
  paris: {kernels: [k3], hold-down: 0s}
routes:
  - {recipient: '+43*', to: vienna}
  - {recipient: '+33*', to: paris}
  - {to: munich}
"""
# What makes a message unusable, and the words that its .why must hold.
UNUSABLE = {
    "no-headers.tmp": (b"only text, and no header at all\r\n\r\n", ""),
    "5MB-of-headers.tmp": (RECIPIENT + b"X-Filler: " + b"a" * 76 + b"\r\n" + (b"X-Filler: " + b"b" * 66 + b"\r\n") * 67_000, "header"),
    "nul-bytes.tmp": (b"MAIL FROM:a@b\r\nRCPT TO:fax#\0+49 89 1\r\n\r\nbody", "NUL"),
    "nul-only.tmp": (b"\0" * 5000, "NUL"),
    "no-recipient.tmp": (b"MAIL FROM:a@b\r\nSubject: none\r\n\r\nbody", "recipient"),
    "empty-recipient.tmp": (b"MAIL FROM:a@b\r\nRCPT TO:\r\n\r\nbody", "recipient"),
    "blank-lines.tmp": (b"\r\n\r\n\n\n\r\n", ""),
    "cr-only.tmp": (b"MAIL FROM:a@b\rRCPT TO:fax#+49 89 1\r\rbody\r", "recipient"),
    "escape-in-header.tmp": (b"\x1b[31mRED\x1b[0m\r\n\r\nbody", ""),
    "noise.tmp": (random.Random(7).randbytes(30_000), ""),
}
# Odd, but a message all the same: it arrives byte for byte.
ODD = {
    "lf.tmp": b"MAIL FROM:a@b\nRCPT TO:fax#+49 89 1\nX: lf\n\nbody\n",
    "crlf.tmp": b"MAIL FROM:a@b\r\nRCPT TO:fax#+49 89 1\r\nX: crlf\r\n\r\nbody\r\n",
    "mixed.tmp": b"MAIL FROM:a@b\nRCPT TO:fax#+49 89 1\r\nX: mixed\n\r\nbody\r\n",
    "folded.tmp": b"MAIL FROM:a@b\r\nRCPT TO:fax#\r\n +49\r\n\t89 1\r\nX: folded\r\n\r\nbody",
    "no-body.tmp": b"MAIL FROM:a@b\r\nRCPT TO:fax#+49 89 1\r\nX: no body\r\n",
    "no-line-end.tmp": b"RCPT TO:fax#+49 89 1",
    "900KB-line.tmp": b"RCPT TO:fax#+49 89 1\r\nX-Long: " + b"x" * 900_000 + b"\r\n\r\nbody",
    "escape-in-value.tmp": b"MAIL FROM:\x1b[2J@b\r\nRCPT TO:fax#+49 89 \x1b]0;title\x07 1\r\nSubject: \x07\x1b[31m\r\n\r\nbody",
    "latin1.tmp": b"MAIL FROM:m\xfcller@b\r\nRCPT TO:fax#+49 89 1\r\nSubject: \xff\xfe\r\n\r\nbody",
}
# Names that somebody could give a file.
NAMES = [b"new\nline.tmp", b"tab\there.tmp", b"\x1b[2J\x1b]0;owned\x07.tmp", b"\xff\xfe\x80.tmp", b"n" * 255,
         b"quote'\"`$(touch owned);.tmp", b"  spaces  in it  ", b"-rf", b"--watch", b"*?[a-z]", b"back\\slash", b"a,c=Evil,s=x.tmp",
         b"%2e%2e%2f.tmp", "Müller Übersicht.tmp".encode(), b"#hash?query&and;"]


class Malformed(Case):
    def check_no_trace(self, done):
        """Nothing that ran crashed, and nothing it said can drive a terminal."""
        self.assertGreaterEqual(done.returncode, 0)
        self.assertNotEqual(done.returncode, 70, done.stderr)
        self.assertIsNone(CONTROL.search(done.stdout), done.stdout[:2000])
        self.assertIsNone(CONTROL.search(done.stderr), done.stderr[:2000])

    def everything(self, world, passes=1, verbose=True):
        codes = {}
        for _ in range(passes):
            for name in ("ums-fetch", "ums-route", "ums-failover", "ums-sitemap", "ums-push"):
                done = world.run(name, *(["-v"] if verbose else []), codes=None)
                self.check_no_trace(done)
                codes[name] = done.returncode
        for arguments in (("list",), ("list", "--json"), ("show", *world.listed()), ("trace", *world.listed())):
            if len(arguments) > 1 or arguments[0] == "list":
                self.check_no_trace(world.run("ums-spool", *arguments, codes=(0,)))
        self.check_no_trace(world.run("ums-failover", "status", codes=(0,)))
        return codes

    def whys(self, world, queue):
        """Content of each parked message -> its reason."""
        directory = os.path.join(world.spool, queue, "new")
        found = {}
        for name in world.queue(queue):
            why = read(os.path.join(directory, name + ".why")).decode("utf-8")
            self.assertTrue(why.strip(), name)
            self.assertEqual(why.count("\n"), 1, why)
            found[read(os.path.join(directory, name))] = why
        self.assertEqual(len(os.listdir(directory)), 2 * len(world.queue(queue)))
        return found

    def special_files(self, directory):
        """What is no regular file, and therefore nobody's message. -> their names"""
        os.mkdir(os.path.join(directory, "directory.tmp"))
        write(os.path.join(directory, "directory.tmp", "inside.tmp"), message(1))
        os.mkfifo(os.path.join(directory, "fifo.tmp"))
        os.symlink("/etc/passwd", os.path.join(directory, "passwd.tmp"))
        os.symlink("nowhere", os.path.join(directory, "dangling.tmp"))
        os.symlink("loop.tmp", os.path.join(directory, "loop.tmp"))
        with socket.socket(socket.AF_UNIX) as one:
            here = os.getcwd()
            os.chdir(directory)  # a socket's path may not be long
            one.bind("socket.tmp")
            os.chdir(here)
        open(os.path.join(directory, "empty.tmp"), "wb").close()
        return {"directory.tmp", "fifo.tmp", "passwd.tmp", "dangling.tmp", "loop.tmp", "socket.tmp", "empty.tmp"}

    def fill(self, directory, contents, good):
        """Odd files between good ones, older and newer."""
        for i, (name, content) in enumerate(contents.items()):
            write(os.path.join(directory, f"{i:03d}-good.tmp"), good[i])
            write(os.path.join(directory, name), content)

    def test_outgoing_contents(self):
        world = self.rooms()
        bad = {name: content for name, (content, _) in UNUSABLE.items()}
        everything = {**bad, **ODD}
        good = [message(i) for i in range(len(everything))]
        self.fill(world.out(), everything, good)
        special = self.special_files(world.out())
        codes = self.everything(world)
        self.assertEqual(codes["ums-fetch"], 0)
        self.assertEqual(codes["ums-route"], 1, "failed/ needs a person")
        self.assertEqual(codes["ums-push"], 0)
        self.assertEqual(world.delivered(), sorted(good + list(ODD.values())))
        reasons = self.whys(world, "failed")
        self.assertEqual(sorted(reasons), sorted(bad.values()))
        for name, (content, words) in UNUSABLE.items():
            self.assertIn(words.lower(), reasons[content].lower(), name)
        self.assertEqual(set(os.listdir(world.out())), special)
        self.assertEqual(os.listdir(os.path.join(world.out(), "directory.tmp")), ["inside.tmp"])
        self.assertEqual(self.everything(world)["ums-route"], 0, "what was parked is not handled again")

    def test_incoming_contents(self):
        world = self.rooms()
        directory = world.kernel_in()
        self.fill(directory, {n: c for n, (c, _) in UNUSABLE.items()} | ODD, [message(i) for i in range(99)])
        count = len(UNUSABLE) + len(ODD)
        special = self.special_files(directory)
        codes = self.everything(world)
        self.assertEqual((codes["ums-fetch"], codes["ums-push"]), (0, 0))
        # A message without recipient, such as a send report, is the connector's in whose directory it lay.
        bare = [UNUSABLE[n][0] for n in ("no-recipient.tmp", "empty-recipient.tmp", "cr-only.tmp")]
        received = world.received()
        for content in [message(i) for i in range(count)] + list(ODD.values()) + bare:
            self.assertIn(content, received)
        parked = list(self.whys(world, "failed"))
        self.assertEqual(codes["ums-sitemap"], 1)
        # Each of them went one way, and none was lost.
        self.assertEqual(sorted(received + parked),
                         sorted([message(i) for i in range(count)] + list(ODD.values()) + [c for c, _ in UNUSABLE.values()]))
        self.assertEqual(set(os.listdir(directory)), special)

    def test_names(self):
        world = self.rooms()
        for number, directory in enumerate((world.out(), world.kernel_in())):
            for i, name in enumerate(NAMES):
                path = os.path.join(directory.encode(), name)
                with open(path, "wb") as file:
                    file.write(message(1000 * number + i))
        codes = self.everything(world)
        self.assertEqual(set(codes.values()), {0})
        self.assertEqual(world.delivered(), sorted(message(i) for i in range(len(NAMES))))
        self.assertEqual(world.received(), sorted(message(1000 + i) for i in range(len(NAMES))))
        self.assertEqual(os.listdir(world.out()) + os.listdir(world.kernel_in()), [])
        self.assertFalse(os.path.exists("owned") or os.path.exists(os.path.join(world.out(), "owned")))
        for name in os.listdir(world.kernel_out()):
            self.assertRegex(name, r"^[A-Za-z0-9._-]+\.tmp$")

    def test_names_of_directories_on_a_kernel(self):
        """R_* that no connector of ours has: what lies there is routed by number, and says so on one line."""
        world = self.rooms()
        names = [b"R_Foreign", b"R_new\nline", b"R_\x1b[2J", b"R_a b", b"R_" + b"x" * 200, b"R_\xff", b"R_a,c=SapConn"]
        for i, name in enumerate(names):
            path = os.path.join(world.kernels["k1"].encode(), name, b"In")
            os.makedirs(path)
            with open(os.path.join(path, b"job.tmp"), "wb") as file:
                file.write(message(i))
        os.mkdir(os.path.join(world.kernels["k1"], "R_"))
        write(os.path.join(world.kernels["k1"], "R_file"), b"no directory")
        self.everything(world)
        self.assertEqual(world.received(), sorted(message(i) for i in range(len(names))))

    def growing(self, settle, world, directory, arrived):
        path = os.path.join(directory, "growing.tmp")
        script = ("import sys, time\n"
                  "f = open(sys.argv[1], 'ab', buffering=0)\n"
                  "f.write(b'MAIL FROM:a@b\\r\\nRCPT TO:fax#+49 89 1\\r\\nX-Test: grow\\r\\n\\r\\n')\n"
                  "print('open', flush=True)\n"
                  "for line in sys.stdin:\n"
                  "    f.write(line.encode())\n"
                  "    print('more', flush=True)\n")
        writer = subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (writer.poll() is None and writer.kill(), writer.wait(), writer.stdin.close(), writer.stdout.close()))
        self.assertEqual(writer.stdout.readline(), "open\n")
        write(os.path.join(directory, "good.tmp"), message(1))
        content = read(path)
        for i in range(4):
            self.everything(world)
            self.assertTrue(os.path.exists(path), "taken while its writer has it open")
            if i != 2:
                writer.stdin.write(f"line {i}\n")
                writer.stdin.flush()
                self.assertEqual(writer.stdout.readline(), "more\n")
                content += f"line {i}\n".encode()
            time.sleep(1.1 if settle else 0)
        self.everything(world)
        self.assertIn(message(1), arrived(), "the growing one is in nobody's way")
        self.assertTrue(os.path.exists(path))
        writer.stdin.close()
        writer.wait(within(10))
        self.everything(world)
        if settle:
            time.sleep(1.1)
            self.everything(world)
        self.assertEqual(arrived(), sorted([message(1), content]))
        self.assertEqual(os.listdir(directory), [])

    def test_growing_outgoing_settle(self):
        world = self.rooms(settle="1s")
        self.growing(True, world, world.out(), world.delivered)

    def test_growing_outgoing_at_once(self):
        world = self.rooms()
        self.growing(False, world, world.out(), world.delivered)

    def test_growing_incoming_settle(self):
        world = self.rooms(settle="1s")
        self.growing(True, world, world.kernel_in(), world.received)

    def test_growing_incoming_at_once(self):
        world = self.rooms()
        self.growing(False, world, world.kernel_in(), world.received)

    def test_half_written_without_a_writer_settles(self):
        """Written in pieces by a program that closes it in between: two equal looks and the time between them."""
        world = self.rooms(settle="1s")
        path = os.path.join(world.out(), "pieces.tmp")
        with open(path, "wb") as file:
            file.write(message(1))
        world.run("ums-fetch")
        for i in range(3):
            time.sleep(0.6)
            with open(path, "ab") as file:
                file.write(b"piece %d\r\n" % i)
            world.run("ums-fetch")
            self.assertTrue(os.path.exists(path))
        time.sleep(1.1)
        whole = read(path)
        world.run("ums-fetch")
        self.assertFalse(os.path.exists(path))
        self.assertEqual(world.entry("outgoing", world.queue("outgoing")[0]), whole)

    def test_thousands_of_recipients(self):
        world = self.rooms(("k1", "k2", "k3"), THREE_SITES)
        per_site = {"k1": [], "k2": [], "k3": []}
        recipients = []
        for i in range(5000):
            kernel, country = (("k1", "49"), ("k2", "43"), ("k3", "33"))[i % 3]
            recipients.append("fax#+%s %d" % (country, 10_000 + i))
            per_site[kernel].append(recipients[-1])
        write(os.path.join(world.out(), "many.tmp"), message(1, recipients))
        write(os.path.join(world.out(), "good.tmp"), message(2))
        codes = self.everything(world)
        self.assertEqual(set(codes.values()), {0})
        self.assertEqual(world.delivered("k1"), sorted([message(1, per_site["k1"]), message(2)]))
        for kernel in ("k2", "k3"):
            self.assertEqual(world.delivered(kernel), [message(1, per_site[kernel])])
        self.assertEqual(world.listed() + world.leftovers(), [])

    def test_unreadable_file(self):
        """As a user: a file that cannot be read stays, is named, and stops no other."""
        if os.getuid() != 0:
            user = None
        else:
            user = pwd.getpwnam("nobody").pw_uid
        world = self.rooms()
        for i in range(3):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i))
        os.chmod(os.path.join(world.out(), "1.tmp"), 0)
        if user is not None:
            subprocess.run(["chown", "-R", str(user), self.directory], check=True)
            # Not its owner: somebody else put it there.
            os.chown(os.path.join(world.out(), "1.tmp"), 0, 0)
        for _ in range(7):
            done = subprocess.run([rooms.tool("ums-fetch")], env=world.environment(), user=user, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=within(60), check=False)
            self.check_no_trace(done)
            self.assertIn(done.returncode, (0, 75))
        self.assertEqual(len(world.queue("outgoing")), 2)
        self.assertEqual(len(os.listdir(world.out())), 1)
        os.chmod(os.path.join(world.out(), os.listdir(world.out())[0]), 0o644)
        world.passes(2)
        world.drain(30)
        self.assertEqual(world.delivered(), [message(i) for i in range(3)])

    def test_a_directory_of_a_kernel_that_cannot_be_fetched_stops_no_other(self):
        world = self.rooms()
        for name in ("A" * 240, "A" * 239 + "B", "Bad", "ExConn"):
            write(os.path.join(world.kernel_in(connector=name), "1.tmp"), name.encode() + message(1))
        # In the way of the file that is written there.
        os.makedirs(os.path.join(world.spool, "state/claims/kernel.k1.R_Bad%2FIn.tmp/x"))
        write(os.path.join(world.spool, "VERSION"), b"ums-spool 1\n")
        done = self.run_clean(world, "ums-fetch", codes=(73,))
        self.assertIn(b"R_Bad/In", done.stderr)
        self.assertEqual(len(world.queue("incoming")), 3)
        self.assertEqual(os.listdir(world.kernel_in(connector="Bad")), ["1.tmp"])
        for name in os.listdir(os.path.join(world.spool, "state/looks")):
            self.assertLess(len(name), 150)
        shutil.rmtree(os.path.join(world.spool, "state/claims/kernel.k1.R_Bad%2FIn.tmp"))
        self.run_clean(world, "ums-fetch")
        self.assertEqual(len(world.queue("incoming")), 4)

    def test_directories_that_are_not_there_or_no_directories(self):
        world = self.rooms()
        write(os.path.join(world.out("SapConn"), "good.tmp"), message(1))
        shutil.rmtree(world.out("ExConn"))
        done = self.run_clean(world, "ums-fetch")
        self.assertIn(b"ExConn", done.stderr)
        write(world.out("ExConn"), b"a file in place of the directory")
        write(os.path.join(world.out("SapConn"), "good2.tmp"), message(2))
        done = world.run("ums-fetch", codes=(0, 75))
        self.check_no_trace(done)
        self.assertEqual(len(world.queue("outgoing")), 2)
        os.unlink(world.out("ExConn"))
        os.mkdir(world.out("ExConn"))
        # A file where the kernel's directory should be made.
        write(os.path.join(world.kernels["k1"], "R_SapConn"), b"in the way")
        codes = self.everything(world)
        self.assertIn(codes["ums-push"], (69, 75))
        self.assertEqual(len(world.listed()), 2)
        os.unlink(os.path.join(world.kernels["k1"], "R_SapConn"))
        world.drain(30)
        self.assertEqual(world.delivered("k1", "SapConn"), [message(1), message(2)])

    def test_odd_files_in_the_spool_are_left_alone(self):
        world = self.rooms()
        world.passes()
        odd = [b"no-entry", b"\x1b[2J", b"new\nline", b"\xff", b".hidden", b"1,,,", b"a" * 255]
        for queue in ("outgoing", "incoming", "site/munich", "kernel/k1", "connector/ExConn", "failed", "noroute"):
            for state in ("new", "hold"):
                path = os.path.join(world.spool, queue, state)
                os.makedirs(path, exist_ok=True)
                for name in odd:
                    with open(os.path.join(path.encode(), name), "wb") as file:
                        file.write(b"odd")
        os.makedirs(os.path.join(world.spool, "kernel", "odd\x1b[2J\nname", "new"))
        write(os.path.join(world.out(), "good.tmp"), message(1))
        self.everything(world)
        self.assertEqual(world.delivered(), [message(1)])
        self.assertEqual(len(os.listdir(os.path.join(world.spool, "kernel/k1/new"))), len(odd))


if __name__ == "__main__":
    rooms.main()
