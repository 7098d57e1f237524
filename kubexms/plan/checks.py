"""What makes a plan an error: preflight verdicts, foreign owners, protected steps, data loss."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kubexms.config.template import Unknown
from kubexms.plan.model import PlanDiagnostic, Reason
from kubexms.plan.outputs import split
from kubexms.plan.rendered import waited_for
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.address import Address
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind, Disruption, Prospect, StepExecutor
from kubexms.step.observation import Observation


def check(
    work: HostWork, planned: PlannedStep, lineage: str, allow_destroy: Sequence[str]
) -> list[PlanDiagnostic]:
    """The problems of one planned step."""
    change = planned.change
    found: list[PlanDiagnostic] = []
    if change.reason not in (Reason.REMOVED_FROM_SPEC, Reason.DESTROY, Reason.DESELECTED):
        found += _verdict(work, planned)
        found += _foreign(work, planned, lineage)
        found += _undecided(planned)
        found += _noted(work, planned)
    if planned.instance.step.prevent_destroy:
        found += kept(planned)
    return found + losing(planned, allow_destroy)


def losing(planned: PlannedStep, allow_destroy: Sequence[str]) -> list[PlanDiagnostic]:
    """The problem of a change with which data would be lost, and nobody has said that it may be.

    Not to be asked where somebody has: of a host whose removal is allowed, and of a plan to destroy.
    """
    change = planned.change
    if change.disruption is not Disruption.DATA_LOSS:
        return []
    if any(Address.parse(change.address).matches(pattern) for pattern in allow_destroy):
        return []
    return [
        _error(
            f"{change.address} would lose data",
            f"If that is meant, plan again with --allow-destroy '{change.address}'.",
            change.address,
        )
    ]


def kept(planned: PlannedStep) -> list[PlanDiagnostic]:
    """The problem of a step that is to stay (`preventDestroy`), and that the plan would take away."""
    change = planned.change
    if change.action not in (ActionKind.DELETE, ActionKind.REPLACE):
        return []
    return [
        _error(
            f"{change.address} has preventDestroy, and the plan would {change.action.value} it",
            "Remove preventDestroy from the step if it may go.",
            change.address,
        )
    ]


def _verdict(work: HostWork, planned: PlannedStep) -> list[PlanDiagnostic]:
    rendered = planned.instance.rendered
    if work.answer is None or rendered.unknown:
        return []
    seen = work.answer.seen.get(planned.change.address)
    if seen is None:
        return []
    message = rendered.executor.verdict(rendered.spec, seen.observation)
    if not message:
        return []
    summary, _, detail = message.partition("\n")
    if planned.instance.step.sensitive or rendered.sensitive:
        detail = ""  # a host that was asked with a secret may have told it
    return [_error(summary, detail, planned.change.address)]


def _noted(work: HostWork, planned: PlannedStep) -> list[PlanDiagnostic]:
    """Notes about what does not change: a change would show its own."""
    seen = work.answer.seen.get(planned.change.address) if work.answer is not None else None
    if seen is None or planned.change.effective:
        return []
    address = planned.change.address
    return [
        PlanDiagnostic(severity="warning", summary=note, address=address) for note in seen.observation.notes
    ]


def _undecided(planned: PlannedStep) -> list[PlanDiagnostic]:
    """A step that runs once was interrupted, and nothing on the host tells how far it got."""
    rendered, intent = planned.instance.rendered, planned.intent
    if intent is None or intent.living or rendered.executor.runs(rendered.spec) not in ("once", "on-change"):
        return []
    if rendered.executor.resumes(rendered.spec):
        return []
    if planned.change.reason is Reason.REPLACE_REQUESTED or not planned.change.effective:
        return []
    stated = planned.change.previous_address or planned.change.address
    return [
        _error(
            f"{planned.change.address} was interrupted (run {intent.run}); nobody can see how far it got",
            f"Look at the host, then either run it again with --replace '{planned.change.address}', "
            f"or accept it as done with `kubexms state accept '{stated}'`.",
            planned.change.address,
        )
    ]


def _foreign(work: HostWork, planned: PlannedStep, lineage: str) -> list[PlanDiagnostic]:
    rendered = planned.instance.rendered
    if work.answer is None or not planned.change.effective or rendered.unknown_identity is not None:
        return []
    owner = work.answer.owners.get(rendered.object_id) if rendered.executor.owns(rendered.spec) else None
    if owner is None or owner == lineage:
        return []
    return [
        _error(
            f"{planned.change.address} manages an object that another project manages",
            f"Its owner on {work.name} is the state with lineage {owner}. Take it out of that project and "
            f"apply that, or have it released there by `kubexms state rm --release`. If that state is lost, "
            f"remove {claim_file(rendered.object_id)} on {work.name}.",
            planned.change.address,
        )
    ]


def reviewed(works: Mapping[str, HostWork]) -> list[PlanDiagnostic]:
    """What kinds say of all their steps together, those that leave among them."""
    by_kind: dict[str, list[PlannedStep]] = {}
    for work in works.values():
        for planned in work.steps.values():
            by_kind.setdefault(planned.instance.rendered.executor.kind, []).append(planned)
    found: list[PlanDiagnostic] = []
    for steps in by_kind.values():
        executor = steps[0].instance.rendered.executor
        if type(executor).review is StepExecutor.review:
            continue
        prospects = [_prospect(step, works[step.change.host]) for step in steps]
        messages = executor.review(prospects)
        found += [_error(message, "", address) for address, message in sorted(messages.items())]
    return found


def _prospect(planned: PlannedStep, work: HostWork) -> Prospect[Any]:
    change, rendered = planned.change, planned.instance.rendered
    seen = work.answer.seen.get(change.address) if work.answer is not None else None
    before = seen.observation if seen is not None else Observation.unknown("it is not known yet what to ask")
    return Prospect(change.address, change.host, rendered.spec, change.action, before)


def never_known(works: Mapping[str, HostWork]) -> list[PlanDiagnostic]:
    """Steps that wait for outputs which no run will give: `known after apply` would be a lie."""
    found: list[PlanDiagnostic] = []
    for work in works.values():
        for address, planned in work.steps.items():
            for name in sorted({*waited_for(planned.instance)}):
                why = _never(name.removeprefix("outputs."), work.name, works) if "outputs." in name else ""
                if why:
                    found.append(_error(f"{address} needs {name}, which nothing will give", why, address))
    return found


def out_of_scope(
    works: Mapping[str, HostWork],
    recorded: Mapping[str, StepState],
    chosen: Collection[str] | None,
    hosts: Collection[str],
) -> list[PlanDiagnostic]:
    """Steps that wait for outputs which this plan leaves out: it would never get to know them.

    `recorded` is the state; `chosen` are the addresses that `--target` and `--exclude` leave, None for all;
    `hosts` are all of the inventory, whatever `--limit` leaves.
    """
    found: list[PlanDiagnostic] = []
    for work in works.values():
        for address, planned in work.steps.items():
            if (chosen is not None and address not in chosen) or not waited_for(planned.instance):
                continue
            reads = planned.instance.reads | planned.instance.rendered.reads
            for name in sorted(read for read in reads if read.startswith("outputs.")):
                path, other = split(name.removeprefix("outputs.").rpartition(".")[0])
                host = other or work.name
                source = f"{path}@{host}"
                if host in works:
                    value = works[host].outputs.get(path, {}).get(name.rpartition(".")[2])
                    if chosen is None or source in chosen or not isinstance(value, Unknown):
                        continue
                    left = f"--exclude leaves out {source}"
                elif host not in hosts or (source in recorded and recorded[source].outputs):
                    continue
                else:
                    left = f"--limit leaves out {host}"
                text = f"{address} needs {name}, which is not known, and {left}"
                detail = f"Take that in, or leave this step out as well: --exclude '{address}'."
                found.append(_error(text, detail, address))
    return found


def _never(name: str, host: str, works: Mapping[str, HostWork]) -> str:
    path, other = split(name.rpartition(".")[0])
    work = works.get(other or host)
    if work is None or not work.usable:
        return ""
    address = f"{path}@{work.name}"
    producer = work.steps.get(address)
    if producer is None:
        elsewhere = sorted(a for w in works.values() for a in w.steps if a.rpartition("@")[0] == path)
        if elsewhere:
            return f"{path} is no step of {work.name}. Write outputs['{elsewhere[0]}'] for another host's."
        return f"No host has the step {path} now."
    if producer.change.effective:
        return ""
    return (
        f"{address} is as it should be, so it does not run and prints nothing. Give it `outputsFrom`, "
        f"which tells its outputs without running it, or run it again with --replace '{address}'."
    )


def claim_file(object_id: str) -> str:
    """Where a host keeps who owns an object, for a person."""
    return f"/var/lib/kubexms/objects/{object_id} (without root, below ~/.local/state)"


def _error(summary: str, detail: str, address: str) -> PlanDiagnostic:
    return PlanDiagnostic(severity="error", summary=summary, detail=detail, address=address)
