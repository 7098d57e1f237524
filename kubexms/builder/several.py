"""Several clusters in one project: whose a host is, and that no task of one runs on hosts of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kubexms.builder.places import host_wrong, wrong
from kubexms.config.documents import Building
from kubexms.config.ranges import expand_name
from kubexms.diagnostics import Diagnostic
from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster import ROLES, ClusterSpec
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import ModuleSpec


def members(building: Building) -> tuple[Host, ...]:
    """The hosts of this cluster: all of the project that have a role of a cluster, if it is the only one.

    Otherwise those that the document lists itself, and those of inventories with its name as a role.
    """
    hosts = tuple(host for host in building.hosts if set(host.roles) & set(ROLES))
    if len(building.siblings) == 1:
        return hosts
    whose = _whose(building)
    return tuple(host for host in hosts if building.name in whose(host))


def sharing_problems(building: Building) -> Iterator[Diagnostic]:
    """Hosts of no cluster or of two, told once; and what two clusters would both write."""
    if len(building.siblings) == 1:
        return
    names, whose = list(building.siblings), _whose(building)
    if building.name == names[0]:
        for host in building.hosts:
            if not set(host.roles) & set(ROLES):
                continue
            found = whose(host)
            if not found:
                known = ", ".join(names)
                yield host_wrong(
                    building,
                    host,
                    f"{host.name} has a role of a cluster, and nothing says which cluster it is of",
                    f"This project has several: list it in spec.hosts of one, or give it one's name as a "
                    f"further role ({known}).",
                )
            elif len(found) > 1:
                summary = f"{host.name} would be a host of {' and of '.join(found)}"
                yield host_wrong(building, host, summary, "A host is of one cluster.")
    yield from _written_twice(building)


def narrowed(modules: Sequence[ModuleSpec], hosts: Sequence[Host]) -> tuple[ModuleSpec, ...]:
    """The same, on these hosts alone: roles are those of all clusters."""
    names = tuple(host.name for host in hosts)
    return tuple(
        module.model_copy(
            update={"tasks": tuple(task.model_copy(update={"run_on_hosts": names}) for task in module.tasks)}
        )
        for module in modules
    )


def _whose(building: Building) -> Callable[[Host], list[str]]:
    """The clusters that a host is of: by the documents that list it, else by its roles."""
    listed = {name: _listed(spec) for name, spec in building.siblings.items()}

    def whose(host: Host) -> list[str]:
        listing = [name for name, hosts in listed.items() if host.name in hosts]
        return listing or [name for name in listed if name in host.roles]

    return whose


def _listed(spec: FrozenModel) -> set[str]:
    assert isinstance(spec, ClusterSpec)
    return {name for host in spec.hosts for name in expand_name(host.name)}


def _written_twice(building: Building) -> Iterator[Diagnostic]:
    spec = building.spec
    assert isinstance(spec, ClusterSpec)
    for name, other in building.siblings.items():
        if name == building.name:
            return
        assert isinstance(other, ClusterSpec)
        if spec.kubeconfig is not None and other.kubeconfig is not None:
            path = spec.kubeconfig.path
            if path == other.kubeconfig.path:
                place = ("spec", "kubeconfig", "path")
                summary = f"{path} is the kubeconfig of cluster {name} already"
                yield wrong(building, place, summary, "Give each cluster a file of its own.")
        mine, theirs = spec.endpoint.virtual_ip, other.endpoint.virtual_ip
        if mine is not None and theirs is not None and mine.address == theirs.address:
            summary = f"{mine.address} is the address of cluster {name} already"
            at = ("spec", "endpoint", "virtualIP", "address")
            yield wrong(building, at, summary, "Take another free address.")
