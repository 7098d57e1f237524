"""`manifest` with a file of the controller."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from kubexms.errors import StepError
from kubexms.runtime.protocol import Record
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.kinds._manifest.scripts import SIFT
from kubexms.step.kinds.manifest import ManifestExecutor, ManifestSpec
from kubexms.step.observation import Observation

KIND = ManifestExecutor()
TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n"
CREATE = ChangeRequest(ActionKind.CREATE, Observation.absent())


def from_file(path: Path, text: str) -> ManifestSpec:
    path.write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ManifestSpec.from_json({"source": {"path": str(path), "sha256": digest, "size": len(text)}})


def test_a_file_is_read_when_it_is_asked_about(tmp_path: Path) -> None:
    spec = from_file(tmp_path / "a.yaml", TEXT)
    assert KIND.desired(spec) == {"objects": {"ConfigMap b/a": "as specified"}}
    assert KIND.observe(spec, Record(0, b"= v1.ConfigMap.b.a\n-x\n+y\n")).attributes["objects"] == {
        "ConfigMap b/a": "differs"
    }
    assert KIND.action(spec, CREATE).payloads["manifest"].data == TEXT.encode()
    assert KIND.summary(spec) == "ConfigMap b/a"


def test_many_objects_have_more_time(tmp_path: Path) -> None:
    few = from_file(tmp_path / "a.yaml", TEXT)
    many = from_file(
        tmp_path / "b.yaml", "---\n".join(TEXT.replace("name: a", f"name: a{i}") for i in range(60))
    )
    [short], [long], [both] = (KIND.probe(specs) for specs in ([few], [many], [few, many]))
    assert long.fragment.timeout == short.fragment.timeout + 59
    assert both.fragment.timeout > long.fragment.timeout


def test_a_file_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    spec = from_file(tmp_path / "a.yaml", TEXT)
    (tmp_path / "a.yaml").write_text(TEXT.replace("name: a", "name: z"))
    with pytest.raises(StepError, match="has changed since the plan"):
        KIND.action(spec, CREATE)


def test_what_is_no_manifest_is_refused_with_the_document(tmp_path: Path) -> None:
    for text, why in (("a: [b", "not YAML"), ("---\n", "holds no object"), ("a: b\n", "each object needs")):
        with pytest.raises(ValidationError, match=why):
            from_file(tmp_path / "a.yaml", text)


def test_what_was_applied_can_be_taken_away_when_the_file_is_gone(tmp_path: Path) -> None:
    spec = from_file(tmp_path / "a.yaml", TEXT)
    known = KIND.object_id(spec)
    (tmp_path / "a.yaml").unlink()
    again = ManifestSpec.from_json(spec.to_json())
    assert KIND.object_id(again) == known
    undo = KIND.undo(again, Observation.absent())
    assert undo is not None
    assert '"$KX_BACKUP/manifest"' in undo.script


LIVE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  creationTimestamp: "2026-01-01T00:00:00Z"
  generation: 3
  labels:
    app: web
  managedFields:
  - apiVersion: apps/v1
    fieldsType: FieldsV1
    manager: kubexms
    time: "2026-01-01T00:00:00Z"
  name: web
  namespace: b
  resourceVersion: "100"
spec:
  replicas: 2
  template:
    metadata:
      creationTimestamp: null
status:
  conditions:
  - lastUpdateTime: "2026-01-01T00:00:00Z"
    message: has 2 pods
  observedGeneration: 3
  readyReplicas: 2
"""
MOVED = (
    ("generation: 3", "generation: 4"),
    ("manager: kubexms", "manager: kube-controller-manager"),
    ('resourceVersion: "100"', 'resourceVersion: "200"'),
    ("message: has 2 pods", "message: has 1 pod"),
    ("  readyReplicas: 2\n", ""),
)


def sifted(tmp_path: Path, name: str, live: str, wanted: str) -> list[str]:
    """What is told of an object that kubectl wrote into two directories."""
    for place, text in (("live", live), ("merged", wanted)):
        (tmp_path / place).mkdir()
        if text:
            (tmp_path / place / name).write_text(text)
    asked = ["diff", "-N", "-U1000000", str(tmp_path / "live"), str(tmp_path / "merged")]
    diff = subprocess.run(asked, capture_output=True, check=False).stdout
    return (
        subprocess.run(["awk", SIFT], input=diff, capture_output=True, check=True)
        .stdout.decode()
        .splitlines()
    )


def test_what_moves_by_itself_is_no_difference(tmp_path: Path) -> None:
    """A pod becomes ready between the two looks that make up a dry run."""
    wanted = LIVE
    for was, now in MOVED:
        assert was in wanted
        wanted = wanted.replace(was, now)
    assert sifted(tmp_path, "apps.v1.Deployment.b.web", LIVE, wanted) == []


def test_what_only_has_such_a_name_is_a_difference(tmp_path: Path) -> None:
    live = (
        "apiVersion: v1\ndata:\n  status: a\n  time: noon\n  uid: one\nkind: ConfigMap\nmetadata:\n  uid: x\n"
    )
    wanted = live.replace("noon", "night").replace("uid: one", "uid: two").replace("status: a", "status: b")
    wanted = wanted.replace("uid: x", "uid: y")
    assert sifted(tmp_path, "v1.ConfigMap.b.a", live, wanted)[1:] == [
        "-  status: a", "-  time: noon", "-  uid: one",
        "+  status: b", "+  time: night", "+  uid: two",
    ]  # fmt: skip


def test_an_object_that_is_not_there_is_new_and_a_secret_is_not_told(tmp_path: Path) -> None:
    text = "apiVersion: v1\ndata:\n  key: c2VjcmV0\nkind: Secret\nmetadata:\n  uid: x\nstatus: {}\n"
    assert sifted(tmp_path, "v1.Secret.b.a", "", text) == [
        "= v1.Secret.b.a", "new", *["+(sensitive value)"] * 5
    ]  # fmt: skip
