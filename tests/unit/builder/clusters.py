"""Cluster documents for tests, and what is built from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.config.commands import RunCommand
from kubexms.config.project import LoadedProject, load_project
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec
from kubexms.step.registry import default_registry
from tests.unit.config.projects import NOW, Commands

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, text: str) -> None:
    """Compare with a file of `golden/`; `KUBEXMS_UPDATE_GOLDEN=1` writes it anew."""
    path = GOLDEN / name
    if os.environ.get("KUBEXMS_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"{name} differs: read it, then KUBEXMS_UPDATE_GOLDEN=1"


def host(name: str, role: str, address: str) -> Json:
    """A host as a cluster lists it."""
    return {"name": name, "roles": [role], "connection": {"address": address}}


def hosts(control_planes: int = 1, workers: int = 1, balancers: int = 0) -> list[Json]:
    """So many hosts of each role, with addresses in 10.0.0.0/24."""
    return [
        *(host(f"cp{i}", "control-plane", f"10.0.0.{10 + i}") for i in range(1, control_planes + 1)),
        *(host(f"w{i}", "worker", f"10.0.0.{20 + i}") for i in range(1, workers + 1)),
        *(host(f"lb{i}", "load-balancer", f"10.0.0.{30 + i}") for i in range(1, balancers + 1)),
    ]


def cluster(**spec: Json) -> dict[str, Json]:
    """A Cluster document of one control plane and one worker; `spec` is laid over it, in camelCase."""
    return {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": "demo"},
        "spec": {"kubernetes": {"version": "1.31.4"}, "hosts": hosts(), **spec},
    }


def load(
    root: Path,
    *documents: Mapping[str, Json] | str,
    run_command: RunCommand | None = None,
    untrusted: bool = False,
) -> LoadedProject:
    """A project of these documents. Raises `ConfigError`."""
    texts = [item if isinstance(item, str) else dump_yaml(dict(item)) for item in documents]
    (root / "cluster.yaml").write_text("---\n".join(texts))
    return load_directory(root, run_command=run_command, untrusted=untrusted)


def load_directory(
    root: Path, *, run_command: RunCommand | None = None, untrusted: bool = False
) -> LoadedProject:
    """The project in a directory. Raises `ConfigError`."""
    return load_project(
        root,
        registry=default_registry(plugins=False),
        run_command=run_command or Commands(),
        untrusted=untrusted,
        kinds=DOCUMENT_KINDS,
        now=NOW,
    )


def steps_of(loaded: LoadedProject) -> dict[str, StepSpec]:
    """Every step of what was built, by module/task/step."""
    return {
        f"{module.name}/{task.name}/{step.name}": step
        for module in loaded.pipeline.modules
        for task in module.tasks
        for step in task.steps
    }


def assert_kinds_take_every_step(loaded: LoadedProject) -> None:
    """Each step is one that its kind accepts."""
    registry = default_registry(plugins=False)
    for step in steps_of(loaded).values():
        registry.check_args(step.kind, step.args)
