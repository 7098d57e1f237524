"""The same workload as a project of kubexms, of Ansible and of pyinfra."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.workload import PACKAGES, ROOT, Workload
from tests.e2e.testbed import Fleet, Host

API = "kubexms.io/v1alpha1"


@dataclass(frozen=True)
class Contender:
    """A tool with the workload written down for it in a directory."""

    name: str
    directory: Path
    plan: tuple[str, ...]
    """What shows what would change."""
    apply: tuple[str, ...]
    """What changes it, without asking."""
    environment: dict[str, str] = field(default_factory=dict)
    changes_something: tuple[int, ...] = (0,)
    """Exit statuses that are no failure."""


def kubexms(root: Path, fleet: Fleet, hosts: Sequence[Host], work: Workload) -> Contender:
    """A pipeline of one task."""
    root.mkdir(parents=True, exist_ok=True)
    write_kubexms(root, [(host.name, host.address) for host in hosts], work, fleet)
    command = (sys.executable, "-m", "kubexms", "-C", str(root))
    many = ("--parallelism", str(max(10, len(hosts))))
    environment = {"CI": "", "NO_COLOR": "1", "PYTHONPATH": str(Path.cwd())}
    return Contender(
        "kubexms", root, (*command, "plan", *many), (*command, "apply", "--auto-approve", *many), environment
    )


def write_kubexms(root: Path, hosts: Sequence[tuple[str, str]], work: Workload, fleet: Fleet | None) -> None:
    """Write the documents; without a fleet the connection is left to whoever opens the project."""
    connection: dict[str, Any] = {"user": "root"}
    if fleet is not None:
        connection |= {
            "identityFiles": [str(fleet.key)],
            "knownHosts": str(fleet.known_hosts),
            "sshConfig": "/dev/null",
        }
    inventory = {
        "defaults": {"connection": connection},
        "hosts": [{"name": name, "connection": {"address": address}} for name, address in hosts],
    }
    pipeline = {"modules": [{"name": "bench", "tasks": [{"name": "all", "steps": list(_steps(work))}]}]}
    for kind, spec in (("Inventory", inventory), ("Pipeline", pipeline)):
        document = {"apiVersion": API, "kind": kind, "metadata": {"name": "bench"}, "spec": spec}
        (root / f"{kind.lower()}.json").write_text(json.dumps(document, indent=1))


def _steps(work: Workload) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [
        {"name": f"d{n}", "kind": "directory", "path": work.directory(n), "mode": "0755"}
        for n in range(work.directories)
    ]
    for n in range(work.files):
        path, text = work.file(n)
        steps.append({"name": f"f{n}", "kind": "file", "path": path, "content": text, "mode": "0644"})
    for n in range(work.lines):
        path, text = work.line(n)
        steps.append({"name": f"l{n}", "kind": "line", "path": path, "line": text, "create": True})
    steps += [
        {"name": f"p-{package}", "kind": "package", "packages": [package]}
        for package in PACKAGES[: work.packages]
    ]
    for n in range(work.commands):
        run, path = work.command(n)
        steps.append({"name": f"c{n}", "kind": "command", "run": run, "creates": path})
    return steps


def ansible(root: Path, fleet: Fleet, hosts: Sequence[Host], work: Workload) -> Contender:
    """A playbook with a task a step: pipelining and shared connections on, no facts gathered."""
    root.mkdir(parents=True, exist_ok=True)
    python = "ansible_python_interpreter=/usr/bin/python3"
    variables = f"ansible_user=root ansible_ssh_private_key_file={fleet.key} {python}"
    (root / "hosts.ini").write_text(
        "".join(f"{h.name} ansible_host={h.address} {variables}\n" for h in hosts)
    )
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.file": {"path": work.directory(n), "state": "directory", "mode": "0755"}}
        for n in range(work.directories)
    ]
    for n in range(work.files):
        path, text = work.file(n)
        tasks.append({"ansible.builtin.copy": {"dest": path, "content": text, "mode": "0644"}})
    for n in range(work.lines):
        path, text = work.line(n)
        tasks.append(
            {"ansible.builtin.lineinfile": {"path": path, "line": text, "create": True, "mode": "0644"}}
        )
    tasks += [
        {"ansible.builtin.apt": {"name": package, "state": "present"}}
        for package in PACKAGES[: work.packages]
    ]
    for n in range(work.commands):
        run, path = work.command(n)
        tasks.append({"ansible.builtin.shell": {"cmd": run, "creates": path}})
    (root / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    (root / "ansible.cfg").write_text(
        f"[defaults]\ninventory = hosts.ini\nforks = {max(10, len(hosts))}\nretry_files_enabled = false\n"
        f"local_tmp = {root / 'scratch'}\n"
        "[ssh_connection]\npipelining = true\n"
        "ssh_args = -F /dev/null -o ControlMaster=auto -o ControlPersist=60s "
        f"-o UserKnownHostsFile={fleet.known_hosts}\n"
        f"control_path_dir = {root}/cp\n"
    )
    play = (_program("ansible-playbook"), "play.yml")
    environment = {"ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    return Contender("ansible", root, (*play, "--check"), play, environment)


def pyinfra(root: Path, fleet: Fleet, hosts: Sequence[Host], work: Workload) -> Contender:
    """A deploy file with an operation a step."""
    root.mkdir(parents=True, exist_ok=True)
    data = {"ssh_user": "root", "ssh_key": str(fleet.key), "ssh_known_hosts_file": str(fleet.known_hosts)}
    entries = [(host.address, {**data, "ssh_strict_host_key_checking": "yes"}) for host in hosts]
    (root / "inventory.py").write_text(f"hosts = {entries!r}\n")
    code = ["import io", "from pyinfra import host", "from pyinfra.facts.files import File"]
    code += ["from pyinfra.operations import apt, files, server"]
    for n in range(work.directories):
        code.append(f"files.directory(path={work.directory(n)!r}, mode='755')")
    for n in range(work.files):
        path, text = work.file(n)
        code.append(f"files.put(src=io.StringIO({text!r}), dest={path!r}, mode='644')")
    for n in range(work.lines):
        path, text = work.line(n)
        code.append(f"files.line(path={path!r}, line={text!r})")
    for package in PACKAGES[: work.packages]:
        code.append(f"apt.packages(packages=[{package!r}])")
    for n in range(work.commands):
        run, path = work.command(n)
        code.append(f"if not host.get_fact(File, path={path!r}):\n    server.shell(commands=[{run!r}])")
    (root / "deploy.py").write_text("\n".join(code) + "\n")
    command = (_program("pyinfra"), "inventory.py", "deploy.py")
    return Contender("pyinfra", root, (*command, "--dry"), (*command, "-y"), {"LC_ALL": "C.UTF-8"})


def _program(name: str) -> str:
    found = shutil.which(name) or str(Path(".bench-venv/bin", name).absolute())
    if not Path(found).exists():
        raise FileNotFoundError(f"{name} is not installed: `make bench` installs it in a venv of its own")
    return found


__all__ = ["ROOT", "Contender", "ansible", "kubexms", "pyinfra", "write_kubexms"]
