"""What moved while hosts were looked at: a running apply, told by the state before and after the look."""

from __future__ import annotations

from collections.abc import Collection

from kubexms.state.model import StateSnapshot


def in_motion(before: StateSnapshot, after: StateSnapshot, running: Collection[str]) -> dict[str, str]:
    """Host -> the run that was changing it between two readings of the state.

    A host moved if an intent of a `running` apply is open on it, or if any of its intents or entries
    changed: a whole step may have passed between the readings. What an apply does to one step can show
    on others (a package that restarts its service), so this is about hosts, not steps.
    """
    moved: dict[str, str] = {}
    for address in before.intents.keys() | after.intents.keys():
        was, now = before.intents.get(address), after.intents.get(address)
        intent = now or was
        assert intent is not None
        if was != now or intent.run in running:
            moved[_host(address)] = intent.run
    for address in before.steps.keys() | after.steps.keys():
        then, entry = before.steps.get(address), after.steps.get(address)
        if then is entry:
            continue
        if then is None or entry is None or (then.run, then.updated) != (entry.run, entry.updated):
            moved[_host(address)] = (entry or then).run if entry or then else ""  # type: ignore[union-attr]
    for scope in before.scopes.keys() | after.scopes.keys():
        opened = after.scopes.get(scope) or before.scopes[scope]
        if opened.run in running or (scope in before.scopes) != (scope in after.scopes):
            path, _, host = scope.partition("@")
            within = [_host(a) for a in after.steps if not path or a.startswith((f"{path}/", f"{path}["))]
            moved.update(dict.fromkeys([host] if host else within, opened.run))
    return moved


def _host(address: str) -> str:
    return address.rpartition("@")[2]
