# SPDX-License-Identifier: GPL-3.0-or-later
"""What befalls a kernel: a real server that is stopped, frozen, made read-only, full, slow, answers 500, or is cut off.

The process must be in a network and mount namespace of its own (enter_namespaces()): the firewall's rules hold there
alone, and the documents of the server are a file system of their own, which can be full and read-only.
"""
import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

from servers import free_port, program

INSIDE = "UMS_TEST_NAMESPACES"
FRONT = "127.0.0.2"  # where what stands in front of a server speaks to it from


def enter_namespaces():
    """Runs this program again in namespaces of its own; does not return unless it is there already."""
    if os.environ.get(INSIDE) == "1":
        subprocess.run([program("ip", "iproute2"), "link", "set", "lo", "up"], check=True)
        return
    os.environ[INSIDE] = "1"
    unshare = program("unshare", "util-linux")
    os.execv(unshare, [unshare, "--net", "--mount", sys.executable, *sys.argv])


class Firewall:
    """Rules of a table of their own; all of them go at once."""

    def __init__(self):
        self._nft = program("nft", "nftables")

    def set(self, *rules):
        self.clear()
        script = ("add table ip ums\n"
                  "add chain ip ums in { type filter hook input priority 0; }\n"
                  "add chain ip ums front { type nat hook output priority -100; }\n"
                  + "".join(f"add rule ip ums {rule}\n" for rule in rules))
        subprocess.run([self._nft, "-f", "-"], input=script.encode(), check=True)

    def clear(self):
        subprocess.run([self._nft, "delete", "table", "ip", "ums"], check=False, stderr=subprocess.DEVNULL)

    def dropped(self):
        """How many packets the rules with a counter have met."""
        listed = subprocess.run([self._nft, "list", "table", "ip", "ums"], check=True, capture_output=True).stdout.decode()
        return sum(int(part.split()[0]) for part in listed.split("counter packets ")[1:])


class _Relay(socketserver.BaseRequestHandler):
    """Between a client and the server; each answer comes late."""

    def handle(self):
        with socket.create_connection(self.server.behind, source_address=(FRONT, 0)) as behind:
            asked = threading.Event()
            threading.Thread(target=self._requests, args=(behind, asked), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := behind.recv(65536):
                    if asked.is_set():
                        asked.clear()
                        self.server.met += 1
                        time.sleep(self.server.pause)
                    self.request.sendall(data)
            with contextlib.suppress(OSError):
                self.request.shutdown(socket.SHUT_RDWR)

    def _requests(self, behind, asked):
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                asked.set()
                behind.sendall(data)
        with contextlib.suppress(OSError):
            behind.shutdown(socket.SHUT_RDWR)


class _Refusal(socketserver.StreamRequestHandler):
    """Reads a request, and answers 500."""

    def handle(self):
        with contextlib.suppress(OSError, ValueError):
            while line := self.rfile.readline(65536):
                length = 0
                while (field := self.rfile.readline(65536)).strip():
                    name, _, value = field.decode("latin-1").partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                while length > 0 and (got := self.rfile.read(min(length, 65536))):
                    length -= len(got)
                self.server.met += 1
                self.wfile.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
                del line


class _Front(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 100

    def __init__(self, handler, behind, pause=0):
        self.standing = set()
        super().__init__(("127.0.0.1", free_port()), handler)
        self.behind, self.pause, self.met = behind, pause, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def process_request(self, request, client_address):
        self.standing.add(request)
        super().process_request(request, client_address)

    def close_request(self, request):
        self.standing.discard(request)
        super().close_request(request)

    def end(self):
        """Nobody is kept in it: whoever it speaks to must come again."""
        self.shutdown()
        self.server_close()
        for request in list(self.standing):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class Illness:
    """Of one server. `with illness: ...` is as long as it lasts; `met` is what proves that it was felt, if it can say."""

    def __init__(self, server):
        self.server = server
        self.met = None

    def keep_up(self):
        """Called again and again while it lasts."""

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *_):
        self.end()


class Stopped(Illness):
    def begin(self):
        self.server.stop()

    def end(self):
        self.server.start_again()


class Frozen(Illness):
    def begin(self):
        os.killpg(self.server.pid, signal.SIGSTOP)

    def end(self):
        os.killpg(self.server.pid, signal.SIGCONT)


def mount_documents(server, megabytes=256):
    """A file system of its own for the documents of a server that does not run yet."""
    owner = os.stat(server.root)
    subprocess.run([program("mount", "mount"), "-t", "tmpfs", "-o",
                    f"size={megabytes}m,uid={owner.st_uid},gid={owner.st_gid},mode=755", "documents", server.root], check=True)


def unmount_documents(server):
    subprocess.run([program("umount", "mount"), "--lazy", server.root], check=False)


class ReadOnly(Illness):
    def begin(self):
        end = time.monotonic() + 20
        # Busy while a file is open for writing.
        while subprocess.run([program("mount", "mount"), "-o", "remount,ro", self.server.root], check=False,
                             stderr=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > end:
                raise RuntimeError("the documents cannot be made read-only")
            time.sleep(0.05)

    def end(self):
        subprocess.run([program("mount", "mount"), "-o", "remount,rw", self.server.root], check=True)


class Full(Illness):
    def begin(self):
        self._filler = os.path.join(self.server.root, "filler")
        self.keep_up()

    def keep_up(self):
        with open(self._filler, "ab", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(65536)):
                pass

    def end(self):
        os.unlink(self._filler)


class Fronted(Illness):
    """What comes for the server goes to something else; connections that stand are reset."""

    def front(self):
        raise NotImplementedError

    def begin(self):
        self._front = self.front()
        port = self.server.port
        self._firewall = Firewall()
        self._firewall.set(f"front ip saddr != {FRONT} tcp dport {port} redirect to :{self._front.port}",
                           f"in ip saddr != {FRONT} tcp dport {port} reject with tcp reset")

    def end(self):
        # While the addresses are still translated: a connection that is forgotten would hang.
        self._front.end()
        time.sleep(0.2)
        self._firewall.clear()
        self.met = self._front.met


class Slow(Fronted):
    def front(self):
        return _Front(_Relay, ("127.0.0.1", self.server.port), pause=5)


class Failing(Fronted):
    def front(self):
        return _Front(_Refusal, None)


class CutOff(Illness):
    rules = ("in tcp dport {port} counter drop", "in tcp sport {port} counter drop")

    def begin(self):
        self._firewall = Firewall()
        self._firewall.set(*(rule.format(port=self.server.port) for rule in self.rules))

    def end(self):
        self.met = self._firewall.dropped()
        self._firewall.clear()


class CutOffThere(CutOff):
    """What we send does not come to it."""
    rules = CutOff.rules[:1]


class CutOffBack(CutOff):
    """What it answers does not come back."""
    rules = CutOff.rules[1:]


ALL = (Stopped, Frozen, ReadOnly, Full, Slow, Failing, CutOffThere, CutOffBack, CutOff)
