"""Which runs go on at this moment: told by who holds the state's lock, without taking it."""

from __future__ import annotations

from kubexms.services.project import Project
from kubexms.state.model import StateSnapshot


def living_runs(project: Project, *snapshots: StateSnapshot) -> set[str]:
    """The runs with open intents or scopes that are carried out right now; those of the dead are not."""
    holder = project.store.holder()
    if holder is None:
        return set()
    known = {intent.run for snapshot in snapshots for intent in snapshot.intents.values()}
    known |= {scope.run for snapshot in snapshots for scope in snapshot.scopes.values()}
    recent = project.store.runs(limit=1000)
    alive = (run for run in recent if run.id in known)
    return {run.id for run in alive if run.status == "running" and run.started >= holder.created}


def with_living(project: Project, snapshot: StateSnapshot) -> StateSnapshot:
    """The snapshot whose intents say whether their run goes on now."""
    living = living_runs(project, snapshot) if snapshot.intents else set()
    if not living:
        return snapshot
    intents = {
        address: intent.model_copy(update={"living": intent.run in living})
        for address, intent in snapshot.intents.items()
    }
    return snapshot.model_copy(update={"intents": intents})
