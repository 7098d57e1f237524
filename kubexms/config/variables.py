"""Variables: declarations, the values given for them, and which one wins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from kubexms.config.suggest import hint
from kubexms.config.template import has_template
from kubexms.config.yaml import read_value
from kubexms.errors import ConfigError
from kubexms.spec.variable import SecretRef, VariableSpec

ENVIRONMENT = "KUBEXMS_VAR_"


@dataclass(frozen=True, slots=True)
class ResolvedVariable:
    """One variable with its value. `secret` is resolved when a template first reads it.

    `source` is where the value comes from: `default`, `environment`, `var-file`, `var`, `varsFrom`, `with`.
    """

    value: JsonValue = None
    sensitive: bool = False
    source: str = "default"
    secret: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value from outside the pipelines. Text is converted to the declared type."""

    value: JsonValue
    source: str
    text: bool = False
    sensitive: bool = False


def given_values(
    variables: Mapping[str, str], var_files: Sequence[Path], environ: Mapping[str, str]
) -> dict[str, GivenValue]:
    """Values by name; environment < `--var-file` (later wins) < `--var`. Raises `ConfigError`."""
    given = {
        name.removeprefix(ENVIRONMENT): GivenValue(value, "environment", text=True)
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT)
    }
    for path in var_files:
        given.update({name: GivenValue(value, "var-file") for name, value in read_values(path).items()})
    given.update({name: GivenValue(value, "var", text=True) for name, value in variables.items()})
    return given


def read_values(path: Path) -> dict[str, JsonValue]:
    """A file that maps names to values. Raises `ConfigError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the variables file {path}: {error.strerror}") from error
    value = read_value(data, str(path)).value
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is not a mapping of variables to values")
    return value


def resolve(
    declared: Mapping[str, VariableSpec], given: Mapping[str, GivenValue]
) -> tuple[dict[str, ResolvedVariable], list[str]]:
    """Every declared variable with its value, and the names of required ones without.

    Raises `ConfigError` for a value of the wrong type.
    """
    found: dict[str, ResolvedVariable] = {}
    missing: list[str] = []
    for name, spec in declared.items():
        sensitive = spec.sensitive or spec.value_from is not None
        if name in given:
            value = given[name]
            converted = _convert(name, spec, value, sensitive)
            found[name] = ResolvedVariable(converted, sensitive or value.sensitive, value.source)
        elif spec.value_from is not None:
            found[name] = ResolvedVariable(None, True, "default", spec.value_from)
        elif spec.required:
            missing.append(name)
        else:
            found[name] = ResolvedVariable(_check(name, spec, spec.default, sensitive), sensitive)
    return found, missing


def refuse_undeclared(declared: Mapping[str, VariableSpec], given: Mapping[str, GivenValue]) -> None:
    """Raise `ConfigError` for a `--var` or a variable file's entry that no pipeline declares."""
    for name, value in given.items():
        if name not in declared and value.source in ("var", "var-file"):
            where = "--var" if value.source == "var" else "a variables file"
            raise ConfigError(
                f"{where} gives '{name}', which no pipeline declares",
                detail=hint(name, declared, "variables"),
            )


def _convert(name: str, spec: VariableSpec, given: GivenValue, sensitive: bool) -> JsonValue:
    value = given.value
    if given.text and isinstance(value, str) and spec.type not in ("string", "any"):
        try:
            value = json.loads(value)
        except ValueError as error:
            shown = "" if sensitive else f": {given.value!r}"
            raise ConfigError(f"variable '{name}' is a {spec.type}, and its value is not{shown}") from error
    return _check(name, spec, value, sensitive)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
}


def _check(name: str, spec: VariableSpec, value: JsonValue, sensitive: bool) -> JsonValue:
    shown = "its value" if sensitive else repr(value)
    if value is None:
        if not spec.nullable:
            raise ConfigError(f"variable '{name}' has no value, and may not be null")
        return value
    if has_template(value):
        return value
    wanted = _TYPES.get(spec.type)
    wrong = wanted is not None and (
        not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)
    )
    if wrong:
        raise ConfigError(f"variable '{name}' is a {spec.type}, and {shown} is not")
    if spec.enum and value not in spec.enum:
        allowed = ", ".join(map(str, spec.enum))
        raise ConfigError(f"variable '{name}' may not be {shown}", detail=f"It may be: {allowed}.")
    if spec.pattern is not None and isinstance(value, str) and not re.fullmatch(spec.pattern, value):
        raise ConfigError(f"variable '{name}' does not match {spec.pattern}: {shown}")
    return value
