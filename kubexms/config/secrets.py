"""Resolving references to secrets: from the environment, a file or a command; remembered for one run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from kubexms.config.commands import RunCommand, advice, said
from kubexms.config.template import Unknown
from kubexms.errors import SecretError
from kubexms.spec.variable import SecretRef

REFERRED = "A secret refers to it."
"""The detail of errors that nobody can say more about."""


class SecretResolver:
    """Resolves secret references, each once. Thread-safe.

    `untrusted` (pull requests of strangers) runs no secret command: such a secret is `Unknown`.
    """

    def __init__(
        self, root: Path, environ: Mapping[str, str], run_command: RunCommand, *, untrusted: bool = False
    ) -> None:
        self._root = root
        self._environ = environ
        self._run_command = run_command
        self._untrusted = untrusted
        self._known: dict[tuple[SecretRef, Path], str | Unknown] = {}
        self._lock = threading.Lock()

    @property
    def root(self) -> Path:
        """The project's directory, which paths are relative to unless a document says otherwise."""
        return self._root

    def resolve(self, reference: SecretRef, base: Path | None = None) -> str | Unknown:
        """The secret's text. `base` is the directory that its paths are relative to.

        Raises `SecretError`, which never holds the secret.
        """
        key = (reference, base or self._root)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._load(reference, base or self._root)
            return self._known[key]

    def text(self, reference: SecretRef | None) -> str | None:
        """The secret as a connection needs it. Raises `SecretError` if it may not be resolved."""
        if reference is None:
            return None
        value = self.resolve(reference)
        if isinstance(value, Unknown):
            raise SecretError(f"{value.name} is not resolved with --untrusted")
        return value

    def _load(self, reference: SecretRef, base: Path) -> str | Unknown:
        if reference.env is not None:
            value = self._environ.get(reference.env)
            if value is None:
                raise SecretError(f"the environment variable {reference.env} is not set", detail=REFERRED)
            return value
        if reference.file is not None:
            path = base / Path(reference.file).expanduser()
            try:
                return _chomp(path.read_text("utf-8"))
            except OSError as error:
                raise SecretError(f"cannot read the secret file {path}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise SecretError(f"the secret file {path} is not UTF-8 text") from None
        command = list(reference.command or ())
        if self._untrusted:
            return Unknown(f"secret of {command[0]}")
        done = self._run_command(command, timeout=60.0, directory=str(base))
        if done.status != 0:
            raise SecretError(f"the secret command {command[0]} {said(done)}", detail=advice(done, base))
        try:
            value = _chomp(done.stdout.decode("utf-8"))
        except UnicodeDecodeError:
            raise SecretError(f"what the secret command {command[0]} printed is not UTF-8 text") from None
        if not value:
            raise SecretError(f"the secret command {command[0]} printed nothing")
        return value


def _chomp(text: str) -> str:
    return text.removesuffix("\n")
