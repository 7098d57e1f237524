"""The end of an apply: what failed, a line per host, and the sentence that other tools look for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.executor.events import HOOK, RunResult, StepStatus
from kubexms.views.diagnostics import diagnostic_lines
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text
from kubexms.views.outcome import FAILURES, HostTally, Totals, tallies
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.values import plural


def recap_text(
    result: RunResult,
    paint: Paint = plain,
    *,
    operation: str = "apply",
    expand: bool = False,
    width: int | None = None,
) -> str:
    """Hosts that went alike share a line; those with trouble, and then the failures, come last."""
    sections = [_hosts(result, paint, expand=expand), _stale(result, paint), _skipped(result, paint)]
    sections += [_failures(result, paint), _conclusion(result, paint, operation, width)]
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section))) + "\n"


def _hosts(result: RunResult, paint: Paint, *, expand: bool) -> Iterator[str]:
    groups: dict[tuple[object, ...], list[HostTally]] = defaultdict(list)
    for tally in tallies(result):
        counts = (tally.ok, tally.changed, tally.failed, tally.skipped)
        alike = (*counts, tally.ignored, tally.unreachable, tally.stale)
        groups[(tally.host, *alike) if expand else alike].append(tally)
    if not groups:
        return
    names = [printable(fold_text(tally.host for tally in members)) for members in groups.values()]
    column = min(max(map(len, names)), 40)
    widest = [max(len(str(key[-7 + place])) for key in groups) for place in range(4)]
    yield paint(Role.BOLD, "Recap")
    for name, members in zip(names, groups.values(), strict=True):
        yield f"  {name:{column}}  {_figures(members[0], widest, paint)}"


def _figures(tally: HostTally, widest: list[int], paint: Paint) -> str:
    figures = (
        ("ok", tally.ok, Role.GOOD),
        ("changed", tally.changed, Role.CHANGE),
        ("failed", tally.failed, Role.ERROR),
        ("skipped", tally.skipped, Role.SKIPPED),
    )
    parts = []
    for (word, count, role), width in zip(figures, widest, strict=True):
        parts.append(paint(role if count else Role.DIM, f"{word}={count}") + " " * (width - len(str(count))))
    if tally.ignored:
        parts.append(paint(Role.WARNING, f"ignored={tally.ignored}"))
    if tally.unreachable is not None:
        parts.append(paint(Role.ERROR, "unreachable") + f" ({printable(tally.unreachable)})")
    if tally.stale:
        parts.append(paint(Role.WARNING, "left out"))
    return "  ".join(parts).rstrip()


def _stale(result: RunResult, paint: Paint) -> Iterator[str]:
    """What moved on each host that was left out."""
    moved = [item for item in result.stale if item.host not in result.unreachable]
    if not moved:
        return
    yield paint(Role.BOLD, "Left out, because it moved since the plan was made")
    for item in moved:
        yield f"  {printable(item.address)}"
        yield from (f"    {printable(line)}" for line in item.detail.splitlines())


def _skipped(result: RunResult, paint: Paint) -> Iterator[str]:
    """How many steps were not begun, and because of whom; alike hosts together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for item in result.results:
        if item.status is StepStatus.SKIPPED:
            host = item.address.rpartition("@")[2]
            groups[item.message.replace(f"@{host}", "")].append(host)
    if not groups:
        return
    yield paint(Role.BOLD, "Skipped")
    for message, hosts in groups.items():
        because = f": {printable(message)}" if message else ""
        yield f"  {plural(len(hosts), 'step')} on {fold_text(hosts)}{because}"


def _failures(result: RunResult, paint: Paint) -> Iterator[str]:
    groups: dict[tuple[str, str, StepStatus], list[str]] = defaultdict(list)
    for item in result.results:
        if item.status in FAILURES | {StepStatus.IGNORED}:
            path, _, host = item.address.rpartition("@")
            groups[path, item.message.strip().split("\n")[0], item.status].append(host)
    if not groups:
        return
    yield paint(Role.BOLD, "Did not work")
    for (path, message, status), hosts in groups.items():
        mark = " (ignored)" if status is StepStatus.IGNORED else ""
        because = f": {printable(message)}" if message else ""
        yield f"  {printable(path)}@{','.join(fold_text(hosts).split(', '))}{mark}{because}"


def _conclusion(result: RunResult, paint: Paint, operation: str, width: int | None) -> Iterator[str]:
    totals = Totals.of(result)
    if not result.failed:
        yield paint(Role.GOOD, totals.line(operation))
        return
    counts = Counter(item.status for item in result.results)
    hooks = sum(item.kind == HOOK for item in result.results if item.status is StepStatus.FAILED)
    failed = counts[StepStatus.FAILED] - hooks
    left_out = len({item.host for item in result.stale} - {*result.unreachable})
    troubles = [
        (failed, f"{plural(failed, 'step')} failed"),
        (hooks, f"{plural(hooks, 'hook')} failed"),
        (counts[StepStatus.INTERRUPTED], f"{plural(counts[StepStatus.INTERRUPTED], 'step')} interrupted"),
        (counts[StepStatus.SKIPPED], f"{plural(counts[StepStatus.SKIPPED], 'step')} skipped"),
        (len(result.unreachable), f"{plural(len(result.unreachable), 'host')} unreachable"),
        (left_out, f"{plural(left_out, 'host')} left out"),
    ]
    told = ", ".join(words for count, words in troubles if count)
    what = "was stopped" if result.interrupted else "is incomplete"
    summary = f"the {operation} {what}" + (f": {told}" if told else "")
    if not result.interrupted and not told:
        summary = f"the {operation} is incomplete"
    more = f" `kubexms runs show {result.run}` tells more." if result.run else ""
    detail = (
        f"Done and recorded: {totals.figures()}.\n"
        f"`kubexms {operation}` goes on from what the hosts are now.{more}"
    )
    yield from diagnostic_lines(Diagnostic(Severity.ERROR, summary, detail), paint, width=width)
