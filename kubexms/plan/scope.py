"""What templates see: vars, host, facts, hosts, outputs, each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from pydantic import JsonValue

from kubexms.config.expansion import ModuleScope
from kubexms.config.project import LoadedProject
from kubexms.config.secrets import SecretResolver
from kubexms.config.template import Deferred, Sensitive, TemplateEngine, Unknown, has_template
from kubexms.config.variables import ResolvedVariable
from kubexms.spec.inventory import Host

Facts: TypeAlias = Mapping[str, JsonValue]
Outputs: TypeAlias = Mapping[str, Mapping[str, object]]

_OWN_SOURCES = ("default", "")
"""A variable whose value comes from here gives way to inventory vars of the same name."""


def host_view(host: Host, facts: Facts | None, secret: Collection[str] = ()) -> dict[str, object]:
    """One host as `host` and as an entry of `hosts`; its vars of the names in `secret` are sensitive."""
    return {
        "name": host.name,
        "roles": list(host.roles),
        "address": host.connection.address or host.name,
        "vars": concealed(host.vars, secret),
        "facts": facts if facts is not None else Unknown(f"facts of {host.name}"),
    }


def concealed(values: Mapping[str, JsonValue], secret: Collection[str]) -> dict[str, object]:
    """Values that an inventory gives: what is declared sensitive is so wherever its value comes from."""
    return {name: Sensitive(value) if name in secret else value for name, value in values.items()}


class Scopes:
    """Scopes per module and host, made from the project and the facts known so far.

    Not thread-safe. Facts of a host that nobody has asked yet are `Unknown`.
    """

    def __init__(self, project: LoadedProject, facts: Mapping[str, Facts], resolver: SecretResolver) -> None:
        self._project = project
        self._resolver = resolver
        self._hosts = {host.name: host for host in project.inventory.hosts}
        self._facts = dict(facts)
        self._secret = frozenset(
            name
            for scope in project.scopes.values()
            for name, variable in scope.variables.items()
            if variable.sensitive
        )
        self._views = {
            name: host_view(host, self._facts.get(name), self._secret) for name, host in self._hosts.items()
        }
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
            "outputs": {} if outputs is None else outputs,
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
        return self._scope_vars(self._project.scopes[module], host)

    def _scope_vars(self, scope: ModuleScope, host: str) -> dict[str, object]:
        """The vars of one module: what inventories say gives way only to what was given for the run."""
        values: dict[str, object] = {}
        over: dict[str, object] = {}
        for name, variable in scope.variables.items():
            given = variable.source not in _OWN_SOURCES
            (over if given else values)[name] = self._value(scope, name, variable, host)
        return {**values, **concealed(self._hosts[host].vars, self._secret), **over}

    def _value(self, scope: ModuleScope, name: str, variable: ResolvedVariable, host: str) -> object:
        if variable.secret is not None:
            reference, base = variable.secret, scope.base_dir
            return Deferred(lambda: self._resolver.resolve(reference, base))
        if variable.source == "with" and scope.outer is not None and has_template(variable.value):
            outer = {
                "vars": self._scope_vars(scope.outer, host),
                "host": self._views[host],
                "hosts": self._everyone,
            }
            result = TemplateEngine(scope.outer.base_dir).render(variable.value, outer)
            if result.unknown:
                return Unknown(min(result.unknown))
            return Sensitive(result.value) if result.sensitive or variable.sensitive else result.value
        return Sensitive(variable.value) if variable.sensitive else variable.value
