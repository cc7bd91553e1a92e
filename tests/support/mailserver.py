# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server, SMTP or LMTP, that misbehaves as a test tells it, and remembers all that it was told.

    with MailServer(lambda stage, session: b"451 not now" if stage == "rcpt" else None) as server:
        server.url, server.mails, server.commands

The script is asked at each stage: `greeting`, `hello`, `starttls`, `auth`, `mail`, `rcpt`, `data`, `body` (at each block
that arrives), `dot` (the message is whole), `rset`, `quit`, `noop`. It returns nothing (the usual answer), the lines of
an answer without line end (bytes, or several in a list), Raw(bytes) to send as they are, CLOSE to cut the connection, or
SILENT to keep it open and never answer. A (answer, CLOSE) says something and cuts then.

The data ends at CRLF . CRLF alone. Whatever a laxer server would take for an end, or a line end that is none, stands in
`violations`.
"""

import collections
import contextlib
import os
import re
import socket
import ssl
import threading

CLOSE = object()
SILENT = object()
Raw = collections.namedtuple("Raw", "data")
Mail = collections.namedtuple("Mail", "sender recipients data session")


class _Cut(Exception):
    pass


class Session:
    def __init__(self, server, connection, number):
        self.server = server
        self.connection = connection
        self.number = number
        self.buffer = b""
        self.tls = False
        self.user = None
        self.sender = None
        self.mail_arguments = ""
        self.recipients = []
        self.received = 0  # of the data under way
        self.mails = 0     # that were ended here

    def line(self):
        while b"\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            self.server.violations.append(b"command with a bare LF: " + line)
        return line.rstrip(b"\r")

    def _more(self):
        try:
            block = self.connection.recv(65536)
        except OSError as error:
            raise _Cut from error
        if not block:
            raise _Cut
        self.buffer += block
        return block

    def send(self, data):
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise _Cut from error

    def answer(self, stage, usual):
        """False if the stage ended in anything but the usual answer."""
        told = self.server.script(stage, self)
        for one in told if isinstance(told, tuple) and not isinstance(told, Raw) else (told,):
            if one is CLOSE:
                raise _Cut
            if one is SILENT:
                self.server.ended.wait(60)
                raise _Cut
            if isinstance(one, Raw):
                self.send(one.data)
            else:
                lines = usual if one is None else [one] if isinstance(one, bytes) else one
                self.send(b"".join(line + b"\r\n" for line in lines))
        return told is None

    def data(self):
        self.received = 0
        out = bytearray()
        searched = 0
        while True:
            if not self.buffer:
                self._more()
            out += self.buffer
            self.received += len(self.buffer)
            self.buffer = b""
            told = self.server.script("body", self)
            if told is CLOSE:
                raise _Cut
            if told is SILENT:
                self.server.ended.wait(60)
                raise _Cut
            if told is not None:
                self.send(told + b"\r\n")
            end = 0
            if not out.startswith(b".\r\n"):
                end = out.find(b"\r\n.\r\n", searched)
                searched = max(0, len(out) - 4)
                if end < 0:
                    continue
                end += 2
            self.buffer = bytes(out[end + 3:])
            data = bytes(out[:end])
            if re.search(rb"(?<!\r)\n|\r(?!\n)", data):
                self.server.violations.append(b"bare CR or LF")
            if re.search(rb"(?:\r|\n)\.(?:\r|\n)", data):
                self.server.violations.append(b"an end for a lax server")
            return re.sub(rb"^\.", b"", data, flags=re.MULTILINE)


class MailServer:
    def __init__(self, script=None, *, lmtp=False, certificate=None, tls=False, users=None, extensions=None, path=None, port=0):
        self.script = script or (lambda stage, session: None)
        self.lmtp = lmtp
        self.certificate = certificate  # (certificate, key): STARTTLS is offered, or spoken from the start with `tls`
        self.tls = tls
        self.users = users
        self.extensions = [b"8BITMIME", b"SMTPUTF8", b"SIZE 50000000"] if extensions is None else extensions
        self.path = path
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(50)
            self.port = None
        else:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=50)
            self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = set()
        self.ended = threading.Event()
        self.mails = []     # taken with 2xx
        self.ended_mails = []  # whose dot arrived
        self.commands = []
        self.violations = []
        self.connections = 0
        self.most_at_once = 0

    @property
    def url(self):
        if self.path:
            return "lmtp://" + self.path
        return f"{'lmtp' if self.lmtp else 'smtps' if self.tls else 'smtp'}://localhost:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self.path:
            os.unlink(self.path)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def verbs(self):
        return [command.split(b" ")[0].split(b":")[0].upper().decode() for command in self.commands]

    def _accept(self):
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(connection)
                self.most_at_once = max(self.most_at_once, len(self._open))
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        return context

    def _serve(self, connection, number):
        raw = connection
        try:
            if self.tls:
                connection = self._context().wrap_socket(connection, server_side=True)
            session = Session(self, connection, number)
            session.tls = self.tls
            with contextlib.suppress(_Cut):
                self._talk(session)
            connection = session.connection
        except (OSError, ssl.SSLError):
            pass
        finally:
            with self._lock:
                self._open.discard(raw)
            for one in (connection, raw):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                with contextlib.suppress(OSError):
                    one.close()

    def _talk(self, s):
        s.answer("greeting", [b"220 test ESMTP"])
        while True:
            line = s.line()
            with self._lock:
                self.commands.append(line)
            verb = line.split(b" ")[0].split(b":")[0].upper()
            if verb in (b"EHLO", b"LHLO", b"HELO"):
                lines = [b"test greets you", *self.extensions]
                if self.certificate and not s.tls:
                    lines.append(b"STARTTLS")
                if self.users is not None:
                    lines.append(b"AUTH PLAIN LOGIN")
                usual = [b"250-" + one for one in lines[:-1]] + [b"250 " + lines[-1]]
                wanted = (b"LHLO",) if self.lmtp else (b"EHLO", b"HELO")
                s.answer("hello", usual if verb in wanted else [b"500 what?"])
            elif verb == b"STARTTLS":
                if s.answer("starttls", [b"220 go on"]):
                    s.connection = self._context().wrap_socket(s.connection, server_side=True)
                    s.tls, s.buffer = True, b""
            elif verb == b"AUTH":
                self._login(s, line)
            elif verb == b"MAIL":
                if self.users is not None and s.user is None:
                    s.send(b"530 5.7.0 log in first\r\n")
                elif s.answer("mail", [b"250 sender ok"]):
                    match = re.match(rb"(?i)MAIL FROM:<(.*?)>(.*)$", line)
                    s.sender, s.mail_arguments, s.recipients = match[1].decode(), match[2].decode(), []
            elif verb == b"RCPT":
                if s.answer("rcpt", [b"250 recipient ok"]):
                    s.recipients.append(re.match(rb"(?i)RCPT TO:<(.*)>$", line)[1].decode())
            elif verb == b"DATA":
                if s.answer("data", [b"354 go ahead"]):
                    data = s.data()
                    mail = Mail(s.sender, list(s.recipients), data, s.number)
                    s.mails += 1
                    with self._lock:
                        self.ended_mails.append(mail)
                    count = len(s.recipients) if self.lmtp else 1
                    # What it does decides whether it has it: a script that says something else does not.
                    if s.answer("dot", [b"250 taken"] * count):
                        with self._lock:
                            self.mails.append(mail)
                    s.sender, s.recipients = None, []
            elif verb == b"RSET":
                s.sender, s.recipients = None, []
                s.answer("rset", [b"250 forgotten"])
            elif verb == b"NOOP":
                s.answer("noop", [b"250 yes"])
            elif verb == b"QUIT":
                s.answer("quit", [b"221 bye"])
                return
            else:
                s.send(b"500 what?\r\n")

    def _login(self, s, line):
        import base64
        words = line.split(b" ")
        told = self.script("auth", s)
        if told is CLOSE:
            raise _Cut
        if words[1].upper() == b"PLAIN":
            if len(words) < 3:
                s.send(b"334 \r\n")
                secret = s.line()
            else:
                secret = words[2]
            _, user, password = base64.b64decode(secret).decode().split("\0")
        else:
            s.send(b"334 VXNlcm5hbWU6\r\n")
            user = base64.b64decode(s.line()).decode()
            s.send(b"334 UGFzc3dvcmQ6\r\n")
            password = base64.b64decode(s.line()).decode()
        if told is not None:
            s.send(told + b"\r\n")
        elif (self.users or {}).get(user) == password:
            s.user = user
            s.send(b"235 2.7.0 in\r\n")
        else:
            s.send(b"535 5.7.8 no\r\n")
