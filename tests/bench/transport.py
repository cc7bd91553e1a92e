#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast ums-push and ums-fetch are, as ratios against other programs and limits of the same run, on real servers of this
machine. README.md beside this tells more.

    tests/bench/transport.py                       everything, a quarter of an hour
    tests/bench/transport.py -N 500 --reps 1       a quick look
    tests/bench/transport.py --only apache,smb     parts of it: apache, nginx, far, smb, flat
"""
import argparse
import contextlib
import os
import shutil
import subprocess
import sys

from contest import SOURCE, Contest, Contestant, Corpus, add_options, files_in, hold, parsed, write

os.environ.setdefault("UMS_BUILD", os.path.join(SOURCE, "build", "release"))
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from samba import SHARE, Samba  # noqa: E402
from servers import Apache, Certificates, Nginx, worker_user  # noqa: E402

PARTS = ("apache", "nginx", "far", "smb", "flat")
PEERS = {"rclone": "rclone", "lftp": "lftp", "curl": "curl", "smbclient": "smbclient"}
PASSWORD = "bench-1"
TUNED = ["--no-traverse", "--no-check-dest", "--ignore-checksum", "--ignore-times", "--no-update-modtime", "--retries", "1",
         "--low-level-retries", "1", "--buffer-size", "0"]


class ListingApache(Apache):
    """With pages of links, which lftp reads."""
    modules = (*Apache.modules, "autoindex")

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, busy=True, **options)
        self.settings = (f'<Directory "{self.root}">', "Options +Indexes", "IndexOptions FancyIndexing NameWidth=*", "</Directory>")


def listing_nginx(*arguments, **options):
    return Nginx(*arguments, settings="autoindex on;", busy=True, **options)


def contents(directory):
    """Name -> size; bytes are compared by cmp where names are the same."""
    return {entry.name: entry.stat().st_size for entry in os.scandir(directory) if entry.is_file()}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def different(corpus, directory):
    """None, or what is not as in the corpus. Names may be others: a spool gives its own."""
    found = sorted(contents(directory).items(), key=lambda item: item[1])
    wanted = sorted(contents(corpus.directory).items(), key=lambda item: item[1])
    if len(found) != len(wanted):
        return f"{len(found)} files of {len(wanted)} in {directory}"
    if {name for name, _ in found} == {name for name, _ in wanted}:
        wrong = sum(read(os.path.join(directory, name)) != read(os.path.join(corpus.directory, name)) for name, _ in found)
    else:
        hashes = [sorted(hash(read(os.path.join(place, name))) for name, _ in files)
                  for place, files in ((directory, found), (corpus.directory, wanted))]
        wrong = sum(a != b for a, b in zip(*hashes))
    return f"{wrong} files differ in {directory}" if wrong else None


def empty(*directories):
    for directory in directories:
        for entry in os.scandir(directory):
            os.unlink(entry.path)


def copied(corpus, directory):
    """Real copies: to unlink a hard link frees nothing."""
    subprocess.run(["cp", "-r", "--reflink=never", corpus.directory + "/.", directory], check=True)


class Bench(Contest):
    def __init__(self, options, work):
        super().__init__(options, work)
        self.limit = self.compiled("limit")
        self.memory = 0

    # Ours: a kernel is the server's root, the peers have the directory `peer` there.

    def kernel(self, server):
        for name in ("R_C/Out", "R_C/In", "peer"):
            os.makedirs(os.path.join(server.root, name), exist_ok=True)
        self.give(server)

    def give(self, server, *names):
        if user := worker_user():
            place = os.path.join(server.root, *names)
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", place], check=True)

    @staticmethod
    def method(url):
        """Over plain HTTP a password is sent only where that is asked for."""
        return ", method: basic" if url.startswith("dav:") else ""

    def config(self, place, server, url):
        return write(f"{place}/mds.yaml", f"mds: {{id: BENCH, spool: spool, settle: 0s, numbering: {{country: 49, area: 8141}}}}\n"
                     f"kernels:\n  k:\n    url: '{url}'\n    auth: {{user: {server.user}, password-file: {server.password_file}{self.method(url)}}}\n"
                     f"connectors:\n  C: {{root: '{place}/connectors', numbers: ['*']}}\nsites:\n  s: {{kernels: [k]}}\nroutes:\n  - {{to: s}}\n")

    def tool(self, name, config, *arguments):
        return [os.path.join(self.options.bin, name), "-q", "-c", config, *arguments]

    def run(self, name, config):
        done = subprocess.run(self.tool(name, config), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")

    def push(self, name, server, url, corpus):
        """ums-push with a spool in which all that comes before it is done."""
        place = self.fresh(name)
        config = self.config(place, server, url)
        out = os.path.join(server.root, "R_C", "Out")
        os.makedirs(f"{place}/connectors/C/Out")
        os.makedirs(f"{place}/connectors/C/In")
        copied(corpus, f"{place}/connectors/C/Out")
        for tool in ("ums-fetch", "ums-route", "ums-failover"):
            self.run(tool, config)
        os.rename(f"{place}/spool", f"{place}/full")

        def prepare():
            shutil.rmtree(f"{place}/spool", ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=never", f"{place}/full", f"{place}/spool"], check=True)
            empty(out)

        def check():
            left = [name for path, _, files in os.walk(f"{place}/spool/kernel") for name in files if ".BENCH," in name]
            return f"{len(left)} files left in the spool" if left else different(corpus, out)

        return Contestant(self.tool("ums-push", config), prepare, check)

    def fetch(self, name, server, url, corpus):
        place = self.fresh(name)
        config = self.config(place, server, url)
        source = os.path.join(server.root, "R_C", "In")
        os.makedirs(f"{place}/connectors/C/Out")
        os.makedirs(f"{place}/connectors/C/In")

        def prepare():
            shutil.rmtree(f"{place}/spool", ignore_errors=True)
            self.run("ums-fetch", config)
            copied(corpus, source)
            self.give(server, "R_C", "In")

        def check():
            left = files_in(source)
            return f"{left} files left on the server" if left else different(corpus, f"{place}/spool/incoming/new")

        return Contestant(self.tool("ums-fetch", config), prepare, check)

    # The peers: they send what is in `source`, or fetch into it, and remove it there where they came from.

    def peer(self, name, server, corpus, argv, fetches=False, moves=True, once=False):
        here = self.fresh("peer")
        there = os.path.join(server.root, "peer")

        def prepare():
            self.fresh("peer")
            empty(there)
            copied(corpus, there if fetches else here)
            self.give(server, "peer")

        def check():
            source, target = (there, here) if fetches else (here, there)
            left = files_in(source)
            return f"{left} files left at their source" if moves and left else different(corpus, target)

        return name, Contestant(argv, prepare, check, once=once)

    def compare(self, label, ours, theirs, wanted):
        """`wanted`: what is asked of the ratio against whom; a tuple stands for the best of several."""
        theirs = {name: one for name, one in theirs if shutil.which(one.argv[0]) or os.path.exists(one.argv[0])}
        self.compete(label, {"ours": ours, **theirs}, self.options.reps)
        asked = {}
        for names, limit in wanted.items():
            there = [name for name in (names if isinstance(names, tuple) else (names,)) if name in theirs]
            if there:
                asked[min(there, key=lambda name: theirs[name].seconds())] = limit
        count = self.options.messages
        for name, one in theirs.items():
            self.ratio(f"{label}: messages/s", name, one, ours, asked.get(name), messages_per_second=[count / ours.seconds(), count / one.seconds()],
                       cpu_seconds=[ours.seconds("cpu"), one.seconds("cpu")], peak_mb=[ours.seconds("peak_kb") / 1024, one.seconds("peak_kb") / 1024])
        peak = ours.seconds("peak_kb") / 1024 / 48
        self.row(f"{label}: peak memory", "limit 48 MB", peak, [peak, peak], "<= 1")

    def rclone(self, section):
        """`rclone` with a remote called r."""
        secret = subprocess.run(["rclone", "obscure", PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
        path = write(os.path.join(self.work, "rclone.conf"), f"[r]\n{section}pass = {secret}\n")
        return ["rclone", "--config", path, "-q", "move"]

    def dav_rclone(self, server, port):
        argv = self.rclone(f"type = webdav\nurl = http://127.0.0.1:{port}/peer\nvendor = other\nuser = {server.user}\n")
        flags = subprocess.run(["rclone", "help", "flags"], capture_output=True, text=True, check=True).stdout
        # Old ones wait 10 ms between requests, and cannot be told otherwise.
        pace = ["--webdav-pacer-min-sleep", "0.01ms"] if "--webdav-pacer-min-sleep" in flags else []
        return argv, [*argv, *TUNED, *pace]

    def lftp(self, server, port, fetches, parallel, propfind=False):
        """Its login goes with the first request: else each new connection meets a 401. It lists by the page of links, as it is
        set up; or by PROPFIND, which it must not know before uploads: it would set times by a broken PROPPATCH."""
        here = os.path.join(self.work, "peer")
        where = f". {here}" if fetches else f"-R --no-perms {here} ."
        path = write(os.path.join(self.work, f"lftp-{fetches}-{parallel}-{propfind}"), "set cmd:fail-exit yes\nset net:max-retries 3\n"
                     f"set net:persist-retries 0\nset net:socket-buffer 0\nset http:authorization {server.user}:{PASSWORD}\n"
                     f"set http:use-propfind {'yes' if propfind else 'no'}\nset http:use-mkcol no\nset mirror:set-permissions no\n"
                     f"open http://127.0.0.1:{port}/peer/\nmirror --Remove-source-files --parallel={parallel} {where}\n")
        return ["lftp", "-f", path]

    def curl(self, server, corpus, put, parallel):
        here, url = os.path.join(self.work, "peer"), f"http://127.0.0.1:{server.port}/peer/"
        lines = []
        for name in corpus.facts:
            lines += [f'url = "{url}{name}"', f'upload-file = "{here}/{name}"' if put else f'output = "{here}/{name}"']
            lines += [f'output = "{os.devnull}"'] if put else []
        path = write(os.path.join(self.work, f"curl-{put}"), "\n".join(lines) + "\n")
        return ["curl", "-sSf", "-u", f"{server.user}:{PASSWORD}", "-H", "Expect:", "--http1.1", "--parallel", "--parallel-immediate",
                "--parallel-max", str(parallel), "-K", path]

    def raw(self, what, server, connections):
        return [self.limit, what, f"{server.port}/peer", f"{server.user}:{PASSWORD}", os.path.join(self.work, "peer"), str(connections)]

    def dav_push(self, label, server, corpus, wanted):
        here = os.path.join(self.work, "peer")
        plain, tuned = self.dav_rclone(server, server.port)
        peers = [self.peer("limit: PUT and MOVE, 4 connections", server, corpus, self.raw("put", server, 4)),
                 self.peer("rclone", server, corpus, [*plain, here, "r:"], once=True),
                 self.peer("rclone tuned, 16 transfers", server, corpus, [*tuned, "--transfers", "16", here, "r:"], once=True),
                 self.peer("curl --parallel, 16", server, corpus, self.curl(server, corpus, True, 16), moves=False)]
        for parallel in (4, 16):
            peers.append(self.peer(f"lftp mirror -R, {parallel}", server, corpus, self.lftp(server, server.port, False, parallel)))
        self.compare(f"push to {label}", self.push(f"{label}-push", server, server.url, corpus), peers, wanted)

    def dav_fetch(self, label, server, corpus, wanted):
        here = os.path.join(self.work, "peer")
        plain, tuned = self.dav_rclone(server, server.port)
        peers = [self.peer("limit: GET, fsync, DELETE, 16", server, corpus, self.raw("get", server, 16), fetches=True),
                 self.peer("rclone", server, corpus, [*plain, "r:", here], fetches=True, once=True),
                 self.peer("rclone tuned, 16 transfers", server, corpus, [*tuned, "--transfers", "16", "r:", here], fetches=True, once=True),
                 self.peer("curl --parallel, 16", server, corpus, self.curl(server, corpus, False, 16), fetches=True, moves=False)]
        for parallel, propfind in ((4, False), (16, False), (4, True), (16, True)):
            peers.append(self.peer(f"lftp mirror, {parallel}" + (", PROPFIND" if propfind else ""), server, corpus,
                                   self.lftp(server, server.port, True, parallel, propfind), fetches=True))
        self.compare(f"fetch from {label}", self.fetch(f"{label}-fetch", server, server.url, corpus), peers, wanted)

    @contextlib.contextmanager
    def dav(self, kind):
        place = self.fresh("server")
        with kind(place, Certificates(place), auth="basic", password=PASSWORD) as server:
            self.kernel(server)
            yield server

    LFTP = ("lftp mirror, 4", "lftp mirror, 16")
    RCLONE = ("rclone", "rclone tuned, 16 transfers")

    def apache(self, corpus):
        with self.dav(ListingApache) as server:
            self.dav_push("Apache", server, corpus, {"limit: PUT and MOVE, 4 connections": ">= 0.8", "rclone": ">= 15"})
            self.dav_fetch("Apache", server, corpus, {"limit: GET, fsync, DELETE, 16": ">= 0.7", (*self.RCLONE, *self.LFTP): ">= 0.8"})

    def nginx(self, corpus):
        with self.dav(listing_nginx) as server:
            self.dav_push("nginx", server, corpus, {"limit: PUT and MOVE, 4 connections": ">= 0.45", "lftp mirror -R, 4": ">= 1.3"})
            self.dav_fetch("nginx", server, corpus, {})

    def far(self, corpus):
        """A server 10 ms away."""
        with self.dav(listing_nginx) as server, subprocess.Popen([self.limit, "far", str(server.port), "10000"], stdout=subprocess.PIPE, text=True) as proxy:
            port = int(proxy.stdout.readline())
            here = os.path.join(self.work, "peer")
            plain, tuned = self.dav_rclone(server, port)
            peers = [self.peer("rclone", server, corpus, [*plain, here, "r:"], once=True)]
            peers += [self.peer(f"rclone tuned, {n} transfers", server, corpus, [*tuned, "--transfers", str(n), here, "r:"], once=True) for n in (16, 64)]
            self.compare("push, 10 ms away", self.push("far", server, f"dav://127.0.0.1:{port}/", corpus), peers,
                         {("rclone", "rclone tuned, 16 transfers", "rclone tuned, 64 transfers"): ">= 2"})
            proxy.terminate()

    def smb(self, corpus):
        with Samba(self.fresh("server"), password=PASSWORD) as server:
            self.kernel(server)
            here = os.path.join(self.work, "peer")
            secret = write(os.path.join(self.work, "smb.auth"), f"username={server.user}\npassword={PASSWORD}\n")

            def smbclient(command, then=""):
                base = f"smbclient -s {os.devnull} -p {server.port} '//127.0.0.1/{SHARE}' -A {secret} -c 'prompt off; cd peer; lcd {here}; {command}'"
                return ["sh", "-c", f"{base} >{os.devnull} 2>&1{then}"]

            plain = self.rclone(f"type = smb\nhost = 127.0.0.1\nport = {server.port}\nuser = {server.user}\n")
            remote = f"r:{SHARE}/peer"
            peers = [self.peer("smbclient mput", server, corpus, smbclient("mput *", f" && rm {here}/*")),
                     self.peer("rclone", server, corpus, [*plain, here, remote]),
                     self.peer("rclone tuned, 16 transfers", server, corpus, [*plain, *TUNED, "--transfers", "16", here, remote])]
            self.compare("push to Samba", self.push("smb-push", server, server.url, corpus), peers, {"smbclient mput": ">= 1.2", self.RCLONE: ">= 2"})
            peers = [self.peer("smbclient mget, del", server, corpus, smbclient("mget *; del *"), fetches=True),
                     self.peer("rclone", server, corpus, [*plain, remote, here], fetches=True),
                     self.peer("rclone tuned, 16 transfers", server, corpus, [*plain, *TUNED, "--transfers", "16", remote, here], fetches=True)]
            self.compare("fetch from Samba", self.fetch("smb-fetch", server, server.url, corpus), peers, {"smbclient mget, del": ">= 1", self.RCLONE: ">= 2"})

    def flat(self):
        """The cost of a message among many others."""
        few, many = [Corpus(os.path.join(self.work, f"flat-{count}"), count, 0) for count in (1000, self.options.many)]
        for label, run in (("push", self.push), ("fetch", self.fetch)):
            contestants = {}
            for corpus in (few, many):
                with self.dav(listing_nginx) as server:
                    contestants[corpus] = run(f"flat-{label}", server, server.url, corpus)
                    self.compete(f"flat, {label}", {f"{len(corpus.facts):,}": contestants[corpus]}, 1 if corpus is many else 3)
            cost = [contestants[corpus].seconds() / len(corpus.facts) for corpus in (many, few)]
            self.row(f"{label}: a message of {len(many.facts):,} files", f"a message of {len(few.facts):,}", cost[0] / cost[1],
                     [cost[0] / cost[1]] * 2, "<= 1.25", microseconds=[c * 1e6 for c in cost])
            peak = contestants[many].seconds("peak_kb") / 1024 / 48
            self.row(f"{label}: peak memory, {len(many.facts):,} files", "limit 48 MB", peak, [peak, peak], "<= 1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-N", "--messages", type=int, default=2000, help="messages of a run (default %(default)s)")
    parser.add_argument("--many", type=int, default=100_000, help="files of a large directory (default %(default)s)")
    add_options(parser, PARTS, 6)
    options = parsed(parser, PARTS)

    def run(bench):
        bench.say(f"making {options.messages:,} messages")
        corpus = Corpus(os.path.join(bench.work, "corpus"), options.messages, options.size)
        for part in options.parts:
            if part == "flat":
                bench.flat()
            else:
                getattr(bench, part)(corpus)

    hold(options, Bench, PEERS, run)


if __name__ == "__main__":
    main()
