# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benches share: a corpus, programs that compete in turn, ratios and how they are told."""
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))

NUMBER, SENDER, PRIORITY, SERVICE, CHARGE = "X-UMS-Recipient", "From", "X-UMS-Priority", "X-UMS-Service", "X-UMS-Charge"
AREAS = [("49", "8141", 30), ("49", "89", 20), ("49", "30", 10), ("49", "40", 6), ("49", "69", 6), ("49", "172", 6),
         ("49", "151", 5), ("49", "160", 3), ("49", "711", 3), ("49", "900", 1), ("43", "1", 3), ("41", "44", 2),
         ("44", "20", 2), ("33", "1", 1), ("1", "212", 1), ("39", "0471", 1)]
NAMES = ("mira", "tim", "lena", "kern", "wolf", "jonas", "frank", "otto", "berta", "hans", "ida", "noah")
DOMAINS = ("lawyers.example", "bank.example", "clinic.example", "works.example", "school.example", "press.example")


# -- messages, and what is true of them, written apart from the product

def spelled(rng, country, area, subscriber):
    """A number as people write it; the server stands in country 49."""
    first, last = subscriber[:-2], subscriber[-2:]
    forms = [f"+{country} {area} {first}-{last}", f"+{country} ({area}) {first}-{last}", f"00{country} {area} {first}/{last}",
             f"+{country}{area}{subscriber}"]
    if country == "49":
        forms.append(f"0{area} / {first}-{last}")
    return rng.choice(forms)


class Corpus:
    """Messages in our form: envelope lines, fields, a body of base64. The same arguments give the same bytes. Lines end in LF:
    fdm finds no header else."""

    def __init__(self, directory, count, median):
        self.directory, self.facts, self.bytes = directory, {}, 0
        os.makedirs(directory)
        rng = random.Random(f"corpus {count} {median}")
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        pool = "".join("".join(rng.choices(alphabet, k=76)) + "\n" for _ in range(4000)).encode() * 8
        sigma = 1.38  # the 99th of 100 is 25 times the median
        for i in range(count):
            name = f"{1_790_000_000_000_000 + i * 1000:016}.{''.join(rng.choices('abcdefghijklmnopqrstuvwxyz0123456789', k=8))}.BENCH,c=C"
            header, self.facts[name] = self.header(rng, i)
            size = int(min(24e6, max(2000, rng.lognormvariate(math.log(median), sigma)))) if median else len(header) + 200
            size = max(77, (size - len(header)) // 77 * 77)
            with open(os.path.join(directory, name), "wb") as file:
                file.write(header)
                while size > 0:
                    offset = rng.randrange(4000) * 77
                    size -= file.write(pool[offset:offset + min(size, len(pool) - offset)])
                self.bytes += file.tell()

    @staticmethod
    def header(rng, i, area=None):
        country, area, _ = area or rng.choices(AREAS, weights=[a[2] for a in AREAS])[0]
        subscriber = "".join(rng.choices("0123456789", k=rng.randrange(4, 8)))
        facts = {NUMBER: f"+{country}{area}{subscriber}",
                 SENDER: f"{rng.choice(NAMES)}.{rng.choice(NAMES)}@{rng.choice(DOMAINS)}",
                 PRIORITY: rng.choices(("normal", "urgent", "low"), (90, 6, 4))[0],
                 SERVICE: rng.choices(("fax", "voc", "sms"), (75, 20, 5))[0],
                 CHARGE: rng.choice("ABCDEF") + str(rng.randrange(1000, 10000))}
        domain = facts[SENDER].partition("@")[2]
        lines = [f"MAIL FROM:<{facts[SENDER]}>",
                 f"RCPT TO:{facts[SERVICE]}#{spelled(rng, country, area, subscriber)}",
                 f"Received: from gw{i % 7}.{domain} (gw.{domain} [192.0.2.{i % 250}])\n\tby ums.example with ESMTP id {i:08x}\n"
                 f"\tfor <{facts[NUMBER]}@{facts[SERVICE]}>; Mon, 23 Nov 2026 10:00:00 +0100",
                 "Date: Mon, 23 Nov 2026 09:59:58 +0100",
                 f"From: \"{facts[SENDER].partition('@')[0].replace('.', ' ').title()}\" <{facts[SENDER]}>",
                 f"To: \"{spelled(rng, country, area, subscriber)}\" <{facts[NUMBER]}@{facts[SERVICE]}.example>",
                 "Subject: =?utf-8?Q?Pr=C3=BCfbericht_?=\n =?utf-8?B?w5xiZXJ3ZWlzdW5n?= " + str(i),
                 f"Message-ID: <{i:08x}.{rng.randrange(10**9)}@{domain}>",
                 "MIME-Version: 1.0",
                 f"X-UMS-Job: {i}"]
        lines += [f"{field}: {facts[field]}" for field in (SERVICE, NUMBER, PRIORITY, CHARGE)]
        lines += [f"X-UMS-Options: resolution=fine; retries=3;\n\theader=on; coverpage=none;\n\tnotify={facts[SENDER]}",
                  "Content-Type: image/tiff; name=\"fax.tif\"",
                  "Content-Transfer-Encoding: base64", "", ""]
        return "\n".join(lines).encode(), facts


# -- running

def busy_elsewhere(seconds=0.3):
    """The share of the processors that is in use while we sleep."""
    def look():
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    total, idle = look()
    time.sleep(seconds)
    total_now, idle_now = look()
    return 1 - (idle_now - idle) / max(1, total_now - total)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def files_in(*directories):
    return sum(not entry.name.startswith(("dovecot", ".")) for d in directories if os.path.isdir(d)
               for entry in os.scandir(d) if entry.is_file())


class Contestant:
    """A program: what is done before it is timed, how it is called, and what must be true afterwards."""

    def __init__(self, argv, prepare=None, check=None, stdin=os.devnull, times=1, once=False):
        self.argv, self.prepare, self.check, self.stdin, self.times, self.once = argv, prepare, check, stdin, times, once
        self.rounds = []  # of each round the median of its runs

    def seconds(self, key="seconds"):
        return statistics.median(run[key] for run in self.rounds)


class Contest:
    """Rounds of programs in a directory of their own, and the ratios that came out."""

    def __init__(self, options, work):
        self.options, self.work, self.rows, self.loads = options, work, [], []
        self.floor = self.compiled("floor")

    def compiled(self, name):
        program = os.path.join(self.work, name)
        subprocess.run(["c++", "-std=c++20", "-O2", "-pthread", "-o", program, os.path.join(HERE, name + ".cpp")], check=True)
        return program

    def say(self, text):
        if not self.options.quiet:
            print(text, file=sys.stderr, flush=True)

    def fresh(self, *names):
        path = os.path.join(self.work, *names)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def wait_for_calm(self):
        deadline = time.monotonic() + self.options.patience
        busy = busy_elsewhere()
        while busy > 0.25 and time.monotonic() < deadline:
            busy = busy_elsewhere()
        self.loads.append(busy)

    def compete(self, label, contestants, rounds):
        """All of them in turn, round by round, so that what disturbs one disturbs its peers."""
        for k in range(rounds):
            for name, one in contestants.items():
                if k > 0 and one.once:
                    continue
                if one.prepare:
                    one.prepare()
                    os.sync()
                self.wait_for_calm()
                done = subprocess.run([self.floor, "spawn", str(one.times), one.stdin, *one.argv], check=True, capture_output=True, text=True,
                                      env=os.environ | {"USER": "nobody", "LOGNAME": "nobody", "HOME": self.work})
                runs = json.loads(done.stdout)
                if any(run["exit"] != 0 for run in runs):
                    raise SystemExit(f"{label}: {name}: exit code {[run['exit'] for run in runs if run['exit']][0]}: {done.stderr[-2000:]}")
                wrong = one.check() if one.check else None
                if wrong:
                    raise SystemExit(f"{label}: {name}: {wrong}")
                one.rounds.append({key: statistics.median(run[key] for run in runs) for key in ("seconds", "cpu", "peak_kb")})
                self.say(f"{label} {k + 1}/{rounds} {name}: {one.rounds[-1]}")
        return contestants

    def row(self, measure, peer, ratio, spread, wanted, cpu=None, **more):
        """`ratio` is what `wanted` speaks of: '>= 20', '<= 2'; None where nothing is wanted."""
        met = None
        if wanted:
            sign, limit = wanted.split()
            met = ratio >= float(limit) if sign == ">=" else ratio <= float(limit)
        self.rows.append({"measure": measure, "against": peer, "ratio": ratio, "spread": spread, "cpu_ratio": cpu, "wanted": wanted,
                          "met": met, **more})

    def ratio(self, measure, peer, over, under, wanted, **more):
        """Median time of `over` by that of `under`."""
        each = sorted(a["seconds"] / b["seconds"] for a, b in zip(over.rounds, under.rounds))
        self.row(measure, peer, over.seconds() / under.seconds(), [each[0], each[-1]], wanted, over.seconds("cpu") / max(1e-6, under.seconds("cpu")),
                 **more)


def file_system_of(path):
    """Type and device of the file system, and whether it keeps a journal."""
    device, kind = subprocess.run(["df", "--output=source,fstype", path], capture_output=True, text=True, check=True).stdout.split()[-2:]
    if not kind.startswith("ext"):
        return kind
    journals = os.listdir("/proc/fs/jbd2") if os.path.isdir("/proc/fs/jbd2") else []
    journalled = any(entry.rpartition("-")[0] == os.path.basename(os.path.realpath(device)) for entry in journals)
    return f"{kind} {'with' if journalled else 'WITHOUT'} a journal"

def add_options(parser, parts, room):
    parser.add_argument("--size", type=int, default=60_000, help="median of their sizes (default %(default)s)")
    parser.add_argument("--reps", type=int, default=3, help="rounds; their median counts (default %(default)s)")
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait for a calm moment before a run (default %(default)s)")
    parser.add_argument("--only", default=",".join(parts), help="parts, separated by commas (default %(default)s)")
    parser.add_argument("--bin", default=os.environ.get("UMS_BIN", os.path.join(SOURCE, "build", "release", "bin")), help="where our programs are")
    parser.add_argument("--work", default=None, help=f"a directory on the file system to measure; about {room} times the corpus of room")
    parser.add_argument("--json", action="store_true", help="print an object for each ratio")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing while it runs")


def parsed(parser, parts):
    options = parser.parse_args()
    options.parts = options.only.split(",")
    if not set(options.parts) <= set(parts):
        parser.error(f"--only takes {', '.join(parts)}")
    return options


def hold(options, kind, peers, run):
    """`run` with a `kind` of Contest in a directory of its own, then its ratios. `peers`: program -> Debian package."""
    missing = [f"{program} (package {package})" for program, package in peers.items() if not shutil.which(program)]
    if missing:
        print(f"left out, not installed: {', '.join(missing)}; see ums_bench_packages in packaging/packages.sh", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="ums-bench-", dir=options.work) as work:
        os.chmod(work, 0o755)
        contest = kind(options, work)
        system = file_system_of(work)
        run(contest)

    about = {"cores": os.cpu_count(), "file_system": system, "busy_elsewhere": round(statistics.median(contest.loads), 2),
             "messages": options.messages, "median_size": options.size, "reps": options.reps, "missing": missing}
    if options.json:
        for row in [about, *contest.rows]:
            print(json.dumps(row))
        return
    print(f"{about['cores']} cores, {system}; others used {about['busy_elsewhere']:.0%} of the processors (median); {options.messages:,} messages, "
          f"median {options.size:,} bytes; median of {options.reps}")
    print(f"{'measure':<46}{'against':<34}{'ratio':>9}{'wanted':>10}  {'spread':<18}{'CPU time':>9}")
    for row in contest.rows:
        spread = " .. ".join(f"{end:.4g}" for end in row["spread"])
        cpu = "" if row["cpu_ratio"] is None else f"{row['cpu_ratio']:.4g}"
        missed = "  missed" if row["met"] is False else ""
        print(f"{row['measure']:<46}{row['against']:<34}{row['ratio']:>9.4g}{row['wanted'] or '':>10}  {spread:<18}{cpu:>9}{missed}")
