"""Commands against services that do what the test says: arguments in, words and exit codes out."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.errors import ConfigError, Interrupted, StateLocked
from kubexms.executor.events import RunResult, RunStarted, StepResult, StepStatus
from kubexms.executor.stop import StopSignal
from kubexms.plan.model import HostStatus, PlanDiagnostic, PlanOptions
from kubexms.services.drift import DriftReport
from kubexms.services.inspect import HostInfo
from tests.golden.cases import create, host, nothing, plan, update
from tests.unit.cli.fakes import FakeServices, run

Capture = pytest.CaptureFixture[str]

ONE = create("a/b/c@n1", "file", {"mode": "0644"})
DONE = RunResult("r1", (StepResult(ONE.address, "file", "create", StepStatus.OK, True),))
FAILED = RunResult("r1", (StepResult(ONE.address, "file", "create", StepStatus.FAILED, message="no"),))


def test_plan_shows_the_plan(capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE))
    assert run(services, "plan") == 0
    out = capsys.readouterr().out
    assert "  # a/b/c@n1 will be created\n" in out
    assert out.endswith("Plan: 1 to add, 0 to change, 0 to destroy.\n")
    assert services.writes == [False]


def test_options_reach_the_services() -> None:
    services = FakeServices()
    project = "-C /p plan -f a.yaml -f b.yaml -e prod --var x=1=2 --var x=3 --var-file v.yaml --parallelism 7"
    selection = "--target a/* --exclude b --limit role:db --replace c --allow-destroy @n1 --untrusted"
    run(services, *project.split(), *selection.split())
    (settings,), (options,) = services.settings, services.options
    assert settings.root == Path("/p")
    assert settings.files == (Path("a.yaml"), Path("b.yaml"))
    assert settings.var_files == (Path("v.yaml"),)
    assert (settings.environment, settings.parallelism, settings.untrusted) == ("prod", 7, True)
    assert settings.variables == {"x": "3"}
    assert options == PlanOptions(
        environment="prod",
        targets=("a/*",),
        excludes=("b",),
        limit=("role:db",),
        replace=("c",),
        allow_destroy=("@n1",),
        untrusted=True,
        variables={"x": "3"},
        var_files=("v.yaml",),
        files=("a.yaml", "b.yaml"),
    )


CLEAN = plan(nothing("a/b/c@n1", "file", {"mode": "1"}))
UNREACHED = plan(hosts=(host("n1", HostStatus.UNREACHABLE, "no route"),))
ERRORED = plan(ONE, diagnostics=(PlanDiagnostic(severity="error", summary="no"),))


@pytest.mark.parametrize(
    ("made", "plain", "detailed"),
    [
        (CLEAN, 0, 0),
        (plan(ONE), 0, 2),
        (plan(update("a/b/c@n1", "file", {"x": 1}, {"x": 2})), 0, 2),
        (ERRORED, 1, 1),
        (UNREACHED, 1, 1),
    ],
)
def test_exit_codes_of_plan_agree_with_its_json(
    made: object, plain: int, detailed: int, capsys: Capture
) -> None:
    services = FakeServices(made=made)  # type: ignore[arg-type]
    assert run(services, "plan") == plain
    capsys.readouterr()
    assert run(services, "plan", "--detailed-exitcode", "--json") == detailed
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    changes = [event for event in events if event["type"] == "planned_change"]
    assert (detailed == 2) <= bool(changes)
    assert events[0]["type"] == "version"
    assert events[-1]["type"] == "change_summary"


def test_a_saved_plan_is_applied_without_a_question(capsys: Capture) -> None:
    services = FakeServices(
        made=plan(ONE, options=PlanOptions(environment="prod", files=("a.yaml",))), result=DONE
    )
    assert run(services, "-C", "/p", "plan", "--out", "x.plan") == 0
    assert 'kubexms apply "x.plan"' in capsys.readouterr().out
    assert (
        run(services, "-C", "/p", "apply", "x.plan", "--digest", "sha256:0", "--on-stale", "skip-host") == 0
    )
    assert services.settings[-1].environment == "prod"
    assert services.settings[-1].files == (Path("a.yaml"),)
    assert services.apply_options[-1].on_stale == "skip-host"
    assert services.apply_options[-1].digest == "sha256:0"
    out = capsys.readouterr().out
    assert "Enter a value" not in out
    assert out.endswith("Apply complete! Resources: 1 added, 0 changed, 0 destroyed.\n")


def test_a_saved_plan_that_destroys_is_called_so(capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE, options=PlanOptions(operation="destroy")), result=DONE)
    assert run(services, "-C", "/p", "plan", "--destroy", "--out", "x.plan") == 0
    assert run(services, "-C", "/p", "apply", "x.plan") == 0
    assert capsys.readouterr().out.endswith("Destroy complete! Resources: 0 destroyed.\n")
    assert run(services, "-C", "/p", "apply", "--json", "x.plan") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["type"], summary["changes"]["operation"]) == ("change_summary", "destroy")


@pytest.mark.parametrize("answer", ["no\n", "y\n", "", "YES\n"])
def test_only_yes_is_yes(answer: str, capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE), result=DONE)
    assert run(services, "apply", answer=answer) == 1
    out = capsys.readouterr().out
    assert "  Only 'yes' will be accepted to approve.\n" in out
    assert out.endswith("Apply cancelled.\n")


def test_yes_is_yes(capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE), result=DONE)
    assert run(services, "apply", answer="yes\n") == 0
    assert "Apply complete! Resources: 1 added" in capsys.readouterr().out
    assert services.writes == [True]
    assert run(services, "destroy", answer="yes\n") == 0
    assert services.options[-1].operation == "destroy"
    assert "Destroy complete! Resources: 0 destroyed." in capsys.readouterr().out


def test_nothing_to_do_asks_nothing(capsys: Capture) -> None:
    assert run(FakeServices(made=CLEAN), "apply", answer="no") == 0
    out = capsys.readouterr().out
    assert "No changes. Your infrastructure matches the configuration." in out
    assert out.endswith("Apply complete! Resources: 0 added, 0 changed, 0 destroyed.\n")


def test_one_empty_line_stands_before_the_recap(capsys: Capture) -> None:
    nobody = RunResult("", unreachable={"n1": "no route"})
    for made, result in ((plan(ONE), DONE), (CLEAN, nobody)):
        begun = (RunStarted("r1", 1, ("n1",)),) if result.run else ()
        run(FakeServices(made=made, events=begun, result=result), "apply", "--auto-approve")
        out = capsys.readouterr().out
        assert "\n\nRecap\n" in out
        assert "\n\n\nRecap\n" not in out


@pytest.mark.parametrize("arguments", [["apply"], ["destroy"], ["apply", "--json"]])
def test_nobody_to_ask_is_an_error_before_anything_happens(arguments: list[str], capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE), result=DONE)
    assert run(services, *arguments) == 1
    said = capsys.readouterr()
    assert "Pass --auto-approve" in said.out + said.err
    assert services.settings == []


def test_a_failed_apply_exits_with_1_and_an_interrupted_one_with_130(capsys: Capture) -> None:
    assert run(FakeServices(made=plan(ONE), result=FAILED), "apply", "--auto-approve") == 1
    assert "Error: the apply is incomplete: 1 step failed\n" in capsys.readouterr().out
    stopped = RunResult("r1", FAILED.results, interrupted=True)
    assert run(FakeServices(made=plan(ONE), result=stopped), "apply", "--auto-approve") == 130


def test_an_interrupt_during_a_run_asks_it_to_stop() -> None:
    asked: list[bool] = []

    def meanwhile(stop: StopSignal) -> None:
        signal.raise_signal(signal.SIGINT)
        asked.append(stop.requested and not stop.now)
        signal.raise_signal(signal.SIGTERM)
        asked.append(stop.now)

    before = signal.getsignal(signal.SIGINT)
    run(FakeServices(made=plan(ONE), result=DONE, meanwhile=meanwhile), "apply", "--auto-approve")
    assert asked == [True, True]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_before_the_run_ends_it(capsys: Capture) -> None:
    assert run(FakeServices(error=KeyboardInterrupt()), "plan") == 130  # type: ignore[arg-type]
    assert capsys.readouterr().err.strip() == "Interrupted."
    assert run(FakeServices(error=Interrupted("stopped")), "plan") == 130


def test_apply_as_a_stream_is_json_to_the_last_line(capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE), result=DONE)
    assert run(services, "apply", "--auto-approve", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["type"] for event in events] == [
        "version",
        "planned_change",
        "change_summary",
        "change_summary",
    ]
    assert events[-1]["changes"]["operation"] == "apply"
    assert run(FakeServices(made=CLEAN), "apply", "--auto-approve", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["type"] == "change_summary"


def test_errors_of_a_stream_are_in_the_stream(capsys: Capture) -> None:
    error = StateLocked("the state is locked", detail="by me")
    assert run(FakeServices(error=error), "apply", "--auto-approve", "--json") == 1
    said = capsys.readouterr()
    last = json.loads(said.out.splitlines()[-1])
    assert (last["type"], last["@level"], last["diagnostic"]["detail"]) == ("diagnostic", "error", "by me")
    assert said.err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--var", "x"],
        ["apply", "file", "--target", "x"],
        ["apply", "--resume"],
        ["apply", "--digest", "x"],
        ["apply", "--lock-timeout", "soon"],
        ["plan", "--parallelism", "0"],
        ["plan", "--bogus"],
        ["bogus"],
        ["state"],
        [],
    ],
)
def test_a_usage_error_is_1_because_2_means_changes(arguments: list[str], capsys: Capture) -> None:
    assert run(FakeServices(), *arguments) == 1
    assert "--help" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-e", "prod", "plan"], "-e goes after the command: kubexms plan -e ..."),
        (["--target", "a", "apply"], "--target goes after the command: kubexms apply --target ..."),
        (["--bogus", "plan"], "No such option '--bogus'"),
        (["-e", "prod"], "No such option '-e'"),
    ],
)
def test_an_option_that_stands_before_its_command_is_told_where_it_goes(
    arguments: list[str], said: str, capsys: Capture
) -> None:
    assert run(FakeServices(), *arguments) == 1
    assert said in capsys.readouterr().err


def test_a_flag_that_the_saved_plan_holds_already_is_named(capsys: Capture) -> None:
    run(FakeServices(), "apply", "file", "--target", "x", "-e", "prod")
    assert "--environment, --target cannot be given with it." in capsys.readouterr().err


def test_an_error_shows_every_diagnostic_with_its_place(capsys: Capture) -> None:
    place = SourceRange("site.yaml", 2, 3, snippet="  x: 1")
    wrong = [Diagnostic(Severity.ERROR, "unknown field", source=place), Diagnostic(Severity.ERROR, "another")]
    assert run(FakeServices(error=ConfigError("two", diagnostics=wrong)), "plan") == 1
    err = capsys.readouterr().err
    assert "Error: unknown field\n\n  site.yaml:2:3\n  2 |   x: 1\n    |   ^\n\nError: another\n" in err


def test_a_mistake_of_ours_is_one_line_and_the_way_to_its_traceback(capsys: Capture) -> None:
    assert run(FakeServices(error=ValueError("odd\x1b[2J")), "plan") == 1
    err = capsys.readouterr().err
    assert err.startswith("Error: unexpected ValueError: odd\\x1b[2J\n")
    assert "KUBEXMS_TRACE=1" in err
    assert "Traceback" not in err
    with pytest.raises(ValueError, match="odd"):
        run(FakeServices(error=ValueError("odd")), "plan", KUBEXMS_TRACE="1")


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (DriftReport(), 0),
        (DriftReport(drifted=(update("a/b/c@n1", "file", {"x": 1}, {"x": 2}),), unreachable={"n2": "x"}), 2),
        (DriftReport(unreachable={"n2": "x"}), 3),
    ],
)
def test_drift_is_silent_when_clean_and_says_the_rest_by_its_exit_code(
    report: DriftReport, code: int, capsys: Capture
) -> None:
    services = FakeServices(report=report)
    assert run(services, "drift") == code
    said = capsys.readouterr()
    assert bool(said.out) == bool(code)
    assert said.err == ""
    assert services.options[0].operation == "drift"
    assert run(services, "drift", "--json") == code
    assert json.loads(capsys.readouterr().out)["format_version"] == "1.0"


def test_validate(capsys: Capture) -> None:
    assert run(FakeServices(), "validate") == 0
    assert capsys.readouterr().out == "Success! The configuration is valid.\n"
    warned = FakeServices(warnings=(Diagnostic(Severity.WARNING, "odd"),))
    assert run(warned, "validate") == 0
    assert capsys.readouterr().err == "Warning: odd\n\n"
    assert run(FakeServices(error=ConfigError("bad")), "validate", "--json") == 1
    assert json.loads(capsys.readouterr().out)["valid"] is False


def test_hosts(capsys: Capture) -> None:
    good, bad = HostInfo("n1", ("db",), "192.0.2.1", True), HostInfo("n2", (), "n2", False, "no route")
    assert run(FakeServices(found=(good,)), "hosts") == 0
    assert run(FakeServices(found=(good, bad)), "hosts") == 3
    assert "no: no route" in capsys.readouterr().out


def test_colour_only_where_it_is_welcome(capsys: Capture) -> None:
    services = FakeServices(made=plan(ONE))
    for arguments, environ, coloured in (
        (["plan"], {}, False),
        (["plan"], {"FORCE_COLOR": "1"}, True),
        (["plan"], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["plan", "--no-color"], {"FORCE_COLOR": "1"}, False),
        (["--no-color", "plan"], {"FORCE_COLOR": "1"}, False),
    ):
        run(services, *arguments, answer=None, **environ)
        assert ("\x1b[" in capsys.readouterr().out) == coloured


def test_show_reads_a_saved_plan(capsys: Capture) -> None:
    services = FakeServices(saved={"x.plan": plan(ONE, created=datetime(2026, 1, 1, tzinfo=UTC))})
    assert run(services, "show", "x.plan") == 0
    assert "Plan: 1 to add" in capsys.readouterr().out
    assert run(services, "show", "--json", "x.plan") == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["format_version"] == "1.2"


def test_show_in_the_formats_of_other_tools(capsys: Capture) -> None:
    services = FakeServices(saved={"x.plan": plan(ONE)})
    assert run(services, "show", "x.plan", "--format", "gitlab") == 0
    assert json.loads(capsys.readouterr().out) == {"create": 1, "update": 0, "delete": 0}
    assert run(services, "show", "--format", "gitlab") == 1
    assert "give PLANFILE" in capsys.readouterr().err


def test_secrets_given_by_flag_are_used_and_not_kept() -> None:
    services = FakeServices(made=plan(ONE, options=PlanOptions(variables={"x": "1"})), result=DONE)
    given = ["--var", "secret=hunter2", "--var", "x=1"]
    run(services, "plan", "--out", "x.plan", *given)
    run(services, "apply", "--auto-approve", *given)
    run(services, "apply", "x.plan", "--var", "secret=hunter2")
    assert [settings.variables for settings in services.settings] == [{"secret": "hunter2", "x": "1"}] * 3
    assert [options.variables for options in services.options] == [{"x": "1"}] * 3
