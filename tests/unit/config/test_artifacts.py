"""Directories of artifacts: what their manifest says, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubexms.config.artifacts import load_artifacts
from kubexms.errors import ConfigError
from kubexms.spec.artifacts import Artifact, ArtifactsSpec, best

SUM = "0" * 64


def entry(name: str = "kubeadm", **more: Any) -> dict[str, Any]:
    known = {"kind": "binary", "version": "v1.20.2", "arch": "amd64", "file": f"bin/{name}", "sha256": SUM}
    return {"name": name, **known, **more}


def image(name: str = "pause", **more: Any) -> dict[str, Any]:
    known = {
        "kind": "image",
        "version": "3.2",
        "ref": f"registry.example/{name}:3.2",
        "digest": f"sha256:{SUM}",
    }
    return entry(name, **known | more)


def manifest(directory: Path, *entries: dict[str, Any], text: str = "") -> Path:
    spec = {"entries": list(entries)}
    document = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Artifacts",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    (directory / "artifacts.yaml").write_text(text or json.dumps(document, indent=2))
    return directory


def test_a_manifest_is_read_without_its_files(tmp_path: Path) -> None:
    found = load_artifacts(manifest(tmp_path, entry(), image(), entry("runc", arch="all", version="1.1")))
    kubeadm = found.find("kubeadm", arch="amd64", version="v1.20.2")
    assert kubeadm is not None
    assert found.path(kubeadm) == tmp_path / "bin/kubeadm"
    assert [each.ref for each in found.images("amd64")] == ["registry.example/pause:3.2"]
    assert found.images("arm64") == ()
    assert found.find("kubeadm", arch="arm64") is None
    assert found.find("runc", arch="arm64") is not None
    assert found.find("kubeadm", arch="amd64", kind="image") is None


def test_an_entry_for_the_machine_comes_before_one_for_all() -> None:
    entries = [Artifact.from_json(entry(arch="all", file="all")), Artifact.from_json(entry(file="exact"))]
    found = best(entries, "kubeadm", arch="amd64")
    assert found is not None
    assert found.file == "exact"


def test_without_a_version_there_must_be_one() -> None:
    entries = [Artifact.from_json(entry(version=version)) for version in ("v1.20.2", "v1.20.3")]
    assert best(entries, "kubeadm", arch="amd64") is None
    assert best(entries, "kubeadm", arch="amd64", version="v1.20.3") == entries[1]


def test_what_is_missing_names_what_is_there(tmp_path: Path) -> None:
    found = load_artifacts(manifest(tmp_path, entry()))
    problem = found.missing("kubeadm", "v1.21.0", "amd64")
    assert problem.summary == "there is no artifact kubeadm v1.21.0 for amd64"
    assert problem.detail.startswith("It has kubeadm v1.20.2 for amd64.")
    assert problem.source is not None
    assert problem.source.filename.endswith("artifacts.yaml")
    assert found.missing("kubelet", None, "amd64").detail.startswith("It has nothing called kubelet.")


def test_a_problem_with_an_entry_has_its_place(tmp_path: Path) -> None:
    found = load_artifacts(manifest(tmp_path, entry(), entry("kubelet")))
    problem = found.error(found.entries[1], "the file is not there")
    assert problem.path == "spec.entries[1].file"
    assert problem.source is not None
    assert "bin/kubelet" in problem.source.snippet


@pytest.mark.parametrize(
    ("entries", "summary", "path"),
    [
        ([entry(sha256="12")], "'12' does not have the right form", "spec.entries[0].sha256"),
        ([entry(file="/bin/sh")], "below the manifest's directory", "spec.entries[0].file"),
        ([entry(file="a/../../b")], "below the manifest's directory", "spec.entries[0].file"),
        ([entry(kind="program")], "'program' is not allowed", "spec.entries[0].kind"),
        ([entry(size=1)], "unknown field 'size'", "spec.entries[0].size"),
        ([entry(kind="image")], "an image needs 'ref' and 'digest'", "spec.entries[0]"),
        ([entry(ref="a:1")], "'ref' and 'digest' go with kind 'image'", "spec.entries[0]"),
        ([entry(), entry()], "entries 1 and 2 are the same: kubeadm v1.20.2 amd64", "spec"),
        ([image(digest=SUM)], "does not have the right form", "spec.entries[0].digest"),
    ],
)
def test_what_is_wrong_has_its_place(
    tmp_path: Path, entries: list[dict[str, Any]], summary: str, path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_artifacts(manifest(tmp_path, *entries))
    [problem] = caught.value.diagnostics
    assert summary in problem.summary
    assert problem.path == path
    assert problem.source is not None
    assert problem.source.line > 1


def test_a_directory_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no artifacts in") as caught:
        load_artifacts(tmp_path)
    assert "artifacts.yaml" in caught.value.detail


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (
            "apiVersion: kubexms.io/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {}\n",
            "of the kind Artifacts",
        ),
        ("a: [", ""),
        ("", "holds no document"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, text: str, summary: str) -> None:
    (tmp_path / "artifacts.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_artifacts(tmp_path)
    assert summary in str(caught.value)


def test_json_and_back() -> None:
    spec = ArtifactsSpec.from_json({"entries": [entry(), image()]})
    assert ArtifactsSpec.from_json(spec.to_json()) == spec
