"""Published schemas: valid, complete for an editor, and of one mind with the loader."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import PydanticCustomError

from kubexms.config.documents import (
    DEFAULT_KINDS,
    Building,
    DocumentKind,
    DocumentKinds,
    SchemaSet,
    validate_document,
)
from kubexms.config.schemas import schema_texts
from kubexms.config.yaml import read_documents
from kubexms.spec.base import FrozenModel
from kubexms.spec.pipeline import ModuleSpec, PipelineSpec, StepSpec, TaskSpec
from tests.unit.config.projects import Commands, write


class Inner(BaseModel):
    """Part of a toy."""

    model_config = ConfigDict(extra="forbid")

    depth: int = 1


class ToyArgs(BaseModel):
    """A toy for a test."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(description="How large.", ge=1)
    colour: Literal["red", "green"] = "red"
    on: bool = False
    tags: list[int] = Field(default_factory=list)
    inner: Inner | None = None
    note: str | None = None


class Toys:
    """A catalog with one kind."""

    def __iter__(self) -> Any:
        return iter(["toy"])

    def __contains__(self, kind: object) -> bool:
        return kind == "toy"

    def spec_class(self, kind: str) -> type[BaseModel]:
        return ToyArgs

    def check_args(self, kind: str, args: Mapping[str, JsonValue]) -> None:
        plain = {name: value for name, value in args.items() if "{{" not in json.dumps(value)}
        try:
            ToyArgs.model_validate({"size": 1, **plain})
        except ValidationError as error:
            raise PydanticCustomError("toy", "not a toy: {what}", {"what": str(error)}) from None


def pipeline_of(step: Mapping[str, JsonValue]) -> dict[str, Any]:
    tasks = [{"name": "t", "steps": [{"name": "s", "kind": "toy", **step}]}]
    return {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "p"},
        "spec": {"modules": [{"name": "m", "tasks": tasks}]},
    }


SCHEMAS = SchemaSet(Toys())
PUBLISHED = {kind.name: SCHEMAS.published(kind) for kind in DEFAULT_KINDS}


@pytest.mark.parametrize("name", PUBLISHED)
def test_schemas_are_valid_and_whole(name: str) -> None:
    schema = PUBLISHED[name]
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    references = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert references <= set(schema["$defs"])
    assert list(json.loads(schema_texts(Toys())[f"{name.lower()}.json"])) == list(schema)


STEPS: list[tuple[dict[str, JsonValue], bool]] = [
    ({"size": 3}, True),
    ({"size": "{{ vars.size }}"}, True),
    (
        {
            "size": 3,
            "colour": "{{ c }}",
            "on": "{{ o }}",
            "tags": ["{{ t }}", 2],
            "inner": {"depth": "{{ d }}"},
        },
        True,
    ),
    ({"size": 3, "tags": "{{ all }}", "inner": "{{ whole }}", "note": "any text"}, True),
    ({"size": 3, "when": "x", "forEach": [1], "timeout": 5, "retries": {"attempts": 2}}, True),
    ({"size": 3, "forEach": {"a": 1}, "sensitive": True, "note": None}, True),
    ({}, False),
    ({"size": "three"}, False),
    ({"size": 0}, False),
    ({"size": 3, "colour": "blue"}, False),
    ({"size": 3, "on": "yes"}, False),
    ({"size": 3, "tags": [True]}, False),
    ({"size": 3, "inner": {"deep": 1}}, False),
    ({"size": 3, "args": {}}, False),
    ({"size": 3, "kind": "tyo"}, False),
    ({"size": 3, "timeout": 0}, False),
    ({"size": 3, "name": "a b"}, False),
]


@pytest.mark.parametrize(("step", "valid"), STEPS, ids=lambda value: str(value)[:40])
def test_the_loader_and_the_published_schema_agree(step: Mapping[str, JsonValue], valid: bool) -> None:
    document = pipeline_of(step)
    assert Draft202012Validator(PUBLISHED["Pipeline"]).is_valid(document) is valid
    read = read_documents(json.dumps(document).encode(), "x.json")[0]
    validated, problems = validate_document(read, DEFAULT_KINDS, SCHEMAS)
    assert (validated is not None) is valid
    assert bool(problems) is not valid


def test_an_editor_is_told_what_fields_are_for() -> None:
    schema = PUBLISHED["Pipeline"]
    toy = schema["$defs"]["step.toy"]["properties"]
    assert toy["size"]["description"] == "How large."
    assert toy["when"]["description"]
    assert schema["$defs"]["StepSpec"]["properties"]["kind"]["enum"] == ["toy"]


class FleetSpec(FrozenModel):
    """A document kind that stands for a pipeline."""

    machines: int = 1


def test_other_layers_add_kinds_of_documents(tmp_path: Path) -> None:
    from kubexms.config.project import load_project
    from kubexms.step.registry import Registry

    def build(building: Building) -> PipelineSpec:
        spec = building.spec
        assert isinstance(spec, FleetSpec)
        steps = tuple(StepSpec(name=f"s{i}", kind="toy", args={"size": 1}) for i in range(spec.machines))
        return PipelineSpec(
            modules=(ModuleSpec(name=building.name, tasks=(TaskSpec(name="t", steps=steps),)),)
        )

    kinds = DEFAULT_KINDS.extended(DocumentKind("Fleet", FleetSpec, "A fleet.", build))
    text = "apiVersion: kubexms.io/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {machines: 2}\n"
    write(tmp_path, {"fleet.yaml": text})
    project = load_project(tmp_path, registry=Registry({}), run_command=Commands(), kinds=kinds)
    assert [step.name for step in project.pipeline.modules[0].tasks[0].steps] == ["s0", "s1"]
    assert project.scopes["f"].base_dir == tmp_path
    assert Draft202012Validator(SCHEMAS.published(kinds["Fleet"])).is_valid(
        {
            "apiVersion": "kubexms.io/v1alpha1",
            "kind": "Fleet",
            "metadata": {"name": "f"},
            "spec": {"machines": 2},
        }
    )
    with pytest.raises(ValueError, match="registered twice"):
        DocumentKinds(*DEFAULT_KINDS, DocumentKind("Pipeline", FleetSpec))
