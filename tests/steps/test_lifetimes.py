"""Until when certificates are valid, read by the tools of hosts, beside what they were made with."""

from __future__ import annotations

import base64
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubexms.step.kinds._kubeadm.lifetimes import ENDS
from tests.steps.sandbox import SHELLS, applets

DAY = 86400
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


def told(shell: str, *arguments: object) -> str:
    """What the function says, with nothing but the tools of that shell's hosts."""
    bare = shell == "busybox"
    argv = [f"{applets()}/busybox", "sh"] if bare else [shell]
    env = {"PATH": applets() if bare else os.environ["PATH"], "LC_ALL": "C"}
    words = [*argv, "-c", ENDS + 'ends "$@"', "ends", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
class TestEnds:
    def test_the_end_is_that_of_the_certificate(self, shell: str, tmp_path: Path) -> None:
        """Both forms of a time (from 2050 on the year has four digits), leap days, issuers of any length."""
        moments = [
            datetime(2027, 1, 9, 3, 10, 30, tzinfo=UTC),
            datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),
            datetime(2049, 12, 31, 0, 0, 1, tzinfo=UTC),
            datetime(2050, 1, 1, tzinfo=UTC),
            datetime(2100, 3, 1, 12, 0, 0, tzinfo=UTC),
        ]
        arguments = list[object]()
        for index, moment in enumerate(moments):
            file = tmp_path / f"{index}.crt"
            file.write_bytes(pem(moment, "o" * (index * 15 + 1)))
            arguments += [f"n{index}", DAY, file]
        lines = told(shell, *arguments).splitlines()
        shown = [f"n{i} lasts {m:%b} {m.day:2d} {m:%H:%M:%S %Y} GMT" for i, m in enumerate(moments)]
        assert lines == shown

    def test_what_ends_within_the_time_is_due(self, shell: str, tmp_path: Path) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        for name, seconds in (("gone", -10), ("soon", 30 * DAY - 60), ("later", 30 * DAY + 600)):
            (tmp_path / name).write_bytes(pem(now + timedelta(seconds=seconds)))
        arguments = [word for name in ("gone", "soon", "later") for word in (name, 30 * DAY, tmp_path / name)]
        words = [line.split()[:2] for line in told(shell, *arguments).splitlines()]
        assert words == [["gone", "due"], ["soon", "due"], ["later", "lasts"]]

    def test_a_kubeconfig_has_its_users(self, shell: str, tmp_path: Path) -> None:
        data = base64.b64encode(pem(datetime(2031, 7, 4, tzinfo=UTC))).decode()
        user = f"    client-certificate-data: {data}\n    client-key-data: eA==\n"
        text = f"users:\n- name: admin\n  user:\n{user}"
        (tmp_path / "admin.conf").write_text(text)
        assert told(shell, "admin", DAY, tmp_path / "admin.conf") == "admin lasts Jul  4 00:00:00 2031 GMT\n"

    def test_the_first_of_a_chain_counts(self, shell: str, tmp_path: Path) -> None:
        chain = pem(datetime(2029, 1, 1, tzinfo=UTC)) + pem(datetime(2035, 1, 1, tzinfo=UTC))
        (tmp_path / "chain").write_bytes(b"subject=x\n" + chain.replace(b"\n", b"\r\n"))
        assert told(shell, "c", DAY, tmp_path / "chain") == "c lasts Jan  1 00:00:00 2029 GMT\n"

    @pytest.mark.parametrize(
        "data",
        [b"", b"\x00\xff" * 40, b"-----BEGIN CERTIFICATE-----\nMIIB", b"  client-certificate-data: ????\n"],
        ids=["empty", "binary", "begun", "kubeconfig"],
    )
    def test_of_what_is_no_certificate_nothing_is_said(self, shell: str, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "broken").write_bytes(data)
        assert told(shell, "b", DAY, tmp_path / "broken", "missing", DAY, tmp_path / "no") == ""

    @pytest.mark.parametrize("cut", [60, 120, 250])
    def test_of_what_was_cut_off_nothing_is_said(self, shell: str, tmp_path: Path, cut: int) -> None:
        (tmp_path / "broken").write_bytes(pem(datetime(2029, 1, 1, tzinfo=UTC))[:cut])
        assert told(shell, "b", DAY, tmp_path / "broken", "missing", DAY, tmp_path / "no") == ""
