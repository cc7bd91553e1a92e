#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users of other programs complained of, where it is about balancing, health or failover: a test for each thread,
named after it."""
import os
import socket
import threading
import time

import rooms
from davserver import Dav
from hostile import Hostile, reply
from patience import within
from rooms import Case, message, read, write

SITE = """
sites:
  munich: {{kernels: [{kernels}], hold-down: {hold}{more}}}
routes:
  - {{to: munich}}
"""


def site(kernels="k1, k2", more="", hold="0s"):
    return SITE.format(kernels=kernels, more=more, hold=hold)


class Listener:
    """Takes connections, counts them, and never says a word."""

    def __init__(self, test):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        test.addCleanup(self.socket.close)
        self.port = self.socket.getsockname()[1]
        self.kept = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.kept.append(self.socket.accept()[0])
            except OSError:
                return

    @property
    def connections(self):
        return len(self.kept)


class Complaints(Case):
    def send(self, world, numbers, **options):
        for i in numbers:
            write(os.path.join(world.out(), f"{i:05d}.tmp"), message(i, **options))
        world.run("ums-fetch", "--from", "ExConn")
        world.run("ums-route")

    def kernels(self, world):
        return {x["kernel"]: x for x in self.json_lines(world, "ums-failover", "status", "--json") if "kernel" in x}

    def queued(self, world, *kernels):
        return [len(world.queue("kernel/" + kernel)) for kernel in kernels]

    def replaced(self, world, old, new):
        text = read(world.config).decode()
        self.assertIn(old, text)
        write(world.config, text.replace(old, new).encode())

    def with_url(self, world, kernel, url, more=""):
        self.replaced(world, f"'file:{world.kernels[kernel]}'", f"'{url}'{more}")

    def silent(self, world, kernel="k1", scheme="dav"):
        listener = Listener(self)
        path = "CR/" if scheme == "dav" else "share/CR"
        self.with_url(world, kernel, f"{scheme}://127.0.0.1:{listener.port}/{path}",
                      ", limit: {connect: 1s, answer: 1s, stall: 1s}" + (", auth: {method: none}" if scheme == "smb" else ""))
        return listener

    def test_nullmailer_75_one_hang_stops_no_other(self):
        world = self.rooms(("k1", "k2"), site())
        self.silent(world)
        for kernel in ("k1", "k2"):
            for i in range(3):
                world.place("kernel/" + kernel, f"{int(time.time() * 1e6) + i}.hang{kernel}{i}.BER1,c=ExConn,s=munich", message(i))
        begin = time.monotonic()
        world.run("ums-push", codes=(75,))
        self.assertLess(time.monotonic() - begin, within(15))
        self.assertEqual(len(world.delivered("k2")), 3)
        self.assertEqual(self.queued(world, "k1"), [3])

    def test_nullmailer_4_and_1_a_dead_server_is_not_hammered(self):
        world = self.rooms(("k1",), site("k1"))
        listener = self.silent(world)
        for i in range(20):
            world.place("kernel/k1", f"{int(time.time() * 1e6) + i}.dead{i}.BER1,c=ExConn,s=munich", message(i))
        world.run("ums-failover", codes=(69,))
        self.assertEqual(self.kernels(world)["k1"]["state"], "down")
        before = listener.connections
        for _ in range(5):
            world.run("ums-push", codes=(75,))
        self.assertEqual(listener.connections, before, "ums-push leaves a kernel alone that is down")
        self.assertEqual(self.queued(world, "k1"), [20], "and nothing is counted against its messages")
        self.assertNotIn(",r=", world.queue("kernel/k1")[0])

    def test_opensmtpd_797_and_855_a_corrected_configuration_is_for_queued_messages_too(self):
        world = self.rooms(("k1",), site("k1"))
        right = world.kernels["k1"]
        self.replaced(world, f"'file:{right}'", f"'file:{right}-mistyped'")
        self.send(world, range(2))
        world.run("ums-failover", codes=(69,))
        world.run("ums-push", codes=(0, 69, 75))
        self.assertEqual(world.delivered("k1"), [])
        self.replaced(world, f"'file:{right}-mistyped'", f"'file:{right}'")
        world.run("ums-failover")
        world.run("ums-push")
        self.assertEqual(len(world.delivered("k1")), 2)

    def test_opensmtpd_244_a_pause_for_one_destination(self):
        world = self.rooms(("k1", "k2"), site(more=", balance: {rotate: 2}"))
        world.run("ums-failover", "drain", "k1")
        self.send(world, range(4))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1", "k2"), [0, 4])
        world.run("ums-failover", "enable", "k1")
        self.send(world, range(4, 8))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1", "k2"), [2, 6])

    def test_kamailio_3446_and_2100_a_look_that_takes_longer_than_its_interval_is_told_of(self):
        world = self.rooms(("k1",), site("k1"))
        self.replaced(world, "interval: 10s, timeout: 2s", "interval: 2s, timeout: 10s")
        done = world.run("ums-failover", "--check-config")
        self.assertIn(b"'timeout' (10s) is not below 'interval' (2s)", done.stdout + done.stderr)

    def test_kamailio_4330_two_kernels_at_one_address_have_states_of_their_own(self):
        world = self.rooms(("k1", "k2"), site(more=", balance: {rotate: 2}"))
        self.replaced(world, f"'file:{world.kernels['k2']}'", f"'file:{world.kernels['k1']}'")
        world.run("ums-failover")
        world.run("ums-failover", "disable", "k1")
        states = self.kernels(world)
        self.assertEqual([(states[k]["state"], states[k]["admin"]) for k in ("k1", "k2")], [("up", "disabled"), ("up", "enabled")])
        self.send(world, range(4))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1", "k2"), [0, 4])
        world.run("ums-push")
        self.assertEqual(len(world.delivered("k1")), 4)

    def test_opensips_564_and_haproxy_2729_what_is_known_to_be_bad_is_not_used_after_a_restart(self):
        world = self.rooms(("k1", "k2"), site())
        listener = self.silent(world)
        world.run("ums-failover")
        before = listener.connections
        for i in range(3):
            world.place("kernel/k1", f"{int(time.time() * 1e6) + i}.again{i}.BER1,c=ExConn,s=munich", message(i))
        # Each run is a new process: all that it knows stands on the disk.
        world.run("ums-push", codes=(0, 75))
        self.assertEqual(listener.connections, before)
        world.run("ums-failover")
        world.run("ums-push")
        self.assertEqual(len(world.delivered("k2")), 3)

    def test_opensips_711_and_1474_what_the_administrator_said_stands_apart_and_wins(self):
        world = self.rooms(("k1", "k2"), site())
        world.run("ums-failover", "disable", "k1")
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.run("ums-failover")
        self.assertEqual([self.kernels(world)["k1"][k] for k in ("state", "admin")], ["down", "disabled"])
        os.rename(world.kernels["k1"] + ".away", world.kernels["k1"])
        world.run("ums-failover")
        self.assertEqual([self.kernels(world)["k1"][k] for k in ("state", "admin")], ["up", "disabled"])
        self.send(world, range(2))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1", "k2"), [0, 2])

    def test_opensips_425_prefixes_do_not_pile_up_on_the_next_kernel(self):
        world = self.rooms(("k1", "k2"), site(more=", numbering: {country: 49, area: 89, outside-line: 0}, dial: rewrite"))
        self.send(world, [1], recipients=("fax#+49 89 123",))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1"), [1])
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.run("ums-push", codes=(69, 75))
        world.run("ums-failover")
        world.run("ums-push")
        one, = world.delivered("k2")
        self.assertIn(b"RCPT TO:fax#0123\r\n", one)

    def test_haproxy_866_a_standby_helps_before_all_are_gone(self):
        world = self.rooms(("k1", "k2", "k3"), site("k1, k2, k3", ", balance: {rotate: 2, min-active: 2}"))
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        self.send(world, range(8))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1", "k2", "k3"), [0, 4, 4])

    def test_nora_629_a_full_disk_is_not_healthy(self):
        dav = Dav("/CR", directories=("", "R_ExConn"))
        with Hostile(lambda request: reply(507) if request.method == "PUT" else dav(request)) as server:
            world = self.rooms(("k1", "k2"), site())
            self.with_url(world, "k1", server.url)
            self.send(world, range(2))
            world.run("ums-failover")
            self.assertEqual(self.kernels(world)["k1"]["state"], "down")
            world.run("ums-push")
        self.assertEqual(len(world.delivered("k2")), 2)

    def test_jasmin_531_what_has_no_route_is_kept_and_seen(self):
        world = self.rooms(("k1",), "\nsites:\n  munich: {kernels: [k1], hold-down: 0s}\nroutes:\n  - {recipient: '+43*', to: munich}\n")
        write(os.path.join(world.out(), "1.tmp"), message(1))
        world.run("ums-fetch")
        self.assertEqual(os.listdir(world.out()), [])
        world.run("ums-route", codes=(1,))
        self.assertEqual(len(world.queue("noroute")), 1)
        self.assertIn(b"noroute", world.run("ums-spool", "list").stdout)

    def test_jasmin_467_rotation_knows_who_is_up(self):
        world = self.rooms(("k1", "k2"), site(more=", balance: {rotate: 2}"))
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        self.send(world, range(6))
        world.run("ums-failover")
        self.assertEqual(self.queued(world, "k1", "k2"), [0, 6])

    def test_systemd_22241_a_dead_share_is_down_and_keeps_nobody(self):
        world = self.rooms(("k1", "k2"), site())
        self.silent(world, scheme="smb")
        self.send(world, range(2))
        begin = time.monotonic()
        world.run("ums-failover")
        world.run("ums-push", codes=(0, 75))
        self.assertLess(time.monotonic() - begin, within(20))
        self.assertEqual(self.kernels(world)["k1"]["state"], "down")
        self.assertEqual(len(world.delivered("k2")), 2)


if __name__ == "__main__":
    rooms.main()
