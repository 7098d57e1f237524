"""Making steps from plain data: what comes out of a document is never taken for a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from kubexms.spec.pipeline import Dependency, ModuleSpec, StepSpec, Strategy, TaskSpec

NODE_NAME = "__KUBEXMS_NODE_NAME__"
NODE_ADDRESS = "__KUBEXMS_NODE_ADDRESS__"
"""Stand in texts for what differs between hosts; `text` puts templates in their place."""

NAME_EXPRESSION = "host.name"
ADDRESS_EXPRESSION = "host.vars.nodeAddress | default(host.address)"


class Template(str):
    """Text that is a template on purpose."""

    __slots__ = ()


NAME = Template("{{ " + NAME_EXPRESSION + " }}")
"""The name of the host that a step is for, which is also that of its node."""
ADDRESS = Template("{{ " + ADDRESS_EXPRESSION + " }}")
"""The address of the node that a step is for."""

Arg = JsonValue | Sequence["Arg"] | Mapping[str, "Arg"]


def step(name: str, kind: str, /, **fields: Arg) -> StepSpec:
    """A step; fields in snake_case, both a step's own and its kind's. Those that are None are left out."""
    data: dict[str, JsonValue] = {"name": name, "kind": kind}
    for field, value in fields.items():
        if value is not None:
            data[_camel(field)] = plain(value)
    return StepSpec.from_json(data)


def task(
    name: str,
    roles: Sequence[str],
    steps: Sequence[StepSpec],
    *,
    after: Sequence[Dependency] | None = None,
    strategy: Strategy | None = None,
) -> TaskSpec:
    """A task on the hosts of these roles."""
    depends = None if after is None else tuple(after)
    return TaskSpec(
        name=name,
        run_on_roles=tuple(roles),
        steps=tuple(steps),
        depends_on=depends,
        strategy=strategy or Strategy(),
    )


def module(
    name: str,
    description: str,
    tasks: Sequence[TaskSpec],
    *,
    after: Sequence[str | Dependency] | None = None,
    strategy: Strategy | None = None,
) -> ModuleSpec:
    """A module; `after` is what it waits for instead of the module before, a name on all hosts."""
    return ModuleSpec(
        name=name,
        description=description,
        tasks=tuple(tasks),
        depends_on=None if after is None else tuple(after),
        strategy=strategy or Strategy(),
    )


def plain(value: Arg) -> JsonValue:
    """The value as a step's source has it: what looks like a template comes out as it stands."""
    if isinstance(value, Template):
        return str(value)
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value


def escaped(value: str) -> str:
    """Text that renders as `value`."""
    if not any(mark in value for mark in ("{{", "{%", "{#")):
        return value
    for mark in ("{{", "{%", "{#"):
        # what begins an expression, a statement or a comment, written as an expression itself
        value = value.replace(mark, f"\x00{mark[1]}")
    for mark in ("{{", "{%", "{#"):
        value = value.replace(f"\x00{mark[1]}", "{{ '" + mark + "' }}")
    return value


def text(value: str, *, quoted: bool = True) -> Template:
    """A text for each host: escaped, then with its own name and address where their marks stand.

    `quoted` puts them into quotes, as a value in YAML must be that could be taken for a number.
    """
    name, address = (f'"{NAME}"', f'"{ADDRESS}"') if quoted else (NAME, ADDRESS)
    return Template(escaped(value).replace(NODE_NAME, name).replace(NODE_ADDRESS, address))


def _camel(name: str) -> str:
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(part.capitalize() for part in rest)
