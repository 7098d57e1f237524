"""What a cluster remembers of a manifest's objects, and how they are taken away."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

import pytest

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import StepContext
from kubexms.step.kinds._manifest.scripts import MERGE
from kubexms.step.kinds.manifest import ManifestExecutor, ManifestSpec
from kubexms.step.observation import Observation
from tests.steps.context import InCompany

KIND = ManifestExecutor()
TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n"
SPEC = ManifestSpec(manifest=TEXT, set="demo.web")


def merged(lines: str, *, before: bool, leaving: bool) -> list[str]:
    """The lines of the set `kubexms-s` after these."""
    flags = ["-v", f"before={'1' if before else ''}", "-v", f"leaving={'1' if leaving else ''}"]
    argv = ["awk", "-v", "set=kubexms-s", *flags, MERGE]
    return subprocess.run(argv, input=lines, text=True, capture_output=True, check=True).stdout.splitlines()


def test_what_is_not_there_is_about_to_be_made_and_what_is_was_there_before() -> None:
    lines = "? v1 ConfigMap default u1 theirs kubectl Update <none>\n"
    lines += "w v1 ConfigMap - theirs\nw v1 Namespace - x\n"
    assert merged(lines, before=True, leaving=True) == [
        "found u1 v1 ConfigMap - theirs",
        "made - v1 Namespace - x",
    ]


def test_what_has_been_made_gets_its_uid_and_stays_made() -> None:
    lines = "@ kubexms-s made - v1 Namespace - x\n? v1 Namespace <none> u2 x kubexms Apply <none>\n"
    lines += "w v1 Namespace - x\n"
    assert merged(lines, before=False, leaving=True) == ["made u2 v1 Namespace - x"]


@pytest.mark.parametrize(
    ("uid", "flag"), [("u1", "made"), ("u9", "found")], ids=["the same object", "made anew by somebody"]
)
def test_what_was_made_stays_made_while_it_is_that_object(uid: str, flag: str) -> None:
    lines = f"@ kubexms-s made u1 v1 ConfigMap b a\n? v1 ConfigMap b {uid} a kubexms Apply <none>\n"
    lines += "w v1 ConfigMap b a\n"
    assert merged(lines, before=True, leaving=True) == [f"{flag} {uid} v1 ConfigMap b a"]


def test_what_kubexms_makes_anew_in_place_of_what_was_there_is_its_own() -> None:
    lines = "@ kubexms-s found u1 v1 ConfigMap b a\nw v1 ConfigMap b a\n"
    assert merged(lines, before=True, leaving=True) == ["made - v1 ConfigMap b a"]


def test_an_object_that_another_set_has_made_is_not_somebody_elses() -> None:
    lines = "@ kubexms-t made u1 v1 ConfigMap b a\n? v1 ConfigMap b u1 a kubexms Apply <none>\n"
    lines += "w v1 ConfigMap b a\n"
    assert merged(lines, before=True, leaving=True) == ["made u1 v1 ConfigMap b a"]


def test_the_same_object_of_another_group_stays_made() -> None:
    lines = (
        "@ kubexms-s made u1 extensions/v1beta1 Ingress b a\n"
        "? networking.k8s.io/v1 Ingress b u1 a kubexms Apply <none>\nw networking.k8s.io/v1 Ingress b a\n"
    )
    assert merged(lines, before=True, leaving=False) == ["made u1 networking.k8s.io/v1 Ingress b a"]


def test_a_newer_version_is_the_same_object() -> None:
    lines = (
        "@ kubexms-s made u1 policy/v1beta1 PodDisruptionBudget b a\n"
        "? policy/v1 PodDisruptionBudget b u1 a kubexms Apply <none>\nw policy/v1 PodDisruptionBudget b a\n"
    )
    assert merged(lines, before=True, leaving=True) == ["made u1 policy/v1 PodDisruptionBudget b a"]


def test_what_leaves_is_remembered_until_it_is_gone() -> None:
    lines = "@ kubexms-s made u1 v1 ConfigMap b old\nw v1 ConfigMap b a\n"
    kept = merged(lines, before=True, leaving=True)
    assert kept == ["made - v1 ConfigMap b a", "made u1 v1 ConfigMap b old"]
    assert merged(lines, before=True, leaving=False) == kept[:1]


@dataclass
class Answering(InCompany):
    """A host whose API says what is to go."""

    seen: Observation = field(default_factory=Observation.absent)
    acted: list[Action] = field(default_factory=list)

    def observe(self) -> Observation:
        return self.seen

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        self.acted.append(action)
        return Outcome((), True, 0, b"", b"", (), 0.1)


def undone(seen: Observation) -> Action:
    context = Answering(seen=seen)
    casted: StepContext = context  # type: ignore[assignment]  # no connection and no peers are asked for
    KIND.run_undo(casted, KIND.leaving(SPEC), Observation.absent())
    [action] = context.acted
    return action


def test_all_that_a_set_remembers_goes_with_its_step() -> None:
    seen = Observation.present({"objects": {}}, {"deletions": ["kind: A\n", "kind: B\n"]})
    action = undone(seen)
    assert {name: payload.data for name, payload in action.payloads.items()} == {
        "leaving-0": b"kind: A\n",
        "leaving-1": b"kind: B\n",
    }
    script = action.script
    assert (
        script.index("payload leaving-0")
        < script.index("payload leaving-1")
        < script.index("kubexms-demo.web")
    )


def test_what_cannot_be_seen_is_not_forgotten() -> None:
    with pytest.raises(StepError, match="cannot be seen: the API does not say"):
        undone(Observation.unknown("the API does not say: refused"))


def test_a_step_that_goes_asks_for_the_whole_set_and_compares_nothing() -> None:
    going = KIND.leaving(SPEC)
    assert KIND.desired(going) is None
    assert "text=''\n" in KIND.ask(going)
    assert "wanted=''\n" in KIND.ask(going)
    assert KIND.object_id(going) == KIND.object_id(SPEC)


def test_a_manifest_without_a_set_goes_as_it_was() -> None:
    plain = ManifestSpec(manifest=TEXT)
    assert KIND.leaving(plain) is plain


def test_a_set_is_one_object_whatever_is_in_it() -> None:
    other = ManifestSpec(manifest=TEXT.replace("name: a", "name: z"), set="demo.web")
    assert KIND.object_id(other) == KIND.object_id(SPEC)
    assert KIND.object_id(ManifestSpec(manifest=TEXT)) != KIND.object_id(SPEC)
