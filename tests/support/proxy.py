# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies on loopback: an HTTP proxy, and one for plain TCP that cuts or stalls what passes through it.

    with HttpProxy(login=("user", "password")) as proxy:
        proxy.url, proxy.requests       # (method, target, headers) of each request that reached the proxy

    with Cutter(("127.0.0.1", port)) as cutter:
        cutter.port
        cutter.arm("up", 100, "cut")    # after 100 bytes from the client, counted over all connections
        cutter.counts, cutter.fired
"""

import base64
import contextlib
import select
import socket
import ssl
import threading
import urllib.parse


def _shut(*sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            one.close()


class _Listener:
    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._open = set()
        self._lock = threading.Lock()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        _shut(self._listener)
        with self._lock:
            for one in list(self._open):
                _shut(one)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._guarded, args=(client,), daemon=True).start()

    def _guarded(self, client):
        with self._lock:
            self._open.add(client)
        try:
            self._serve(client)
        except (OSError, ValueError, ssl.SSLError):
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            _shut(client)

    def _serve(self, client):
        raise NotImplementedError


class HttpProxy(_Listener):
    """CONNECT and absolute-form; asks for a basic login if `login` is given. With `certificate` and `key` over TLS."""

    def __init__(self, login=None, certificate=None, key=None):
        super().__init__()
        self.login = login
        self.requests = []
        self.tunnelled = bytearray()
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        self.url = f"http{'s' if certificate else ''}://{'localhost' if certificate else '127.0.0.1'}:{self.port}"

    def _serve(self, client):
        if self._context:
            client = self._context.wrap_socket(client, server_side=True)
        with client, client.makefile("rb") as stream:
            while True:
                line = stream.readline().decode("latin-1").split()
                if len(line) != 3:
                    return
                headers = []
                while (header := stream.readline().decode("latin-1").rstrip("\r\n")):
                    name, _, value = header.partition(":")
                    headers.append((name, value.strip()))
                lower = {n.lower(): v for n, v in headers}
                body = stream.read(int(lower.get("content-length", 0)))
                self.requests.append((line[0], line[1], lower))
                if self.login and lower.get("proxy-authorization") != "Basic " + base64.b64encode(
                        ":".join(self.login).encode()).decode():
                    client.sendall(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n"
                                   b"Content-Length: 0\r\n\r\n")
                    continue
                if line[0] == "CONNECT":
                    self._tunnel(client, line[1])
                    return
                self._forward(client, line[0], line[1], headers, body)

    def _tunnel(self, client, target):
        host, _, port = target.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 10) as server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            ends = {client: server, server: client}
            while True:
                ready = [client] if self._context and client.pending() else select.select(list(ends), [], [])[0]
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    self.tunnelled += data if one is client else b""
                    ends[one].sendall(data)

    def _forward(self, client, method, url, headers, body):
        parts = urllib.parse.urlsplit(url)
        lines = [f"{method} {parts.path or '/'} HTTP/1.1"]
        lines += [f"{n}: {v}" for n, v in headers if not n.lower().startswith("proxy-")] + ["Connection: close"]
        with socket.create_connection((parts.hostname, parts.port or 80), 10) as server:
            server.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            answer = bytearray()
            while data := server.recv(65536):
                answer += data
        head, _, rest = bytes(answer).partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"content-length:",
                                                                                       b"transfer-encoding:"))]
        if b"transfer-encoding: chunked" in head.lower():
            rest = self._joined(rest)
        length = b"" if method == "HEAD" else b"Content-Length: %d\r\n" % len(rest)
        client.sendall(b"\r\n".join(kept) + b"\r\n" + length + b"\r\n" + rest)

    @staticmethod
    def _joined(chunks):
        out = b""
        while True:
            size, _, chunks = chunks.partition(b"\r\n")
            count = int(size.split(b";")[0], 16)
            if count == 0:
                return out
            out, chunks = out + chunks[:count], chunks[count + 2:]


class Cutter(_Listener):
    """Passes bytes on to `server`, any protocol over TCP, until the fault that it is armed with.

    `cut` closes both sides of the connection that the fault meets, at that byte; `stall` keeps it open and passes
    nothing more of it in either direction. Other and later connections work.
    """

    def __init__(self, server):
        super().__init__()
        self._server = server
        self._fault = None
        self.counts = {"up": 0, "down": 0}
        self.passed = {"up": bytearray(), "down": bytearray()}  # since it was armed
        self.fired = False

    def arm(self, direction=None, after=0, kind="cut"):
        """Counts anew; without a direction nothing happens but the count."""
        with self._lock:
            self.counts = {"up": 0, "down": 0}
            self.passed = {"up": bytearray(), "down": bytearray()}
            self.fired = False
            self._fault = (direction, after, kind) if direction else None

    def end_all(self):
        """Closes what is still open, as stalled connections are."""
        with self._lock:
            for one in list(self._open):
                _shut(one)

    def _allowed(self, direction, size):
        """How many of `size` bytes may pass, and what happens then."""
        with self._lock:
            before = self.counts[direction]
            if self._fault and not self.fired and self._fault[0] == direction and before + size > self._fault[1]:
                self.fired = True
                self.counts[direction] = self._fault[1]
                return self._fault[1] - before, self._fault[2]
            self.counts[direction] += size
            return size, None


    def _serve(self, client):
        server = socket.create_connection(self._server, 10)
        with self._lock:
            self._open.add(server)
        try:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                for one in select.select([client, server], [], [])[0]:
                    other, direction = (server, "up") if one is client else (client, "down")
                    data = one.recv(65536)
                    self.passed[direction] += data
                    allowed, fault = self._allowed(direction, len(data))
                    if data[:allowed]:
                        other.sendall(data[:allowed])
                    if fault == "stall":
                        self._hold(client)
                        return
                    if fault or not data:
                        return
        finally:
            with self._lock:
                self._open.discard(server)
            _shut(server)

    @staticmethod
    def _hold(client):
        """Until the client gives up."""
        while client.recv(65536):
            pass
