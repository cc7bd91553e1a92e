# SPDX-License-Identifier: GPL-3.0-or-later
"""A small WebDAV server that keeps everything in memory and does as it should, as a script for hostile.Hostile.

    dav = Dav("/CR", directories=("", "R_ExConn"))
    with Hostile(lambda request: misbehave(request) or dav(request)) as server:
        dav.files, server.url

`files` and `directories` are named below the root. Options make it one of those that are less than they should be.
"""

import email.utils
import threading
import urllib.parse
from xml.sax.saxutils import escape

from hostile import reply


class Dav:
    def __init__(self, root="/CR", directories=("",), *, has_move=True, keeps_overwrite=True, keeps_create=True,
                 deletes=True, href=lambda request, path: path, clock=None):
        self.root = root
        self.files = {}
        self.directories = {d.strip("/") for d in directories} | {""}
        self.has_move = has_move
        self.keeps_overwrite = keeps_overwrite
        self.keeps_create = keeps_create
        self.deletes = deletes
        self.href = href
        self.clock = clock  # seconds since 1970, of every file
        self.lock = threading.Lock()
        self.uploads = 0

    def __call__(self, request):
        path = urllib.parse.urlsplit(request.path).path
        with self.lock:
            name = self._name(path)
            if name is None:
                return reply(404)
            return getattr(self, "_" + request.method.lower(), lambda *_: reply(405))(name, request)

    def under(self, directory):
        with self.lock:
            return {n.rpartition("/")[2]: c for n, c in self.files.items() if n.rpartition("/")[0] == directory}

    def _name(self, path):
        decoded = urllib.parse.unquote(path)
        if decoded != self.root and not decoded.startswith(self.root + "/"):
            return None
        return decoded[len(self.root):].strip("/")

    def _is_there(self, name):
        return name in self.files or name in self.directories

    def _propfind(self, name, request):
        if not self._is_there(name):
            return reply(404)
        names = [name]
        if request.headers.get("depth") == "1" and name in self.directories:
            prefix = name + "/" if name else ""
            names += sorted(n for n in [*self.files, *self.directories]
                            if n and n != name and n.startswith(prefix) and "/" not in n[len(prefix):])
        parts = []
        for one in names:
            path = urllib.parse.quote(self.root + ("/" + one if one else ""))
            if one in self.directories:
                kind, path = "<D:resourcetype><D:collection/></D:resourcetype>", path + "/"
            else:
                kind = (f"<D:resourcetype/><D:getcontentlength>{len(self.files[one])}</D:getcontentlength>"
                        f"{self._modified()}<D:getetag>\"{hash(self.files[one]) & 0xffffffff:x}\"</D:getetag>")
            parts.append(f"<D:response><D:href>{escape(self.href(request, path))}</D:href><D:propstat><D:prop>{kind}"
                         "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>")
        text = '<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:">' + "".join(parts) + "</D:multistatus>"
        return reply(207, text.encode(), "Content-Type: application/xml")

    def _modified(self):
        if self.clock is None:
            return ""
        return f"<D:getlastmodified>{email.utils.formatdate(self.clock(), usegmt=True)}</D:getlastmodified>"

    def _get(self, name, _):
        return reply(200, self.files[name]) if name in self.files else reply(404)

    def _head(self, name, _):
        return reply(200, length=len(self.files[name])) if name in self.files else reply(404)

    def _put(self, name, request):
        if name in self.directories:
            return reply(405)
        if name.rpartition("/")[0] not in self.directories:
            return reply(409)
        if name in self.files and self.keeps_create and request.headers.get("if-none-match") == "*":
            return reply(412)
        self.uploads += 1
        self.files[name] = request.body
        return reply(201)

    def _move(self, name, request):
        if not self.has_move:
            return reply(405)
        to = self._name(urllib.parse.urlsplit(request.headers["destination"]).path)
        if name not in self.files:
            return reply(404)
        if to is None or to.rpartition("/")[0] not in self.directories:
            return reply(409)
        taken = to in self.files
        if taken and self.keeps_overwrite and request.headers.get("overwrite") == "F":
            return reply(412)
        self.files[to] = self.files.pop(name)
        return reply(204 if taken else 201)

    def _delete(self, name, _):
        if name not in self.files:
            return reply(404)
        if self.deletes:
            del self.files[name]
        return reply(204)

    def _mkcol(self, name, _):
        if self._is_there(name):
            return reply(405)
        if name.rpartition("/")[0] not in self.directories:
            return reply(409)
        self.directories.add(name)
        return reply(201)
