"""Webhooks against a real server: it fails first, asks to wait, redirects, refuses, hangs up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kubexms.errors import OutputError
from kubexms.runtime.webhook import LONGEST_WAIT, post

Answer = tuple[int, Mapping[str, str]]


class Server:
    """Gives its answers one after the other, then 204; 0 hangs up."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, Mapping[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                status, headers = outer.answers.pop(0) if outer.answers else (204, {})
                if not status:
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook/s3cret-path"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    found = Server()
    yield found
    found.close()


HEADERS = {"Authorization": "Bearer canary"}


def test_a_document_arrives_with_its_headers(server: Server) -> None:
    waits: list[float] = []
    post(server.url, b'{"a": 1}', HEADERS, sleep=waits.append)
    ((path, headers, body),) = server.requests
    assert (path, body, waits) == ("/hook/s3cret-path", b'{"a": 1}', [])
    assert headers["Authorization"] == "Bearer canary"
    assert headers["Content-Type"] == "application/json"


def test_what_fails_first_is_tried_again_a_little_later(server: Server) -> None:
    server.answers = [(503, {}), (0, {}), (429, {"Retry-After": "7"})]
    waits: list[float] = []
    post(server.url, b"{}", HEADERS, sleep=waits.append)
    assert len(server.requests) == 4
    assert waits == [1.0, 2.0, 7.0]


def test_attempts_and_waits_are_bounded_and_nothing_secret_is_said(server: Server) -> None:
    server.answers = [(503, {"Retry-After": "86400"})] * 9
    waits: list[float] = []
    with pytest.raises(OutputError) as caught:
        post(server.url, b"{}", HEADERS, sleep=waits.append)
    assert (len(server.requests), max(waits)) == (4, LONGEST_WAIT)
    assert str(caught.value) == (
        "the webhook at 127.0.0.1 did not take the report, tried 4 times: it answered 503"
    )


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refusal_is_final(server: Server, status: int) -> None:
    server.answers = [(status, {})]
    with pytest.raises(OutputError, match=f"refused the report: it answered {status}"):
        post(server.url, b"{}", HEADERS)
    assert len(server.requests) == 1


def test_nobody_is_followed_elsewhere(server: Server) -> None:
    server.answers = [(307, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(OutputError, match="it answered 307"):
        post(server.url, b"{}", HEADERS)


def test_nobody_there(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    with pytest.raises(OutputError, match="tried 4 times: Connection refused"):
        post("http://127.0.0.1:1/s3cret", b"{}", {}, sleep=waits.append)
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://example.org/canary", {}),
        ("canary", {}),
        ("http:///canary", {}),
        ("http://[canary/", {}),
        ("http://127.0.0.1/ca nary", {}),
        ("http://127.0.0.1/", {"X": "canary\nY: 1"}),
        ("http://127.0.0.1/", {"X canary:": "1"}),
    ],
)
def test_what_cannot_be_sent_is_not_repeated_in_the_error(
    url: str, headers: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(OutputError) as caught:
        post(url, b"{}", headers, attempts=1)
    assert "canary" not in f"{caught.value}{caught.value.diagnostics}"
