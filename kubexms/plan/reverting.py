"""The reverting plan: what puts drifted steps back as they were last applied, not as documents say now."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kubexms.plan.bind import Binder
from kubexms.plan.conceal import KEYED, Concealer
from kubexms.plan.decide import Evidence, decide
from kubexms.plan.driftcheck import comparable
from kubexms.plan.lastapplied import NOT_KEPT
from kubexms.plan.model import Change, Reason
from kubexms.plan.recorded import recorded_step
from kubexms.plan.rendered import Instance
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.address import Address
from kubexms.spec.asset import Asset
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind, Disruption
from kubexms.step.observation import Presence

COMMAND = "command"
"""What `allow` calls steps that run something: what that does nobody can tell."""
_AFTER = 100_000
"""Positions from here on are of steps that the documents do not have any more."""


@dataclass
class Reverting:
    """Every last applied step, most of them with nothing to do, and what was left alone on purpose."""

    steps: dict[str, PlannedStep] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    """Drifted address -> why it is not put back."""


def reverting(
    works: Iterable[HostWork], drifted: Collection[str], conceal: Concealer, allow: Collection[str]
) -> Reverting:
    """What puts `drifted` back, as far as that interrupts nothing but what `allow` names.

    `allow` holds values of `Disruption` and `COMMAND`. A unit that would have to be restarted for what
    is put back counts as interrupted by that.
    """
    found = Reverting()
    for work in works:
        if work.usable:
            _Host(work, conceal, allow, found).revert({a for a in drifted if a in work.entries})
    return found


class _Host:
    def __init__(self, work: HostWork, conceal: Concealer, allow: Collection[str], found: Reverting) -> None:
        self._work, self._conceal, self._allow, self._found = work, conceal, allow, found
        self._entries = comparable(work)
        self._instances = self._last_applied()
        binder = Binder()
        everything = list(self._instances.values())
        self._bound = {a: binder.bind_one(item, everything) for a, item in self._instances.items()}

    def _last_applied(self) -> dict[str, Instance]:
        answer = self._work.answer
        assert answer is not None
        present = {str(instance.address): instance for instance in self._work.siblings}
        found: dict[str, Instance] = {}
        for address, entry in self._entries.items():
            seen = answer.applied.get(address)
            if seen is None:
                continue
            now = present.get(address)
            step = now.step if now is not None else recorded_step(entry)
            position = now.position if now is not None else _AFTER + entry.order
            found[address] = Instance(Address.parse(address), step, seen.rendered, position)
        return found

    def revert(self, drifted: Collection[str]) -> None:
        """Decide about the whole host."""
        wanted: dict[str, Change] = {}
        for address in sorted(drifted):
            change = self._change(address)
            why = self._obstacle(address, change) or self._forbidden(change)
            if why:
                self._found.left[address] = why
            else:
                wanted[address] = change
        triggered = self._triggered(wanted)
        for address, bound in self._bound.items():
            change = wanted.get(address) or triggered.get(address) or self._nothing(address)
            entry = self._entries[address]
            # state keeps steps and whole modules that were waited for in one list
            waited = tuple(name for name in entry.depends_on if name in self._bound)
            self._found.steps[address] = PlannedStep(
                change,
                bound.instance,
                entry,
                None,
                sources=bound.sources,
                inputs=dict(entry.inputs),
                depends_on=waited,
                data=tuple(dict.fromkeys(a for group in bound.sources.values() for a in group)),
                phases=tuple(name for name in entry.depends_on if name not in waited),
            )

    def _change(self, address: str, pending: tuple[str, ...] = ()) -> Change:
        answer, instance = self._work.answer, self._bound[address].instance
        assert answer is not None
        evidence = Evidence(
            instance,
            answer.applied[address].observation,
            self._entries[address],
            None,
            str(answer.facts.get("machine_id", "")),
            pending,
            self._recorded_digests(address),
        )
        change = decide(evidence, self._conceal)
        reason = None if not change.effective else Reason.TRIGGERED if pending else Reason.DRIFT
        return change.model_copy(update={"reason": reason})

    def _nothing(self, address: str) -> Change:
        entry = self._entries[address]
        return Change(address=address, kind=entry.kind, action=ActionKind.NO_OP)

    def _recorded_digests(self, address: str) -> dict[str, str]:
        """The sources of a step as they are once all of them are as last applied."""
        return {
            name: "+".join(self._entries[a].observation_digest for a in addresses if a in self._entries)
            for name, addresses in self._bound[address].sources.items()
        }

    # why not ------------------------------------------------------------------------------
    def _obstacle(self, address: str, change: Change) -> str:
        entry, rendered = self._entries[address], self._instances[address].rendered
        from_documents = any(str(item.address) == address for item in self._work.siblings)
        kept = address in self._work.settled and from_documents
        if not kept and _holds_secret(entry):
            return NOT_KEPT
        for name in type(rendered.spec).model_fields:
            value = getattr(rendered.spec, name)
            if isinstance(value, Asset) and not _same_bytes(value):
                return f"{value.path} is not the file any more that was applied"
        if not change.effective:
            return "its spec leaves that open"
        return ""

    def _forbidden(self, change: Change) -> str:
        executor = self._bound[change.address].instance.rendered.executor
        if (change.action is ActionKind.RUN or executor.imperative) and COMMAND not in self._allow:
            return f"it would run a {change.kind}: --allow-disruption {COMMAND} allows that"
        if change.disruption is not Disruption.NONE and change.disruption.value not in self._allow:
            word = change.disruption.value
            return f"putting it back means {_MEANS[change.disruption]}: --allow-disruption {word} allows that"
        return ""

    # who is restarted ---------------------------------------------------------------------
    def _triggered(self, wanted: dict[str, Change]) -> dict[str, Change]:
        """Changes of steps that watch what is put back; what they would interrupt is left alone instead."""
        while True:
            found: dict[str, Change] = {}
            for address, bound in self._bound.items():
                names = self._pending(address, wanted)
                if not names:
                    continue
                change = self._change(address, names)
                why = self._forbidden(change) if change.effective else ""
                if why:
                    for source in (a for name in names for a in bound.sources[name] if a in wanted):
                        wanted.pop(source)
                        self._found.left[source] = f"{address} watches it: {why}"
                    break
                if change.effective:
                    found[address] = change
            else:
                for address in found.keys() & wanted.keys():
                    wanted.pop(address)
                return found

    def _pending(self, address: str, wanted: Mapping[str, Change]) -> tuple[str, ...]:
        """Names of watched steps for whose return this one has to do something."""
        bound = self._bound[address]
        names = [name for name, sources in bound.sources.items() if any(a in wanted for a in sources)]
        if not names or self._work.answer is None:
            return ()
        rendered = bound.instance.rendered
        observation = self._work.answer.applied[address].observation
        if observation.presence is not Presence.PRESENT:
            return tuple(names)
        recorded = self._recorded_digests(address)

        def stale(digests: Mapping[str, str]) -> tuple[str, ...]:
            remembered = self._entries[address].remembered
            return rendered.executor.stale(rendered.spec, observation, remembered, digests)

        # who runs with what was applied needs nothing when that comes back: told by digests, not by times
        by_digest = {*stale(dict.fromkeys(recorded, "another"))} - {*stale(recorded)}
        return tuple(name for name in names if name not in by_digest)


_MEANS = {
    Disruption.RESTART: "a restart",
    Disruption.REBOOT: "a reboot",
    Disruption.DRAIN: "draining the node",
    Disruption.DATA_LOSS: "losing data",
}


def _holds_secret(entry: StepState) -> bool:
    return any(isinstance(value, dict) and KEYED in value for value in entry.spec.values())


def _same_bytes(asset: Asset) -> bool:
    try:
        with Path(asset.path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == asset.sha256
    except OSError:
        return False


def as_applied(work: HostWork, steps: Mapping[str, PlannedStep]) -> HostWork:
    """A host as a run sees it that knows nothing but what was last applied."""
    own = {address: step for address, step in steps.items() if step.change.host == work.name}
    answer = replace(work.answer, seen=dict(work.answer.applied)) if work.answer is not None else None
    return replace(work, steps=own, siblings=[s.instance for s in own.values()], answer=answer)
