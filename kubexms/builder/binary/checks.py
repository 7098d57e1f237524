"""What `kubernetes.type: binary` cannot do yet, told at the field that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubexms.builder.places import wrong
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster import ClusterSpec

BINARY = "kubernetes.type: binary"

_KNOWN: Mapping[tuple[str, ...], frozenset[str]] = {
    (): frozenset(ClusterSpec.model_fields),
    ("kubernetes",): frozenset(
        {
            "version", "type", "source", "image_repository", "schedulable_control_planes",
            "api_server", "controller_manager", "scheduler", "kubelet", "encryption_at_rest",
        }
    ),
    ("kubernetes", "api_server"): frozenset({"extra_args", "cert_sans", "audit"}),
    ("kubernetes", "controller_manager"): frozenset({"extra_args"}),
    ("kubernetes", "scheduler"): frozenset({"extra_args"}),
    ("etcd",): frozenset({"type", "extra_args"}),
    ("dns",): frozenset({"enabled"}),
    ("kube_proxy",): frozenset({"enabled", "config"}),
    ("certificates",): frozenset({"renew_before_days", "authority_days", "lifetime_days"}),
}  # fmt: skip
"""What this type makes something of. A field that is new elsewhere is refused until it is here."""


def binary_problems(building: Building, spec: ClusterSpec) -> Iterator[Diagnostic]:
    """All of them; nothing for clusters that kubeadm makes."""
    if spec.kubernetes.type != "binary":
        return
    yield from _unknown(building, spec)
    if spec.artifacts is None or spec.kubernetes.source == "packages":
        yield wrong(
            building, ("spec", "kubernetes", "type"), f"{BINARY} takes its programs from artifacts",
            "Name a directory of them in spec.artifacts; packages have no API server.",
        )  # fmt: skip


def _unknown(building: Building, spec: ClusterSpec) -> Iterator[Diagnostic]:
    for path, known in _KNOWN.items():
        model: FrozenModel = spec
        place: tuple[str, ...] = ("spec",)
        for name in path:
            place += (_alias(model, name),)
            model = getattr(model, name)
        for name in sorted(model.model_fields_set - known):
            field = (*place, _alias(model, name))
            yield wrong(
                building, field, f"{'.'.join(field[1:])} does not work with {BINARY} yet",
                "Leave it out, or let kubeadm make the cluster (kubernetes.type: kubeadm).", key=True,
            )  # fmt: skip


def _alias(model: FrozenModel, name: str) -> str:
    return type(model).model_fields[name].alias or name
