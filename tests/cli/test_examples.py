#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples work as they stand: configurations without a warning, scripts without a complaint, units that load."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from patience import within

BIN = os.environ["UMS_BIN"]
SOURCE = os.environ["UMS_SOURCE"]


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=within(60), **more)


def files(*patterns):
    found = sum((glob.glob(os.path.join(SOURCE, pattern)) for pattern in patterns), [])
    return sorted(path for path in found if os.path.isfile(path))


def first_line(path):
    with open(path, "rb") as file:
        return file.readline()


class Examples(unittest.TestCase):
    def check(self, path):
        done = run(os.path.join(BIN, "ums-route"), "-c", path, "--check-config")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.endswith(": 0 errors, 0 warnings\n"), done.stdout)

    def test_configurations(self):
        configurations = files("examples/mds-*.yaml", "examples/quickstart.yaml")
        self.assertGreaterEqual(len(configurations), 4)
        for path in configurations:
            with self.subTest(path):
                self.check(path)

    def test_configurations_in_the_documentation(self):
        """Those of README.md and of mds.yaml(5). Files that they name are not there: those are no mistakes here."""
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```yaml\n(.*?)```", file.read(), re.DOTALL)
        with open(os.path.join(SOURCE, "man", "mds.yaml.5"), encoding="utf-8") as file:
            examples = file.read().split(".Sh EXAMPLES")[1]
        blocks += [block.replace("\\e", "\\") for block in
                   re.findall(r"\.Bd -literal -offset indent\n(.*?)\.Ed", examples, re.DOTALL)]
        self.assertGreaterEqual(len(blocks), 3)
        for block in blocks:
            with self.subTest(block), tempfile.TemporaryDirectory() as directory:
                for name in re.findall(r"(?:in|prefixes): ([\w.]+)", block):
                    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                        file.write("+4989,munich\n")
                path = os.path.join(directory, "mds.yaml")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(block)
                self.check(path)

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck")
    def test_shell_scripts(self):
        candidates = files("examples/*", "examples/*/*", "packaging/*", "packaging/*/*", "tests/run", "tests/long", ".ci/run")
        scripts = [path for path in candidates if path.endswith(".sh") or re.match(rb"#!.*\b(ba)?sh\b", first_line(path))]
        for wanted in ("examples/quickstart", "examples/ums-supervisor", "packaging/packages.sh", "tests/run", ".ci/run"):
            self.assertIn(os.path.join(SOURCE, wanted), scripts)
        scripts.append(os.path.join(SOURCE, "completions", "ums.bash"))
        done = run("shellcheck", "--severity=warning", "--external-sources", "--source-path=" + SOURCE, *scripts, cwd=SOURCE)
        self.assertEqual(done.stdout + done.stderr, "")

    def test_scripts_can_be_started(self):
        for path in files("examples/*", "packaging/deb/*", "tests/run", ".ci/run"):
            if first_line(path).startswith(b"#!"):
                with self.subTest(path):
                    self.assertTrue(os.access(path, os.X_OK))

    def test_make_jobs(self):
        make_jobs = os.path.join(SOURCE, "examples", "make-jobs")
        done = run("perl", "-c", make_jobs)
        self.assertEqual((done.returncode, done.stderr.strip()), (0, make_jobs + " syntax OK"))

    def test_crontab(self):
        with open(os.path.join(SOURCE, "examples", "cron", "ums"), encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines() if line and not line.startswith("#")]
        jobs = [line for line in lines if not re.match(r"\w+=", line)]
        self.assertEqual(len(jobs), 2)
        for job in jobs:
            with self.subTest(job):
                self.assertRegex(job, r"^(\S+ +){5}ums +ums-")
                # In a crontab % ends the command.
                self.assertNotIn("%", job)
                self.assertEqual(run("sh", "-n", "-c", job.split(None, 6)[6]).returncode, 0)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_units(self):
        ignored = r"is not executable|man-page|man page|Command 'man|Unit .* not found|No manual entry"
        with tempfile.TemporaryDirectory() as directory:
            for path in files("examples/systemd/*"):
                shutil.copy(path, directory)
            units = [os.path.join(directory, name) for name in ("ums@fetch.service", "ums-pass.service", "ums-pass.timer")]
            done = run("systemd-analyze", "verify", "--man=no", *units)
        complaints = [line for line in done.stderr.splitlines() if line.strip() and not re.search(ignored, line)]
        if any("Failed to" in line and "manager" in line for line in complaints):
            self.skipTest("systemd-analyze cannot work here: " + complaints[0])
        self.assertEqual(complaints, [])

    def test_units_start_what_is_there(self):
        started = set()
        for path in files("examples/systemd/*.service"):
            with open(path, encoding="utf-8") as file:
                started.update(re.findall(r"^ExecStart=-?/usr/bin/(\S+)", file.read(), re.MULTILINE))
        self.assertIn("ums-%i", started)
        for program in started - {"ums-%i"}:
            self.assertTrue(os.path.exists(os.path.join(BIN, program)), program)


class Supervisor(unittest.TestCase):
    """What ends it before anything is started."""

    def run_it(self, *arguments, path=None):
        environment = {**os.environ, "PATH": path or BIN + ":" + os.environ["PATH"]}
        return subprocess.run([os.path.join(SOURCE, "examples", "ums-supervisor"), *arguments], env=environment, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=within(30), check=False)

    def test_a_stray_word_is_refused(self):
        config = os.path.join(SOURCE, "examples", "quickstart.yaml")
        for arguments in (("-c", config, "start"), ("start", "-c", config), ("-i", "0"), ("-x",)):
            with self.subTest(arguments):
                done = self.run_it(*arguments)
                self.assertEqual((done.returncode, done.stdout), (64, ""))
        self.assertIn("'start'", self.run_it("start").stderr)

    def test_a_tool_that_is_missing_is_said_once(self):
        done = self.run_it(path="/usr/bin:/bin")
        if done.returncode != 69 and shutil.which("ums-fetch", path="/usr/bin:/bin"):
            self.skipTest("the tools are installed")
        self.assertEqual((done.returncode, done.stderr), (69, "ums-supervisor: ums-fetch is not in PATH; nothing was started\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
