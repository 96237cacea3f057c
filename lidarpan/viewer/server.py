"""The viewer over any number of scans, on this machine: each scan is read when it is looked at."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Timer
from typing import Any
from urllib.parse import urlsplit

from lidarpan.classes import ClassTable
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.viewer import pack_scan, viewer_page

LOOPBACK = "127.0.0.1"
KEPT_SCANS = 16
MAX_CLIENTS = 32
QUIET_S = 15.0
"""A client that neither sends nor takes anything for so long is left."""
REQUEST_S = 15.0
"""A request must be whole after so long."""
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
_log = logging.getLogger("lidarpan")
Frame = tuple[Scan, PanopticLabels | None, PanopticLabels | None]


class ViewerServer(ThreadingHTTPServer):
    """A thread for each of at most MAX_CLIENTS clients at a time; the rest is told to come again.

    Clients that leave early or say nothing for long are forgotten without a word.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = BoundedSemaphore(MAX_CLIENTS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the client where there is a place for it."""
        if self._places.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:
                self._places.release()
                raise
            return
        with suppress(OSError):
            request.settimeout(0.1)
            request.sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one client, for REQUEST_S at most until its request is whole."""
        request.settimeout(QUIET_S)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but for clients that left."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a closed or silent connection
            _log.error("the viewer could not answer", exc_info=error)


def make_viewer_server(
    names: Sequence[str],
    load: Callable[[int], Frame],
    classes: ClassTable | None = None,
    *,
    has_truth: bool = False,
    has_scores: bool = False,
    min_score: float = 0.0,
    title: str = "lidarpan",
    host: str = LOOPBACK,
    port: int = 0,
) -> ViewerServer:
    """Make a web server that shows scans; call its `serve_forever`, end with `server_close`.

    It answers with the page and with scans by number, never with a file by its name. Bound to
    loopback it answers only requests addressed to this machine by its loopback names, so that no
    foreign page can read scans through the visitor's browser.

    Args:
        names: of each scan.
        load: scan number to scan, labels and truth; must be safe to call from several threads.
        classes: of the labels; None shows height and intensity only.
        has_truth: whether `load` gives true labels.
        has_scores: whether the labels that `load` gives have scores.
        min_score: where the slider that hides unsure objects stands at first.
        title: of the page.
        host: address to bind to.
        port: 0 takes a free one; see the server's `server_address`.

    Raises:
        InputError: no scan, or an address that cannot be bound to.
    """
    if not names:
        raise InputError("a viewer needs at least one scan, got none")
    page = viewer_page(
        title, names, classes, has_truth, None, has_scores=has_scores, min_score=min_score
    ).encode()

    @lru_cache(maxsize=KEPT_SCANS)
    def packed(index: int) -> bytes:
        scan, labels, truth = load(index)
        return pack_scan(scan, labels, classes, truth=truth if has_truth else None)

    is_open = host not in (LOOPBACK, "localhost", "::1")

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            late = Timer(REQUEST_S, self._hang_up)
            late.daemon = True
            late.start()
            self._is_whole = late.cancel
            try:
                super().handle_one_request()
            finally:
                late.cancel()

        def _hang_up(self) -> None:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def do_GET(self) -> None:
            self._is_whole()
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
        return ViewerServer((host, port), Handler)
    except OSError as error:
        raise InputError(f"cannot serve on {host}:{port}: {error.strerror}") from error


def _is_loopback_name(host: str) -> bool:
    """Whether a Host header, with or without a port, names this machine itself."""
    try:
        return urlsplit(f"//{host}").hostname in (LOOPBACK, "localhost", "::1")
    except ValueError:
        return False
