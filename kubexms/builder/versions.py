"""What differs between versions of Kubernetes, as kubeadm's own constants and release notes have it."""

from __future__ import annotations

from dataclasses import dataclass

OLDEST = (1, 20)
NEWEST = (1, 35)
"""The minor versions that configurations are tested for; newer ones are taken to be like the newest."""

_API = {(1, 20): "v1beta2", (1, 22): "v1beta3", (1, 31): "v1beta4"}
"""The configuration API that is written, from this minor version on."""
_PAUSE = {
    (1, 20): "3.2",
    (1, 21): "3.4.1",
    (1, 22): "3.5",
    (1, 23): "3.6",
    (1, 24): "3.7",
    (1, 25): "3.8",
    (1, 26): "3.9",
    (1, 31): "3.10",
    (1, 34): "3.10.1",
}
"""`PauseVersion` of kubeadm, from this minor version on."""
_SOCKET_URLS = (1, 24)
"""From here on kubeadm wants the socket of the container runtime as a URL."""
_NEW_REGISTRY = (1, 25)
"""From here on the images come from registry.k8s.io."""
_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True, order=True)
class Version:
    """A version of Kubernetes, without a leading `v` in its text."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """`1.31.4` or `v1.31.4`. Raises `ValueError`."""
        major, minor, patch = text.removeprefix("v").split(".")
        return cls(int(major), int(minor), int(patch))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor."""
        return (self.major, self.minor)

    @property
    def kubeadm_api(self) -> str:
        """Version of kubeadm's configuration API: `v1beta2`, `v1beta3`, `v1beta4`."""
        return _since(_API, self.release)

    @property
    def sets_lifetimes(self) -> bool:
        """Whether kubeadm can be told how long certificates and authorities last."""
        return self.kubeadm_api == "v1beta4"

    @property
    def cri_socket(self) -> str:
        """containerd's socket as kubeadm wants it written."""
        return f"unix://{_SOCKET}" if self.release >= _SOCKET_URLS else _SOCKET

    @property
    def image_repository(self) -> str:
        """Where kubeadm takes images from unless told otherwise."""
        return "registry.k8s.io" if self.release >= _NEW_REGISTRY else "k8s.gcr.io"

    @property
    def pause(self) -> str:
        """The tag of the pause image."""
        return _since(_PAUSE, self.release)


def _since(table: dict[tuple[int, int], str], release: tuple[int, int]) -> str:
    return table[max(first for first in table if first <= release)]
