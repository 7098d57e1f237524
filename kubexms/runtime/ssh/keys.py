"""Private keys and the agent: loaded only when they are needed, files once per process and version."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH

from kubexms.runtime.ssh.settings import SshSettings

_loaded: dict[tuple[Path, int, int, str | None], paramiko.PKey | str] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One key to try, and what to call it in a message. `problem` says why it cannot be tried."""

    label: str
    key: paramiko.PKey | None = None
    problem: str = ""


class SocketAgent(AgentSSH):
    """The agent behind a socket. Its keys sign through that socket: one thread at a time. Close it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(30.0)
            self._socket.connect(path)
            self._connect(self._socket)  # type: ignore[attr-defined]
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


class KeyRing:
    """The keys of one end point, in the order in which they are tried. For one thread; close it."""

    def __init__(self, settings: SshSettings) -> None:
        self._settings = settings
        self._agent: SocketAgent | None = None
        self._agent_keys: tuple[AgentKey, ...] | None = None

    def named(self) -> Iterator[Candidate]:
        """The keys that somebody named; from the agent if it has them and the file needs a passphrase."""
        for path in self._settings.named_keys:
            yield from self._from_file(path, must_exist=True)

    def found(self) -> Iterator[Candidate]:
        """The agent's keys and ssh's default files: what is tried if nothing better is known."""
        if not self._settings.identities_only:
            named = {_public_blob(path) for path in self._settings.named_keys}
            for key in self._from_agent():
                if key.asbytes() not in named:
                    yield Candidate(f"agent key {_comment(key)}", key)
        for path in self._settings.default_keys:
            yield from self._from_file(path, must_exist=False)

    def close(self) -> None:
        """Let go of the agent."""
        if self._agent is not None:
            self._agent.close()

    def _from_file(self, path: Path, *, must_exist: bool) -> Iterator[Candidate]:
        if not path.exists():
            if must_exist:
                # the public half alone names a key of the agent
                yield from self._agent_twin(path) or [Candidate(str(path), problem="no such file")]
            return
        loaded = load_key(path, self._settings.passphrase)
        if isinstance(loaded, str):
            yield from self._agent_twin(path) or [Candidate(str(path), problem=loaded)]
            return
        for certificate in self._settings.certificates:
            certified = _with_certificate(path, self._settings.passphrase, certificate)
            if certified is not None:
                yield Candidate(f"{path} with {certificate}", certified)
        yield Candidate(str(path), loaded)

    def _agent_twin(self, path: Path) -> list[Candidate]:
        blob = _public_blob(path)
        if blob is None:
            return []
        return [Candidate(f"{path} (agent)", key) for key in self._from_agent() if key.asbytes() == blob]

    def _from_agent(self) -> tuple[AgentKey, ...]:
        if self._agent_keys is None:
            self._agent_keys = ()
            if self._settings.agent:
                try:
                    self._agent = SocketAgent(self._settings.agent)
                    self._agent_keys = tuple(self._agent.get_keys())
                except (OSError, paramiko.SSHException):
                    # a variable that outlived its agent is no reason to fail
                    self._agent_keys = ()
        return self._agent_keys


def load_key(path: Path, passphrase: str | None) -> paramiko.PKey | str:
    """A private key (with ``FILE-cert.pub``, if there is one), or why it cannot be used. Thread-safe."""
    try:
        stat = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    certificate = path.with_name(path.name + "-cert.pub")
    version = stat.st_mtime_ns ^ (certificate.stat().st_mtime_ns if certificate.exists() else 0)
    slot = (path, version, stat.st_size, passphrase)
    with _lock:
        if slot not in _loaded:
            _loaded[slot] = _load(path, passphrase)
        return _loaded[slot]


def _load(path: Path, passphrase: str | None) -> paramiko.PKey | str:
    try:
        data = path.read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    # a key without a passphrase is not an error where others have one
    passwords: list[bytes | None] = [None] if passphrase is None else [passphrase.encode(), None]
    problem = "cannot be read"
    for password in passwords:
        try:
            return paramiko.PKey.from_path(path, password)  # type: ignore[arg-type]
        except (TypeError, paramiko.PasswordRequiredException):
            problem = "needs a passphrase" if password is None else "cannot be read"
        except (ValueError, paramiko.SSHException, OSError) as error:
            problem = "the passphrase is wrong" if password and b"ENCRYPTED" in data else str(error)
            if password is not None and _is_protected(data):
                return "the passphrase is wrong"
        except Exception as error:  # noqa: BLE001 - whatever the library makes of a damaged file
            problem = f"{type(error).__name__}: {error}"
    return problem


def _is_protected(data: bytes) -> bool:
    return b"ENCRYPTED" in data or (b"OPENSSH PRIVATE KEY" in data and b"bm9uZQAAAARub25l" not in data)


def _with_certificate(path: Path, passphrase: str | None, certificate: Path) -> paramiko.PKey | None:
    """A key of its own with a named certificate; None if they do not belong together."""
    key = _load(path, passphrase)
    if isinstance(key, str) or not certificate.exists():
        return None
    try:
        key.load_certificate(str(certificate))
    except (ValueError, paramiko.SSHException, OSError):
        return None
    return key


def _public_blob(path: Path) -> bytes | None:
    public = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    try:
        return paramiko.pkey.PublicBlob.from_file(str(public)).key_blob
    except (OSError, ValueError):
        return None


def _comment(key: AgentKey) -> str:
    return str(getattr(key, "comment", "") or key.get_name())
