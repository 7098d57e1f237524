"""A member of etcd and its manifest, changed by sh with an openssl that speaks for every member."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from kubexms.step.kinds._kubeadm.etcd import CHANGE
from kubexms.step.kinds._kubeadm.scripts import PID

MEMBERS = {
    "members": [
        {"ID": str(number), "name": name, "peerURLs": [f"https://10.0.0.1{number}:2380"],
         "clientURLs": [f"https://10.0.0.1{number}:2379"]}
        for number, name in enumerate(("cp1", "cp2", "cp3"), 1)
    ]
}  # fmt: skip

OPENSSL = """\
#!/bin/sh
asked=$(cat)
for word; do [ "$last" != -connect ] || at=$word; last=$word; done
echo "$at" >>"$ROOT/asked"
case $asked in
*member/list*) cat "$ROOT/members"; exit ;;
esac
[ "$at" != "$DOWN" ] || exit 1
if [ "$at" = 127.0.0.1:2379 ] && grep -q bad "$ROOT/manifests/etcd.yaml"; then
  mkdir -p "$ROOT/pods/kube-system_etcd-cp1_new/etcd"
  cp "$ROOT/said" "$ROOT/pods/kube-system_etcd-cp1_new/etcd/0.log"
  cp "$ROOT/said" "$ROOT/pods/kube-system_etcd-cp1_new/etcd/1.log"
  exit 1
fi
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n{"health":"true"}'
"""
"""Where a manifest is bad, etcd has been started twice, and said why it ends."""

PGREP = """\
#!/bin/sh
cksum <"$ROOT/manifests/etcd.yaml" | cut -d ' ' -f 1
"""
"""Another manifest is another process."""

SAID = "2026-01-01T00:00:00Z stderr F {}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in ("bin", "manifests", "pods/kube-system_etcd-cp1_old/etcd"):
        (tmp_path / directory).mkdir(parents=True)
    for name, text in (("openssl", OPENSSL), ("pgrep", PGREP), ("sleep", "#!/bin/sh\n")):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "members").write_text("HTTP/1.0 200 OK\r\n\r\n" + json.dumps(MEMBERS, separators=(",", ":")))
    (tmp_path / "manifests/etcd.yaml").write_text("before\n")
    # it has been restarted in its time
    (tmp_path / "pods/kube-system_etcd-cp1_old/etcd/3.log").write_text(SAID.format("ready"))
    told = ["invalid value many for flag -snapshot-count", "usage:", "  etcd [flags]"]
    (tmp_path / "said").write_text("".join(SAID.format(line) for line in told))
    return tmp_path


def change(root: Path, manifest: str, *, down: str = "") -> subprocess.CompletedProcess[str]:
    text = CHANGE.replace("/etc/kubernetes/manifests", f"{root}/manifests")
    text = text.replace("/etc/kubernetes/etcd.new", f"{root}/etcd.new").replace(
        "/var/log/pods", f"{root}/pods"
    )
    stand_ins = f"payload() {{ :; }}\nmanifest_of_etcd() {{ echo {manifest}; }}\nown=cp1\n"
    environment = {"PATH": f"{root}/bin:{os.environ['PATH']}", "ROOT": str(root), "DOWN": down}
    script = f"set -e\n{PID}{stand_ins}{text}change_etcd\n"
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60)


def manifest_of(root: Path) -> str:
    return (root / "manifests/etcd.yaml").read_text()


def test_it_gets_another_manifest_while_all_others_work(root: Path) -> None:
    done = change(root, "after")
    assert done.returncode == 0, done.stderr
    assert manifest_of(root) == "after\n"
    assert (root / "manifests/etcd.yaml").stat().st_mode & 0o777 == 0o600
    asked = (root / "asked").read_text().split()
    assert asked == ["127.0.0.1:2379", "127.0.0.1:2379", "10.0.0.12:2379", "10.0.0.13:2379", "127.0.0.1:2379"]


def test_nothing_is_restarted_while_another_one_does_not_work(root: Path) -> None:
    done = change(root, "after", down="10.0.0.13:2379")
    assert done.returncode == 1
    assert done.stderr == (
        "the member of etcd at 10.0.0.13:2379 does not work: repair that one first, nothing was restarted\n"
    )
    assert manifest_of(root) == "before\n"


def test_one_that_does_not_work_itself_is_repaired_whatever_others_do(root: Path) -> None:
    (root / "manifests/etcd.yaml").write_text("bad\n")
    done = change(root, "after", down="10.0.0.13:2379")
    assert done.returncode == 0, done.stderr
    assert manifest_of(root) == "after\n"


def test_nothing_is_restarted_where_it_is_not_known_who_the_others_are(root: Path) -> None:
    (root / "members").write_text("HTTP/1.0 404 Not Found\r\n\r\n")
    done = change(root, "after")
    assert (done.returncode, done.stderr) == (1, "etcd does not tell who its members are\n")
    assert manifest_of(root) == "before\n"


def test_one_that_is_started_again_and_again_gets_the_manifest_of_before(root: Path) -> None:
    done = change(root, "bad")
    assert done.returncode == 1
    assert done.stderr == (
        "etcd does not work with this configuration; the one of before is back:\n"
        "invalid value many for flag -snapshot-count\n"
    )
    assert manifest_of(root) == "before\n"
