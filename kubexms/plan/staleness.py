"""Whether a saved plan still holds: what it changes, against what is there now."""

from __future__ import annotations

from dataclasses import dataclass

from kubexms.plan.model import Change, HostStatus, Plan


@dataclass(frozen=True, slots=True)
class Moved:
    """One step that is not any more as the plan found it."""

    address: str
    host: str
    what: str
    """`spec`, `observation`, `state`, `unreachable`, or `dependency`."""
    detail: str


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
        return [Moved(*where, "spec", "it is not in the spec or the state any more")]
    if now.binding.spec and planned.binding.spec != now.binding.spec:
        return [
            Moved(
                *where,
                "spec",
                "its rendered fields changed (documents, variables, facts, outputs or secrets)",
            )
        ]
    if not now.effective:
        return [
            Moved(
                *where,
                "observation",
                f"the plan would have {_did(planned)} it; the host is as desired already",
            )
        ]
    if planned.binding.observation != now.binding.observation:
        return [Moved(*where, "observation", _values(planned, now))]
    if planned.binding.state != now.binding.state:
        return [Moved(*where, "state", "its entry in the state changed: something was applied since")]
    if planned.action is not now.action:
        return [Moved(*where, "observation", f"it would now be {_did(now)}, not {_did(planned)}")]
    return []


def _values(planned: Change, now: Change) -> str:
    names = sorted({*(planned.before or {}), *(now.before or {})})
    parts = []
    for name in names:
        was, is_now = (planned.before or {}).get(name), (now.before or {}).get(name)
        if was != is_now:
            want = (planned.after or {}).get(name)
            parts.append(f"{name}: planned from {was!r}, observed now {is_now!r}, desired {want!r}")
    return "; ".join(parts) or "the host changed"


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
