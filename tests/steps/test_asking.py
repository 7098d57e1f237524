"""What a node asks the API by itself, of a real server with a real openssl, and what it leaves to kubectl."""

from __future__ import annotations

import base64
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kubexms.runtime.protocol import Fragment
from kubexms.step.kinds._kubeadm.asking import API_GET
from tests.steps.sandbox import Sandbox, each_shell

KEY = ec.generate_private_key(ec.SECP256R1())
CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issued(name: str, by: str, *, authority: bool = False, names: tuple[str, ...] = ()) -> bytes:
    """A certificate; all have the same key."""
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, by))
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(issuer, subject, KEY.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
    made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if names:
        found = [
            x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
            for one in names
        ]
        made = made.add_extension(x509.SubjectAlternativeName(found), critical=False)
    return made.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


AUTHORITY = issued("ca", "ca", authority=True)


@dataclass
class Node:
    """A host with what the kubelet has, and a kubectl that says that it was asked."""

    sandbox: Sandbox
    port: int

    def write(self, path: str, data: bytes) -> None:
        """A file of the host."""
        file = Path(f"{self.sandbox.root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def joined(self, host: str = "127.0.0.1", *, trusts: bytes = AUTHORITY, more: str = "") -> Node:
        """It is a node of the cluster whose API is there."""
        client = f"{self.sandbox.root}{CLIENT}"
        data = base64.b64encode(trusts).decode()
        text = (
            f"clusters:\n- cluster:\n    certificate-authority-data: {data}\n"
            f"    server: https://{host}:{self.port}\n{more}"
            f"users:\n- user:\n    client-certificate: {client}\n    client-key: {client}\n"
        )
        self.write("/etc/kubernetes/kubelet.conf", text.encode())
        self.write("/etc/kubernetes/pki/ca.crt", AUTHORITY)
        self.write(CLIENT, issued("system:node:w1", "ca") + PRIVATE)
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Status and output."""
        script = API_GET
        for place in ("/etc/kubernetes", "/var/lib/kubelet"):
            script = script.replace(place, f"{self.sandbox.root}{place}")
        kubectl = 'kubectl() { echo "kubectl $*"; return 7; }\n'
        script = f'{kubectl}{script}a=$(api_get {path} 5) && r=0 || r=$?\nemit "$r" "$a"\n'
        record = self.sandbox.ask(Fragment(script))[0]
        return record.status, record.text.decode()


class Quiet(http.server.ThreadingHTTPServer):
    """It says nothing of clients that go because they do not believe it."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an API server whose certificate is for 127.0.0.1 and localhost."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/v1/nodes/w1" else 404)
            self.end_headers()
            self.wfile.write(b'{"path":"' + self.path.encode() + b'","two":"\\r\\n\\r\\n"}\n')

        def log_message(self, *_: object) -> None:
            pass

    place = tmp_path_factory.mktemp("api")
    names = ("127.0.0.1", "localhost")
    (place / "server.pem").write_bytes(issued("kube-apiserver", "ca", names=names) + PRIVATE)
    (place / "ca.pem").write_bytes(AUTHORITY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(place / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(place / "server.pem")
    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def node(shell: str, tmp_path: Path, api: int) -> Node:
    openssl = {"PATH": "/usr/bin:/bin"} if shell != "busybox" else {}
    return Node(Sandbox(shell, tmp_path, openssl), api)


@pytest.mark.parametrize("shell", ["dash", "bash"])
class TestApiGet:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_it_is_the_answer_without_what_goes_before(self, node: Node, host: str) -> None:
        told = node.joined(host).get("/api/v1/nodes/w1")
        assert told == (0, '{"path":"/api/v1/nodes/w1","two":"\\r\\n\\r\\n"}')

    def test_what_is_no_such_answer_is_left_to_kubectl(self, node: Node) -> None:
        status, told = node.joined().get("/api/v1/nodes/w2")
        assert status == 7
        assert told.startswith("kubectl --cache-dir /dev/null/no --kubeconfig ")
        assert told.endswith("/kubelet.conf --request-timeout=5s get --raw /api/v1/nodes/w2")

    def test_who_has_a_certificate_for_another_name_is_not_believed(self, node: Node) -> None:
        assert node.joined("127.0.0.2").get("/api/v1/nodes/w1")[0] == 7

    def test_what_the_kubelet_does_not_trust_is_not_believed(self, node: Node) -> None:
        other = issued("other", "other", authority=True)
        assert node.joined(trusts=other).get("/api/v1/nodes/w1")[0] == 7
        node.joined(trusts=other).write("/etc/kubernetes/pki/ca.crt", other)
        assert node.get("/api/v1/nodes/w1")[0] == 7

    @pytest.mark.parametrize(
        "more",
        ["    proxy-url: http://proxy\n", "    server: https://127.0.0.1:1\n", "    tls-server-name: a\n"],
    )
    def test_an_odd_kubeconfig_is_left_to_kubectl(self, node: Node, more: str) -> None:
        assert node.joined(more=more).get("/api/v1/nodes/w1")[0] == 7

    def test_so_is_a_host_that_is_no_node(self, node: Node) -> None:
        assert node.get("/api/v1/nodes/w1")[0] == 7


@each_shell()
def test_without_a_certificate_of_the_kubelet(node: Node) -> None:
    node.joined()
    Path(f"{node.sandbox.root}{CLIENT}").unlink()
    assert node.get("/api/v1/nodes/w1")[0] == 7
