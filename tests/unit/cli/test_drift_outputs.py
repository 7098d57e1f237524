"""The reports of `drift`: any number, each whole, none lost for another's sake, and no secret in any."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubexms.cli.app import App
from kubexms.cli.main import main
from kubexms.services.drift import DriftReport
from tests.golden.cases import update
from tests.unit.cli.fakes import FakeServices, run
from tests.unit.runtime.test_webhook import Server
from tests.unit.services.drifting import Drifting

Capture = pytest.CaptureFixture[str]
CHANGE = update("a/b/c@n1", "file", {"x": 1}, {"x": 2})
DRIFTED = DriftReport(drifted=(CHANGE,), hosts=("n1",), workspace="prod")


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    found = Server()
    yield found
    found.close()


def test_any_number_of_reports_in_one_run(tmp_path: Path, capsys: Capture) -> None:
    names = ["--json", "a.json", "--json", "b.json", "--junit", "c.xml", "--metrics", "d.prom"]
    names += ["--html", "e.html"]
    assert run(FakeServices(report=DRIFTED), "-C", str(tmp_path), "drift", *names) == 2
    assert names_in(tmp_path) == ["a.json", "b.json", "c.xml", "d.prom", "e.html"]
    assert (tmp_path / "e.html").read_text().startswith("<!")
    assert json.loads((tmp_path / "a.json").read_text())["exit_code"] == 2
    assert (tmp_path / "c.xml").read_text().startswith("<?xml")
    assert "kubexms_drift_steps" in (tmp_path / "d.prom").read_text()
    out = capsys.readouterr()
    assert "# a/b/c@n1 has changed" in out.out
    assert out.err == ""


def test_json_on_standard_output_stands_alone(tmp_path: Path, capsys: Capture) -> None:
    for flag in (["--json"], ["--json", "-"], ["--json", "--junit", "c.xml"]):
        assert run(FakeServices(report=DRIFTED), "-C", str(tmp_path), "drift", *flag) == 2
        assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def test_a_report_that_cannot_be_written_is_an_error_and_the_only_one_lost(
    tmp_path: Path, capsys: Capture
) -> None:
    names = ["--json", "no/such/place.json", "--junit", "c.xml", "--metrics", "d.prom"]
    clean = FakeServices(report=DriftReport(unreachable={"n1": "x"}))
    assert run(clean, "-C", str(tmp_path), "drift", *names) == 1
    assert names_in(tmp_path) == ["c.xml", "d.prom"]
    err = capsys.readouterr().err
    assert err.startswith(f"Error: cannot write the report {tmp_path}/no/such/place.json: No such file")
    assert run(FakeServices(report=DRIFTED), "-C", str(tmp_path), "drift", *names) == 2, "drift wins"


def test_a_report_replaces_the_one_before_as_a_whole(tmp_path: Path) -> None:
    target, link = tmp_path / "real.prom", tmp_path / "link.prom"
    target.write_text("old\n")
    link.symlink_to(target)
    with target.open() as reader:
        run(FakeServices(report=DRIFTED), "drift", "--metrics", str(link))
        assert reader.read() == "old\n", "who reads the old one reads all of it"
    assert target.read_text().endswith("\n")
    assert link.is_symlink()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    assert names_in(tmp_path) == ["link.prom", "real.prom"]


def test_what_is_no_regular_file_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    assert run(FakeServices(report=DRIFTED), "drift", "--junit", "/dev/null") == 2
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metrics", "x.txt"], "does not end in .prom"),
        (["--webhook-header", "A=b"], "--webhook-header goes with --webhook"),
        (["--webhook", "http://x", "--webhook-header", "hunter2"], "one of them is not NAME=VALUE"),
        (["--webhook", "http://x/{environment: hunter2}"], "--webhook is no reference to a secret"),
        (["--webhook", "http://x", "--webhook-header", "A={hunter2}"], "is no reference to a secret"),
    ],
)
def test_wrong_options_are_said_before_any_host_is_asked(
    arguments: list[str], said: str, capsys: Capture
) -> None:
    services = FakeServices(report=DRIFTED)
    assert run(services, "drift", *arguments) == 1
    assert not services.options
    err = capsys.readouterr().err
    assert said in err
    assert "hunter2" not in err


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    drifting = Drifting(tmp_path)
    drifting.steps(
        drifting.file("a", "{{ vars.password }}\n", mode="0600"),
        variables={"password": {"type": "string", "valueFrom": {"env": "PASSWORD"}}},
    )
    drifting.apply()
    return drifting


def drift(here: Drifting, *arguments: str, **environ: str) -> int:
    app = App(environ={**here.environ, **environ}, interactive=False)
    return main(["-C", str(here.root), "drift", *arguments], app=app)


def test_a_webhook_is_told_of_drift_and_not_of_peace(here: Drifting, server: Server) -> None:
    header = ["--webhook-header", "Authorization=Bearer {env: TOKEN}", "--webhook-header", "X-From=cron"]
    given = ["--webhook", "{env: HOOK}", *header]
    secrets = {"HOOK": server.url, "TOKEN": "canary-token"}
    assert drift(here, *given, **secrets) == 0
    assert not server.requests
    assert drift(here, *given, "--webhook-always", **secrets) == 0
    assert json.loads(server.requests[-1][2])["text"].endswith("No drift*")
    (here.target / "a").write_text("hunter3\n")
    server.answers = [(503, {"Retry-After": "0"})]
    assert drift(here, *given, **secrets) == 2
    path, headers, body = server.requests[-1]
    assert (path, headers["Authorization"], headers["X-From"]) == (
        "/hook/s3cret-path",
        "Bearer canary-token",
        "cron",
    )
    assert json.loads(body)["drifted"][0]["address"] == "m/t/a@here"
    assert len(server.requests) == 3


def test_a_secret_that_is_not_there_costs_its_webhook_alone(
    here: Drifting, server: Server, capsys: Capture
) -> None:
    (here.target / "a").write_text("hunter3\n")
    other = ["--webhook", server.url, "--json", "x.json"]
    assert drift(here, "--webhook", "http://127.0.0.1:1/{env: NONE}", *other) == 2
    assert "Error: the environment variable NONE is not set" in capsys.readouterr().err
    assert len(server.requests) == 1
    assert (here.root / "x.json").exists()


def test_no_secret_is_in_any_report_history_or_error(here: Drifting, server: Server, capfd: Capture) -> None:
    (here.target / "a").write_text("hunter3-observed\n")
    server.answers = [(401, {})]
    files = ["--json", "x.json", "--junit", "x.xml", "--metrics", "x.prom", "--html", "x.html"]
    header = "Authorization=Bearer {env: TOKEN}"
    hooks = ["--webhook", f"{server.url}/{{env: TOKEN}}", "--webhook-header", header, "--webhook", server.url]
    assert drift(here, "--verbose", *files, *hooks, TOKEN="canary-token") == 2
    assert main(["-C", str(here.root), "runs", "list"], app=App(environ=here.environ)) == 0
    assert main(["-C", str(here.root), "runs", "list", "--json"], app=App(environ=here.environ)) == 0
    said = capfd.readouterr()
    everything = [said.out, said.err, *(body.decode() for _, _, body in server.requests)]
    everything += [(here.root / name).read_text() for name in ("x.json", "x.xml", "x.prom", "x.html")]
    everything += [
        path.read_bytes().decode("latin-1") for path in (here.root / "state").glob("*") if path.is_file()
    ]
    for text in everything:
        for canary in ("hunter2", "hunter3-observed", "canary-token"):
            assert canary not in text
    assert "refused the report: it answered 401" in said.err


def test_looking_imports_nothing_of_what_acting_needs(here: Drifting) -> None:
    (here.target / "a").write_text("hunter3\n")
    code = (
        "import sys; from kubexms.cli.main import main\n"
        f"code = main(['-C', {str(here.root)!r}, 'drift', '--json', 'x.json'])\n"
        "heavy = {'sqlalchemy', 'networkx', 'rich', 'paramiko'}\n"
        "print(sorted(heavy & sys.modules.keys()), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **here.environ}, text=True, capture_output=True
    )
    assert done.stdout.splitlines()[-1] == "[] 2", done.stdout + done.stderr
