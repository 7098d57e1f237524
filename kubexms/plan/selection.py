"""`--target`, `--exclude`, `--limit`, `--replace`: what of a plan is asked for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from kubexms.errors import PlanError
from kubexms.plan.model import PlanOptions
from kubexms.spec.address import Address
from kubexms.spec.inventory import Host


def limited(hosts: Sequence[Host], limit: Sequence[str]) -> list[Host]:
    """The hosts that `--limit` leaves: globs over names, `role:NAME` for a role.

    Raises `PlanError` for a pattern that matches none.
    """
    if not limit:
        return list(hosts)
    chosen: set[str] = set()
    for pattern in limit:
        if pattern.startswith("role:"):
            found = {host.name for host in hosts if pattern[5:] in host.roles}
        else:
            found = {host.name for host in hosts if fnmatch.fnmatchcase(host.name, pattern)}
        if not found:
            raise PlanError(
                f"--limit {pattern} matches no host",
                detail="`kubexms hosts` lists the hosts and their roles.",
            )
        chosen |= found
    return [host for host in hosts if host.name in chosen]


def matching(
    addresses: Iterable[str], patterns: Sequence[str], option: str, silent: Iterable[Address] = ()
) -> set[str]:
    """The addresses that the globs select.

    `silent` are those of hosts that did not answer: they are not selected, and may be named.
    Raises `PlanError` for a glob that matches nothing.
    """
    parsed = [(text, Address.parse(text)) for text in addresses]
    chosen: set[str] = set()
    for pattern in patterns:
        found = {text for text, address in parsed if address.matches(pattern)}
        if not found and not any(address.matches(pattern) for address in silent):
            raise PlanError(
                f"{option} {pattern} matches nothing",
                detail="Addresses look like module/task/step@host; globs and prefixes work. "
                "`kubexms graph` lists them.",
            )
        chosen |= found
    return chosen


def is_selective(options: PlanOptions) -> bool:
    """Whether the plan covers less than everything."""
    return bool(options.targets or options.excludes or options.limit)
