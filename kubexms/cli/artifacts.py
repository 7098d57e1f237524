"""`kubexms artifacts …`: directories of the files that clusters are built from."""

from __future__ import annotations

from pathlib import Path

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import output_options

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))


@click.group()
def artifacts() -> None:
    """Keep the files that clusters are built from: programs, images and packages, pinned by digest."""


@artifacts.command("list")
@_DIRECTORY
@output_options
@pass_app
def list_(app: App, /, directory: Path, as_json: bool) -> None:
    """List what the manifest of DIRECTORY names. The files are not read."""
    from kubexms.config.artifacts import load_artifacts
    from kubexms.views.artifacts import artifacts_json, artifacts_text
    from kubexms.views.jsontext import document

    entries = load_artifacts(app.path(directory)).entries
    app.write(document(artifacts_json(entries)) if as_json else artifacts_text(entries, app.paint()))


@artifacts.command()
@_DIRECTORY
@output_options
@pass_app
def verify(app: App, /, directory: Path, as_json: bool) -> int:
    """Read every file of DIRECTORY and compare it with the manifest. Exits with 1 if one differs."""
    from kubexms.config.artifacts import load_artifacts
    from kubexms.services.artifacts import check
    from kubexms.views.artifacts import verified_json, verified_text
    from kubexms.views.diagnostics import diagnostics_text
    from kubexms.views.jsontext import document

    findings, extra = check(load_artifacts(app.path(directory)))
    problems = [finding.problem for finding in findings if finding.problem is not None]
    if as_json:
        app.write(document(verified_json(findings, extra)))
    else:
        app.write(verified_text(findings, extra, app.paint()))
        app.complain(diagnostics_text(problems, app.error_paint()))
    return 1 if problems else 0


@artifacts.command()
@_DIRECTORY
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--version", metavar="VERSION", help="As upstream writes it; an image's is its tag.")
@click.option("--arch", metavar="ARCH", help="amd64, arm64, …; programs and images say it themselves.")
@click.option(
    "--kind",
    type=click.Choice(["binary", "image", "package", "archive", "manifest"]),
    help="What the files are, where their names and contents do not tell.",
)
@click.option("--name", metavar="NAME", help="What it is called; without it the file's or image's own name.")
@click.option("--ref", metavar="REF", help="The image's full name, where its archive does not say it.")
@pass_app
def add(
    app: App,
    /,
    directory: Path,
    files: tuple[Path, ...],
    version: str | None,
    arch: str | None,
    kind: str | None,
    name: str | None,
    ref: str | None,
) -> None:
    """Copy FILES into DIRECTORY and list them in its manifest, which is begun if there is none.

    Check what you add against what its maker published: from here on the manifest's digest counts.
    """
    from kubexms.services.artifacts import Named
    from kubexms.services.artifacts import add as add_files
    from kubexms.views.artifacts import artifacts_text

    given = Named(name=name, kind=kind, version=version, arch=arch, ref=ref)
    added = add_files(app.path(directory), [app.path(file) for file in files], given)
    app.write(artifacts_text(added, app.paint()))


@artifacts.command()
@_DIRECTORY
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The tar to write."
)
@pass_app
def pack(app: App, /, directory: Path, out: Path) -> None:
    """Verify DIRECTORY and write it as one tar, to be unpacked where there is no network."""
    from kubexms.config.artifacts import load_artifacts
    from kubexms.services.artifacts import pack as pack_files
    from kubexms.views.artifacts import size_text

    size = pack_files(load_artifacts(app.path(directory)), app.path(out))
    app.write_line(
        f"{out}: {size_text(size)}. `tar -xf` unpacks it; `kubexms artifacts verify` checks it there."
    )
