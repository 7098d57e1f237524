"""What a certificate says, read by `cryptography`; texts that are no certificates are None."""

from __future__ import annotations

import ipaddress
import warnings
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# kubeadm has long given its authorities the number 0; that is not for who plans to hear of
warnings.filterwarnings("ignore", "Parsed a serial number", CryptographyDeprecationWarning)

_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}


@dataclass(frozen=True)
class Parsed:
    """One certificate."""

    certificate: x509.Certificate

    @property
    def common_name(self) -> str:
        """Of the subject."""
        return _first(self.certificate.subject, NameOID.COMMON_NAME)

    @property
    def issuer_name(self) -> str:
        """The common name of who signed it."""
        return _first(self.certificate.issuer, NameOID.COMMON_NAME)

    @property
    def organizations(self) -> list[str]:
        """Of the subject, sorted."""
        return _organizations(self.certificate.subject)

    @property
    def names(self) -> list[str]:
        """Alternative names and addresses, sorted. Others than these two are told by their type."""
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return []
        names = list[str]()
        for name in found:
            if isinstance(name, x509.DNSName):
                names.append(name.value.lower())
            elif isinstance(name, x509.IPAddress) and isinstance(
                name.value, ipaddress.IPv4Address | ipaddress.IPv6Address
            ):
                names.append(str(name.value))
            else:
                names.append(f"{type(name).__name__} {name.value}")
        return sorted(names)

    @property
    def usages(self) -> list[str]:
        """Extended key usages, sorted."""
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (x509.ExtensionNotFound, ValueError):
            return []
        return sorted(_USAGES.get(usage, usage.dotted_string) for usage in found)

    @property
    def authority(self) -> bool:
        """Whether it may sign others."""
        try:
            return bool(self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        except (x509.ExtensionNotFound, ValueError):
            return False

    @property
    def ends(self) -> datetime:
        """When it ends, UTC."""
        return self.certificate.not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """sha256 of the whole certificate, hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def public_key(self) -> bytes:
        """DER."""
        return _der(self.certificate)

    def signed_by(self, other: Parsed) -> bool:
        """Whether the other's key signed it, and its names say so."""
        try:
            self.certificate.verify_directly_issued_by(other.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


@dataclass(frozen=True)
class Request:
    """A certificate signing request whose signature is its key's."""

    request: x509.CertificateSigningRequest

    @property
    def subject(self) -> tuple[str, list[str], int]:
        """Common name, organizations, and how many parts the subject has in all."""
        subject = self.request.subject
        return _first(subject, NameOID.COMMON_NAME), _organizations(subject), len(list(subject))

    @property
    def public_key(self) -> bytes:
        """DER."""
        return _der(self.request)


def parse(text: str) -> Parsed | None:
    """The first certificate in PEM."""
    try:
        return Parsed(x509.load_pem_x509_certificate(text.encode("utf-8", "replace")))
    except ValueError:
        return None


def parse_request(text: str) -> Request | None:
    """A signing request in PEM."""
    try:
        request = x509.load_pem_x509_csr(text.encode("utf-8", "replace"))
    except ValueError:
        return None
    return Request(request) if request.is_signature_valid else None


def _first(name: x509.Name, which: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(which)
    return str(found[0].value) if found else ""


def _organizations(name: x509.Name) -> list[str]:
    return sorted(str(part.value) for part in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))


def _der(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
