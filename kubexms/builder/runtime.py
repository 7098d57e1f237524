"""The module `runtime`: containerd, the CNI plugins, and the programs of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from kubexms.builder.artifacts import ClusterArtifacts
from kubexms.builder.binary.programs import program_tasks
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Template, step, task
from kubexms.builder.units import CONTAINERD_UNIT, KUBELET_DROP_IN, KUBELET_UNIT, kubelet_arguments
from kubexms.spec.cluster import ContainerRuntimeSpec
from kubexms.spec.pipeline import StepSpec, TaskSpec

CRI = "io.containerd.grpc.v1.cri"
PROGRAMS = "/usr/local/bin"
PACKAGES = ("kubeadm", "kubelet", "kubectl")
DEBIAN_CNI = "containernetworking-plugins"


def runtime_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """containerd and Kubernetes' programs on every node."""
    roles = plan.topology.node_roles
    containerd = task("containerd", roles, _containerd(plan))
    if plan.binary:
        return [containerd, *program_tasks(plan)]
    return [containerd, task("kubernetes", roles, _kubernetes(plan))]


def _containerd(plan: ClusterPlan) -> list[StepSpec]:
    runtime = plan.spec.container_runtime
    sources = ["config"]
    if plan.runtime_from_artifacts and plan.artifacts is not None:
        steps = _runtime_files(plan.artifacts, cni_directory(runtime, True))
        sources += ["programs", "runc", "unit"]
    else:
        steps = [step("packages", "package", packages=runtime.packages)] if runtime.packages else []
    steps.append(step("config-directory", "directory", path="/etc/containerd"))
    steps += _registries(runtime)
    text = tomli_w.dumps(containerd_config(plan))
    steps.append(step("config", "file", path="/etc/containerd/config.toml", content=text, mode="0644"))
    steps.append(
        step("service", "service", unit="containerd", enabled=True, running=True, restart_on=sources)
    )
    return steps


def _runtime_files(artifacts: ClusterArtifacts, plugins: str) -> list[StepSpec]:
    containerd, cni = artifacts.program("containerd"), artifacts.program("cni-plugins")
    return [
        step(
            "programs",
            "archive",
            dest="/usr/local",
            source=artifacts.file(containerd),
            sha256=artifacts.digest(containerd),
        ),
        program(artifacts, "runc", "/usr/local/sbin/runc"),
        step("plugins-directory", "directory", path=plugins),
        step("plugins", "archive", dest=plugins, source=artifacts.file(cni), sha256=artifacts.digest(cni)),
        step("unit", "systemdUnit", unit="containerd", content=CONTAINERD_UNIT),
    ]


def _registries(runtime: ContainerRuntimeSpec) -> list[StepSpec]:
    """Read by containerd at every pull: no restart is needed."""
    if not runtime.registries:
        return []
    directories = {name: f"/etc/containerd/certs.d/{name}" for name in runtime.registries}
    texts = {
        name: {
            "path": f"{directories[name]}/hosts.toml",
            "content": tomli_w.dumps(
                {
                    "host": {
                        url: {"capabilities": ["pull", "resolve"], "skip_verify": registry.skip_verify}
                        for url in registry.mirrors
                    }
                }
            ),
        }
        for name, registry in runtime.registries.items()
    }
    value = Template("{{ each.value }}")
    path, content = Template("{{ each.value.path }}"), Template("{{ each.value.content }}")
    return [
        step("registry-directory", "directory", for_each=directories, path=value),
        step("registry", "file", for_each=texts, path=path, content=content, mode="0644"),
    ]


def _kubernetes(plan: ClusterPlan) -> list[StepSpec]:
    sources = ["kubelet-arguments"]
    if plan.kubernetes_from_artifacts and plan.artifacts is not None:
        steps = [
            program(plan.artifacts, name, f"{PROGRAMS}/{name}")
            for name in ("kubeadm", "kubelet", "kubectl", "crictl")
            if plan.artifacts.program(name)
        ]
        steps.append(step("kubelet-unit", "systemdUnit", unit="kubelet", content=KUBELET_UNIT))
        steps.append(
            step(
                "kubelet-kubeadm",
                "systemdUnit",
                unit="kubelet",
                drop_in="10-kubeadm",
                content=KUBELET_DROP_IN,
            )
        )
        # not the program: a new one is started by the node's membership, when its pods are elsewhere
        sources += ["kubelet-unit", "kubelet-kubeadm"]
    else:
        steps = _packages(plan)
    steps.append(
        step(
            "kubelet-arguments",
            "systemdUnit",
            unit="kubelet",
            drop_in="20-kubexms",
            content=kubelet_arguments(plan.spec.kubernetes.kubelet.extra_args),
        )
    )
    steps.append(step("kubelet-enabled", "service", unit="kubelet", enabled=True, restart_on=sources))
    return steps


def _packages(plan: ClusterPlan) -> list[StepSpec]:
    """The kubelet is apart, and first: kubeadm's package may depend on any kubelet.

    Packages start the kubelet that they bring. So another version of it is not this step's: the node's
    membership installs it, when the control plane is new and the node's pods are elsewhere.
    """
    others = [f"{name}={plan.version}" for name in PACKAGES if name != "kubelet"]
    kubelet = step(
        "kubelet", "package", packages=[kubelet_package(plan)], hold=True, ignore_changes=["kubelet"]
    )
    return [kubelet, step("packages", "package", packages=others, hold=True)]


def kubelet_package(plan: ClusterPlan) -> str | None:
    """What the package of the kubelet is called, with its version; None where it comes from artifacts.

    Without a revision: the one that the repository has, 1.31.4-1.1 for instance.
    """
    return None if plan.kubernetes_from_artifacts else f"kubelet={plan.version}"


def program(artifacts: ClusterArtifacts, name: str, path: str) -> StepSpec:
    """A program of the artifacts, in its place on the host."""
    found = artifacts.program(name)
    return step(
        name,
        "download",
        path=path,
        source=artifacts.file(found),
        sha256=artifacts.digest(found),
        mode="0755",
    )


def cni_directory(runtime: ContainerRuntimeSpec, from_artifacts: bool) -> str:
    """Where the CNI plugins are."""
    if runtime.cni_bin_dir is not None:
        return runtime.cni_bin_dir
    return "/usr/lib/cni" if not from_artifacts and DEBIAN_CNI in runtime.packages else "/opt/cni/bin"


def containerd_config(plan: ClusterPlan) -> dict[str, Any]:
    """containerd's configuration (version 2): cgroup driver, pause image, where plugins and mirrors are."""
    runtime = plan.spec.container_runtime
    repository = plan.spec.kubernetes.image_repository or plan.version.image_repository
    cri: dict[str, Any] = {
        "sandbox_image": runtime.sandbox_image or f"{repository}/pause:{plan.version.pause}",
        "cni": {"bin_dir": cni_directory(runtime, plan.runtime_from_artifacts), "conf_dir": "/etc/cni/net.d"},
        "containerd": {
            "runtimes": {
                "runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}
            }
        },
    }
    if runtime.registries:
        cri["registry"] = {"config_path": "/etc/containerd/certs.d"}
    return merged({"version": 2, "plugins": {CRI: cri}}, runtime.config)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, mappings inside of each other too."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = merged(before, value) if isinstance(before, Mapping) and both else value
    return result
