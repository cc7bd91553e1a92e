# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that misbehaves as a test tells it, and remembers every request that reached it.

    with Hostile(lambda request: reply(201)) as server:
        server.url, server.requests

The script gets each request and returns bytes to send, or an iterable of them (sent as they come), or CLOSE to close
the connection without an answer; CLOSE as one of the parts closes it there. `early` gets a request before its body was
read; what it returns is sent, and the connection closed, without ever reading it.
"""

import collections
import contextlib
import socket
import threading

CLOSE = object()
Request = collections.namedtuple("Request", "method path headers body connection")


def reply(status, body=b"", *headers, length=None):
    """A reply with a correct Content-Length, unless another is given."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def multistatus(*entries):
    """`(href, size)`; size None is a collection."""
    text = '<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:">'
    for href, size in entries:
        kind = "<D:resourcetype><D:collection/></D:resourcetype>" if size is None else (
            f"<D:resourcetype/><D:getcontentlength>{size}</D:getcontentlength>")
        text += (f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{kind}</D:prop>"
                 "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>")
    return reply(207, (text + "</D:multistatus>").encode(), "Content-Type: application/xml")


class Hostile:
    def __init__(self, script, early=lambda request: None):
        self._script = script
        self._early = early
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = set()
        self._lock = threading.Lock()
        self._ended = False
        self.requests = []
        self.connections = 0
        self.port = self._listener.getsockname()[1]
        self.url = f"dav://127.0.0.1:{self.port}/CR"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._ended = True
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def count(self, method):
        with self._lock:
            return sum(1 for r in self.requests if r.method == method)

    def _accept(self):
        while not self._ended:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        try:
            with connection, connection.makefile("rb") as stream:
                while (request := self._read(stream, number, connection)) is not None:
                    with self._lock:
                        self.requests.append(request)
                    answer = self._script(request)
                    if answer is CLOSE:
                        return
                    for part in [answer] if isinstance(answer, bytes) else answer:
                        if part is CLOSE:
                            return
                        connection.sendall(part)
                    if request.headers.get("connection", "").lower() == "close":
                        return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)

    def _read(self, stream, number, connection):
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (header := stream.readline().decode("latin-1").strip()):
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        if (answer := self._early(Request(line[0], line[1], headers, b"", number))) is not None:
            with self._lock:
                self.requests.append(Request(line[0], line[1], headers, b"", number))
            connection.sendall(answer)
            return None
        body = stream.read(int(headers.get("content-length", 0)))
        return Request(line[0], line[1], headers, body, number)
