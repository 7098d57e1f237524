"""Time as steps see it: monotonic, and a wait that ends when the user asks to stop now."""

from __future__ import annotations

import time
from collections.abc import Callable

from kubexms.errors import Interrupted


class Clock:
    """Time, injectable. `sleep` returns early and raises `Interrupted` when `stopped` says so."""

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stopped():
                raise Interrupted("stopped while waiting")
            time.sleep(min(left, 0.2))
