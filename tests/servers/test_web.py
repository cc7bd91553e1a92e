#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""WebDAV on the ways that sites have: proxies, header fields, TLS, NTLM and negotiate, odd base paths."""

import base64
import contextlib
import email.utils
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import threading
import time
import unittest

from davserver import Dav
from hostile import CLOSE, Hostile, reply
from installation import Installation
from proxy import HttpProxy
from servers import PASSWORD, USER, Apache, Certificates, Nginx, free_port, program, scratch_directory
from test_stores import Caller, access

PROXY_USER = "proxy-user"
PROXY_PASSWORD = "Proxy-Wort-7"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.directory = cls.stack.enter_context(scratch_directory())
        cls.certificates = Certificates(cls.directory)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def password(self, text):
        path = os.path.join(self.directory, "password-of-test")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text + "\n")
        return path

    def check(self, url, operation, verdict, text="", **more):
        with Caller(url, **more) as caller:
            got, said = caller.verdict(*operation)
        self.assertEqual(got, verdict, said)
        self.assertIn(text, said)
        for secret in (PASSWORD, PROXY_PASSWORD):
            self.assertNotIn(secret, said)
        return said

    def whole(self, url, **more):
        """All that a delivery and a fetch do, of three files at once."""
        with Caller(url, **more) as caller:
            self.assertEqual(caller.verdict("mkdir", "d")[0], "done")
            answers = caller.call("upload", "d/a", "5", "d/b", "70000", "d/c", "0")
            self.assertEqual([a[0] for a in answers], ["done"] * 3, answers)
            answers = caller.call("rename", "d/a", "d/x", "d/b", "d/y", "d/c", "d/z")
            self.assertEqual([a[0] for a in answers], ["done"] * 3, answers)
            self.assertEqual(caller.verdict("rename", "d/x", "d/y")[0], "exists")
            self.assertEqual(caller.verdict("download", "d/y", "70000")[0], "done")
            self.assertEqual(len(caller.call("list", "d")), 5)
            answers = caller.call("remove", "d/x", "d/y", "d/z")
            self.assertEqual([a[0] for a in answers], ["done"] * 3, answers)


class Proxies(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.stack.enter_context(Apache(cls.directory, cls.certificates, auth="digest"))
        cls.basic = cls.stack.enter_context(Nginx(cls.directory, cls.certificates))

    def ours(self, proxy, **more):
        return {"proxy": proxy.url, "proxy_user": PROXY_USER, "proxy_password": PROXY_PASSWORD, **more}

    def setUp(self):
        for server in (self.server, self.basic):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(server.root, "d"))

    def check_separate(self, proxy, *, tunnel):
        """Neither side has seen what is for the other."""
        secret = base64.b64encode(f"{PROXY_USER}:{PROXY_PASSWORD}".encode()).decode()
        self.assertTrue(any(secret in headers.get("proxy-authorization", "") for _, _, headers in proxy.requests))
        for method, target, headers in proxy.requests:
            if tunnel:
                self.assertEqual(method, "CONNECT")
                self.assertNotIn("authorization", headers)
                self.assertNotIn("x-test", headers)
            else:
                self.assertTrue(target.startswith("http://"), target)

    def test_without_tls(self):
        with HttpProxy((PROXY_USER, PROXY_PASSWORD)) as proxy:
            self.whole(self.server.url, **access(self.server), **self.ours(proxy))
            self.check_separate(proxy, tunnel=False)
            asked = [r for r in proxy.requests if "proxy-authorization" not in r[2]]
            self.assertLessEqual(len(asked), 9, "each connection may ask once")
            self.assertFalse([r for r in asked if r[0] == "PUT"], "a body was sent only to be asked to log in")

    def test_tunnel(self):
        with HttpProxy((PROXY_USER, PROXY_PASSWORD)) as proxy:
            for server in (self.server, self.basic):
                self.whole(server.tls_url, **access(server), **self.ours(proxy), header="secret-of-the-target")
            self.check_separate(proxy, tunnel=True)
            self.assertNotIn(PROXY_PASSWORD.encode(), bytes(proxy.tunnelled))

    def test_proxy_over_tls(self):
        with HttpProxy((PROXY_USER, PROXY_PASSWORD), self.certificates.file("good"), self.certificates.key("good")) as proxy:
            self.whole(self.server.tls_url, **access(self.server), **self.ours(proxy))
            self.check_separate(proxy, tunnel=True)
            other = {**access(self.server), "ca": self.certificates.file("other-ca")}
            self.check(self.server.tls_url, ("look", ""), "unreachable", "TLS", **other, **self.ours(proxy))

    def test_the_target_does_not_learn_the_login_of_the_proxy(self):
        dav = Dav()
        with Hostile(dav) as server, HttpProxy((PROXY_USER, PROXY_PASSWORD)) as proxy:
            self.check(server.url, ("upload", "a", "5"), "done", **self.ours(proxy))
            self.assertGreater(len(server.requests), 0)
            for request in server.requests:
                self.assertNotIn("proxy-authorization", request.headers)
                self.assertNotIn("authorization", request.headers)

    def test_a_wrong_login_is_refused_and_not_tried_for_each_message(self):
        for url in (self.server.url, self.server.tls_url):
            with HttpProxy((PROXY_USER, "another")) as proxy, Caller(url, **access(self.server), **self.ours(proxy)) as caller:
                answers = caller.call("upload", *(word for i in range(30) for word in (f"f{i}", "10")))
                self.assertEqual({a[0] for a in answers}, {"denied"}, answers)
                self.assertIn("proxy does not accept", answers[0][2])
                self.assertNotIn(PROXY_PASSWORD, str(answers))
                self.assertLessEqual(len(proxy.requests), 4)

    def test_a_proxy_that_wants_a_login_and_gets_none(self):
        with HttpProxy((PROXY_USER, PROXY_PASSWORD)) as proxy:
            for url in (self.server.url, self.server.tls_url):
                for operation in (("look", ""), ("rename", "a", "b"), ("upload", "a", "5")):
                    self.check(url, operation, "denied", "proxy wants a user", **access(self.server), proxy=proxy.url)

    def test_a_dead_proxy(self):
        url = f"http://127.0.0.1:{free_port()}"
        for target in (self.server.url, self.server.tls_url):
            self.check(target, ("rename", "a", "b"), "unreachable", "proxy", **access(self.server), proxy=url)

    def test_the_environment_says_nothing(self):
        """No proxy of its, and no exception from the one that is asked for."""
        with HttpProxy() as proxy:
            wanted = {"http_proxy": proxy.url, "https_proxy": proxy.url, "all_proxy": proxy.url, "HTTPS_PROXY": proxy.url}
            with self.environment(**wanted):
                self.check(self.server.url, ("look", ""), "done", **access(self.server))
                self.check(self.server.tls_url, ("look", ""), "done", **access(self.server))
            self.assertEqual(proxy.requests, [])
            with self.environment(no_proxy="*,127.0.0.1,localhost", NO_PROXY="*"):
                self.check(self.server.url, ("look", ""), "done", **access(self.server), proxy=proxy.url)
            self.assertNotEqual(proxy.requests, [])

    @contextlib.contextmanager
    def environment(self, **values):
        import stores
        plain = stores.environment
        stores.environment = lambda url, **more: {**plain(url, **more), **values}
        try:
            yield
        finally:
            stores.environment = plain


class Connections(Case):
    def test_those_that_died_are_no_login_that_was_refused(self):
        """Kept ones of which each breaks off when it is used again, as after a firewall forgot them."""
        dav = Dav()
        dav.files = {name: name.encode() for name in "abcdefgh"}
        wide = threading.Barrier(len(dav.files))
        closed = []

        def forgetful(request):
            if request.method == "PROPFIND":
                with contextlib.suppress(threading.BrokenBarrierError):
                    wide.wait(5)  # until so many are there
            elif len(closed) < 5 and request.connection not in closed:
                closed.append(request.connection)
                return CLOSE
            return dav(request)
        with Hostile(forgetful) as server, Caller(server.url) as caller:
            found = caller.call("look", *dav.files)
            self.assertEqual([line[0] for line in found], ["file", "done"] * len(dav.files))
            self.assertFalse(wide.broken)
            self.assertEqual([line[:2] for line in caller.call("read", "a", "10")], [["content", "a"], ["done", "200"]])
        self.assertEqual(len(closed), 5, "not enough connections were kept: the test shows nothing")


class HeaderFields(Case):
    def test_they_go_with_each_request(self):
        dav = Dav()
        with Hostile(dav) as server:
            self.whole(server.url, header="tenant 7")
            self.assertGreater(len(server.requests), 10)
            self.assertEqual({r.headers.get("x-test") for r in server.requests}, {"tenant 7"})
            self.assertFalse([r for r in server.requests if "expect" in r.headers])

    def test_retry_after_as_a_date(self):
        then = email.utils.formatdate(time.time() + 1000, usegmt=True)
        with Hostile(lambda _: reply(503, b"", "Retry-After: " + then)) as server, Caller(server.url) as caller:
            words = caller.call("rename", "a", "b")[0][3].split()
            self.assertEqual(words[:2], ["retry", "after"])
            self.assertTrue(900 <= int(words[2]) <= 1000, words)


class Probes(Case):
    def test_each_check_is_shown_as_soon_as_it_is_made(self):
        dav, go_on, in_time = Dav(), threading.Event(), []

        def slow(request):
            if request.method == "MOVE":
                in_time.append(go_on.wait(20))
            return dav(request)
        with scratch_directory() as directory, Hostile(slow) as server:
            mds = Installation(directory, config=f"kernels: {{k: {{url: '{server.url}'}}}}\nconnectors: {{C: {{root: '{directory}/C', numbers: ['*']}}}}\n"
                               "sites: {s: {kernels: [k]}}\nroutes: [{to: s}]\n")
            probe = mds.start("ums-push", "--probe", "k", stdout=subprocess.PIPE)
            seen = []
            while b"write" not in seen:
                line = probe.stdout.readline()
                self.assertNotEqual(line, b"", "it ended, or waits with what it knows")
                seen += line.split()[:1]
            go_on.set()
            rest = probe.communicate()[0]
            self.assertIn(b"rename", [line.split()[0] for line in rest.splitlines()])
            self.assertEqual(set(in_time), {True})
            self.assertEqual(probe.returncode, 0)


class Clocks(Case):
    def test_the_probe_tells_of_a_clock_that_is_wrong(self):
        for skew, finding, said in ((0, b"ok", b"as ours"), (-3600, b"warning", b"1h behind ours"), (90, b"warning", b"ahead of ours"),
                                    (None, b"ok", b"no time")):
            with self.subTest(skew=skew), scratch_directory() as directory, \
                    Hostile(Dav(clock=None if skew is None else lambda by=skew: time.time() + by)) as server:
                mds = Installation(directory, config=f"kernels: {{k: {{url: '{server.url}'}}}}\nconnectors: {{C: {{root: '{directory}/C', numbers: ['*']}}}}\n"
                                   "sites: {s: {kernels: [k]}}\nroutes: [{to: s}]\n")
                lines = mds.run("ums-push", "--probe", "k", codes=None).stdout.splitlines()
                line = next(one for one in lines if one.split()[:1] == [b"clock"])
                self.assertEqual(line.split()[1], finding, line)
                self.assertIn(said, line)


class OldTls(Case):
    def test_a_server_with_tls_1_0_or_1_1_only(self):
        for version in ("-tls1", "-tls1_1"):
            port = free_port()
            command = [program("openssl", "openssl"), "s_server", "-accept", f"127.0.0.1:{port}", version, "-cipher",
                       "ALL:@SECLEVEL=0", "-cert", self.certificates.file("good"), "-key", self.certificates.key("good"),
                       "-quiet", "-www"]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            try:
                end = time.monotonic() + 20
                while time.monotonic() < end:
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                        break
                    time.sleep(0.05)
                # It works for whoever takes the old version, so what is refused is the version.
                client = subprocess.run([program("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{port}", version,
                                         "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, check=False)
                self.assertIn(b"BEGIN CERTIFICATE", client.stdout, client.stderr)
                self.check(f"davs://localhost:{port}/", ("rename", "a", "b"), "unreachable", "version 1.2",
                           ca=self.certificates.ca)
            finally:
                server.kill()
                server.wait()


def md4(data):
    """RFC 1320; not every OpenSSL has it."""
    def rotated(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xffffffff
    data += b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8)
    state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
    rounds = ((lambda x, y, z: (x & y) | (~x & z), 0, (3, 7, 11, 19), range(16)),
              (lambda x, y, z: (x & y) | (x & z) | (y & z), 0x5a827999, (3, 5, 9, 13),
               (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
              (lambda x, y, z: x ^ y ^ z, 0x6ed9eba1, (3, 9, 11, 15),
               (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)))
    for start in range(0, len(data), 64):
        block = struct.unpack("<16I", data[start:start + 64])
        a, b, c, d = state
        for function, constant, shifts, order in rounds:
            for i, k in enumerate(order):
                value = (a + (function(b, c, d) & 0xffffffff) + block[k] + constant) & 0xffffffff
                a, b, c, d = d, rotated(value, shifts[i % 4]), b, c
        state = [(x + y) & 0xffffffff for x, y in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


class Ntlm:
    """Asks for NTLMv2 ([MS-NLMP] section 3.3.2) on each connection, and checks the answer; then `script` goes on."""

    def __init__(self, script, user, password, domain):
        self.script = script
        self.user, self.password, self.domain = user, password, domain
        self.challenge = os.urandom(8)
        self.known = set()
        self.accepted = self.wrong = 0
        self.lock = threading.Lock()

    def __call__(self, request):
        if request.connection in self.known:
            return self.script(request)
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        if kind != "NTLM":
            return reply(401, b"", "WWW-Authenticate: NTLM")
        message = base64.b64decode(text)
        if message[8:12] == struct.pack("<I", 1):
            return reply(401, b"", "WWW-Authenticate: NTLM " + base64.b64encode(self._second()).decode())
        if not self._is_right(message):
            with self.lock:
                self.wrong += 1
            return reply(401, b"", "WWW-Authenticate: NTLM")
        with self.lock:
            self.accepted += 1
            self.known.add(request.connection)
        return self.script(request)

    def _second(self):
        name = self.domain.encode("utf-16-le")
        info = struct.pack("<HH", 2, len(name)) + name + struct.pack("<HH", 0, 0)
        flags = 0x00000001 | 0x00000200 | 0x00008000 | 0x00800000 | 0x00080000  # Unicode, NTLM, target info, ESS
        return (b"NTLMSSP\0" + struct.pack("<I", 2) + struct.pack("<HHI", len(name), len(name), 48) +
                struct.pack("<I", flags) + self.challenge + b"\0" * 8 + struct.pack("<HHI", len(info), len(info),
                                                                                  48 + len(name)) + name + info)

    def _is_right(self, message):
        def field(at):
            length, _, offset = struct.unpack("<HHI", message[at:at + 8])
            return message[offset:offset + length]
        answer, domain, user = field(20), field(28), field(36)
        encoding = "utf-16-le" if struct.unpack("<I", message[60:64])[0] & 1 else "latin-1"
        domain, user = domain.decode(encoding), user.decode(encoding)
        if user.lower() != self.user.lower() or len(answer) < 32:
            return False
        key = hmac.new(md4(self.password.encode("utf-16-le")), (user.upper() + domain).encode("utf-16-le"), "md5").digest()
        return hmac.compare_digest(hmac.new(key, self.challenge + answer[16:], "md5").digest(), answer[:16])


class Windows(Case):
    def test_md4(self):
        self.assertEqual(md4(b"").hex(), "31d6cfe0d16ae931b73c59d7e0c089c0")
        self.assertEqual(md4(b"message digest").hex(), "d9130a8164549fe818874806e1c7014b")
        self.assertEqual(md4(b"1234567890" * 8).hex(), "e33b4ddc9c38f2199c3e7b164fcc0536")

    def test_ntlm(self):
        for connections in (1, 4):
            dav = Dav()
            guard = Ntlm(dav, "mds", "Geheim-1", "DOM")
            with Hostile(guard) as server:
                self.whole(server.url, method="ntlm", user="DOM\\mds", password_file=self.password("Geheim-1"),
                           connections=connections)
            self.assertGreaterEqual(guard.accepted, 1)
            self.assertEqual(guard.wrong, 0)
            # Nothing was stored that the login alone had sent.
            self.assertEqual(dav.uploads, 3)

    def test_ntlm_with_a_wrong_password(self):
        guard = Ntlm(Dav(), "mds", "Geheim-1", "DOM")
        with Hostile(guard) as server:
            for operation in (("look", ""), ("upload", "a", "5"), ("rename", "a", "b")):
                self.check(server.url, operation, "denied", "not accepted", method="ntlm", user="DOM\\mds",
                           password_file=self.password("falsch"))
        self.assertGreater(guard.wrong, 0)
        self.assertEqual(guard.accepted, 0)

    def test_ntlm_is_not_offered(self):
        with Hostile(lambda _: reply(401, b"", 'WWW-Authenticate: Basic realm="r"')) as server:
            self.check(server.url, ("look", ""), "denied", "", method="ntlm", user="DOM\\mds",
                       password_file=self.password("Geheim-1"))
            self.assertNotIn("Basic", str([r.headers for r in server.requests]))

    def test_negotiate_without_a_ticket(self):
        with Hostile(lambda _: reply(401, b"", "WWW-Authenticate: Negotiate")) as server:
            for operation in (("look", ""), ("upload", "a", "5"), ("rename", "a", "b")):
                self.check(server.url, operation, "denied", "Kerberos ticket", method="negotiate")
            self.assertGreater(len(server.requests), 0)
            for request in server.requests:
                self.assertNotIn("Basic", request.headers.get("authorization", ""))


class Places(Case):
    def test_base_paths_with_spaces_and_unicode(self):
        for kind in (Apache, Nginx):
            with kind(self.directory, self.certificates, auth="none") as server:
                base = os.path.join(server.root, "Ordner f\u00fcr Faxe", "\u65e5\u672c 50%")
                os.makedirs(base)
                for path in (server.root, os.path.dirname(base), base):
                    os.chmod(path, 0o777)
                for url in ("Ordner%20f%C3%BCr%20Faxe/%E6%97%A5%E6%9C%AC%2050%25/", "Ordner f\u00fcr Faxe/\u65e5\u672c 50%25"):
                    self.whole(server.url + url)
                    self.whole_again(base)

    def whole_again(self, base):
        os.rmdir(os.path.join(base, "d"))

    def test_absolute_hrefs(self):
        dav = Dav("/a b/\u00fc", href=lambda request, path: "http://" + request.headers["host"] + path)
        with Hostile(dav) as server:
            self.whole(f"dav://127.0.0.1:{server.port}/a%20b/%C3%BC")

    def test_absolute_hrefs_of_another_place(self):
        dav = Dav(href=lambda request, path: "http://inside.example:8080" + path)
        with Hostile(dav) as server:
            self.check(server.url, ("list", ""), "broken", "another address")


if __name__ == "__main__":
    unittest.main()
