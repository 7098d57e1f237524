"""When kubeadm need not be asked again what a file is to be, with every shell."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from kubexms.runtime.protocol import Fragment
from kubexms.step.kinds._kubeadm.basis import BASIS
from kubexms.step.kinds.control_plane_manifest import ControlPlaneManifestExecutor, ControlPlaneManifestSpec
from kubexms.step.kinds.kubelet_config import KubeletConfigExecutor, KubeletConfigSpec
from kubexms.step.observation import Observation, Presence
from tests.steps.sandbox import Sandbox

CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
nodeRegistration: {name: cp1}
localAPIEndpoint: {advertiseAddress: 192.0.2.11}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 60
"""
MANIFESTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


class Node:
    """A host whose kubeadm is large, as the real one is, and of no use: who asks it learns nothing."""

    PLACES: ClassVar[tuple[str, ...]] = ("/etc/kubernetes", "/var/lib/kubelet", "/var/lib/kubexms")

    def __init__(self, shell: str, root: Path) -> None:
        self.root = root
        self.sandbox = Sandbox(shell, root, {"PATH": f"{root}/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
        for place in ("bin", "etc/kubernetes/manifests", "var/lib/kubelet"):
            (root / place).mkdir(parents=True)
        self.kubeadm = root / "bin/kubeadm"
        self.install("#!/bin/sh\nexit 1\n")
        for place in ("kubelet.conf", "admin.conf"):
            (root / "etc/kubernetes" / place).touch()
        for name in MANIFESTS:
            (root / f"etc/kubernetes/manifests/{name}.yaml").write_text(f"{name}: 1\n")
        (root / "var/lib/kubelet/config.yaml").write_text("maxPods: 60\n")

    def install(self, text: str) -> None:
        """Another kubeadm."""
        self.kubeadm.unlink(missing_ok=True)
        self.kubeadm.write_text(text + "#" * (1 << 20))
        self.kubeadm.chmod(0o755)

    def here(self, script: str) -> str:
        """A script as it is on this host."""
        for place in self.PLACES:
            script = script.replace(place, f"{self.root}{place}")
        return script

    def basis(self, *files: str, config: str = CONFIG, before: str = "") -> str:
        """What the function says."""
        paths = " ".join(f"{self.root}/{file}" for file in files)
        script = f"config='{config}'\n{before}\n{BASIS}\nemit 0 \"$(basis {paths})\"\n"
        return self.sandbox.ask(Fragment(script))[0].text.decode()

    def kubelet(self, remembered: object = None, config: str = CONFIG) -> Observation:
        """What is seen of the kubelet's configuration."""
        executor, spec = KubeletConfigExecutor(), KubeletConfigSpec(config=config)
        spec = executor.recall(spec, remembered)  # type: ignore[arg-type]
        script = self.here(executor.ask(spec))
        record = self.sandbox.ask(Fragment(f'a=$(\n{script}\n) 2>/dev/null\nemit "$?" "$a"\n'))[0]
        return executor.observe(spec, record)

    def manifests(self, remembered: object = None) -> Observation:
        """What is seen of the static pods."""
        executor, spec = ControlPlaneManifestExecutor(), ControlPlaneManifestSpec(config=CONFIG)
        spec = executor.recall(spec, remembered)  # type: ignore[arg-type]
        script = self.here(executor.ask(spec))
        record = self.sandbox.ask(Fragment(f'a=$(\n{script}\n) 2>/dev/null\nemit "$?" "$a"\n'))[0]
        return executor.observe(spec, record)


@pytest.fixture
def node(shell: str, tmp_path: Path) -> Node:
    return Node(shell, tmp_path)


KUBELET = "var/lib/kubelet/config.yaml"


def test_where_times_have_no_parts_of_a_second_kubeadm_is_asked(tmp_path: Path) -> None:
    assert Node("busybox", tmp_path).basis(KUBELET) == ""


@pytest.mark.parametrize("shell", ["dash", "bash"])
class TestBasis:
    def test_it_is_the_same_until_something_changes(self, node: Node) -> None:
        first = node.basis(KUBELET)
        assert len(first) == 64
        found = {first}
        assert node.basis(KUBELET) == first
        found.add(node.basis(KUBELET, config=CONFIG.replace("60", "61")))
        found.add(node.basis(KUBELET, before="HTTPS_PROXY=http://proxy"))
        (node.root / KUBELET).write_text("maxPods: 61\n")
        found.add(node.basis(KUBELET))
        (node.root / KUBELET).unlink()
        found.add(node.basis(KUBELET))
        (node.root / KUBELET).write_text("maxPods: 60\n")
        assert node.basis(KUBELET) == first
        node.kubeadm.touch()
        found.add(node.basis(KUBELET))
        assert len(found) == 6

    def test_a_small_kubeadm_may_be_a_script_around_another(self, node: Node) -> None:
        node.kubeadm.write_text("#!/bin/sh\n")
        assert node.basis(KUBELET) == ""

    def test_without_kubeadm_there_is_none(self, node: Node) -> None:
        node.kubeadm.unlink()
        assert node.basis(KUBELET) == ""

    def test_kubeadm_is_not_started_while_all_is_as_it_was(self, node: Node) -> None:
        basis = node.basis(KUBELET)
        seen = node.kubelet({"basis": basis})
        assert seen.attributes == {"configuration": "as specified", "loaded": True}
        assert KubeletConfigExecutor().remember(KubeletConfigSpec(config=CONFIG), seen, {}) == {
            "basis": basis
        }
        # what a restart of the kubelet is due for is told all the same
        (node.root / "var/lib/kubexms/kubeadm").mkdir(parents=True)
        (node.root / "var/lib/kubexms/kubeadm/kubelet-restart").touch()
        assert node.kubelet({"basis": basis}).attributes["loaded"] is False

    @pytest.mark.parametrize("remembered", [None, {}, {"basis": "x'; echo y"}, {"basis": "0" * 64}, ["x"]])
    def test_it_is_where_anything_else_is_remembered(self, node: Node, remembered: object) -> None:
        assert node.kubelet(remembered).presence is Presence.UNKNOWN

    def test_it_is_when_the_file_changed(self, node: Node) -> None:
        basis = node.basis(KUBELET)
        (node.root / KUBELET).write_text("maxPods: 61\n")
        assert node.kubelet({"basis": basis}).presence is Presence.UNKNOWN

    def test_it_is_when_the_configuration_leaves_something_to_be_found_out(self, node: Node) -> None:
        config = CONFIG.replace("localAPIEndpoint: {advertiseAddress: 192.0.2.11}\n", "")
        basis = node.basis(KUBELET, config=config)
        assert node.kubelet({"basis": basis}, config).presence is Presence.UNKNOWN

    def test_static_pods_too(self, node: Node) -> None:
        files = [f"etc/kubernetes/manifests/{name}.yaml" for name in MANIFESTS]
        basis = node.basis(*files, before="data=/var/lib/etcd")
        seen = node.manifests({"basis": basis})
        assert seen.attributes == dict.fromkeys(MANIFESTS, "as specified")
        assert ControlPlaneManifestExecutor().remember(ControlPlaneManifestSpec(config=CONFIG), seen, {}) == {
            "basis": basis
        }
        (node.root / files[2]).write_text("kube-controller-manager: 2\n")
        assert node.manifests({"basis": basis}).presence is Presence.UNKNOWN
