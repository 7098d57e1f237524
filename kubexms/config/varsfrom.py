"""`varsFrom`: files and commands that give variables as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kubexms.config.commands import RunCommand, advice, said
from kubexms.config.discover import display
from kubexms.config.variables import GivenValue, mapping_of
from kubexms.config.yaml import Document, read_value
from kubexms.errors import ConfigError, SecretError
from kubexms.spec.pipeline import PipelineSpec
from kubexms.spec.variable import SecretRef, VariableSpec, VarsSource

TIMEOUT = 120.0
"""Seconds that a command may take."""


def vars_from(
    spec: PipelineSpec,
    directory: Path,
    run_command: RunCommand,
    untrusted: bool,
    declared: Mapping[str, VariableSpec],
) -> dict[str, GivenValue]:
    """The values of declared variables, later entries winning; other names are left out.

    What a command gives is sensitive unless the entry says otherwise. With `untrusted` no command
    runs: every declared variable then counts as a secret that a command would have given. Raises
    `ConfigError`, which never quotes a value.
    """
    found: dict[str, GivenValue] = {}
    for entry in spec.vars_from:
        if entry.command is not None and untrusted:
            secret = SecretRef(command=entry.command)
            found |= {name: GivenValue(None, "varsFrom", sensitive=True, secret=secret) for name in declared}
            continue
        sensitive = entry.command is not None if entry.sensitive is None else entry.sensitive
        values = _read(entry, directory, run_command).value
        assert isinstance(values, dict)
        found |= {
            name: GivenValue(value, "varsFrom", sensitive=sensitive)
            for name, value in values.items()
            if name in declared
        }
    return found


def _read(entry: VarsSource, directory: Path, run_command: RunCommand) -> Document:
    if entry.file is not None:
        path = directory / Path(entry.file).expanduser()
        try:
            data, name = path.read_bytes(), display(path)
        except OSError as error:
            raise ConfigError(f"cannot read {display(path)} of varsFrom: {error.strerror}") from None
    else:
        command = entry.command or ()
        done = run_command(list(command), timeout=TIMEOUT, directory=str(directory))
        if done.status != 0:
            raise SecretError(
                f"the command {command[0]} of varsFrom {said(done)}", detail=advice(done, directory)
            )
        data, name = done.stdout, f"the output of {command[0]}"
        if not data.strip():
            raise SecretError(f"{name} is empty", detail="It must be a mapping of variables to values.")
    try:
        return mapping_of(read_value(data, name))
    except ConfigError as error:
        # the text around the mistake may be a secret
        place = error.diagnostics[0].source
        where = f" (line {place.line})" if place is not None else ""
        problem = (
            error.summary if not error.diagnostics[0].path else "a value is ambiguous and must be quoted"
        )
        raise ConfigError(f"{name} of varsFrom cannot be read: {problem}{where}") from None
