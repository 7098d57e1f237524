"""Progress on a terminal: what each busy host is doing, redrawn in place; results scroll above it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from kubexms.executor.events import (
    Event,
    RefreshFinished,
    RefreshStarted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepProgress,
    StepStarted,
)
from kubexms.plan.model import Plan
from kubexms.views.apply_lines import event_lines
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text, natural
from kubexms.views.paint import Paint
from kubexms.views.values import plural

_BAR = 20
_PER_SECOND = 8
_SOON = 0.5
"""Seconds before anything shows: what is quick shows nothing."""
_LONG = 30
"""Seconds after which a step's time stands out."""


@dataclass(slots=True)
class _Busy:
    """What a host is at."""

    doing: str
    since: float
    said: str = ""


class LiveProgress:
    """A `Listener` and a context manager. Thread-safe; leaves nothing of itself on the screen.

    `clock` gives seconds on a clock that never goes back. Call `plan` once the plan is known:
    until the run starts, the terminal then belongs to whoever asks a question.
    """

    def __init__(self, console: Console, paint: Paint, clock: Callable[[], float]) -> None:
        self._console = console
        self._paint = paint
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._busy: dict[str, dict[str, _Busy]] = {}
        """Host -> what it is at: one step, or those that share an exchange, in their order."""
        self._asked: set[str] = set()
        self._pending: set[str] = set()
        self._total: Counter[str] = Counter()
        self._done: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def plan(self, plan: Plan) -> None:
        """Take note of how much there is to do on each host, and leave the terminal alone."""
        self.pause()
        with self._lock:
            self._pending.clear()
            self._total = Counter(change.host for change in plan.effective)

    def pause(self) -> None:
        """Take the display away; the next run or question to hosts brings it back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __call__(self, event: Event) -> None:
        """Redraw, and print what scrolls."""
        with self._lock:
            self._note(event)
        if isinstance(event, (RefreshStarted, RunStarted)) and self._live is None:
            self._live = Live(
                get_renderable=self.render,
                console=self._console,
                refresh_per_second=_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        if isinstance(event, StepProgress):
            return
        if isinstance(event, RunFinished):
            self.pause()
        lines = list(event_lines(event, self._paint, width=self._console.width))
        if isinstance(event, StepFinished) and lines:
            lines = ["", *lines, ""]
        for line in lines:
            self._console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)

    def _note(self, event: Event) -> None:
        match event:
            case RefreshStarted(host):
                if not self._pending and not self._busy:
                    self._began = self._clock()
                self._asked.add(host)
                self._pending.add(host)
            case RefreshFinished(report, _):
                self._pending.discard(report.name)
            case RunStarted():
                self._pending.clear()
            case StepStarted(change):
                doing = change.address.rpartition("@")[0]
                self._busy.setdefault(change.host, {})[change.address] = _Busy(doing, self._clock())
            case StepProgress(change, _, message):
                busy = self._busy.get(change.host, {}).get(change.address)
                if busy is not None and message:
                    busy.said = message
            case StepFinished(change, _):
                self._done[change.host] += 1
                self._busy.get(change.host, {}).pop(change.address, None)
                if not self._busy.get(change.host):
                    self._busy.pop(change.host, None)
            case _:
                pass

    def render(self) -> Group:
        """The display as it is now: never taller than the terminal, empty while there is little to tell."""
        with self._lock:
            if not self._pending:
                return Group(*self._working())
            if self._clock() - self._began < _SOON:
                return Group()
            return Group(self._refreshing())

    def _refreshing(self) -> Text:
        answered = len(self._asked) - len(self._pending)
        text = Text(
            f"Refreshing state: {answered} of {plural(len(self._asked), 'host')} answered", no_wrap=True
        )
        waiting = printable(fold_text(sorted(self._pending, key=natural)))
        text.append(f", waiting for {waiting}", style="bright_black")
        text.truncate(self._console.width - 1, overflow="ellipsis")
        return text

    def _working(self) -> Iterator[Text]:
        total, done = sum(self._total.values()), sum(self._done.values())
        if not total:
            return
        bar = min(_BAR, self._console.width // 4)
        filled, mark = bar * min(done, total) // total, "#" if self._console.options.ascii_only else "━"
        head = Text(mark * filled, style="green")
        head.append(mark * (bar - filled), style="bright_black")
        head.append(f" {done}/{plural(total, 'step')}", style="default")
        head.truncate(self._console.width - 1, overflow="crop")
        yield head
        room = max(1, min(self._console.height - 4, self._console.height // 2))
        names = sorted(self._busy, key=natural)
        width = max((len(printable(name)) for name in names), default=0)
        for name in names[:room]:
            yield self._row(name, width)
        if len(names) > room:
            yield Text(f"  and {plural(len(names) - room, 'more host')}", style="bright_black")

    def _row(self, name: str, width: int) -> Text:
        busy, *others = self._busy[name].values()
        row = Text(f"  {printable(name):{width}}  ", no_wrap=True)
        row.append(f"{self._done[name]}/{self._total[name]}  ", style="bright_black")
        row.append(printable(busy.doing))
        if others:
            row.append(f" and {len(others)} more", style="bright_black")
        seconds = self._clock() - busy.since
        if seconds >= 1:
            row.append(f"  {seconds:.0f}s", style="yellow" if seconds >= _LONG else "bright_black")
        if busy.said:
            row.append(f"  {printable(busy.said)}", style="bright_black")
        row.truncate(self._console.width - 1, overflow="ellipsis")
        return row
