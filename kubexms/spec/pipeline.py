"""Pipeline > Module > Task > Step, and hooks: what to bring about, as pure data.

Everything here is the *source* form: every scalar is a literal or a Jinja2 template, as in the
document. Kinds register their own fields elsewhere; a step keeps them in `args`, unread, and
validation checks them when its context holds a registry (`context={"registry": …}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol, Self, cast, runtime_checkable

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from kubexms.spec.base import FrozenModel, Name
from kubexms.spec.variable import VariableSpec, VarsSource

Template = str
"""A string that may hold Jinja2."""


@runtime_checkable
class KindChecker(Protocol):
    """What validation asks of a registry of step kinds."""

    def check_args(self, kind: str, args: Mapping[str, JsonValue]) -> None:
        """Raise `PydanticCustomError` or `ValidationError` if `args` cannot be this kind's fields."""
        ...


class Retries(FrozenModel):
    """How often a failed step is tried again."""

    attempts: int = Field(ge=1, le=100)
    """Tries in all, the first one included."""
    delay: float = Field(default=1.0, ge=0)
    """Seconds before the second try."""
    backoff: float = Field(default=1.0, ge=1)
    """Each further delay is this many times longer."""


class WaitScope(StrEnum):
    """Which wait a dependency is."""

    HOST = "host"
    """The same host has finished it."""
    ALL = "all"
    """Every host has finished it."""


class Dependency(FrozenModel):
    """One entry of `dependsOn`: a task of this module (or `module/task`), or a module."""

    task: str | None = None
    module: str | None = None
    scope: WaitScope | None = None
    """Default: `host` between tasks of one module, `all` otherwise."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"task": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.task is None) == (self.module is None):
            raise PydanticCustomError("dependency", "name exactly one: a 'task' or a 'module'")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The mapping, or just the name of a task."""
        schema = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core_schema, handler))
        return {"anyOf": [{"type": "string"}, dict(schema)], "description": schema.get("description", "")}


BatchSize = (
    Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^(0*[1-9][0-9]*|0*([1-9][0-9]?|100)%)$")]
)
"""How many hosts at once: a number, or a percentage of those that have something to do."""


class Strategy(FrozenModel):
    """Rolling work: how many hosts at once, and how many may fail."""

    max_parallel: BatchSize | Annotated[tuple[BatchSize, ...], Field(min_length=1)] | None = None
    """A number, a percentage (`"25%"`), or a list of batch sizes, the last of which repeats."""
    max_failures: int | None = Field(default=None, ge=0)
    """Failed hosts that are tolerated before no further batch begins (default 0 with `maxParallel`)."""
    require_all: bool = False
    """A wait for this scope needs every host to have succeeded."""


class HookSpec(FrozenModel):
    """What runs before a scope, after it, or when it fails; only if the scope has something to do."""

    name: Name
    run: Template
    """POSIX shell."""
    on: Literal["controller", "hosts"] = "controller"
    """`controller`: once, where kubexms runs; `hosts`: on each host of the scope."""
    timeout: float = Field(default=300.0, gt=0)
    """Seconds."""
    ignore_errors: bool = False


class Hooks(FrozenModel):
    """The hooks of a pipeline, module or task."""

    pre: tuple[HookSpec, ...] = ()
    post: tuple[HookSpec, ...] = ()
    on_failure: tuple[HookSpec, ...] = ()


class StepSpec(FrozenModel):
    """One source step: the fields that all kinds share, and the kind's own in `args`."""

    name: Name
    kind: str
    """The registered kind: `file`, `package`, `service`, …; `kubexms explain` lists them."""
    description: str = ""
    when: Template | bool | None = None
    """A Jinja2 expression over vars, facts, host; false deselects the step on that host."""
    for_each: Template | tuple[JsonValue, ...] | dict[str, JsonValue] | None = None
    """A list or mapping (or an expression for one): one step per entry, with `each.key` and `each.value`."""
    run_once: bool = False
    """On one host only: the one that state records while it is eligible, else the first."""
    ignore_errors: bool = False
    """A failure is reported and counted as a warning; what depends on it goes on."""
    retries: Retries | None = None
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for one try of this step."""
    depends_on: tuple[str, ...] = ()
    """Names of further steps of this task (or `task/step`, `module/task/step`) that must have succeeded."""
    triggers: tuple[JsonValue, ...] = ()
    """Inputs (templates) whose change makes a step with nothing to observe run again."""
    prevent_destroy: bool = False
    """A plan that would delete this step is an error."""
    ignore_changes: tuple[str, ...] = ()
    """Attributes that are set on creation and not looked at afterwards."""
    sensitive: bool = False
    """Everything about this step's values is hidden."""
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """The kind's own fields, in the document written beside the common ones."""

    @model_validator(mode="before")
    @classmethod
    def _gather_args(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "args" in value:
            return value
        args = {k: v for k, v in value.items() if k not in COMMON_STEP_FIELDS}
        rest = {k: v for k, v in value.items() if k not in args}
        return {**rest, "args": args}

    @model_validator(mode="after")
    def _check_args(self, info: ValidationInfo) -> Self:
        checker = (info.context or {}).get("registry") if isinstance(info.context, Mapping) else None
        taken = sorted(self.args.keys() & COMMON_STEP_FIELDS)
        if taken:
            raise PydanticCustomError(
                "reserved_field", "'{name}' is a field of every step, not of its kind", {"name": taken[0]}
            )
        if isinstance(checker, KindChecker):
            try:
                checker.check_args(self.kind, self.args)
            except ValidationError as error:
                # pydantic would put the whole inner report into one message
                first = error.errors(include_url=False, include_input=False)[0]
                field = ".".join(str(item) for item in first["loc"])
                values = {"field": field, "message": str(first["msg"]).removeprefix("Value error, ")}
                raise PydanticCustomError("step_field", "{field}: {message}", values) from None
        return self

    @model_serializer(mode="wrap")
    def _flatten_args(self, handler: Any) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        args = data.pop("args", {})
        return {**data, **args}


COMMON_STEP_FIELDS: frozenset[str] = frozenset(
    spelling
    for name, info in StepSpec.model_fields.items()
    for spelling in (name, cast(str, info.alias))
    if name != "args"
) | {"args"}
"""Names, as documents and as Python write them, that no kind can use for a field of its own."""


def _unique(what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PydanticCustomError(
                "duplicate_name", "duplicate {what} name '{name}'", {"what": what, "name": name}
            )
        seen.add(name)


class TaskSpec(FrozenModel):
    """Ordered steps, and on which hosts they run."""

    name: Name
    description: str = ""
    run_on_roles: tuple[str, ...] = ()
    """Hosts that have any of these roles; with neither roles nor hosts: every host."""
    run_on_hosts: tuple[str, ...] = ()
    """Globs over host names; together with roles: both must select the host."""
    when: Template | bool | None = None
    depends_on: tuple[Dependency, ...] | None = None
    """Replaces the default (the task before, on the same host); `[]` is no dependency."""
    strategy: Strategy = Strategy()
    hooks: Hooks = Hooks()
    steps: tuple[StepSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Self:
        _unique("step", [step.name for step in self.steps])
        return self


class ModuleSpec(FrozenModel):
    """A phase: tasks that belong together, written here or taken from another directory."""

    name: Name
    description: str = ""
    source: str | None = None
    """A directory (relative to this document) whose Pipeline provides the tasks; `with` are its variables."""
    with_: dict[str, JsonValue] = Field(default_factory=dict, alias="with")
    run_on_roles: tuple[str, ...] = ()
    """Narrows every task of this module."""
    when: Template | bool | None = None
    depends_on: tuple[Annotated[str | Dependency, Field(union_mode="left_to_right")], ...] | None = None
    """Modules (by name); replaces the default, the module before."""
    strategy: Strategy = Strategy()
    hooks: Hooks = Hooks()
    tasks: tuple[TaskSpec, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Self:
        _unique("task", [task.name for task in self.tasks])
        if bool(self.tasks) == (self.source is not None):
            raise PydanticCustomError("module_body", "a module has either 'tasks' or a 'source'")
        return self


class Moved(FrozenModel):
    """A renamed step, task or module: state follows instead of delete and create."""

    from_: str = Field(alias="from")
    """Address without host, or a prefix of it: `module`, `module/task`, `module/task/step`."""
    to: str


class PipelineSpec(FrozenModel):
    """Everything to bring about, in order."""

    variables: dict[str, VariableSpec] = Field(default_factory=dict)
    vars_from: tuple[VarsSource, ...] = ()
    """Files or commands that give variables as a whole: `{command: [sops, -d, secrets.yaml]}`."""
    strategy: Strategy = Strategy()
    hooks: Hooks = Hooks()
    modules: tuple[ModuleSpec, ...] = ()
    moved: tuple[Moved, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Self:
        _unique("module", [module.name for module in self.modules])
        return self
