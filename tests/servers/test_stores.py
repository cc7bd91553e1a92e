#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stores of common/transport against real servers, and against one that misbehaves."""

import contextlib
import os
import re
import socket
import subprocess
import time
import unittest

from hostile import CLOSE, Hostile, multistatus, reply
from patience import within
from servers import USER, Apache, Certificates, Lighttpd, Nginx, Rclone, scratch_directory
from stores import Caller, Calls, check_recall, conform, wrong_password

REDIRECTS = (301, 302, 303, 307, 308)


def access(server, **more):
    return {"user": server.user, "password_file": server.password_file, "ca": server.certificates.ca, **more}


class Conformance(unittest.TestCase):
    """store_conformance against each kind of store."""

    # Both store a tab as something else; rclone overwrites in spite of `If-None-Match: *`.
    lighttpd = {"keeps_controls": "no"}
    rclone = {"protects_create": "no", "keeps_controls": "no"}

    def conform(self, url, tests="[conformance]", **more):
        conform(self, url, tests, **more)

    def test_file(self):
        with scratch_directory() as directory:
            self.conform("file:" + directory, "[conformance],[atomic]")

    def test_apache_without_tls(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="digest") as server:
            self.conform(server.url, **access(server))

    def test_apache_digest_over_tls(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="digest") as server:
            self.conform(server.tls_url, **access(server))
            self.assertFalse([line for line in server.requests() if " PUT " in line and " 401 " in line],
                             "a body was sent only to be asked to log in")
            self.check_versions(server)

    def check_versions(self, server):
        """HTTP/2 for what has no body, HTTP/1.1 for what has one: see Exchange::may_use_http2()."""
        versions = {}
        for line in server.requests():
            if match := re.match(r"(HTTP/[0-9.]+) ([A-Z]+) ", line):
                versions.setdefault(match[2], set()).add(match[1])
        for method in ("MOVE", "GET", "DELETE", "MKCOL"):
            self.assertEqual(versions[method], {"HTTP/2.0"}, method)
        self.assertEqual(versions["PUT"], {"HTTP/1.1"})

    def test_apache_basic_over_tls(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="basic") as server:
            self.conform(server.tls_url, **access(server))

    def test_apache_without_login(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="none") as server:
            self.conform(server.url)
            self.conform(server.url, **access(server, method="digest"))

    def test_nginx_without_tls(self):
        with scratch_directory() as d, Nginx(d, Certificates(d)) as server:
            self.conform(server.url, **access(server, method="basic", protects_create="no", lists_hidden="no"))

    def test_nginx_over_tls(self):
        with scratch_directory() as d, Nginx(d, Certificates(d)) as server:
            self.conform(server.tls_url, **access(server, protects_create="no", lists_hidden="no"))
            self.check_versions(server)

    def test_lighttpd_without_tls(self):
        with scratch_directory() as d, Lighttpd(d, Certificates(d), auth="digest") as server:
            self.conform(server.url, **access(server), **self.lighttpd)

    def test_lighttpd_over_tls(self):
        with scratch_directory() as d, Lighttpd(d, Certificates(d)) as server:
            self.conform(server.tls_url, **access(server), **self.lighttpd)

    def test_rclone_without_tls(self):
        with scratch_directory() as d, Rclone(d, Certificates(d)) as server:
            self.conform(server.url, **access(server, method="basic"), **self.rclone)

    def test_rclone_over_tls(self):
        with scratch_directory() as d, Rclone(d, Certificates(d), tls=True) as server:
            self.conform(server.tls_url, **access(server), **self.rclone)

    def test_servers_without_http2(self):
        with scratch_directory() as d:
            with Apache(d, Certificates(d), auth="digest", http2=False) as server:
                self.conform(server.tls_url, **access(server))
                self.assertFalse([line for line in server.requests() if "HTTP/2" in line])

    def test_one_connection_is_enough(self):
        with scratch_directory() as d, Apache(d, Certificates(d), auth="digest") as server:
            self.conform(server.tls_url, **access(server, connections=1))


class Recall(unittest.TestCase):
    def check(self, kind, **options):
        with scratch_directory() as d, kind(d, Certificates(d), **options) as server:
            check_recall(self, server, server.tls_url, f", tls: {{ca: {server.certificates.ca}}}")

    def test_apache(self):
        self.check(Apache, auth="digest")

    def test_nginx(self):
        self.check(Nginx)

    def test_lighttpd(self):
        self.check(Lighttpd)

    def test_rclone(self):
        self.check(Rclone, tls=True)


class Access(Calls, unittest.TestCase):
    """Who is let in, and what is said to those who are not."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.directory = cls.stack.enter_context(scratch_directory())
        cls.certificates = Certificates(cls.directory)
        cls.apache = cls.stack.enter_context(Apache(cls.directory, cls.certificates, auth="digest"))
        cls.basic = cls.stack.enter_context(Nginx(cls.directory, cls.certificates))
        cls.wrong = wrong_password(cls.directory)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def test_wrong_password(self):
        for server in (self.apache, self.basic):
            for operation in (("look", ""), ("upload", "a", "100000"), ("rename", "a", "b"), ("list", ""),
                              ("mkdir", "m")):
                with self.subTest(server=server.name, operation=operation):
                    self.check(server.tls_url, operation, "denied", "not accepted",
                               **access(server, password_file=self.wrong))

    def test_a_wrong_password_is_not_tried_for_each_message(self):
        before = len(self.apache.requests())
        with Caller(self.apache.url, **access(self.apache, password_file=self.wrong)) as caller:
            answers = caller.call("upload", *(word for i in range(50) for word in (f"f{i}", "10")))
        self.assertEqual({answer[0] for answer in answers}, {"denied"})
        self.assertEqual(len(answers), 50)
        time.sleep(0.3)  # the log is written after the answer
        self.assertLessEqual(len(self.apache.requests()) - before, 2)

    def test_no_user(self):
        self.check(self.apache.url, ("look", ""), "denied", "wants a user")

    def test_basic_is_not_sent_in_the_clear(self):
        before = len(self.basic.requests())
        self.check(self.basic.url, ("look", ""), "denied", "over TLS", **access(self.basic))
        self.check(self.basic.url, ("look", ""), "done", **access(self.basic, method="basic"))
        self.check(self.basic.tls_url, ("look", ""), "done", **access(self.basic))
        self.check(self.basic.tls_url, ("look", ""), "denied", "offers only", **access(self.basic, method="digest"))
        self.assertGreater(len(self.basic.requests()), before)

    def test_dead_port(self):
        with socket.socket() as taken:  # bound, and not listening
            taken.bind(("127.0.0.1", 0))
            url = f"dav://127.0.0.1:{taken.getsockname()[1]}/"
            for operation in (("look", ""), ("rename", "a", "b"), ("upload", "a", "5"), ("list", ""), ("remove", "x")):
                self.check(url, operation, "unreachable", "connection refused")

    def test_unknown_host(self):
        self.check("dav://no-such-host.invalid/", ("rename", "a", "b"), "unreachable", "not known")

    def test_unknown_authority(self):
        other = self.certificates.file("other-ca")
        for operation in (("look", ""), ("rename", "a", "b"), ("upload", "a", "5")):
            self.check(self.apache.tls_url, operation, "unreachable", "CA that is not known",
                       **access(self.apache, ca=other))

    def test_wrong_name(self):
        self.check(f"davs://127.0.0.2:{self.apache.tls_port}/", ("look", ""), "unreachable", "refused",
                   **access(self.apache))
        with Apache(self.directory, self.certificates, auth="none", certificate="wrong-name") as server:
            self.check(server.tls_url, ("look", ""), "unreachable", "not for the name 'localhost'",
                       ca=self.certificates.ca)

    def test_expired(self):
        with Apache(self.directory, self.certificates, auth="none", certificate="expired") as server:
            self.check(server.tls_url, ("look", ""), "unreachable", "expired", ca=self.certificates.ca)

    def test_self_signed(self):
        with Nginx(self.directory, self.certificates, auth="none", certificate="self-signed") as server:
            self.check(server.tls_url, ("look", ""), "unreachable", "self-signed", ca=self.certificates.ca)
            self.check(server.tls_url, ("look", ""), "done", ca=self.certificates.file("self-signed"))

    def test_pin(self):
        self.check(self.apache.tls_url, ("look", ""), "done", **access(self.apache, pin=self.certificates.pin("good")))
        self.check(self.apache.tls_url, ("look", ""), "unreachable", "pinned",
                   **access(self.apache, pin=self.certificates.pin("client")))

    def test_client_certificate(self):
        settings = ["SSLVerifyClient require", f'SSLCACertificateFile "{self.certificates.ca}"']
        with Apache(self.directory, self.certificates, auth="none", settings=settings) as server:
            own = {"certificate": self.certificates.file("client"), "key": self.certificates.key("client")}
            self.check(server.tls_url, ("look", ""), "done", ca=self.certificates.ca, **own)
            with Caller(server.tls_url, ca=self.certificates.ca) as caller:
                self.assertIn(caller.verdict("look", "")[0], ("unreachable", "unknown"))

    def test_plain_port_with_tls(self):
        self.check(f"davs://localhost:{self.apache.port}/", ("rename", "a", "b"), "unreachable", "TLS",
                   **access(self.apache))

    def test_forbidden_directory(self):
        settings = ['<Location "/closed">', "Require all denied", "</Location>"]
        with Apache(self.directory, self.certificates, auth="none", settings=settings) as server:
            os.mkdir(os.path.join(server.root, "closed"))
            self.check(server.url, ("upload", "closed/a", "5"), "denied", "403")

    def test_server_without_listing(self):
        with Nginx(self.directory, self.certificates, auth="none", extension=False) as server:
            self.check(server.url, ("upload", "a", "5"), "done")  # the size is checked by HEAD
            self.check(server.url, ("list", ""), "refused", "does not allow")


class Misbehaviour(unittest.TestCase):
    """What a server may do to us, and what we make of it."""

    def verdict(self, script, *operation, before=(), **more):
        with Hostile(script) as server:
            with Caller(server.url, **more) as caller:
                for words in before:
                    caller.call(*words)
                verdict, text = caller.verdict(*operation)
            return verdict, text, server

    def test_redirects_are_not_followed(self):
        for status in REDIRECTS:
            with self.subTest(status=status), Hostile(lambda _: reply(201)) as elsewhere:
                there = f"Location: http://127.0.0.1:{elsewhere.port}/CR/b"
                for operation in (("rename", "a", "b"), ("upload", "a", "5"), ("list", ""), ("look", "a"),
                                  ("download", "a", "3"), ("remove", "a"), ("mkdir", "a")):
                    verdict, text, _ = self.verdict(lambda _: reply(status, b"", there), *operation)
                    self.assertEqual(verdict, "broken", (operation, text))
                    self.assertIn("not followed", text)
                self.assertEqual(elsewhere.requests, [])

    def test_a_put_without_an_answer_is_unknown_and_sent_once(self):
        verdict, _, server = self.verdict(lambda r: CLOSE if r.method == "PUT" else multistatus(("/CR/", None)),
                                          "upload", "a", "5", before=[("look", "")])
        self.assertEqual(verdict, "unknown")
        self.assertEqual(server.count("PUT"), 1)

    def test_no_change_is_sent_twice_on_a_kept_connection(self):
        for operation in (("rename", "a", "b"), ("remove", "a"), ("mkdir", "a"), ("upload", "a", "5"),
                          ("upload", "a", "500000")):
            method = {"rename": "MOVE", "remove": "DELETE", "mkdir": "MKCOL", "upload": "PUT"}[operation[0]]
            with self.subTest(operation=operation):
                verdict, text, server = self.verdict(
                    lambda r: CLOSE if r.method == method else multistatus(("/CR/", None)), *operation,
                    before=[("look", ""), ("look", "")])
                self.assertEqual(verdict, "unknown", text)
                self.assertEqual(server.count(method), 1)
                change = [r for r in server.requests if r.method == method][0]
                self.assertEqual(change.connection, 1, "the connection was not a kept one, so nothing was tested")

    def test_a_question_is_asked_again_on_a_fresh_connection(self):
        asked = []

        def script(request):
            asked.append(request)
            return CLOSE if len(asked) == 2 else multistatus(("/CR/", None))
        verdict, text, _ = self.verdict(script, "look", "", before=[("look", "")])
        self.assertEqual(verdict, "done", text)
        self.assertEqual(len(asked), 3)

    def test_an_answer_that_breaks_off_in_its_headers_is_unknown(self):
        verdict, text, server = self.verdict(lambda _: [b"HTTP/1.1 201 Created\r\nServ", CLOSE], "rename", "a", "b")
        self.assertEqual(verdict, "unknown", text)
        self.assertEqual(server.count("MOVE"), 1)

    def test_a_server_that_speaks_no_http(self):
        verdict, _, server = self.verdict(lambda _: [b"220 ready\r\n", CLOSE], "rename", "a", "b")
        self.assertEqual(verdict, "unknown")
        self.assertEqual(server.count("MOVE"), 1)

    def test_a_move_that_is_only_accepted_is_unknown(self):
        for status in (200, 202, 207):
            self.assertEqual(self.verdict(lambda _: reply(status), "rename", "a", "b")[0], "unknown")

    def test_verdicts(self):
        expected = {401: "denied", 403: "denied", 404: "absent", 405: "refused", 409: "absent", 410: "absent",
                    412: "exists", 413: "refused", 414: "refused", 415: "refused", 422: "refused", 423: "refused",
                    429: "broken", 500: "broken", 501: "broken", 502: "broken", 503: "broken", 504: "broken",
                    507: "full"}
        for status, verdict in expected.items():
            got, text, server = self.verdict(lambda _: reply(status), "rename", "a", "b")
            self.assertEqual(got, verdict, text)
            self.assertIn(str(status), text)
            self.assertEqual(server.count("MOVE"), 1)

    def test_retry_after(self):
        with Hostile(lambda _: reply(503, b"", "Retry-After: 120")) as server, Caller(server.url) as caller:
            self.assertEqual(caller.call("rename", "a", "b")[0][3:], ["retry after 120"])

    def test_a_short_body_is_broken(self):
        for length in (10, 5):
            answer = [reply(200, b"12345", length=length), CLOSE]
            verdict, text, _ = self.verdict(lambda _: answer, "download", "a", "10", connections=1)
            self.assertIn(verdict, ("broken", "unknown"), text)
        verdict, text, _ = self.verdict(lambda _: reply(200, b"12345"), "download", "a", "10")
        self.assertEqual(verdict, "broken", text)

    def test_an_encoding_that_nobody_asked_for(self):
        verdict, text, _ = self.verdict(lambda _: reply(200, b"12345", "Content-Encoding: gzip"), "download", "a", "5")
        self.assertEqual(verdict, "broken", text)

    def test_part_of_a_file_is_not_the_file(self):
        verdict, text, _ = self.verdict(lambda _: reply(206, b"12345"), "download", "a", "5")
        self.assertEqual(verdict, "broken", text)

    def test_an_endless_body_ends_at_its_size(self):
        def endless():
            yield b"HTTP/1.1 200 OK\r\n\r\n"
            while True:
                yield b"x" * 65536
        for operation in (("download", "a", "1000000"), ("read", "a", "1000000")):
            verdict, text, _ = self.verdict(lambda _: endless(), *operation)
            self.assertEqual(verdict, "broken", text)

    def test_a_slow_body_ends_at_the_stall_deadline(self):
        def slow():
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
            while True:
                yield b"x"
                time.sleep(0.2)
        start = time.monotonic()
        # With so long a time to connect, the deadline of the whole request is far away.
        verdict, text, _ = self.verdict(lambda _: slow(), "download", "a", "1000", stall=1000, connect=60000)
        self.assertEqual(verdict, "unknown", text)
        self.assertLess(time.monotonic() - start, within(15))

    def test_silence_ends_at_the_deadline(self):
        def silent(_):
            time.sleep(30)
            return CLOSE
        for operation in (("rename", "a", "b"), ("upload", "a", "5"), ("list", "")):
            start = time.monotonic()
            verdict, text, server = self.verdict(silent, *operation, stall=1000, answer=1000, connect=1000)
            self.assertEqual(verdict, "unknown", (operation, text))
            self.assertLess(time.monotonic() - start, within(15))
            self.assertEqual(len(server.requests), 1)

    def test_a_connection_that_never_speaks_tls_is_unreachable(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with Caller(f"davs://127.0.0.1:{listener.getsockname()[1]}/", connect=1000) as caller:
                self.assertEqual(caller.verdict("rename", "a", "b")[0], "unreachable")

    def test_a_silent_host_does_not_cost_its_deadline_for_each_message(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            start = time.monotonic()
            with Caller(f"davs://127.0.0.1:{listener.getsockname()[1]}/", connect=1000) as caller:
                answers = caller.call("upload", *(word for i in range(100) for word in (f"f{i}", "1")))
        self.assertEqual({answer[0] for answer in answers}, {"unreachable"})
        self.assertEqual(len(answers), 100)
        self.assertLess(time.monotonic() - start, within(8))

    def test_a_server_that_never_answers_does_not_cost_its_deadline_for_each_message(self):
        def silent(_):
            time.sleep(30)
            return CLOSE
        for operation, words in (("upload", 1), ("rename", 1)):
            with Hostile(silent) as server, Caller(server.url, stall=1000, answer=1000, connections=4) as caller:
                start = time.monotonic()
                answers = caller.call(operation, *(word for i in range(60) for word in (f"f{i}", str(words))))
                self.assertLess(time.monotonic() - start, within(30))
            # What was sent is in doubt; what was not sent has certainly not been done.
            verdicts = [answer[0] for answer in answers]
            sent = verdicts.count("unknown")
            self.assertEqual(verdicts, ["unknown"] * sent + ["unreachable"] * (60 - sent))
            self.assertLess(sent, 8)
            self.assertEqual(len(server.requests), sent)

    def test_a_slow_server_that_answers_now_and_then_is_asked_on(self):
        count = [0]

        def slow(_):
            count[0] += 1
            if count[0] % 3:
                time.sleep(3)
                return CLOSE
            return reply(201)
        with Hostile(slow) as server, Caller(server.url, answer=300, connections=1) as caller:
            answers = caller.call("rename", *(word for i in range(6) for word in (f"f{i}", f"g{i}")))
        self.assertEqual([answer[0] for answer in answers], ["unknown", "unknown", "done"] * 2)

    def test_huge_headers(self):
        def headers():
            yield b"HTTP/1.1 201 Created\r\n"
            while True:
                yield b"X-Filler: " + b"x" * 1000 + b"\r\n"
        verdict, text, server = self.verdict(lambda _: headers(), "rename", "a", "b")
        self.assertEqual((verdict, server.count("MOVE")), ("unknown", 1), text)
        self.assertIn("headers of the answer are too large", text)

    def test_a_huge_error_page_does_not_matter(self):
        def page():
            yield b"HTTP/1.1 507 Full\r\nContent-Length: 100000000000\r\n\r\n"
            while True:
                yield b"<p>" * 10000
        verdict, text, _ = self.verdict(lambda _: page(), "upload", "a", "5")
        self.assertEqual(verdict, "full", text)

    def test_endless_interim_answers(self):
        def interim():
            while True:
                yield b"HTTP/1.1 102 Processing\r\n\r\n"
        verdict, text, server = self.verdict(lambda _: interim(), "rename", "a", "b")
        self.assertEqual((verdict, server.count("MOVE")), ("unknown", 1), text)

    def login(self, stale):
        numbers = iter(range(10**6))
        return lambda _: reply(401, b"", f'WWW-Authenticate: Digest realm="r", nonce="n{next(numbers)}", qop="auth", '
                               f'stale={"true" if stale else "false"}')

    def test_a_login_that_never_ends(self):
        with scratch_directory() as directory:
            password = os.path.join(directory, "password")
            with open(password, "w", encoding="ascii") as out:
                out.write("never-seen")
            for stale in (True, False):
                for operation in (("rename", "a", "b"), ("upload", "a", "50"), ("look", "")):
                    verdict, text, server = self.verdict(self.login(stale), *operation, user=USER,
                                                         password_file=password)
                    self.assertEqual(verdict, "denied", text)
                    self.assertLessEqual(len(server.requests), 6)
                    for request in server.requests:
                        self.assertNotIn("never-seen", str(request.headers))

    def test_a_stale_nonce_is_renewed_with_the_whole_body(self):
        puts = []

        def script(request):
            if request.method == "PUT":
                puts.append(request)
                if len(puts) == 1:
                    return reply(401, b"", 'WWW-Authenticate: Digest realm="r", nonce="new", qop="auth", stale=true')
                return reply(201)
            if "authorization" not in request.headers:
                return reply(401, b"", 'WWW-Authenticate: Digest realm="r", nonce="old", qop="auth"')
            return multistatus(("/CR/", None), ("/CR/a", 70000))
        with scratch_directory() as directory:
            password = os.path.join(directory, "password")
            with open(password, "w", encoding="ascii") as out:
                out.write("secret")
            with Hostile(script) as server, Caller(server.url, user=USER, password_file=password) as caller:
                self.assertEqual(caller.verdict("upload", "a", "70000")[0], "done")
        self.assertEqual([len(r.body) for r in puts], [70000, 70000])
        self.assertIn('nonce="new"', puts[1].headers["authorization"])

    def test_a_size_that_is_not_what_was_sent(self):
        for size, verdict in ((5, "done"), (4, "broken"), (6, "broken"), (None, "broken")):
            script = lambda r: reply(201) if r.method == "PUT" else multistatus(("/CR/a", size))
            self.assertEqual(self.verdict(script, "upload", "a", "5")[0], verdict)

    def test_a_size_that_cannot_be_asked_for_is_unknown(self):
        for answer in (reply(404), reply(503), CLOSE, reply(207, b"<not xml"), multistatus(("/CR/other", 5))):
            script = lambda r: reply(201) if r.method == "PUT" else answer
            verdict, text, server = self.verdict(script, "upload", "a", "5")
            self.assertEqual(verdict, "unknown", text)
            self.assertIn("stored, but", text)
            self.assertEqual(server.count("PUT"), 1)

    def listing(self, *entries):
        with Hostile(lambda _: multistatus(*entries)) as server, Caller(server.url) as caller:
            lines = caller.call("list", "Out")
        return [line[2] for line in lines if line[0] in ("file", "directory", "other")], lines[-1]

    def test_entries_of_other_places_are_passed_over(self):
        names, answer = self.listing(("/CR/Out/", None), ("/CR/Out/good.tmp", 5), ("/CR/Out/../../etc/passwd", 5),
                                     ("/CR/Out/%2e%2e/x", 5), ("/CR/Out/..", None), ("/CR/Out/a%2Fb", 5),
                                     ("/CR/Out/a%00b", 5), ("/CR/Out/%zz", 5), ("/CR/Out/sub/deeper", 5),
                                     ("/etc/passwd", 5),
                                     ("http://elsewhere.example/CR/Out/y", 5), ("//elsewhere.example/CR/Out/y", 5),
                                     ("ftp://127.0.0.1/CR/Out/y", 5), ("Out/relative", 5), ("", 5),
                                     ("/CR/Out/%C3%BC%20x", 5))
        self.assertEqual(sorted(names), ["good.tmp", "\u00fc x"])
        self.assertEqual(answer[0], "done")

    def test_a_listing_of_another_address_is_broken(self):
        names, answer = self.listing(("http://backend.internal/Out/", None), ("http://backend.internal/Out/a", 5))
        self.assertEqual((names, answer[0]), ([], "broken"))
        self.assertIn("another address", answer[2])

    def test_documents_that_are_attacks(self):
        laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
        documents = [
            f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}]><D:multistatus xmlns:D="DAV:">&l9;</D:multistatus>',
            '<!DOCTYPE x SYSTEM "file:///etc/passwd"><D:multistatus xmlns:D="DAV:"/>',
            '<D:multistatus xmlns:D="DAV:">' + "<a>" * 100000,
            '<D:multistatus xmlns:D="DAV:"><D:response><D:href>' + "x" * 1000000,
            '<D:multistatus xmlns:D="DAV:"><a b="' + "x" * 1000000,
            '<D:multistatus xmlns:D="DAV:"><!--' + "x" * 1000000,
            "<html><body>It works!</body></html>", "", "plain text",
            '<D:multistatus xmlns:D="DAV:"><D:response>'
        ]
        for document in documents:
            verdict, text, _ = self.verdict(lambda _: reply(207, document.encode()), "list", "")
            self.assertEqual(verdict, "broken", (document[:60], text))

    def test_an_endless_listing_is_ended(self):
        def endless():
            yield b'HTTP/1.1 207 M\r\n\r\n<D:multistatus xmlns:D="DAV:">'
            while True:
                yield b"<D:response/>" * 1000
        start = time.monotonic()
        verdict, text, _ = self.verdict(lambda _: endless(), "list", "", answer=100, stall=1000, connect=1000)
        self.assertEqual(verdict, "unknown", text)
        self.assertLess(time.monotonic() - start, within(15))

    def test_control_characters_of_a_server_are_not_printed(self):
        _, text, _ = self.verdict(lambda _: reply(302, b"", "Location: http://x/\x1b[31m\x07"), "rename", "a", "b")
        self.assertNotIn("\x1b", text)

    def test_what_was_sent(self):
        script = lambda r: reply(201) if r.method in ("PUT", "MOVE") else multistatus(("/CR/a%20b", 5))
        _, _, server = self.verdict(script, "rename", "a b", "\u00fc/c", before=[("upload", "a b", "5")])
        put, _, move = server.requests
        self.assertEqual(put.headers["if-none-match"], "*")
        self.assertNotIn("expect", put.headers)
        self.assertEqual(put.path, "/CR/a%20b")
        self.assertEqual(move.headers["overwrite"], "F")
        self.assertEqual(move.headers["destination"], f"http://127.0.0.1:{server.port}/CR/%C3%BC/c")


class LostConnection(unittest.TestCase):
    """A kept connection that the server gave up on in the meantime."""

    def test_a_server_that_closed_idle_connections_is_asked_on_a_new_one(self):
        settings = ["KeepAliveTimeout 1"]
        with scratch_directory() as d, Apache(d, Certificates(d), auth="none", settings=settings) as server:
            with Caller(server.url) as caller:
                self.assertEqual(caller.verdict("upload", "a", "5")[0], "done")
                time.sleep(2)
                self.assertEqual(caller.verdict("rename", "a", "b")[0], "done")

    def test_a_server_that_was_restarted(self):
        with scratch_directory() as d, Nginx(d, Certificates(d), auth="none") as server:
            with Caller(server.url) as caller:
                self.assertEqual(caller.verdict("upload", "a", "5")[0], "done")
                server.stop()
                self.assertEqual(caller.verdict("rename", "a", "b")[0], "unreachable")


if __name__ == "__main__":
    unittest.main()
