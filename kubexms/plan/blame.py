"""What is wrong with a step once it is rendered, told with its address and the field where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydantic import ValidationError

from kubexms.config.sources import SourceMap
from kubexms.errors import ConfigError
from kubexms.spec.address import Address
from kubexms.spec.forms import in_words
from kubexms.spec.pipeline import StepSpec

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""Types of pydantic's errors -> what the field takes."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Which step of which host an error is about, and where its documents are."""

    sources: SourceMap
    address: Address
    sensitive: bool = False
    """The lines of the step are not shown."""

    @contextmanager
    def field(self, name: str = "") -> Iterator[None]:
        """Errors of the block without a place get that of the field; without `name`, that of the step."""
        try:
            yield
        except ConfigError as error:
            raise self.placed(error, name) from error

    def placed(self, error: ConfigError, name: str = "") -> ConfigError:
        """The error with address, place and path, unless it says where it is itself."""
        if any(diagnostic.source is not None for diagnostic in error.diagnostics):
            return error
        at = self.address
        place = self.sources.lookup(at.module, at.task, at.step, (name,) if name else ())
        path = self.sources.path_of(place)
        if place is not None and self.sensitive:
            place = replace(place, snippet="")
        diagnostics = [
            replace(found, address=found.address or str(at), path=found.path or path, source=place)
            for found in error.diagnostics
        ]
        return type(error)(error.summary, detail=error.detail, diagnostics=diagnostics)


def misfit(error: ValidationError, step: StepSpec) -> tuple[str, ConfigError]:
    """The field that is wrong first (empty: several together), and what to say. Values are not quoted."""
    lines: list[str] = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        expected, got = _EXPECTED.get(item["type"]), kind_of(item["input"])
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "string_pattern_mismatch":
            message = f"it must {in_words(item['ctx']['pattern'])}"
        if expected is not None:
            message = f"expected {expected}, not {got}"
        lines.append(f"{path}: {message}" if path else message)
    first = error.errors(include_url=False)[0]
    detail = "\n".join(lines[1:])
    if not detail and first["type"] == "string_type" and isinstance(first["input"], (int, float)):
        detail = "A value that is one '{{ … }}' alone keeps its type; write '{{ … | string }}' for text."
    summary = f"step '{step.name}' ({step.kind}) is not valid once rendered: {lines[0]}"
    return (str(first["loc"][0]) if first["loc"] else ""), ConfigError(summary, detail=detail)


def kind_of(value: object) -> str:
    """The type of a value in the words of YAML."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        ((int, float), "a number"),
        (str, "a string"),
        ((list, tuple), "a list"),
        (dict, "a mapping"),
    )
    return next((name for types, name in kinds if isinstance(value, types)), "null")
