"""Steps that did something and failed after it: what the state keeps of them, and what the host does."""

from __future__ import annotations

from tests.unit.services.here import Here


def test_a_command_whose_output_is_not_as_expected_has_run_all_the_same(here: Here) -> None:
    made = here.files / "made"
    step = {
        "name": "c",
        "kind": "command",
        "run": f"echo one; touch {made}",
        "creates": str(made),
        "undo": f"rm {made}",
        "outputs": {"number": r"\d+"},
    }
    here.steps(step)
    ran = here.apply()
    [result] = ran.results.values()
    assert (result.status, result.changed, result.exit_status, result.stdout) == ("failed", True, 0, "one\n")
    assert "regular expression" in result.detail
    [entry] = ran.state.steps.values()
    assert (entry.touched, entry.tainted) == (True, True)
    here.steps(here.file("other"))
    here.apply()
    assert not made.exists()


def test_a_command_that_failed_and_leaves_nothing_to_see_leaves_nothing_of_kubexms_either(here: Here) -> None:
    here.steps({"name": "c", "kind": "command", "run": "exit 3", "runs": "once"})
    ran = here.apply()
    assert ran.statuses == ["failed"]
    assert not ran.state.steps
    assert not ran.state.intents
    assert [path for place in ("objects", "steps") for path in (here.host / place).iterdir()] == []
