"""`kubexms state`: look, and correct."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from kubexms.cli.options import lock_option, project_options
from kubexms.cli.session import Session


@click.group()
def state() -> None:
    """Look at the state, and correct it."""


@state.command("list")
@click.argument("patterns", nargs=-1)
@project_options
@click.pass_context
def list_entries(ctx: click.Context, patterns: tuple[str, ...], **options: Any) -> None:
    """The addresses that are managed."""
    from kubexms.services.state import select

    with Session(ctx).project(options) as project:
        for entry in select(project, patterns):
            click.echo(entry.address)


@state.command("show")
@click.argument("pattern")
@project_options
@click.pass_context
def show_entries(ctx: click.Context, pattern: str, **options: Any) -> None:
    """Entries in full."""
    from kubexms.errors import StateError
    from kubexms.services.state import select
    from kubexms.views.state_human import entry_text

    session = Session(ctx)
    with session.project(options) as project:
        entries = select(project, (pattern,))
        if not entries:
            raise StateError(
                f"nothing in the state matches {pattern}", detail="`kubexms state list` shows what it holds."
            )
        click.echo("\n".join(entry_text(entry, session.paint) for entry in entries), nl=False)


@state.command("mv")
@click.argument("source")
@click.argument("target")
@lock_option
@project_options
@click.pass_context
def move_entry(ctx: click.Context, source: str, target: str, lock_timeout: float, **options: Any) -> None:
    """Rename an address, or everything below a prefix."""
    from kubexms.services.state import move

    with Session(ctx).project(options, writes=True) as project:
        for old, new in move(project, source, target, lock_timeout=lock_timeout):
            click.echo(f"{old} is now {new}")


@state.command("rm")
@click.argument("patterns", nargs=-1, required=True)
@lock_option
@project_options
@click.pass_context
def remove_entries(
    ctx: click.Context, patterns: tuple[str, ...], lock_timeout: float, **options: Any
) -> None:
    """Forget entries; the hosts keep everything."""
    from kubexms.services.state import remove

    with Session(ctx).project(options, writes=True) as project:
        removed = remove(project, patterns, lock_timeout=lock_timeout)
        click.echo(f"Forgot {len(removed)} steps; the hosts keep everything.")


@state.command("accept")
@click.argument("pattern")
@lock_option
@project_options
@click.pass_context
def accept_intent(ctx: click.Context, pattern: str, lock_timeout: float, **options: Any) -> None:
    """Take an interrupted step that runs once as done."""
    from kubexms.services.state import accept

    with Session(ctx).project(options, writes=True) as project:
        for address in accept(project, pattern, lock_timeout=lock_timeout):
            click.echo(f"{address} counts as done")


@state.command("forget")
@click.option("--host", required=True, help="The host to forget, with every entry on it.")
@lock_option
@project_options
@click.pass_context
def forget(ctx: click.Context, host: str, lock_timeout: float, **options: Any) -> None:
    """Forget a host that will not come back; it is not asked."""
    from kubexms.services.state import forget_host

    with Session(ctx).project(options, writes=True) as project:
        count = forget_host(project, host, lock_timeout=lock_timeout)
        click.echo(f"Forgot {host} and {count} steps on it.")


@state.command("pull")
@project_options
@click.pass_context
def pull(ctx: click.Context, **options: Any) -> None:
    """Print the whole state as JSON. It holds the key of sensitive digests: treat it as a secret."""
    with Session(ctx).project(options) as project:
        click.echo(json.dumps(project.store.pull(), indent=2, sort_keys=True))


@state.command("push")
@click.argument("file", type=click.File("rb"))
@click.option("--force", is_flag=True, help="Also another lineage, or an older serial.")
@lock_option
@project_options
@click.pass_context
def push(ctx: click.Context, file: Any, force: bool, lock_timeout: float, **options: Any) -> None:
    """Replace the state by a document that `pull` printed (`-` for standard input)."""
    from kubexms.errors import StateError
    from kubexms.services.state import replace

    with Session(ctx).project(options, writes=True) as project:
        try:
            document = json.load(file)
        except ValueError as error:
            raise StateError(f"this is not a state document: {error}") from error
        if not isinstance(document, dict):
            raise StateError("this is not a state document: it is not an object")
        replace(project, document, force=force, lock_timeout=lock_timeout)
    click.echo("Replaced the state.", file=sys.stderr)


@state.command("unlock")
@click.argument("lock_id")
@project_options
@click.pass_context
def unlock(ctx: click.Context, lock_id: str, **options: Any) -> None:
    """Break a lock by its id, where that is possible."""
    with Session(ctx).project(options) as project:
        project.store.unlock(lock_id)
