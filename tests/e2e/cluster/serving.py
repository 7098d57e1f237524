"""A server of HTTP in the network of a fleet, on the controller's side."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from tests.e2e.testbed import Fleet
from tests.e2e.testbed.network import GATEWAY


class Serving:
    """Hosts reach it at GATEWAY; a context manager that serves meanwhile."""

    def __init__(self, fleet: Fleet, port: int, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        with fleet.network():
            self._server: Any = ThreadingHTTPServer((GATEWAY, port), handler)
        self._thread = Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
