"""`kubexms state …`: looking at the state, and repairing it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import (
    Chosen,
    lock_option,
    output_options,
    plan_options,
    project_options,
    settings_for,
)
from kubexms.errors import StateError

if TYPE_CHECKING:
    from kubexms.services.project import OpenState


@click.group()
def state() -> None:
    """Look at the state, and repair it. Changes are backed up before; only `rm --release` touches hosts."""


@contextmanager
def _state(app: App, options: dict[str, Any], *, writes: bool = False) -> Iterator[OpenState]:
    chosen = Chosen(**options)
    settings = settings_for(app, plan_options(chosen), chosen.parallelism)
    with app.services.open_state(settings, writes=writes) as opened:
        yield opened


@state.command("list")
@click.argument("globs", nargs=-1)
@project_options
@output_options
@pass_app
def list_(app: App, /, globs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """List the addresses in the state, all or those that GLOBS select."""
    from kubexms.services.state import select
    from kubexms.views.jsontext import document
    from kubexms.views.state_views import state_list_text

    with _state(app, options) as opened:
        found = select(opened, globs)
    app.write(document([entry.address for entry in found]) if as_json else state_list_text(found))


@state.command("show")
@click.argument("globs", nargs=-1, required=True)
@project_options
@output_options
@pass_app
def show(app: App, /, globs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show entries of the state in full."""
    from kubexms.services.state import select
    from kubexms.views.jsontext import document
    from kubexms.views.state_views import state_json, state_show_text

    with _state(app, options) as opened:
        found = select(opened, globs)
    if not found:
        raise StateError("nothing in the state matches", detail="`kubexms state list` shows the addresses.")
    app.write(document(state_json(found)) if as_json else state_show_text(found, app.paint()))


@state.command("mv")
@click.argument("source")
@click.argument("target")
@project_options
@lock_option
@pass_app
def move(app: App, /, source: str, target: str, lock_timeout: float, **options: Any) -> None:
    """Rename an address, or all below `module` or `module/task`.

    A `moved` entry in the pipeline does the same for everybody who applies it, and is usually better.
    """
    from kubexms.services.state import move as move_entries

    with _state(app, options, writes=True) as opened:
        pairs = move_entries(opened, source, target, lock_timeout=lock_timeout)
    app.write("".join(f"Moved {old} to {new}\n" for old, new in pairs))


@state.command("rm")
@click.argument("globs", nargs=-1, required=True)
@click.option("--release", is_flag=True, help="Also tell the hosts, so that other projects may have it.")
@project_options
@lock_option
@pass_app
def remove(app: App, /, globs: tuple[str, ...], release: bool, lock_timeout: float, **options: Any) -> int:
    """Forget entries. The hosts keep what they have, and whose it is: another project is refused there.

    With --release the hosts forget whose it is, and what was there before: then nobody can put it back.
    """
    if release:
        return _release(app, globs, lock_timeout, options)
    from kubexms.services.state import remove as remove_entries

    with _state(app, options, writes=True) as opened:
        gone = remove_entries(opened, globs, lock_timeout=lock_timeout)
    app.write("".join(f"Forgot {address}\n" for address in gone))
    return 0


def _release(app: App, globs: tuple[str, ...], lock_timeout: float, options: dict[str, Any]) -> int:
    from kubexms.services.releasing import release as release_entries

    with _state(app, options, writes=True) as opened:
        done = release_entries(opened, globs, lock_timeout=lock_timeout)
    app.write("".join(f"Released {address}\n" for address in done.gone))
    if not done.failed:
        return 0
    told = "\n".join(f"{host}: {why}" for host, why in sorted(done.failed.items()))
    raise StateError(
        "not every host could be told; what is recorded of these stays",
        detail=f"{told}\nWithout --release they are forgotten here only.",
    )


@state.command("accept")
@click.argument("glob")
@project_options
@lock_option
@pass_app
def accept(app: App, /, glob: str, lock_timeout: float, **options: Any) -> None:
    """Take interrupted steps as done, after looking at their hosts."""
    from kubexms.services.state import accept as accept_steps

    with _state(app, options, writes=True) as opened:
        taken = accept_steps(opened, glob, lock_timeout=lock_timeout)
    app.write("".join(f"Accepted {address}\n" for address in taken))


@state.command("forget")
@click.option("--host", "host", required=True, help="The host to forget.")
@project_options
@lock_option
@pass_app
def forget(app: App, /, host: str, lock_timeout: float, **options: Any) -> None:
    """Forget a host that is gone for good, with all of its entries."""
    from kubexms.services.state import forget_host

    with _state(app, options, writes=True) as opened:
        count = forget_host(opened, host, lock_timeout=lock_timeout)
    app.write(f"Forgot {host} and {count} {'entry' if count == 1 else 'entries'}.\n")


@state.command("pull")
@project_options
@pass_app
def pull(app: App, /, **options: Any) -> None:
    """Print the whole state as one JSON document."""
    from kubexms.views.jsontext import document

    with _state(app, options) as opened:
        app.write(document(opened.store.pull()))


@state.command("push")
@click.argument("file")
@click.option("--force", is_flag=True, help="Also from another lineage, or an older serial.")
@project_options
@pass_app
def push(app: App, /, file: str, force: bool, **options: Any) -> None:
    """Replace the state by FILE, as `state pull` printed it; `-` is standard input."""
    data = _read(app.path(file) if file != "-" else None)
    with _state(app, options, writes=True) as opened:
        opened.store.push(data, force=force)
    app.write("The state is replaced.\n")


def _read(path: Path | None) -> dict[str, Any]:
    name = "standard input" if path is None else str(path)
    try:
        data = json.loads(sys.stdin.read() if path is None else path.read_bytes())
    except OSError as error:
        raise StateError(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:
        raise StateError(
            f"{name} is not JSON: {error}", detail="Give what `kubexms state pull` printed."
        ) from error
    if not isinstance(data, dict):
        raise StateError(f"{name} is not a state document", detail="Give what `kubexms state pull` printed.")
    return data


@state.command("unlock")
@click.argument("lock_id")
@click.option("--force", is_flag=True, help="Do not ask.")
@project_options
@pass_app
def unlock(app: App, /, lock_id: str, force: bool, **options: Any) -> int:
    """Break a lock by its id, after making sure that its holder is gone."""
    if not force:
        if not app.can_ask:
            raise StateError("nobody can be asked whether to break the lock", detail="Pass --force.")
        app.write(
            "Do you really want to break the lock?\n"
            "  Only 'yes' will be accepted to confirm.\n\n  Enter a value: "
        )
        if app.read_line().strip() != "yes":
            app.write("\nThe lock stays.\n")
            return 1
    with _state(app, options, writes=True) as opened:
        opened.store.unlock(lock_id)
    app.write("The lock is broken.\n")
    return 0
