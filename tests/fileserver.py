"""A file server on this machine, well-behaved or not, for tests of downloads."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Shelf:
    """What the server has and how it behaves; tests change it between requests.

    `cuts` holds, for each coming request, after how many bytes the connection is closed; `stall_after` sends up to that
    byte of the file and then nothing until `released` is set.
    """

    content: bytes
    url: str = ""
    etag: str = '"one"'
    last_modified: str = ""
    ranges: bool = True
    length: bool = True
    content_type: str = "application/octet-stream"
    status: int = 0
    redirect: str = ""
    announced: int | None = None
    wrong_piece: bool = False
    cuts: list[int] = field(default_factory=list)
    stall_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, str]] = field(default_factory=list)
    """The headers of every request, with its path."""

    def asked_from(self) -> list[str | None]:
        """The Range of every request."""
        return [request.get("Range") for request in self.requests]


@contextmanager
def serving(content: bytes, *, certificate: Path | None = None) -> Iterator[Shelf]:
    """A server with one file at every path that ends in `/weights.pth`; `certificate` (with key) makes it https."""
    shelf = Shelf(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shelf.requests.append({"path": self.path, **dict(self.headers)})
            if shelf.redirect:
                self.send_response(302)
                self.send_header("Location", shelf.redirect)
                self.end_headers()
            elif shelf.status or not self.path.endswith("/weights.pth"):
                self.send_error(shelf.status or 404)
            else:
                self.answer()

        def answer(self) -> None:
            first, whole = self.first_byte(), len(shelf.content)
            if first >= whole:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{whole}")
                self.end_headers()
                return
            self.send_response(206 if first else 200)
            if first:
                given = 0 if shelf.wrong_piece else first
                self.send_header("Content-Range", f"bytes {given}-{whole - 1}/{whole}")
            if shelf.length:
                announced = whole if shelf.announced is None else shelf.announced
                self.send_header("Content-Length", str(announced - first))
            if shelf.etag:
                self.send_header("ETag", shelf.etag)
            if shelf.last_modified:
                self.send_header("Last-Modified", shelf.last_modified)
            self.send_header("Content-Type", shelf.content_type)
            self.end_headers()
            body = shelf.content[first:]
            if shelf.stall_after is not None:
                self.wfile.write(body[: max(shelf.stall_after - first, 0)])
                shelf.released.wait(30)
            else:
                self.wfile.write(body[: shelf.cuts.pop(0)] if shelf.cuts else body)

        def first_byte(self) -> int:
            asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
            if not (shelf.ranges and asked) or condition not in (None, shelf.etag, shelf.last_modified):
                return 0
            return int(asked.removeprefix("bytes=").partition("-")[0])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda request, client_address: None  # a client that hangs up is what is tested
    scheme = "https" if certificate else "http"
    shelf.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/weights.pth"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        shelf.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
