"""Rolling work: hosts in batches, with canaries, and what stops further batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubexms.errors import ConfigError
from kubexms.spec.pipeline import Strategy


def batch_sizes(max_parallel: int | str | tuple[int | str, ...], hosts: int) -> list[int]:
    """The sizes of the batches that take `hosts` hosts; the last size given repeats.

    A percentage is of all hosts of the scope, rounded down, and at least one. Raises `ConfigError`.
    """
    given = max_parallel if isinstance(max_parallel, tuple) else (max_parallel,)
    if not given:
        raise ConfigError("maxParallel is an empty list", detail='Write a number, "25%", or [1, 5, "25%"].')
    sizes: list[int] = []
    left = hosts
    while left > 0:
        size = min(left, _size(given[min(len(sizes), len(given) - 1)], hosts))
        sizes.append(size)
        left -= size
    return sizes


def _size(text: int | str, hosts: int) -> int:
    number = str(text).strip()
    percent = number.endswith("%")
    digits = number.removesuffix("%").strip()
    if not digits.isascii() or not digits.isdigit() or int(digits) < 1 or (percent and int(digits) > 100):
        raise ConfigError(
            f"maxParallel cannot be {text!r}", detail='Write a number from 1, or a percentage such as "25%".'
        )
    return max(1, hosts * int(digits) // 100) if percent else int(digits)


class Rolling:
    """The batches of one task or module. A batch begins when the one before it has wholly ended."""

    def __init__(self, strategy: Strategy, counts: Mapping[str, int]) -> None:
        """`counts`: for each host, in the order in which batches take them, its number of nodes."""
        assert strategy.max_parallel is not None
        sizes = batch_sizes(strategy.max_parallel, len(counts))
        self.tolerated = strategy.max_failures or 0
        self.stopped: str | None = None
        """Because of whom no further batch begins."""
        self.parked: dict[str, list[int]] = {}
        """Host of a later batch -> nodes that are ready."""
        self._batch = dict(zip(counts, _numbers(sizes), strict=True))
        self._left = [0] * len(sizes)
        for host, count in counts.items():
            self._left[self._batch[host]] += count
        self._current = 0

    def admits(self, host: str) -> bool:
        """Whether the host's batch has begun."""
        return self._batch.get(host, 0) <= self._current

    def finish(self, host: str) -> bool:
        """One node of the host has ended; whether its whole batch has now, and `advance` is due."""
        number = self._batch.get(host)
        if number is None:
            return False  # it has hooks here and no step that takes part
        self._left[number] -= 1
        return self._left[number] == 0 and number == self._current

    def advance(self, failed: int, because: str) -> Sequence[int]:
        """Begin the next batch, or stop; the parked nodes that are to be looked at again."""
        if failed > self.tolerated:
            self.stopped = because
        while self._current + 1 < len(self._left):
            self._current += 1
            if self._left[self._current] and self.stopped is None:
                break
        released = [host for host in self.parked if self.admits(host)]
        return [node for host in released for node in self.parked.pop(host)]


def _numbers(sizes: Sequence[int]) -> list[int]:
    return [number for number, size in enumerate(sizes) for _ in range(size)]
