"""Until when certificates are valid: shown by the tools of hosts, read beside what they were made with."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubexms.step.kinds._kubeadm.lifetimes import SHOWN, Lifetimes, lifetimes, written
from tests.steps.sandbox import SHELLS, applets

KEY = ec.generate_private_key(ec.SECP256R1())


def pem(until: datetime, organization: str = "system:masters") -> bytes:
    """A certificate that is valid until then."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes-admin"),
        ]
    )
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), x509.random_serial_number())
    since = until - timedelta(days=365)
    made = builder.not_valid_before(since).not_valid_after(until).sign(KEY, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


def printed(shell: str, *arguments: object) -> str:
    """What the function prints, with nothing but the tools of that shell's hosts."""
    bare = shell == "busybox"
    argv = [f"{applets()}/busybox", "sh"] if bare else [shell]
    env = {"PATH": applets() if bare else os.environ["PATH"], "LC_ALL": "C"}
    words = [*argv, "-c", SHOWN + 'shown "$@"', "shown", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    assert done.stderr == ""
    return done.stdout


def told(shell: str, *arguments: object) -> Lifetimes:
    return lifetimes(printed(shell, *arguments))


@pytest.mark.parametrize("shell", SHELLS)
class TestShown:
    def test_the_end_is_that_of_the_certificate(self, shell: str, tmp_path: Path) -> None:
        moments = {
            "soon": datetime(2027, 1, 9, 3, 10, 30, tzinfo=UTC),
            "leap": datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),
            "late": datetime(2050, 1, 1, tzinfo=UTC),
        }
        arguments = list[object]()
        for name, moment in moments.items():
            file = tmp_path / f"{name}.crt"
            file.write_bytes(pem(moment))
            arguments += [name, file]
        found = told(shell, *arguments)
        assert found.ends == moments
        assert abs(found.now - datetime.now(UTC)) < timedelta(hours=1)

    def test_a_kubeconfig_has_its_users_and_its_key_stays(self, shell: str, tmp_path: Path) -> None:
        end = datetime(2031, 7, 4, tzinfo=UTC)
        data, key = base64.b64encode(pem(end)).decode(), base64.b64encode(b"a key").decode()
        user = f"    client-certificate-data: {data}\n    client-key-data: {key}\n"
        (tmp_path / "admin.conf").write_text(f"users:\n- name: admin\n  user:\n{user}")
        text = printed(shell, "admin.conf", tmp_path / "admin.conf")
        assert lifetimes(text).ends == {"admin.conf": end}
        assert key not in text

    def test_the_first_of_a_chain_counts(self, shell: str, tmp_path: Path) -> None:
        first = datetime(2029, 1, 1, tzinfo=UTC)
        chain = pem(first) + pem(datetime(2035, 1, 1, tzinfo=UTC))
        (tmp_path / "chain").write_bytes(b"subject=x\n" + chain.replace(b"\n", b"\r\n"))
        assert told(shell, "c", tmp_path / "chain").ends == {"c": first}

    @pytest.mark.parametrize(
        "data",
        [b"", b"\x00\xff" * 40, b"-----BEGIN CERTIFICATE-----\nMIIB", b"  client-certificate-data: ????\n"],
        ids=["empty", "binary", "begun", "kubeconfig"],
    )
    def test_of_what_is_no_certificate_nothing_is_said(self, shell: str, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "broken").write_bytes(data)
        assert told(shell, "b", tmp_path / "broken", "missing", tmp_path / "no").ends == {}

    @pytest.mark.parametrize("cut", [60, 120, 250])
    def test_of_what_was_cut_off_nothing_is_said(self, shell: str, tmp_path: Path, cut: int) -> None:
        (tmp_path / "broken").write_bytes(pem(datetime(2029, 1, 1, tzinfo=UTC))[:cut])
        assert told(shell, "b", tmp_path / "broken").ends == {}


def test_an_authority_with_the_number_0_is_read_in_silence(tmp_path: Path) -> None:
    """As kubeadm made them for years."""
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-subj",
        "/CN=kubernetes",
        "-days",
        "9",
    ]
    made += ["-set_serial", "0", "-keyout", str(tmp_path / "ca.key"), "-out", str(tmp_path / "ca.crt")]
    subprocess.run(made, check=True, capture_output=True)
    (tmp_path / "shown").write_text(printed("dash", "ca", tmp_path / "ca.crt"))
    code = (
        "import sys; from pathlib import Path; from kubexms.step.kinds._kubeadm.lifetimes import lifetimes; "
    )
    code += "print(*lifetimes(Path(sys.argv[1]).read_text()).ends)"
    argv = [sys.executable, "-c", code, str(tmp_path / "shown")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("ca\n", "")


def test_days_are_counted_by_the_hosts_clock() -> None:
    now = datetime(2027, 3, 1, 12, tzinfo=UTC)
    ends = {"gone": now - timedelta(1), "edge": now + timedelta(30), "soon": now + timedelta(29, 86399)}
    found = Lifetimes(now, ends)
    assert [name for name in ends if found.within(name, 30)] == ["gone", "soon"]


def test_an_end_is_written_as_openssl_writes_it(tmp_path: Path) -> None:
    for end in (datetime(2027, 1, 9, 3, 10, 30, tzinfo=UTC), datetime(2051, 11, 25, tzinfo=UTC)):
        argv = ["openssl", "x509", "-noout", "-enddate"]
        done = subprocess.run(argv, input=pem(end), capture_output=True, check=True)
        assert done.stdout.decode() == f"notAfter={written(end)}\n"
