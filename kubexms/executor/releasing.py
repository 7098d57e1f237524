"""Letting go of an object without changing it: its claim and its backups leave the host."""

from __future__ import annotations

from collections.abc import Mapping

from kubexms.executor.attempt import HostRun, store_name
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import Action, Claim, Exchange


def let_go(step: PlannedStep, host: HostRun, lineage: str) -> None:
    """Have nobody own the object of a step that is forgotten; another project's claim on it is left alone.

    Raises `ConnectionFailed`.
    """
    assert step.entry is not None
    host.connection.act(releasing(step.change.address, step.entry.object_id, lineage))


def releasing(address: str, object_id: str, lineage: str) -> Exchange:
    """The exchange that ends a claim and removes the backups that go with it; it does nothing else."""
    return Exchange(
        token=address,
        probe=(),
        action=Action(":\n"),
        verify=False,
        store=store_name(object_id, lineage),
        claim=Claim(object_id, lineage, release=True),
    )


def is_let_go(step: PlannedStep, siblings: Mapping[str, PlannedStep]) -> bool:
    """Whether the claim of a step that is forgotten may go: no sibling manages the same object."""
    entry = step.entry
    return (
        entry is not None
        and bool(entry.object_id)
        and not any(
            other.instance.rendered.unknown_identity is None
            and other.instance.rendered.object_id == entry.object_id
            for other in siblings.values()
            if not other.change.leaving
        )
    )
