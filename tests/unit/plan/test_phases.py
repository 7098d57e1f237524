"""Which modules are done before a module begins: what is removed in the reverse of it, on all hosts."""

from __future__ import annotations

from kubexms.plan.order import phases_before
from kubexms.spec.pipeline import PipelineSpec

TASK = {"name": "t", "steps": [{"name": "s", "kind": "x"}]}


def phases(*modules: dict[str, object]) -> dict[str, tuple[str, ...]]:
    return phases_before(PipelineSpec.from_json({"modules": [{"tasks": [TASK], **one} for one in modules]}))


def test_each_waits_for_all_before_it() -> None:
    assert phases({"name": "a"}, {"name": "b"}, {"name": "c"}) == {"a": (), "b": ("a",), "c": ("a", "b")}


def test_what_is_said_replaces_that() -> None:
    told = phases(
        {"name": "a"},
        {"name": "b", "dependsOn": []},
        {"name": "c", "dependsOn": [{"task": "b/t"}]},
        {"name": "d", "dependsOn": ["c", {"module": "e"}]},
        {"name": "e", "dependsOn": ["a"]},
    )
    assert told == {"a": (), "b": (), "c": ("b",), "d": ("a", "b", "c", "e"), "e": ("a",)}
