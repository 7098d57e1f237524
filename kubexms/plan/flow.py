"""What one step tells about others: facts and outputs that flow forward, and what answers what."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from kubexms.config.project import LoadedProject
from kubexms.config.template import Unknown
from kubexms.plan.model import PlanDiagnostic
from kubexms.plan.outputs import named_outputs, observed_outputs, split
from kubexms.plan.rendered import Instance, Unselected
from kubexms.plan.working import HostWork, PlannedStep


def mentions_facts(project: LoadedProject) -> bool:
    """Whether any template of the pipeline could read a fact: if none does, one round always suffices."""
    if any("template" in step.args for m in project.pipeline.modules for t in m.tasks for step in t.steps):
        return True
    text = project.pipeline.model_dump_json()
    return re.search(r"\bfacts\b|\bhosts\s*[.\[|]", text) is not None


def asked_alike(before: Instance | None, now: Instance) -> bool:
    """Whether the answer to `before` also answers `now`."""
    if before is None or before.rendered.unknown_identity is not None:
        return False
    if before.rendered is now.rendered or before.rendered.spec == now.rendered.spec:
        return True
    executor = now.rendered.executor
    old, new = executor.probe([before.rendered.spec]), executor.probe([now.rendered.spec])
    return [probe.fragment for probe in old] == [probe.fragment for probe in new]


def same_object(asked: object, instance: Instance) -> bool:
    """Whether the spec that was asked about has the identity that the step has now."""
    if asked is instance.rendered.spec:
        return True
    names = instance.rendered.executor.identity
    return all(getattr(asked, name, None) == getattr(instance.rendered.spec, name) for name in names)


def runs_users_shell(instance: Instance) -> bool:
    """Whether asking about a step runs shell that the documents give."""
    rendered = instance.rendered
    if rendered.unknown_identity is not None:
        return False
    if getattr(rendered.spec, "guard", None) == "off":
        return True
    return any(probe.fragment.guarded for probe in rendered.executor.probe([rendered.spec]))


def flow(work: HostWork, step: PlannedStep) -> None:
    """What this step, if it is still to run, makes unknown to later ones."""
    instance, change = step.instance, step.change
    names = named_outputs(instance)
    path = instance.address.path
    if not change.effective:
        seen = work.answer.seen.get(change.address) if names and work.answer is not None else None
        told = observed_outputs(instance, seen.observation) if seen is not None else {}
        if told:
            work.outputs[path] = told
        return
    changed = set(instance.rendered.executor.changes_facts) | declared_facts(instance)
    for fact in changed:
        work.unknown_facts[fact] = path
    if names:
        work.outputs[path] = {name: Unknown(f"outputs.{path}.{name}") for name in names}


def changed_before(work: HostWork, instance: Instance) -> str:
    """The first step before this one that is still to change what its question is about; empty: none."""
    executor, spec = instance.rendered.executor, instance.rendered.spec
    about = [PurePosixPath(path) for path in executor.looks_at(spec)]
    if not about:
        return ""
    for address, step in work.steps.items():
        other = step.instance.rendered
        if not step.change.effective or other.unknown_identity is not None:
            continue
        paths = map(PurePosixPath, other.executor.paths(other.spec))
        if any(path.is_relative_to(one) for path in paths for one in about):
            return address
    return ""


def declared_facts(instance: Instance) -> set[str]:
    """Facts that a step itself says it may change (`changesFacts`)."""
    return set(getattr(instance.rendered.spec, "changes_facts", None) or ())


def undecidable(result: Unselected) -> PlanDiagnostic:
    """The warning that nobody can say yet whether a step runs on a host."""
    of = (result.unknown or "").removeprefix("facts of ")
    silent = of != result.unknown  # no step of this plan gives facts of a host as a whole
    what = f"whether {result.path} runs on {result.host} is known only "
    return PlanDiagnostic(
        severity="warning",
        summary=what + (f"when {of} answers" if silent else "after apply"),
        detail=f"It depends on {result.unknown}. Nothing is planned for it now; "
        f"plan again after {'that' if silent else 'this apply'}.",
        address=f"{result.path}@{result.host}",
    )


def explicit(instance: Instance, siblings: list[Instance]) -> tuple[str, ...]:
    """The addresses that `dependsOn` names: `step`, `task/step` or `module/task/step`, on the same host."""
    if not instance.step.depends_on:
        return ()
    own = instance.address
    wanted = {
        "/".join((*(own.module, own.task)[: 2 - name.count("/")], name)) for name in instance.step.depends_on
    }
    return tuple(
        str(other.address)
        for other in siblings
        if f"{other.address.module}/{other.address.task}/{other.address.step}" in wanted
    )


def outputs_of(reads: frozenset[str], host: str) -> tuple[str, ...]:
    """The addresses whose outputs a template on `host` read, of what it read in all (`outputs.PATH.NAME`)."""
    paths = (
        name.removeprefix("outputs.").rpartition(".")[0] for name in reads if name.startswith("outputs.")
    )
    found = [split(path) for path in paths if path]
    return tuple(f"{path}@{other or host}" for path, other in found)
