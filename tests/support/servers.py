# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for tests: Apache, nginx, lighttpd and rclone with WebDAV, on free loopback ports, in a private directory.

    with scratch_directory() as directory:
        certificates = Certificates(directory)
        with Apache(directory, certificates, auth="digest") as server:
            server.url, server.tls_url, server.root

Each runs in the foreground as a child of the test and is stopped by its pid. Nothing of the system's own servers is
used but their programs. They work for root (the workers are then an unprivileged user, who owns the documents) and for
anybody else.
"""

import base64
import contextlib
import errno
import glob
import hashlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

USER = "mds"
PASSWORD = "Kern-1 \u00fc:%"
REALM = "ums test"
DEADLINE = 20


class Missing(Exception):
    """A program that the tests need is not installed."""


def end(process, pid=None):
    """Ends a server, by the pid of what ends it when it is told to. None is one that does not run."""
    if process is None:
        return
    os.kill(pid or process.pid, signal.SIGTERM)
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def program(name, package):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise Missing(f"'{name}' is missing; it comes with the Debian package {package}")
    return found


def module_file(patterns, package):
    for pattern in patterns:
        for found in sorted(glob.glob(pattern)):
            return found
    raise Missing(f"none of {', '.join(patterns)} is there; see the Debian package {package}")


_port_claims = []


def free_port():
    """A port that nobody listens on, outside the range that clients' connections take theirs from. Other tests that run
    at the same time get others: a name in the kernel stands for each, as long as this process lives."""
    while True:
        port = random.randrange(12000, 32000)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ums-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError as e:
            claim.close()
            if e.errno != errno.EADDRINUSE:
                raise
            continue
        _port_claims.append(claim)
        return port


def worker_user():
    """Whom a server started by root works as: Apache does not work as root."""
    if os.getuid() != 0:
        return None
    for name in ("www-data", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("neither the user www-data nor nobody exists")


@contextlib.contextmanager
def scratch_directory():
    """A directory that the workers may enter, removed at the end."""
    path = os.path.realpath(tempfile.mkdtemp(prefix="ums-servers."))
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Certificates:
    """A CA of its own and what it signs: `good` for localhost and 127.0.0.1, `expired`, `wrong-name`; `self-signed`
    by itself; `client`; and `other-ca.pem`, which signed nothing."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "tls")
        os.mkdir(self.directory)
        self._authority("ca", "ums test CA")
        self._authority("other-ca", "ums other CA")
        here = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        self._signed("good", here)
        self._signed("wrong-name", "subjectAltName=DNS:elsewhere.example")
        self._signed("expired", here, expired=True)
        self._signed("client", "subjectAltName=DNS:client.example")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      self.key("self-signed"), "-out", self.file("self-signed"), "-days", "30",
                      "-subj", "/CN=localhost", "-addext", here)

    def file(self, name):
        return os.path.join(self.directory, name + ".pem")

    def key(self, name):
        return os.path.join(self.directory, name + ".key")

    @property
    def ca(self):
        return self.file("ca")

    def pin(self, name):
        """As libcurl takes it."""
        public = self._openssl("x509", "-in", self.file(name), "-noout", "-pubkey")
        der = self._openssl("pkey", "-pubin", "-outform", "der", stdin=public)
        return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()

    def _openssl(self, *arguments, stdin=b""):
        done = subprocess.run([program("openssl", "openssl"), *arguments], cwd=self.directory, input=stdin,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("openssl " + " ".join(arguments) + "\n" + done.stderr.decode())
        return done.stdout

    def _authority(self, name, title):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      self.key(name), "-out", self.file(name), "-days", "30", "-subj", "/CN=" + title)

    def _signed(self, name, extension, expired=False):
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      self.key(name), "-out", name + ".csr", "-subj", "/CN=" + name)
        with open(os.path.join(self.directory, name + ".ext"), "w", encoding="ascii") as out:
            out.write(extension + "\n")
        # A certificate that ends before it begins is expired at once.
        self._openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", "-1" if expired else "30", "-extfile", name + ".ext", "-out", self.file(name))


class Server:
    """What they have in common. `root` is the directory of the documents."""

    name = ""
    package = ""

    def __init__(self, directory, certificates, *, auth="basic", certificate="good", user=USER, password=PASSWORD):
        self.certificates = certificates
        self.auth = auth
        self.certificate = certificate
        self.user = user
        self.password = password
        self.home = tempfile.mkdtemp(prefix=self.name + ".", dir=directory)
        os.chmod(self.home, 0o755)
        self.root = self._owned("documents")
        self.password_file = os.path.join(self.home, "password")
        with open(self.password_file, "w", encoding="utf-8") as out:
            out.write(password + "\n")
        os.chmod(self.password_file, 0o600)
        self.port = self.tls_port = 0
        self._process = None

    @property
    def url(self):
        return f"dav://127.0.0.1:{self.port}/"

    @property
    def tls_url(self):
        return f"davs://localhost:{self.tls_port}/"

    @property
    def pid(self):
        return self._process.pid

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        # Between the choice of a port and its use another process can take it.
        for attempt in range(3):
            self.port, self.tls_port = free_port(), free_port()
            command = self._configure()
            with open(os.path.join(self.home, "output"), "ab") as output:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                 start_new_session=True)
            if self._answers():
                return
            self.stop()
        raise RuntimeError(f"{self.name} does not start:\n{self.log()}")

    def start_again(self):
        """On the same ports, after stop()."""
        with open(os.path.join(self.home, "output"), "ab") as output:
            self._process = subprocess.Popen(self._configure(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                             start_new_session=True)
        if not self._answers():
            raise RuntimeError(f"{self.name} does not start again:\n{self.log()}")

    def stop(self):
        end(self._process)
        self._process = None

    def log(self):
        text = ""
        for name in ("output", "error.log"):
            with contextlib.suppress(OSError), open(os.path.join(self.home, name), encoding="utf-8",
                                                    errors="replace") as log:
                text += log.read()
        return text

    def requests(self):
        """The lines of the access log."""
        with contextlib.suppress(OSError), open(os.path.join(self.home, "access.log"), encoding="utf-8",
                                                errors="replace") as log:
            return log.read().splitlines()
        return []

    def _answers(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self._process.poll() is None:
            try:
                for port in (self.port, self.tls_port):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def _owned(self, name):
        path = os.path.join(self.home, name)
        os.mkdir(path, 0o755)
        if user := worker_user():
            os.chown(path, user.pw_uid, user.pw_gid)
        return path

    def _readable(self, name, content):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content)
        os.chmod(path, 0o644)
        return path

    def _basic_passwords(self):
        digest = base64.b64encode(hashlib.sha1(self.password.encode()).digest()).decode()
        return self._readable("passwords.basic", f"{self.user}:{{SHA}}{digest}\n")

    def _configure(self):
        raise NotImplementedError


class Apache(Server):
    """mod_dav over HTTP/1.1, and over TLS with HTTP/2. `auth`: `digest`, `basic`, `none`."""

    name = "apache2"
    package = "apache2-bin"
    modules = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "auth_digest", "dav",
               "dav_fs", "dav_lock", "ssl", "socache_shmcb", "http2", "mime", "dir")

    def __init__(self, directory, certificates, *, http2=True, settings=(), busy=False, **options):
        super().__init__(directory, certificates, **options)
        self.http2 = http2
        self.settings = settings
        self.busy = busy
        self.state = self._owned("state")

    def _pool(self):
        """Busy: as where many come, with connections that are kept and no log of each request."""
        if self.busy:
            return ("StartServers 2", "ServerLimit 4", "ThreadLimit 64", "ThreadsPerChild 64", "MaxRequestWorkers 256",
                    "MaxKeepAliveRequests 0", "KeepAliveTimeout 60", "Timeout 120")
        return ("StartServers 1", "ServerLimit 2", "ThreadLimit 32", "ThreadsPerChild 32", "MaxRequestWorkers 64",
                "KeepAliveTimeout 15", "Timeout 30", 'LogFormat "%H %m %U%q %>s %I" test', 'CustomLog "access.log" test')

    def _authentication(self):
        if self.auth == "none":
            return ["  Require all granted"]
        lines = [f'  AuthName "{REALM}"', "  Require valid-user"]
        if self.auth == "digest":
            secret = hashlib.md5(f"{self.user}:{REALM}:{self.password}".encode()).hexdigest()
            passwords = self._readable("passwords.digest", f"{self.user}:{REALM}:{secret}\n")
            return lines + ["  AuthType Digest", "  AuthDigestProvider file", f'  AuthUserFile "{passwords}"']
        return lines + ["  AuthType Basic", f'  AuthUserFile "{self._basic_passwords()}"']

    def _configure(self):
        server = program(self.name, self.package)
        dav = module_file(["/usr/lib/apache2/modules/mod_dav.so", "/usr/lib*/*/modules/mod_dav.so"], self.package)
        modules = os.path.dirname(dav)
        lines = [f"LoadModule {m}_module {modules}/mod_{m}.so" for m in self.modules]
        if user := worker_user():
            lines += [f"User #{user.pw_uid}", f"Group #{user.pw_gid}"]
        self._readable("mime.types", "message/rfc822 eml\n")
        lines += [
            f'ServerRoot "{self.home}"', "ServerName localhost", f'PidFile "{self.home}/pid"',
            f'DefaultRuntimeDir "{self.state}"', f'Mutex "file:{self.state}" default', 'TypesConfig mime.types',
            f"Listen 127.0.0.1:{self.port}", f"Listen 127.0.0.1:{self.tls_port}",
            *self._pool(), "KeepAlive On", "LogLevel warn", 'ErrorLog "error.log"',
            "Protocols h2 http/1.1" if self.http2 else "Protocols http/1.1",
            f'DocumentRoot "{self.root}"', f'DavLockDB "{self.state}/locks"',
            f'<Directory "{self.root}">', "  Dav On", "  AllowOverride None", "  DirectoryIndex disabled",
            *self._authentication(), "</Directory>",
            f"<VirtualHost 127.0.0.1:{self.tls_port}>", "  SSLEngine on", "  ServerName localhost",
            f'  SSLCertificateFile "{self.certificates.file(self.certificate)}"',
            f'  SSLCertificateKeyFile "{self.certificates.key(self.certificate)}"', "</VirtualHost>",
            *self.settings]
        configuration = self._readable("apache.conf", "\n".join(lines) + "\n")
        return [server, "-f", configuration, "-DFOREGROUND"]


class Nginx(Server):
    """The WebDAV of nginx with its extension module. `auth`: `basic`, `none`."""

    name = "nginx"
    package = "nginx-light and libnginx-mod-http-dav-ext"

    def __init__(self, directory, certificates, *, http2=True, extension=True, settings="", busy=False, **options):
        super().__init__(directory, certificates, **options)
        self.http2 = http2
        self.busy = busy
        self.extension = extension
        self.settings = settings
        self.bodies = self._owned("bodies")

    def _pool(self):
        """Busy: as where many come, with a process for each processor, connections that are kept, no log of each request."""
        if self.busy:
            return ("access_log off; sendfile on; tcp_nopush on; keepalive_timeout 60s; keepalive_requests 1000000;"
                    " client_body_buffer_size 256k;")
        return f'access_log "{self.home}/access.log" test; keepalive_timeout 15s;'

    def _configure(self):
        server = program(self.name, self.package)
        module = module_file(["/usr/lib/nginx/modules/ngx_http_dav_ext_module.so",
                              "/usr/lib*/nginx/modules/ngx_http_dav_ext_module.so"], self.package)
        user = worker_user()
        worker = ""
        if user:
            import grp
            worker = f"user {user.pw_name} {grp.getgrgid(user.pw_gid).gr_name};"
        auth = "auth_basic off;"
        if self.auth != "none":
            auth = f'auth_basic "{REALM}"; auth_basic_user_file "{self._basic_passwords()}";'
        dav = f"""
            root "{self.root}";
            dav_methods PUT DELETE MKCOL COPY MOVE;
            {"dav_ext_methods PROPFIND OPTIONS;" if self.extension else ""}
            dav_access user:rw group:r all:r;
            {auth}
            {self.settings}"""
        configuration = self._readable("nginx.conf", f"""
            daemon off;
            {worker}
            load_module "{module}";
            worker_processes {"auto" if self.busy else 1};
            pid "{self.home}/pid";
            error_log "{self.home}/error.log" warn;
            events {{ worker_connections 1024; }}
            http {{
                log_format test '$server_protocol $request_method $request_uri $status $request_length';
                {self._pool()}
                client_max_body_size 0;
                client_body_temp_path "{self.bodies}";
                proxy_temp_path "{self.home}/p"; fastcgi_temp_path "{self.home}/f";
                uwsgi_temp_path "{self.home}/u"; scgi_temp_path "{self.home}/s";
                default_type message/rfc822;
                server {{
                    listen 127.0.0.1:{self.port} {"reuseport" if self.busy else ""};
                    {dav}
                }}
                server {{
                    listen 127.0.0.1:{self.tls_port} ssl {"http2" if self.http2 else ""};
                    ssl_certificate "{self.certificates.file(self.certificate)}";
                    ssl_certificate_key "{self.certificates.key(self.certificate)}";
                    {dav}
                }}
            }}
            """)
        return [server, "-p", self.home, "-e", os.path.join(self.home, "error.log"), "-c", configuration]


class Lighttpd(Server):
    """mod_webdav of lighttpd. `auth`: `digest`, `basic`, `none`."""

    name = "lighttpd"
    package = "lighttpd, lighttpd-mod-webdav and lighttpd-mod-openssl"

    def __init__(self, directory, certificates, *, settings="", **options):
        super().__init__(directory, certificates, **options)
        self.settings = settings
        self.uploads = self._owned("uploads")

    def _authentication(self):
        if self.auth == "none":
            return ""
        passwords = self._readable("passwords.plain", f"{self.user}:{self.password}\n")
        return f'''
            auth.backend = "plain"
            auth.backend.plain.userfile = "{passwords}"
            auth.require = ("/" => ("method" => "{self.auth}", "realm" => "{REALM}", "require" => "valid-user"))'''

    def _configure(self):
        server = program(self.name, self.package)
        webdav = module_file(["/usr/lib/lighttpd/mod_webdav.so", "/usr/lib*/*/lighttpd/mod_webdav.so"], self.package)
        user = worker_user()
        if user:  # it opens its log as the worker
            log = self._readable("access.log", "")
            os.chown(log, user.pw_uid, user.pw_gid)
        configuration = self._readable("lighttpd.conf", f'''
            server.modules = ("mod_auth", "mod_authn_file", "mod_accesslog", "mod_webdav", "mod_openssl")
            server.document-root = "{self.root}"
            server.upload-dirs = ("{self.uploads}")
            {f'server.username = "{user.pw_name}"' if user else ""}
            accesslog.filename = "{self.home}/access.log"
            accesslog.format = "%H %m %U %s %I"
            server.bind = "127.0.0.1"
            server.port = {self.port}
            mimetype.assign = ("" => "message/rfc822")
            etag.use-inode = "enable"
            webdav.activate = "enable"
            {self._authentication()}
            {self.settings}
            $SERVER["socket"] == "127.0.0.1:{self.tls_port}" {{
                ssl.engine = "enable"
                ssl.pemfile = "{self.certificates.file(self.certificate)}"
                ssl.privkey = "{self.certificates.key(self.certificate)}"
            }}
            ''')
        return [server, "-D", "-m", os.path.dirname(webdav), "-f", configuration]


class Rclone(Server):
    """`rclone serve webdav`, the WebDAV of Go. One port: HTTP, or HTTPS if `tls`. `auth`: `basic`, `none`."""

    name = "rclone"
    package = "rclone"

    def __init__(self, directory, certificates, *, tls=False, **options):
        super().__init__(directory, certificates, **options)
        self.tls = tls

    def _configure(self):
        server = program(self.name, self.package)
        # One program serves one port, and two of them would not see what the other does.
        self.port = self.tls_port
        command = [server, "serve", "webdav", self.root, "--addr", f"localhost:{self.port}", "--config",
                   os.path.join(self.home, "rclone.conf"), "--cache-dir", os.path.join(self.home, "cache"),
                   "--vfs-cache-mode", "off"]
        if self.auth != "none":
            command += ["--htpasswd", self._basic_passwords(), "--realm", REALM]
        if self.tls:
            command += ["--cert", self.certificates.file(self.certificate), "--key",
                        self.certificates.key(self.certificate)]
        return command
