#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator is told who asks: probes, waits and refusals that would else be silent; and whose what is made is."""
import os
import pwd
import resource
import signal
import subprocess
import time
import unittest

import rooms
from patience import within
from rooms import Case, message, write


def nobody():
    return pwd.getpwnam("nobody")


class Told(Case):
    def given_to_nobody(self):
        """Everything of this test is his, as of a service."""
        for directory, _, names in os.walk(self.directory):
            for path in [directory] + [os.path.join(directory, n) for n in names]:
                os.chown(path, nobody().pw_uid, nobody().pw_gid)

    def as_nobody(self, world, name, *arguments):
        user = nobody()
        return subprocess.run([rooms.tool(name), *arguments], env=world.environment(), stdin=subprocess.DEVNULL, user=user.pw_uid,
                              group=user.pw_gid, extra_groups=[], capture_output=True, timeout=within(60), check=False)

    def test_a_probe_is_of_one_target_and_no_dry_run(self):
        world = self.rooms(("k1", "k2"))
        for arguments in (("--probe", "k1", "k2"), ("-n", "--probe", "k1")):
            for name in ("ums-push", "ums-fetch"):
                done = self.run_clean(world, name, *arguments, codes=(64,))
                self.assertIn(b"--probe", done.stderr)
        self.assertEqual(os.listdir(world.kernels["k1"]), [])

    @unittest.skipIf(os.getuid() != 0, "only root can be somebody else")
    def test_what_root_makes_by_hand_belongs_to_the_owner_of_the_spool(self):
        world = self.rooms()
        world.run("ums-failover")
        self.given_to_nobody()
        os.rmdir(os.path.join(world.kernels["k1"], ".BER1"))
        world.run("ums-push", "--probe", "k1")
        path = os.path.join(self.directory, "by-hand.tmp")
        write(path, message(1))
        os.chmod(path, 0o600)
        world.run("ums-push", "--to", "k1", "--connector", "ExConn", path)
        for directory, _, names in os.walk(world.kernels["k1"]):
            for made in [directory] + [os.path.join(directory, n) for n in names]:
                self.assertEqual(os.stat(made).st_uid, nobody().pw_uid, made)
        self.assertEqual(self.as_nobody(world, "ums-failover").returncode, 0)

    @unittest.skipIf(os.getuid() != 0, "only root can be somebody else")
    def test_the_probe_of_a_source_tries_the_source(self):
        world = self.rooms()
        world.run("ums-failover")
        self.given_to_nobody()
        done = self.as_nobody(world, "ums-fetch", "--probe", "ExConn")
        self.assertEqual(done.returncode, 0, done)
        self.assertRegex(done.stdout, rb"(?m)^  fetch +ok +Out: 0 files lie there")
        os.chown(world.out(), 0, 0)
        done = self.as_nobody(world, "ums-fetch", "--probe", "ExConn")
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stdout, rb"(?m)^  fetch +BAD +Out: .*Permission denied")
        self.assertEqual(os.listdir(world.out()), [])
        # A kernel makes its directories with the first message.
        self.assertRegex(world.run("ums-fetch", "--probe", "k1").stdout, rb"(?m)^  fetch +ok +R_ExConn/In: it is not there")

    def test_files_that_are_not_ripe(self):
        world = self.rooms(settle="1h")
        for i in range(3):
            write(os.path.join(world.out(), f"{i}.tmp"), message(i))
        self.assertIn(b"3 files at 'ExConn/Out' are not ripe yet", self.run_clean(world, "ums-fetch", "-v").stderr)
        self.assertEqual(self.run_clean(world, "ums-fetch").stderr, b"")
        self.assertIn(b"3 files at 'ExConn/Out' are not ripe yet", self.run_clean(world, "ums-fetch", "-n", codes=(75,)).stderr)

    def test_a_refusal_is_told_and_the_wait_for_the_next_try_is_one(self):
        world = self.rooms()
        for i in range(3):
            world.place("kernel/k1", f"179540640600000{i}.aaaaaaa{i}.BER1,c=ExConn,s=munich", message(i, body=b"x" * 60_000))
        limit = 20_000

        def small_files_only():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        done = world.run("ums-push", "-q", codes=(75,), preexec_fn=small_files_only)
        self.assertRegex(done.stderr, rb"'k1' did not take 3 messages; the last: .*too large.*next try in")
        done = world.run("ums-push", "-v", codes=(75,))
        self.assertRegex(done.stderr, rb"3 messages wait for 'k1'; the next try is in ")
        self.assertEqual(world.run("ums-push", codes=(75,)).stderr, b"")

    def test_a_site_without_kernels_is_complained_of_once_and_its_return_told(self):
        world = self.rooms()
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.place("kernel/k1", "1795406406000000.aaaaaaaa.BER1,c=ExConn,s=munich", message(1))
        log = os.path.join(self.directory, "stderr")
        with open(log, "wb") as out:
            watching = self.start(world, "ums-failover", "--watch=1", stdout=subprocess.DEVNULL, stderr=out)
        self.wait_until(lambda: b"no other kernel can take over" in rooms.read(log), 30, "it is down")
        time.sleep(3.5)
        self.assertEqual(rooms.read(log).count(b"no other kernel can take over"), 1)
        os.rename(world.kernels["k1"] + ".away", world.kernels["k1"])
        self.wait_until(lambda: b"kernel 'k1' is up" in rooms.read(log), 90, "it is back, and told without -v")
        # The next outage is another one.
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        self.wait_until(lambda: rooms.read(log).count(b"no other kernel can take over") == 2, 90, "it is down again")
        watching.terminate()
        watching.wait(within(10))


if __name__ == "__main__":
    rooms.main()
