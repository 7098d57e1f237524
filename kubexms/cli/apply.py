"""`kubexms apply` and `kubexms destroy`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import (
    Chosen,
    change_options,
    expand_option,
    lock_option,
    output_options,
    own_project_options,
    plan_options,
    recorded,
    selection_options,
    settings_for,
)
from kubexms.errors import KubexmsError

if TYPE_CHECKING:
    from kubexms.plan.model import Plan, PlanOptions
    from kubexms.services.applying import ApplyOutcome

INTERRUPTED = 130

_RUN = (
    click.option("--auto-approve", is_flag=True, help="Do not ask."),
    click.option("--fail-fast", is_flag=True, help="Begin nothing new after the first failure."),
    click.option(
        "--debug",
        is_flag=True,
        help="One step at a time: ask before each, and let you look at its host.",
    ),
)


def _run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for decorator in reversed(_RUN):
        function = decorator(function)
    return function


@click.command()
@click.argument("planfile", required=False, metavar="[PLANFILE]")
@own_project_options
@selection_options
@change_options
@_run_options
@lock_option
@click.option(
    "--on-stale",
    type=click.Choice(["refuse", "skip-host"]),
    default="refuse",
    show_default=True,
    help="What to do where a saved plan's hosts have moved since.",
)
@click.option("--resume", is_flag=True, help="Continue the unfinished run of PLANFILE.")
@click.option("--digest", metavar="SHA256", help="Refuse PLANFILE unless it has this digest.")
@expand_option
@output_options
@pass_app
def apply(
    app: App, /, planfile: str | None, on_stale: str, resume: bool, digest: str | None, **options: Any
) -> int:
    """Make the changes of a plan.

    Without PLANFILE: plan, show, ask, and then do exactly that. With PLANFILE (from `plan --out`): do what
    it says, or refuse where hosts have moved since. Interrupt once to finish what is in flight, twice to
    stop now; either way the next run goes on from what the hosts really are.
    """
    if planfile is None and (resume or digest):
        raise click.UsageError("--resume and --digest are about a saved plan: give PLANFILE.")
    return _apply(app, "apply", planfile, on_stale=on_stale, resume=resume, digest=digest, **options)


@click.command()
@own_project_options
@selection_options
@change_options
@_run_options
@lock_option
@expand_option
@output_options
@pass_app
def destroy(app: App, /, **options: Any) -> int:
    """Undo everything that is managed here, newest first.

    What kubexms created goes; what was there before is put back as it was.
    """
    return _apply(app, "destroy", None, on_stale="refuse", resume=False, digest=None, **options)


def _apply(
    app: App,
    operation: Literal["apply", "destroy"],
    planfile: str | None,
    *,
    auto_approve: bool,
    fail_fast: bool,
    lock_timeout: float,
    debug: bool,
    on_stale: str,
    resume: bool,
    digest: str | None,
    expand: bool,
    as_json: bool,
    **options: Any,
) -> int:
    from kubexms.cli.progress import applying, open_stream
    from kubexms.executor.stop import StopSignal
    from kubexms.services.applying import ApplyOptions

    chosen = Chosen(**options)
    if planfile is not None and chosen.narrowing():
        flags = ", ".join(chosen.narrowing())
        raise click.UsageError(f"A saved plan says by itself what it holds; {flags} cannot be given with it.")
    if as_json and debug:
        raise click.UsageError("--debug asks questions, which --json cannot.")
    if debug and not app.can_ask:
        raise click.UsageError("--debug asks before each step; nobody can be asked: stdin is no terminal.")
    if as_json:
        open_stream(app, operation)
    if planfile is None:
        _require_answer(app, operation, auto_approve=auto_approve, as_json=as_json)
    saved = app.services.read_plan(app.path(planfile)) if planfile is not None else None
    if saved is not None and saved.options.operation == "destroy":
        operation = "destroy"
        if app.stream is not None:
            app.stream = replace(app.stream, operation=operation)
    wanted = plan_options(chosen, operation) if saved is None else _again(saved, chosen)
    stop = StopSignal()
    with ExitStack() as stack:
        project = stack.enter_context(
            app.services.open_project(settings_for(app, wanted, chosen.parallelism, use="act"), writes=True)
        )
        view = stack.enter_context(applying(app, prompting=debug))

        def approve(plan: Plan) -> bool:
            view.planned(plan)
            _announce(app, plan, operation, saved=saved is not None, expand=expand)
            if plan.effective and saved is None and not auto_approve and not _approved(app, plan, operation):
                return False
            # from here on an interrupt is a request: what is in flight is finished and recorded
            stack.enter_context(stop.on_signals())
            return True

        outcome = app.services.apply(
            project,
            recorded(wanted, project),
            ApplyOptions(
                fail_fast=fail_fast,
                on_stale=cast(Literal["refuse", "skip-host"], on_stale),
                lock_timeout=lock_timeout,
                resume=resume,
                digest=digest,
                debug=_prompter(app) if debug else None,
            ),
            saved=saved,
            approve=approve,
            listener=view.listener,
            stop=stop,
        )
    return _conclude(app, outcome, operation, expand=expand)


def _again(saved: Plan, chosen: Chosen) -> PlanOptions:
    """The options of a saved plan; secrets, which it does not keep, are given anew."""
    variables = {**saved.options.variables, **chosen.given()}
    var_files = (*saved.options.var_files, *chosen.var_files)
    return saved.options.model_copy(update={"variables": variables, "var_files": var_files})


def _require_answer(app: App, operation: str, *, auto_approve: bool, as_json: bool) -> None:
    if auto_approve or (app.can_ask and not as_json):
        return
    why = (
        "--json cannot ask for approval"
        if as_json
        else "nobody can be asked for approval: stdin is no terminal"
    )
    saved = ", or make a plan and apply that:\n\n    kubexms plan --out plan\n    kubexms apply plan"
    raise KubexmsError(why, detail=f"Pass --auto-approve{saved if operation == 'apply' else '.'}")


def _announce(app: App, plan: Plan, operation: str, *, saved: bool, expand: bool) -> None:
    if app.stream is not None:
        app.stream.plan(plan, operation=operation)
    elif not saved:
        from kubexms.cli.plan import show_plan

        show_plan(app, plan, expand=expand)
        app.write("\n")


_QUESTIONS = {
    "apply": (
        "Do you want to perform these actions?\n"
        "  kubexms will perform the actions described above.\n"
        "  Only 'yes' will be accepted to approve.\n\n"
    ),
    "destroy": (
        "Do you really want to destroy all of this?\n"
        "  kubexms will undo everything shown above. There is no way back.\n"
        "  Only 'yes' will be accepted to confirm.\n\n"
    ),
}


def _approved(app: App, plan: Plan, operation: str) -> bool:
    from kubexms.views.paint import Role
    from kubexms.views.wording import lost_data

    question, _, rest = _QUESTIONS[operation].partition("\n")
    lost = lost_data(plan)
    if lost:
        rest = f"  {app.paint()(Role.WARNING, lost)}\n{rest}"
    app.write(f"{app.paint()(Role.BOLD, question)}\n{rest}  Enter a value: ")
    answer = app.read_line()
    app.write("\n")
    return answer.strip() == "yes"


def _conclude(app: App, outcome: ApplyOutcome, operation: str, *, expand: bool) -> int:
    result = outcome.result
    if not outcome.approved:
        app.write(f"{operation.capitalize()} cancelled.\n")
        return 1
    if app.stream is None:
        from kubexms.executor.events import RunResult
        from kubexms.views.recap import recap_text

        shown = result or RunResult(run="")
        app.write(
            ("\n" if result is not None and result.run else "")
            + recap_text(shown, app.paint(), operation=operation, expand=expand, width=app.width())
        )
    elif result is None:
        app.stream.nothing_done()
    if result is None:
        return 0
    return INTERRUPTED if result.interrupted else int(result.failed)


def _prompter(app: App) -> Any:
    from kubexms.cli.debugging import ConsolePrompter

    return ConsolePrompter(app)
