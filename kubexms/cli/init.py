"""`kubexms init`: a first project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from kubexms.cli.app import App, pass_app
from kubexms.errors import ConfigError

INVENTORY = """\
# The machines. `connection: {type: local}` is this one, without SSH; for others give an address:
#   - {name: web1, roles: [web], connection: {address: 192.0.2.11, user: admin, become: {method: sudo}}}
# Ranges work: web[01-10]. What is not said here comes from ~/.ssh/config.
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {name: machines}
spec:
  hosts:
    - {name: localhost, roles: [demo], connection: {type: local}}
"""

PIPELINE = """\
# What to bring about. `kubexms explain` lists the step kinds, `kubexms explain file` one of them.
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {name: first}
spec:
  variables:
    target: {type: string, default: /tmp/kubexms-first, description: Where the files go.}
  modules:
    - name: first
      tasks:
        - name: files
          runOnRoles: [demo]
          steps:
            - {name: root, kind: directory, path: "{{ vars.target }}", mode: "0755"}
            - name: hello
              kind: file
              path: "{{ vars.target }}/hello"
              content: "Hello from {{ host.name }}, which runs {{ facts.os.pretty }}\\n"
              mode: "0644"
"""

IGNORED = """\
# State knows what kubexms manages: keep it, but not in git.
state/
*.kxp
"""


@click.command()
@click.argument("directory", required=False)
@pass_app
def init(app: App, /, directory: str | None) -> None:
    """Write a commented starter project that works as it stands: on this machine, without root."""
    root = app.path(directory or ".")
    files = {"inventory.yaml": INVENTORY, "pipeline.yaml": PIPELINE, ".gitignore": IGNORED}
    present = [name for name in files if name != ".gitignore" and (root / name).exists()]
    if present:
        raise ConfigError(
            f"{root / present[0]} exists already", detail="`kubexms init DIR` writes to another directory."
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            if not (root / name).exists():
                (root / name).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write to {root}: {error.strerror}") from error
    where = "" if root == Path() else f" -C {shlex.quote(str(root))}"
    app.write(
        f"Wrote a project to {root.resolve()}.\n\n"
        f"See what it would do:\n    kubexms{where} plan\n\n"
        f"And make it so:\n    kubexms{where} apply\n"
    )
