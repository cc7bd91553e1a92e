#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two MDS fetch from one source at the same time, and are killed and started again at random: each file comes into exactly
one spool, byte for byte. UMS_ALL=1: 5,000 files of each source at least, else 300; more come as long as kills are left."""

import os
import random
import signal
import subprocess
import sys
import time
import unittest

from installation import Installation, process_tree
from patience import within
from samba import Samba
from servers import Apache, Certificates, Nginx, scratch_directory

FILES = 5000 if os.environ.get("UMS_ALL") == "1" else 300
KILLS = 60 if os.environ.get("UMS_ALL") == "1" else 12


def kill(process):
    for pid in process_tree(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def left(inbox):
    """Files; what a killed run claims into stands empty for ten minutes, as its last request could still be on its way."""
    return [os.path.join(place, name) for place, _, names in os.walk(inbox) for name in names]


class Race(unittest.TestCase):
    def race(self, server, url, auth):
        inbox = os.path.join(server.root, "R_Ex", "In")
        os.makedirs(inbox)
        owner = os.stat(server.root)
        contents = []
        rng = random.Random(7)

        def add(count):
            for _ in range(count):
                contents.append(b"RCPT TO:fax#+4989%d\r\n\r\n" % len(contents) + b"%x" % rng.getrandbits(64) * rng.randrange(1, 200))
                path = os.path.join(inbox, f"job{len(contents)}.tmp")
                partial = path + ".part"
                with open(partial, "wb") as out:
                    out.write(contents[-1])
                os.chown(partial, owner.st_uid, owner.st_gid)
                os.rename(partial, path)

        for path in (os.path.dirname(inbox), inbox):
            os.chown(path, owner.st_uid, owner.st_gid)
        add(FILES)
        with scratch_directory() as directory:
            both = [Installation(directory, mds_id=name, name=name, config=f"kernels: {{k: {{url: '{url}'{auth}}}}}\n"
                                 f"connectors: {{Ex: {{root: '{directory}/C', numbers: ['*']}}}}\nsites: {{s: {{kernels: [k]}}}}\n"
                                 "routes: [{to: s}]\n") for name in ("A1", "B1")]
            kills = at_work = 0
            longest = 0.3 if FILES < 1000 else 0.8
            running = [None, None]
            end = time.monotonic() + within(600)
            while time.monotonic() < end:
                for i, mds in enumerate(both):
                    if running[i] is None or running[i].poll() is not None:
                        running[i] = mds.start("ums-fetch", "-q", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(rng.uniform(0.01, longest))
                if at_work < KILLS:
                    if not left(inbox):
                        add(FILES // 10)
                    victim = rng.randrange(2)
                    met = running[victim].poll() is None
                    # A kill is for a fetch at work, however quick this machine is.
                    longest = max(0.02, longest * (1 if met else 0.7))
                    at_work += met
                    kill(running[victim])
                    kills += 1
                elif not left(inbox):
                    break
            for process in running:
                process.wait(within(300))
            for _ in range(2):
                for mds in both:
                    mds.run("ums-fetch", "-q", codes=(0, 75))
            self.assertEqual(left(inbox), [])
            self.assertEqual(at_work, KILLS, "kills that met a fetch at work")
            spools = []
            for mds in both:
                found = []
                for state in ("tmp", "new"):
                    place = os.path.join(mds.spool, "incoming", state)
                    for name in os.listdir(place):
                        self.assertEqual(state, "new", name)
                        with open(os.path.join(place, name), "rb") as one:
                            found.append(one.read())
                spools.append(found)
                self.assertEqual([names for _, _, names in os.walk(os.path.join(mds.spool, "state", "fetch")) if names], [])
            self.assertEqual(sorted(spools[0] + spools[1]), sorted(contents))
            print(f"  {server.name}: {len(spools[0])} and {len(spools[1])} of {len(contents)} files; {at_work} of {kills} kills met a fetch at work", file=sys.stderr)
            self.assertTrue(spools[0] and spools[1], "both took part")

    def test_nginx(self):
        with scratch_directory() as d, Nginx(d, Certificates(d), auth="none") as server:
            self.race(server, server.url, "")

    def test_apache(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="none") as server:
            self.race(server, server.url, "")

    def test_samba(self):
        with scratch_directory() as d, Samba(d) as server:
            self.race(server, server.url, f", auth: {{user: {server.user}, password-file: {server.password_file}}}")


if __name__ == "__main__":
    unittest.main()
