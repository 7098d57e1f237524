"""What templates see: vars, host, facts, hosts, outputs, each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from pydantic import JsonValue

from kubexms.config.project import LoadedProject
from kubexms.config.template import Sensitive, TemplateEngine, Unknown
from kubexms.spec.inventory import Host

Facts: TypeAlias = Mapping[str, JsonValue]
Outputs: TypeAlias = Mapping[str, Mapping[str, object]]

_OWN_SOURCES = ("default", "")
"""A variable whose value comes from here gives way to inventory vars of the same name."""


def host_view(host: Host, facts: Facts | None) -> dict[str, object]:
    """One host as `host` and as an entry of `hosts`."""
    return {
        "name": host.name,
        "roles": list(host.roles),
        "address": host.connection.address or host.name,
        "vars": host.vars,
        "facts": facts if facts is not None else Unknown(f"facts of {host.name}"),
    }


class Scopes:
    """Scopes per module and host, made from the project and the facts known so far.

    Not thread-safe. Facts of a host that nobody has asked yet are `Unknown`.
    """

    def __init__(self, project: LoadedProject, facts: Mapping[str, Facts]) -> None:
        self._project = project
        self._hosts = {host.name: host for host in project.inventory.hosts}
        self._facts = dict(facts)
        self._views = {name: host_view(host, self._facts.get(name)) for name, host in self._hosts.items()}
        self._everyone = self._group()
        self._vars: dict[tuple[str, str], dict[str, object]] = {}

    def _group(self) -> dict[str, object]:
        roles: dict[str, list[object]] = {}
        for host in self._hosts.values():
            for role in host.roles:
                roles.setdefault(role, []).append(self._views[host.name])
        return {"all": list(self._views.values()), "byName": dict(self._views), "roles": roles}

    def learn(self, host: str, facts: Facts) -> None:
        """The facts of a host are known (or known better) now."""
        self._facts[host] = facts
        if host in self._views:
            self._views[host]["facts"] = facts

    def facts_of(self, host: str) -> Facts | None:
        """The facts of a host as known so far."""
        return self._facts.get(host)

    def scope(
        self,
        module: str,
        host: str,
        *,
        outputs: Outputs | None = None,
        unknown_facts: Mapping[str, str] | None = None,
        each: Mapping[str, JsonValue] | None = None,
    ) -> dict[str, object]:
        """The names a template of `module` may use on `host`.

        `unknown_facts` maps facts that an earlier step of this plan may change to that step.
        """
        facts = self._facts.get(host)
        visible: object = facts if facts is not None else Unknown("facts")
        if facts is not None and unknown_facts:
            visible = {**facts, **{name: Unknown(f"facts.{name}") for name in unknown_facts}}
        scope: dict[str, object] = {
            "vars": self._module_vars(module, host),
            "host": self._views[host],
            "facts": visible,
            "hosts": self._everyone,
            "outputs": outputs or {},
        }
        if each is not None:
            scope["each"] = each
        return scope

    def _module_vars(self, module: str, host: str) -> dict[str, object]:
        key = (module, host)
        if key not in self._vars:
            self._vars[key] = self._merge(module, host)
        return self._vars[key]

    def _merge(self, module: str, host: str) -> dict[str, object]:
        values: dict[str, object] = {}
        over: dict[str, object] = {}
        for name, variable in self._project.scopes[module].variables.items():
            value: object = Sensitive(variable.value) if variable.sensitive else variable.value
            (values if variable.source in _OWN_SOURCES else over)[name] = value
        return {**values, **self._hosts[host].vars, **over}


def engine_for(project: LoadedProject, module: str) -> TemplateEngine:
    """The template engine for documents of a module's directory."""
    return TemplateEngine(project.scopes[module].base_dir)
