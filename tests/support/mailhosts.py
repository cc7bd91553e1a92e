# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail servers for tests, on free loopback ports, in a private directory: Postfix and Dovecot.

    with scratch_directory() as directory, Dovecot(directory) as dovecot, Postfix(directory, certificates, dovecot) as postfix:
        postfix.url, dovecot.lmtp_url, dovecot.socket, postfix.mails("fax.example.com")

Each runs in the foreground as a child of the test and is stopped by its pid. Both work for root only, as they come.
"""

import base64
import contextlib
import os
import pwd
import re
import socket
import subprocess
import tempfile
import time

from servers import DEADLINE, Missing, end, free_port, program

USER = "mds"
PASSWORD = "Post-canary-7391 :%"
DOMAIN = "fax.example.com"


def mail_user():
    for name in ("nobody", "www-data"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("neither the user nobody nor www-data exists")


class MailHost:
    name = ""

    def __init__(self, directory):
        if os.getuid() != 0:
            raise Missing(f"{self.name} works for root only")
        self.home = tempfile.mkdtemp(prefix=self.name + ".", dir=directory)
        os.chmod(self.home, 0o755)
        self.mail = os.path.join(self.home, "mail")
        os.mkdir(self.mail)
        user = mail_user()
        os.chown(self.mail, user.pw_uid, user.pw_gid)
        self._process = None

    def __enter__(self):
        for _ in range(3):
            command = self._configure()
            with open(os.path.join(self.home, "output"), "ab") as output:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                 start_new_session=True)
            if self._answers():
                return self
            self._stop()
        raise RuntimeError(f"{self.name} does not start:\n{self.log()}")

    def __exit__(self, *_):
        self._stop()

    def _stop(self):
        end(self._process, self._process and self._pid())
        self._process = None

    def _pid(self):
        """Of what ends the server when it is told to."""
        return self._process.pid

    def log(self):
        text = ""
        for name in ("output", "log"):
            with contextlib.suppress(OSError), open(os.path.join(self.home, name), encoding="utf-8",
                                                    errors="replace") as log:
                text += log.read()
        return text

    def _answers(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.settimeout(5)
                    if connection.recv(3) == b"220":
                        return True
            except OSError:
                pass
            time.sleep(0.05)
        return False

    def _write(self, name, lines):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        os.chmod(path, 0o644)
        return path

    def mails(self, count, seconds=30):
        """`count` mails, as (local part, bytes); waits for them, and a little for one too many."""
        end = time.monotonic() + seconds
        found = []
        while time.monotonic() < end:
            found = []
            for directory, _, names in os.walk(self.mail):
                if os.path.basename(directory) in ("new", "cur"):
                    for name in names:
                        with open(os.path.join(directory, name), "rb") as mail:
                            content = mail.read()
                        # One box for all, or one for each.
                        told = re.search(rb"^X-Original-To: (.*)@", content, re.MULTILINE)
                        found.append((told[1].decode() if told else os.path.basename(os.path.dirname(directory)), content))
            if len(found) >= count:
                break
            time.sleep(0.1)
        if len(found) != count:
            raise AssertionError(f"{len(found)} mails, not {count}:\n{self.log()[-4000:]}")
        return sorted(found)


class Dovecot(MailHost):
    """LMTP on a port and on a socket; logins for Postfix."""

    name = "dovecot"

    def _configure(self):
        server = program("dovecot", "dovecot-core")
        if not os.path.exists("/usr/lib/dovecot/lmtp"):
            raise Missing("'lmtp' is missing; it comes with the Debian package dovecot-lmtpd")
        self.port = free_port()
        self.socket = os.path.join(self.home, "lmtp.socket")
        self.auth = os.path.join(self.home, "auth.socket")
        user = mail_user()
        self._write("users", [f"{USER}:{{PLAIN.b64}}" + base64.b64encode(PASSWORD.encode()).decode()])
        configuration = self._write("dovecot.conf", [
            f"base_dir = {self.home}/run", f"state_dir = {self.home}/state", "instance_name = test",
            f"log_path = {self.home}/log", "protocols = lmtp", "ssl = no", "listen = 127.0.0.1",
            f"mail_location = maildir:{self.mail}/%Ld/%n", "auth_username_chars =", "auth_username_format = %Lu",
            "first_valid_uid = 1", f"mail_uid = {user.pw_uid}", f"mail_gid = {user.pw_gid}",
            "lmtp_save_to_detail_mailbox = no", "recipient_delimiter =", "postmaster_address = postmaster@example.com",
            "passdb {", "  driver = passwd-file", f"  args = {self.home}/users", "}",
            "userdb {", "  driver = static",
            f"  args = uid={user.pw_uid} gid={user.pw_gid} home={self.mail}/%Ld/%n allow_all_users=yes", "}",
            "service lmtp {", "  inet_listener lmtp {", "    address = 127.0.0.1", f"    port = {self.port}", "  }",
            f"  unix_listener {self.socket} {{", "    mode = 0666", "  }", "}",
            "service auth {", f"  unix_listener {self.auth} {{", "    mode = 0666", "  }", "}",
            "service stats {", "  unix_listener stats-writer {", "    mode = 0666", "  }", "}",
        ])
        return [server, "-F", "-c", configuration]

    @property
    def url(self):
        return f"lmtp://127.0.0.1:{self.port}"


class Postfix(MailHost):
    """SMTP with STARTTLS and, with a Dovecot, logins; delivers to maildirs of virtual users of DOMAIN."""

    name = "postfix"

    def __init__(self, directory, certificates, dovecot=None, settings=()):
        super().__init__(directory)
        self.certificates = certificates
        self.dovecot = dovecot
        self.settings = settings

    def _configure(self):
        server = program("postfix", "postfix")
        self.port, self.tls_port = free_port(), free_port()
        user = mail_user()
        owner = pwd.getpwnam("postfix")
        for name in ("queue", "data"):
            os.makedirs(os.path.join(self.home, name), exist_ok=True)
        os.chown(os.path.join(self.home, "data"), owner.pw_uid, owner.pw_gid)
        login = ["smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = dovecot", f"smtpd_sasl_path = {self.dovecot.auth}",
                 "smtpd_tls_auth_only = yes",
                 "smtpd_relay_restrictions = permit_sasl_authenticated, reject"] if self.dovecot else [
                     "smtpd_relay_restrictions = permit_auth_destination, reject"]
        # Not of this installation; they are said, lest those of the system be used.
        self._write("main.cf", [
            "compatibility_level = 3.6", f"queue_directory = {self.home}/queue", f"data_directory = {self.home}/data",
            "command_directory = /usr/sbin", "daemon_directory = /usr/lib/postfix/sbin", "mail_owner = postfix",
            "setgid_group = postdrop", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "myhostname = mail.test",
            "mydestination =", "local_recipient_maps =", "alias_maps =", "alias_database =", "mynetworks =",
            f"virtual_mailbox_domains = {DOMAIN}", f"virtual_mailbox_base = {self.mail}",
            "virtual_mailbox_maps = static:all/",
            f"virtual_uid_maps = static:{user.pw_uid}", f"virtual_gid_maps = static:{user.pw_gid}",
            "virtual_minimum_uid = 1", "virtual_mailbox_limit = 0", "message_size_limit = 40000000",
            "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {self.certificates.file('good')}",
            f"smtpd_tls_key_file = {self.certificates.key('good')}", "smtpd_peername_lookup = no",
            "smtpd_recipient_restrictions =", "recipient_delimiter =", "smtputf8_enable = yes", "bounce_queue_lifetime = 0",
            "maillog_file = /dev/stdout", "shlib_directory = /usr/lib/postfix", "smtpd_error_sleep_time = 0",
            "smtpd_soft_error_limit = 1000", "smtpd_hard_error_limit = 1000", *login, *self.settings])
        service = "{0} inet n - n - - smtpd{1}"
        self._write("master.cf", [
            service.format(f"127.0.0.1:{self.port}", ""),
            service.format(f"127.0.0.1:{self.tls_port}", " -o smtpd_tls_wrappermode=yes"),
            "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
            "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "error unix - - n - - error",
            "retry unix - - n - - error", "discard unix - - n - - discard", "local unix - n n - - local",
            "virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
            "tlsmgr unix - - n 1000? 1 tlsmgr", "postlog unix-dgram n - n - 1 postlogd", "showq unix n - n - - showq"])
        return [server, "-c", self.home, "start-fg"]

    def _pid(self):
        # The one that was started is a shell that waits for it.
        with contextlib.suppress(OSError, ValueError), open(os.path.join(self.home, "queue", "pid", "master.pid"),
                                                            encoding="ascii") as file:
            return int(file.read())
        return self._process.pid

    @property
    def url(self):
        return f"smtp://localhost:{self.port}"

    @property
    def tls_url(self):
        return f"smtps://localhost:{self.tls_port}"
