"""Laws of every specification model: to JSON and YAML and back is identity; defaults are left out."""

from __future__ import annotations

import json
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from kubexms.config.yaml import read_value
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec import inventory, pipeline, project, variable
from kubexms.spec.address import CONTROLLER, Address
from kubexms.spec.asset import Asset
from kubexms.spec.base import FrozenModel, Json

NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.-]{0,10}\Z")
TEXT = st.text(st.characters(codec="utf-8"), max_size=15)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VARS = st.dictionaries(NAMES, JSON, max_size=3)
POSITIVE = st.floats(min_value=0.01, max_value=1e6)
OPTIONAL_TEXT = st.none() | TEXT
PLAIN = TEXT.filter(lambda text: "{{" not in text and "{%" not in text)
"""What a connection may hold."""


def unique(
    strategy: st.SearchStrategy[pipeline.StepSpec], size: int
) -> st.SearchStrategy[list[pipeline.StepSpec]]:
    return st.lists(strategy, min_size=1, max_size=size, unique_by=lambda item: item.name)


SECRETS = st.one_of(
    st.builds(variable.SecretRef, env=TEXT),
    st.builds(variable.SecretRef, file=TEXT),
    st.builds(variable.SecretRef, command=st.lists(TEXT, min_size=1, max_size=3).map(tuple)),
)
VARIABLES = st.builds(
    variable.VariableSpec,
    type=st.sampled_from(["string", "number", "integer", "boolean", "list", "map", "any"]),
    default=JSON,
    required=st.booleans(),
    nullable=st.booleans(),
    description=TEXT,
    sensitive=st.booleans(),
    enum=st.lists(JSON, max_size=3).map(tuple),
    pattern=OPTIONAL_TEXT,
    value_from=st.none() | SECRETS,
)
SOURCES = st.one_of(
    st.builds(variable.VarsSource, file=TEXT, sensitive=st.none() | st.booleans()),
    st.builds(variable.VarsSource, command=st.lists(TEXT, min_size=1, max_size=3).map(tuple)),
)
RETRIES = st.builds(
    pipeline.Retries,
    attempts=st.integers(1, 100),
    delay=POSITIVE,
    backoff=st.floats(min_value=1, max_value=10),
)
SCOPES = st.none() | st.sampled_from(pipeline.WaitScope)
DEPENDENCIES = st.one_of(
    st.builds(pipeline.Dependency, task=NAMES, scope=SCOPES),
    st.builds(pipeline.Dependency, module=NAMES, scope=SCOPES),
)
STRATEGIES = st.builds(
    pipeline.Strategy,
    max_parallel=st.none() | st.integers(1, 9) | st.just("25%") | st.just((1, "25%")),
    max_failures=st.none() | st.integers(0, 9),
    require_all=st.booleans(),
)
HOOKS = st.builds(
    pipeline.HookSpec,
    name=NAMES,
    run=TEXT,
    on=st.sampled_from(["controller", "hosts"]),
    timeout=POSITIVE,
    ignore_errors=st.booleans(),
)
HOOK_LISTS = st.lists(HOOKS, max_size=2).map(tuple)
SCOPE_HOOKS = st.builds(pipeline.Hooks, pre=HOOK_LISTS, post=HOOK_LISTS, on_failure=HOOK_LISTS)
NAME_LISTS = st.lists(NAMES, max_size=3).map(tuple)
STEPS = st.builds(
    pipeline.StepSpec,
    name=NAMES,
    kind=NAMES,
    description=TEXT,
    when=st.none() | st.booleans() | TEXT,
    for_each=st.none() | TEXT | st.lists(JSON, max_size=2).map(tuple) | VARS,
    run_once=st.booleans(),
    ignore_errors=st.booleans(),
    retries=st.none() | RETRIES,
    timeout=st.none() | POSITIVE,
    depends_on=NAME_LISTS,
    triggers=st.lists(JSON, max_size=2).map(tuple),
    prevent_destroy=st.booleans(),
    ignore_changes=NAME_LISTS,
    sensitive=st.booleans(),
    args=VARS.map(lambda args: {k: v for k, v in args.items() if k not in pipeline.COMMON_STEP_FIELDS}),
)
TASKS = st.builds(
    pipeline.TaskSpec,
    name=NAMES,
    description=TEXT,
    run_on_roles=NAME_LISTS,
    run_on_hosts=NAME_LISTS,
    when=st.none() | st.booleans() | TEXT,
    depends_on=st.none() | st.lists(DEPENDENCIES, max_size=2).map(tuple),
    strategy=STRATEGIES,
    hooks=SCOPE_HOOKS,
    steps=unique(STEPS, 2).map(tuple),
)
MODULES = st.builds(
    pipeline.ModuleSpec,
    name=NAMES,
    run_on_roles=NAME_LISTS,
    depends_on=st.none() | st.lists(NAMES | DEPENDENCIES, max_size=2).map(tuple),
    strategy=STRATEGIES,
    tasks=st.lists(TASKS, min_size=1, max_size=2, unique_by=lambda task: task.name).map(tuple),
) | st.builds(
    pipeline.ModuleSpec.model_validate, st.fixed_dictionaries({"name": NAMES, "source": TEXT, "with": VARS})
)
PIPELINES = st.builds(
    pipeline.PipelineSpec,
    variables=st.dictionaries(NAMES, VARIABLES, max_size=2),
    vars_from=st.lists(SOURCES, max_size=2).map(tuple),
    strategy=STRATEGIES,
    hooks=SCOPE_HOOKS,
    modules=st.lists(MODULES, max_size=2, unique_by=lambda module: module.name).map(tuple),
    moved=st.lists(
        st.builds(pipeline.Moved.model_validate, st.fixed_dictionaries({"from": TEXT, "to": TEXT})),
        max_size=2,
    ).map(tuple),
)
CONNECTIONS = st.builds(
    inventory.ConnectionSpec,
    type=st.none() | st.sampled_from(["ssh", "local"]),
    address=st.none() | PLAIN,
    port=st.none() | st.integers(1, 65535),
    user=st.none() | PLAIN,
    identity_files=st.lists(PLAIN, max_size=2).map(tuple),
    password=st.none() | SECRETS,
    proxy_jump=st.none() | st.lists(PLAIN, max_size=2).map(tuple),
    host_keys=st.none() | st.sampled_from(["verify", "accept-new", "off"]),
    connect_timeout=st.none() | POSITIVE,
    become=st.none()
    | st.builds(
        inventory.Become, method=st.sampled_from(["none", "sudo"]), user=PLAIN, password=st.none() | SECRETS
    ),
)
MAINTENANCE = st.builds(
    inventory.Maintenance, reason=TEXT, until=st.none() | st.datetimes(timezones=st.just(UTC))
)
HOST_FIELDS = {"vars": VARS, "connection": CONNECTIONS, "roles": NAME_LISTS}
HOST_SPECS = st.builds(inventory.HostSpec, name=NAMES, maintenance=st.none() | MAINTENANCE, **HOST_FIELDS)
INVENTORY_SPECS = st.builds(
    inventory.InventorySpec,
    defaults=st.builds(inventory.Defaults, **HOST_FIELDS),
    roles=st.dictionaries(
        NAMES, st.builds(inventory.RoleSpec, vars=VARS, connection=CONNECTIONS, hosts=NAME_LISTS), max_size=2
    ),
    hosts=st.lists(HOST_SPECS, max_size=2).map(tuple),
    from_=st.none() | st.builds(inventory.InventorySource, file=TEXT),
)
HOSTS = st.builds(inventory.Host, name=NAMES, maintenance=st.none() | MAINTENANCE, **HOST_FIELDS)
INVENTORIES = st.builds(inventory.Inventory, name=NAMES, hosts=st.lists(HOSTS, max_size=2).map(tuple))
STATES = st.builds(project.StateLocation, path=TEXT, allow_local_in_ci=st.booleans())
ENVIRONMENTS = st.builds(
    project.Environment,
    inventories=NAME_LISTS,
    var_files=NAME_LISTS,
    state=st.none() | STATES,
    workspace=st.none() | NAMES,
)
PROJECTS = st.builds(
    project.ProjectSpec,
    state=STATES,
    workspace=NAMES,
    parallelism=st.integers(1, 1000),
    plan_deadline=POSITIVE,
    environments=st.dictionaries(NAMES, ENVIRONMENTS, max_size=2),
    var_files=NAME_LISTS,
    inventories=NAME_LISTS,
)
ASSETS = st.builds(Asset, path=TEXT, sha256=TEXT, size=st.integers(0, 99))

MODELS: dict[str, st.SearchStrategy[FrozenModel]] = {
    "asset": ASSETS,
    "dependency": DEPENDENCIES,
    "host": HOSTS,
    "hooks": SCOPE_HOOKS,
    "inventory": INVENTORIES,
    "inventory spec": INVENTORY_SPECS,
    "module": MODULES,
    "pipeline": PIPELINES,
    "project": PROJECTS,
    "secret": SECRETS,
    "step": STEPS,
    "task": TASKS,
    "variable": VARIABLES,
    "vars source": SOURCES,
}


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_there_and_back_is_identity(name: str, data: st.DataObject) -> None:
    model = data.draw(MODELS[name])
    written = model.to_json()
    assert type(model).from_json(json.loads(json.dumps(written))) == model
    assert type(model).from_json(read_value(dump_yaml(written).encode(), "x.yaml").value) == model


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_writing_again_gives_the_same(name: str, data: st.DataObject) -> None:
    model = data.draw(MODELS[name])
    again = type(model).from_json(model.to_json())
    assert json.dumps(again.to_json(), sort_keys=True) == json.dumps(model.to_json(), sort_keys=True)


def test_every_model_is_here() -> None:
    """A model that is part of no law is a model whose law nobody checks."""
    drawn = set()
    for module in (inventory, pipeline, project, variable):
        drawn |= {
            item for item in vars(module).values() if isinstance(item, type) and issubclass(item, BaseModel)
        }
    reached: set[type[BaseModel]] = {
        pipeline.PipelineSpec,
        inventory.InventorySpec,
        inventory.Inventory,
        FrozenModel,
    }
    reached |= {project.ProjectSpec, inventory.Host}
    pending = list(reached)
    while pending:
        for info in pending.pop().model_fields.values():
            found = {item for item in drawn if item.__name__ in repr(info.annotation)} - reached
            reached |= found
            pending += found
    assert drawn <= reached


def test_defaults_are_left_out() -> None:
    step = pipeline.StepSpec(name="a", kind="file", args={"path": "/x"})
    assert step.to_json() == {"name": "a", "kind": "file", "path": "/x"}
    assert pipeline.PipelineSpec().to_json() == {}


PARTS = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.-]{0,8}\Z")


@given(PARTS, PARTS, PARTS.filter(lambda name: name != "hook"), PARTS, st.none() | TEXT)
def test_addresses_there_and_back(module: str, task: str, step: str, host: str, key: str | None) -> None:
    address = Address(module, task, step, host, key)
    assert Address.parse(str(address)) == address
    assert address.matches(str(address.path)) or key is not None
    assert address.matches(module)
    assert address.matches(f"{module}/{task}")
    assert address.matches(f"@{host}")


@given(NAMES, NAMES, NAMES, NAMES.filter(lambda name: name != "controller"))
def test_hooks_have_addresses_of_their_scope(module: str, task: str, name: str, host: str) -> None:
    for address, text in (
        (Address("", "", "hook", CONTROLLER, name), f"hook[{name}]@controller"),
        (Address(module, "", "hook", host, name), f"{module}/hook[{name}]@{host}"),
        (Address(module, task, "hook", host, name), f"{module}/{task}/hook[{name}]@{host}"),
    ):
        assert str(address) == text
        assert Address.parse(text) == address
    assert Address.parse(f"{module}//hook[{name}]@n1") == Address(module, "", "hook", "n1", name)
    assert Address.parse(f"//hook[{name}]@controller") == Address("", "", "hook", CONTROLLER, name)
