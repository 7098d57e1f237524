"""The entry point: runs a command, and turns whatever happens into words and an exit code.

Exit codes: 0 success; 1 error, usage errors included; 2 changes (`plan --detailed-exitcode`) or
drift (`drift`); 3 `drift` found none, but hosts did not answer; 130 stopped by the user.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from kubexms import __version__
from kubexms.cli.app import App
from kubexms.cli.lazy import LazyGroup
from kubexms.errors import Interrupted, KubexmsError

INTERRUPTED = 130
_COLLECT_AFTER = 1_000_000
"""Objects made, less those freed, after which garbage is looked for: a command makes few circles of objects,
and a plan of 30,000 steps needs no more memory so than with Python's own 700."""


_TURN = 0.0005
"""Seconds that a busy thread goes on while others wait. With Python's own 5 ms each message of a login would
wait so long for the thread that still checks documents."""


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("-C", "directory", metavar="DIR", default=".", help="Work as if started in DIR.")
@click.option("--no-color", is_flag=True, help="No colour, also on a terminal (as NO_COLOR does).")
@click.version_option(__version__, message="kubexms %(version)s")
@click.pass_context
def cli(ctx: click.Context, directory: str, no_color: bool) -> None:
    """Bring Linux hosts to a declared state: plan, apply, drift."""
    app = ctx.ensure_object(App)
    app.root = Path(directory)
    app.no_color = no_color


def main(arguments: Sequence[str] | None = None, *, app: App | None = None) -> int:
    """Run one command line; returns the exit code and lets no exception out but `SystemExit`."""
    app = app or App()
    # what is imported and loaded stays: looking through it finds nothing
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    sys.setswitchinterval(_TURN)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that lacks a character gets its number, rather than nothing and a traceback
            stream.reconfigure(errors="backslashreplace")
    args = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args, prog_name="kubexms", standalone_mode=False, obj=app)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.UsageError as error:
        app.complain(usage_text(error))
        code = 1
    except click.ClickException as error:
        app.complain(f"Error: {error.format_message()}\n")
        code = 1
    except (KeyboardInterrupt, click.Abort):
        app.complain("Interrupted.\n")
        code = INTERRUPTED
    except KubexmsError as error:
        show_error(app, error)
        code = INTERRUPTED if isinstance(error, Interrupted) else 1
    except Exception as error:
        app.complain(unexpected_text(error))
        if app.environ.get("KUBEXMS_TRACE"):
            raise
        code = 1
    app.flush()
    return code if isinstance(code, int) else 0


def run() -> NoReturn:
    """The program: one command line, then the end of the process with its exit code."""
    try:
        code = main()
    finally:
        # a process that ends looks through everything it holds for garbage, which took a fifth of a plan
        gc.freeze()
    sys.exit(code)


def show_error(app: App, error: KubexmsError) -> None:
    """Every diagnostic of an error: into the stream of events where there is one, else to standard error."""
    if app.stream is not None:
        for diagnostic in error.diagnostics:
            app.stream.diagnostic(diagnostic)
        return
    from kubexms.views.diagnostics import diagnostics_text

    app.complain(diagnostics_text(error.diagnostics, app.error_paint(), width=app.width(sys.stderr)))


def usage_text(error: click.UsageError) -> str:
    """What was wrong with the command line, and where help is; for a bare group its help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return f"{error.format_message()}\n"
    command = error.ctx.command_path if error.ctx is not None else "kubexms"
    return f"Error: {error.format_message()}\n\n  `{command} --help` lists what can be given.\n"


def unexpected_text(error: Exception) -> str:
    """One line for a mistake in kubexms itself, and how to get at the traceback."""
    from kubexms.views.escaping import printable

    what = printable(f"{type(error).__name__}: {error}")
    return (
        f"Error: unexpected {what}\n\n"
        "  This is a mistake in kubexms. What was done is recorded in the state.\n"
        "  KUBEXMS_TRACE=1 in the environment shows the traceback for a report.\n"
    )


if __name__ == "__main__":
    run()
