"""Variables: typed inputs of a pipeline, and references to secrets."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel


class SecretRef(FrozenModel):
    """Where a secret comes from; exactly one source. Resolved anew for each plan and each apply."""

    env: str | None = None
    """An environment variable of the controller."""
    file: str | None = None
    """A controller file, relative to the document; one trailing newline is dropped."""
    command: tuple[str, ...] | None = None
    """A program with its arguments (no shell); its standard output, one trailing newline dropped."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(x is not None for x in (self.env, self.file, self.command)) != 1 or self.command == ():
            raise PydanticCustomError("secret_ref", "give exactly one of 'env', 'file' or 'command'")
        return self


class VarsSource(FrozenModel):
    """A file or a program's output (YAML or JSON, one mapping) that gives several variables at once."""

    file: str | None = None
    """Relative to the document."""
    command: tuple[str, ...] | None = None
    """A program with its arguments, no shell, run in the directory of the document."""
    sensitive: bool | None = None
    """Whether its values appear nowhere. Default: those of a command are hidden, those of a file are not."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (not self.command):
            raise PydanticCustomError("vars_source", "give exactly one of 'file' or 'command'")
        return self


class VariableSpec(FrozenModel):
    """One declared variable."""

    type: Literal["string", "number", "integer", "boolean", "list", "map", "any"] = "any"
    default: JsonValue = None
    required: bool = False
    """No default: it must be given."""
    nullable: bool = True
    description: str = ""
    sensitive: bool = False
    """Its value appears nowhere."""
    enum: tuple[JsonValue, ...] = ()
    """The only values allowed; empty: any."""
    pattern: str | None = None
    """A regular expression that a string must match in full."""
    value_from: SecretRef | None = None
    """A secret reference instead of a default; implies `sensitive`."""
