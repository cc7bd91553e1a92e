#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ums-push and ums-fetch against a WebDAV server that misbehaves, and one that is less than it should be.

Whatever it does: no message is lost or doubled, no byte is written outside the spool, no credential goes elsewhere or
into any text, memory and time are bounded, and something clear is said. UMS_ALL=1: each fault in each method.
"""

import contextlib
import gzip
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from davserver import Dav
from hostile import CLOSE, Hostile, reply
from installation import Installation, tool
from servers import scratch_directory

ALL = os.environ.get("UMS_ALL") == "1"
CANARY = "Kanari-Passwort-93"
MOST_SECONDS = 60
MOST_MEMORY = 64 * 1024  # KiB
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
CONTENTS = [b"RCPT TO:fax#+49 89 %d\r\n\r\n" % i + b"%d" % i * size + b"\r\n" for i, size in enumerate((40, 3000, 200_000))]


# ru_maxrss of a child counts what it was before exec, too, and this test is no small process.
WAITER = ("import os, subprocess, sys\n"
          "p = subprocess.Popen(sys.argv[1:])\n"
          "_, status, used = os.wait4(p.pid, 0)\n"
          "print('measured', os.waitstatus_to_exitcode(status), used.ru_maxrss, file=sys.stderr)\n")


def is_sanitized():
    with open(tool("ums-push"), "rb") as program:
        return re.search(rb"__(asan|tsan|msan|hwasan)_init", program.read()) is not None


def multistatus(*responses, head=""):
    text = '<?xml version="1.0"?>' + head + '<D:multistatus xmlns:D="DAV:">' + "".join(responses) + "</D:multistatus>"
    return reply(207, text.encode())


def file_at(href, size=40):
    return (f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>{size}"
            "</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>")


def endless(head, part, pause=0.0):
    def parts():
        yield head
        while True:
            yield part
            time.sleep(pause)
    return parts()


def laughs():
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{entities}]>'


class World:
    def __init__(self, directory, url, options=""):
        self.directory = directory
        self.elsewhere = os.path.join(directory, "cwd")
        os.mkdir(self.elsewhere)
        password = os.path.join(directory, "secret")
        with open(password, "w", encoding="ascii") as out:
            out.write(CANARY + "\n")
        os.chmod(password, 0o600)
        self.mds = Installation(directory, config=f"""
kernels:
  k1: {{url: '{url}', auth: {{method: basic, user: mds, password-file: '{password}'}},
       limit: {{connections: 2, connect: 1s, answer: 500ms, stall: 500ms}}{options}}}
connectors:
  ExConn: {{root: '{directory}/CR', numbers: ['*']}}
sites:
  munich: {{kernels: [k1]}}
routes:
  - {{to: munich}}
""")

    def run(self, name, *arguments):
        """Exit code, stdout and stderr; what it may not do is asserted."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.monotonic()
            done = subprocess.run([sys.executable, "-S", "-c", WAITER, tool(name), *arguments], stdin=subprocess.DEVNULL,
                                  env=dict(self.mds.environment(), HOME=self.elsewhere), stdout=out, stderr=err,
                                  cwd=self.elsewhere, timeout=2 * MOST_SECONDS, check=False)
            took = time.monotonic() - start
            out.seek(0)
            err.seek(0)
            stdout, (stderr, _, measured) = out.read(), err.read().rpartition(b"measured ")
        code, memory = (int(number) for number in measured.split())
        assert done.returncode == 0 and code >= 0 and code != 70, (code, stderr)
        assert took < MOST_SECONDS, took
        assert is_sanitized() or 1000 < memory < MOST_MEMORY, memory
        for text in (stdout, stderr):
            assert CONTROL.search(text) is None, text
            assert CANARY.encode() not in text, text
        return code, stdout, stderr

    def outside(self):
        return {os.path.join(d, n) for d, _, names in os.walk(self.directory) for n in names
                if not d.startswith(self.mds.spool)}

    def check_no_secret(self):
        for directory, _, names in os.walk(self.mds.spool):
            for name in names:
                with open(os.path.join(directory, name), "rb") as one:
                    assert CANARY.encode() not in one.read(), name


class Hostility(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.elsewhere = self.stack.enter_context(Hostile(lambda _: reply(201)))

    def everyone(self):
        """What any request may get."""
        there = self.elsewhere.port
        yield "nothing", lambda r: CLOSE
        yield "no HTTP", lambda r: [b"220 ready\r\n", CLOSE]
        for status in (301, 302, 307, 308):
            for to in (f"http://127.0.0.1:{there}/CR/x", f"http://localhost:{there}/CR/x", "file:///etc/passwd",
                       f"//127.0.0.1:{there}/CR", "\x1b[31m\x07"):
                yield f"{status} to {to!r}", lambda r, s=status, t=to: reply(s, b"", "Location: " + t)
        yield "401 loop", lambda r: reply(401, b"", 'WWW-Authenticate: Basic realm="again"')
        yield "407", lambda r: reply(407, b"", 'Proxy-Authenticate: Basic realm="p"')
        yield "1xx flood", lambda r: endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n")
        yield "huge headers", lambda r: endless(b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"x" * 1000 + b"\r\n")
        yield "an endless header", lambda r: endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 10000)
        yield "cut in the headers", lambda r: [b"HTTP/1.1 201 Created\r\nContent-Le", CLOSE]
        yield "slow headers", lambda r: endless(b"HTTP/1.1 201 Cre", b"a", 0.1)
        yield "an endless error", lambda r: endless(b"HTTP/1.1 500 E\r\n\r\n", b"<p>" * 10000)
        yield "control characters", lambda r: [b"HTTP/1.1 500 \x1b[31m\x07\r\nServer: \x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n"]
        yield "503 for a day", lambda r: reply(503, b"", "Retry-After: 86400")

    def listings(self):
        foreign = [f"http://127.0.0.1:{self.elsewhere.port}/CR/R_ExConn/In/x", "//elsewhere.example/CR/R_ExConn/In/x",
                   "/etc/passwd", "/CR/R_ExConn/In/../../../etc/passwd", "/CR/R_ExConn/In/..%2f..%2fx",
                   "/CR/R_ExConn/In/%2e%2e", "/CR/R_ExConn/In/a%2fb", "/CR/R_ExConn/In/a%00b", "file:///etc/passwd",
                   "x", ""]
        for href in foreign:
            yield f"href {href}", lambda r, h=href: multistatus(file_at("/CR/R_ExConn/In/"), file_at(h))
        yield "control characters in names", lambda r: multistatus(file_at("/CR/R_ExConn/In/%1b%5b31m%07%0a"))
        yield "entity bomb", lambda r: multistatus(file_at("/CR/R_ExConn/In/&l9;"), head=laughs())
        yield "external entity", lambda r: multistatus(
            file_at("/CR/R_ExConn/In/&e;"), head='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>')
        yield "external subset", lambda r: multistatus(
            file_at("x"), head=f'<!DOCTYPE x SYSTEM "http://127.0.0.1:{self.elsewhere.port}/x.dtd">')
        yield "no end", lambda r: endless(b'HTTP/1.1 207 M\r\n\r\n<D:multistatus xmlns:D="DAV:">', b"<D:response/>" * 1000)
        yield "no XML", lambda r: reply(207, b"\x00\xff<html>")
        yield "gzip", lambda r: reply(207, gzip.compress(b" " * 1000), "Content-Encoding: gzip")
        yield "sizes without end", lambda r: multistatus(file_at("/CR/R_ExConn/In/a", "9" * 30), file_at("/CR/R_ExConn/In/b", -1))

    def bodies(self):
        bomb = gzip.compress(b"\0" * 50_000_000)
        yield "short length", lambda r: [reply(200, b"x" * 10, length=10), CLOSE]
        yield "long length", lambda r: [reply(200, b"x" * 10, length=10_000_000), CLOSE]
        yield "cut chunk", lambda r: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc", CLOSE]
        yield "no last chunk", lambda r: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSE]
        yield "wrong chunk", lambda r: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", CLOSE]
        yield "endless chunks", lambda r: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                                  b"1000\r\n" + b"x" * 4096 + b"\r\n")
        yield "endless body", lambda r: endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)
        yield "slow bytes", lambda r: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 0.1)
        yield "gzip bomb", lambda r: reply(200, bomb, "Content-Encoding: gzip")
        yield "part", lambda r: reply(206, b"x" * 10)

    def tried(self, name, arguments, bad, methods, prepare, arrived, early=None):
        """One server that misbehaves at first and is well then. The first run's answer must say something."""
        dav = Dav("/CR", ("R_ExConn", "R_ExConn/In", "R_ExConn/Out"))
        active = [True]
        fired = []

        def script(request):
            if active[0] and bad and request.method in methods:
                fired.append(request)
                answer = bad(request, dav) if bad.__code__.co_argcount > 1 and not bad.__defaults__ else bad(request)
                if answer is not None:
                    return answer
            return dav(request)

        def before_body(request):
            if not active[0] or early is None or request.method not in methods:
                return None
            fired.append(request)
            return early(request)

        with scratch_directory() as directory, Hostile(script, before_body) as server:
            world = World(directory, server.url)
            active[0] = False
            world.run("ums-push", "--to", "k1")
            prepare(world, dav)
            before = world.outside()
            active[0] = True
            code, stdout, stderr = world.run(name, *arguments)
            active[0] = False
            self.assertTrue(fired, "the fault did not fire")
            for _ in range(4):
                world.run(name, *arguments)
            self.assertEqual(sorted(arrived(world, dav)), sorted(CONTENTS), stderr)
            self.assertEqual(world.outside(), before)
            world.check_no_secret()
            self.assertEqual(self.elsewhere.requests, [])
            return code, stdout, stderr

    def pushed(self, bad, methods, early=None):
        def prepare(world, _):
            queue = os.path.join(world.mds.spool, "kernel", "k1", "new")
            os.makedirs(queue, exist_ok=True)
            for i, content in enumerate(CONTENTS):
                with open(os.path.join(queue, f"{1795406406000000 + i}.hostile{i}.BER1,c=ExConn"), "wb") as out:
                    out.write(content)
        return self.tried("ums-push", ("--to", "k1"), bad, methods, prepare,
                          lambda _, dav: dav.under("R_ExConn/Out").values(), early)

    def fetched(self, bad, methods):
        def prepare(_, dav):
            for i, content in enumerate(CONTENTS):
                dav.files[f"R_ExConn/In/job{i}.tmp"] = content

        def arrived(world, dav):
            self.assertEqual(dav.under("R_ExConn/In"), {})
            new = os.path.join(world.mds.spool, "incoming", "new")
            found = []
            for name in os.listdir(new):
                with open(os.path.join(new, name), "rb") as one:
                    found.append(one.read())
            return found
        return self.tried("ums-fetch", ("--from", "k1"), bad, methods, prepare, arrived)

    def sweep(self, cases, methods, case):
        for i, (what, bad) in enumerate(cases):
            for method in methods if ALL else (methods[i % len(methods)],):
                with self.subTest(what=what, method=method):
                    code, _, stderr = case(bad, (method,))
                    if method in ("PUT", "MOVE", "PROPFIND", "GET") and "href" not in what and "names" not in what:
                        self.assertTrue(stderr or code == 0, "nothing was said")

    def test_push_and_any_answer(self):
        self.sweep(self.everyone(), ("PUT", "MOVE"), self.pushed)

    def test_push_and_any_answer_to_the_rest(self):
        some = [case for i, case in enumerate(self.everyone()) if i % 4 == 0]
        self.sweep(some, ("PROPFIND", "GET"), self.pushed)

    def test_fetch_and_any_answer(self):
        self.sweep(self.everyone(), ("GET", "MOVE"), self.fetched)

    def test_fetch_and_any_answer_to_the_rest(self):
        some = [case for i, case in enumerate(self.everyone()) if i % 4 == 0]
        self.sweep(some, ("PROPFIND", "DELETE"), self.fetched)

    def test_fetch_and_listings(self):
        self.sweep(self.listings(), ("PROPFIND",), self.fetched)

    def test_fetch_and_bodies(self):
        self.sweep(self.bodies(), ("GET",), self.fetched)

    def test_done_then_cut(self):
        def done(request, dav):
            dav(request)
            return CLOSE
        for method in ("PUT", "MOVE", "MKCOL"):
            self.pushed(done, (method,))
        for method in ("MOVE", "DELETE"):
            self.fetched(done, (method,))

    def test_done_then_an_error(self):
        def done(request, dav):
            dav(request)
            return reply(502)
        for method in ("PUT", "MOVE"):
            self.pushed(done, (method,))
        for method in ("MOVE", "DELETE"):
            self.fetched(done, (method,))

    def test_an_answer_before_the_body_was_read(self):
        for status in (201, 204, 500):
            code, _, stderr = self.pushed(None, ("PUT",), early=lambda _, s=status: reply(s))
            self.assertNotEqual(code, 0, stderr)

    def test_less_than_half_of_it_is_kept(self):
        def half(request, dav):
            return dav(request._replace(body=request.body[:len(request.body) // 2]))
        code, _, stderr = self.pushed(half, ("PUT",))
        self.assertNotEqual(code, 0, stderr)


class Lesser(unittest.TestCase):
    """Servers without MOVE, with one that replaces, and with a DELETE that does nothing."""

    @contextlib.contextmanager
    def world(self, options="", **less):
        dav = Dav("/CR", ("R_ExConn", "R_ExConn/In"), **less)
        with scratch_directory() as directory, Hostile(dav) as server:
            world = World(directory, server.url, options)
            yield world, dav, server

    def put(self, world, name="first", content=CONTENTS[1]):
        world.run("ums-push", "--to", "k1")  # makes the spool
        queue = os.path.join(world.mds.spool, "kernel", "k1", "new")
        os.makedirs(queue, exist_ok=True)
        with open(os.path.join(queue, f"1795406406000000.{name}.BER1,c=ExConn,s=munich"), "wb") as out:
            out.write(content)

    def test_they_are_refused_by_name(self):
        for less in ({"has_move": False}, {"keeps_overwrite": False}):
            with self.subTest(less=less), self.world(**less) as (world, dav, _):
                self.put(world)
                for _ in range(2):
                    code, _, stderr = world.run("ums-push", "--to", "k1")
                    self.assertEqual(code, 78, stderr)
                    self.assertIn(b"'k1'", stderr)
                    self.assertIn(b"in-place: yes", stderr)
                self.assertEqual(dav.under("R_ExConn/Out"), {})
                code, stdout, _ = world.run("ums-push", "--probe", "k1")
                self.assertEqual(code, 1)
                self.assertIn(b"in-place: yes", stdout)
                # ums-failover sees it, too, so that messages find another kernel.
                _, stdout, stderr = world.run("ums-failover")
                self.assertIn(b"in-place: yes", stdout + stderr)

    def test_in_place(self):
        for less in ({"has_move": False}, {"keeps_overwrite": False}, {}):
            with self.subTest(less=less), self.world(", in-place: yes", **less) as (world, dav, server):
                self.put(world)
                code, _, stderr = world.run("ums-push", "--to", "k1")
                self.assertEqual(code, 0, stderr)
                self.assertEqual(list(dav.under("R_ExConn/Out").values()), [CONTENTS[1]])
                self.assertEqual(server.count("MOVE"), 0)
                puts = [r for r in server.requests if r.method == "PUT"]
                self.assertEqual([r.headers.get("if-none-match") for r in puts], ["*"])
                code, stdout, _ = world.run("ums-push", "--probe", "k1")
                self.assertEqual(code, 0, stdout)
                code, _, stderr = world.run("ums-failover")
                self.assertEqual(code, 0, stderr)
                message = os.path.join(world.directory, "single.tmp")
                with open(message, "wb") as out:
                    out.write(CONTENTS[0])
                code, _, stderr = world.run("ums-push", "--to", "k1", message)
                self.assertEqual(code, 0, stderr)
                self.assertEqual(sorted(dav.under("R_ExConn/Out").values()), sorted(CONTENTS[:2]))

    def test_a_source_without_move(self):
        with self.world(has_move=False) as (world, dav, _):
            dav.files["R_ExConn/In/a.tmp"] = CONTENTS[0]
            code, _, stderr = world.run("ums-fetch", "--from", "k1")
            self.assertNotEqual(code, 0)
            self.assertIn(b"fetch: no", stderr)
            self.assertEqual(dav.under("R_ExConn/In"), {"a.tmp": CONTENTS[0]})
        for options in ("", ", in-place: yes"):
            with self.world(options, has_move=False) as (world, _, _):
                code, stdout, _ = world.run("ums-fetch", "--probe", "k1")
                self.assertEqual(code, 1)
                self.assertIn(b"nothing can be fetched", stdout)

    def test_a_delete_that_deletes_nothing(self):
        with self.world(deletes=False) as (world, dav, _):
            for i, content in enumerate(CONTENTS):
                dav.files[f"R_ExConn/In/{i}.tmp"] = content
            for _ in range(4):
                code, _, stderr = world.run("ums-fetch", "--from", "k1")
            self.assertEqual(len(os.listdir(os.path.join(world.mds.spool, "incoming", "new"))), len(CONTENTS))
            self.assertEqual(code, 75)
            self.assertIn(b"still there", stderr)
            dav.deletes = True
            for _ in range(2):
                code, _, stderr = world.run("ums-fetch", "--from", "k1")
            self.assertEqual((code, stderr), (0, b""))
            self.assertEqual(dav.under("R_ExConn/In"), {})


class Secrets(unittest.TestCase):
    """The password of the target and of its proxy are seen nowhere while the tools run, and in nothing they leave."""

    def proc(self, pid):
        """What others can see of the processes below `pid`."""
        found = b""
        pids = [pid]
        for one in pids:
            with contextlib.suppress(OSError):
                with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as children:
                    pids += [int(child) for child in children.read().split()]
                for name in ("cmdline", "environ", "comm", "stat", "status", "maps", "mountinfo"):
                    with open(f"/proc/{one}/{name}", "rb") as file:
                        found += file.read()
                for fd in os.listdir(f"/proc/{one}/fd"):
                    with contextlib.suppress(OSError):
                        found += os.readlink(f"/proc/{one}/fd/{fd}").encode()
        return found, len(pids)

    def test_nowhere(self):
        dav = Dav("/CR", ("R_ExConn", "R_ExConn/In"))
        inside = threading.Event()
        go_on = threading.Event()

        def slow(request):
            inside.set()
            go_on.wait(20)
            return dav(request)
        with scratch_directory() as directory, Hostile(slow) as server:
            secret = os.path.join(directory, "proxy-secret")
            with open(secret, "w", encoding="ascii") as out:
                out.write(CANARY + "-proxy\n")
            os.chmod(secret, 0o600)
            world = World(directory, server.url, ", check: {timeout: 9s}")
            queue = os.path.join(world.mds.spool, "kernel", "k1", "new")
            go_on.set()
            world.run("ums-push", "--to", "k1")
            os.makedirs(queue, exist_ok=True)
            with open(os.path.join(queue, "1795406406000000.secret.BER1,c=ExConn,s=munich"), "wb") as out:
                out.write(CONTENTS[0])
            for name, *arguments in (("ums-push", "--to", "k1"), ("ums-fetch", "--from", "k1"), ("ums-failover",),
                                     ("ums-push", "--probe", "k1")):
                with self.subTest(name=name, arguments=arguments):
                    inside.clear()
                    go_on.clear()
                    environment = dict(world.mds.environment(), HOME=world.elsewhere)
                    process = subprocess.Popen([tool(name), "-v", *arguments], env=environment, stdin=subprocess.DEVNULL,
                                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=world.elsewhere)
                    self.assertTrue(inside.wait(20), "it asked nothing")
                    seen, _ = self.proc(process.pid)
                    go_on.set()
                    out, err = process.communicate(timeout=60)
                    self.assertGreater(len(seen), 1000)
                    for text in (seen, out, err):
                        self.assertNotIn(CANARY.encode(), text)
            # It was sent, or nothing was tested.
            self.assertTrue(any("authorization" in r.headers for r in server.requests))
            world.check_no_secret()
            self.assertEqual(os.listdir(world.elsewhere), [], "a core, or something else")

    def test_not_in_a_core(self):
        """What a crash leaves: no core is written, whatever the limits of the environment are."""
        import resource
        dav = Dav("/CR", ("R_ExConn", "R_ExConn/In"))
        inside = threading.Event()

        def silent(request):
            inside.set()
            time.sleep(10)
            return dav(request)
        with scratch_directory() as directory, Hostile(silent) as server:
            world = World(directory, server.url)
            process = subprocess.Popen([tool("ums-push"), "--probe", "k1"], env=world.mds.environment(), cwd=world.elsewhere,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)))
            self.assertTrue(inside.wait(20))
            with open(f"/proc/{process.pid}/limits", encoding="ascii") as limits:
                core = [line for line in limits if line.startswith("Max core file size")][0]
            process.kill()
            process.wait()
            self.assertEqual(core.split()[4], "0", core)


if __name__ == "__main__":
    unittest.main()
