"""Is this the host that was meant? Host keys and host certificates against known_hosts."""

from __future__ import annotations

import base64
import hashlib
import shlex
import time
from collections.abc import Callable
from typing import Final

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import SSHCertificate, SSHCertificateType

from kubexms.errors import HostKeyRejected
from kubexms.runtime.ssh.known_hosts import KnownKeys, known_keys, remember
from kubexms.runtime.ssh.settings import SshSettings
from kubexms.runtime.target import HostKeyPolicy

_ALGORITHMS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_CERTIFICATE: Final = "-cert-v01@openssh.com"
_ADVICE: Final = (
    "Compare the fingerprint with the host's own "
    "(on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) "
)


class HostKeyCheck:
    """Decides about one end point's key. Reads known_hosts when it is made."""

    def __init__(self, settings: SshSettings, *, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._known = known_keys(
            (*settings.user_known_hosts, *settings.global_known_hosts), settings.known_name
        )

    def algorithms(self) -> tuple[str, ...]:
        """What to ask the host for: certificates if an authority is known, then key types that are known."""
        known = {key_type for key_type, _ in self._known.keys}
        plain = sorted(_ALGORITHMS, key=lambda name: _key_type(name) not in known)
        certificates = [name + _CERTIFICATE for name in _ALGORITHMS]
        return (*certificates, *plain) if self._known.authorities else tuple(plain)

    def accept(self, key: paramiko.PKey) -> None:
        """Return if the key is the host's, raise `HostKeyRejected` if not. May write a known_hosts file."""
        if self._settings.policy is HostKeyPolicy.OFF:
            return
        # without its certificate, if it came with one
        known, blob = self._known, key.asbytes()
        file = shlex.quote(str(self._settings.user_known_hosts[0]))
        if blob in known.revoked:
            raise self._rejected(key, "is revoked", "The known_hosts files mark it with @revoked.")
        certificate = getattr(key, "public_blob", None)
        if certificate is not None and self._vouched(certificate.key_blob, known):
            return
        if any(blob == other for _, other in known.keys):
            return
        if known.keys:
            raise self._rejected(
                key,
                "is not the one that is known",
                "Somebody may be listening in, or the host was installed anew. "
                f"{_ADVICE}and if it is right: "
                f"ssh-keygen -f {file} -R '{self._settings.known_name}', then connect.",
            )
        if self._settings.policy is HostKeyPolicy.STRICT:
            raise self._rejected(
                key,
                "is not known",
                f"{_ADVICE}and add it: ssh-keyscan -p {self._settings.port} {self._settings.hostname} >> "
                f"{file}, or give its connection 'hostKeys: accept-new' for the first contact.",
            )
        self._remember(key, blob)

    def _vouched(self, blob: bytes, known: KnownKeys) -> bool:
        """True if a known authority has signed this for the host, and for now."""
        try:
            certificate = serialization.load_ssh_public_identity(_line(blob))
        except ValueError:
            return False
        if not isinstance(certificate, SSHCertificate):
            return False
        authority = _blob(certificate.signature_key())
        if authority not in known.authorities:
            return False
        problem = self._flaw(certificate, authority in known.revoked)
        if problem:
            raise HostKeyRejected(
                f"the certificate of {self._settings.hostname} {problem}",
                detail="Its authority is known; renew the host's certificate.",
            )
        return True

    def _flaw(self, certificate: SSHCertificate, revoked: bool) -> str:
        try:
            certificate.verify_cert_signature()
        except Exception:  # noqa: BLE001 - whatever the library finds wrong with it
            return "has a bad signature"
        if revoked:
            return "is signed by a revoked authority"
        if certificate.type is not SSHCertificateType.HOST:
            return "is not a host certificate"
        if not certificate.valid_after <= self._now() < certificate.valid_before:
            return "is expired or not valid yet"
        name = (self._settings.host_key_alias or self._settings.hostname).encode()
        if certificate.valid_principals and name not in certificate.valid_principals:
            return f"does not name {name.decode()}"
        if certificate.critical_options:
            return "has critical options, which host certificates cannot have"
        return ""

    def _remember(self, key: paramiko.PKey, blob: bytes) -> None:
        settings = self._settings
        if known_keys((settings.user_known_hosts[0],), settings.known_name).keys:
            # another connection to the same host has just written it; it must be the same key
            HostKeyCheck(settings, now=self._now).accept(key)
            return
        try:
            remember(
                settings.user_known_hosts[0],
                settings.known_name,
                key.get_name(),
                blob,
                hashed=settings.hash_known_hosts,
            )
        except OSError as error:
            raise HostKeyRejected(
                f"the new key of {settings.hostname} cannot be written down: {error.strerror}",
                detail=f"{settings.user_known_hosts[0]} must be writable to accept new host keys.",
            ) from error

    def _rejected(self, key: paramiko.PKey, what: str, detail: str) -> HostKeyRejected:
        print_ = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
        return HostKeyRejected(
            f"the host key of {self._settings.hostname} {what} ({key.get_name()} SHA256:{print_})",
            detail=detail,
        )


def _key_type(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-sha2") else algorithm


def _line(blob: bytes) -> bytes:
    """A blob as a line of a public key file: its first field is its type."""
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length] + b" " + base64.b64encode(blob)


def _blob(key: object) -> bytes:
    """The wire form of a public key."""
    text = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return base64.b64decode(text.split()[1])
