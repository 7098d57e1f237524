"""Every example is a project that loads, and brings what it names along."""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
from pathlib import Path

import pytest
import yaml

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.config.documents import API_VERSION
from kubexms.config.project import load_project
from kubexms.config.yaml.writer import dump_yaml
from kubexms.runtime.connect import run_local_command
from kubexms.spec.base import Json
from kubexms.spec.cluster import ClusterSpec
from kubexms.step.registry import default_registry
from tests.unit.examples.markdown import ROOT

IPV4 = re.compile(r"\b\d+(?:\.\d+){3}\b(?!/)")
EXAMPLES = ROOT / "examples"
PROGRAMS = (
    *("kubeadm", "kubelet", "kubectl", "crictl", "kube-proxy"),
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "etcdctl"),
)
PROJECTS = sorted(path.parent for kind in ("pipeline", "cluster") for path in EXAMPLES.glob(f"*/{kind}.yaml"))
CLUSTERS = [path for path in PROJECTS if (path / "cluster.yaml").is_file()]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_loads(project: Path, tmp_path: Path) -> None:
    if project.name in ("cluster-airgapped", "cluster-binary", "cluster-external-etcd"):
        project = _with_artifacts(project, tmp_path)
    loaded = load_project(
        project,
        registry=default_registry(plugins=False),
        run_command=run_local_command,
        kinds=DOCUMENT_KINDS,
    )
    assert loaded.inventory.hosts
    assert loaded.pipeline.modules


def _with_artifacts(project: Path, tmp_path: Path) -> Path:
    """A copy that has the files which its README says to gather, though nothing of use is in them."""
    copy = tmp_path / project.name
    shutil.copytree(project, copy)
    images = [
        ("kube-apiserver", "v1.31.4"),
        ("kube-controller-manager", "v1.31.4"),
        ("kube-scheduler", "v1.31.4"),
        ("kube-proxy", "v1.31.4"),
        ("coredns", "v1.11.3"),
        ("pause", "3.10"),
        ("etcd", "3.5.15-0"),
    ]
    entries: list[Json] = [_entry(copy, name, "image", version) for name, version in images]
    for command in _commands(project / "README.md", "artifacts add"):
        options = dict(itertools.pairwise(command))
        name = options.get("--name", command[-1])
        files = [name] if "--name" in options else [word for word in command if word in PROGRAMS]
        kind = "archive" if command[-1].endswith("gz") else "binary"
        entries += [_entry(copy, file, kind, options["--version"]) for file in files]
    document: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "Artifacts",
        "metadata": {"name": "files"},
    }
    text = dump_yaml({**document, "spec": {"entries": entries}})
    (copy / "artifacts/artifacts.yaml").write_text(text)
    return copy


def _entry(project: Path, name: str, kind: str, version: str) -> Json:
    file = project / "artifacts" / kind / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(name)
    entry: dict[str, Json] = {"name": name, "kind": kind, "version": version, "arch": "amd64"}
    entry |= {"file": f"{kind}/{name}", "sha256": hashlib.sha256(name.encode()).hexdigest()}
    if kind == "image":
        entry |= {"ref": f"registry.k8s.io/{name}:{version}", "digest": f"sha256:{entry['sha256']}"}
    return entry


def _commands(page: Path, name: str) -> list[list[str]]:
    """Command lines of this command in a page's blocks that say a version."""
    lines = page.read_text().splitlines()
    found = [line.split() for line in lines if line.startswith(f"kubexms {name} ")]
    return [words for words in found if "--version" in words]


@pytest.mark.parametrize("project", CLUSTERS, ids=lambda path: path.name)
def test_a_cluster_says_no_default(project: Path) -> None:
    """What an example says that is the default anyway teaches people to say it."""
    written = yaml.safe_load((project / "cluster.yaml").read_text())["spec"]
    assert ClusterSpec.from_json(written).to_json() == written


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_says_what_it_is_for(project: Path) -> None:
    assert (project / "README.md").is_file()
    assert f"]({project.name})" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_files_that_it_names_are_there(project: Path) -> None:
    document = next(project / name for name in ("pipeline.yaml", "cluster.yaml") if (project / name).exists())
    text = document.read_text()
    for name in re.findall(r"(?:template|source): (?!packages\b)([\w./-]+)", text):
        assert (project / name).is_file(), name


def test_addresses_are_documentation_addresses() -> None:
    """Those of hosts: networks of pods and services are a cluster's own, and 127.0.0.1 is everybody's."""
    files = [*EXAMPLES.glob("*/*.yaml"), *EXAMPLES.glob("*/ssh_config")]
    found = {(path, text) for path in files for text in IPV4.findall(path.read_text())}
    hosts = {(path, text) for path, text in found if text != "127.0.0.1"}
    assert len({path.parent for path, _ in hosts}) > 4
    assert {(str(path), text) for path, text in hosts if not text.startswith("192.0.2.")} == set()
