# SPDX-License-Identifier: GPL-3.0-or-later
"""ums-failover with directories as kernels: a kernel is gone when its directory is."""
import fcntl
import json
import os
import socket
import struct
import subprocess
import time

import rooms
from mailserver import SILENT, MailServer
from patience import within
from rooms import Case, message, read, write

TWO = """
sites:
  munich: {{kernels: [{kernels}], hold-down: 0s{more}}}
routes:
  - {{to: munich}}
"""
F_OFD_SETLK = 37
HOUR = 3600
DAY = 24 * HOUR
ENTRY = "1795406406000001.doubtful.BER1,c=ExConn,s=munich,n=1"
# It begins with the hash of its queue, kernel/k1.
TOKEN = "fbada2token1"
WITNESSED = ENTRY + ",v=" + TOKEN


def aged(seconds, token, **attributes):
    """The name of an entry that arrived so long ago."""
    return f"{int((time.time() - seconds) * 1e6):016d}.{token}.BER1" + "".join(f",{k}={v}" for k, v in attributes.items())


def site(kernels="k1, k2", more=""):
    return TWO.format(kernels=kernels, more=more)


class Failover(Case):
    def away(self, world, kernel):
        os.rename(world.kernels[kernel], world.kernels[kernel] + ".away")

    def back(self, world, kernel):
        os.rename(world.kernels[kernel] + ".away", world.kernels[kernel])

    def send(self, world, numbers, **options):
        """Messages up to the decision of ums-failover."""
        for i in numbers:
            write(os.path.join(world.out(), f"{i:05d}.tmp"), message(i, **options))
        world.run("ums-fetch", "--from", "ExConn")  # the kernels may be away
        world.run("ums-route")

    def states(self, world):
        return {x["kernel"]: x["state"] for x in self.json_lines(world, "ums-failover", "status", "--json") if "kernel" in x}

    def numbers(self, contents):
        return sorted(int(c.split(b"body of ")[1].split()[0]) for c in contents)

    def test_gone_and_back(self):
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(3))
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [0, 1, 2])
        # Three that are queued for k1 when it goes, and three after it.
        self.send(world, range(3, 6))
        world.run("ums-failover")
        self.assertEqual(len(world.queue("kernel/k1")), 3)
        self.away(world, "k1")
        self.send(world, range(6, 9))
        done = self.run_clean(world, "ums-failover")
        self.assertIn(b"'k1' is down", done.stderr)
        self.assertIn(b"3 messages", done.stderr)
        self.assertEqual((world.queue("kernel/k1"), len(world.queue("kernel/k2"))), ([], 6))
        self.assertEqual(self.states(world), {"k1": "down", "k2": "up"})
        self.run_clean(world, "ums-push")
        self.assertEqual(self.numbers(world.delivered("k2")), list(range(3, 9)))
        self.back(world, "k1")
        self.send(world, range(9, 12))
        world.run("ums-failover")
        self.send(world, range(12, 15))
        world.passes()
        self.assertEqual(self.states(world), {"k1": "up", "k2": "up"})
        self.assertLessEqual({12, 13, 14}, set(self.numbers(world.delivered("k1"))), "back at the first kernel")
        self.assertEqual(self.numbers(world.delivered("k1") + world.delivered("k2")), list(range(15)))
        self.assertEqual(world.listed() + world.leftovers(), [])

    def test_gone_under_the_pusher(self):
        """The pusher meets it before any look: nothing is lost, and the next pass moves it on."""
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(3))
        world.run("ums-failover")
        self.away(world, "k1")
        done = self.run_clean(world, "ums-push", codes=(69,))
        self.assertIn(b"3 messages wait", done.stderr)
        self.assertEqual(len(world.queue("kernel/k1")), 3)
        for line in self.run_clean(world, "ums-spool", "list", "kernel/k1").stdout.decode().splitlines():
            self.assertRegex(line.split("\t")[2], r"^since \S+: the directory '.*' is not there$", "what the pusher met")
        world.run("ums-failover")
        world.run("ums-push")
        self.assertEqual(self.numbers(world.delivered("k2")), [0, 1, 2])

    def test_the_list_tells_why_they_wait(self):
        """Of a site they wait only while no kernel of it takes any; what each has is told."""
        world = self.rooms(("k1", "k2"), site())
        self.away(world, "k1")
        self.send(world, range(2))
        world.run("ums-failover")
        listed = self.run_clean(world, "ums-spool", "list").stdout.decode()
        self.assertRegex(listed, "^.*\tkernel/k2/new\tsince [^:\n]*\n.*\tkernel/k2/new\tsince [^:\n]*\n$", "nothing is known against k2")
        world.run("ums-failover", "disable", "k2")
        self.assertRegex(self.run_clean(world, "ums-spool", "list").stdout.decode(), "\tkernel/k2/new\tsince [^:\n]*: k2 is disabled by ")
        self.send(world, range(2, 4))
        world.run("ums-failover", codes=(0, 69))
        self.assertRegex(self.run_clean(world, "ums-spool", "list", "site").stdout.decode(),
                         r"\tsite/munich/new\tsince .*: k1 is down: .*; k2 is disabled by ")
        name = world.queue("site/munich")[0].split(",")[0]
        self.assertRegex(self.run_clean(world, "ums-spool", "show", name).stdout.decode(), r"\nWhy +k1 is down(.|\n)*\nLast .*ums-route  routed  munich")
        listed = self.json_lines(world, "ums-spool", "list", "--json", "site")
        self.assertRegex(listed[0]["detail"], "^k1 is down: .*; k2 is disabled by ")
        world.run("ums-failover", "enable", "k2")
        self.assertRegex(self.run_clean(world, "ums-spool", "list", "site").stdout.decode(), "new\tsince [^:\n]*\n")

    SITES = """
sites:
  munich: {kernels: [k1], dial: rewrite, mark: {X-Site: muc}, numbering: {country: 49, area: 89, outside-line: 0}}
  vienna: {kernels: [k2], dial: rewrite, mark: {X-Site: vie}, numbering: {country: 43, area: 1, outside-line: 9}}
routes:
  - {to: munich}
"""

    def expect_decided_anew(self, changed, kernel):
        """What is queued for k1 is not sent as another site's, nor as none's: the rules decide anew."""
        world = self.rooms(("k1", "k2"), self.SITES)
        self.send(world, range(2))
        world.run("ums-failover")
        self.assertEqual(len(world.queue("kernel/k1")), 2)
        before = read(world.config)
        write(world.config, before.replace(self.SITES.encode(), changed.encode()))
        self.assertNotEqual(before, read(world.config))
        done = self.run_clean(world, "ums-push", codes=(75,))
        self.assertIn(b"2 messages for 'k1' are of a site that is gone, or no longer has it", done.stderr)
        self.assertEqual(len(world.queue("kernel/k1")), 2)
        self.assertEqual(world.delivered("k1"), [])
        world.run("ums-failover", codes=(0, 75))
        self.assertEqual(len(world.queue("outgoing")), 2)
        for name in ("ums-route", "ums-failover", "ums-push"):
            world.run(name)
        self.assertEqual(len(world.delivered(kernel)), 2)
        for content in world.delivered(kernel):
            self.assertIn(b"RCPT TO:fax#01\r\n", content)
            self.assertIn(b"X-Site: muc", content)

    def test_a_site_that_is_renamed(self):
        self.expect_decided_anew(self.SITES.replace("munich", "muc"), "k1")

    def test_a_kernel_that_moves_to_another_site(self):
        self.expect_decided_anew(self.SITES.replace("[k1]", "[k3]").replace("[k2]", "[k1]").replace("[k3]", "[k2]"), "k2")

    def test_what_is_blocked_by_now_goes_back_to_who_sent_it(self):
        """It was queued for the kernel before the number was blocked; the others of its recipients are sent to."""
        world = self.rooms(("k1", "k2"), self.SITES)
        self.send(world, [0], recipients=("fax#+49 900 1", "fax#+49 89 2"))
        world.run("ums-failover")
        write(world.config, read(world.config).replace(b"country: 49,", b"country: 49, blocked: '0900*',"))
        done = self.run_clean(world, "ums-push", codes=(75,))
        self.assertIn(b"is not dialled: the site blocks '+49900*'; the rules decide anew", done.stdout)
        self.assertEqual(len(world.queue("outgoing")), 1)
        for name in ("ums-route", "ums-failover", "ums-push"):
            world.run(name, codes=(0, 1))
        got, = world.delivered("k1")
        self.assertIn(b"RCPT TO:fax#02\r\n", got)
        self.assertNotIn(b"900", got.split(b"\r\n\r\n")[0])
        report, = world.received("ExConn")
        self.assertIn(b"the site blocks", report)
        self.assertEqual(len([x for x in world.queue("failed") if not x.endswith(".why")]), 1)

    def test_what_is_received_for_a_site_that_is_renamed(self):
        """It does not leave with the numbers that the kernel signalled."""
        world = self.rooms(("k1", "k2"), self.SITES)
        world.run("ums-fetch")
        os.makedirs(world.kernel_in("k1", "ExConn"), exist_ok=True)
        for recipient in ("1234", "5678"):
            write(os.path.join(world.kernel_in("k1", "ExConn"), recipient + ".tmp"), message(1, [recipient]))
        for name in ("ums-fetch", "ums-sitemap"):
            world.run(name)
        self.assertEqual(len(world.queue("connector/ExConn")), 2)
        self.assertIn(",s=munich", world.queue("connector/ExConn")[0])
        write(world.config, read(world.config).replace(b"munich", b"muc"))
        done = self.run_clean(world, "ums-push", codes=(75,))
        self.assertIn(b"2 messages for 'ExConn' are of a site that is gone", done.stderr)
        self.assertEqual(world.received("ExConn"), [])
        world.run("ums-failover", codes=(0, 75))
        self.assertEqual((len(world.queue("incoming")), world.queue("connector/ExConn")), (2, []))
        self.assertIn(",c=ExConn", world.queue("incoming")[0], "the kernel chose the connector")
        for name in ("ums-sitemap", "ums-push"):
            world.run(name)
        self.assertEqual(sorted(x.split(b"RCPT TO:")[1].split(b"\r")[0] for x in world.received("ExConn")), [b"+49 89 1234", b"+49 89 5678"])

    def old(self, world, kernel):
        """What lies at the kernel has lain there for long."""
        for name in os.listdir(world.kernel_out(kernel)):
            os.utime(os.path.join(world.kernel_out(kernel), name), (time.time() - HOUR,) * 2)

    def test_recall_from_a_stuck_kernel(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", stuck: 10m, recall: yes")
        self.send(world, range(3))
        world.passes()
        write(os.path.join(world.kernel_out("k1"), "a-stranger.tmp"), b"x")
        self.old(world, "k1")
        # It fetches one of them after all.
        first = [n for n in sorted(os.listdir(world.kernel_out("k1"))) if n != "a-stranger.tmp"][0]
        fetched = read(os.path.join(world.kernel_out("k1"), first))
        os.remove(os.path.join(world.kernel_out("k1"), first))
        done = self.run_clean(world, "ums-failover")
        self.assertIn(b"2 messages were taken back from 'k1', which is down and had not fetched them", done.stderr)
        self.assertEqual(os.listdir(world.kernel_out("k1")), ["a-stranger.tmp"])
        self.assertEqual((world.queue("kernel/k1"), len(world.queue("kernel/k2"))), ([], 2))
        name = world.queue("kernel/k2")[0]
        world.run("ums-push")
        self.assertEqual(sorted([fetched, *world.delivered("k2")]), sorted(message(i) for i in range(3)))
        self.assertEqual([x for x in world.leftovers() if not x.startswith("sent/new/")], [])
        trace = world.run("ums-spool", "trace", name.split(",")[0]).stdout.decode()
        for word in ("delivered", "recalled", "moved"):
            self.assertIn(word, trace)
        # What k2 took is k2's: k1 can be as stuck as it likes.
        self.assertEqual(self.run_clean(world, "ums-failover").stdout, b"")
        self.assertEqual(len(world.delivered("k2")), 2)

    def test_recall_from_a_kernel_that_was_disabled(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", recall: yes")
        self.send(world, range(2))
        world.passes()
        world.run("ums-failover", "disable", "k1", "k2")
        before = rooms.tree(world.kernels["k1"])
        done = self.run_clean(world, "ums-failover", codes=(75,))
        self.assertIn(b"2 messages that 'k1' has not fetched cannot be taken back now: no other kernel takes them", done.stderr)
        self.assertEqual(rooms.tree(world.kernel_out("k1")).keys(), {p for p in before if p.startswith(world.kernel_out("k1") + "/")},
                         "nobody else could take them")
        world.run("ums-failover", "enable", "k2")
        world.passes()
        self.assertEqual((world.delivered("k1"), sorted(world.delivered("k2"))), ([], [message(0), message(1)]))
        # And back again, to the very kernel that had them.
        world.run("ums-failover", "enable", "k1")
        world.run("ums-failover", "disable", "k2")
        world.passes()
        world.passes()
        self.assertEqual((sorted(world.delivered("k1")), world.delivered("k2")), ([message(0), message(1)], []))
        self.assertEqual([x for x in world.leftovers() if not x.startswith("sent/new/")], [])

    def test_a_kernel_that_was_stuck_proves_that_it_fetches(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", stuck: 10m, recall: yes")
        self.send(world, range(2))
        world.passes()
        self.old(world, "k1")
        world.passes()
        self.assertEqual((world.delivered("k1"), len(world.delivered("k2"))), ([], 2))
        # Its directory is empty because of us. It takes messages as it did before, and does not fetch them.
        for i in range(2, 6):
            self.send(world, [i])
            world.passes()
        self.assertEqual((self.numbers(world.delivered("k1")), self.numbers(world.delivered("k2"))), ([2], [0, 1, 3, 4, 5]))
        self.assertEqual(self.states(world)["k1"], "up")
        self.assertIn(b"was stuck, and is given one message at a time", self.run_clean(world, "ums-failover", "status").stdout)
        # Stuck again: that one comes back, and the next one goes there; else nobody would ever know that it works again.
        self.old(world, "k1")
        world.passes(2)
        self.send(world, [6, 7])
        world.passes()
        self.assertEqual((self.numbers(world.delivered("k1")), self.numbers(world.delivered("k2"))), ([6], [0, 1, 2, 3, 4, 5, 7]))
        # It fetches: all is well.
        os.remove(os.path.join(world.kernel_out("k1"), os.listdir(world.kernel_out("k1"))[0]))
        world.passes()
        self.send(world, range(8, 12))
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [8, 9, 10, 11])

    def test_enable_believes_a_kernel_that_was_stuck(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", stuck: 10m, recall: yes")
        self.send(world, [0])
        world.passes()
        self.old(world, "k1")
        world.passes(2)
        world.run("ums-failover", "enable", "k1")
        self.send(world, range(1, 4))
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [1, 2, 3])

    def taken_back(self, world):
        """A pass that was killed when it had begun to take a message back from k1, which is disabled. -> its id"""
        self.send(world, [0])
        world.passes()
        world.run("ums-failover", "disable", "k1")
        name, = world.queue("sent")
        os.rename(os.path.join(world.spool, "sent/new", name), os.path.join(world.spool, "kernel/k1/publishing", name + ",k=1"))
        return name.split(",")[0]

    def test_a_recall_that_was_interrupted_is_finished(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", recall: yes")
        one = self.taken_back(world)
        for command in ("trace", "show", "list"):
            done = self.run_clean(world, "ums-spool", command, *([] if command == "list" else [one]))
            self.assertIn(b"being taken back from k1", done.stdout)
        self.run_clean(world, "ums-failover")
        self.assertEqual((world.queue("kernel/k1"), len(world.queue("kernel/k2"))), ([], 1), "in the same pass")
        world.run("ums-push")
        self.assertEqual((world.delivered("k1"), world.delivered("k2")), ([], [message(0)]))

    def test_what_is_being_taken_back_did_not_arrive_because_somebody_says_so(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", recall: yes")
        one = self.taken_back(world)
        final, = os.listdir(world.kernel_out("k1"))
        os.rename(os.path.join(world.kernel_out("k1"), final), os.path.join(world.kernels["k1"], ".BER1", one + ".1.revoked"))
        done = self.run_clean(world, "ums-failover", "settle", "--delivered", one, codes=(65,))
        self.assertIn(b"was being taken back from 'k1'", done.stderr)
        world.passes()
        self.assertEqual((world.delivered("k1"), world.delivered("k2")), ([], [message(0)]))
        done = self.run_clean(world, "ums-failover", "settle", "--delivered", "1795406406000000.nothere.BER1", codes=(65,))
        self.assertIn(b"there is no message '1795406406000000.nothere.BER1' in the spool", done.stderr)

    def test_what_was_sent_can_be_taken_back_when_the_configuration_has_changed_twice(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", recall: yes")
        text = read(world.config)
        self.send(world, range(2))
        world.passes()
        for other in (text.replace(b", recall: yes", b""), text.replace(b"[k1, k2]", b"[k2]")):
            write(world.config, other)
            world.run("ums-push")
            self.assertEqual(len(world.queue("sent")), 2)
        write(world.config, text)
        world.run("ums-failover", "disable", "k1")
        world.passes()
        self.assertEqual((world.delivered("k1"), sorted(world.delivered("k2"))), ([], [message(0), message(1)]))

    def test_what_went_to_a_fallback_site_goes_home(self):
        world = self.rooms(("k1", "k2"), """
sites:
  munich: {kernels: [k1], hold-down: 0s, fallback: [vienna]}
  vienna: {kernels: [k2], hold-down: 0s}
routes: [{to: munich}]
""", kernel_options=", recall: yes")
        world.run("ums-failover", "disable", "k1")
        self.send(world, range(2))
        world.passes()
        self.assertEqual(len(world.delivered("k2")), 2)
        self.send(world, [2])
        for name in ("ums-fetch", "ums-route", "ums-failover"):
            world.run(name)
        self.assertEqual(len(world.queue("kernel/k2")), 1)
        world.run("ums-failover", "enable", "k1")
        world.run("ums-failover", "disable", "k2")
        world.passes(2)
        self.assertEqual((self.numbers(world.delivered("k1")), world.delivered("k2"), world.queue("kernel/k2")), ([0, 1, 2], [], []))

    def test_a_list_of_what_was_sent_deletes_nothing_that_is_on_its_way_again(self):
        world = self.rooms(("k1", "k2"), site(), kernel_options=", recall: yes")
        self.send(world, range(2))
        world.passes()
        listed = world.run("ums-spool", "list", "-q", "sent").stdout
        world.run("ums-failover", "disable", "k1")
        world.run("ums-failover")
        done = self.run_clean(world, "ums-spool", "delete", "-", stdin=listed, codes=(65,))
        self.assertIn(b"now, under another name than was given; nothing was done", done.stderr)
        world.passes()
        self.assertEqual(len(world.delivered("k2")), 2)
        # As it stands, and by its id alone, it is deleted.
        listed = world.run("ums-spool", "list", "-q", "sent").stdout.split()
        world.run("ums-spool", "delete", listed[0].decode(), listed[1].split(b",")[0].decode())
        self.assertEqual(world.queue("sent"), [])

    def test_no_recall_unasked(self):
        world = self.rooms(("k1", "k2"), site(), mds=", keep-sent: 1d")
        self.send(world, range(2))
        world.passes()
        world.run("ums-failover", "disable", "k1")
        world.passes()
        self.assertEqual(len(world.delivered("k1")), 2)

    def test_sent_is_kept_from_when_it_was_sent(self):
        world = self.rooms(("k1",), site("k1"), mds=", keep-sent: 2s")
        world.place("kernel/k1", aged(HOUR, "aaaaaaaa", c="ExConn", s="munich"), message(1))
        name, = world.queue("kernel/k1")
        os.utime(os.path.join(world.spool, "kernel/k1/new", name), (1, 1))
        world.run("ums-push")
        world.run("ums-push")
        self.assertEqual(len(world.queue("sent")), 1)
        time.sleep(2.1)
        world.run("ums-push")
        self.assertEqual(world.queue("sent"), [])

    def test_manual_return_and_hold_down(self):
        world = self.rooms(("k1", "k2"), site(more=", fail-back: manual"))
        self.away(world, "k1")
        world.run("ums-failover")
        self.back(world, "k1")
        for _ in range(3):
            world.run("ums-failover")
        self.assertEqual(self.states(world)["k1"], "probation")
        self.send(world, range(2))
        world.passes()
        self.assertEqual(len(world.delivered("k2")), 2)
        self.run_clean(world, "ums-failover", "enable", "k1")
        world.run("ums-failover")
        self.send(world, range(2, 4))
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [2, 3])
        os.mkdir(os.path.join(self.directory, "other"))
        other = rooms.Rooms(os.path.join(self.directory, "other"), ("k1", "k2"), site().replace("hold-down: 0s", "hold-down: 2s"), name="held")
        self.away(other, "k1")
        other.run("ums-failover")
        self.back(other, "k1")
        other.run("ums-failover")
        self.assertEqual(self.states(other)["k1"], "probation")
        time.sleep(2.2)
        other.run("ums-failover")
        self.assertEqual(self.states(other)["k1"], "up")

    def counts(self, world):
        return [len(world.queue(f"kernel/{k}")) for k in sorted(world.kernels)]

    def test_rotation(self):
        world = self.rooms(("k1", "k2", "k3"), site("k1, k2, k3", ", balance: {rotate: 2, batch: 2}"))
        self.send(world, range(8))
        order = [line.split("\t")[2] for line in self.run_clean(world, "ums-failover").stdout.decode().splitlines()]
        self.assertEqual(order, ["k1", "k1", "k2", "k2"] * 2)
        self.send(world, range(8, 10))
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [6, 4, 0], "the turn goes on between runs")
        self.away(world, "k1")
        self.send(world, range(10, 12))
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [0, 12, 0], "one of the rotating ones is left, and it is enough")
        self.away(world, "k2")
        self.send(world, range(12, 14))
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [0, 0, 14], "the standby")
        world.run("ums-push")
        self.assertEqual(self.numbers(world.delivered("k3")), list(range(14)))

    def test_min_active(self):
        world = self.rooms(("k1", "k2", "k3"), site("k1, k2, k3", ", balance: {rotate: 2, batch: 2, min-active: 2}"))
        self.away(world, "k1")
        world.run("ums-failover")
        self.send(world, range(8))
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [0, 4, 4])

    def test_weights_and_hash(self):
        world = self.rooms(("k1", "k2"), site(more=", balance: {weights: {k1: 3, k2: 1}}"))
        self.send(world, range(8))
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [6, 2])
        os.mkdir(os.path.join(self.directory, "other"))
        other = rooms.Rooms(os.path.join(self.directory, "other"), ("k1", "k2", "k3"), site("k1, k2, k3", ", balance: {hash: recipient}"))
        for i in range(30):
            self.send(other, [i], recipients=("fax#+49 89 %d" % (i % 6),))
        other.run("ums-failover")
        other.run("ums-push")
        where = {}
        for kernel in other.kernels:
            for content in other.delivered(kernel):
                where.setdefault(content.split(b"RCPT TO:")[1].split(b"\r\n")[0], set()).add(kernel)
        self.assertEqual({len(kernels) for kernels in where.values()}, {1})
        self.assertGreater(len({next(iter(k)) for k in where.values()}), 1)

    def test_what_a_killed_run_staged_is_swept_by_a_run_without_work(self):
        world = self.rooms()
        write(os.path.join(world.out(), "1.tmp"), message(1))
        world.passes()
        stage = os.path.join(world.kernels["k1"], ".BER1")
        self.assertEqual(os.listdir(stage), ["owner"])
        marks = os.path.join(world.spool, "state/unswept")
        self.assertEqual(os.listdir(marks), [], "nothing is left to sweep")
        leftover = os.path.join(stage, "1795406406000000.aaaaaaaa.BER1.1.part")
        write(leftover, b"half of it")
        world.run("ums-push")
        self.assertTrue(os.path.exists(leftover), "without work, and without a mark, the kernel is not even asked")
        write(os.path.join(marks, "kernel.k1"), b"")
        world.run("ums-push")
        self.assertEqual(os.listdir(stage), ["owner"])
        self.assertEqual(os.listdir(marks), [])

        # A kernel that is away is no error as long as nothing waits for it.
        write(os.path.join(marks, "kernel.k1"), b"")
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        self.assertEqual(world.run("ums-push").stderr, b"")
        self.assertEqual(os.listdir(marks), ["kernel.k1"])

    def test_drain_disable_enable(self):
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(2))
        world.run("ums-failover")
        self.assertEqual(self.run_clean(world, "ums-failover", "drain", "k1").stdout, b"k1\tdrain\n")
        self.send(world, range(2, 4))
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [2, 2], "nothing new, but what is queued stays")
        world.run("ums-push")
        self.assertEqual(self.numbers(world.delivered("k1")), [0, 1])
        self.run_clean(world, "ums-failover", "enable", "k1")
        self.send(world, range(4, 6))
        world.run("ums-failover")
        self.run_clean(world, "ums-failover", "disable", "k1")
        world.run("ums-push", codes=(75,))
        self.assertEqual(self.counts(world)[0], 2, "a disabled kernel is sent nothing")
        world.run("ums-failover")
        self.assertEqual(self.counts(world), [0, 2])
        world.run("ums-push")
        self.assertEqual(self.numbers(world.delivered("k2")), [2, 3, 4, 5])
        line, = [x for x in self.json_lines(world, "ums-failover", "status", "--json") if x.get("kernel") == "k1"]
        self.assertEqual((line["state"], line["admin"]), ("up", "disabled"))
        self.run_clean(world, "ums-failover", "disable", "k2")
        self.send(world, range(6, 7))
        world.run("ums-failover", codes=(69,))
        self.run_clean(world, "ums-failover", "enable", "k1", "k2")
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [0, 1, 6])
        self.run_clean(world, "ums-failover", "drain", "k1", "k9", codes=(64,))
        self.assertEqual({x["admin"] for x in self.json_lines(world, "ums-failover", "status", "--json") if "kernel" in x}, {"enabled"})
        self.run_clean(world, "ums-failover", "drain", codes=(64,))
        self.run_clean(world, "ums-failover", "eject", "k1", codes=(64,))
        done = self.run_clean(world, "ums-failover", "staus", codes=(64,))
        self.assertIn(b"there is no subcommand 'staus'; did you mean 'status'?", done.stderr)

    def test_refused_by_one_kernel(self):
        """What one kernel does not take is offered to the next at once, and parked when five times nobody wanted it."""
        world = self.rooms(("k1", "k2", "k3"), site("k1, k2, k3"))
        asked = aged(60, "doubtful", c="ExConn", s="munich", n=1)
        name = asked.replace("n=1", "n=1,t=4000000000,r=1")
        world.place("kernel/k1", name, message(1))
        # Moved here and not tried yet: it stays.
        world.place("kernel/k2", aged(50, "untried2", c="ExConn", s="munich", n=1, r=1), message(2))
        line, = self.json_lines(world, "ums-failover", "--json")
        self.assertEqual((line["result"], line["detail"], line["why"]), ("assigned", "k2", "k1 did not take it"))
        self.assertIn(asked + ",r=1", world.queue("kernel/k2"))
        self.assertIn("k1 did not take it", world.run("ums-spool", "trace", name).stdout.decode())
        self.assertEqual(self.run_clean(world, "ums-failover").stdout, b"", "no ping-pong")
        world.run("ums-push")
        self.assertEqual(self.numbers(world.delivered("k2")), [1, 2])
        # k2 refuses it, then k3: round it goes; a kernel that is down is passed over, and so is k1 while it drains.
        world.place("kernel/k2", name, message(1))
        world.run("ums-failover")
        self.assertEqual(world.queue("kernel/k3"), [asked + ",r=1"])
        os.rename(os.path.join(world.spool, "kernel/k3/new", asked + ",r=1"), os.path.join(world.spool, "kernel/k3/new", name))
        world.run("ums-failover", "drain", "k1")
        world.run("ums-failover")
        self.assertEqual(world.queue("kernel/k2"), [asked + ",r=1"])
        # Nobody else takes it: it waits its pause.
        os.rename(os.path.join(world.spool, "kernel/k2/new", asked + ",r=1"), os.path.join(world.spool, "kernel/k2/new", name))
        self.away(world, "k3")
        world.run("ums-failover")
        self.assertEqual(world.queue("kernel/k2"), [name])
        # All three have been asked: not faster than the pauses say.
        self.back(world, "k3")
        soon, late = str(int(time.time()) - 5), str(int(time.time()) + 1000)
        os.remove(os.path.join(world.spool, "kernel/k2/new", name))
        for time_, queue in ((late, "kernel/k2"), (soon, "kernel/k3")):
            world.place("kernel/k2", asked + f",t={time_},r=3", message(1))
            for _ in range(3):
                world.run("ums-failover")
            self.assertEqual([len(world.queue(q)) for q in ("kernel/k2", "kernel/k3")], [queue == "kernel/k2", queue == "kernel/k3"])
            entry, = world.queue(queue)
            os.remove(os.path.join(world.spool, queue, "new", entry))

    def test_all_down_keeps_everything(self):
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(3))
        world.run("ums-failover")
        self.away(world, "k1")
        self.away(world, "k2")
        self.send(world, range(3, 6))
        for _ in range(4):
            done = self.run_clean(world, "ums-failover", codes=(69,))
            self.assertRegex(done.stderr, rb"no kernel of the site 'munich' takes messages \('k1' is down: .*; 'k2' is down: .*\); 3 messages wait")
            world.run("ums-push", codes=(69, 75))
        self.assertEqual((len(world.queue("site/munich")), self.counts(world)), (3, [3, 0]))
        self.assertEqual(world.queue("failed") + world.queue("noroute"), [])
        self.assertEqual([os.listdir(world.inbox(c)) for c in rooms.CONNECTORS], [[], []], "nothing is bounced")
        self.assertEqual(self.states(world), {"k1": "down", "k2": "down"})
        self.back(world, "k2")
        world.run("ums-failover")
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k2")), list(range(6)))

    def test_fallback_site(self):
        world = self.rooms(("k1", "k2"), """
sites:
  munich: {kernels: [k1], hold-down: 0s, fallback: [vienna], numbering: {country: 49, area: 89, outside-line: 0}, dial: rewrite}
  vienna: {kernels: [k2], hold-down: 0s, numbering: {country: 43, area: 1, outside-line: 9}, dial: rewrite, mark: {X-UMS-Site: vienna}}
routes:
  - {to: munich}
""")
        number = {"recipients": ("fax#+49 89 4799",)}
        self.send(world, [0], **number)
        world.passes()
        self.assertIn(b"RCPT TO:fax#04799\r\n", world.delivered("k1")[0])
        self.send(world, [1], **number)
        world.run("ums-failover")
        self.away(world, "k1")
        self.send(world, [2], **number)
        text = self.run_clean(world, "ums-failover").stdout.decode()
        for name in world.queue("kernel/k2"):
            self.assertIn(",s=vienna", name)
            self.assertIn(name, text)
        world.run("ums-push")
        sent = world.delivered("k2")
        self.assertEqual(self.numbers(sent), [1, 2])
        for content in sent:
            self.assertIn(b"RCPT TO:fax#90049894799\r\n", content)
            self.assertIn(b"X-UMS-Site: vienna\r\n", content)
        self.back(world, "k1")
        world.run("ums-failover")
        self.send(world, [3], **number)
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [0, 3])

    def test_numbers_keep_their_site_where_another_one_sends_them(self):
        """1234 in Munich is no number of Vienna; nor is what only Munich's PBX knows."""
        world = self.rooms(("k1", "k2"), """
sites:
  munich: {kernels: [k1], hold-down: 0s, fallback: [vienna], dial: rewrite,
           numbering: {country: 49, area: 89, subscriber: 4799, extension-digits: 3, internal-length: 3, outside-line: 0}}
  vienna: {kernels: [k2], hold-down: 0s, dial: rewrite, numbering: {country: 43, area: 1, outside-line: 9, blocked: '+49900*'}}
routes:
  - {to: munich}
""")
        self.away(world, "k1")
        self.send(world, [0], recipients=("fax#1234", "123", "030 5", "+43 1 6", "a@example.com"))
        for i, only_munich in enumerate(("112", "fax#0900 5", "0900 6,,1"), 1):
            self.send(world, [i], recipients=(only_munich, only_munich))
        text = self.run_clean(world, "ums-failover", "-v", codes=(0, 69)).stderr.decode()
        self.assertIn("is not for 'vienna': '112' can be dialled only at its own site 'munich'", text)
        self.assertEqual((len(world.queue("kernel/k2")), len(world.queue("site/munich"))), (1, 3))
        self.assertIn(",s=vienna,h=munich", world.queue("kernel/k2")[0])
        self.assertIn("fallback-of", self.run_clean(world, "ums-spool", "show", world.queue("kernel/k2")[0]).stdout.decode())
        world.run("ums-push", codes=(0, 69, 75))
        got, = world.delivered("k2")
        self.assertTrue(got.startswith(message(0, ["fax#90049891234", "90049894799123", "90049305", "96", "a@example.com"]).split(b"Subject")[0]), got)
        # In doubt, moved or sent home: what waits for Munich is Munich's again.
        self.back(world, "k1")
        world.passes(2, codes=None)
        self.assertEqual(self.numbers(world.delivered("k1")), [1, 2, 3])
        self.assertIn(b"RCPT TO:112\r\n", b"".join(world.delivered("k1")))
        self.assertEqual(len(world.delivered("k2")), 1)

    CHAIN = """
sites:
  munich: {kernels: [k1], hold-down: 0s, fallback: [vienna], dial: rewrite, numbering: {country: 49, area: 89, outside-line: 0}}
  vienna: {kernels: [k2], hold-down: 0s, fallback: [zurich], dial: rewrite, numbering: {country: 43, area: 1, outside-line: 9}}
  zurich: {kernels: [k3], hold-down: 0s, dial: rewrite, numbering: {country: 41, area: 44, outside-line: 9}}
routes:
  - {to: munich}
"""

    def at_vienna(self, world, numbers, **options):
        """Munich's messages, queued for Vienna's kernel."""
        world.run("ums-failover", "disable", "k1")
        self.send(world, numbers, **options)
        world.run("ums-failover")
        self.assertEqual(len(world.queue("kernel/k2")), len(numbers))

    def test_who_is_left_alone_by_a_fallback_goes_home(self):
        """Its own site is asked first, and then those that this one names, not those of the site that sends it now."""
        world = self.rooms(("k1", "k2", "k3"), self.CHAIN)
        self.at_vienna(world, [0, 1], recipients=("1234",))
        world.run("ums-failover", "disable", "k2")
        world.run("ums-failover", codes=(0, 69))
        self.assertEqual((len(world.queue("kernel/k2")), world.queue("kernel/k3")), (2, []), "Munich never named Zurich")
        world.run("ums-failover", "enable", "k1")
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1")), [0, 1])
        self.assertIn(b"RCPT TO:01234\r\n", world.delivered("k1")[0])
        # Nor does a site send for one that does not fall back to it any more.
        self.fallback_removed(world)

    def fallback_removed(self, world):
        world.run("ums-failover", "enable", "k2")
        self.at_vienna(world, [2])
        write(world.config, read(world.config).replace(b"fallback: [vienna]", b"fallback: [zurich]"))
        world.run("ums-push", codes=(75,))
        self.assertEqual(world.delivered("k2"), [])
        world.passes(2, codes=None)
        self.assertEqual(self.numbers(world.delivered("k3")), [2])

    def test_a_doubt_at_a_fallback_ends_at_home(self):
        world = self.rooms(("k1", "k2", "k3"), self.CHAIN, mds=", in-doubt: {wait: 1s, fax: resend}")
        self.at_vienna(world, [0], recipients=("fax#1234",))
        name, = world.queue("kernel/k2")
        self.away(world, "k2")
        world.place("kernel/k2", name + ",w=1795406406", world.entry("kernel/k2", name), "publishing")
        os.remove(os.path.join(world.spool, "kernel/k2/new", name))
        world.run("ums-failover", "enable", "k1")
        world.passes(2, codes=None)
        got, = world.delivered("k1")
        self.assertIn(b"RCPT TO:fax#01234\r\n", got)
        self.assertIn(b"X-UMS-Possible-Duplicate: yes", got)

    def test_what_its_own_site_blocks_by_now_is_not_sent_by_another(self):
        world = self.rooms(("k1", "k2", "k3"), self.CHAIN)
        self.at_vienna(world, [0], recipients=("0900 1", "0431 1"))
        self.send(world, [1], recipients=("0900 2",))  # no kernel has it yet
        write(world.config, read(world.config).replace(b"country: 49,", b"country: 49, blocked: '0900*',"))
        for name in ("ums-failover", "ums-push", "ums-route", "ums-failover", "ums-push"):
            world.run(name, codes=None)
        got, = world.delivered("k2")
        self.assertIn(b"RCPT TO:900494311\r\n", got)
        self.assertNotIn(b"RCPT TO:90049900", got)
        self.assertEqual([b"the site blocks" in report for report in world.received("ExConn")], [True, True])

    def test_who_can_wait_for_his_own_site_only_keeps_no_others_waiting(self):
        world = self.rooms(("k1", "k2", "k3"), self.CHAIN)
        world.run("ums-failover", "disable", "k1")
        self.send(world, [0], recipients=("fax#110", "fax#+43 1 5330", "fax#1234"))
        world.run("ums-failover", codes=(0, 69))
        world.run("ums-push", codes=(0, 75))
        got, = world.delivered("k2")
        self.assertTrue(got.startswith(message(0, ["fax#95330", "fax#90049891234"]).split(b"X-Test")[0]), got)
        world.run("ums-failover", "enable", "k1")
        world.passes()
        self.assertIn(b"RCPT TO:fax#0110\r\nX-Test", world.delivered("k1")[0])

    def test_queues_that_the_configuration_no_longer_knows(self):
        world = self.rooms(("k1", "k2"), site())
        world.passes()
        names = [world.place(queue, f"179540640600000{i}.unknown0.BER1,c=ExConn,s=gone,n=3", message(i), state)
                 for i, (queue, state) in enumerate((("kernel/old", "new"), ("kernel/old", "sending"), ("site/gone", "new"),
                                                     ("kernel/older", "publishing")))]
        done = self.run_clean(world, "ums-failover", codes=(1,))
        for words in (b"kernel/old ", b"2 messages went back to routing", b"site/gone", b"kernel/older", b"may have arrived"):
            self.assertIn(words, done.stderr)
        self.assertEqual(world.queue("kernel/older", "publishing"), [names[3]], "what may have arrived is not sent again unasked")
        self.assertEqual(len(world.queue("outgoing")), 3)
        for name in world.queue("outgoing"):
            self.assertNotIn(",s=", name)
            self.assertIn(",n=3", name)
        world.passes(codes=None)
        self.assertEqual(self.numbers(world.delivered("k1")), [0, 1, 2])

    # What is in doubt.

    def doubt(self, wait="0s", recipients=("fax#+49 89 1",), name=ENTRY, more=""):
        """An entry of k1 that a pusher left in publishing/, after all else is set up."""
        world = self.rooms(("k1", "k2"), site(), mds=f", in-doubt: {{wait: {wait}{more}}}")
        self.send(world, [0])
        world.passes()  # owner files, directories
        world.place("kernel/k1", name, message(7, recipients), "publishing")
        return world

    def stage(self, world, name, kernel="k1"):
        return os.path.join(world.kernels[kernel], ".BER1", name)

    def test_doubt_fax_is_sent_again_elsewhere(self):
        world = self.doubt()
        self.away(world, "k1")
        world.run("ums-failover", codes=(75,))  # the doubt begins
        self.assertEqual(len(world.queue("kernel/k1", "publishing")), 1)
        self.assertIn(",w=", world.queue("kernel/k1", "publishing")[0])
        done = self.run_clean(world, "ums-failover")
        self.assertIn(b"possible duplicate", done.stderr)
        name, = world.queue("kernel/k2")
        self.assertIn(",d=1", name)
        self.assertNotIn(",w=", name)
        world.run("ums-push")
        content, = world.delivered("k2")
        head, body = content.split(b"\r\n\r\n", 1)
        self.assertIn(b"X-UMS-Possible-Duplicate: yes", head.split(b"\r\n"))
        self.assertEqual(content.replace(b"X-UMS-Possible-Duplicate: yes\r\n", b""), message(7))
        self.back(world, "k1")
        world.passes(2)
        self.assertEqual((self.numbers(world.delivered("k1")), self.numbers(world.delivered("k2"))), ([0], [7]))
        self.assertIn("resend", world.run("ums-spool", "trace", name).stdout.decode())

    def test_doubt_sms_is_held(self):
        world = self.doubt(recipients=("SMS#+49 171 1",))
        self.away(world, "k1")
        world.run("ums-failover", codes=(75,))
        done = self.run_clean(world, "ums-failover", codes=(1,))
        self.assertEqual(world.queue("kernel/k2"), [])
        name, = world.queue("kernel/k1", "hold")
        why = read(os.path.join(world.spool, "kernel/k1/hold", name + ".why")).decode()
        self.assertIn("k1", why)
        self.assertIn(b"parked", done.stdout)
        self.run_clean(world, "ums-failover")
        self.assertEqual(world.queue("kernel/k1", "hold"), [name])
        # A person decides that it goes.
        self.run_clean(world, "ums-spool", "release", name)
        world.run("ums-failover")
        world.run("ums-push")
        content, = world.delivered("k2")
        self.assertIn(b"X-UMS-Possible-Duplicate: yes\r\n", content)

    def test_doubt_the_most_careful_service_decides(self):
        world = self.doubt(recipients=("fax#+49 89 1", "sms#+49 171 1"))
        self.away(world, "k1")
        world.run("ums-failover", codes=(75,))
        world.run("ums-failover", codes=(1,))
        self.assertEqual(len(world.queue("kernel/k1", "hold")), 1)

    def test_doubt_policy_waits(self):
        world = self.doubt(wait="1h")
        self.away(world, "k1")
        for _ in range(3):
            world.run("ums-failover", codes=(75,))
        self.assertEqual((len(world.queue("kernel/k1", "publishing")), world.queue("kernel/k2")), (1, []))

    def test_doubt_noted_by_a_clock_that_was_ahead(self):
        world = self.doubt(name=ENTRY + f",w={int(time.time()) + 30 * 86400}")
        self.away(world, "k1")
        world.run("ums-failover", codes=(75,))
        name, = world.queue("kernel/k1", "publishing")
        self.assertLess(abs(int(name.split(",w=")[1].split(",")[0]) - time.time()), 60)
        world.run("ums-failover")
        self.assertEqual((world.queue("kernel/k1", "publishing"), len(world.queue("kernel/k2"))), ([], 1))

    def test_doubt_needs_another_kernel_that_takes_it_now(self):
        world = self.doubt()
        self.away(world, "k1")
        self.away(world, "k2")
        for _ in range(3):
            world.run("ums-failover", codes=(69, 75))
        self.assertEqual(len(world.queue("kernel/k1", "publishing")), 1)

    def test_doubt_settings(self):
        world = self.doubt(more=", fax: hold")
        self.away(world, "k1")
        world.run("ums-failover", codes=(75,))
        world.run("ums-failover", codes=(1,))
        self.assertEqual(len(world.queue("kernel/k1", "hold")), 1)

    def test_witness_and_no_stage_file_means_delivered(self):
        """The kernel has eaten it already."""
        world = self.doubt(name=WITNESSED)
        for number, tool in enumerate(("ums-failover", "ums-push")):
            if number:
                world.place("kernel/k1", WITNESSED, message(7), "publishing")
            write(self.stage(world, "witness." + TOKEN), read(os.path.join(world.spool, "state/uuid")))
            line, = self.json_lines(world, tool, "--json")
            self.assertEqual(line["result"], "delivered")
            self.assertEqual(world.listed(), [])
            world.passes()
            self.assertEqual((self.numbers(world.delivered("k1")), world.delivered("k2")), ([0], []))
            self.assertEqual(world.leftovers(), [])

    def test_witness_of_another_spool_proves_nothing(self):
        world = self.doubt(wait="1h", name=WITNESSED)
        write(self.stage(world, "witness." + TOKEN), b"somebodyelse\n")
        world.run("ums-push", codes=(75,))
        self.assertEqual(len(world.queue("kernel/k1", "publishing")), 1)

    def test_witness_of_a_later_run_proves_nothing(self):
        """The directory may have been cleared in between."""
        world = self.doubt(wait="1h", name=WITNESSED)
        write(self.stage(world, "witness.token456"), read(os.path.join(world.spool, "state/uuid")))
        world.run("ums-push", codes=(75,))
        self.assertEqual(len(world.queue("kernel/k1", "publishing")), 1)

    def test_no_witness_and_no_stage_file_is_a_doubt(self):
        world = self.doubt()
        line, = self.json_lines(world, "ums-push", "--json", codes=(75,))
        self.assertEqual(line["result"], "in-doubt")
        self.assertIn("cannot be proven", line["detail"])
        # k1 is up all the while; k2 gets it when the policy acts.
        world.run("ums-failover", codes=None)
        world.passes()
        self.assertEqual(self.numbers(world.delivered("k1") + world.delivered("k2")), [0, 7])
        self.assertIn(b"X-UMS-Possible-Duplicate: yes\r\n", (world.delivered("k1") + world.delivered("k2"))[1])

    def test_stage_file_is_revoked_and_delivered_once(self):
        world = self.doubt(name=WITNESSED)
        part = self.stage(world, "1795406406000001.doubtful.BER1.1.part")
        write(part, message(7))
        write(self.stage(world, "witness." + TOKEN), read(os.path.join(world.spool, "state/uuid")))
        done = self.run_clean(world, "ums-push", codes=(75,))
        self.assertIn(b"revoked", done.stdout)
        world.passes(2)
        self.assertEqual(world.delivered("k1"), sorted([message(0), message(7)]))
        self.assertEqual(world.delivered("k2"), [])
        self.assertEqual(os.listdir(os.path.dirname(part)), ["owner"])
        self.assertEqual(world.listed() + world.leftovers(), [])

    def test_final_name_is_there(self):
        """Published, and nobody came to note it."""
        world = self.rooms(("k1", "k2"), site())
        world.place("kernel/k1", ENTRY, message(7))
        world.run("ums-push")
        world.place("kernel/k1", ENTRY.replace("n=1", "n=2"), message(7), "publishing")
        line, = self.json_lines(world, "ums-push", "--json")
        self.assertEqual(line["result"], "delivered")
        self.assertEqual((world.delivered("k1"), world.listed()), ([message(7)], []))

    def test_sent_again_to_the_kernel_where_the_first_one_lies(self):
        world = self.rooms(("k1",), site("k1"), mds=", keep-sent: 1d")
        self.send(world, [0])
        world.passes()
        name, = world.queue("sent")
        os.rename(os.path.join(world.spool, "sent/new", name), os.path.join(world.spool, "kernel/k1/publishing", name))
        self.run_clean(world, "ums-failover", "settle", "--force-retarget", name.split(",")[0])
        world.passes()
        self.assertEqual(world.queue("kernel/k1", "publishing"), [])
        first, second = sorted(world.delivered("k1"), key=len)
        self.assertEqual(first, message(0))
        self.assertEqual(second.replace(b"X-UMS-Possible-Duplicate: yes\r\n", b""), message(0))

    def test_doubts_that_a_person_settles(self):
        world = self.rooms(("k1", "k2"), site(), mds=", keep-sent: 1d")
        self.send(world, [0])
        world.passes()
        queues = ("kernel/k1", "kernel/gone", "connector/ExConn", "connector/Gone")
        attributes = {"kernel": ",c=ExConn,s=munich,n=3,w=1700000000,v=token123", "connector": ",c=ExConn,o=k1,n=3,w=1700000000,v=token123"}
        number = 0
        for queue in queues:
            for option in ("--delivered", "--send-again", "--hold"):
                with self.subTest(queue=queue, option=option):
                    number += 1
                    one = f"{1795406406000100 + number}.doubtful.BER1"
                    world.place(queue, one + attributes[queue.split("/")[0]], message(number), "publishing")
                    for command in ("release", "delete", "requeue"):
                        self.assertIn(b"ums-failover settle", self.run_clean(world, "ums-spool", command, one, codes=(65,)).stderr)
                    before = rooms.tree(world.spool)
                    self.run_clean(world, "ums-failover", "settle", "-n", option, one)
                    self.assertEqual(rooms.tree(world.spool), before)
                    line, = self.json_lines(world, "ums-failover", "settle", option, "-", "--json", stdin=one.encode() + b",x=y\n")
                    place, result, gone = {"--delivered": ("sent/new", "delivered", "wv"), "--send-again":
                                           (("outgoing" if "kernel" in queue else "incoming") + "/new", "deferred", "swv"),
                                           "--hold": (queue + "/hold", "parked", "v")}[option]
                    self.assertEqual(line["result"], result)
                    name, = [n for n in world.queue(*place.rsplit("/", 1)) if n.startswith(one)]
                    self.assertEqual(name, line["name"])
                    for key in gone:
                        self.assertNotIn(f",{key}=", name)
                    self.assertIn(",n=3", name)
                    self.assertEqual(",d=1" in name, option != "--delivered")
                    self.assertEqual(world.queue(queue, "publishing"), [])
                    self.assertRegex(self.run_clean(world, "ums-spool", "trace", one).stdout, rb"settled  .*; said by")
                    self.run_clean(world, "ums-failover", "settle", option, one, codes=(65,))
        self.run_clean(world, "ums-failover", "settle", "--hold", "nobody", codes=(65,))
        one = world.place("kernel/k1", ENTRY, message(7), "publishing")
        for wrong in ((), ("--hold", "--delivered")):
            self.run_clean(world, "ums-failover", "settle", one, *wrong, codes=(64,))
        with open(os.path.join(world.spool, "kernel/k1/lock"), "wb") as lock:
            fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
            self.assertIn(b"another run works kernel/k1", self.run_clean(world, "ums-failover", "settle", "--hold", one, codes=(75,)).stderr)
        self.assertEqual(world.queue("kernel/k1", "publishing"), [one])

    def test_status_shows_queues_of_kernels_that_are_gone(self):
        world = self.rooms(("k1",), site("k1"))
        world.passes()
        world.place("kernel/gone", ENTRY, message(7), "publishing")
        world.place("kernel/gone", ENTRY.replace("6000001", "6000002"), message(8), "hold")
        table = self.run_clean(world, "ums-failover", "status").stdout.decode()
        self.assertRegex(table, r"(?m)^kernel/gone +0 +0 +1 +1 +\d+d( \d+h)?$")
        line, = [x for x in self.json_lines(world, "ums-failover", "status", "--json") if x.get("queue") == "kernel/gone"]
        self.assertEqual((line["in-doubt"], line["hold"]), (1, 1))

    def test_owner_of_another_spool(self):
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(2))
        world.run("ums-failover")
        os.makedirs(os.path.join(world.kernels["k1"], ".BER1"), exist_ok=True)
        write(self.stage(world, "owner"), b"another-spool\n")
        for _ in range(2):
            done = self.run_clean(world, "ums-push", codes=(78,))
            self.assertIn(b"'.BER1' on 'k1' belongs to another spool", done.stderr)
        self.assertEqual((world.delivered("k1"), len(world.queue("kernel/k1"))), ([], 2))
        self.assertEqual(read(self.stage(world, "owner")), b"another-spool\n")
        # While k2 works, messages leave; what is in doubt at k1 stops nobody.
        world.place("kernel/k1", ENTRY, message(7), "publishing")
        self.send(world, [5])
        done = self.run_clean(world, "ums-failover", codes=(78,))
        self.assertEqual(done.stderr.count(b"error: kernel 'k1': the stage directory '.BER1' belongs to another spool"), 1)
        self.assertEqual((world.queue("site/munich"), self.counts(world)), ([], [0, 3]))
        world.run("ums-push", codes=(0, 75))
        self.assertEqual((world.delivered("k1"), self.numbers(world.delivered("k2"))), ([], [0, 1, 5]))
        self.assertEqual(len(world.queue("kernel/k1", "publishing")), 1)
        # The probe tells it too, and who it is that the directory belongs to.
        done = self.run_clean(world, "ums-push", "--probe", "k1", codes=(1,))
        self.assertRegex(done.stdout, rb"owner +BAD +.*belongs to another spool with the MDS id BER1")
        done = self.run_clean(world, "ums-push", "--probe", "k2")
        self.assertRegex(done.stdout, rb"owner +ok +this spool")

    def test_owner_that_a_person_mends(self):
        """With --watch a target that only a person can mend is tried again, unasked."""
        world = self.rooms(("k1",), site("k1"))
        self.send(world, [1])
        world.run("ums-failover")
        os.makedirs(os.path.join(world.kernels["k1"], ".BER1"), exist_ok=True)
        write(self.stage(world, "owner"), b"another-spool\n")
        process = self.start(world, "ums-push", "--watch=1", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.assertIn(b"belongs to another spool", process.stderr.readline())
        os.remove(self.stage(world, "owner"))
        self.wait_until(lambda: world.delivered("k1"), 60, "delivered")
        self.assertEqual(self.numbers(world.delivered("k1")), [1])

    def test_sigterm_ends_a_watch_with_0_whatever_is_wrong_with_a_target(self):
        secret = os.path.join(self.directory, "k1.secret")
        write(secret, b"geheim\n")
        os.chmod(secret, 0o644)
        world = self.rooms(("k1", "k2"), site(), kernel_options=", fetch: true")
        text = read(world.config).decode().replace(f"'file:{world.kernels['k1']}'",
                                                   f"'dav://127.0.0.1:9/CR/', auth: {{method: basic, user: u, password-file: '{secret}'}}")
        write(world.config, text.encode())
        world.place("kernel/k1", ENTRY, message(7))
        os.makedirs(os.path.join(world.kernels["k2"], ".BER1"), exist_ok=True)
        write(self.stage(world, "owner", "k2"), b"another-spool\n")
        world.place("kernel/k2", ENTRY.replace("6000001", "6000002"), message(8))
        for name, words in (("ums-push", b"belongs to another spool"), ("ums-fetch", b"k1.secret"), ("ums-failover", b"is down")):
            process = self.start(world, name, "--watch=1", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            lines = b""
            while words not in lines:
                lines += process.stderr.readline()
            time.sleep(0.3)
            process.terminate()
            self.assertEqual(process.wait(within(10)), 0, name)

    def test_status_before_the_first_look(self):
        world = self.rooms(("k1",), site("k1"))
        self.send(world, [1])
        self.assertIn(b"not looked at yet", self.run_clean(world, "ums-failover", "status").stdout)
        world.run("ums-failover")
        self.assertNotIn(b"not looked at yet", self.run_clean(world, "ums-failover", "status").stdout)

    def test_secret_of_one_kernel_does_not_stop_the_others(self):
        secret = os.path.join(self.directory, "k1.secret")
        write(secret, b"geheim\n")
        os.chmod(secret, 0o644)
        world = self.rooms(("k1", "k2"), site())
        text = read(world.config).decode().replace(f"'file:{world.kernels['k1']}'",
                                                   f"'dav://127.0.0.1:9/CR/', auth: {{method: basic, user: u, password-file: '{secret}'}}")
        write(world.config, text.encode())
        world.place("kernel/k1", ENTRY, message(7), "publishing")
        self.send(world, range(3))
        for _ in range(3):
            done = self.run_clean(world, "ums-failover", codes=(77,))
            self.assertEqual(done.stderr.count(b"error: kernel 'k1': refused to read the secret"), 1, done.stderr)
        done = self.run_clean(world, "ums-push", codes=(75, 77))
        self.send(world, [3])
        self.run_clean(world, "ums-failover", "disable", "k2")
        done = self.run_clean(world, "ums-failover", codes=(77,))
        self.assertRegex(done.stderr, rb"no kernel of the site 'munich' takes messages \('k1' is down: .*; 'k2' is disabled\); 1 message waits")
        self.run_clean(world, "ums-failover", "enable", "k2")
        self.run_clean(world, "ums-failover", codes=(77,))
        world.run("ums-push", codes=(75, 77))
        self.assertEqual(self.numbers(world.delivered("k2")), [0, 1, 2, 3])

    def test_status(self):
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(2))
        world.run("ums-failover")
        self.send(world, range(2, 3))
        world.place("kernel/k1", ENTRY, message(7), "publishing")
        self.away(world, "k2")
        for _ in range(2):
            world.run("ums-failover", "-q", codes=None)
        self.run_clean(world, "ums-failover", "drain", "k2")
        table = self.run_clean(world, "ums-failover", "status").stdout.decode()
        rows = {line.split()[0]: line.split() for line in table.splitlines() if line}
        self.assertEqual(rows["KERNEL"], ["KERNEL", "SITES", "STATE", "SINCE", "NEW", "SENDING", "DOUBT", "HOLD", "OLDEST", "NEXT", "WHY"])
        self.assertEqual((rows["k1"][1:3], rows["k2"][1:3]), (["munich", "up"], ["munich", "down,drain"]))
        # The oldest is the one in doubt, of a day that is long gone.
        self.assertRegex(table, r"(?m)^k1 +munich +up +\S+ +\d+ +0 +1 +0 +\d+d( \d+h)? +(\d+(s|ms)|now)\b")
        self.assertRegex(table, r"(?m)^SITE +TAKING +NEW +OLDEST +FALLBACK\nmunich +1 of 2 +0 +- +-$")
        world.place("kernel/k1", aged(2 * HOUR, "aaaaaaaa", c="ExConn", s="munich"), message(8))
        world.place("kernel/k1", aged(30 * HOUR, "bbbbbbbb", c="ExConn", s="munich"), message(9))
        table = self.run_clean(world, "ums-failover", "status").stdout.decode()
        self.assertRegex(table, r"(?m)^WAITING +<1m +<5m +<15m +<1h +<4h +<1d +more\nkernel/k1 +3 +0 +0 +0 +1 +0 +1$")
        for name in world.queue("kernel/k1"):
            if "aaaaaaaa" in name or "bbbbbbbb" in name:
                os.remove(os.path.join(world.spool, "kernel/k1/new", name))
        self.assertIn("is not there", table)
        lines = self.json_lines(world, "ums-failover", "status", "--json")
        kernels = {x["kernel"]: x for x in lines if "kernel" in x}
        self.assertEqual(list(kernels), ["k1", "k2"])
        self.assertEqual((kernels["k1"]["new"], kernels["k1"]["in-doubt"], kernels["k2"]["state"], kernels["k2"]["admin"]),
                         (3, 1, "down", "drain"))
        self.assertIn("outgoing", {x["queue"] for x in lines if "queue" in x})
        self.assertEqual(sum(x["new"] for x in lines), 3)
        self.assertEqual(kernels["k1"]["ages"], [3, 0, 0, 0, 0, 0, 0])

    def test_status_says_why_a_mail_waits(self):
        world = self.rooms()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        text = read(world.config).decode()
        write(world.config, text.replace("connectors:\n", f"connectors:\n  Mail: {{deliver: 'smtp://127.0.0.1:{port}'}}\n").encode())
        world.place("connector/Mail", "1795406406000001.mailmail.BER1,c=Mail,o=k1", message(1))
        world.run("ums-push", "--to", "Mail", codes=(69,))
        table = self.run_clean(world, "ums-failover", "status").stdout.decode()
        self.assertRegex(table, r"(?m)^QUEUE +NEW .* WHY\nconnector/Mail +1 .*refused.* \(\d+m?s ago\)$")
        queues = {x["queue"]: x for x in self.json_lines(world, "ums-failover", "status", "--json") if "queue" in x}
        self.assertIn("refused", queues["connector/Mail"]["why"])
        self.assertEqual(queues["outgoing"]["why"], "")
        # Until it was there again.
        with MailServer(port=port) as server:
            world.run("ums-push", "--to", "Mail", codes=None)
            self.assertEqual(len(server.mails), 1)
        queues = {x["queue"]: x for x in self.json_lines(world, "ums-failover", "status", "--json") if "queue" in x}
        self.assertEqual(queues["connector/Mail"]["why"], "")

    def test_hanging_kernel_does_not_hang_the_pass(self):
        """A FIFO where a file is read, and one where the directory should be."""
        world = self.rooms(("k1", "k2", "k3"), site("k1, k2, k3"))
        world.passes()
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        os.mkfifo(world.kernels["k1"])
        for name in ("canary.seen", "canary.new"):
            os.makedirs(os.path.dirname(self.stage(world, name, "k2")), exist_ok=True)
            os.mkfifo(self.stage(world, name, "k2"))
        os.mkfifo(self.stage(world, "owner", "k2"))
        world.place("kernel/k2", ENTRY, message(7), "publishing")
        self.send(world, range(2))
        started = time.monotonic()
        # The look finds nothing at k2, whose owner file nobody can read: the pusher does, and the fifth time counts.
        for _ in range(7):
            world.run("ums-failover", codes=None, timeout=within(60))
            world.run("ums-push", codes=None, timeout=within(60))
        self.assertLess(time.monotonic() - started, within(60))
        everything = world.delivered("k2") + world.delivered("k3")
        self.assertEqual(set(self.numbers(everything)) - {7}, {0, 1}, self.states(world))
        self.assertEqual(world.queue("site/munich"), [])

    def test_server_that_never_answers(self):
        """A WebDAV kernel that takes the connection and says nothing: the look at it has a time-out."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        world = self.rooms(("k1", "k2"), site())
        text = read(world.config).decode().replace(f"'file:{world.kernels['k1']}'", f"'dav://127.0.0.1:{listener.getsockname()[1]}/CR/'")
        write(world.config, text.encode())
        self.send(world, range(3))
        started = time.monotonic()
        world.run("ums-failover", codes=None)
        self.assertLess(time.monotonic() - started, within(12))  # fall: 2 looks of 2 s each
        world.run("ums-push", codes=None)
        self.assertEqual(self.states(world)["k1"], "down")
        self.assertEqual(self.numbers(world.delivered("k2")), [0, 1, 2])

    def test_kernel_that_cannot_be_written(self):
        world = self.rooms(("k1", "k2"), site())
        if os.getuid() == 0:
            # Root may write anywhere but where a file stands in the way.
            write(os.path.join(world.kernels["k1"], ".BER1"), b"no directory")
        else:
            os.chmod(world.kernels["k1"], 0o555)
            self.addCleanup(os.chmod, world.kernels["k1"], 0o755)
        self.send(world, range(2))
        world.run("ums-failover")
        world.run("ums-push")
        self.assertEqual(self.states(world)["k1"], "down")
        self.assertEqual(self.numbers(world.delivered("k2")), [0, 1])

    def test_two_passes_at_once(self):
        world = self.rooms(("k1", "k2"), site())
        self.send(world, range(300))
        runs = []
        for i in range(3):
            with open(os.path.join(self.directory, f"out{i}"), "wb") as out:
                runs.append(self.start(world, "ums-failover", "-q", stdout=out))
        self.assertEqual([run.wait(within(60)) for run in runs], [0, 0, 0])
        lines = sum(len(read(os.path.join(self.directory, f"out{i}")).splitlines()) for i in range(3))
        world.run("ums-failover")
        self.assertEqual(len(world.queue("kernel/k1")), 300)
        self.assertEqual(lines, 300)


class Waiting(Case):
    """What waits for too long."""

    def world(self, **options):
        world = self.rooms(("k1",), site("k1"), mds=", expire: 5d", **options)
        world.run("ums-push")  # makes the spool
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        return world

    def test_expired_goes_to_failed_and_its_sender_is_told(self):
        world = self.world()
        old = {place: world.place(place, aged(5 * DAY + 60, "expired%d" % i, c="ExConn", s="munich", n="7"), message(i, ("fax#1", "fax#2")))
               for i, place in enumerate(("site/munich", "kernel/k1"))}
        young = world.place("kernel/k1", aged(5 * DAY - 60, "waiting1", c="ExConn", s="munich", l="3"), message(5))
        held = world.place("kernel/k1", aged(9 * DAY, "onhold01", c="ExConn", s="munich"), message(6), state="hold")
        doubt = world.place("kernel/k1", aged(9 * DAY, "doubtful", c="ExConn", s="munich", n="1", w=int(time.time())), message(7), state="publishing")
        done = world.run("ums-failover", codes=(1, 69, 75))
        self.assertIn(b"within 5d", done.stdout)
        self.assertEqual(world.queue("site/munich"), [])
        self.assertEqual(world.queue("kernel/k1"), [young])
        self.assertEqual(world.queue("kernel/k1", "hold"), [held])
        self.assertEqual(world.queue("kernel/k1", "publishing"), [doubt])
        world.run("ums-route", codes=(1,))
        failed = world.queue("failed")
        self.assertEqual(sorted(name.split(".")[1] for name in failed), ["expired0", "expired1"])
        for name in failed:
            self.assertIn(b"it could not be sent within 5d", read(os.path.join(world.spool, "failed", "new", name + ".why")))
            self.assertIn(",n=7", name)
        world.run("ums-push", "--to", "ExConn")
        reports = world.received()
        self.assertEqual(len(reports), 2)
        for report in reports:
            self.assertIn(b"RCPT TO:sales@example.com", report)
            self.assertIn(b"could not be sent within 5d", report)
            self.assertIn(b"Final-Recipient: x-ums; fax#2", report)
        identity = old["kernel/k1"].split(",")[0]
        trace = world.run("ums-spool", "trace", identity).stdout
        self.assertIn(b"expired", trace)
        # A person sends it on its way again: it has five more days.
        self.assertEqual(len(failed), 2)
        world.run("ums-spool", "requeue", *(name.split(",")[0] for name in failed))
        world.run("ums-route")
        done = world.run("ums-failover", codes=(69, 75))
        self.assertEqual(world.queue("failed"), [])
        self.assertEqual(len(world.queue("site/munich") + world.queue("kernel/k1")), 3)

    def test_expired_without_a_sender_and_of_nobody(self):
        world = self.world()
        world.place("kernel/k1", aged(6 * DAY, "nosender", c="ExConn", s="munich"), b"RCPT TO:fax#1\r\n\r\nbody")
        world.place("kernel/k1", aged(6 * DAY, "noconn00", s="munich"), message(1))
        world.place("kernel/k1", aged(6 * DAY, "nobody00", c="ExConn", s="munich"), b"no header")
        world.run("ums-failover", codes=(1, 69, 75))
        world.run("ums-route", codes=(1,))
        self.assertEqual(sorted(name.split(".")[1] for name in world.queue("failed")), ["nobody00", "noconn00", "nosender"])
        self.assertEqual(world.queue("connector/ExConn"), [])

    def test_expired_incoming(self):
        world = self.world()
        name = world.place("connector/ExConn", aged(6 * DAY, "incoming", c="ExConn", o="k1"), message(1))
        world.run("ums-failover", codes=(1, 69, 75))
        self.assertEqual(world.queue("failed"), [name])
        self.assertIn(b"expired: it could not be delivered to the connector 'ExConn' within 5d",
                      read(os.path.join(world.spool, "failed", "new", name + ".why")))

    def test_delays_are_told_once_each(self):
        world = self.world()
        for age, token in ((14 * 60, "quarter0"), (16 * 60, "quarter1"), (61 * 60, "anhour00"), (5 * HOUR, "fourhrs0")):
            world.place("kernel/k1", aged(age, token, c="ExConn", s="munich"), message(1))
        done = world.run("ums-failover", codes=(69, 75))
        for time_ in (b"15m", b"1h", b"4h"):
            self.assertIn(b"1 message waits for the kernel 'k1' for more than " + time_, done.stderr)
        self.assertEqual({n.split(".")[1]: n.partition(",l=")[2] for n in world.queue("kernel/k1")},
                         {"quarter0": "", "quarter1": "1", "anhour00": "2", "fourhrs0": "3"})
        self.assertNotIn(b"for more than", world.run("ums-failover", codes=(69, 75)).stderr)
        self.assertIn(b"delayed", world.run("ums-spool", "trace", world.queue("kernel/k1")[0].split(",")[0]).stdout)

    def test_nothing_is_concluded_from_a_clock_that_was_set(self):
        world = self.world()
        name = world.place("kernel/k1", aged(6 * DAY, "expired0", c="ExConn", s="munich"), message(1))
        # The last look was an hour ago by the clock, and is as long ago as nothing in truth.
        steady = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - HOUR))
        write(os.path.join(world.spool, "state", "clock"), f"{hour_ago} {steady} 0\n".encode())
        done = world.run("ums-failover", codes=(69, 75))
        self.assertIn(b"the clock was set", done.stderr)
        self.assertEqual(world.queue("kernel/k1"), [name])
        done = world.run("ums-failover", codes=(69, 75))
        self.assertNotIn(b"the clock was set", done.stderr)
        self.assertEqual(world.queue("kernel/k1"), [name])
        # Ten minutes later.
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write(os.path.join(world.spool, "state", "clock"), f"{now} {steady} {steady - 1}\n".encode())
        world.run("ums-failover", codes=(1, 69, 75))
        self.assertEqual(world.queue("kernel/k1"), [])


class Events(Case):
    """What people are told: `on-event`."""

    def told(self):
        path = os.path.join(self.directory, "told")
        lines = read(path).decode().splitlines() if os.path.exists(path) else []
        return [json.loads(line) for line in lines]

    def world(self, on_event, **options):
        return self.rooms(("k1", "k2"), site("k1, k2"), mds=f", on-event: {{{on_event}}}", **options)

    def command(self):
        script = os.path.join(self.directory, "page-admin")
        with open(script, "w", encoding="utf-8") as out:
            out.write(f"#!/bin/sh\necho to stdout\ncat >>'{self.directory}/told'\nenv | grep ^UMS_ >>'{self.directory}/environment'\n")
        os.chmod(script, 0o755)
        return script

    def test_a_kernel_that_goes_and_comes_back(self):
        world = self.world(f"command: {self.command()}")
        self.run_clean(world, "ums-failover")
        self.assertEqual(self.told(), [])
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        done = world.run("ums-failover")
        self.assertNotIn(b"to stdout", done.stdout)
        world.run("ums-failover")
        event, = self.told()
        self.assertEqual((event["event"], event["subject"], event["mds"]), ("down", "kernel/k1", "BER1"))
        self.assertIn("0 messages queued for it", event["text"])
        environment = read(os.path.join(self.directory, "environment")).decode().splitlines()
        self.assertLessEqual({"UMS_EVENT=down", "UMS_SUBJECT=kernel/k1", "UMS_MDS=BER1", "UMS_TEXT=" + event["text"], "UMS_TIME=" + event["time"]},
                             set(environment))
        os.rename(world.kernels["k1"] + ".away", world.kernels["k1"])
        world.run("ums-failover")
        world.run("ums-failover")
        self.assertEqual([one["event"] for one in self.told()], ["down", "up"])

    def test_disabled_is_no_event(self):
        world = self.world(f"command: {self.command()}")
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.run("ums-failover", "disable", "k1")
        world.run("ums-failover")
        self.assertEqual(self.told(), [])

    def test_delays_and_doubts(self):
        world = self.world(f"command: {self.command()}")
        world.place("kernel/k1", aged(20 * 60, "delayed0", c="ExConn", s="munich"), message(1))
        world.place("kernel/k1", aged(60, "doubtful", c="ExConn", s="munich", n="1", w=int(time.time()) - 70), message(7), state="publishing")
        for kernel in world.kernels.values():
            os.rename(kernel, kernel + ".away")
        world.run("ums-failover", codes=(69, 75))
        world.run("ums-failover", codes=(69, 75))
        self.assertEqual(sorted((one["subject"], one["event"]) for one in self.told()),
                         [("kernel/k1", "down"), ("kernel/k1/new", "delay"), ("kernel/k1/publishing", "doubt"), ("kernel/k2", "down")])
        for kernel in world.kernels.values():
            os.rename(kernel + ".away", kernel)
        world.run("ums-failover", codes=(0, 75))
        world.run("ums-push", codes=(0, 75))
        world.run("ums-failover", codes=(0, 75))
        over = {(one["subject"], one["event"]) for one in self.told()}
        self.assertLessEqual({("kernel/k1", "up"), ("kernel/k2", "up"), ("kernel/k1/new", "moving")}, over)

    def due_again(self, world):
        """As if the pause were over."""
        path = os.path.join(world.spool, "state", "events")
        lines = [line.split(b"\t") for line in read(path).splitlines()]
        write(path, b"".join(b"\t".join(f[:5] + [b"2026-01-01T00:00:00.000Z"] + f[6:] if f[0] == b"event" else f) + b"\n" for f in lines))

    def tried_again(self, command):
        """`command` works once there is a file `works`."""
        world = self.world(f"command: '{command}'")
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        write(os.path.join(world.out(), "1.tmp"), message(1))
        begin = time.monotonic()
        for tool in ("ums-fetch", "ums-route", "ums-failover"):
            done = world.run(tool, codes=None)
        self.assertLess(time.monotonic() - begin, within(25))
        self.assertIn(b"the command of 'on-event' failed, or took too long", done.stderr)
        self.assertEqual(len(world.queue("kernel/k2")), 1)
        self.assertEqual(self.told(), [])
        write(os.path.join(self.directory, "works"), b"")
        world.run("ums-failover")
        self.assertEqual(self.told(), [], "not at once")
        self.due_again(world)
        world.run("ums-failover")
        self.assertEqual([one["event"] for one in self.told()], ["down"])

    def test_a_command_that_fails_is_tried_again(self):
        self.tried_again(f"test -e {self.directory}/works && {self.command()}")

    def test_a_command_that_hangs_is_ended_and_tried_again(self):
        self.tried_again(f"test -e {self.directory}/works || sleep 600; {self.command()}")

    def test_mail(self):
        with MailServer() as server:
            world = self.world(f"mail: {{to: it@example.com, via: '{server.url}'}}")
            for kernel in world.kernels.values():
                os.rename(kernel, kernel + ".away")
            world.run("ums-failover", codes=None)
            world.run("ums-failover", codes=None)
            self.assertEqual(sorted(mail.data.split(b"Subject: ")[1].split(b"\r")[0] for mail in server.mails),
                             [b"ums BER1: kernel/k1 down", b"ums BER1: kernel/k2 down"])
            for mail in server.mails:
                self.assertEqual((mail.sender, mail.recipients), ("", ["it@example.com"]))
                self.assertIn(b"Auto-Submitted: auto-generated", mail.data)
            self.assertEqual(server.violations, [])

    def test_mail_that_is_refused_is_tried_again(self):
        answers = [b"451 not now"]
        with MailServer(lambda stage, session: answers[0] if stage == "rcpt" and answers else None) as server:
            world = self.world(f"mail: {{to: it@example.com, via: '{server.url}'}}")
            os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
            done = world.run("ums-failover")
            self.assertIn(b"451", done.stderr)
            self.assertIn(b"it is tried again", done.stderr)
            answers.clear()
            self.due_again(world)
            world.run("ums-failover")
            self.assertEqual(len(server.mails), 1)

    def test_mail_server_that_is_silent_takes_some_seconds(self):
        with MailServer(lambda stage, session: SILENT if stage == "greeting" else None) as server:
            world = self.world(f"mail: {{to: it@example.com, via: '{server.url}'}}")
            os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
            begin = time.monotonic()
            done = world.run("ums-failover")
            self.assertLess(time.monotonic() - begin, within(40))
            self.assertIn(b"the mail of 'on-event' could not be sent", done.stderr)

    def test_nobody_is_told_where_nobody_is_configured(self):
        world = self.rooms(("k1", "k2"), site("k1, k2"))
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.run("ums-failover")
        self.assertFalse(os.path.exists(os.path.join(world.spool, "state", "events")))


class Return(Case):
    """A kernel that comes back is not flooded."""

    def test_half_open_then_more_and_more(self):
        world = self.rooms(("k1",), site("k1").replace("hold-down: 0s", "hold-down: 1h"))
        for number in range(200):
            write(os.path.join(world.out(), f"{number:05d}.tmp"), message(number))
        world.run("ums-fetch", "--from", "ExConn")
        world.run("ums-route")
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.run("ums-failover", codes=(69,))
        os.rename(world.kernels["k1"] + ".away", world.kernels["k1"])
        given = []
        for _ in range(5):
            done = world.run("ums-failover", codes=(0, 75))
            given.append(len(world.queue("kernel/k1")))
            # Not more before these have gone.
            world.run("ums-failover", codes=(0, 75))
            self.assertEqual(len(world.queue("kernel/k1")), given[-1])
            world.run("ums-push")
        self.assertEqual(given, [1, 8, 64, 127, 0])
        self.assertEqual(len(world.delivered("k1")), 200)

    def test_the_others_get_what_it_is_not_given_yet(self):
        world = self.rooms(("k1", "k2"), site("k1, k2").replace("hold-down: 0s", "hold-down: 1ms"))
        os.rename(world.kernels["k1"], world.kernels["k1"] + ".away")
        world.run("ums-failover")
        os.rename(world.kernels["k1"] + ".away", world.kernels["k1"])
        world.run("ums-failover")
        for number in range(20):
            write(os.path.join(world.out(), f"{number:05d}.tmp"), message(number))
        world.run("ums-fetch", "--from", "ExConn")
        world.run("ums-route")
        world.run("ums-failover")
        self.assertEqual([len(world.queue("kernel/" + k)) for k in ("k1", "k2")], [1, 19])


class Stuck(Case):
    """A kernel that takes files and does not send them."""

    def test_stuck(self):
        world = self.rooms(("k1", "k2"), site("k1, k2"), kernel_options=", stuck: 10m")
        for number in (1, 2):
            write(os.path.join(world.out(), f"{number}.tmp"), message(number))
            world.run("ums-fetch", "--from", "ExConn")
            world.passes() if number == 1 else world.run("ums-route")
        out = world.kernel_out("k1")
        name, = os.listdir(out)
        os.utime(os.path.join(out, name), (time.time() - 590,) * 2)
        self.run_clean(world, "ums-failover")
        self.assertEqual(len(world.queue("kernel/k1")), 1)
        os.utime(os.path.join(out, name), (time.time() - 620,) * 2)
        # What it has lies under a dot, or is no file, is none of it.
        write(os.path.join(out, ".old"), b"")
        os.utime(os.path.join(out, ".old"), (1, 1))
        os.makedirs(os.path.join(out, "directory"))
        os.utime(os.path.join(out, "directory"), (1, 1))
        done = world.run("ums-failover")
        self.assertIn(b"stuck: 1 file has not been fetched by it for 10m, the oldest, in R_ExConn/Out", done.stderr)
        self.assertEqual([len(world.queue("kernel/" + k)) for k in ("k1", "k2")], [0, 1])
        states = {x["kernel"]: x["state"] for x in self.json_lines(world, "ums-failover", "status", "--json") if "kernel" in x}
        self.assertEqual(states, {"k1": "down", "k2": "up"})
        # It fetches again.
        os.remove(os.path.join(out, name))
        world.run("ums-failover")
        world.run("ums-failover")
        states = {x["kernel"]: x["state"] for x in self.json_lines(world, "ums-failover", "status", "--json") if "kernel" in x}
        self.assertEqual(states, {"k1": "up", "k2": "up"})

    def test_off_without_a_word(self):
        world = self.rooms(("k1", "k2"), site("k1, k2"))
        write(os.path.join(world.out(), "1.tmp"), message(1))
        world.run("ums-fetch", "--from", "ExConn")
        world.passes()
        out = world.kernel_out("k1")
        os.utime(os.path.join(out, os.listdir(out)[0]), (1, 1))
        self.run_clean(world, "ums-failover")


if __name__ == "__main__":
    rooms.main()
