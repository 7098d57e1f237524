"""The state for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubexms.state.model import StateMeta, StepState
from kubexms.views.escaping import printable
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.values import Phrase, ValueWriter


def state_text(meta: StateMeta, entries: Sequence[StepState], paint: Paint = plain) -> str:
    """What is managed, with the attributes as last applied."""
    head = f"Workspace {meta.workspace}, serial {meta.serial}, lineage {meta.lineage}: {len(entries)} steps\n"
    return head + "".join(f"\n{entry_text(entry, paint)}" for entry in entries)


def entry_text(entry: StepState, paint: Paint = plain) -> str:
    """One entry in full."""
    return "".join(f"{line}\n" for line in _entry(entry, paint))


def _entry(entry: StepState, paint: Paint) -> Iterator[str]:
    yield paint(Role.BOLD, f"# {printable(entry.address)}")
    before = (
        "adopted as it was"
        if not entry.touched
        else (f"was {entry.prior.presence.value} before" if entry.prior is not None else "has no prior")
    )
    when = f"{entry.updated:%Y-%m-%d %H:%M:%S}" if entry.updated else "never"
    yield paint(Role.DIM, f"# {before}; last touched {when} by run {entry.run}")
    if entry.tainted:
        yield paint(Role.WARNING, "# its last apply failed")
    yield f"{entry.kind} {{"
    width = max((len(name) for name in entry.attributes), default=0)
    writer = ValueWriter(paint)
    for name, value in sorted(entry.attributes.items()):
        shown = Phrase("(sensitive value)") if isinstance(value, dict) and "$keyed" in value else value
        yield from writer.attributes([(name.ljust(width), shown, shown)], 4)
    yield "}"
