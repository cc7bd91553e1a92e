#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast numbers are formed, and what mapping costs a push. README.md beside this tells more.

    tests/bench/site.py                  everything, a minute
    tests/bench/site.py --only numbers   parts of it: numbers, push, start
"""
import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WANTED = {"numbers": ("numbers per second and core, of 150,000", ">=", 1.0), "push": ("time of a push with mapping, by one without", "<=", 1.1),
          "start": ("time of a start that needs no metadata, by /bin/true", "", 0)}
SITES = """
sites:
  plain: {kernels: [k1]}
  mapped:
    kernels: [k1]
    numbering: {country: 49, area: 89, subscriber: [4799, {number: 4838, extensions: 100-299}], extension-digits: 3, outside-line: 0,
                internal-length: 4, blocked: ['0900*', '0137*']}
    conversions: ['O;D=000498142;D=84[10]', {direction: outgoing, match: '^00043(.*)', replace: '9\\1'}]
    dial: rewrite
    caller-id: '+49 89 4799 0'
    header-line: 'Example %n %d %p'
    mark: {X-UMS-Site: mapped}
routes:
  - {to: plain}
"""


def write_config(directory, sites=SITES):
    path = os.path.join(directory, "mds.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"mds: {{id: BENCH1, spool: '{directory}/spool', settle: 0s}}\n"
                   f"kernels:\n  k1: {{url: 'file:{directory}/k1'}}\n"
                   f"connectors:\n  ExConn: {{root: '{directory}/CR', numbers: ['*']}}\n" + sites)
    os.makedirs(os.path.join(directory, "k1"), exist_ok=True)
    return path


def processor_time(command, **options):
    """Of the children, in seconds: others on the machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def numbers(bench, directory, config):
    rng = random.Random("numbers")
    path = os.path.join(directory, "numbers")
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(bench.numbers):
            form = rng.choice(["+49 89 {}", "+49 (0)8142/{}", "+43-1-{}", "0049 30 {}", "089 {}", "{}", "+1 212 {}"])
            file.write(form.format("".join(rng.choices("0123456789", k=rng.randint(3, 9)))) + "\n")
    empty = os.path.join(directory, "empty")
    open(empty, "w", encoding="utf-8").close()
    result = []
    for direction in ("--outgoing", "--incoming"):
        command = [os.path.join(bench.bin, "ums-sitemap"), "-c", config, "number", "--site", "mapped", direction, "-q", "-"]
        rates = []
        for _ in range(bench.reps):
            def timed(name):
                with open(name, "rb") as file:
                    before = resource.getrusage(resource.RUSAGE_CHILDREN)
                    subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                    after = resource.getrusage(resource.RUSAGE_CHILDREN)
                return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            rates.append(bench.numbers / (timed(path) - timed(empty)))
        result.append(statistics.median(rates) / 150_000)
    print(f"  (outgoing {result[0] * 150_000:,.0f}, incoming {result[1] * 150_000:,.0f} numbers per second of processor time)")
    return min(result)


def push(bench, directory, config):
    """Fresh queues of the same messages, in turns; the processor time of ums-push, and its time as it passes."""
    rng = random.Random("push")
    bodies = [rng.randbytes(max(500, int(rng.lognormvariate(11, 1)))) for _ in range(100)]
    ratios, walls = [], []
    for _ in range(bench.reps):
        took, wall = {}, {}
        for site in ("plain", "mapped"):
            for name in ("spool", "k1"):
                shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
            os.makedirs(os.path.join(directory, "k1", "R_ExConn", "Out"))
            # Makes the spool.
            subprocess.run([os.path.join(bench.bin, "ums-fetch"), "-c", config, "-q"], check=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            queue = os.path.join(directory, "spool", "kernel", "k1", "new")
            os.makedirs(queue, exist_ok=True)
            for i in range(bench.messages):
                with open(os.path.join(queue, f"{1_795_000_000_000_000 + i}.aaaaaaaa.BENCH1,c=ExConn,s={site}"), "wb") as file:
                    file.write(b"MAIL FROM:a@example.com\r\nRCPT TO:fax#+49 8142 %d\r\nSubject: x\r\n\r\n" % (10_000 + i))
                    file.write(bodies[i % len(bodies)])
            os.sync()
            start = time.monotonic()
            took[site] = processor_time([os.path.join(bench.bin, "ums-push"), "-c", config, "-q"])
            wall[site] = time.monotonic() - start
            out = os.path.join(directory, "k1", "R_ExConn", "Out")
            delivered = os.listdir(out)
            if len(delivered) != bench.messages:
                raise SystemExit(f"{len(delivered)} of {bench.messages} messages were delivered")
            with open(os.path.join(out, delivered[0]), "rb") as file:
                if (b"RCPT TO:fax#008142" in file.read()) != (site == "mapped"):
                    raise SystemExit("the messages are not what they should be")
        ratios.append(took["mapped"] / took["plain"])
        walls.append(wall["mapped"] / wall["plain"])
    print(f"  (as time passes: {statistics.median(walls):.3f}; processor time: {statistics.median(ratios):.3f})")
    return statistics.median(walls)


def start(bench, directory, config):
    quiet = [os.path.join(bench.bin, "ums-sitemap"), "-c", config, "number", "--site", "mapped", "--outgoing", "-q", "+49891"]
    telling = [word for word in quiet if word != "-q"]
    times = {"true": [], "quiet": [], "telling": []}
    for _ in range(20 * bench.reps):
        times["true"].append(processor_time(["/bin/true"]))
        times["quiet"].append(processor_time(quiet))
        times["telling"].append(processor_time(telling))
    middle = {name: statistics.median(values) for name, values in times.items()}
    print(f"  (milliseconds: true {middle['true'] * 1000:.1f}, without metadata {middle['quiet'] * 1000:.1f}, "
          f"with {middle['telling'] * 1000:.1f})")
    return middle["quiet"] / middle["true"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(SOURCE, "build", "release", "bin"))
    parser.add_argument("--work", help="a directory to work in; the file system counts")
    parser.add_argument("--only", default="numbers,push,start")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--numbers", type=int, default=500_000)
    parser.add_argument("--messages", type=int, default=2000)
    bench = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=bench.work) as directory:
        config = write_config(directory)
        for part in bench.only.split(","):
            what, sign, wanted = WANTED[part]
            ratio = {"numbers": numbers, "push": push, "start": start}[part](bench, directory, config)
            print(f"{part}: {what}: {ratio:.3f}" + (f" (wanted {sign} {wanted})" if sign else ""))


if __name__ == "__main__":
    main()
