"""`kubexms completion`."""

from __future__ import annotations

import click

from kubexms.cli.app import App, pass_app


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_app
def completion(app: App, /, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: kubexms completion bash >/etc/bash_completion.d/kubexms
    zsh:  kubexms completion zsh >"${fpath[1]}/_kubexms"
    fish: kubexms completion fish >~/.config/fish/completions/kubexms.fish
    """
    from click.shell_completion import get_completion_class

    from kubexms.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    app.write(found(cli, {}, "kubexms", "_KUBEXMS_COMPLETE").source() + "\n")
