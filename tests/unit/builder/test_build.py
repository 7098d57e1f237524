"""What is built from a cluster: a pipeline whose every step its kind takes, and that can be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.config.project import LoadedProject
from kubexms.spec.base import Json
from kubexms.spec.pipeline import PipelineSpec
from kubexms.step.registry import default_registry
from tests.unit.builder.clusters import cluster, hosts, load

REGISTRY = default_registry(plugins=False)

CASES: dict[str, dict[str, Json]] = {
    "smallest": {},
    "alone": {"hosts": hosts(1, 0), "kubernetes": {"version": "1.29.0", "schedulableControlPlanes": True}},
    "balanced": {"hosts": hosts(3, 2, 1), "endpoint": {"host": "k8s.example.com"}},
    "named": {"hosts": hosts(3, 2), "endpoint": {"host": "k8s.example.com", "resolve": False}},
    "everything": {
        "kubernetes": {
            "version": "1.20.2",
            "imageRepository": "registry.example.com",
            "apiServer": {"certSANs": ["api.example.com"], "extraArgs": {"v": "2"}},
            "kubelet": {"config": {"maxPods": 60}, "extraArgs": {"v": "2"}},
        },
        "dns": {"enabled": False},
        "kubeProxy": {"enabled": False},
        "containerRuntime": {
            "registries": {"docker.io": {"mirrors": ["https://mirror.example.com"], "skipVerify": True}},
            "config": {"plugins": {"io.containerd.grpc.v1.cri": {"restrict_oom_score_adj": True}}},
        },
        "network": {"plugin": "none"},
        "nodes": {"*": {"labels": {"site": "a"}}, "w1": {"taints": [{"key": "x", "effect": "NoSchedule"}]}},
        "operatingSystem": {
            "packages": [],
            "kernelModules": ["nf_conntrack"],
            "sysctls": {"vm.max_map_count": "1"},
        },
        "preflight": {"cpus": 0, "controlPlaneMemoryMb": 0, "workerMemoryMb": 0, "diskMb": 0, "clockSkew": 0},
    },
}


def built(tmp_path: Path, name: str) -> LoadedProject:
    return load(tmp_path, cluster(**CASES[name]))


def paths(pipeline: PipelineSpec) -> list[str]:
    return [f"{m.name}/{t.name}/{s.name}" for m in pipeline.modules for t in m.tasks for s in t.steps]


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_one_that_its_kind_takes(name: str, tmp_path: Path) -> None:
    loaded = built(tmp_path, name)
    for module in loaded.pipeline.modules:
        for task in module.tasks:
            for step in task.steps:
                REGISTRY.check_args(step.kind, step.args)
    assert loaded.warnings == ()
