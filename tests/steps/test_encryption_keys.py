"""Who could not read what others store: reviewed over all control planes, and read from a file as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubexms.runtime.protocol import Record
from kubexms.step.contract import ActionKind, Prospect
from kubexms.step.kinds._encryption.reading import read
from kubexms.step.kinds._encryption.scripts import LOOK, sums
from kubexms.step.kinds.encryption_keys import EncryptionKeysExecutor, EncryptionKeysSpec
from kubexms.step.observation import Observation

EXECUTOR = EncryptionKeysExecutor()
PLANES = ("cp1", "cp2", "cp3")
OLD, NEW, PLAIN = "secretbox:old", "secretbox:new", "identity"
OFF = ""
ANEW = f"recorded secrets {NEW}"


def runs(*providers: str, resources: tuple[str, ...] = ("secrets",), more: str = "") -> str:
    """What a host tells whose API server has read this."""
    lines = ["process boot 7 99", *more.splitlines()]
    if providers:
        lines += ["entry", *(f"resource {name}" for name in resources)]
    for provider in providers:
        kind, _, key = provider.partition(":")
        lines += [f"provider {kind}", *([f"key {key}"] if key else [])]
    return "\n".join(lines)


def refused(
    wanted: tuple[str, ...], told: tuple[str | None, ...], *, resources: str = "secrets"
) -> list[str]:
    """The hosts for which a plan is refused, and why; None: no answer."""
    planes = PLANES[: len(told)]
    spec = EncryptionKeysSpec(
        cluster="demo", planes=planes, path="/e", resources=tuple(resources.split()), providers=wanted
    )
    steps = []
    for host, text in zip(planes, told, strict=True):
        before = Observation.unknown("no answer")
        if text is not None:
            before = EXECUTOR.observe(spec, Record(0, f"{text}\nlooked".encode()))
        steps.append(
            Prospect(f"demo-preflight/control-plane/readable@{host}", host, spec, ActionKind.NO_OP, before)
        )
    found = EXECUTOR.review(steps)
    return [f"{address.rpartition('@')[2]}: {message}" for address, message in sorted(found.items())]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        # bare hosts, and the first of several has come up
        ((NEW, PLAIN), (OFF, OFF, OFF)),
        ((NEW, PLAIN), (runs(NEW, PLAIN), OFF, OFF)),
        # one control plane has nobody beside it
        ((NEW, PLAIN), (runs(),)),
        ((NEW, OLD, PLAIN), (runs(OLD, PLAIN),)),
        # the way in, the way to another key, the way out
        ((PLAIN, NEW), (runs(), runs(), runs())),
        ((NEW, PLAIN), (runs(PLAIN, NEW), runs(PLAIN, NEW), runs(PLAIN, NEW))),
        ((OLD, NEW, PLAIN), (runs(OLD, PLAIN), runs(OLD, PLAIN), runs(OLD, PLAIN))),
        ((NEW, OLD, PLAIN), (runs(OLD, NEW, PLAIN), runs(NEW, OLD, PLAIN), runs(OLD, NEW, PLAIN))),
        ((NEW, PLAIN), (runs(NEW, OLD, PLAIN, more=ANEW), runs(NEW, PLAIN), runs(NEW, PLAIN))),
        ((PLAIN, NEW), (runs(NEW, PLAIN), runs(NEW, PLAIN), runs(NEW, PLAIN))),
        # one differs from all others: it is put right, whatever it has read
        ((NEW, PLAIN), (runs(NEW, PLAIN), runs(PLAIN), runs(NEW, PLAIN))),
        ((NEW, PLAIN), (runs(NEW, PLAIN), runs("secretbox:x", more="later configuration"), runs(NEW, PLAIN))),
        # one that is off reads the file when it starts
        ((NEW, OLD, PLAIN), (runs(OLD, NEW, PLAIN), OFF, runs(OLD, NEW, PLAIN))),
    ],
)  # fmt: skip
def test_everybody_can_read_what_is_written(wanted: tuple[str, ...], told: tuple[str, ...]) -> None:
    assert refused(wanted, told) == []


def test_a_key_that_one_does_not_know_is_not_used_by_others() -> None:
    [why] = refused((NEW, OLD, PLAIN), (runs(OLD, NEW, PLAIN), runs(OLD, PLAIN), runs(OLD, NEW, PLAIN)))
    assert why == (
        "cp2: cp2 could not read secrets that others encrypt with the key new (secretbox): with several "
        "control planes all of them know a key before one uses it. Put it behind the key that encrypts now "
        "(with `encrypt: false` if none does), apply, and make it the first then"
    )
    begun = refused((NEW, PLAIN), (runs(), runs(), runs()))
    assert [line[:3] for line in begun] == list(PLANES)
    unread = refused(
        (NEW, OLD, PLAIN), (runs(OLD, NEW, PLAIN), runs(OLD, NEW, PLAIN, more="later configuration"))
    )
    assert "cp2 has not read its configuration since that changed, and could not read" in unread[0]


def test_a_resource_that_one_does_not_decrypt_is_not_encrypted_by_others() -> None:
    both = runs(NEW, PLAIN, resources=("secrets", "configmaps"))
    found = refused((NEW, PLAIN), (runs(NEW, PLAIN), runs(NEW, PLAIN)), resources="secrets configmaps")
    assert [line[:27] for line in found] == ["cp1: cp1 could not read con", "cp2: cp2 could not read con"]
    assert refused((NEW, PLAIN), (both, runs(NEW, PLAIN)), resources="secrets configmaps") == []


def test_who_does_not_answer_may_not_know_the_key() -> None:
    [why] = refused((NEW, OLD, PLAIN), (runs(OLD, NEW, PLAIN), None, runs(OLD, NEW, PLAIN)))
    assert why == (
        "cp1: without an answer it is not known whether cp2 could read secrets that others encrypt with the "
        "key new (secretbox)"
    )
    assert refused((NEW, PLAIN), (OFF, None)) == [], "nobody has begun"


@pytest.mark.parametrize(
    ("wanted", "resources", "now", "why"),
    [
        (
            (NEW, PLAIN),
            "secrets",
            runs(NEW, OLD, PLAIN, more=f"recorded secrets {OLD}"),
            "some secrets may still be encrypted with the key old (secretbox), which",
        ),
        ((PLAIN,), "", runs(PLAIN, OLD), "some secrets may still be encrypted with the key old"),
        ((NEW, PLAIN), "secrets", runs(OLD, PLAIN), "cp1 encrypts with the key old (secretbox), which"),
        (
            (OLD, PLAIN),
            "secrets",
            runs(OLD, PLAIN, resources=("secrets", "configmaps")),
            "cp1 encrypts configmaps, which kubernetes.encryptionAtRest.resources does not have any more",
        ),
        (
            (OLD, PLAIN),
            "secrets",
            runs(OLD, PLAIN, more="") + "\nother secretbox:old",
            "the key old of kubernetes.encryptionAtRest is another one than that of cp1",
        ),
    ],
)
def test_what_is_encrypted_stays_readable(
    wanted: tuple[str, ...], resources: str, now: str, why: str
) -> None:
    [found] = refused(wanted, (now,), resources=resources)
    assert why in found


FILE = """\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
      - widgets.example.com
    providers:
      - secretbox:
          keys:
            - name: "2026"
              secret: AAAA
            - name: old
              secret: 'BBBB'
      - aescbc:
          keys:
            - name: b
              secret: CCCC
      - identity: {}
"""


def test_a_file_is_read_without_its_keys(tmp_path: Path) -> None:
    file = tmp_path / "encryption.yaml"
    file.write_text(FILE)
    values = {"secretbox:2026": "AAAA", "secretbox:old": "changed", "aescbc:b": "CCCC\n"}
    given = "known='secretbox:old aescbc:b identity' listed='secrets widgets.example.com'"
    functions = "later() { :; }\nrecorded() { echo secrets x; }"
    script = f"began=\n{functions}\n{given}\nf={file}\nsums='{sums(values)}'\n{LOOK}"
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=30, check=True)
    assert not {"AAAA", "BBBB", "CCCC"} & set(done.stdout.split())
    found = read(done.stdout)
    assert found.entries == [
        (["secrets", "widgets.example.com"], ["secretbox:2026", "secretbox:old", "aescbc:b", "identity"])
    ]
    assert found.other == ["secretbox:old"]
    assert found.recorded == {"secrets": "x"}, "asked for a key that is to go"
    assert not found.serves
