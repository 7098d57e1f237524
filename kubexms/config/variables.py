"""Variables: the values given for them, and which one wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from kubexms.config.discover import display
from kubexms.config.problems import Problems
from kubexms.config.suggest import hint
from kubexms.config.values import convert_text, wrong_value
from kubexms.config.yaml import Document, read_value
from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.errors import ConfigError
from kubexms.spec.inventory import Host
from kubexms.spec.variable import SecretRef, VariableSpec

ENVIRONMENT = "KUBEXMS_VAR_"
SPELLED = {"environment": ENVIRONMENT + "{}", "var": "--var {}", "var-file": "{} in a variables file"}


@dataclass(frozen=True, slots=True)
class ResolvedVariable:
    """One variable with its value. `secret` is resolved when a template first reads it.

    `source` is where the value comes from: `default`, `varsFrom`, `environment`, `var-file`, `var`, or
    `with` in a module from elsewhere. Only a `default` gives way to an inventory's vars.
    """

    value: JsonValue = None
    sensitive: bool = False
    source: str = "default"
    secret: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value from outside the declaration. `text` is still to be converted to the declared type."""

    value: JsonValue
    source: str
    text: bool = False
    sensitive: bool = False
    secret: SecretRef | None = None
    place: SourceRange | None = None


def given_values(
    variables: Mapping[str, str], var_files: Sequence[Path], environ: Mapping[str, str]
) -> dict[str, GivenValue]:
    """Values by name; environment < variable files (later wins) < `--var`. Raises `ConfigError`."""
    given = {
        name.removeprefix(ENVIRONMENT): GivenValue(value, "environment", text=True)
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT)
    }
    for path in var_files:
        document = read_values(path)
        assert isinstance(document.value, dict)
        for name, value in document.value.items():
            given[name] = GivenValue(value, "var-file", place=document.range((name,), key=True, show=False))
    given.update({name: GivenValue(value, "var", text=True) for name, value in variables.items()})
    return given


def read_values(path: Path) -> Document:
    """A file that maps names to values. Raises `ConfigError`."""
    try:
        document = read_value(path.read_bytes(), display(path))
    except OSError as error:
        raise ConfigError(f"cannot read the variables file {display(path)}: {error.strerror}") from None
    except ConfigError as error:
        raise _unquoted(error) from None
    return mapping_of(document)


def _unquoted(error: ConfigError) -> ConfigError:
    """The error without the lines that it shows: there may be a secret in them."""
    found = [
        replace(item, source=replace(item.source, snippet="")) if item.source is not None else item
        for item in error.diagnostics
    ]
    return ConfigError(error.summary, detail=error.detail, diagnostics=found)


def mapping_of(document: Document) -> Document:
    """The document, if it is a mapping; an empty one counts as such. Raises `ConfigError`."""
    if document.value is None:
        return Document(document.source, {}, {})
    if not isinstance(document.value, dict):
        raise ConfigError(
            f"{document.filename} does not give variables", detail="It must be a mapping of names to values."
        )
    return document


def resolve(
    declared: Mapping[str, VariableSpec],
    given: Mapping[str, GivenValue],
    hosts: Sequence[Host],
    places: Mapping[str, Document],
    problems: Problems,
) -> dict[str, ResolvedVariable]:
    """Every declared variable with its value; undeclared, missing and wrong ones go to `problems`.

    A required variable may also come from every host's vars.
    """
    found: dict[str, ResolvedVariable] = {}
    for name, spec in declared.items():
        value = given.get(name)
        sensitive = spec.sensitive or spec.value_from is not None
        if value is not None:
            found[name] = _given(name, spec, value, problems)
        elif spec.value_from is not None:
            found[name] = ResolvedVariable(None, True, "default", spec.value_from)
        else:
            found[name] = ResolvedVariable(spec.default, sensitive)
            document = places.get(name)
            wrong = wrong_value(spec, spec.default) if spec.default is not None else None
            if wrong is not None and document is not None:
                path = ("spec", "variables", name, "default")
                summary = f"the default of variable '{name}' {wrong}"
                problems.add(document.error(path, summary, show=not sensitive))
    _missing(declared, given, hosts, places, problems)
    _undeclared(declared, given, problems)
    return found


def _given(name: str, spec: VariableSpec, given: GivenValue, problems: Problems) -> ResolvedVariable:
    sensitive = spec.sensitive or spec.value_from is not None or given.sensitive
    if given.secret is not None:
        return ResolvedVariable(None, True, given.source, given.secret)
    value = given.value
    wrong: str | None = None
    if given.text and isinstance(value, str):
        value, wrong = convert_text(spec, value, sensitive)
    wrong = wrong or wrong_value(spec, value, sensitive)
    if wrong is not None:
        origin = SPELLED.get(given.source, "{} of " + given.source).format(name)
        problems.add(
            Diagnostic(
                Severity.ERROR, f"variable '{name}' {wrong}", f"It is given as {origin}.", source=given.place
            )
        )
    return ResolvedVariable(value, sensitive, given.source)


def _missing(
    declared: Mapping[str, VariableSpec],
    given: Mapping[str, GivenValue],
    hosts: Sequence[Host],
    places: Mapping[str, Document],
    problems: Problems,
) -> None:
    for name, spec in declared.items():
        needed = spec.required or (not spec.nullable and spec.default is None)
        if not needed or name in given or spec.value_from is not None:
            continue
        without = [host.name for host in hosts if host.vars.get(name) is None]
        if hosts and not without:
            continue
        some = f" on {', '.join(without[:5])}{', …' if len(without) > 5 else ''}"
        summary = f"variable '{name}' has no value{some if len(without) < len(hosts) else ''}"
        detail = f"Give it with --var {name}=VALUE, in a --var-file, or as {ENVIRONMENT}{name}."
        if spec.description:
            detail = f"{spec.description.rstrip('.')}. {detail}"
        document = places.get(name)
        path = ("spec", "variables", name)
        problems.add(
            document.error(path, summary, detail, key=True)
            if document is not None
            else Diagnostic(Severity.ERROR, summary, detail)
        )


def _undeclared(
    declared: Mapping[str, VariableSpec], given: Mapping[str, GivenValue], problems: Problems
) -> None:
    for name, value in given.items():
        if name in declared or value.source not in ("var", "var-file"):
            continue
        detail = hint(name, declared, "declared variables")
        if value.source == "var":
            problems.add(
                Diagnostic(Severity.ERROR, f"--var gives '{name}', which no pipeline declares", detail)
            )
        else:
            summary = f"a variables file gives '{name}', which no pipeline declares"
            problems.add(Diagnostic(Severity.WARNING, summary, detail, source=value.place))


def check_hosts(declared: Mapping[str, VariableSpec], hosts: Sequence[Host], problems: Problems) -> None:
    """Vars of inventories that have the name of a declared variable must be of its type."""
    told: set[str] = set()
    for host in hosts:
        for name, value in host.vars.items():
            spec = declared.get(name)
            wrong = wrong_value(spec, value, spec.sensitive) if spec is not None else None
            if wrong is not None and name not in told:
                told.add(name)
                summary = f"variable '{name}' {wrong} on host {host.name}"
                problems.add(Diagnostic(Severity.ERROR, summary, "The inventory gives it."))
