"""`manifest` with a file of the controller."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from kubexms.errors import StepError
from kubexms.runtime.protocol import Record
from kubexms.step.contract import ActionKind, ChangeRequest
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
