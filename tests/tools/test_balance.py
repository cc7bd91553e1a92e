#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How messages are spread over the kernels of a site, when the tool is started anew for every few of them.

Within 1 % of what was asked for: of 10,000 messages with UMS_ALL=1, else of 300.
"""
import collections
import random

import rooms
from rooms import ALL, Case, message

COUNT = 10_000 if ALL else 300
SITE = """
sites:
  munich: {{kernels: [{kernels}], balance: {{{balance}}}}}
routes:
  - {{to: munich}}
"""


class Balance(Case):
    def spread(self, balance, sizes, kernels=("k1", "k2", "k3"), senders=1):
        """Where `COUNT` messages went, in runs of so many each (a function)."""
        world = self.rooms(kernels, SITE.format(kernels=", ".join(kernels), balance=balance))
        for i in range(COUNT):
            content = message(i).replace(b"sales@", b"sales%d@" % (i % senders), 1)
            world.place("site/munich", f"{1795406406000000 + i}.m{i}.BER1,c=ExConn,s=munich", content)
        runs = done = 0
        while done < COUNT:
            size = sizes()
            world.run("ums-failover", "-q", "--limit", str(size), codes=(0, 75))
            done += size
            runs += 1
        self.assertEqual(world.queue("site/munich"), [])
        self.assertGreater(runs, COUNT // 20)
        return world, {kernel: len(world.queue("kernel/" + kernel)) for kernel in kernels}

    def assert_spread(self, found, wanted):
        self.assertEqual(sum(found.values()), COUNT)
        total = sum(wanted.values())
        for kernel, share in wanted.items():
            self.assertLessEqual(abs(found.get(kernel, 0) - COUNT * share / total), COUNT / 100, f"{kernel}: {found}")

    def test_rotate_with_a_run_for_each_batch(self):
        world, found = self.spread("rotate: 3, batch: 10", lambda: 10)
        self.assert_spread(found, {"k1": 1, "k2": 1, "k3": 1})
        # In batches, in turn: the order of arrival shows it.
        places = sorted((int(name.split(".m")[1].split(".")[0]), kernel) for kernel in found for name in world.queue("kernel/" + kernel))
        for first in range(0, COUNT - 30, 30):
            batches = [{kernel for _, kernel in places[i:i + 10]} for i in range(first, first + 30, 10)]
            self.assertEqual([len(b) for b in batches], [1, 1, 1])
            self.assertEqual(set.union(*batches), {"k1", "k2", "k3"})

    def test_rotate_with_runs_that_end_within_a_batch(self):
        chance = random.Random(5)
        _, found = self.spread("rotate: 2, batch: 7", lambda: chance.randint(1, 15))
        self.assert_spread(found, {"k1": 1, "k2": 1, "k3": 0})

    def test_weights(self):
        _, found = self.spread("weights: {k1: 5, k2: 3, k3: 2}", lambda: 7)
        self.assert_spread(found, {"k1": 5, "k2": 3, "k3": 2})

    def test_weights_of_single_messages(self):
        """Smooth: of any ten in a row each kernel gets its share."""
        world, found = self.spread("weights: {k1: 7, k2: 2, k3: 1}", lambda: 3)
        self.assert_spread(found, {"k1": 7, "k2": 2, "k3": 1})
        places = sorted((int(name.split(".m")[1].split(".")[0]), kernel) for kernel in found for name in world.queue("kernel/" + kernel))
        for first in range(0, COUNT, 10):
            some = collections.Counter(kernel for _, kernel in places[first:first + 10])
            self.assertEqual(some, {"k1": 7, "k2": 2, "k3": 1}, f"from {first}")


if __name__ == "__main__":
    rooms.main()
