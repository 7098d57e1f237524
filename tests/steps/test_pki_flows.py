"""Who makes an authority, who copies it, who signs, and what is refused: real shells, real openssl."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubexms.errors import StepError
from kubexms.runtime.protocol import Outcome
from tests.steps.pki import PLACE, Host, hosts
from tests.steps.sandbox import each_shell

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: keys are root's")

PLANES = ["cp1", "cp2", "cp3"]
CA: dict[str, Any] = {"path": f"{PLACE}/ca", "commonName": "test-ca", "holders": PLANES}
SA: dict[str, Any] = {"path": f"{PLACE}/sa", "holders": PLANES}
LEAF: dict[str, Any] = {
    "path": f"{PLACE}/node",
    "commonName": "system:node:w1",
    "organizations": ["system:nodes"],
    "sans": ["w1", "10.0.0.5", "::1"],
    "usages": ["server", "client"],
    "authority": f"{PLACE}/ca",
    "holders": ["cp1", "cp2"],
}


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout


# sharing ----------------------------------------------------------------------------------
@each_shell()
@pytest.mark.parametrize(
    ("kind", "fields", "public"), [("certificateAuthority", CA, "ca.crt"), ("keyPair", SA, "sa.pub")]
)
def test_one_makes_it_and_the_others_have_the_same(
    shell: str, kind: str, fields: dict[str, Any], public: str, tmp_path: Path
) -> None:
    cp1, cp2, cp3, w1 = hosts(tmp_path, shell, *PLANES, "w1")
    priors = [host.apply(kind, **fields) for host in (cp2, cp1, cp3)]
    prior = w1.apply(kind, **fields, withKey=False)
    assert cp1.files() == cp2.files() == cp3.files()
    assert list(w1.files()) == [public]
    assert w1.files()[public] == cp1.files()[public]
    assert (cp1.place / public).with_suffix(".key").stat().st_mode & 0o777 == 0o600
    key = (cp1.place / public).with_suffix(".key").read_bytes()
    for _, action in cp1.log:
        assert key.decode() not in action.script
        assert all(payload.sensitive for payload in action.payloads.values() if payload.data == key)
    assert len(cp1.alone_in) == 1
    for host, before in zip((cp2, cp1, cp3), priors, strict=True):
        host.undo(kind, before, **fields)
    w1.undo(kind, prior, **fields, withKey=False)
    assert [host.files() for host in (cp1, cp2, cp3, w1)] == [{}, {}, {}, {}]


def test_a_second_one_is_never_made(tmp_path: Path) -> None:
    cp1, cp2, cp3 = hosts(tmp_path, "dash", *PLANES)
    cp3.up = False
    with pytest.raises(StepError, match="not all are known to be without it") as caught:
        cp1.run("certificateAuthority", **CA)
    assert "cp3: no route" in caught.value.detail
    assert cp1.files() == {}
    cp3.up = True
    cp3.apply("certificateAuthority", **CA)
    cp3.up = False
    with pytest.raises(StepError, match="not all are known"):
        cp1.run("certificateAuthority", **CA)
    cp3.up = True
    cp1.apply("certificateAuthority", **CA)
    cp3.up = False
    cp2.apply("certificateAuthority", **CA)
    assert cp2.files() == cp3.files()


def test_what_is_there_is_taken_over_and_never_replaced(tmp_path: Path) -> None:
    cp1, cp2, _ = hosts(tmp_path, "dash", *PLANES)
    cp1.apply("certificateAuthority", **{**CA, "commonName": "from-before", "lifetimeDays": 100})
    (cp1.place / "ca.key").chmod(0o640)
    kept = cp1.files()
    prior = cp1.apply("certificateAuthority", **CA)
    assert cp1.files() == kept
    assert "ends on" in str(prior.extra["notes"])
    assert prior.extra["commonName"] == "from-before"
    assert prior.attributes["modes"] == "0644 root, 0640 root"
    cp2.apply("certificateAuthority", **CA)
    assert cp2.files() == kept
    cp1.undo("certificateAuthority", prior, **CA)
    assert cp1.files() == kept
    assert (cp1.place / "ca.key").stat().st_mode & 0o777 == 0o640


def test_two_authorities_are_named(tmp_path: Path) -> None:
    cp1, cp2, cp3 = hosts(tmp_path, "dash", *PLANES)
    cp1.apply("certificateAuthority", **{**CA, "holders": ["cp1"]})
    cp2.apply("certificateAuthority", **{**CA, "holders": ["cp2"]})
    with pytest.raises(StepError, match=r"cp1, cp2 have different files /srv/pki/ca\.crt"):
        cp3.run("certificateAuthority", **CA)
    assert cp3.files() == {}


def test_a_key_that_is_gone_comes_from_another_holder(tmp_path: Path) -> None:
    cp1, cp2, _ = hosts(tmp_path, "dash", *PLANES)
    cp1.apply("certificateAuthority", **CA)
    cp2.apply("certificateAuthority", **CA)
    (cp1.place / "ca.key").unlink()
    assert cp1.request("certificateAuthority", **CA).changed == {"key", "modes"}
    cp1.apply("certificateAuthority", **CA)
    assert cp1.files() == cp2.files()
    for host in (cp1, cp2):
        (host.place / "ca.key").unlink()
    with pytest.raises(StepError, match="no holder can give") as caught:
        cp1.run("certificateAuthority", **CA)
    assert "cp2 has its public half alone" in caught.value.detail
    (only,) = hosts(tmp_path / "alone", "dash", "cp1")
    only.apply("certificateAuthority", **{**CA, "holders": ["cp1"]})
    (only.place / "ca.key").unlink()
    with pytest.raises(StepError, match="no holder has its key"):
        only.run("certificateAuthority", **{**CA, "holders": ["cp1"]})


def test_cut_off_between_key_and_certificate(tmp_path: Path) -> None:
    (cp1,) = hosts(tmp_path, "dash", "cp1")
    alone = {**CA, "holders": ["cp1"]}
    cp1.apply("certificateAuthority", **alone)
    key = (cp1.place / "ca.key").read_bytes()
    (cp1.place / "ca.crt").unlink()
    cp1.apply("certificateAuthority", **alone)
    assert (cp1.place / "ca.key").read_bytes() == key


def test_what_is_of_no_use_is_an_error_of_the_plan(tmp_path: Path) -> None:
    cp1, cp2, _ = hosts(tmp_path, "dash", *PLANES)
    cp1.apply("certificateAuthority", **CA)
    cp2.apply("keyPair", **SA)
    (cp1.place / "ca.key").write_bytes((cp2.place / "sa.key").read_bytes())
    seen = cp1.see("certificateAuthority", **CA)
    assert seen.attributes["key"] == "another's"
    (cp1.place / "ca.crt").write_text("nothing\n")
    assert cp1.see("certificateAuthority", **CA).attributes["certificate"] == "illegible"


def test_holders_are_named(tmp_path: Path) -> None:
    cp1, w1 = hosts(tmp_path, "dash", "cp1", "w1")
    with pytest.raises(StepError, match="not one of its holders"):
        w1.run("certificateAuthority", **CA)
    with pytest.raises(StepError, match="no holder has the certificate authority /srv/pki/ca yet"):
        w1.run("certificateAuthority", **{**CA, "holders": ["cp1"], "withKey": False})
    assert cp1.files() == w1.files() == {}


# issuing ----------------------------------------------------------------------------------
def trusting(tmp_path: Path, shell: str = "dash") -> tuple[Host, Host, Host]:
    """Two holders and a worker that trust one authority."""
    cp1, cp2, w1 = hosts(tmp_path, shell, "cp1", "cp2", "w1")
    fields = {**CA, "holders": ["cp1", "cp2"]}
    cp1.apply("certificateAuthority", **fields)
    cp2.apply("certificateAuthority", **fields)
    w1.apply("certificateAuthority", **fields, withKey=False)
    return cp1, cp2, w1


@each_shell()
def test_it_is_signed_by_a_holder_and_its_key_stays(shell: str, tmp_path: Path) -> None:
    cp1, _, w1 = trusting(tmp_path, shell)
    prior = w1.apply("issuedCertificate", **LEAF)
    assert sorted(w1.files()) == ["ca.crt", "node.crt", "node.key"]
    assert sorted(cp1.files()) == ["ca.crt", "ca.key"]
    assert openssl("verify", "-CAfile", w1.place / "ca.crt", w1.place / "node.crt").endswith("OK\n")
    text = openssl("x509", "-noout", "-text", "-in", w1.place / "node.crt")
    assert "Subject: O = system:nodes, CN = system:node:w1" in text
    assert "CA:FALSE" in text
    key = w1.files()["node.key"].decode()
    for _, action in w1.log:
        assert key not in action.script
        assert all((payload.data or b"").decode() != key for payload in action.payloads.values())
    assert [who for who, action in w1.log if "x509 -req" in action.script] == ["cp1"]
    w1.undo("issuedCertificate", prior, **LEAF)
    assert sorted(w1.files()) == ["ca.crt"]


def test_a_holder_signs_its_own_and_the_next_one_helps_where_the_first_is_silent(tmp_path: Path) -> None:
    cp1, cp2, w1 = trusting(tmp_path)
    cp2.apply("issuedCertificate", **LEAF)
    cp1.up = False
    w1.apply("issuedCertificate", **LEAF)
    assert [who for who, action in w1.log if "x509 -req" in action.script] == ["cp2", "cp2"]
    cp2.up = False
    (w1.place / "node.crt").unlink()
    kept = w1.files()
    with pytest.raises(StepError, match="no holder of /srv/pki/ca can sign") as caught:
        w1.run("issuedCertificate", **LEAF)
    assert caught.value.detail == "cp1: no route\ncp2: no route"
    assert w1.files()["node.key"] == kept["node.key"]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"commonName": "system:node:w2"}, {"commonName"}),
        ({"organizations": []}, {"organizations"}),
        ({"sans": ["w1"]}, {"sans"}),
        ({"usages": ["client"]}, {"usages"}),
        ({"renewBeforeDays": 400, "lifetimeDays": 500}, {"due"}),
        ({"mode": "0640"}, {"mode"}),
    ],
)
def test_what_is_to_be_otherwise_is_issued_anew(
    change: dict[str, Any], differs: set[str], tmp_path: Path
) -> None:
    _, _, w1 = trusting(tmp_path)
    w1.apply("issuedCertificate", **LEAF)
    before = w1.files()
    changed = {**LEAF, **change}
    assert w1.request("issuedCertificate", **changed).changed == differs
    prior = w1.apply("issuedCertificate", **changed)
    new = {name for name, data in w1.files().items() if data != before[name]}
    assert new == (set() if "mode" in change else {"node.crt", "node.key"})
    w1.undo("issuedCertificate", prior, **changed)
    assert w1.files() == before


def test_names_that_somebody_may_use_are_in_the_next_one_too(tmp_path: Path) -> None:
    _, _, w1 = trusting(tmp_path)
    w1.apply("issuedCertificate", **LEAF)
    kept = {**LEAF, "keepNames": True, "sans": ["w1", "k8s.test"]}
    w1.apply("issuedCertificate", **kept)
    shown = openssl("x509", "-noout", "-ext", "subjectAltName", "-in", w1.place / "node.crt")
    assert all(name in shown for name in ("DNS:w1", "DNS:k8s.test", "IP Address:10.0.0.5"))
    w1.apply("issuedCertificate", **{**kept, "keepNames": False})
    assert "10.0.0.5" not in openssl("x509", "-noout", "-ext", "subjectAltName", "-in", w1.place / "node.crt")


def test_a_certificate_of_another_authority_or_key_is_seen(tmp_path: Path) -> None:
    cp1, _, w1 = trusting(tmp_path)
    cp1.apply("certificateAuthority", path=f"{PLACE}/other", commonName="other", holders=["cp1"])
    cp1.apply("issuedCertificate", **{**LEAF, "authority": f"{PLACE}/other", "holders": ["cp1"]})
    w1.apply("issuedCertificate", **LEAF)
    (w1.place / "node.crt").write_bytes((cp1.place / "node.crt").read_bytes())
    assert w1.request("issuedCertificate", **LEAF).changed == {"signedBy", "key"}
    w1.apply("issuedCertificate", **LEAF)
    (w1.place / "node.crt").write_text("nothing\n")
    assert w1.see("issuedCertificate", **LEAF).attributes["commonName"] == ""
    w1.apply("issuedCertificate", **LEAF)


def test_none_outlives_its_authority(tmp_path: Path) -> None:
    (cp1,) = hosts(tmp_path, "dash", "cp1")
    cp1.apply("certificateAuthority", **{**CA, "holders": ["cp1"], "lifetimeDays": 50})
    cp1.apply("issuedCertificate", **{**LEAF, "holders": ["cp1"]})
    authority = cp1.see("certificateAuthority", **{**CA, "holders": ["cp1"]})
    leaf = cp1.see("issuedCertificate", **{**LEAF, "holders": ["cp1"]})
    assert str(leaf.extra["ends"]) <= str(authority.extra["ends"])
    with pytest.raises(StepError, match="ends on"):
        cp1.run("issuedCertificate", **{**LEAF, "holders": ["cp1"], "renewBeforeDays": 60})


def test_a_host_gets_no_other_name_than_it_is_to_have(tmp_path: Path) -> None:
    _, cp2, w1 = trusting(tmp_path)
    cp2.run("issuedCertificate", **{**LEAF, "commonName": "admin", "organizations": ["system:masters"]})
    forged = openssl(
        "req", "-new", "-key", cp2.place / "node.key", "-subj", "/O=system:masters/CN=system:node:w1"
    )

    def tells(outcome: Outcome) -> Outcome:
        return replace(outcome, stdout=forged.encode()) if b"REQUEST" in outcome.stdout else outcome

    w1.tells = tells
    with pytest.raises(StepError, match="another certificate than it was told to"):
        w1.run("issuedCertificate", **LEAF)
    assert [who for who, action in w1.log if "x509 -req" in action.script] == ["cp2"]


def test_an_authority_that_is_not_this_hosts_does_not_sign(tmp_path: Path) -> None:
    cp1, cp2, w1 = trusting(tmp_path)
    for name in ("ca.crt", "ca.key"):
        (cp1.place / name).unlink()
    cp1.apply("certificateAuthority", **{**CA, "holders": ["cp1"]})
    cp2.up = False
    with pytest.raises(StepError, match="no holder") as caught:
        w1.run("issuedCertificate", **LEAF)
    assert "cp1: its /srv/pki/ca.crt is another one than this host's" in caught.value.detail
    assert "node.crt" not in w1.files()
