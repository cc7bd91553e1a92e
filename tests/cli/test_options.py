#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What --help says, the manual pages and the three completions know the same options and subcommands: none is missing
anywhere, and none is invented. Commands in the documentation use only options that exist."""

import glob
import os
import re
import shutil
import subprocess
import unittest

from patience import within

BIN = os.environ["UMS_BIN"]
SOURCE = os.environ["UMS_SOURCE"]
TOOLS = ("ums-fetch", "ums-route", "ums-push", "ums-failover", "ums-sitemap", "ums-spool")
BASH, ZSH, FISH = (os.path.join(SOURCE, "completions", name) for name in ("ums.bash", "ums.zsh", "ums.fish"))


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def output(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=within(60), **more)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def section(text, title):
    """The indented lines below `title:`."""
    found = re.search(rf"^{title}:\n((?:[ ].*\n)+)", text, re.MULTILINE)
    return found[1].splitlines() if found else []


def options_of_help(text):
    found = set()
    for line in section(text, "Options"):
        if start := re.match(r"  (-\S+)", line):
            found.update(re.match(r"-{1,2}[A-Za-z0-9-]+", name)[0] for name in start[1].split(","))
    return found


def help_of(tool):
    """The options of a tool, and its subcommands with the options that only they have."""
    program = os.path.join(BIN, tool)
    text = output(program, "--help")
    subcommands = {}
    for line in section(text, "Subcommands"):
        name = line.split()[0]
        subcommands[name] = options_of_help(output(program, name, "--help")) - {"-h", "--help"}
    return options_of_help(text), subcommands


HELP = {tool: help_of(tool) for tool in TOOLS}


def all_options(tool):
    options, subcommands = HELP[tool]
    return options.union(*subcommands.values())


def options_of_page(page):
    """Options of `.It Fl` lines and of the synopsis; subcommands of `.It Ic` lines, with the options below each."""
    options, subcommands, synopsis = set(), {}, set()
    title, subcommand = "", None
    for line in page.splitlines():
        if line.startswith(".Sh "):
            title, subcommand = line[4:], None
        names = {"-" + name for name in re.findall(r"Fl (-?[A-Za-z0-9-]+)", line)}
        if "Fl " in line and " | -" in line:  # Fl -incoming | -outgoing
            names.update("-" + name for name in re.findall(r"\| (-[a-z-]+)", line))
        if title == "SYNOPSIS":
            synopsis |= names
        elif title == "SUBCOMMANDS" and line.startswith(".It Ic "):
            subcommand = line.split()[2]
            subcommands[subcommand] = set()
        elif line.startswith(".It Fl "):
            (subcommands[subcommand] if subcommand else options).update(names)
    return options, subcommands, synopsis


class Pages(unittest.TestCase):
    def test_options(self):
        for tool in TOOLS:
            with self.subTest(tool):
                options, subcommands, synopsis = options_of_page(read("man", tool + ".1"))
                self.assertEqual(options, HELP[tool][0])
                self.assertEqual(subcommands, HELP[tool][1])
                self.assertLessEqual(synopsis, all_options(tool))

    def test_synopsis_has_own_options_and_subcommands(self):
        shared = set.intersection(*(HELP[tool][0] for tool in TOOLS))
        staged = set.intersection(*(HELP[tool][0] for tool in TOOLS if tool != "ums-spool"))
        for tool in TOOLS:
            with self.subTest(tool):
                page = read("man", tool + ".1")
                self.assertLessEqual(all_options(tool) - shared - staged, options_of_page(page)[2])
                synopsis = re.search(r"\.Sh SYNOPSIS\n(.*?)\.Sh ", page, re.DOTALL)[1]
                self.assertEqual(set(re.findall(r"[a-z]+", " ".join(re.findall(r"^\.Cm (.*)$", synopsis, re.MULTILINE)))),
                                 set(HELP[tool][1]))

    def test_overview(self):
        options = options_of_page(read("man", "ums.7"))[0]
        self.assertEqual(options, set.intersection(*(HELP[tool][0] for tool in TOOLS if tool != "ums-spool")))

    def test_supervisor(self):
        letters = re.search(r"getopts (\S+)", read("examples", "ums-supervisor"))[1].replace(":", "")
        self.assertEqual(options_of_page(read("man", "ums-supervisor.1"))[0], {"-" + letter for letter in letters})


class Documentation(unittest.TestCase):
    def commands(self):
        files = sorted(sum((glob.glob(os.path.join(SOURCE, pattern)) for pattern in
                            ("*.md", "man/*", "examples/*", "examples/*/*", "tests/run", ".ci/run")), []))
        for path in filter(os.path.isfile, files):
            with open(path, encoding="utf-8") as file:
                text = file.read().replace("\\\n", " ")
            for line in text.splitlines():
                if "/man/" in path and line.startswith(".") and not line.startswith((".Dl ", ".Ql ")):
                    continue
                for tool, arguments in re.findall(r"(?<![\w/-])(?:/usr/bin/)?(ums-[a-z]+) ([^|;&`'<>\n]*)", line):
                    if tool in TOOLS:
                        yield os.path.relpath(path, SOURCE), tool, arguments.split("  #")[0].split()

    def test_commands_exist(self):
        seen = 0
        for path, tool, words in self.commands():
            with self.subTest(path, command=" ".join([tool, *words])):
                for word in words:
                    if re.match(r"--[a-z]", word):
                        self.assertIn(re.match(r"--[a-z-]*[a-z]", word)[0], all_options(tool))
                        seen += 1
                    elif re.fullmatch(r"-[a-zA-Z0-9]", word):
                        self.assertIn(word, all_options(tool))
                        seen += 1
        self.assertGreater(seen, 50, "the commands in the documentation are not found any more")

    def test_subcommands_exist(self):
        """In examples (lines that begin with a prompt) what follows the tool is a subcommand."""
        for path in glob.glob(os.path.join(SOURCE, "man", "*")):
            with open(path, encoding="utf-8") as file:
                for tool, word in re.findall(r"\$ (ums-(?:spool|failover)) ([a-z]+)", file.read()):
                    with self.subTest(path, command=tool + " " + word):
                        self.assertIn(word, HELP[tool][1])


class Completions(unittest.TestCase):
    def compare(self, offered):
        """`offered(words)`: what is offered for the last of the words."""
        for tool in TOOLS:
            options, subcommands = HELP[tool]
            with self.subTest(tool):
                self.assertEqual(offered([tool, "-"]), options)
            for name, own in subcommands.items():
                with self.subTest(tool, subcommand=name):
                    self.assertEqual(offered([tool, name, "-"]), options | own)

    def compare_subcommands(self, offered):
        for tool in TOOLS:
            if HELP[tool][1]:
                with self.subTest(tool):
                    self.assertEqual(offered([tool, ""]), set(HELP[tool][1]))

    def compare_values(self, offered):
        for tool in TOOLS:
            with self.subTest(tool):
                self.assertEqual(offered([tool, "--color", ""]), {"auto", "always", "never"})

    # bash

    def bash(self, words, directory="/"):
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ums; printf "%s\\n" "${COMPREPLY[@]}"'
        return set(output("bash", "--norc", "-c", script, "bash", BASH, *words, env=self.environment(), cwd=directory).split())

    @staticmethod
    def environment():
        return {**os.environ, "PATH": BIN + ":" + os.environ["PATH"], "HOME": "/nonexistent",
                "UMS_CONFIG": os.path.join(SOURCE, "examples", "quickstart.yaml")}

    def test_bash(self):
        output("bash", "-n", BASH)
        self.compare(self.bash)
        empty = os.path.join(SOURCE, "completions")
        self.compare_subcommands(lambda words: self.bash(words, empty) - {"ums.zsh", "ums.bash", "ums.fish"})
        self.compare_values(self.bash)
        self.assertEqual(self.bash(["ums-push", "--color", "=", "al"]), {"always"})
        self.assertEqual(self.bash(["ums-push", "--color", "="]), {"auto", "always", "never"})

    def test_bash_reads_the_configuration(self):
        self.assertEqual(self.bash(["ums-failover", "drain", ""]), {"munich-1", "munich-2", "vienna-1"})
        self.assertEqual(self.bash(["ums-sitemap", "--site", "v"]), {"vienna"})
        one_site = os.path.join(SOURCE, "examples", "mds-one-site.yaml")
        self.assertEqual(self.bash(["ums-push", "-c", one_site, "--to", ""]), {"berlin"})
        self.assertEqual(self.bash(["ums-push", "--config", "=", one_site, "--to", ""]), {"berlin"})
        self.assertEqual(self.bash(["ums-spool", "list", "kernel/m"]), {"kernel/munich-1", "kernel/munich-2"})

    def test_bash_is_registered(self):
        registered = output("bash", "--norc", "-c", 'source "$1"; complete -p', "bash", BASH)
        self.assertEqual({line.split()[-1] for line in registered.splitlines()}, set(TOOLS))

    # zsh: what _arguments is given.

    def zsh_arguments(self, words):
        script = ('_arguments() { print -rl -- "$@" }; _describe() { print -rl -- "DESCRIBE ${(P)^@[-1]}" }; '
                  'file=$1; shift; words=("$@"); CURRENT=$#; service=$words[1]; source $file')
        return output("zsh", "-f", "-c", script, "zsh", ZSH, *words, env=self.environment()).splitlines()

    def zsh(self, words):
        found = set()
        for spec in self.zsh_arguments(words):
            if name := re.match(r"(?:\([^)]*\))?\*?(-{1,2}[A-Za-z0-9-]*[A-Za-z0-9])(?:=-?|\+)?\[", spec):
                found.add(name[1])
        return found

    @unittest.skipUnless(shutil.which("zsh"), "no zsh")
    def test_zsh(self):
        output("zsh", "-n", ZSH)
        self.compare(self.zsh)
        self.assertEqual(set(read("completions", "ums.zsh").splitlines()[0].split()), {"#compdef", *TOOLS})
        for tool in TOOLS:
            block = re.search(rf"\({tool}\)\n(.*?);;", read("completions", "ums.zsh"), re.DOTALL)[1]
            commands = re.search(r"commands=\((.*?)\)\n", block, re.DOTALL)
            names = set(re.findall(r"^\s*'([a-z]+):", commands[1], re.MULTILINE)) if commands else set()
            with self.subTest(tool):
                self.assertEqual(names, set(HELP[tool][1]))
                color = [spec for spec in self.zsh_arguments([tool, ""]) if spec.startswith("--color")]
                self.assertTrue(color and color[0].endswith("(auto always never)"), color)

    # fish

    def fish(self, words):
        script = "source $argv[1]; complete -C \"$argv[2]\""
        offered = output("fish", "--no-config", "-c", script, FISH, " ".join(words), env=self.environment(),
                         cwd=os.path.join(SOURCE, "completions"))
        return {line.split("\t")[0] for line in offered.splitlines()}

    @unittest.skipUnless(shutil.which("fish"), "no fish")
    def test_fish(self):
        output("fish", "--no-config", "-n", FISH)
        self.compare(self.fish)
        self.compare_subcommands(lambda words: self.fish(words) - {"ums.zsh", "ums.bash", "ums.fish"})
        self.compare_values(self.fish)
        self.assertEqual(self.fish(["ums-failover", "drain", ""]), {"munich-1", "munich-2", "vienna-1"})
        self.assertEqual(self.fish(["ums-sitemap", "--site", ""]), {"munich", "vienna"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
