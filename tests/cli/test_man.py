#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages: well-formed, complete, and all that they refer to is there."""

import glob
import os
import re
import subprocess
import unittest

SOURCE = os.environ["UMS_SOURCE"]
PAGES = sorted(glob.glob(os.path.join(SOURCE, "man", "*")))
OURS = {os.path.basename(page) for page in PAGES}
SECTIONS = {"1": ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"),
            "5": ("NAME", "DESCRIPTION", "SEE ALSO"),
            "7": ("NAME", "DESCRIPTION", "EXIT STATUS", "SEE ALSO")}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Man(unittest.TestCase):
    def test_pages_are_there(self):
        tools = {os.path.basename(os.path.dirname(path)) + ".1" for path in glob.glob(os.path.join(SOURCE, "tools", "*", "main.cpp"))}
        self.assertLessEqual(tools | {"ums-supervisor.1", "ums-spool.5", "mds.yaml.5", "ums.7"}, OURS)

    def test_lint(self):
        self.assertTrue(PAGES)
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *PAGES], capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout + done.stderr, "")
        self.assertEqual(done.returncode, 0)

    def test_title_is_the_file_name(self):
        for page in PAGES:
            with self.subTest(page):
                title, number = re.search(r"^\.Dt (\S+) (\d)$", read(page), re.MULTILINE).groups()
                self.assertEqual(f"{title.lower()}.{number}", os.path.basename(page))

    def test_sections(self):
        for page in PAGES:
            with self.subTest(page):
                found = re.findall(r"^\.Sh (.*)$", read(page), re.MULTILINE)
                for wanted in SECTIONS[page[-1]]:
                    self.assertIn(wanted, found)
                self.assertEqual(len(found), len(set(found)), "a section stands twice")

    def test_see_also(self):
        for page in PAGES:
            own = os.path.basename(page)
            references = re.findall(r"^\.Xr (\S+) (\d)", read(page).split(".Sh SEE ALSO\n")[1], re.MULTILINE)
            with self.subTest(page):
                self.assertTrue(references)
                for name, number in references:
                    self.assertIn(f"{name}.{number}", OURS - {own})

    def test_references_to_our_pages(self):
        for page in PAGES:
            for name, number in re.findall(r"Xr ((?:ums|mds)\S*) (\d)", read(page)):
                with self.subTest(page, reference=f"{name}({number})"):
                    self.assertIn(f"{name}.{number}", OURS)

    def test_references_from_elsewhere(self):
        """`ums(7)` and the like in --help, in the read-me files and in the examples."""
        files = sum((glob.glob(os.path.join(SOURCE, pattern), recursive=True) for pattern in
                     ("*.md", "examples/*", "examples/*/*", "tools/*/*.cpp", "common/*/*.?pp", "packaging/*")), [])
        seen = 0
        for path in filter(os.path.isfile, files):
            for name, number in re.findall(r"\b((?:ums|mds)[a-z.-]*)\((\d)\)", read(path)):
                with self.subTest(path, reference=f"{name}({number})"):
                    seen += 1
                    self.assertIn(f"{name}.{number}", OURS)
        self.assertGreater(seen, 10)

    def test_links_of_the_read_me_files(self):
        for path in glob.glob(os.path.join(SOURCE, "*.md")):
            for link in re.findall(r"\]\(([^)#]+)\)", read(path)):
                if not link.startswith("http"):
                    with self.subTest(path, link=link):
                        self.assertTrue(os.path.exists(os.path.join(SOURCE, link)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
