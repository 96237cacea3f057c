"""The viewer as a local web server: pages and scans, nothing else, for nobody else."""

import http.client
import socket
import struct
import threading
import time

import pytest
from browser import Browser, find_chromium
from test_viewer import CLASSES, street, unpack

from lidarpan.structures import InputError
from lidarpan.viewer import server as viewer_server
from lidarpan.viewer.server import make_viewer_server


@pytest.fixture
def server():
    loaded = []

    def load(index):
        if index == 2:
            raise InputError("000002.bin: cut in the middle of a point")
        loaded.append(index)
        return street(float(index))

    server = make_viewer_server(["a", "b", "c"], load, CLASSES, has_truth=True, title="folder")
    server.loaded = loaded
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def get(server, path, **headers):
    connection = http.client.HTTPConnection(*server.server_address, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_bound_to_loopback(server):
    assert server.server_address[0] == "127.0.0.1"


def test_scans_are_read_when_asked_for_and_kept(server):
    status, content = get(server, "/")
    assert status == 200
    assert b'"names": ["a", "b", "c"]' in content
    assert server.loaded == []
    assert get(server, "/scan/1")[0] == 200
    header, *_ = unpack(get(server, "/scan/1")[1])
    assert header["count"] == 6700
    assert server.loaded == [1]


@pytest.mark.parametrize(
    "path",
    ["/scan/3", "/scan/-1", "/scan/", "/scan/x", "/scan/1/..", "/../etc/passwd", "//etc/passwd",
     "/scan/..%2f..%2fetc%2fpasswd", "/scan/" + "9" * 5000, "/scan/%c2%b2"],
)  # fmt: skip
def test_nothing_else_is_served(server, path):
    assert get(server, path)[0] in (404, 400)


def test_foreign_host_names_are_refused(server):
    assert get(server, "/scan/0", Host="evil.example")[0] == 403
    assert get(server, "/scan/0", Host="localhost:80")[0] == 200


@pytest.mark.parametrize("host", ["[", "[::1", "]", "a b", "[evil]:80", "\x80"])
def test_odd_host_names_are_refused_without_a_word(server, host, capfd):
    with socket.create_connection(server.server_address, timeout=20) as client:
        client.sendall(f"GET /scan/0 HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        assert b" 403 " in client.recv(100)
    assert capfd.readouterr() == ("", "")


def test_clients_that_leave_early_leave_no_trace(server, capfd, caplog):
    for sent in (b"", b"GET", b"GET /scan/0 HTTP/1.0\r\n\r\n"):
        client = socket.create_connection(server.server_address, timeout=20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
        client.sendall(sent)
        client.close()
    assert get(server, "/scan/1")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_half_open_requests_are_left(server, monkeypatch):
    monkeypatch.setattr(viewer_server, "REQUEST_S", 0.3)
    with socket.create_connection(server.server_address, timeout=20) as client:
        for _ in range(4):  # never silent, never whole
            client.sendall(b"GET")
            time.sleep(0.02)
        assert client.recv(100) == b""


def test_places_are_bounded_and_given_back(server, monkeypatch):
    before = threading.active_count()
    clients = [
        socket.create_connection(server.server_address, timeout=20)
        for _ in range(viewer_server.MAX_CLIENTS)
    ]
    with socket.create_connection(server.server_address, timeout=20) as late:
        assert late.recv(100).startswith(b"HTTP/1.0 503 ")
    assert threading.active_count() <= before + 2 * viewer_server.MAX_CLIENTS  # and their timers
    for client in clients:
        client.close()
    for _ in range(200):
        if server._places.acquire(blocking=False):
            server._places.release()
            break
        time.sleep(0.02)
    assert get(server, "/scan/1")[0] == 200


def test_a_bad_scan_is_explained(server):
    status, content = get(server, "/scan/2")
    assert status == 422
    assert b"cut in the middle" in content


def test_bad_calls_are_explained(server):
    with pytest.raises(InputError, match="at least one scan"):
        make_viewer_server([], street)
    with pytest.raises(InputError, match="cannot serve on"):
        make_viewer_server(["a"], street, port=server.server_address[1])


def test_the_page_steps_through_the_folder(server):
    browser = Browser(find_chromium())
    try:
        browser.open(f"http://127.0.0.1:{server.server_address[1]}/")
        assert browser.run("lidarpan.state.scan.count") == 6700
        browser.key("ArrowRight")
        browser.wait("lidarpan.state.scan.labels.instances[0].center[0] > 10.8")
        assert browser.errors == []
        browser.key("ArrowRight")
        browser.wait("!document.getElementById('problem').hidden")
        assert "cut in the middle" in browser.run("document.getElementById('problem').innerText")
    finally:
        browser.close()
