"""Loading directories: which documents, variables, environments and inventories hold."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexms.config.project import LoadedProject
from kubexms.errors import ConfigError
from kubexms.runtime.local_command import CompletedResult
from kubexms.spec.base import Json
from kubexms.spec.variable import SecretRef
from tests.unit.config.projects import INVENTORY, Commands, load, pipeline, write

TASK = "- name: kernel\n  steps:\n    - {name: f, kind: file, path: /etc/x}\n"
HEAD = "apiVersion: kubexms.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:{spec}\n"


def document(kind: str, name: str, spec: str) -> str:
    return HEAD.format(kind=kind, name=name, spec=spec)


def values(project: LoadedProject, module: str = "os") -> dict[str, Json]:
    return {name: variable.value for name, variable in project.scopes[module].variables.items()}


def failure(root: Path, **options: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(root, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_project_of_two_files(tmp_path: Path) -> None:
    write(tmp_path, {"pipeline.yaml": pipeline(TASK), "inventory.yml": INVENTORY})
    project = load(tmp_path)
    assert [host.name for host in project.inventory.hosts] == ["n1", "n2"]
    assert [module.name for module in project.pipeline.modules] == ["os"]
    assert (project.workspace, project.state_dir) == ("default", tmp_path / "state")
    assert project.scopes["os"].base_dir == tmp_path
    assert project.warnings == ()
    place = project.sources.lookup("os", "kernel", "f")
    assert place is not None
    assert (place.filename, place.line, place.column) == (str(tmp_path / "pipeline.yaml"), 10, 22)
    assert project.sources.lookup("os", "kernel", "f", ("path",)) == project.sources.document(
        place.filename, ("spec", "modules", 0, "tasks", 0, "steps", 0, "path")
    )
    assert project.sources.lookup("nope") is None


def test_names_are_relative_to_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a/p.yaml": pipeline(TASK), "a/i.yaml": INVENTORY})
    monkeypatch.chdir(tmp_path)
    place = load(tmp_path / "a").sources.lookup("os")
    assert place is not None
    assert place.filename == "a/p.yaml"


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    other = "apiVersion: v1\nkind: ConfigMap\n---\n" + INVENTORY
    write(
        tmp_path,
        {
            "p.yaml": pipeline(TASK),
            "i.yaml": other,
            "broken.yaml": "{{ not yaml",
            "values.json": "{]",
            "notes.txt": "kubexms.io/v1alpha1",
            "sub/more.yaml": "kubexms.io: {{",
        },
    )
    assert len(load(tmp_path).inventory.hosts) == 2


def test_files_that_are_named_must_be_ours(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": pipeline(TASK), "x.yaml": "a: 1\n", "empty.yaml": "", "sub/i.yaml": INVENTORY})
    assert len(load(tmp_path, files=[Path("p.yaml"), Path("sub")]).inventory.hosts) == 2
    assert "missing field 'apiVersion'" in failure(tmp_path, files=[Path("x.yaml")]).summary
    assert "holds no document" in failure(tmp_path, files=[Path("empty.yaml")]).summary
    assert "cannot read" in failure(tmp_path, files=[Path("nope.yaml")]).summary


def test_no_documents_and_no_directory(tmp_path: Path) -> None:
    assert "no kubexms documents" in failure(tmp_path).summary
    assert "cannot read the directory" in failure(tmp_path / "nope").summary


def test_pipelines_merge_in_the_order_of_their_files(tmp_path: Path) -> None:
    head = (
        "hooks: {pre: [{name: %s, run: 'true'}]}\nvariables: {x: {default: 1}}\nmoved: [{from: %s, to: b}]\n"
    )
    write(
        tmp_path,
        {
            "b.yaml": pipeline(TASK, head % ("second", "y")).replace("name: os", "name: two"),
            "a.yaml": pipeline(TASK, head % ("first", "x")),
            "c.yaml": INVENTORY,
        },
    )
    project = load(tmp_path)
    assert [module.name for module in project.pipeline.modules] == ["os", "two"]
    assert [hook.name for hook in project.pipeline.hooks.pre] == ["first", "second"]
    assert [move.from_ for move in project.pipeline.moved] == ["x", "y"]
    assert values(project, "two") == {"x": 1}
    assert type(project.pipeline).from_json(project.pipeline.to_json()) == project.pipeline


VARIABLES = """\
variables:
  count: {type: integer, default: 1}
  flag: {type: boolean}
  items: {type: list}
  text: {type: string}
  ratio: {type: number}
  free: {}
"""


FILES = "\n  varFiles: [base.yaml]\n  environments: {prod: {varFiles: [prod.yaml]}}"


def test_variables_and_what_wins(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "p.yaml": pipeline(TASK, VARIABLES),
            "i.yaml": INVENTORY,
            "project.yaml": document("Project", "p", FILES),
            "base.yaml": "count: 2\nratio: 1.5\n",
            "prod.yaml": "count: 3\n",
            "more.json": '{"count": 4}',
        },
    )  # fmt: skip
    environ = {"KUBEXMS_VAR_count": "9", "KUBEXMS_VAR_text": "05", "KUBEXMS_VAR_unused": "x", "HOME": "/"}
    project = load(tmp_path, environment="prod", environ=environ)
    assert values(project) == {
        "count": 3,
        "flag": None,
        "items": None,
        "text": "05",
        "ratio": 1.5,
        "free": None,
    }
    assert project.scopes["os"].variables["count"].source == "var-file"
    assert project.scopes["os"].variables["text"].source == "environment"
    assert values(load(tmp_path, environment="prod", var_files=[Path("more.json")]))["count"] == 4
    given_on_line = {"count": "5", "flag": "true", "items": "[a, 'b']", "ratio": "2", "free": "1.30"}
    project = load(tmp_path, environment="prod", var_files=[Path("more.json")], variables=given_on_line)
    assert values(project) == {
        "count": 5, "flag": True, "items": ["a", "b"], "text": None, "ratio": 2, "free": "1.30",
    }  # fmt: skip
    assert project.scopes["os"].variables["count"].source == "var"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("count", "1.5", "must be an integer, not '1.5'"),
        ("count", "x", "must be an integer"),
        ("count", "", "must be an integer"),
        ("flag", "yes", "must be true or false, not 'yes'"),
        ("ratio", "nan", "must be a number"),
        ("ratio", "1_0", "must be a number"),
        ("items", "a", "must be a list, not the string 'a'"),
        ("items", "{", "must be a list, not '{'"),
        ("cuont", "1", "which no pipeline declares"),
    ],
)
def test_values_from_the_command_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    write(tmp_path, {"p.yaml": pipeline(TASK, VARIABLES), "i.yaml": INVENTORY})
    error = failure(tmp_path, variables={name: text})
    assert said in error.summary
    assert name != "cuont" or error.detail == "Did you mean 'count'?"


def test_a_variables_file_with_a_name_too_many_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": pipeline(TASK, VARIABLES), "i.yaml": INVENTORY, "v.yaml": "cuont: 1\n"})
    project = load(tmp_path, var_files=[Path("v.yaml")])
    assert [w.summary for w in project.warnings] == [
        "a variables file gives 'cuont', which no pipeline declares"
    ]
    write(tmp_path, {"v.yaml": "- 1\n"})
    assert "does not give variables" in failure(tmp_path, var_files=[Path("v.yaml")]).summary
    assert "cannot read" in failure(tmp_path, var_files=[Path("w.yaml")]).summary


def test_required_variables_may_come_from_the_inventory(tmp_path: Path) -> None:
    head = "variables: {zone: {required: true}, size: {type: integer}}\n"
    hosts = "  hosts: [{name: a, vars: {zone: x}}, {name: b%s}]\n"
    inventory = INVENTORY.split("  hosts")[0]
    write(tmp_path, {"p.yaml": pipeline(TASK, head), "i.yaml": inventory + hosts % ", vars: {zone: y}"})
    assert values(load(tmp_path)) == {"zone": None, "size": None}
    write(tmp_path, {"i.yaml": inventory + hosts % ""})
    assert failure(tmp_path).summary == "variable 'zone' has no value on b"
    write(tmp_path, {"i.yaml": inventory + hosts % ", vars: {zone: y, size: big}"})
    assert "must be an integer, not the string 'big' on host b" in failure(tmp_path).summary


def test_variables_from_commands_and_files(tmp_path: Path) -> None:
    head = VARIABLES + "varsFrom: [{file: more.yaml}, {command: [sops, -d, secrets.yaml]}]\n"
    write(tmp_path, {"p.yaml": pipeline(TASK, head), "i.yaml": INVENTORY, "more.yaml": "count: 2\nfree: a\n"})
    commands = Commands({"sops": b"count: 3\ntext: hunter2\nsops: {}\n"})
    project = load(tmp_path, run_command=commands, variables={"free": "b"})
    assert commands.asked == [(("sops", "-d", "secrets.yaml"), str(tmp_path))]
    found = project.scopes["os"].variables
    assert (found["count"].value, found["count"].sensitive, found["count"].source) == (3, True, "varsFrom")
    assert (found["text"].value, found["text"].sensitive) == ("hunter2", True)
    assert (found["free"].value, found["free"].sensitive) == ("b", False)
    untrusted = load(tmp_path, run_command=commands, untrusted=True).scopes["os"].variables
    assert len(commands.asked) == 1
    assert untrusted["text"].secret == SecretRef(command=("sops", "-d", "secrets.yaml"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (CompletedResult(1, b"", b"no key"), "failed with status 1: no key"),
        (b"", "is empty"),
        (b"- hunter2\n", "does not give variables"),
        (b"a: 1\na: hunter2\n", "cannot be read"),
        (b"token: 0644\n", "cannot be read"),
        (b"{", "cannot be read"),
    ],
)
def test_bad_answers_are_told_without_their_text(
    tmp_path: Path, answer: CompletedResult | bytes, said: str
) -> None:
    head = VARIABLES + "varsFrom: [{command: [sops]}]\n"
    write(tmp_path, {"p.yaml": pipeline(TASK, head), "i.yaml": INVENTORY})
    error = failure(tmp_path, run_command=Commands({"sops": answer}))
    assert said in error.summary
    everything = "".join(
        d.summary + d.detail + (d.source.snippet if d.source else "") for d in error.diagnostics
    )
    assert "hunter2" not in everything
    assert "0644" not in everything


def test_secret_references_are_not_resolved_by_loading(tmp_path: Path) -> None:
    head = "variables: {token: {valueFrom: {command: [vault]}}, other: {valueFrom: {env: X}}}\n"
    write(tmp_path, {"p.yaml": pipeline(TASK, head), "i.yaml": INVENTORY})
    commands = Commands()
    found = load(tmp_path, run_command=commands, variables={"other": "given"}).scopes["os"].variables
    assert commands.asked == []
    assert (found["token"].secret, found["token"].sensitive) == (SecretRef(command=("vault",)), True)
    assert (found["other"].value, found["other"].sensitive) == ("given", True)


ENVIRONMENTS = """
  state: {path: store}
  parallelism: 3
  environments:
    prod: {inventories: [prod], state: {path: prod-store}}
    dev: {inventories: [hosts/dev.yaml], workspace: sandbox}
"""


def test_environments(tmp_path: Path) -> None:
    dev = INVENTORY.replace("n[1-2]", "d1").replace("name: hosts", "name: dev")
    write(
        tmp_path,
        {
            "p.yaml": pipeline(TASK),
            "project.yaml": document("Project", "p", ENVIRONMENTS),
            "prod.yaml": INVENTORY.replace("name: hosts", "name: prod"),
            "stage.yaml": INVENTORY.replace("name: hosts", "name: stage"),
            "hosts/dev.yaml": dev,
        },
    )
    prod = load(tmp_path, environment="prod")
    assert (prod.inventory.name, prod.workspace, prod.state_dir) == ("prod", "prod", tmp_path / "prod-store")
    sandbox = load(tmp_path, environment="dev")
    assert [host.name for host in sandbox.inventory.hosts] == ["d1"]
    assert (sandbox.workspace, sandbox.state_dir, sandbox.spec.parallelism) == (
        "sandbox",
        tmp_path / "store",
        3,
    )
    assert "none was chosen" in failure(tmp_path).summary
    assert failure(tmp_path, environment="pord").detail == "Did you mean 'prod'?"


def test_a_pipeline_without_an_inventory_has_no_hosts(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": pipeline(TASK.replace("steps", "runOnRoles: [node]\n  steps"))})
    assert load(tmp_path).inventory.hosts == ()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=120), st.integers(0, 400), st.booleans())
def test_no_damage_to_a_document_is_more_than_an_error(
    tmp_path: Path, junk: bytes, at: int, cut: bool
) -> None:
    text = (pipeline(TASK, VARIABLES) + "---\n" + INVENTORY).encode()
    damaged = text[:at] + junk + (b"" if cut else text[at:])
    write(tmp_path, {"p.yaml": damaged})
    with contextlib.suppress(ConfigError):
        load(tmp_path)


KEYS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "name",
        "modules",
        "tasks",
        "steps",
        "hosts",
        "roles",
        "path",
        "vars",
        "dependsOn",
        "runOnRoles",
        "restartOn",
        "variables",
        "default",
        "type",
        "connection",
        "from",
        "source",
        "with",
        "forEach",
        "when",
        "args",
        "hooks",
        "strategy",
        "maxParallel",
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "file", "{{ x }}", "", "n[1-"])
)
SHAPES: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["Pipeline", "Inventory", "Project"]), SHAPES)
def test_no_shape_of_a_document_is_more_than_an_error(tmp_path: Path, kind: str, spec: Json) -> None:
    body = {"apiVersion": "kubexms.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    write(tmp_path, {"x.json": json.dumps(body)})
    with contextlib.suppress(ConfigError):
        load(tmp_path)


WHOLE = """
{"apiVersion": "kubexms.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"}, "spec": {
 "variables": {"x": {"type": "integer", "default": 1, "valueFrom": null}}, "varsFrom": [],
 "hooks": {"pre": [{"name": "h", "run": "true"}]}, "strategy": {"maxParallel": [1, "25%"]},
 "modules": [{"name": "m", "dependsOn": [], "when": "true", "tasks": [
  {"name": "t", "runOnRoles": ["node"], "dependsOn": [{"task": "t"}], "steps": [
   {"name": "s", "kind": "file", "path": "/a", "content": "{{ vars.x }}", "forEach": [1],
    "retries": {"attempts": 2}},
   {"name": "u", "kind": "service", "unit": "a", "restartOn": ["s"]}]}]}],
 "moved": [{"from": "a", "to": "b"}]}}
"""


def _places(value: Json) -> list[tuple[str | int, ...]]:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [(), *((key, *inner) for key, item in entries for inner in _places(item))]


def _replaced(value: Json, path: tuple[str | int, ...], new: Json) -> Json:
    if not path:
        return new
    if isinstance(value, dict):
        return {
            key: _replaced(item, path[1:], new) if key == path[0] else item for key, item in value.items()
        }
    assert isinstance(value, list)
    return [_replaced(item, path[1:], new) if i == path[0] else item for i, item in enumerate(value)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_places(json.loads(WHOLE))), SHAPES)
def test_no_wrong_part_of_a_document_is_more_than_an_error(
    tmp_path: Path, path: tuple[str | int, ...], part: Json
) -> None:
    write(tmp_path, {"x.json": json.dumps(_replaced(json.loads(WHOLE), path, part)), "i.yaml": INVENTORY})
    with contextlib.suppress(ConfigError):
        load(tmp_path)
