"""Whether a saved plan still holds: what it changes, against what is there now."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pydantic import JsonValue

from kubexms.plan.model import HIDDEN, Change, HostStatus, Plan


@dataclass(frozen=True, slots=True)
class Moved:
    """One step that is not any more as the plan found it."""

    address: str
    host: str
    what: str
    """`spec`, `observation`, `state`, `unreachable`, or `dependency`."""
    detail: str
    """Why, and a line for each attribute concerned: planned from, observed now, desired."""


def moved_since(saved: Plan, fresh: Plan, depends: dict[str, tuple[str, ...]]) -> list[Moved]:
    """What moved between the saved plan and a fresh one of the same options.

    Only the saved plan's changes and what they depend on (`depends`: address -> addresses) count:
    two plans for different hosts do not invalidate each other.
    """
    now = {change.address: change for change in fresh.changes}
    then = {change.address: change for change in saved.changes}
    hosts = {report.name: report for report in fresh.hosts}
    found: list[Moved] = []
    for change in saved.effective:
        report = hosts.get(change.host)
        if report is not None and report.status in (HostStatus.UNREACHABLE, HostStatus.MAINTENANCE):
            found.append(
                Moved(change.address, change.host, "unreachable", report.error or report.status.value)
            )
            continue
        found += _compare(change, now.get(change.address))
        for name in depends.get(change.address, ()):
            before, after = then.get(name), now.get(name)
            if after is not None and after.effective and (before is None or not before.effective):
                found.append(
                    Moved(change.address, change.host, "dependency", f"{name} would now be {_did(after)}")
                )
    return found


def _compare(planned: Change, now: Change | None) -> list[Moved]:
    where = (planned.address, planned.host)
    if now is None:
        why = "it is not in the spec or the state any more"
        return [Moved(*where, "spec", f"{why}\n{_values(planned, None)}")]
    values = _values(planned, now)
    if now.binding.spec and planned.binding.spec != now.binding.spec:
        why = "its rendered fields changed (documents, variables, facts, outputs or secrets)"
        return [Moved(*where, "spec", f"{why}\n{values}")]
    if not now.effective:
        why = f"the plan would have {_did(planned)} it; the host is as desired already"
        return [Moved(*where, "observation", f"{why}\n{values}")]
    if planned.binding.observation != now.binding.observation:
        return [Moved(*where, "observation", values)]
    if planned.binding.state != now.binding.state:
        why = "its entry in the state changed: something was applied since"
        return [Moved(*where, "state", f"{why}\n{values}")]
    if planned.action is not now.action:
        return [
            Moved(*where, "observation", f"it would now be {_did(now)}, not {_did(planned)}\n{values}"),
        ]
    return []


_LONGEST = 60
"""Characters of one value in a refusal."""
_DIGEST = re.compile(r"((?:sha\d{1,3}:)?[0-9a-f]{12})[0-9a-f]{28,}")
"""Shown by its first digits, as in a plan."""


def _values(planned: Change, now: Change | None) -> str:
    """A line for each attribute that moved; if none did, for each of those that were to change."""
    known = (planned.before, planned.after, *((now.before, now.after) if now is not None else ()))
    names = sorted({name for values in known for name in values or ()} | set(planned.after_unknown))
    moved = [name for name in names if now is not None and _sides(planned, name) != _sides(now, name)]
    lines = [_line(name, planned, now) for name in moved or planned.changed]
    return "\n".join(lines) or "the host changed"


def _line(name: str, planned: Change, now: Change | None) -> str:
    was, wanted = _sides(planned, name)
    if now is None:
        return f"{name}: planned from {was}, desired {wanted}"
    seen, wants = _sides(now, name)
    desired = wants if wants == wanted else f"{wanted} in the plan and {wants} now"
    return f"{name}: planned from {was}, observed now {seen}, desired {desired}"


def _sides(change: Change, name: str) -> tuple[str, str]:
    """What an attribute is and is to be, as text."""
    before = "unknown" if change.before is None and change.unknown else _said(change.before, name)
    if name in change.after_unknown:
        return before, "known after apply"
    return before, _said(change.after, name)


def _said(values: dict[str, JsonValue] | None, name: str) -> str:
    if values is None or name not in values:
        return "absent"
    if values[name] == HIDDEN:
        return HIDDEN
    value = values[name]
    if isinstance(value, str) and (match := _DIGEST.fullmatch(value)):
        return f'"{match[1]}…"'
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _did(change: Change) -> str:
    words = {
        "create": "created",
        "update": "updated",
        "replace": "replaced",
        "delete": "deleted",
        "run": "run",
        "forget": "forgotten",
    }
    return words.get(change.action.value, "left alone")
