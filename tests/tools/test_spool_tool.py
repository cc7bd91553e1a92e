# SPDX-License-Identifier: GPL-3.0-or-later
"""ums-spool: every action on entries in every queue and state."""
import os

import rooms
from rooms import Case, message, read, tree, write

QUEUES = {"outgoing": ",c=ExConn", "incoming": ",c=ExConn,o=k1", "site/munich": ",c=ExConn,s=munich",
          "kernel/k1": ",c=ExConn,s=munich,n=2,r=1,t=9999999999,w=1700000000", "connector/ExConn": ",c=ExConn,s=munich,o=k1",
          "noroute": ",c=ExConn", "failed": ",c=ExConn,r=5", "sent": ",c=ExConn,s=munich,n=1"}
STATES = {"outgoing": ("new", "sending", "publishing", "hold"), "incoming": ("new", "sending", "publishing", "hold"),
          "site/munich": ("new", "hold"), "kernel/k1": ("new", "sending", "publishing", "hold"),
          "connector/ExConn": ("new", "sending", "publishing", "hold"), "noroute": ("new", "hold"), "failed": ("new", "hold"),
          "sent": ("new",)}


class SpoolTool(Case):
    def setUp(self):
        super().setUp()
        self.world = self.rooms()
        self.world.passes()
        self.entries = {}  # (queue, state) -> id
        self.attributes = {}
        number = 0
        for queue, states in STATES.items():
            for state in states:
                number += 1
                one = f"{1795406406000000 + number}.spooltol.BER1"
                self.world.place(queue, one + QUEUES[queue], message(number, extra=b"Subject: \x1b[2J\r\n"), state)
                if queue in ("failed", "noroute") or state == "hold":
                    write(os.path.join(self.world.spool, queue, state, one + QUEUES[queue] + ".why"), b"a reason\n")
                self.entries[(queue, state)] = one
        self.files_before = self.all_files()

    def all_files(self):
        """Files of all queues: name -> directory."""
        return {name: os.path.relpath(directory, self.world.spool) for directory, _, names in os.walk(self.world.spool)
                for name in names if ".spooltol." in name}

    def act(self, *arguments, codes=(0,), **options):
        return self.run_clean(self.world, "ums-spool", *arguments, codes=codes, **options)

    def place_of(self, one):
        found = {name: where for name, where in self.all_files().items() if name.split(",")[0] == one}
        names = [n for n in found if not n.endswith(".why")]
        self.assertLessEqual(len(names), 1)
        if not names:
            return None, None, bool(found)
        return names[0], found[names[0]], names[0] + ".why" in found

    def test_list(self):
        ids = {one: place for place, one in self.entries.items() if place[0] != "sent"}
        for line in self.act("list").stdout.decode().splitlines():
            name, place, detail = line.split("\t")
            queue, state = ids.pop(name.split(",")[0])
            self.assertEqual(place, f"{queue}/{state}")
            self.assertEqual(detail == "a reason", queue in ("failed", "noroute") or state == "hold", line)
        self.assertEqual(ids, {})
        count = {(): len(self.entries) - 1, ("--failed",): 2, ("--noroute",): 2, ("--hold",): 7, ("--in-doubt",): 4, ("outgoing",): 4,
                 ("kernel",): 4, ("kernel/k1",): 4, ("connector/SapConn",): 0, ("sent",): 1, ("outgoing", "incoming"): 8,
                 ("--hold", "--failed"): 8, ("--hold", "kernel"): 1, ("--failed", "--hold", "failed"): 2}
        for arguments, expected in count.items():
            with self.subTest(arguments):
                self.assertEqual(len(self.act("list", "-q", *arguments).stdout.splitlines()), expected)
                self.assertEqual(len(self.json_lines(self.world, "ums-spool", "list", "--json", *arguments)), expected)
        for wrong in ("kernels", "kernel/k9", "kernel/", "site/k1", "sent/x"):
            self.assertIn(b"there is no queue '" + wrong.encode(), self.act("list", wrong, codes=(64,)).stderr)
        os.makedirs(os.path.join(self.world.spool, "kernel/k8/new"))
        self.act("list", "kernel/k8")
        self.assertIn(b"there is no subcommand 'lst'; did you mean 'list'?", self.act("lst", "kernel", codes=(64,)).stderr)
        self.assertIn(b"there is no subcommand 'frobnicate'; see", self.act("-q", "frobnicate", codes=(64,)).stderr)
        self.act("list", "\x1b[2J", codes=(64,))
        self.act(codes=(64,))
        one, = [x for x in self.json_lines(self.world, "ums-spool", "list", "--json", "kernel") if x["state"] == "new"]
        self.assertEqual({k: one[k] for k in ("id", "queue", "connector", "site", "attempt", "refused")},
                         {"id": self.entries[("kernel/k1", "new")], "queue": "kernel/k1", "connector": "ExConn", "site": "munich",
                          "attempt": "2", "refused": "1"})
        self.assertTrue(one["not-before"].startswith("2286-11-20T17:46:39"))
        self.assertTrue(one["in-doubt-since"].startswith("2023-11-14T22:13:20"))
        self.assertEqual(self.all_files(), self.files_before)

    def test_show_and_trace(self):
        for (queue, state), one in self.entries.items():
            with self.subTest(queue=queue, state=state):
                text = self.act("show", one).stdout.decode()
                self.assertIn(f"{queue}/{state}", text)
                self.assertIn(r"Subject: \x1b[2J", text)
                shown, = self.json_lines(self.world, "ums-spool", "show", "--json", one + ",any=thing")
                self.assertEqual((shown["queue"] if "queue" in shown else shown["result"]).split("/")[0], queue.split("/")[0])
                self.assertEqual(read(shown["path"]).decode("latin1").count("Subject"), 1)
                self.assertIn(f"now in {queue}/{state}", self.act("trace", one).stdout.decode())
        done = self.act("show", "nobody", self.entries[("outgoing", "new")], codes=(65,))
        self.assertIn(b"nobody", done.stderr)
        self.assertIn(b"outgoing/new", done.stdout, "the others are shown")
        self.act("trace", "nobody\x1b[2J", codes=(65,))
        self.act("show", codes=(64,))

    def test_trace_of_a_split_message(self):
        world = self.rooms(("k1", "k2"), """
sites: {a: {kernels: [k1]}, b: {kernels: [k2]}}
routes:
  - {recipient: '+43*', to: a}
  - {to: b}
""", name="other")
        write(os.path.join(world.out(), "1.tmp"), message(1, ["fax#+43 1", "fax#+49 1"]))
        original = world.run("ums-fetch", "-q").stdout.decode().strip().split(",")[0]
        for name in ("ums-route", "ums-failover", "ums-push"):
            world.run(name)
        text = self.run_clean(world, "ums-spool", "trace", original).stdout.decode()
        for words in ("fetched", "split", "assigned", "delivered", "no longer in the spool", original + "~1", original + "~2"):
            self.assertIn(words, text)
        lines = self.json_lines(world, "ums-spool", "trace", "--json", original + "~2")
        self.assertTrue(lines)
        self.assertNotIn(original + "~1", {x["id"] for x in lines}, "its sister is another message")
        self.assertEqual(lines[0]["event"], "fetched")

    def expect_refused(self, command, queue, state):
        one = self.entries[(queue, state)]
        before = tree(self.world.spool)
        done = self.act(command, one, codes=(65,))
        self.assertEqual(done.stdout, b"")
        self.assertIn(one.encode(), done.stderr)
        self.assertEqual(tree(self.world.spool), before, f"{command} {queue}/{state}")

    def expect_done(self, command, queue, state, to, why):
        one = self.entries[(queue, state)]
        name, _, _ = self.place_of(one)
        content = read(os.path.join(self.world.spool, queue, state, name))
        line, = self.json_lines(self.world, "ums-spool", command, "--json", one)
        name, where, has_why = self.place_of(one)
        self.assertEqual((where, has_why), (to, why), f"{command} {queue}/{state}")
        if to is not None:
            self.assertEqual(line["name"], name)
            self.assertEqual(read(os.path.join(self.world.spool, where, name)), content)
        return name

    def test_hold(self):
        for queue, state in self.entries:
            with self.subTest(queue=queue, state=state):
                if state == "new" and queue != "sent":
                    self.expect_done("hold", queue, state, f"{queue}/hold", True)
                else:
                    self.expect_refused("hold", queue, state)
        one = self.entries[("outgoing", "new")]
        self.act("release", one)
        self.act("hold", "--reason", "ask\nBob \x1b[2J", one)
        name, where, _ = self.place_of(one)
        why = read(os.path.join(self.world.spool, where, name + ".why"))
        self.assertIn(b"ask", why)
        self.assertEqual(why.count(b"\n"), 1)
        # Made harmless once, not twice.
        self.assertIn(b"ask\\nBob \\x1b[2J", self.act("list", "--hold").stdout)
        self.assertIn(b"ask\\nBob \\x1b[2J", self.act("show", one).stdout)

    def test_release(self):
        for queue, state in self.entries:
            with self.subTest(queue=queue, state=state):
                if state == "hold":
                    name = self.expect_done("release", queue, state, f"{queue}/new", False)
                    self.assertNotIn(",t=", name)
                    self.assertNotIn(",w=", name)
                else:
                    self.expect_refused("release", queue, state)

    def test_a_reason_lives_as_long_as_its_message_is_parked(self):
        """What is held in failed/ says on release why it failed, not why it was held; nothing is left behind."""
        for queue, end in (("failed", "delete"), ("noroute", "requeue")):
            one = self.entries[(queue, "new")]
            self.act("hold", one)
            self.assertIn(b"held by hand", self.act("list", "--hold", queue).stdout)
            self.act("release", one)
            self.assertIn(b"a reason", self.act("list", queue).stdout)
            self.act("hold", one)
            self.act(end, one)
            self.assertFalse(self.place_of(one)[2])

    def test_requeue(self):
        for queue, state in self.entries:
            with self.subTest(queue=queue, state=state):
                if state in ("sending", "publishing") or queue == "sent" or (queue in ("outgoing", "incoming") and state == "new"):
                    self.expect_refused("requeue", queue, state)
                    continue
                to = "incoming/new" if ",o=" in QUEUES[queue] else "outgoing/new"
                name = self.expect_done("requeue", queue, state, to, False)
                for gone in (",s=", ",t=", ",r=", ",w="):
                    self.assertNotIn(gone, name)
                self.assertEqual(",n=2" in name, queue == "kernel/k1", "attempt numbers are used once")

    def test_delete(self):
        for queue, state in self.entries:
            with self.subTest(queue=queue, state=state):
                if state in ("sending", "publishing"):
                    self.expect_refused("delete", queue, state)
                else:
                    self.expect_done("delete", queue, state, None, False)
        self.act("delete", self.entries[("sent", "new")], codes=(65,))

    def test_ids_from_standard_input(self):
        held = self.act("list", "--hold").stdout
        self.assertEqual(len(self.act("release", "-q", "-", stdin=held).stdout.splitlines()), 7, "lines of list, with all their columns")
        self.assertEqual(self.act("list", "--hold").stdout, b"")
        ids = "\0".join(self.entries[(q, "hold")] for q in ("outgoing", "kernel/k1")).encode()
        self.assertEqual(self.world.run("ums-spool", "hold", "-q0", "-", stdin=ids).stdout.count(b"\0"), 2)
        done = self.act("delete", "-q", "-", stdin=b"nobody\n" + self.entries[("failed", "new")].encode() + b"\n\n../..\n", codes=(65,))
        self.assertEqual((len(done.stdout.splitlines()), done.stderr.count(b"\n")), (1, 2))
        self.assertEqual(self.act("delete", "-", stdin=b"").stdout, b"")

    def test_dry_run(self):
        before = tree(self.world.spool)
        self.assertIn(b"would be deleted", self.act("delete", "-n", self.entries[("failed", "new")]).stdout)
        self.act("requeue", "--dry-run", "--json", self.entries[("failed", "new")])
        self.assertEqual(tree(self.world.spool), before)

    def test_an_id_is_no_prefix(self):
        one = self.entries[("failed", "new")]
        self.act("delete", one[:-1], codes=(65,))
        self.act("delete", one + "~1", codes=(65,))
        self.assertEqual(self.all_files(), self.files_before)

    def test_no_spool(self):
        done = self.act("--spool", os.path.join(self.directory, "nowhere"), "list", codes=(74,))
        self.assertIn(b"nowhere", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "nowhere")))


if __name__ == "__main__":
    rooms.main()
