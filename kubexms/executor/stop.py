"""The user asks to stop: once to finish what is in flight, twice to stop now."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignal:
    """How urgently the run is to stop. Any thread and any signal handler may ask.

    No lock is taken: a signal handler runs between two instructions of the very thread that might
    hold it. A lost race can only make two requests count as one.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._listeners: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Nothing new shall begin."""
        return self._requests > 0

    @property
    def now(self) -> bool:
        """What is in flight shall end, too."""
        return self._requests > 1

    def request(self) -> None:
        """Ask to stop, or, the second time, to stop now."""
        self._requests += 1
        for listener in tuple(self._listeners):
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have `listener` called at each request, in the asking thread; it must not block or raise."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """No longer call it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """While inside, SIGINT, SIGTERM and SIGHUP are requests. Only in the main thread."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.request()

        previous = {number: signal.signal(number, handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
