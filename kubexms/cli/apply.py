"""`kubexms apply` and `kubexms destroy`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.options import (
    PATH,
    change_options,
    json_option,
    lock_option,
    parallelism_option,
    project_options,
    selection_options,
)
from kubexms.cli.session import Session, json_stream, plan_options

if TYPE_CHECKING:
    from kubexms.executor.events import Listener
    from kubexms.plan.model import Plan


def run_options(command: Any) -> Any:
    """Options of everything that changes hosts."""
    for option in reversed(
        [
            click.option("--auto-approve", is_flag=True, help="Do not ask."),
            click.option("--fail-fast", is_flag=True, help="Begin nothing more after the first failure."),
            click.option(
                "--expand", is_flag=True, help="Show each host apart instead of folding equal changes."
            ),
            click.option("--debug", is_flag=True, help="One step at a time, each shown before it runs."),
        ]
    ):
        command = option(command)
    return command


@click.command()
@click.argument("planfile", required=False, type=PATH)
@project_options
@selection_options
@change_options
@run_options
@click.option("--resume", is_flag=True, help="Continue the unfinished run of PLANFILE.")
@click.option(
    "--on-stale",
    type=click.Choice(["refuse", "skip-host"]),
    default="refuse",
    help="When something moved since PLANFILE was made.",
)
@click.option("--digest", metavar="sha256:…", help="Refuse PLANFILE unless it has this digest.")
@lock_option
@parallelism_option
@json_option
@click.pass_context
def apply(ctx: click.Context, planfile: Path | None, **options: Any) -> None:
    """Plan, ask, and change what differs. With PLANFILE: exactly that plan, or refuse."""
    if planfile is None and (options["resume"] or options["digest"]):
        raise click.UsageError("--resume and --digest need a PLANFILE")
    _run(ctx, "apply", planfile, options)


@click.command()
@project_options
@selection_options
@run_options
@lock_option
@parallelism_option
@json_option
@click.pass_context
def destroy(ctx: click.Context, **options: Any) -> None:
    """Remove what kubexms made and put back what was there before."""
    _run(ctx, "destroy", None, options)


def _run(ctx: click.Context, operation: str, planfile: Path | None, options: dict[str, Any]) -> None:
    from kubexms.executor.stop import StopSignal
    from kubexms.services.applying import ApplyOptions
    from kubexms.services.applying import apply as carry_out
    from kubexms.services.planfile import read_plan
    from kubexms.views.apply_human import recap_lines

    session = Session(ctx)
    as_json: bool = options["as_json"]
    with session.errors():
        saved = read_plan(planfile) if planfile is not None else None
    if saved is not None:
        options = {**options, **_remembered(saved)}
    elif not options["auto_approve"] and (as_json or not sys.stdin.isatty()):
        raise click.UsageError(
            f"nobody can be asked here: use --auto-approve, or save a plan and `kubexms {operation} FILE`"
        )
    stop = StopSignal()
    with (
        session.project(options, writes=True) as project,
        _listening(session, operation, as_json) as listener,
    ):
        asking = _Approval(
            session, operation, options, listener, ask=saved is None and not options["auto_approve"]
        )
        with stop.on_signals():
            outcome = carry_out(
                project,
                plan_options(options, operation),
                ApplyOptions(
                    fail_fast=options["fail_fast"],
                    on_stale=options.get("on_stale", "refuse"),
                    lock_timeout=options["lock_timeout"],
                    resume=bool(options.get("resume")),
                    debug=_prompter(session) if options["debug"] else None,
                    digest=options.get("digest"),
                ),
                saved=saved,
                approve=asking,
                listener=listener,
                stop=stop,
            )
        listener.end()
    if outcome.result is not None and not as_json:
        for line in recap_lines(outcome.result, operation, session.paint):
            click.echo(line)
    elif not outcome.approved:
        click.echo("\nNothing was changed.")
    unreachable = any(report.status.value == "unreachable" for report in outcome.plan.hosts)
    if not outcome.approved or unreachable or (outcome.result is not None and outcome.result.failed):
        ctx.exit(1)


def _remembered(saved: Plan) -> dict[str, Any]:
    """The options with which a saved plan was made; apply repeats them."""
    found = saved.options
    return {"environment": found.environment}


class _Listener:
    """A listener whose display can be started and ended around questions."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._inner: Any = None

    def begin(self) -> None:
        self._inner = self._make()
        if hasattr(self._inner, "__enter__"):
            self._inner.__enter__()

    def end(self) -> None:
        inner, self._inner = self._inner, None
        if hasattr(inner, "__exit__"):
            inner.__exit__(None, None, None)

    def __call__(self, event: Any) -> None:
        from kubexms.executor.events import RunStarted

        if isinstance(event, RunStarted) and self._inner is None:
            self.begin()
        if self._inner is not None:
            self._inner(event)


@contextmanager
def _listening(session: Session, operation: str, as_json: bool) -> Iterator[_Listener]:
    def make() -> Listener:
        if as_json:
            return json_stream(operation)
        if session.on_terminal:
            from kubexms.views.apply_live import ApplyLive

            return ApplyLive(session.paint)
        from kubexms.views.apply_human import ApplyLines

        return ApplyLines(click.echo, session.paint)

    listener = _Listener(make)
    if as_json:
        listener.begin()
        stream: Any = listener._inner
        stream.begin()
    try:
        yield listener
    finally:
        listener.end()


class _Approval:
    """Shows the plan and, where somebody is there, asks. Only `yes` will do."""

    def __init__(
        self, session: Session, operation: str, options: dict[str, Any], listener: _Listener, *, ask: bool
    ) -> None:
        self._session = session
        self._operation = operation
        self._options = options
        self._listener = listener
        self._ask = ask

    def __call__(self, plan: Plan) -> bool:
        if self._options["as_json"]:
            self._listener._inner.plan(plan, operation=self._operation)
            return True
        from kubexms.views.plan_human import plan_text

        session = self._session
        click.echo(
            plan_text(plan, session.paint, expand=self._options["expand"], width=session.width), nl=False
        )
        if not plan.effective or not self._ask:
            click.echo("")
            return True
        question = "Do you want to perform these actions?"
        if self._operation == "destroy":
            question = "Do you really want to destroy all of this?"
        click.echo(f"\n{question}\n  Only 'yes' will be accepted.\n")
        answer = click.prompt("  Enter a value", default="", show_default=False, prompt_suffix=": ")
        click.echo("")
        return bool(answer == "yes")


def _prompter(session: Session) -> Any:
    from kubexms.cli.debugging import TerminalPrompter

    return TerminalPrompter(session.paint)
