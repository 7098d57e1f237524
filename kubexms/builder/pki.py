"""Steps for authorities and what they sign, with the lifetimes that the document gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Arg, step
from kubexms.spec.pipeline import StepSpec


def authority(
    plan: ClusterPlan, name: str, path: str, common_name: str, *, holders: list[str], with_key: bool
) -> StepSpec:
    """An authority, whose key its holders have; without `with_key` a host only gets what it trusts."""
    return step(
        name,
        "certificateAuthority",
        path=path,
        common_name=common_name[:64],
        holders=holders,
        with_key=with_key,
        lifetime_days=plan.spec.certificates.authority_days,
    )


def issued(
    plan: ClusterPlan,
    name: str,
    path: str,
    common_name: str,
    *,
    authority: str,
    holders: list[str],
    usages: list[str],
    sans: Sequence[Arg] | None = None,
    groups: list[str] | None = None,
    owner: str | None = None,
    kind: str = "issuedCertificate",
    more: Mapping[str, Arg] | None = None,
) -> StepSpec:
    """A certificate that a holder of the authority's key signs; `usages` are `server` and `client`."""
    settings = plan.spec.certificates
    return step(
        name,
        kind,
        path=path,
        common_name=common_name,
        organizations=groups,
        sans=sans,
        usages=usages,
        authority=authority,
        holders=holders,
        owner=owner,
        group=owner,
        lifetime_days=settings.lifetime_days,
        renew_before_days=settings.renew_before_days,
        **(more or {}),
    )
