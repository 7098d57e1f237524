"""What models refuse, and how they say it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import PydanticCustomError

from kubexms.spec.inventory import Maintenance
from kubexms.spec.pipeline import Dependency, ModuleSpec, StepSpec, TaskSpec
from kubexms.spec.variable import SecretRef, VarsSource


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (StepSpec, {"name": "a b", "kind": "x"}, "String should match pattern"),
        (StepSpec, {"name": "a", "kind": "x", "args": {"timeout": 1}}, "'timeout' is a field of every step"),
        (TaskSpec, {"name": "a", "steps": []}, "at least 1 item"),
        (TaskSpec, {"name": "a", "steps": [{"name": "s", "kind": "x"}] * 2}, "duplicate step name 's'"),
        (ModuleSpec, {"name": "a"}, "either 'tasks' or a 'source'"),
        (Dependency, {"scope": "all"}, "name exactly one: a 'task' or a 'module'"),
        (Dependency, {"task": "a", "module": "b"}, "name exactly one"),
        (SecretRef, {}, "exactly one of 'env', 'file' or 'command'"),
        (SecretRef, {"env": "A", "file": "b"}, "exactly one"),
        (SecretRef, {"command": []}, "exactly one"),
        (VarsSource, {}, "exactly one of 'file' or 'command'"),
        (Maintenance, {"reason": "x", "until": "2026-01-01T00:00:00"}, "timezone"),
    ],
)
def test_what_is_refused(model: type[BaseModel], data: Mapping[str, JsonValue], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    assert said in str(caught.value)


class Catalog:
    """Refuses one field, as a registry does."""

    def check_args(self, kind: str, args: Mapping[str, JsonValue]) -> None:
        if "bad" in args:
            raise PydanticCustomError("bad", "bad is bad")
        TaskSpec.model_validate({"name": "t", "steps": [{"name": "s", "kind": "x"}], **args})


def test_a_registry_in_the_context_checks_the_fields() -> None:
    context = {"registry": Catalog()}
    assert StepSpec.from_json({"name": "a", "kind": "x"}, context=context).args == {}
    with pytest.raises(ValidationError, match="bad is bad"):
        StepSpec.from_json({"name": "a", "kind": "x", "bad": 1}, context=context)
    with pytest.raises(ValidationError, match="unknown: Extra inputs are not permitted"):
        StepSpec.from_json({"name": "a", "kind": "x", "unknown": 1}, context=context)


def test_a_dependency_is_a_name_or_a_mapping() -> None:
    task = {
        "name": "a",
        "steps": [{"name": "s", "kind": "x"}],
        "dependsOn": ["b", {"module": "m", "scope": "all"}],
    }
    found = TaskSpec.from_json(task).depends_on
    assert found == (Dependency(task="b"), Dependency.model_validate({"module": "m", "scope": "all"}))
