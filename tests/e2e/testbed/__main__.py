"""python -m tests.e2e.testbed: throwaway hosts by hand.

  up N [--light]     boot N more hosts (10.99.0.11, .12, ... in a network of their own)
  ps                 list the fleets of this machine and their hosts
  ssh I [CMD]        log in to host I as root (--user ops|opspw|nosudo for another), over its sshd
  run I CMD          run CMD in host I as root, past sshd (ground truth)
  exec CMD...        run a program of this machine inside the fleet's network, e.g. kubexms
  written I          list what host I wrote to its disk
  crash I            cut the power of host I
  start I            switch it on again
  paths              print the private key and known_hosts to use
  down               take the fleet down, leave nothing behind but the cached images
  images             only build the cached images

Fleets are told apart by --name (default: $KUBEXMS_FLEET or "hand"); take one of your own. Needs root.
For example:

  python -m tests.e2e.testbed --name mine up 3
  python -m tests.e2e.testbed --name mine exec kubexms -C examples/demo plan
  python -m tests.e2e.testbed --name mine down
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tests.e2e.testbed import Fleet, missing
from tests.e2e.testbed.cache import cache_root, ensure_images
from tests.e2e.testbed.host import Host


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.testbed", usage="%(prog)s [--name NAME] COMMAND ...", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--name", default=os.environ.get("KUBEXMS_FLEET", "hand"), help=argparse.SUPPRESS)
    parser.add_argument("--user", default="root", help=argparse.SUPPRESS)
    parser.add_argument("--light", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if reason := missing():
        sys.stderr.write(f"{reason}\n")
        return 1
    try:
        return _run(options.command, options.arguments, options)
    except (LookupError, RuntimeError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(command: str, arguments: list[str], options: argparse.Namespace) -> int:
    if command == "images":
        ensure_images()
    elif command == "up":
        _up(options.name, arguments, light=options.light)
    elif command == "ps":
        _ps()
    elif command == "down":
        Fleet.find(options.name).down()
    else:
        return _on_fleet(Fleet.find(options.name), command, arguments, options.user)
    return 0


def _up(name: str, arguments: list[str], *, light: bool) -> None:
    try:
        fleet = Fleet(name, detached=True)
    except FileExistsError:
        fleet = Fleet.find(name)
    count = int(next((argument for argument in arguments if argument.isdigit()), "1"))
    kind = "busybox" if light or "--light" in arguments else "systemd"
    for host in fleet.up(count, kind="busybox" if kind == "busybox" else "systemd"):
        print(host.name, host.address)


def _ps() -> None:
    for directory in sorted((cache_root() / "runs").glob("*/")):
        for host in Fleet.find(directory.name).hosts:
            print(directory.name, host.name, host.address, host.kind, f"init={host.init or 'off'}")


def _on_fleet(fleet: Fleet, command: str, arguments: list[str], user: str) -> int:
    if command == "exec":
        return fleet.popen(arguments).wait()
    if command == "paths":
        print(f"key {fleet.key}\nknown_hosts {fleet.known_hosts}")
        return 0
    host = _host(fleet, arguments)
    rest = arguments[1:]
    if command == "ssh":
        return fleet.popen([*fleet.ssh_argv(host, user=user), *rest]).wait()
    if command == "run":
        return _show(host.run(" ".join(rest)))
    if command == "written":
        for entry in host.upper_listing():
            print(entry.type, entry.mode, entry.owner, entry.path, entry.content)
    elif command == "crash":
        host.crash()
    elif command == "start":
        host.start()
        host.wait_ready()
    else:
        raise LookupError(f"no command {command!r}; see --help")
    return 0


def _host(fleet: Fleet, arguments: list[str]) -> Host:
    wanted = arguments[0].removeprefix("host") if arguments else ""
    for host in fleet.hosts:
        if str(host.index) == wanted:
            return host
    raise LookupError(f"no host {wanted!r} in fleet {fleet.name!r}")


def _show(done: subprocess.CompletedProcess[str]) -> int:
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
