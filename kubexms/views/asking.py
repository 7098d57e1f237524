"""While hosts are asked: one quiet line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from kubexms.executor.events import Event, RefreshFinished, RefreshStarted

_SOON = 0.5
"""Seconds after which the line appears: a quick plan shows none."""


class Asking:
    """A listener that shows how many hosts have answered. A context manager that clears its line."""

    def __init__(
        self,
        hosts: int,
        *,
        visible: bool,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._visible = visible
        self._stream = stream or sys.stderr
        self._clock = clock
        self._began = clock()
        self._answered = 0
        self._pending: set[str] = set()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case RefreshStarted(host=host):
                self._pending.add(host)
            case RefreshFinished(report=report):
                self._answered += 1
                self._pending.discard(report.name)
            case _:
                return
        if self._visible and self._clock() - self._began >= _SOON:
            waiting = ", ".join(sorted(self._pending)[:3])
            more = f" (waiting for {waiting}{', …' if len(self._pending) > 3 else ''})" if waiting else ""
            self._stream.write(f"\r\x1b[K{self._answered} of {self._hosts} hosts have answered{more}")
            self._stream.flush()
            self._shown = True
