"""A headless Chromium that is spoken to over two pipes: no port, no driver, no network.

The protocol is Chromium's DevTools protocol, messages as JSON that end with a NUL.
Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

SECONDS = 60
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --no-default-browser-check "
    "--disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe"
)


def missing() -> str:
    """Why there is no browser here; empty if there is one."""
    return "" if _program() else "no chromium on PATH (apt-get install chromium)"


def _program() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path), None)


class DoesNotStart(Exception):
    """There is a browser, and it does not start here: a sandbox of its distributor, a missing library."""


class Browser:
    """One page in a browser of its own. Raises `DoesNotStart`; close it."""

    def __init__(self, profile: Path) -> None:
        program = _program()
        assert program is not None
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        command = f'exec "$0" {FLAGS} --user-data-dir="$1" about:blank 3<&{reads} 4>&{writes}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, program, str(profile)],
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.problems: list[str] = []
        """What the console, the policy and uncaught exceptions said."""
        self.requests: list[str] = []
        """Every address that was asked for."""

        try:
            found = self._call("Target.createTarget", url="about:blank")
        except (AssertionError, BrokenPipeError) as error:
            self.close()
            raise DoesNotStart(str(error)) from error
        attached = self._call("Target.attachToTarget", targetId=found["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._to)
        os.close(self._from)

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until it is there; what was there before is gone."""
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=path.as_uri() + fragment)
        while self.run("document.readyState") != "complete" or self.run("location.protocol") != "file:":
            pass

    def run(self, script: str) -> Any:
        """The value of an expression (a promise is awaited). Raises `AssertionError` if it throws."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def scripts(self, *, allowed: bool) -> None:
        """Whether pages that are opened from now on may run scripts of their own."""
        self._call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def look(self, width: int, height: int, *, scheme: str = "light", media: str = "screen") -> None:
        """The size of the window in CSS pixels, and what the page is made to believe of its reader."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)

    def picture(self, path: Path) -> None:
        """A PNG of the window."""
        found = self._call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], SECONDS)
            assert ready, f"the browser said nothing for {SECONDS} s"
            data = os.read(self._from, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                self.problems.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.problems.append(json.dumps(parameters["args"]))
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
