"""`varsFrom`: files and commands that give variables as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubexms.config.inventory import RunCommand
from kubexms.config.variables import GivenValue, read_values
from kubexms.config.yaml import read_value
from kubexms.errors import SecretError
from kubexms.spec.base import Json
from kubexms.spec.pipeline import PipelineSpec


def vars_from(
    spec: PipelineSpec, root: Path, run_command: RunCommand, untrusted: bool
) -> dict[str, GivenValue]:
    """The values, later entries winning. What a command gives is sensitive. Raises `ConfigError`."""
    found: dict[str, GivenValue] = {}
    for entry in spec.vars_from:
        sensitive = entry.command is not None if entry.sensitive is None else entry.sensitive
        if entry.file is not None:
            values = read_values(root / entry.file)
        else:
            values = _from_command(entry.command or (), root, run_command, untrusted)
        found.update(
            {name: GivenValue(value, "varsFrom", sensitive=sensitive) for name, value in values.items()}
        )
    return found


def _from_command(
    command: Sequence[str], root: Path, run_command: RunCommand, untrusted: bool
) -> dict[str, Json]:
    if untrusted:
        return {}
    done = run_command(command, timeout=60.0, directory=str(root))
    if done.status != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise SecretError(
            f"the command {command[0]} of varsFrom failed with status {done.status}", detail=said
        )
    value = read_value(done.stdout, f"output of {command[0]}").value
    if not isinstance(value, dict) or not value:
        raise SecretError(f"the command {command[0]} of varsFrom printed no variables")
    return value
