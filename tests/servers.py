"""Servers on the loopback interface that stand in for an archive's host and for the hub, with the faults of real ones.

`Server` serves bytes by path, with ranges, ETags and If-Range as RFC 9110 has them; `add_repository` gives it the part
of the hub's protocol that clients use. Every wait ends when the server closes.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Served:
    """One path: its bytes and how it misbehaves. Lists hold one entry for each coming request and empty themselves."""

    body: bytes
    etag: str | None = '"one"'
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True  # False: the server ignores Range
    length: bool = True  # False: no Content-Length, the connection's end is the file's
    statuses: list[int] = field(default_factory=list)  # answered instead of the file
    cuts: list[int] = field(default_factory=list)  # bytes after which the connection is cut
    silent_after: int | None = None  # bytes after which nothing more comes until `go` is set
    redirect: str | None = None
    go: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)  # set when it falls silent


@dataclass
class Request:
    """What a client asked (names of headers in small letters) and how many bytes of a file it was sent."""

    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0


class Server(ThreadingHTTPServer):
    """Use as a context manager; `url(path)` is where a path is served."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.requests: list[Request] = []
        self.closing = threading.Event()

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.closing.set()
        for served in self.files.values():
            served.go.set()
        self.shutdown()
        self.server_close()

    def url(self, path: str = "", host: str = "127.0.0.1") -> str:
        """The address of a path; without one, of the server. `localhost` is another host to clients."""
        return f"http://{host}:{self.server_address[1]}{path}"

    def sent(self, path: str) -> list[int]:
        """The bytes sent for each GET of a path."""
        return [request.sent for request in self.requests if request.path == path and request.method == "GET"]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what the tests want; nothing to print."""


def add_repository(
    server: Server, repo_id: str, files: dict[str, bytes], *, revision: str = "main", cdn: Server | None = None
) -> None:
    """Serve a model repository as the hub does: a listing, and each file by a redirect to a content server."""
    commit, cdn = (COMMIT if revision == "main" else hashlib.sha256(revision.encode()).hexdigest()[:40]), cdn or server
    siblings = []
    for name, body in files.items():
        digest = hashlib.sha256(body).hexdigest()
        lfs = {"sha256": digest, "size": len(body), "pointerSize": 134}
        siblings.append({"rfilename": name, "size": len(body), "blobId": digest[:40], "lfs": lfs})
        content = f"/content/{commit}/{repo_id}/{name}"
        cdn.files[content] = Served(body, f'"{digest}"')
        headers = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(body))}
        for at in (revision, commit):
            server.files[f"/{repo_id}/resolve/{at}/{name}"] = Served(
                b"", None, headers, redirect=cdn.url(content, "localhost")
            )
    listing = {"_id": "1", "id": repo_id, "modelId": repo_id, "sha": commit, "private": False, "siblings": siblings}
    for at in (revision, commit):
        server.files[f"/api/models/{repo_id}/revision/{at}"] = Served(
            json.dumps(listing).encode(), None, {"Content-Type": "application/json"}
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        request = Request(self.command, path, {name.lower(): value for name, value in self.headers.items()})
        self.server.requests.append(request)
        served = self.server.files.get(path)
        if served is None:
            return self._fail(404, {"X-Error-Code": _hub_error(path)})
        if served.statuses:
            return self._fail(served.statuses.pop(0), served.headers)
        if served.redirect:
            return self._fail(302, {**served.headers, "Location": served.redirect})
        start = self._start(served)
        self._head(served, start)
        if body:
            self._send(served, request, start or 0)
        return None

    def _fail(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _start(self, served: Served) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, served.etag, served.headers.get("Last-Modified"))
        return int(asked[1]) if asked and same and served.ranges else None

    def _head(self, served: Served, start: int | None) -> None:
        size = len(served.body)
        if start is not None and start >= size:
            return self._fail(416, {"Content-Range": f"bytes */{size}"})
        self.send_response(200 if start is None else 206)
        headers = {"Accept-Ranges": "bytes", **({"ETag": served.etag} if served.etag else {}), **served.headers}
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if served.length:
            headers["Content-Length"] = str(size - (start or 0))
        else:
            headers["Connection"] = "close"
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        return None

    def _send(self, served: Served, request: Request, start: int) -> None:
        end = start + served.cuts.pop(0) if served.cuts else len(served.body)
        self.close_connection = self.close_connection or end < len(served.body)
        for at in range(start, end, 8192):
            if served.silent_after is not None and at + 8192 > served.silent_after:
                served.reached.set()
                served.go.wait(30)
            if self.server.closing.is_set():
                return
            request.sent += self.wfile.write(served.body[at : min(at + 8192, end)])

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def _hub_error(path: str) -> str:
    """The code by which the hub tells its clients what is missing; content servers give none."""
    if path.startswith("/content/"):
        return ""
    if "/resolve/" in path:
        return "EntryNotFound"
    return "RevisionNotFound" if "/revision/" in path and not path.endswith("/main") else "RepoNotFound"
