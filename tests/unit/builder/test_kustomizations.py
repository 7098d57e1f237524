"""Addons that kustomize renders: where, by what, and what is made of the text."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import pytest

from kubexms.config.project import LoadedProject
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.runtime.local_command import CompletedResult
from kubexms.spec.base import Json
from tests.unit.builder.clusters import cluster, load
from tests.unit.config.projects import Commands, told

TEXT = 'apiVersion: v1\ndata: {a: "{{ b }}"}\nkind: ConfigMap\nmetadata: {name: a}\n'
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: key-8d2k}\ndata: {a: Yg==}\n"
GONE = CompletedResult(127, b"", b"not found")


def build(
    tmp_path: Path,
    commands: Commands,
    *,
    untrusted: bool = False,
    name: str = "kustomization.yaml",
    spec: dict[str, Json] | None = None,
) -> LoadedProject:
    (tmp_path / "shop").mkdir(exist_ok=True)
    (tmp_path / "shop" / name).write_text("not a kubexms document")
    document = cluster(addons=[{"name": "shop", "kustomize": "shop"}], **(spec or {}))
    return load(tmp_path, document, run_command=commands, untrusted=untrusted)


def said(tmp_path: Path, commands: Commands, **more: object) -> str:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, commands, **more)  # type: ignore[arg-type]
    return told(caught.value.diagnostics, tmp_path)


@pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml", "Kustomization"])
def test_what_kubectl_makes_of_it_is_the_manifest(name: str, tmp_path: Path) -> None:
    commands = Commands({"kubectl": TEXT.encode()})
    loaded = build(tmp_path, commands, name=name)
    [step] = [
        step
        for module in loaded.pipeline.modules
        if module.name == "demo-addons"
        for task in module.tasks
        for step in task.steps
    ]
    assert (step.name, step.kind, step.run_once) == ("shop", "manifest", True)
    assert step.args == {"manifest": TEXT.replace("{{", "{{ '{{' }}"), "set": "demo.shop"}
    assert commands.asked == [(("kubectl", "kustomize", str(tmp_path / "shop")), None)]


def test_kustomize_alone_will_do(tmp_path: Path) -> None:
    commands = Commands({"kubectl": GONE, "kustomize": TEXT.encode()})
    build(tmp_path, commands)
    assert [argv[:2] for argv, _ in commands.asked] == [("kubectl", "kustomize"), ("kustomize", "build")]


def test_the_clusters_own_kubectl_comes_first_if_it_is_the_one_that_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    files = tmp_path / "files"
    files.mkdir()
    (files / "kubectl").write_text("a program")
    (files / "kubectl").chmod(0o755)
    entry: dict[str, Json] = {
        "name": "kubectl",
        "kind": "binary",
        "version": "v1.31.4",
        "arch": "amd64",
        "file": "kubectl",
        "sha256": hashlib.sha256(b"a program").hexdigest(),
    }
    head: dict[str, Json] = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Artifacts",
        "metadata": {"name": "f"},
    }
    (files / "artifacts.yaml").write_text(dump_yaml({**head, "spec": {"entries": [entry]}}))
    own = str(files.resolve() / "kubectl")
    more: dict[str, Json] = {
        "artifacts": "files",
        "kubernetes": {"version": "1.31.4", "source": "packages"},
        "containerRuntime": {"source": "packages"},
    }
    commands = Commands({own: TEXT.encode(), "kubectl": TEXT.encode()})
    build(tmp_path, commands, spec=more)
    (files / "kubectl").write_text("another program")
    build(tmp_path, commands, spec=more)
    assert [argv[0] for argv, _ in commands.asked] == [own, "kubectl"]


def test_what_cannot_be_rendered_is_told_at_its_field(tmp_path: Path) -> None:
    broken = CompletedResult(1, b"", b"Error: accumulating resources: nothing.yaml: no such file\n")
    text = said(tmp_path, Commands({"kubectl": broken}))
    assert text.splitlines()[:2] == [
        (
            "error: it cannot be rendered: kustomize failed with status 1: "
            "Error: accumulating resources: nothing.yaml: no such file"
        ),
        "  at cluster.yaml:21:16 spec.addons[0].kustomize",
    ]


@pytest.mark.parametrize(
    ("commands", "wanted"),
    [
        (Commands(), "there is no kubectl to render a kustomization with"),
        (Commands({"kubectl": b""}), "it makes no object"),
        (
            Commands({"kubectl": f"{TEXT}---\n{SECRET}".encode()}),
            "it makes the Secret key-8d2k, which would be kept",
        ),
    ],
    ids=["no program", "nothing", "a secret"],
)
def test_what_is_made_of_it_is_looked_at(commands: Commands, wanted: str, tmp_path: Path) -> None:
    assert f"error: {wanted}" in said(tmp_path, commands)


def test_strangers_kustomizations_are_not_rendered(tmp_path: Path) -> None:
    commands = Commands({"kubectl": TEXT.encode()})
    assert "error: a kustomization is not rendered with --untrusted" in said(
        tmp_path, commands, untrusted=True
    )
    assert commands.asked == []


def test_a_directory_without_one_is_told(tmp_path: Path) -> None:
    text = said(tmp_path, Commands(), name="other.yaml")
    assert "error: there is no kustomization.yaml in shop" in text
