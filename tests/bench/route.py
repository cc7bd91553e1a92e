#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast ums-route is, as ratios against other programs and limits of the same run. README.md beside this tells more.

    tests/bench/route.py                       everything, some minutes
    tests/bench/route.py -N 1000 --reps 1      a quick look
    tests/bench/route.py --only hand,prefixes  parts of it: batch, hand, rules, prefixes
"""
import argparse
import fnmatch
import json
import os
import random
import re
import shutil
import statistics
import subprocess

from contest import (CHARGE, DOMAINS, NAMES, NUMBER, PRIORITY, SENDER, SERVICE, Contest, Contestant, Corpus, add_options, files_in,
                     hold, parsed, write)

PARTS = ("batch", "hand", "rules", "prefixes")
PEERS = {"procmail": "procmail", "maildrop": "maildrop", "fdm": "fdm", "sieve-filter": "dovecot-sieve"}

# Folder, kind, field, pattern: the first that holds decides.
RULES = [
    ("urgent", "equal", PRIORITY, "urgent"),
    ("sms", "equal", SERVICE, "sms"),
    ("charge-c3", "prefix", CHARGE, "C3"),
    ("charge-e7", "prefix", CHARGE, "E7"),
    ("director", "sender", SENDER, "mira.kern@bank.example"),
    ("deputy", "sender", SENDER, "tim.wolf@bank.example"),
    ("lawyers", "domain", SENDER, "lawyers.example"),
    ("bank", "domain", SENDER, "bank.example"),
    ("bruck-7", "wildcard", NUMBER, "+498141*7"),
    ("bruck", "prefix", NUMBER, "+498141"),
    ("munich", "prefix", NUMBER, "+4989"),
    ("berlin", "prefix", NUMBER, "+4930"),
    ("hamburg", "prefix", NUMBER, "+4940"),
    ("frankfurt", "prefix", NUMBER, "+4969"),
    ("mobile", "regex", NUMBER, r"^\+491[567][0-9]+$"),
    ("premium", "wildcard", NUMBER, "+49900*"),
    ("alps", "regex", NUMBER, r"^\+4[13][0-9]+$"),
    ("abroad", "regex", NUMBER, r"^\+(1|33|44)[0-9]+$"),
]


# -- what the rules say about the messages, written apart from the product

def condition(kind, field, pattern):
    if kind in ("equal", "sender"):
        return lambda facts: facts[field] == pattern
    if kind == "prefix":
        return lambda facts: facts[field].startswith(pattern)
    if kind == "domain":
        return lambda facts: facts[field].endswith("@" + pattern)
    match = re.compile(fnmatch.translate(pattern) if kind == "wildcard" else pattern).match
    return lambda facts: match(facts[field]) is not None


def expected(facts_of, rules):
    """Folder -> how many."""
    tests = [(rule[0], condition(*rule[1:])) for rule in rules]
    counts = {folder: 0 for folder, _ in tests} | {"rest": 0}
    for facts in facts_of.values():
        counts[next((folder for folder, holds in tests if holds(facts)), "rest")] += 1
    return counts


def mixed_rules(count):
    """Prefixes, wildcards, regular expressions, fields and senders in equal parts; a message meets one of them now and then."""
    rng = random.Random("mixed rules")
    digits = lambda k: "".join(rng.choices("0123456789", k=k))
    rules = []
    for i in range(count):
        kind, field, pattern = (
            ("prefix", NUMBER, f"+49{digits(6)}"),
            ("wildcard", NUMBER, f"+49{digits(2)}*{digits(3)}"),
            ("regex", NUMBER, rf"^\+49{digits(1)}[{rng.randrange(4)}-{rng.randrange(4, 9)}]{digits(4)}"),
            ("equal", CHARGE, rng.choice("ABCDEFGH") + digits(5)[:4]),
            ("sender", SENDER, f"{rng.choice(NAMES)}.{digits(4)}@{rng.choice(DOMAINS)}"))[i % 5]
        rules.append((f"m{i % 7}", kind, field, pattern))
    return rules


# -- the rules in each program's language

def header_regex(kind, field, pattern):
    """An extended regular expression that one header line matches."""
    literal = re.sub(r"([.+])", r"\\\1", pattern)
    return {"equal": rf"^{field}: {literal}$", "prefix": rf"^{field}: {literal}", "sender": rf"^{field}:.*<{literal}>",
            "domain": rf"^{field}:.*@{literal}>", "wildcard": rf"^{field}: {literal.replace('*', '.*')}$",
            "regex": rf"^{field}: {pattern.removeprefix('^')}"}[kind]


def ums_rule(kind, field, pattern):
    if kind == "regex":
        pattern = f"/{pattern}/"
    elif kind == "prefix":
        pattern += "*"
    elif kind == "domain":
        pattern = "@" + pattern
    if field == NUMBER:
        return f"recipient: '{pattern}'"
    return f"sender: '{pattern}'" if field == SENDER else f"header: {{{field}: '{pattern}'}}"


def ums_config(work, routes, sites):
    lines = ["mds: {id: BENCH, spool: spool, numbering: {country: 49, area: 8141}}", "kernels:", f"  k: {{url: '{work}/kernel'}}",
             "connectors:", f"  C: {{root: '{work}/connectors', numbers: ['*']}}", "sites:"]
    return "\n".join(lines + [f"  {site}: {{kernels: [k]}}" for site in sites] + ["routes:"] + [f"  - {{{r}}}" for r in routes]) + "\n"


def ums_routes(rules):
    return [f"{ums_rule(*rule[1:])}, to: {rule[0]}" for rule in rules] + ["to: rest"]


def procmail_rules(rules, folders, suffix="/"):
    recipes = [f":0\n* {header_regex(*rule[1:])}\n{folders if suffix is None else folders + '/' + rule[0] + suffix}\n" for rule in rules]
    last = folders if suffix is None else f"{folders}/rest{suffix}"
    return f"SHELL=/bin/sh\nDEFAULT={last}\n" + "\n".join(recipes) + f"\n:0\n{last}\n"


def maildrop_rules(rules, folders):
    recipes = [f"if (/{header_regex(*rule[1:])}/)\n{{\n  to \"{folders}/{rule[0]}/\"\n}}\n".replace("@", r"\@") for rule in rules]
    return "".join(recipes) + f'to "{folders}/rest/"\n'


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def fdm_rules(rules, work):
    folders = [rule[0] for rule in rules] + ["rest"]
    lines = [f'set lock-file "{work}/lock"', "set maximum-size 64M", f'account "in" maildir "{work}/in"']
    lines += [f'action "{folder}" maildir "{work}/folders/{folder}"' for folder in folders]
    lines += [f'match {quoted(header_regex(*rule[1:]))} in headers action "{rule[0]}"' for rule in rules]
    return "\n".join(lines + ['match all action "rest"', ""])


def sieve_rules(rules):
    def test(kind, field, pattern):
        if kind == "sender":
            return f"address :is {quoted(field)} {quoted(pattern)}"
        if kind == "domain":
            return f"address :domain :is {quoted(field)} {quoted(pattern)}"
        operator = {"equal": ":is", "prefix": ":matches", "wildcard": ":matches", "regex": ":regex"}[kind]
        return f"header {operator} {quoted(field)} {quoted(pattern + '*' if kind == 'prefix' else pattern)}"
    lines = ['require ["fileinto", "regex"];']
    lines += [f"{'els' if i else ''}if {test(*rule[1:])} {{ fileinto \"{rule[0]}\"; }}" for i, rule in enumerate(rules)]
    return "\n".join(lines + ['else { fileinto "rest"; }', ""])


# -- running

def links(corpus, directory):
    """The corpus under new names: preparing costs little, and who moves, copies or removes them does what he always does."""
    os.makedirs(directory, exist_ok=True)
    for name in corpus.facts:
        os.link(os.path.join(corpus.directory, name), os.path.join(directory, name))


class Bench(Contest):
    def __init__(self, options, work):
        super().__init__(options, work)
        self.route = os.path.join(options.bin, "ums-route")
        # fdm and sieve-filter are meant to be run by ordinary users.
        self.user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []

    # What ums-route does in a spool.

    def spool(self, name, config_text, sites, corpus, counts=None):
        """A Contestant that routes `corpus` (or nothing) in a spool of its own; `counts` are checked."""
        place = self.fresh(name)
        config = write(os.path.join(place, "mds.yaml"), config_text)
        spool = os.path.join(place, "spool")

        def prepare():
            shutil.rmtree(spool, ignore_errors=True)
            new = os.path.join(spool, "outgoing", "new")
            os.makedirs(new)
            write(os.path.join(spool, "VERSION"), "ums-spool 1\n")
            # A spool that has been at work before: its directories are there.
            for site in sites:
                os.makedirs(os.path.join(spool, "site", site, "new"))
                os.makedirs(os.path.join(spool, "site", site, "hold"))
            subprocess.run([self.route, "-c", config], check=True)
            if corpus:
                links(corpus, new)

        def check():
            found = {site: files_in(os.path.join(spool, "site", site, "new")) for site in counts}
            return None if found == counts else f"routed {found}, expected {counts}"

        return Contestant([self.route, "-c", config], prepare, check if counts else None)

    # The four parts.

    def batch(self, corpus):
        counts = expected(corpus.facts, RULES)
        folders = list(counts)
        place = self.fresh("batch")
        contestants = {"ums-route": self.spool("batch/ums", ums_config(place, ums_routes(RULES), folders), folders, corpus, counts)}

        rules = write(os.path.join(place, "floor.rules"), "".join("\t".join(rule) + "\n" for rule in RULES))

        def floor_prepare():
            links(corpus, self.fresh("batch", "floor", "in"))
            for folder in folders:
                self.fresh("batch", "floor", "folders", folder)

        def counted(path):
            def check():
                found = {folder: files_in(*path(folder)) for folder in folders}
                return None if found == counts else f"routed {found}, expected {counts}"
            return check

        contestants["floor"] = Contestant([self.floor, "route", rules, f"{place}/floor/in", f"{place}/floor/folders"], floor_prepare,
                                          counted(lambda folder: [f"{place}/floor/folders/{folder}"]))

        def give_away(path):
            if self.user:
                subprocess.run(["chown", "-R", "nobody:nogroup", path], check=True)

        def fdm_prepare():
            fdm = self.fresh("batch", "fdm")
            for folder in folders:
                for state in ("tmp", "new", "cur"):
                    os.makedirs(f"{fdm}/folders/{folder}/{state}")
            os.makedirs(f"{fdm}/in/tmp")
            os.makedirs(f"{fdm}/in/cur")
            links(corpus, f"{fdm}/in/new")
            os.chmod(write(f"{fdm}/rules", fdm_rules(RULES, fdm)), 0o600)
            give_away(fdm)

        if shutil.which("fdm"):
            contestants["fdm"] = Contestant([*self.user, "fdm", "-q", "-f", f"{place}/fdm/rules", "fetch"], fdm_prepare,
                                            counted(lambda folder: [f"{place}/fdm/folders/{folder}/{s}" for s in ("new", "cur")]))

        def sieve_prepare(fsync):
            def prepare():
                sieve = self.fresh("batch", "sieve")
                write(f"{sieve}/rules.sieve", sieve_rules(RULES))
                write(f"{sieve}/conf", f"protocols =\nssl = no\nmail_location = maildir:{sieve}/mail\nmail_home = {sieve}\n"
                      f"log_path = {sieve}/log\nbase_dir = {sieve}/base\nstate_dir = {sieve}/state\nfirst_valid_uid = 0\n"
                      f"lda_mailbox_autocreate = yes\nmaildir_copy_with_hardlinks = yes\nmail_fsync = {fsync}\n")
                for folder in ("", *("." + folder for folder in folders)):
                    for state in ("tmp", "new", "cur"):
                        os.makedirs(f"{sieve}/mail/{folder}/{state}", exist_ok=True)
                links(corpus, f"{sieve}/mail/cur")
                give_away(sieve)
            return prepare

        if shutil.which("sieve-filter"):
            for name, fsync in (("sieve-filter", "optimized"), ("sieve-filter without fsync", "never")):
                contestants[name] = Contestant([*self.user, "sieve-filter", "-c", f"{place}/sieve/conf", "-e", "-W", f"{place}/sieve/rules.sieve",
                                                "INBOX"], sieve_prepare(fsync),
                                               counted(lambda folder: [f"{place}/sieve/mail/.{folder}/{s}" for s in ("new", "cur")]))
        self.compete("batch", contestants, self.options.reps)
        peers = {name: one for name, one in contestants.items() if name not in ("ums-route", "floor")}
        ours = contestants["ums-route"]
        best = min(peers, key=lambda name: peers[name].seconds(), default=None)
        for name, one in peers.items():
            self.ratio("batch: messages/s", name, one, ours, ">= 20" if name == best else None)
        self.ratio("batch: messages/s", "floor", contestants["floor"], ours, ">= 0.25",
                   microseconds={name: one.seconds() / len(corpus.facts) * 1e6 for name, one in contestants.items()})
        shutil.rmtree(place)

    def hand(self):
        place = self.fresh("hand")
        header, facts = Corpus.header(random.Random("by hand"), 1, ("39", "0471", 1))
        job = os.path.join(place, "job")
        with open(job, "wb") as file:
            file.write(header + b"TU0AKg==\r\n" * 7000)
        for count, wanted in ((30, "<= 2"), (3000, "<= 8")):
            rules = mixed_rules(count)
            where = next(folder for folder, n in expected({"job": facts}, rules).items() if n)
            config = write(f"{place}/mds-{count}.yaml", ums_config(place, ums_routes(rules), [f"m{i}" for i in range(7)] + ["rest"]))
            argv = [self.route, "-c", config, "-"]
            with open(job, "rb") as file:
                said = subprocess.run(argv, stdin=file, capture_output=True, text=True, check=True).stdout.strip()
            if said != where:
                raise SystemExit(f"by hand, {count} rules: ums-route says {said}, not {where}")
            times = self.options.starts if count == 30 else max(5, self.options.starts // 5)
            contestants = {"ums-route": Contestant(argv, stdin=job, times=times),
                           "true": Contestant(["true"], stdin=job, times=times)}
            maildirs = {}

            def add(name, program, text, option, maildir=None):
                if not shutil.which(program):
                    return
                path = write(f"{place}/{len(contestants)}-{count}", text)
                os.chmod(path, 0o600)
                contestants[name] = Contestant([program, *option, path], stdin=job, times=times)
                if maildir:
                    maildirs[name] = f"{maildir}/{where}"

            for folder in ("procmail", "maildrop"):
                maildir = self.fresh("hand", f"{folder}-{count}")
                for name in {rule[0] for rule in rules} | {"rest"}:
                    for state in ("tmp", "new", "cur"):
                        os.makedirs(f"{maildir}/{name}/{state}")
            add("procmail into a Maildir", "procmail", procmail_rules(rules, f"{place}/procmail-{count}"), ["-m"], f"{place}/procmail-{count}")
            add("procmail into /dev/null", "procmail", procmail_rules(rules, os.devnull, None), ["-m"])
            add("maildrop into a Maildir", "maildrop", maildrop_rules(rules, f"{place}/maildrop-{count}"), [], f"{place}/maildrop-{count}")
            self.compete(f"hand, {count} rules", contestants, self.options.reps)
            for name, one in contestants.items():
                if name in maildirs and files_in(f"{maildirs[name]}/new") != times * self.options.reps:
                    raise SystemExit(f"by hand, {count} rules: {name}: delivered elsewhere than {where}")
                if name != "ums-route":
                    self.ratio(f"by hand, {count} rules: time", name, contestants["ums-route"], one, wanted if name.startswith("procmail") else None,
                               milliseconds=[contestants["ums-route"].seconds() * 1e3, one.seconds() * 1e3])

    def per_message(self, full, none, count, key="seconds"):
        return [(a[key] - b[key]) / count for a, b in zip(full.rounds, none.rounds)]

    def cost(self, measure, peer, over, under, corpus, wanted):
        """The ratio of costs per message; a cost is a batch less the same run with an empty spool."""
        count = len(corpus.facts)
        costs = {key: [self.per_message(*pair, count, key) for pair in (over, under)] for key in ("seconds", "cpu")}
        each = sorted(a / b for a, b in zip(*costs["seconds"]))
        medians = {key: [statistics.median(c) for c in pair] for key, pair in costs.items()}
        self.row(measure, peer, medians["seconds"][0] / medians["seconds"][1], [each[0], each[-1]], wanted,
                 medians["cpu"][0] / medians["cpu"][1], microseconds=[c * 1e6 for c in medians["seconds"]])

    def rules(self, corpus):
        sites = [f"m{i}" for i in range(7)] + ["rest"]
        contestants = {}
        for count in (30, 3000):
            rules = mixed_rules(count)
            config = ums_config(self.work, ums_routes(rules), sites)
            contestants[f"{count}"] = self.spool(f"rules/{count}", config, sites, corpus, expected(corpus.facts, rules))
            contestants[f"{count}, no message"] = self.spool(f"rules/{count}-none", config, sites, None)
        self.compete("rules", contestants, self.options.reps)
        self.cost("3,000 mixed rules: cost per message", "30 rules", (contestants["3000"], contestants["3000, no message"]),
                  (contestants["30"], contestants["30, no message"]), corpus, "<= 2")
        self.fresh("rules")

    def prefixes(self, corpus):
        rng = random.Random("prefixes")
        rows = {}
        while len(rows) < self.options.prefixes:
            prefix = rng.choice(("49", "43", "41", "44", "1", "33", "39")) + "".join(rng.choices("0123456789", k=rng.choice((2, 3, 4, 5, 6, 6, 7, 7, 8, 9))))
            rows[prefix] = f"p{rng.randrange(50)}"
        place = self.fresh("prefixes")
        write(f"{place}/full.csv", "".join(f"+{prefix},{site}\n" for prefix, site in rows.items()))
        write(f"{place}/empty.csv", "+9999999,p0\n")
        sites = [f"p{i}" for i in range(50)]
        # What is in no row is spread over the same sites, so that both reach as many directories.
        config = {name: ums_config(place, [f"recipient: {{prefixes: '{place}/{name}.csv'}}, to: '*'", f"to: [{', '.join(sites)}]"], sites)
                  for name in ("full", "empty")}

        self.exact(place, config["full"].replace(f"to: [{', '.join(sites)}]", "to: noroute"), rows, rng)

        job = os.path.join(place, "job")
        with open(job, "wb") as file:
            file.write(b"MAIL FROM:a@b.example\r\nRCPT TO:+49 8141 1234-56\r\nSubject: x\r\n\r\nx\r\n")
        contestants = {}
        for name in ("full", "empty"):
            contestants[name] = self.spool(f"prefixes/{name}", config[name], sites, corpus)
            contestants[f"{name}, no message"] = self.spool(f"prefixes/{name}-none", config[name], sites, None)
            path = write(f"{place}/hand-{name}.yaml", config[name])
            contestants[f"{name}, by hand"] = Contestant([self.route, "-c", path, "-"], stdin=job)
        self.compete("prefixes", contestants, max(3, self.options.reps))
        full, empty = contestants["full, by hand"], contestants["empty, by hand"]
        load = sorted(a["seconds"] - b["seconds"] for a, b in zip(full.rounds, empty.rounds))
        self.row(f"{len(rows):,} prefixes: time to load", "limit 1 s", statistics.median(load), [load[0], load[-1]], "<= 1")
        peak = full.seconds("peak_kb") / 1e5 * 1.024
        self.row(f"{len(rows):,} prefixes: peak memory", "limit 100 MB", peak, [peak, peak], "<= 1")
        self.cost(f"{len(rows):,} prefixes: cost per message", "an empty table", (contestants["full"], contestants["full, no message"]),
                  (contestants["empty"], contestants["empty, no message"]), corpus, "<= 1.05")
        self.fresh("prefixes")

    def exact(self, place, config_text, rows, rng):
        """10,000 numbers, each looked up from its longest beginning to its shortest, against what ums-route does in a spool."""
        keys = list(rows)
        wanted = {}
        config = write(f"{place}/exact.yaml", config_text.replace("spool: spool", "spool: exact"))
        new = self.fresh("prefixes", "exact", "outgoing", "new")
        write(f"{place}/exact/VERSION", "ums-spool 1\n")
        for i in range(10_000):
            digits = rng.choice(keys) if i % 10 < 7 else str(rng.randrange(10**4, 10**9))
            digits = (digits + "".join(rng.choices("0123456789", k=4)))[:15]
            name = f"{1_790_000_000_000_000 + i:016}.{i:08}.BENCH,c=C"
            site = next((rows[digits[:k]] for k in range(len(digits), 0, -1) if digits[:k] in rows), "noroute")
            wanted[name.partition(",")[0]] = "noroute" if site == "noroute" else f"site/{site}"
            write(os.path.join(new, name), f"RCPT TO:+{digits[:2]} {digits[2:5]} {digits[5:]}\r\nSubject: x\r\n\r\nx\r\n")
        done = subprocess.run([self.route, "-c", config, "-n", "--json"], capture_output=True, text=True, check=False)
        found = {entry["name"].partition(",")[0]: entry["queue"] for entry in map(json.loads, done.stdout.splitlines())}
        wrong = sum(found.get(name) != queue for name, queue in wanted.items())
        self.row(f"{len(rows):,} prefixes: 10,000 numbers, wrong", "a naive search", wrong, [wrong, wrong], "<= 0",
                 unrouted=sum(queue == "noroute" for queue in wanted.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-N", "--messages", type=int, default=10_000, help="messages of a batch (default %(default)s)")
    parser.add_argument("--prefixes", type=int, default=500_000, help="rows of the table (default %(default)s)")
    parser.add_argument("--starts", type=int, default=100, help="starts by hand in a round (default %(default)s)")
    add_options(parser, PARTS, 6)
    options = parsed(parser, PARTS)

    def run(bench):
        corpus = None
        if {"batch", "rules"} & set(options.parts):
            bench.say(f"making {options.messages:,} messages")
            corpus = Corpus(os.path.join(bench.work, "corpus"), options.messages, options.size)
        if "batch" in options.parts:
            bench.batch(corpus)
        if "hand" in options.parts:
            bench.hand()
        if "rules" in options.parts:
            bench.rules(corpus)
        if "prefixes" in options.parts:
            bench.prefixes(Corpus(os.path.join(bench.work, "small"), options.messages, 0))

    hold(options, Bench, PEERS, run)



if __name__ == "__main__":
    main()
