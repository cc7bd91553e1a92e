# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Samba for tests, as tests/support/servers.py has real WebDAV servers."""

import os
import pwd
import subprocess

from servers import Server, program, worker_user

SHARE = "ums$"


class Samba(Server):
    """One share. `signing`: `mandatory`, `auto`; `encryption`: `required`, `off`; `protocol`: the highest it speaks."""

    name = "smbd"
    package = "samba"

    def __init__(self, directory, *, protocol="SMB3", signing="auto", encryption="off", settings=(), share_settings=(),
                 **options):
        options.setdefault("password", "Kern-1 \u00fc:%")
        super().__init__(directory, None, **options)
        self.protocol = protocol
        self.signing = signing
        self.encryption = encryption
        self.settings = settings
        self.share_settings = share_settings
        self.unix = (worker_user() or pwd.getpwuid(os.getuid())).pw_name
        for name in ("private", "state", "cache", "lock", "ncalrpc"):
            os.mkdir(os.path.join(self.home, name), 0o755)

    @property
    def url(self):
        return f"smb://127.0.0.1:{self.port}/{SHARE}"

    def _configure(self):
        server = program(self.name, self.package)
        self.tls_port = self.port
        home = self.home
        users = self._readable("users.map", f"{self.unix} = {self.user}\n")
        lines = [
            "[global]", "server role = standalone server", "workgroup = TEST", "interfaces = 127.0.0.1/8",
            "bind interfaces only = yes", f"smb ports = {self.port}", "disable netbios = yes", "load printers = no",
            "disable spoolss = yes", "printcap name = /dev/null", f"private dir = {home}/private",
            f"state directory = {home}/state", f"cache directory = {home}/cache", f"lock directory = {home}/lock",
            f"pid directory = {home}", f"ncalrpc dir = {home}/ncalrpc",
            f"passdb backend = tdbsam:{home}/private/passdb.tdb", f"username map = {users}", "map to guest = Never",
            f"server max protocol = {self.protocol}", "server min protocol = SMB2_02", f"server signing = {self.signing}",
            f"log file = {home}/error.log", "max log size = 0", "log level = 1", "deadtime = 0", *self.settings,
            f"[{SHARE}]", f"path = {self.root}", "read only = no", f"valid users = {self.unix}",
            f"smb encrypt = {self.encryption}", "create mask = 0664", "directory mask = 0775", *self.share_settings]
        configuration = self._readable("smb.conf", "\n".join(lines) + "\n")
        secret = f"{self.password}\n{self.password}\n"
        made = subprocess.run([program("pdbedit", "samba"), "-s", configuration, "-t", "-a", "-u", self.unix],
                              input=secret.encode(), capture_output=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(made.stdout.decode() + made.stderr.decode())
        return [server, "-s", configuration, "--foreground", "--no-process-group"]
