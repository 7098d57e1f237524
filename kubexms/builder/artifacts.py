"""Where a cluster's binaries and images are on the controller, for every architecture that they exist for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.builder.steps import Template
from kubexms.builder.versions import Version
from kubexms.config.artifacts import ArtifactSet
from kubexms.spec.artifacts import ANY_ARCH, Artifact

KUBERNETES_IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
"""Images that are tagged with the version of Kubernetes."""
TAGGED = ("kubeadm", "kubelet", "kubectl", *KUBERNETES_IMAGES)
"""Programs that have its version too."""
ARCHIVES = ("containerd", "cni-plugins")
CONTROL_PLANE_IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kube-vip")
"""Images that only control planes run."""


@dataclass(frozen=True)
class ClusterArtifacts:
    """The artifacts that one version of Kubernetes needs. Paths are relative to the cluster's document."""

    directory: str
    """As the document names it."""
    found: ArtifactSet
    version: Version

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those that there is a kubelet of this version for; without any, those of whatever there is."""
        every = [entry for entry in self.found.entries if entry.arch != ANY_ARCH]
        kubelets = [
            entry for entry in every if entry.name == "kubelet" and entry.version == f"v{self.version}"
        ]
        return tuple(dict.fromkeys(entry.arch for entry in kubelets or every))

    def find(self, name: str, arch: str) -> Artifact | None:
        """A program or archive; those of Kubernetes in this version."""
        tagged = name in TAGGED
        # images may have the names of the programs in them
        kind = "archive" if name in ARCHIVES else "binary"
        return self.found.find(name, arch=arch, version=f"v{self.version}" if tagged else None, kind=kind)

    def images(self, *, control_plane: bool) -> tuple[tuple[Artifact, ...], ...]:
        """The images that a node needs: each reference with its archives, one per architecture."""
        by_ref: dict[str, dict[str, Artifact]] = {}
        for arch in self.architectures:
            for image in self.found.images(arch):
                if image.name in CONTROL_PLANE_IMAGES and not control_plane:
                    continue
                if image.name in KUBERNETES_IMAGES and image.version != f"v{self.version}":
                    continue
                by_ref.setdefault(image.ref or image.name, {})[arch] = image
        return tuple(
            tuple(images[arch] for arch in self.architectures if arch in images) for images in by_ref.values()
        )

    def pinned(self, kind: str, name: str, version: str | None) -> list[Artifact]:
        """The manifests or archives of that name; without `version` all of them."""
        return [
            entry
            for entry in self.found.entries
            if entry.kind == kind and entry.name == name and version in (None, entry.version)
        ]

    def file(self, artifacts: Sequence[Artifact]) -> str:
        """The path of a file on the controller, which may be an expression over `facts.arch`."""
        return self.choose({a.arch: f"{self.directory.rstrip('/')}/{a.file}" for a in artifacts})

    def digest(self, artifacts: Sequence[Artifact]) -> str:
        """The SHA-256 digest of that file."""
        return self.choose({a.arch: a.sha256 for a in artifacts})

    def choose(self, values: dict[str, str]) -> str:
        """The value for a host: one for all, or an expression over `facts.arch`."""
        if len(set(values.values())) == 1 or ANY_ARCH in values:
            return next(iter(values.values()))
        choices = ", ".join(f"{arch!r}: {value!r}" for arch, value in values.items())
        return Template(f"{{{{ {{{choices}}}[facts.arch] }}}}")

    def program(self, name: str) -> list[Artifact]:
        """A program or archive for every architecture; those that are missing have been told by a check."""
        return [found for arch in self.architectures if (found := self.find(name, arch)) is not None]
