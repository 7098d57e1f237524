"""`drift --repair`: what it is told, whom it asks, and what its exit code is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubexms.cli.app import App
from kubexms.cli.main import main
from kubexms.services.drift import DriftReport
from tests.golden.cases import plan, update
from tests.unit.cli.fakes import FakeServices, run
from tests.unit.services.drifting import Drifting

Capture = pytest.CaptureFixture[str]
CHANGE = update("a/b/c@n1", "file", {"x": 1}, {"x": 2})
DRIFTED = DriftReport(drifted=(CHANGE,), hosts=("n1",))


def test_bounds_reach_the_service_and_are_tight_by_default() -> None:
    services = FakeServices(made=plan(CHANGE))
    run(services, "drift", "--repair", "--auto-approve")
    run(
        services,
        *["drift", "--repair", "--auto-approve", "--max-changes", "3", "--lock-timeout", "5m"],
        *["--allow-disruption", "restart", "--allow-disruption", "command"],
    )
    first, second = services.repair_options
    assert (first.max_changes, first.allow, first.lock_timeout) == (10, frozenset(), 0.0)
    assert (second.max_changes, second.lock_timeout) == (3, 300.0)
    assert second.allow == {"restart", "command"}
    assert services.writes == [True, True]
    assert {options.operation for options in services.options} == {"drift"}


@pytest.mark.parametrize("flag", ["--auto-approve", "--max-changes=1", "--allow-disruption=restart"])
def test_what_is_about_repairs_goes_with_one(flag: str, capsys: Capture) -> None:
    assert run(FakeServices(), "drift", flag) == 1
    assert "go with --repair" in capsys.readouterr().err


def test_nobody_to_ask_is_an_error_before_anything_is_done(capsys: Capture) -> None:
    services = FakeServices(made=plan(CHANGE))
    assert run(services, "drift", "--repair") == 1
    assert not services.repair_options
    assert "Pass --auto-approve" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "done"), [("yes\n", True), ("no\n", False)])
def test_only_yes_is_yes(answer: str, done: bool, capsys: Capture) -> None:
    services = FakeServices(made=plan(CHANGE), report=DRIFTED)
    assert run(services, "drift", "--repair", answer=answer) == 2
    assert ("Repair cancelled." in capsys.readouterr().out) is not done


def drift(here: Drifting, *arguments: str) -> int:
    return main(["-C", str(here.root), "drift", *arguments], app=App(environ=here.environ, interactive=False))


def test_exit_codes_are_about_what_is_left(tmp_path: Path, capsys: Capture) -> None:
    here = Drifting(tmp_path)
    here.steps(here.file("a", "one\n"), here.file("b", "two\n"))
    here.apply()
    assert drift(here, "--repair", "--auto-approve") == 0
    assert capsys.readouterr().out == ""
    (here.target / "a").write_text("vandal\n")
    assert drift(here, "--repair", "--auto-approve", "--json", "x.json") == 0
    out = capsys.readouterr().out
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in out
    assert "Repair complete! Resources: 0 added, 1 changed, 0 destroyed." in out
    assert out.endswith("Repaired: 1 step as last applied.\nNo drift.\n")
    assert json.loads((here.root / "x.json").read_text())["repaired"] == ["m/t/a@here"]
    (here.target / "a").write_text("vandal\n")
    (here.target / "b").write_text("vandal\n")
    assert drift(here, "--repair", "--auto-approve", "--max-changes", "1") == 2
    assert "Left as it is: m/t/a@here, m/t/b@here\n" in capsys.readouterr().out
    assert drift(here, "--repair", "--auto-approve", "--json") == 0
    assert json.loads(capsys.readouterr().out)["repaired"] == ["m/t/a@here", "m/t/b@here"]
