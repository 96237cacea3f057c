"""The viewer over any number of scans, on this machine: each scan is read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from lidarpan.classes import ClassTable
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.viewer import pack_scan, viewer_page

LOOPBACK = "127.0.0.1"
KEPT_SCANS = 16
Frame = tuple[Scan, PanopticLabels | None, PanopticLabels | None]


def make_viewer_server(
    names: Sequence[str],
    load: Callable[[int], Frame],
    classes: ClassTable | None = None,
    *,
    has_truth: bool = False,
    title: str = "lidarpan",
    host: str = LOOPBACK,
    port: int = 0,
) -> ThreadingHTTPServer:
    """Make a web server that shows scans; call its `serve_forever`, end with `server_close`.

    It answers with the page and with scans by number, never with a file by its name. Bound to
    loopback it answers only requests addressed to this machine by its loopback names, so that no
    foreign page can read scans through the visitor's browser.

    Args:
        names: of each scan.
        load: scan number to scan, labels and truth; must be safe to call from several threads.
        classes: of the labels; None shows height and intensity only.
        has_truth: whether `load` gives true labels.
        title: of the page.
        host: address to bind to.
        port: 0 takes a free one; see the server's `server_address`.

    Raises:
        InputError: no scan, or an address that cannot be bound to.
    """
    if not names:
        raise InputError("a viewer needs at least one scan, got none")
    page = viewer_page(title, names, classes, has_truth, None).encode()

    @lru_cache(maxsize=KEPT_SCANS)
    def packed(index: int) -> bytes:
        scan, labels, truth = load(index)
        return pack_scan(scan, labels, classes, truth=truth if has_truth else None)

    is_open = host not in (LOOPBACK, "localhost", "::1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not is_open and not _is_loopback_name(self.headers.get("Host", "")):
                return self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"wrong host name")
            path = urlsplit(self.path).path
            if path == "/":
                return self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page)
            number = path.removeprefix("/scan/")
            is_scan = path.startswith("/scan/") and number.isascii() and number.isdigit()
            if not is_scan or len(number) > 9 or int(number) >= len(names):
                return self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not found")
            try:
                content = packed(int(number))
            except InputError as error:
                message = str(error).encode()
                return self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, "text/plain", message)
            return self._answer(HTTPStatus.OK, "application/octet-stream", content)

        def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing on the terminal."""

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise InputError(f"cannot serve on {host}:{port}: {error.strerror}") from error


def _is_loopback_name(host: str) -> bool:
    """Whether a Host header, with or without a port, names this machine itself."""
    return urlsplit(f"//{host}").hostname in (LOOPBACK, "localhost", "::1")
