"""Host keys: unknown, changed, hashed, revoked, damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.errors import HostKeyRejected
from kubexms.runtime.ssh.known_hosts import hash_name
from kubexms.runtime.target import HostKeyPolicy
from tests.contract.connection.known import asks, host_key, known
from tests.contract.connection.places import Sshd, make_key


def test_an_unknown_host_is_refused_with_its_fingerprint(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(HostKeyRejected, match=r"not known \(ssh-ed25519 SHA256:") as caught:
        asks(sshd.target(known_hosts=tmp_path / "none"))
    assert "ssh-keyscan" in caught.value.detail
    assert f">> {tmp_path / 'none'}, or give its connection 'hostKeys: accept-new'" in caught.value.detail
    assert not (tmp_path / "none").exists()


def test_a_changed_key_is_refused_whatever_the_policy_for_new_ones(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    other = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    path = known(tmp_path / "known", f"[127.0.0.1]:{sshd.port} {other}")
    for policy in (HostKeyPolicy.STRICT, HostKeyPolicy.ACCEPT_NEW):
        with pytest.raises(HostKeyRejected, match="not the one that is known") as caught:
            asks(sshd.target(known_hosts=path, host_key_policy=policy))
        assert f"ssh-keygen -f {path} -R '[127.0.0.1]:{sshd.port}'" in caught.value.detail
    assert asks(sshd.target(known_hosts=path, host_key_policy=HostKeyPolicy.OFF))


def test_accept_new_remembers(sshd: Sshd, tmp_path: Path) -> None:
    path = known(tmp_path / "known", "# a comment without a line end after it")
    path.write_text(path.read_text().rstrip("\n"))
    assert asks(sshd.target(known_hosts=path, host_key_policy=HostKeyPolicy.ACCEPT_NEW))
    assert path.read_text().splitlines()[1] == f"[127.0.0.1]:{sshd.port} {host_key(sshd)}"
    assert asks(sshd.target(known_hosts=path))


def test_hashed_names_and_wildcards(sshd: Sshd, tmp_path: Path) -> None:
    name = f"[127.0.0.1]:{sshd.port}"
    assert asks(sshd.target(known_hosts=known(tmp_path / "a", f"{hash_name(name)} {host_key(sshd)}")))
    assert asks(sshd.target(known_hosts=known(tmp_path / "b", f"[127.*]:{sshd.port} {host_key(sshd)}")))
    path = known(tmp_path / "c", f"*,!{name} {host_key(sshd)}")
    with pytest.raises(HostKeyRejected):
        asks(sshd.target(known_hosts=path))


def test_a_revoked_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    line = f"[127.0.0.1]:{sshd.port} {host_key(sshd)}"
    with pytest.raises(HostKeyRejected, match="revoked"):
        asks(sshd.target(known_hosts=known(tmp_path / "known", line, f"@revoked * {host_key(sshd)}")))


def test_a_damaged_known_hosts_line_is_no_obstacle(sshd: Sshd, tmp_path: Path) -> None:
    good = f"[127.0.0.1]:{sshd.port} {host_key(sshd)}"
    junk = (
        "@cert-authority",
        "@cert-authority * ssh-rsa",
        "x y",
        "x ssh-rsa !!!",
        "|1|a|b ssh-ed25519 AAAA",
        "",
    )
    assert asks(sshd.target(known_hosts=known(tmp_path / "known", *junk, good)))
