#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of this directory, searched by Spin: as they are every claim holds; with each MUTANT_* one is broken.
UMS_ALL=1: with more faults and deaths."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def search(model, *defines):
    """(errors, states, what Spin said) of a whole search with weak fairness."""
    with tempfile.TemporaryDirectory(prefix="ums-model.") as directory:
        options = [f"-D{one}" for one in defines]

        def run(*command):
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
            return done.stdout

        run("spin", "-a", *options, os.path.join(HERE, model))
        claims = []
        # Assertions alone, as the search for what never comes to pass ends where it does; then that search.
        for compiled, arguments in ((("-DNOCLAIM", "-DSAFETY"), ("-E",)), (("-DNFAIR=4",), ("-a", "-f"))):
            run("gcc", "-O2", "-w", "-DVECTORSZ=2048", "-DMEMLIM=4096", "-DCOLLAPSE", *compiled, "-o", "pan", "pan.c")
            claims.append(run("./pan", *arguments, "-m1000000", "-w22"))
        text = "\n".join(claims)
        if re.search(r"out of memory|max search depth too small", text):
            raise AssertionError(text)
        return (sum(int(n) for n in re.findall(r"errors: (\d+)", text)),
                sum(int(float(n)) for n in re.findall(r"([\d.e+]+) states, stored", text)), text)


def mutants(model):
    with open(os.path.join(HERE, model), encoding="utf-8") as file:
        return sorted(set(re.findall(r"^#ifn?def (MUTANT_\w+)", file.read(), re.MULTILINE)))


class Models(unittest.TestCase):
    def holds(self, model, *defines):
        errors, states, text = search(model, *defines)
        print(f"  {model} {' '.join(defines)}: {states:,} states", file=sys.stderr)
        self.assertEqual(errors, 0, text)
        self.assertGreater(states, 100, text)

    def caught(self, model, count, *variants):
        """By one of the variants at least: not every claim is about everything."""
        found = mutants(model)
        self.assertEqual(len(found), count, found)
        for mutant in found:
            with self.subTest(model=model, mutant=mutant):
                self.assertGreater(sum(search(model, mutant, *defines)[0] for defines in variants), 0)

    def test_delivery(self):
        self.holds("delivery.pml")
        if os.environ.get("UMS_ALL") == "1":
            self.holds("delivery.pml", "FAULTS=3", "CRASHES=2")

    def test_mutants_of_delivery(self):
        self.caught("delivery.pml", 10, ())

    def test_recall(self):
        self.holds("recall.pml")
        if os.environ.get("UMS_ALL") == "1":
            self.holds("recall.pml", "FAULTS=3", "CRASHES=2")

    def test_mutants_of_recall(self):
        self.caught("recall.pml", 10, ())

    def test_health(self):
        self.holds("health.pml")
        self.holds("health.pml", "MANUAL")
        self.holds("health.pml", "HOLD=0")

    def test_mutants_of_health(self):
        self.caught("health.pml", 5, ("MANUAL",), ("HOLD=0",))


if __name__ == "__main__":
    unittest.main(verbosity=2)
