# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole pipeline on real servers: Apache mod_dav (HTTPS, own CA, digest) and nginx dav-ext.

UMS_ALL=1 runs the full sizes; else smaller ones of the same shape.
"""
import os
import random
import signal
import subprocess
import sys
import time
import unittest

from installation import BIN, SOURCE, Installation, Ledger, Loops, process_tree
from patience import FACTOR, within
from servers import Apache, Certificates, Nginx, scratch_directory

ALL = os.environ.get("UMS_ALL") == "1"
# Messages out and in of the runs in which two are at work; few where programs are slow.
TWO = (400, 100) if ALL else (80, 20) if FACTOR < 5 else (16, 4)


class World:
    """Two kernels on real servers, two connectors, one or several MDS."""

    def __init__(self, directory):
        self.directory = directory
        certificates = Certificates(directory)
        self.apache = Apache(directory, certificates, auth="digest")
        self.nginx = Nginx(directory, certificates)
        self.connectors = os.path.join(directory, "CR")
        for name in ("ExConn", "SapConn"):
            os.makedirs(os.path.join(self.connectors, name, "Out"))
            os.makedirs(os.path.join(self.connectors, name, "In"))

    def __enter__(self):
        self.apache.start()
        self.nginx.start()
        return self

    def __exit__(self, *_):
        self.nginx.stop()
        self.apache.stop()

    def out(self, connector):
        return os.path.join(self.connectors, connector, "Out")

    def kernel_in(self, server, connector):
        path = os.path.join(server.root, "R_" + connector, "In")
        os.makedirs(path, exist_ok=True)
        status = os.stat(server.root)
        for one in (os.path.dirname(path), path):
            os.chown(one, status.st_uid, status.st_gid)
        return path

    def installation(self, mds_id="BER1", name="mds"):
        a, n = self.apache, self.nginx
        return Installation(self.directory, mds_id, name=name, config=f"""
kernels:
  munich-1:
    url: {a.tls_url}
    check: {{timeout: {within(3):g}s}}
    auth: {{method: digest, user: {a.user}, password-file: {a.password_file}}}
    tls: {{ca: {a.certificates.ca}}}
  vienna-1:
    url: {n.url}
    check: {{timeout: {within(3):g}s}}
    auth: {{method: basic, user: {n.user}, password-file: {n.password_file}}}
connectors:
  ExConn: {{root: {self.connectors}, numbers: ['*']}}
  SapConn: {{root: {self.connectors}}}
sites:
  munich: {{kernels: [munich-1]}}
  vienna: {{kernels: [vienna-1]}}
routes:
  - {{recipient: '+43*', to: vienna}}
  - {{to: munich}}
""")

    def places(self):
        found = {}
        for connector in ("ExConn", "SapConn"):
            found[f"munich {connector}"] = os.path.join(self.apache.root, "R_" + connector, "Out")
            found[f"vienna {connector}"] = os.path.join(self.nginx.root, "R_" + connector, "Out")
            found[f"in {connector}"] = os.path.join(self.connectors, connector, "In")
        return found

    def fill(self, ledger, outgoing, incoming, largest):
        for i in range(outgoing):
            connector = ("ExConn", "SapConn")[i % 2]
            size = ledger.size(2_000, largest)
            kind = ledger.random.randrange(10)
            if kind == 0:
                # Recipients in two sites: it is split, each part with its own recipient.
                both = ["fax#+49 8142 %d" % i, "fax#+43 1 %d" % i]
                content = ledger.message(both, size)
                for recipient, site in zip(both, ("munich", "vienna")):
                    other = b"RCPT TO:%s\r\n" % both[1 - both.index(recipient)].encode()
                    ledger.expect(content.replace(other, b"", 1), f"{site} {connector}", f"part of {i}")
                path = os.path.join(self.out(connector), f"job{ledger.count:06d}.tmp")
                with open(path + ".part", "wb") as out:
                    out.write(content)
                os.rename(path + ".part", path)
            else:
                site, number = ("vienna", "+43 1 5330 %d") if kind < 5 else ("munich", "+49 89 4799 %d")
                service = ("fax", "SMS", "voc")[kind % 3]
                ledger.hand_over(self.out(connector), ledger.message([f"{service}#{number % i}"], size), f"{site} {connector}")
        for i in range(incoming):
            connector = ("ExConn", "SapConn")[i % 2]
            server = (self.apache, self.nginx)[i % 3 % 2]
            content = ledger.message(["fax#+49 8142 4799 %d" % i], ledger.size(2_000, largest // 4))
            directory = self.kernel_in(server, connector)
            ledger.hand_over(directory, content, f"in {connector}", owner=os.stat(server.root))

    def assert_clean(self, test, *installations):
        """Nothing of ours is left but what may stay: owner files."""
        for installation in installations:
            test.assertEqual(installation.listed(), [])
            test.assertEqual(installation.leftovers(), [])
        ids = {"." + i.mds_id for i in installations}
        for top in (self.apache.root, self.nginx.root, self.connectors):
            for directory, _, names in os.walk(top):
                if os.path.basename(directory) in ids:
                    test.assertLessEqual(set(names), {"owner"}, directory)
                elif os.path.basename(directory) in ("Out", "In"):
                    test.assertEqual([n for n in names if n.startswith(".") or n.endswith(".part")], [], directory)
        for name in ("ExConn", "SapConn"):
            test.assertEqual(os.listdir(self.out(name)), [])


def wait_until(condition, seconds, what):
    end = time.monotonic() + within(seconds)
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


class Pipeline(unittest.TestCase):
    def setUp(self):
        scratch = scratch_directory()
        self.directory = scratch.__enter__()
        self.addCleanup(scratch.__exit__, None, None, None)
        self.world = World(self.directory)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)

    def report(self, text):
        print(f"  {self.id().rsplit('.', 1)[-1]}: {text}", file=sys.stderr)

    def supervisor(self, installation):
        environment = dict(installation.environment())
        supervisor = subprocess.Popen([os.path.join(SOURCE, "examples", "ums-supervisor"), "-c", installation.config, "-i", "1",
                                       "-l", os.path.join(self.directory, "logs-" + installation.mds_id)], env=environment,
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        # A test that fails leaves nothing at work.
        self.addCleanup(lambda: supervisor.poll() is None and (os.killpg(supervisor.pid, signal.SIGKILL), supervisor.wait()))
        return supervisor

    def stop(self, supervisor):
        tree = process_tree(supervisor.pid)
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(within(60))
        for pid in tree:
            wait_until(lambda p=pid: not os.path.exists(f"/proc/{p}") or self.is_zombie(p), 30, f"process {pid} ends")
        return supervisor.returncode

    @staticmethod
    def is_zombie(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    def test_everything_arrives_through_the_supervisor(self):
        outgoing, incoming, largest = (2000, 500, 20_000_000) if ALL else (150, 50, 1_000_000)
        ledger = Ledger(1)
        mds = self.world.installation()
        supervisor = self.supervisor(mds)
        self.world.fill(ledger, outgoing, incoming, largest)
        places = self.world.places()

        def all_there():
            return sum(len(os.listdir(d)) for d in places.values() if os.path.isdir(d)) >= len(ledger.expected)

        wait_until(all_there, 1500 if ALL else 200, "all messages arrive")
        wait_until(lambda: not mds.listed(), 30, "the spool is empty")
        time.sleep(1.5)
        self.assertEqual(self.stop(supervisor), 0)
        self.report(f"{ledger.check(places)} messages arrived once")
        mds.passes()
        self.world.assert_clean(self, mds)

    def test_kill_at_any_moment(self):
        kills, outgoing, incoming, largest = (300, 2000, 500, 20_000_000) if ALL else (60, 120, 40, 300_000)
        ledger = Ledger(2)
        chance = random.Random(3)
        mds = self.world.installation()
        killed = 0
        with Loops(mds) as loops:
            batches = 10
            for batch in range(batches):
                part = Ledger(100 + batch)
                part.expected, part.count = ledger.expected, ledger.count
                self.world.fill(part, outgoing // batches, incoming // batches, largest)
                ledger.count = part.count
                wanted = kills * (batch + 1) // batches
                end = time.monotonic() + within(120)
                while killed < wanted and time.monotonic() < end:
                    time.sleep(chance.uniform(0.01, 0.15))
                    killed += loops.kill_one(chance)
        self.assertGreaterEqual(killed, kills)
        mds.drain()
        self.report(f"{killed} kills, {ledger.check(self.world.places())} messages arrived once")
        mds.passes()
        self.world.assert_clean(self, mds)

    def test_two_of_everything_on_one_spool(self):
        ledger = Ledger(4)
        mds = self.world.installation()
        self.world.fill(ledger, *TWO, 200_000)
        with Loops(mds, copies=2) as loops:
            wait_until(lambda: not any(os.listdir(self.world.out(n)) for n in ("ExConn", "SapConn")) and not mds.listed(),
                       200, "all messages arrive")
            time.sleep(0.5)
        mds.drain()
        self.report(f"{ledger.check(self.world.places())} messages arrived once")
        self.assertEqual(loops.errors, [])
        self.world.assert_clean(self, mds)

    def test_two_mds_on_the_same_connectors_and_kernels(self):
        ledger = Ledger(5)
        first, second = self.world.installation("BER1", "first"), self.world.installation("BER2", "second")
        self.world.fill(ledger, *TWO, 200_000)
        with Loops(first) as one, Loops(second) as two:
            wait_until(lambda: not any(os.listdir(self.world.out(n)) for n in ("ExConn", "SapConn"))
                       and not first.listed() and not second.listed(), 200, "all messages arrive")
            time.sleep(0.5)
        first.drain()
        second.drain()
        self.report(f"{ledger.check(self.world.places())} messages arrived once")
        self.assertEqual(one.errors + two.errors, [])
        self.world.assert_clean(self, first, second)


if __name__ == "__main__":
    if not BIN:
        sys.exit("UMS_BIN must name the directory of the programs")
    unittest.main(verbosity=2)
