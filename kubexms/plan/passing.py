"""Steps that pass their objects on to each other: what is known of an object goes where it goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from kubexms.plan.recorded import orphan
from kubexms.plan.rendered import Instance
from kubexms.plan.working import HostWork
from kubexms.spec.address import Address
from kubexms.state.model import StepState

_Object: TypeAlias = tuple[str, str]
"""Kind and object id."""


def pass_on(work: HostWork) -> None:
    """Let a host's entries follow their objects to the steps that are about them now, as `passed_on` says."""
    own = dict(work.stated)
    begun = {a: orphan(i) for a, i in work.intents.items() if a not in own}
    work.passed = passed_on({**begun, **own}, work.siblings, work.left_out)
    about = {str(item.address): item.rendered for item in work.siblings}
    for address, entry in begun.items():  # what was begun under a step that is about another object now
        now = about.get(address)
        if now is not None and now.unknown_identity is None and now.object_id != entry.object_id:
            own[address] = entry
    own |= {address: entry for address, entry in work.passed.items() if entry is not None}
    gone = {address for address, entry in work.passed.items() if entry is None}
    entries = (entry for address, entry in own.items() if address not in gone)
    work.entries = {entry.address: entry for entry in sorted(entries, key=lambda item: item.order)}
    work.orphans = {a: e for a, e in begun.items() if a not in work.entries}


def passed_on(
    recorded: Mapping[str, StepState], instances: Sequence[Instance], unselected: Collection[str]
) -> dict[str, StepState | None]:
    """Entries as they are to stand under their addresses before any of these steps begins; None: no entry.

    Two files that swap their paths, a name that was given to another step while its own got a new one:
    an entry tells of an object, its prior included, so it follows the object to the step that is about
    it now. If the state has that before the first write, a run may end anywhere. `unselected` are paths
    of steps that are in the documents and not on this host. Who is new and takes over from a step that
    left the documents is no case of this: that is what `moved` is for.
    """
    now = {str(item.address): _object(item) for item in instances}
    held = {address: (entry.kind, entry.object_id) for address, entry in recorded.items()}

    def leaves(address: str) -> bool:
        if address in now:
            return now[address] not in (None, held[address])
        return _path(address) not in unselected

    kept = {held[address] for address in recorded if not leaves(address)}
    free = {held[address]: address for address in reversed(list(recorded)) if held[address] not in kept}
    takes: dict[str, str] = {}
    for address, thing in now.items():
        giver = free.get(thing) if thing is not None and held.get(address) != thing else None
        if giver is not None and thing is not None and (address in recorded or giver in now):
            takes[address] = giver
            del free[thing]
    found: dict[str, StepState | None] = {
        taker: _under(taker, recorded[giver], recorded.get(taker)) for taker, giver in takes.items()
    }
    for first in takes.keys() - takes.values():
        last = takes[first]
        while last in takes:
            last = takes[last]
        # who is left without an entry has what nobody is about any more undone
        rest = recorded.get(first)
        found[last] = _under(last, rest, recorded[last]) if rest is not None else None
    return found


def _object(instance: Instance) -> _Object | None:
    rendered = instance.rendered
    executor = rendered.executor
    if rendered.unknown_identity is not None or not executor.identity:
        return None
    if not executor.owns(rendered.spec) or executor.runs(rendered.spec) != "observed":
        return None
    return executor.kind, rendered.object_id


def _under(address: str, entry: StepState, own: StepState | None) -> StepState:
    place = own or entry
    kept = {"address": address, "order": place.order, "depends_on": place.depends_on}
    return entry.model_copy(update=kept)


def _path(address: str) -> str:
    parsed = Address.parse(address)
    return f"{parsed.module}/{parsed.task}/{parsed.step}"
