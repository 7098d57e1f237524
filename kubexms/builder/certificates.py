"""How long certificates last where kubeadm makes them: by its own fields where it has them."""

from __future__ import annotations

from collections.abc import Iterator

from kubexms.builder.places import wrong
from kubexms.builder.versions import Version
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.spec.cluster import ClusterSpec
from kubexms.spec.cluster.access import TEN_YEARS, YEAR


def lifetime_problems(building: Building, spec: ClusterSpec, version: Version) -> Iterator[Diagnostic]:
    """A lifetime that this version of kubeadm cannot give."""
    days = spec.certificates.lifetime_days
    if spec.kubernetes.type == "binary" or days == YEAR or version.sets_lifetimes:
        return
    yield wrong(
        building,
        ("spec", "certificates", "lifetimeDays"),
        f"kubeadm {version} makes certificates for {YEAR} days, and not for {days}",
        "Leave lifetimeDays out, or take Kubernetes 1.31 or newer, or kubernetes.type: binary.",
    )


def validity_periods(spec: ClusterSpec, version: Version) -> dict[str, str]:
    """Fields of kubeadm's ClusterConfiguration, from v1beta4 on; nothing where its own defaults are meant."""
    if not version.sets_lifetimes:
        return {}
    given = spec.certificates
    periods = {
        "certificateValidityPeriod": (given.lifetime_days, YEAR),
        "caCertificateValidityPeriod": (given.authority_days, TEN_YEARS),
    }
    return {name: f"{days * 24}h0m0s" for name, (days, default) in periods.items() if days != default}


def authorities_made(spec: ClusterSpec, version: Version) -> int | None:
    """Days of authorities that are to be there before kubeadm looks for them; None: it makes them itself."""
    days = spec.certificates.authority_days
    return None if version.sets_lifetimes or days == TEN_YEARS else days
