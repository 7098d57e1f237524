"""Certificates of a control plane, made anew by its own authorities so that they have expired."""

from __future__ import annotations

import base64
import datetime
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.testbed import Host

KUBERNETES = "/etc/kubernetes"
AUTHORITIES = {
    "apiserver.crt": "ca",
    "apiserver-kubelet-client.crt": "ca",
    "apiserver-etcd-client.crt": "etcd/ca",
    "front-proxy-client.crt": "front-proxy-ca",
    "etcd/server.crt": "etcd/ca",
    "etcd/peer.crt": "etcd/ca",
    "etcd/healthcheck-client.crt": "etcd/ca",
}
"""Each certificate below /etc/kubernetes/pki, and who signs it."""
CONFS = ("admin.conf", "controller-manager.conf", "scheduler.conf")
_DATA = re.compile(r"(?m)^( *client-certificate-data: *)(\S+)$")


def expire(host: Host) -> None:
    """Let every certificate of this control plane have ended an hour ago; keys, names and uses stay."""
    for name, authority in AUTHORITIES.items():
        path = f"{KUBERNETES}/pki/{name}"
        host.run(
            f"cat >{path}",
            stdin=_expired(_read(host, path), host, f"{KUBERNETES}/pki/{authority}"),
            check=True,
        )
    for name in CONFS:
        text = _read(host, f"{KUBERNETES}/{name}")
        found = _DATA.search(text)
        assert found is not None, f"{name} holds no certificate"
        old = base64.b64decode(found.group(2)).decode()
        new = base64.b64encode(_expired(old, host, f"{KUBERNETES}/pki/ca").encode()).decode()
        host.run(f"cat >{KUBERNETES}/{name}", stdin=_DATA.sub(rf"\g<1>{new}", text), check=True)


def ends(host: Host, name: str) -> datetime.datetime:
    """When a certificate below /etc/kubernetes/pki ends."""
    done = host.run(f"openssl x509 -noout -enddate -in {KUBERNETES}/pki/{name}", check=True)
    text = done.stdout.strip().removeprefix("notAfter=")
    return datetime.datetime.strptime(text, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=datetime.UTC)


def expire_external_etcd(etcd: Host, control_plane: Host) -> None:
    """Let what etcd on a host of its own and its client show have ended an hour ago."""
    for host, name in ((etcd, "member"), (control_plane, "apiserver-etcd-client")):
        path = f"/etc/etcd/{name}.crt"
        host.run(f"cat >{path}", stdin=_expired(_read(host, path), etcd, "/etc/etcd/ca"), check=True)


def served_until(host: Host, port: int) -> datetime.datetime:
    """When the certificate ends that a port of the host serves."""
    return _served(host, port).not_valid_after_utc


def served_names(host: Host, port: int) -> set[str]:
    """Names and addresses of the certificate that a port of the host serves."""
    found = _served(host, port).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def _served(host: Host, port: int) -> x509.Certificate:
    done = host.run(
        f"openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509", timeout=30
    )
    return x509.load_pem_x509_certificate(done.stdout.encode())


def _expired(pem: str, host: Host, authority: str) -> str:
    # not the authority's certificate: kubeadm gave it the serial number 0, which cryptography does not like
    text = _read(host, f"{authority}.key")
    key = serialization.load_pem_private_key(text.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    old = x509.load_pem_x509_certificate(pem.encode())
    ended = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc - datetime.timedelta(days=1))
        .not_valid_after(ended)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _read(host: Host, path: str) -> str:
    text = host.read(path)
    assert text is not None, f"{path} is missing on {host.name}"
    return text
