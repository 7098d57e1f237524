"""From the planner's working form to what a saved plan tells of its origin."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from kubexms.config.project import LoadedProject
from kubexms.config.template import Deferred, Sensitive, Unknown
from kubexms.plan.conceal import KEYED, Concealer
from kubexms.plan.inputs import NOTHING, lookup
from kubexms.plan.instances import Instances
from kubexms.plan.model import HIDDEN, Binding, Change, Plan
from kubexms.plan.origin import InventoryHost, Origin, Place, RenderedStep
from kubexms.plan.rendered import Rendered
from kubexms.plan.working import HostWork, Planned, PlannedStep
from kubexms.spec.address import Address
from kubexms.spec.asset import Asset
from kubexms.spec.inventory import Host

TEXT_LIMIT = 64 * 1024
"""Characters of a field that are kept; a longer text stands as its length and digest."""
_SHOWN_INPUTS = ("facts.", "vars.")


def with_origin(plan: Plan, planned: Planned, instances: Instances, project: LoadedProject) -> Plan:
    """The plan with its origin, and with the digests of what was found right already, too."""
    chosen = {change.address for change in plan.changes}
    steps = {address: step for address, step in planned.steps().items() if address in chosen}
    bound = tuple(_bound(change, steps[change.address], planned) for change in plan.changes)
    rendered: dict[str, RenderedStep] = {}
    for change in bound:
        if change.binding.spec not in rendered:
            step = steps[change.address].instance.rendered
            rendered[change.binding.spec] = rendered_step(step, project.root)
    origin = Origin(
        inventory=tuple(_host(host) for host in project.inventory.hosts),
        steps=rendered,
        places=_places(project, (step.instance.address for step in steps.values())),
        inputs={
            name: found
            for name, work in planned.hosts.items()
            if work.usable and (found := _inputs(work, instances, chosen))
        },
    )
    return plan.model_copy(update={"changes": bound, "origin": origin})


def _bound(change: Change, step: PlannedStep, planned: Planned) -> Change:
    if change.effective:
        return change
    conceal, rendered = planned.conceal, step.instance.rendered
    binding = Binding.model_construct(
        spec=conceal.spec_digest(rendered),
        observation=_observed(change, rendered, planned.hosts[change.host], conceal),
        state="",
    )
    return change.model_copy(update={"binding": binding})


def _observed(change: Change, rendered: Rendered, work: HostWork, conceal: Concealer) -> str:
    seen = work.answer.seen.get(change.address) if work.answer is not None else None
    return conceal.observation_digest(rendered, seen.observation) if seen is not None else ""


def rendered_step(rendered: Rendered, root: Path) -> RenderedStep:
    """What may be shown of a rendered step; paths of controller files are relative to `root`."""
    model = type(rendered.spec).model_fields
    data = rendered.spec.to_json()
    for name, info in model.items():
        alias = info.alias or name
        if alias not in data:
            continue
        value = getattr(rendered.spec, name)
        if name in rendered.unknown:
            del data[alias]
        elif rendered.hides(name):
            data[alias] = HIDDEN
        elif isinstance(value, Asset):
            data[alias] = {**value.to_json(), "path": _relative(value.path, root)}
        else:
            data[alias] = shown(data[alias])
    unknown = {model[name].alias or name: waits for name, waits in rendered.unknown.items()}
    return RenderedStep(kind=rendered.executor.kind, fields=data, unknown=unknown)


def shown(value: object) -> JsonValue:
    """A value as a plan may hold it: nothing sensitive, no text of any length."""
    if isinstance(value, Sensitive | Deferred):
        return HIDDEN
    if isinstance(value, str):
        if len(value) <= TEXT_LIMIT:
            return str(value)
        sha256 = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"({len(value)} characters, sha256 {sha256})"
    if isinstance(value, Mapping):
        if set(value) == {KEYED}:
            return HIDDEN
        return {str(key): shown(item) for key, item in value.items() if not isinstance(item, Unknown)}
    if isinstance(value, Sequence):
        return [shown(item) for item in value if not isinstance(item, Unknown)]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _inputs(work: HostWork, instances: Instances, chosen: set[str]) -> dict[str, dict[str, JsonValue]]:
    """Module -> name -> value of what the host's steps read."""
    reads: dict[str, set[str]] = {}
    for address, step in work.steps.items():
        if address in chosen:
            instance = step.instance
            reads.setdefault(instance.address.module, set()).update(instance.reads, instance.rendered.reads)
    found: dict[str, dict[str, JsonValue]] = {}
    for module, names in reads.items():
        wanted = [name.partition(".") for name in sorted(names) if name.startswith(_SHOWN_INPUTS)]
        if not wanted or work.removed or module not in instances.modules:
            continue
        scope = instances.scopes.scope(module, work.name)
        values = {f"{root}.{rest}": lookup(scope[root], rest) for root, _, rest in wanted}
        found[module] = {
            name: shown(value)
            for name, value in values.items()
            if value is not NOTHING and not isinstance(value, Unknown)
        }
    return {module: values for module, values in found.items() if values}


def _places(project: LoadedProject, addresses: Iterable[Address]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for address in addresses:
        path = f"{address.module}/{address.task}/{address.step}"
        if path in found:
            continue
        place = project.sources.lookup(address.module, address.task, address.step)
        if place is not None:
            found[path] = Place(
                file=_relative(place.filename, project.root),
                line=place.line,
                column=place.column,
                end_line=place.end_line,
                end_column=place.end_column,
            )
    return dict(sorted(found.items()))


def _relative(name: str, root: Path) -> str:
    return Path(os.path.relpath(Path.cwd() / name, root)).as_posix()


def _host(host: Host) -> InventoryHost:
    connection = host.connection
    become = connection.become
    return InventoryHost(
        name=host.name,
        roles=host.roles,
        connection=connection.type or "ssh",
        address=connection.address or "",
        port=connection.port,
        user=connection.user or "",
        become=become.user if become is not None and become.method != "none" else "",
        proxy_jump=connection.proxy_jump or (),
        maintenance=host.maintenance.reason if host.maintenance is not None else "",
    )
