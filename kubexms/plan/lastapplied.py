"""What was applied last, asked for: drift is about that, whatever the documents say by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kubexms.plan.conceal import KEYED, Concealer
from kubexms.plan.observe import HostAnswer
from kubexms.plan.recorded import recorded_instance, why_unreadable
from kubexms.plan.rendered import Instance
from kubexms.plan.working import HostWork
from kubexms.state.model import StepState
from kubexms.step.registry import Registry

PREFIX = "applied:"
"""Begins the name of a question about a last applied spec; no address has a colon there."""
NOT_KEPT = (
    "it was applied with a secret that is not kept, and the documents say something else by now: apply them"
)


def besides(
    work: HostWork, recorded: Mapping[str, Instance], registry: Registry, conceal: Concealer
) -> dict[str, Instance]:
    """The questions that a host is asked besides those of its documents, by name.

    Where the documents ask exactly what was applied last, or where state alone knows the step
    (`recorded`), one question serves both: such addresses become `work.settled`. What cannot be asked
    for is noted in `work.unaskable`.
    """
    present = {str(instance.address): instance for instance in work.siblings}
    wanted: dict[str, Instance] = {}
    for address, entry in work.entries.items():
        now = present.get(address)
        if now is not None and conceal.spec_digest(now.rendered) == entry.spec_digest:
            work.settled.add(address)
            continue
        then = recorded_instance(entry, registry)
        if then is None:
            work.unaskable[address] = why_unreadable(entry)
        elif _lacks(entry, then):
            work.unaskable[address] = NOT_KEPT
        elif now is None and then.rendered.spec == recorded[address].rendered.spec:
            work.settled.add(address)
        elif now is None:
            wanted[PREFIX + address] = then  # what is asked in order to undo it is another question
        else:
            wanted[PREFIX + address] = replace(then, step=now.step)
    return wanted


def _lacks(entry: StepState, instance: Instance) -> bool:
    """Whether the question itself would need a secret, which state does not keep."""
    executor = instance.rendered.executor
    hidden = any(isinstance(value, dict) and KEYED in value for value in entry.spec.values())
    return hidden and (executor.imperative or bool(instance.rendered.sensitive & {*executor.identity}))


def settle(work: HostWork, answer: HostAnswer) -> None:
    """Set the answers about what was applied last apart, before any of them is read in another way."""
    for name in [name for name in answer.seen if name.startswith(PREFIX)]:
        answer.applied[name.removeprefix(PREFIX)] = answer.seen.pop(name)
    for address in work.settled:
        if address in answer.seen:
            answer.applied[address] = answer.seen[address]
