"""Drift is about what was last applied, told apart from everything else that is not as it could be."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kubexms.plan.model import HIDDEN
from tests.unit.services.drifting import GONE, Drifting, addresses


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    return Drifting(tmp_path)


def test_a_clean_host_is_clean_and_its_vandal_is_named(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"), here.file("b", "two\n"))
    here.apply()
    clean = here.drift()
    assert (clean.drifted, clean.exit_code) == ((), 0)
    assert clean.steps == clean.looked_at == ("m/t/a@here", "m/t/b@here")
    (here.target / "a").write_text("vandal\n")
    (here.target / "b").unlink()
    report = here.drift()
    changed, gone = report.drifted
    assert (changed.address, changed.action.value, report.exit_code) == ("m/t/a@here", "update", 2)
    assert changed.text["content"].before == "one\n"
    assert changed.text["content"].after == "vandal\n"
    assert (gone.address, gone.action.value) == ("m/t/b@here", "delete")


def test_uncommitted_edits_are_pending_and_never_drift(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"), here.file("b", "two\n"), here.file("c", "three\n"))
    here.apply()
    moved = {**here.file("b", "two\n"), "path": str(here.target / "elsewhere")}
    here.steps(here.file("a", "edited\n"), moved, here.file("d", "new\n"))
    report = here.drift()
    assert (addresses(report), report.exit_code, report.unknown) == ([], 0, {})
    assert [c.address for c in report.pending] == ["m/t/a@here", "m/t/b@here", "m/t/c@here"]
    assert report.untracked == ("m/t/d@here",)


def test_a_step_that_was_edited_moved_or_removed_still_drifts(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"), here.file("b", "two\n"), here.file("c", "three\n"))
    here.apply()
    moved = {**here.file("b", "two\n"), "path": str(here.target / "elsewhere")}
    here.steps(here.file("a", "edited\n"), moved)
    (here.target / "elsewhere").write_text("not ours\n")
    for name in "abc":
        (here.target / name).write_text("vandal\n")
    report = here.drift()
    assert addresses(report) == ["m/t/a@here", "m/t/b@here", "m/t/c@here"]
    assert [change.summary for change in report.drifted] == [str(here.target / name) for name in "abc"]
    assert {c.address for c in report.pending} == set(addresses(report)), "both hold"


def test_a_host_that_is_as_the_edited_documents_want_it_has_drifted_all_the_same(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"))
    here.apply()
    here.steps(here.file("a", "edited\n"))
    (here.target / "a").write_text("edited\n")
    assert addresses(here.drift()) == ["m/t/a@here"]


def test_attributes_that_are_ignored_do_not_drift_while_documents_or_state_say_so(here: Drifting) -> None:
    step = here.file("a", "one\n", mode="0644", ignoreChanges=["mode"])
    here.steps(step, here.file("b", "two\n"))
    here.apply()
    (here.target / "a").chmod(0o600)
    assert addresses(here.drift()) == []
    here.steps(here.file("b", "two\n"))
    assert addresses(here.drift()) == [], "the step is gone, what it ignored is not"
    here.steps({**step, "ignoreChanges": []}, here.file("b", "two\n"))
    assert addresses(here.drift()) == ["m/t/a@here"]


def test_times_and_what_the_spec_leaves_open_never_count(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"))
    here.apply()
    os.utime(here.target / "a", (1, 1))
    (here.target / "a").chmod(0o600)
    copy = here.target / "copy"
    copy.write_text("one\n")
    copy.rename(here.target / "a")
    assert here.drift().exit_code == 0


def test_hosts_that_are_not_asked_are_reported_apart_and_hide_nothing(here: Drifting) -> None:
    here.inventory("here", "lost", "closed")
    here.steps({**here.file("a", "one\n"), "path": f"{here.target}/{{{{ host.name }}}}"})
    here.apply()
    (here.target / "here").write_text("vandal\n")
    (here.target / "closed").write_text("vandal\n")
    here.inventory(
        "here", "lost", "closed", lost={"connection": GONE}, closed={"maintenance": {"reason": "disks"}}
    )
    report = here.drift()
    assert (addresses(report), report.exit_code) == (["m/t/a@here"], 2)
    assert list(report.unreachable) == ["lost"]
    assert report.maintenance == {"closed": "disks"}
    assert report.looked_at == ("m/t/a@here",)
    (here.target / "here").write_text("one\n")
    assert here.drift().exit_code == 3


def test_facts_of_a_lost_host_that_others_read_are_the_last_recorded_with_their_age(here: Drifting) -> None:
    here.inventory("here", "lost")
    content = "{{ hosts.byName.lost.facts.hostname }}\n"
    path = f"{here.target}/{{{{ host.name }}}}"
    here.steps({**here.file("a", "not yet\n"), "path": path})
    here.apply()
    here.steps({**here.file("a", content), "path": path})
    before = datetime.now(UTC)
    here.apply()
    here.inventory("here", "lost", lost={"connection": GONE})
    report = here.drift()
    assert (report.exit_code, report.pending, list(report.facts_at)) == (3, (), ["lost"])
    assert before - timedelta(seconds=1) <= report.facts_at["lost"] <= datetime.now(UTC)


def test_who_is_left_out_by_limit_is_behind(here: Drifting) -> None:
    here.inventory("here", "other")
    path = f"{here.target}/{{{{ host.name }}}}"
    here.steps({**here.file("a", "one\n"), "path": path})
    here.apply()
    assert here.drift().behind == ()
    here.steps({**here.file("a", "two\n"), "path": path})
    here.names = ("here",)
    here.apply()
    report = here.drift()
    assert (report.exit_code, report.behind) == (0, ("other",))
    here.names = ("other",)
    here.apply()
    assert here.drift().behind == ()


def test_a_host_that_missed_an_apply_is_behind_until_it_catches_up(here: Drifting) -> None:
    here.inventory("here", "lost")
    path = f"{here.target}/{{{{ host.name }}}}"
    here.steps({**here.file("a", "one\n"), "path": path})
    here.apply()
    here.steps({**here.file("a", "two\n"), "path": path})
    here.inventory("here", "lost", lost={"connection": GONE})
    here.apply(fine=False)
    here.inventory("here", "lost")
    report = here.drift()
    assert (report.exit_code, report.behind) == (0, ("lost",))
    assert [change.address for change in report.pending] == ["m/t/a@lost"]
    here.apply()
    assert here.drift().behind == ()


SECRET: dict[str, Any] = {"variables": {"password": {"type": "string", "valueFrom": {"env": "PASSWORD"}}}}


def test_secrets_are_compared_and_shown_nowhere(here: Drifting) -> None:
    step = here.file("a", "{{ vars.password }}\n", mode="0600")
    here.steps(step, **SECRET)
    here.apply()
    assert here.drift().exit_code == 0
    (here.target / "a").write_text("hunter3\n")
    report = here.drift()
    (change,) = report.drifted
    assert change.before == change.after == {"sha256": HIDDEN}
    assert not change.text
    assert "hunter" not in json.dumps(change.to_json())


def test_an_edited_step_whose_secret_is_not_kept_is_still_compared_where_it_can_be(here: Drifting) -> None:
    here.steps(here.file("a", "{{ vars.password }}\n", mode="0600"), **SECRET)
    here.apply()
    here.steps(here.file("a", "x{{ vars.password }}\n", mode="0600"), **SECRET)
    assert here.drift().exit_code == 0
    (here.target / "a").write_text("hunter3\n")
    assert addresses(here.drift()) == ["m/t/a@here"]


def test_a_command_whose_check_held_a_secret_is_unknown_once_it_is_edited(here: Drifting) -> None:
    made = here.target / "made"
    check = f"test -e {made} # {{{{ vars.password }}}}"
    step = {"name": "c", "kind": "command", "run": f"touch {made}", "unless": check}
    here.steps(step, **SECRET)
    here.apply()
    assert here.drift().exit_code == 0
    here.steps({**step, "unless": f"test -e {made} # other {{{{ vars.password }}}}"}, **SECRET)
    report = here.drift()
    assert (report.exit_code, list(report.unknown)) == (0, ["m/t/c@here"])
    assert "a secret that is not kept" in report.unknown["m/t/c@here"]


def test_narrowed_runs_look_at_less_and_say_so(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"), here.file("b", "two\n"))
    here.apply()
    (here.target / "a").write_text("vandal\n")
    report = here.drift(targets=("m/t/b",))
    assert (report.exit_code, report.steps) == (0, ("m/t/b@here",))


def test_a_host_that_left_the_inventory_is_noted(here: Drifting) -> None:
    here.inventory("here", "gone")
    here.steps({**here.file("a", "one\n"), "path": f"{here.target}/{{{{ host.name }}}}"})
    here.apply()
    here.inventory("here")
    (here.target / "gone").write_text("vandal\n")
    report = here.drift()
    assert (report.exit_code, report.steps) == (0, ("m/t/a@here",))
    assert report.notes == ("gone left the inventory and is not looked at (steps recorded there: 1)",)
