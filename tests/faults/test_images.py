#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of real file systems, cut at random: ext4, xfs and btrfs on a loop device, with the spool on them.

The tools work; at a random moment all of them are killed, and the image is copied as it is then, without what the file system
has not written: what a loss of power leaves. Kernels and connectors are on another disk, and lose nothing. The copy is mounted,
which replays its journal, and the tools run again until nothing is left: each message has arrived once, byte for byte, and one
more run changes nothing. That the cuts fire is counted: what was lost, which journals were replayed, and where the messages were.

UMS_IMAGES: how many of each file system; else 334 with UMS_ALL=1, and 2. It must be root, and have loop devices: where it cannot
run it says so and fails with UMS_ALL=1, and else ends with 77, which ctest shows as skipped.
"""
import collections
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import rooms
from installation import TOOLS
from patience import within
from rooms import Rooms, message, write
from sweep import SCRATCH, Violation
from test_syscalls import CONFIG

KINDS = ("ext4", "xfs", "btrfs")
IMAGES = int(os.environ.get("UMS_IMAGES", "334" if rooms.ALL else "2"))
SEED = int(os.environ.get("UMS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
MAKE = {
    "ext4": (64, ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (128, ["mkfs.btrfs", "-q", "-f", "-m", "single"]),
}
BOTH = ("fax#+49 89 1", "fax#+43 1 2")


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=within(60))


def why_not():
    """Why no image can be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "only root may mount an image"
    for kind in KINDS:
        if not shutil.which("mkfs." + kind):
            return f"mkfs.{kind} is not there"
    try:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as directory:
            for kind in KINDS:
                with Image(directory, kind).mounted(directory):
                    pass
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stderr", b"") or b""
        return f"no image can be mounted: {error} {said.decode(errors='replace').strip()}"
    return ""


class Image:
    def __init__(self, directory, kind, path=None):
        self.kind = kind
        self.path = path or os.path.join(directory, kind + ".image")
        if path:
            return
        size, command = MAKE[kind]
        with open(self.path, "wb") as file:
            file.truncate(size << 20)
        run(*command, self.path)

    @contextlib.contextmanager
    def mounted(self, directory):
        place = os.path.join(directory, "mounted")
        os.makedirs(place, exist_ok=True)
        run("mount", "-o", "loop", self.path, place)
        try:
            yield place
        finally:
            # A process that is just ending may still be there.
            for _ in range(100):
                if subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.05)
            else:
                run("umount", "-l", place)

    def copy(self, path):
        """As it is now. Nobody writes but the file system itself: twice the same is one moment."""
        for _ in range(50):
            run("cp", "--sparse=always", self.path, path)
            if subprocess.run(["cmp", "-s", self.path, path], check=False).returncode == 0:
                return Image(None, self.kind, path)
        raise Violation("the image does not come to rest")

    def is_dirty(self):
        """Whether a mount has something to replay. btrfs tells it of its log only."""
        if self.kind == "ext4":
            said = subprocess.run(["dumpe2fs", "-h", self.path], capture_output=True, check=False).stdout
            return b"needs_recovery" in said
        if self.kind == "xfs":
            said = subprocess.run(["xfs_logprint", "-t", self.path], capture_output=True, check=False).stdout
            return b"DIRTY" in said
        said = subprocess.run(["btrfs", "inspect-internal", "dump-super", self.path], capture_output=True, check=False).stdout
        return any(line.split()[0] == b"log_root" and line.split()[1] != b"0" for line in said.splitlines() if len(line.split()) > 1)


class World(Rooms):
    """The spool below `mounted`; the rest stays."""

    def __init__(self, directory):
        super().__init__(directory, ("k1", "k2"), CONFIG)
        self.move_spool(os.path.join(directory, "mounted", "spool"))
        self.kernels_had = collections.Counter()
        self.expected = collections.Counter()
        self.number = 0

    def move_spool(self, path):
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace(self.spool, path))
        self.spool = path

    def hand_over(self, dice):
        """A message to a connector's Out, or for a connector to a kernel's In."""
        self.number += 1
        body = b"x" * dice.choice((10, 3_000, 40_000))
        kind = dice.randrange(4)
        if kind == 0:
            content = message(self.number, ("fax#+49 8142 1",), body=body)
            write(os.path.join(self.kernel_in("k1"), f"in{self.number}.tmp"), content)
            self.expected[("connector", content)] += 1
            return
        recipients = BOTH if kind == 1 else (BOTH[kind - 2],)
        write(os.path.join(self.out(), f"out{self.number}.tmp"), message(self.number, recipients, body=body))
        for one in recipients:
            self.expected[("kernel", message(self.number, (one,), body=body))] += 1

    def arrived(self):
        found = collections.Counter()
        for kernel in self.kernels:
            found.update(("kernel", c) for connector in rooms.CONNECTORS for c in self.delivered(kernel, connector))
        for connector in rooms.CONNECTORS:
            found.update(("connector", c) for c in self.received(connector))
        return found

    def places(self):
        """Names and sizes in the spool, and in which states there are messages."""
        names, states = {}, collections.Counter()
        for directory, _, files in os.walk(self.spool):
            for name in files:
                with contextlib.suppress(FileNotFoundError):
                    names[os.path.join(directory, name)] = os.lstat(os.path.join(directory, name)).st_size
                state = os.path.basename(directory)
                if state in ("tmp", "new", "sending", "publishing"):
                    states[state] += 1
        return names, states

    def sources(self):
        tops = [self.out(c) for c in rooms.CONNECTORS] + [self.kernel_in(k, c) for k in self.kernels for c in rooms.CONNECTORS]
        return [os.path.join(top, name) for top in tops for name in os.listdir(top)]

    def recover(self):
        for _ in range(8):
            for name in TOOLS:
                self.run(name, "-q", codes=None)
            if not self.sources() and not self.leftovers():
                return
        raise Violation(f"not recovered: {self.leftovers()[:20]} {self.sources()[:20]}\n{self.run('ums-spool', 'list', codes=None).stdout.decode()}")

    def check(self):
        arrived = self.arrived()
        if arrived != self.expected:
            lost, more = self.expected - arrived, arrived - self.expected
            raise Violation(f"{sum(lost.values())} lost, {sum(more.values())} too many: "
                            f"{[(w, c[:120]) for w, c in list(lost)[:3]]} {[(w, c[:120]) for w, c in list(more)[:3]]}")


def work_until_cut(world, dice):
    """The tools in turns, each as often as it can, until all are killed at once."""
    # A supervisor that is killed with its group, so that nothing is started after that.
    script = "while :; do " + " ".join(f"{rooms.tool(name)} -q & " for name in TOOLS) + "wait; done"
    process = subprocess.Popen(["bash", "-c", script], env=dict(world.environment(), ASAN_OPTIONS="detect_leaks=0"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    # Nothing is to be cut before they have begun.
    latest = time.monotonic() + within(20)
    while time.monotonic() < latest and not world.places()[1] and not world.arrived():
        time.sleep(0.005)
    end = time.monotonic() + dice.uniform(0, 0.5)
    while time.monotonic() < end:
        world.hand_over(dice)
        time.sleep(dice.uniform(0, 0.05))
    # Workers of the tools are in sessions or groups of their own only if they made one; they make none.
    os.killpg(process.pid, 9)
    process.wait()
    wait_for_group(process.pid)


def wait_for_group(group):
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise Violation("what was killed does not end")


def one(directory, kind, dice, figures, images):
    image = Image(directory, kind)
    world = World(directory)
    copy_path = os.path.join(directory, "copy.image")
    try:
        with image.mounted(directory):
            for name in TOOLS:  # the spool is made, and durable
                world.run(name, "-q", codes=None)
            os.sync()
            for _ in range(3):
                world.hand_over(dice)
            work_until_cut(world, dice)
            copy = image.copy(copy_path)
            seen, states = world.places()
        figures["cuts"] += 1
        figures["replayed"] += copy.is_dirty()
        with open(copy_path, "rb") as file:
            images.add(hash(file.read()))
        with copy.mounted(directory):
            left, _ = world.places()
            figures["lost something"] += left != seen
            for state, count in states.items():
                figures["in " + state] += count
            world.recover()
            world.check()
            for name in TOOLS:
                world.run(name, "-q", codes=None)
            if world.leftovers() or world.sources():
                raise Violation("another run changed something")
            world.check()
            figures["messages"] += sum(world.expected.values())
    finally:
        for path in (image.path, copy_path):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)


def main():
    reason = why_not()
    if reason:
        print(f"faults/images COULD NOT RUN: {reason}", file=sys.stderr)
        raise SystemExit(1 if rooms.ALL else 77)
    print(f"  seed {SEED}", file=sys.stderr)
    violations = 0
    total = collections.Counter()
    began = time.monotonic()
    for kind in sys.argv[1:] or KINDS:
        figures = collections.Counter()
        images = set()
        for number in range(IMAGES):
            dice = random.Random(f"{SEED} {kind} {number}")
            directory = tempfile.mkdtemp(prefix="ums-images.", dir=SCRATCH)
            os.chmod(directory, 0o755)
            try:
                one(directory, kind, dice, figures, images)
            except Violation as violation:
                violations += 1
                print(f"VIOLATION {kind} {number}, seed {SEED}: {violation}", file=sys.stderr, flush=True)
            finally:
                shutil.rmtree(directory, ignore_errors=True)
        print(f"  {kind}: {len(images)} different images; " + ", ".join(f"{n} {what}" for what, n in sorted(figures.items())), file=sys.stderr)
        total.update(figures)
        if len(images) != figures["cuts"]:
            violations += 1
            print(f"VIOLATION {kind}: two images are the same", file=sys.stderr)
    print(f"  {total['cuts']} images, {total['replayed']} journals replayed, {total['lost something']} had lost something, "
          f"{total['messages']} messages, {violations} violations, {time.monotonic() - began:.0f} s", file=sys.stderr)
    # Some cuts come when all is written; others must take something, of each kind that was cut often.
    if violations or total["lost something"] * 8 < total["cuts"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
