"""A web server on this machine that can misbehave in the ways real ones do."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


def blob_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class FileServer:
    """Serves ``files``; use as a context manager.

    ``mode``: ``ok``; ``half``: every answer stops half-way; ``half-once``: the first one does;
    ``page``: a web page instead; ``no-range``: ranges are ignored; ``wrong-range``: another range
    than asked for; ``silent``: never answers.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.mode = "ok"
        self.requests: list[tuple[str, str, str]] = []
        self.release = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,),
                                        daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def gets(self) -> list[tuple[str, str]]:
        """Path and range of each GET so far."""
        return [(path, span) for method, path, span in self.requests if method == "GET"]

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[FileServer]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        owner, span = self.owner, self.headers.get("Range", "")
        owner.requests.append((self.command, self.path, span))
        if owner.mode == "silent":
            owner.release.wait(20)
            return
        content, kind = owner.files.get(self.path), "application/octet-stream"
        if owner.mode == "page":
            content, kind = b"<html>please log in</html>", "text/html"
        if content is None:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if owner.mode == "no-range":
            start, span = 0, ""
        if start >= len(content) and span:
            self.send_error(416)
            return
        self.send_response(206 if span else 200)
        shown = start + 1 if owner.mode == "wrong-range" else start
        if span:
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            self.wfile.write(self._cut(content[start:]))

    def _cut(self, content: bytes) -> bytes:
        if not self.owner.mode.startswith("half"):
            return content
        if self.owner.mode == "half-once":
            self.owner.mode = "ok"
        return content[: len(content) // 2]

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""
