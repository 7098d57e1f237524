"""An apply that runs while the test does something to it or to its hosts."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.cluster.projects import ClusterProject


class Applying:
    """`kubexms apply --json` in the background; a context manager that ends it if it still runs."""

    def __init__(self, project: ClusterProject) -> None:
        argv = [sys.executable, "-m", "kubexms", "apply", "--auto-approve", "--json"]
        self.process = project.fleet.popen(
            argv,
            cwd=project.root,
            env={"CI": "", "PYTHONPATH": str(Path.cwd())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._lines: list[str] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._begun: Counter[str] = Counter()
        self.finished: list[str] = []
        """Addresses of the steps that are done."""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until(self, kind: str, address: str | None = None, *, timeout: float = 600) -> bool:
        """Wait for the next event of a kind, of one address if given; false if the run ends before."""
        limit = time.monotonic() + timeout
        while (event := self._events.get(timeout=max(0.1, limit - time.monotonic()))) is not None:
            if event["type"] == kind and address in (None, _address(event)):
                return True
        return False

    def unfinished(self) -> str:
        """The steps that had begun and were not done; to be asked when the run is over."""
        return ", ".join(sorted(self._begun - Counter(self.finished))) or "none"

    def said(self) -> str:
        """All that it has written so far."""
        return "".join(self._lines)

    def wait(self, timeout: float) -> int:
        """Wait until it ends by itself; its exit status. Raises TimeoutExpired."""
        status = self.process.wait(timeout)
        self._reader.join()
        return status

    def kill(self) -> None:
        """Kill it, without a chance to say anything more."""
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the last line of one that was killed, or what Python says
            if event.get("type") == "apply_start":
                self._begun[_address(event)] += 1
            elif event.get("type") == "apply_complete":
                self.finished.append(_address(event))
            self._events.put(event)
        self._events.put(None)


def _address(event: dict[str, Any]) -> str:
    return str(event.get("hook", {}).get("resource", {}).get("addr", ""))
