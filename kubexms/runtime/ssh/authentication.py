"""Proving who we are: keys that are named, a password, keys that lie about; each at most once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import paramiko

from kubexms.errors import AuthenticationFailed
from kubexms.runtime.ssh.keys import Candidate, KeyRing
from kubexms.runtime.ssh.settings import SshSettings

_ATTEMPTS = 6
"""sshd's default MaxAuthTries: more would only end the connection."""


class Authentication:
    """One attempt to log in over a transport whose host key has been accepted. Used once."""

    def __init__(self, transport: paramiko.Transport, settings: SshSettings) -> None:
        self._transport = transport
        self._settings = settings
        self._tried: list[str] = []
        self._unusable: list[str] = []
        self._attempts = 0
        self._allowed: frozenset[str] | None = None
        """What the host would still take; None: it has not said."""
        self._seen: set[bytes] = set()

    def run(self) -> None:
        """Log in, or raise `AuthenticationFailed` that says what was tried."""
        ring = KeyRing(self._settings)
        try:
            if self._keys(ring.named()) or self._password() or self._keys(ring.found()):
                return
        except (EOFError, OSError) as error:
            raise self._failed(f"the host ended the connection: {error}") from error
        finally:
            ring.close()
        raise self._failed("")

    def _keys(self, candidates: Iterable[Candidate]) -> bool:
        for candidate in candidates:
            if candidate.key is None:
                self._unusable.append(f"{candidate.label}: {candidate.problem}")
                continue
            blob = candidate.key.asbytes()
            if not self._takes("publickey") or self._attempts >= _ATTEMPTS:
                return False
            certificate = getattr(candidate.key, "public_blob", None)
            identity = certificate.key_blob if certificate is not None else blob
            if identity in self._seen:
                continue
            self._seen.add(identity)
            if self._attempt(candidate.label, partial(self._publickey, candidate.key)):
                return True
        return False

    def _publickey(self, key: paramiko.PKey) -> list[str]:
        return self._transport.auth_publickey(self._settings.user, key)

    def _password(self) -> bool:
        password = self._settings.password
        if password is None:
            return False
        user = self._settings.user
        if self._takes("password") and self._attempt(
            "password", lambda: self._transport.auth_password(user, password, fallback=False)
        ):
            return True
        return self._takes("keyboard-interactive") and self._attempt(
            "keyboard-interactive",
            lambda: self._transport.auth_interactive(user, lambda _t, _i, fields: [password for _ in fields]),
        )

    def _takes(self, method: str) -> bool:
        return self._allowed is None or method in self._allowed

    def _attempt(self, label: str, attempt: Callable[[], list[str]]) -> bool:
        """True if that was all the host wants. Otherwise what it would still take is remembered."""
        self._attempts += 1
        self._tried.append(label)
        try:
            remaining = attempt()
        except paramiko.BadAuthenticationType as error:
            self._allowed = frozenset(error.allowed_types)
            return False
        except paramiko.AuthenticationException:
            if not self._transport.is_active():
                raise EOFError("after " + label) from None
            return False
        except paramiko.SSHException as error:
            if not self._transport.is_active():
                raise EOFError(str(error)) from error
            self._unusable.append(f"{label}: {error}")
            return False
        if remaining:
            self._allowed = frozenset(remaining)
            return self._next_factor()
        return True

    def _next_factor(self) -> bool:
        """One method was accepted, and the host wants another one as well."""
        return self._password() if self._allowed and "publickey" not in self._allowed else False

    def _failed(self, why: str) -> AuthenticationFailed:
        lines = [f"Tried: {', '.join(self._tried) or 'nothing, for there was no key and no password'}."]
        if self._unusable:
            lines.append("Not usable: " + "; ".join(self._unusable) + ".")
        if self._allowed:
            lines.append(f"The host takes: {', '.join(sorted(self._allowed))}.")
        if why:
            lines.append(why + ".")
        settings = self._settings
        lines.append(
            "Check the user and the identity file; this should work without a question: "
            f"ssh -p {settings.port} {settings.user}@{settings.hostname}"
        )
        return AuthenticationFailed(
            f"{settings.hostname} did not accept a login as {settings.user}", detail=" ".join(lines)
        )
