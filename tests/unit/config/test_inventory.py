"""Inventories: ranges, what wins, imports, maintenance, and the way to each host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.config.inventory import merge_connections
from kubexms.config.ranges import expand_name
from kubexms.config.secrets import SecretResolver
from kubexms.config.targets import connection_target
from kubexms.errors import ConfigError, SecretError
from kubexms.runtime.local_command import CompletedResult
from kubexms.runtime.target import HostKeyPolicy
from kubexms.spec.base import Json
from kubexms.spec.inventory import Become, ConnectionSpec, Host
from kubexms.spec.variable import SecretRef
from tests.unit.config.projects import Commands, load, write

HEAD = "apiVersion: kubexms.io/v1alpha1\nkind: Inventory\nmetadata: {name: i}\nspec:\n"


def hosts(
    root: Path, spec: str, commands: Commands | None = None, *, untrusted: bool = False
) -> dict[str, Host]:
    write(root, {"i.yaml": HEAD + spec})
    return {host.name: host for host in load(root, run_command=commands, untrusted=untrusted).inventory.hosts}


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("n[a,b-c]", ["na", "nb-c"]),
        ("n[1-2,7]", ["n1", "n2", "n7"]),
        ("r[1-2]n[a,b].x", ["r1na.x", "r1nb.x", "r2na.x", "r2nb.x"]),
        ("n[1:2]", ["n1", "n2"]),
        ("10.0.0.[9-10]", ["10.0.0.9", "10.0.0.10"]),
    ],
)
def test_ranges(name: str, names: list[str]) -> None:
    assert expand_name(name) == names


@pytest.mark.parametrize(
    "name", ["n[", "n]", "n[1-3", "n[]", "n[a b]", "n[3-1]", "n[1-99999]", "n[1-200][1-200]", "a,b"]
)
def test_ranges_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError):
        expand_name(name)


@given(st.text("[]-,:0123456789ab", max_size=12))
def test_any_name_is_a_range_or_refused(name: str) -> None:
    try:
        names = expand_name(name)
    except ConfigError:
        return
    assert names
    assert not any(mark in one for one in names for mark in "[]")


def test_what_wins(tmp_path: Path) -> None:
    found = hosts(
        tmp_path,
        """\
  defaults:
    vars: {a: default, b: default, c: default, d: default}
    roles: [all]
    connection: {user: root, port: 22}
  roles:
    all: {vars: {b: all}}
    node: {vars: {b: node, c: node}, connection: {user: admin, become: {user: root, password: {env: P}}}}
    gpu: {vars: {c: gpu}, hosts: ["n[2-3]", "x*"]}
  hosts:
    - {name: "n[1-2]", roles: [node], vars: {d: host}, connection: {become: {user: app}}}
    - {name: x9}
""",
    )
    assert found["n1"].vars == {"a": "default", "b": "node", "c": "node", "d": "host"}
    assert found["n1"].roles == ("all", "node")
    assert found["n2"].roles == ("all", "gpu", "node")
    assert found["n2"].vars["c"] == "node", "roles that the host names itself come last and win"
    assert found["x9"].roles == ("all", "gpu")
    connection = found["n1"].connection
    assert (connection.user, connection.port) == ("admin", 22)
    assert connection.become == Become(user="app", password=SecretRef(env="P"))
    assert Host.from_json(found["n1"].to_json()) == found["n1"]


def test_connections_merge_field_by_field() -> None:
    merged = merge_connections([ConnectionSpec(user="a", port=1), ConnectionSpec(), ConnectionSpec(port=2)])
    assert merged == ConnectionSpec(user="a", port=2)
    off = merge_connections([ConnectionSpec(proxy_jump=("b",)), ConnectionSpec(proxy_jump=())])
    assert off.proxy_jump == ()


ANSIBLE: dict[str, Json] = {
    "_meta": {
        "hostvars": {
            "web1": {
                "ansible_host": "10.0.0.1",
                "ansible_port": "2222",
                "ansible_user": "admin",
                "ansible_ssh_private_key_file": "~/.ssh/id",
                "ansible_become": True,
                "ansible_become_user": "root",
                "ansible_ssh_common_args": "-o ProxyJump=jump@bastion:22 -o X=y",
                "rack": 7,
            },
            "local1": {"ansible_connection": "local", "ansible_become": "no"},
            "alone": {},
        }
    },
    "all": {"children": ["ungrouped", "site"], "vars": {"zone": "a", "rack": 1}},
    "site": {"children": ["web", "kube-node"]},
    "web": {"hosts": ["web1"], "vars": {"tier": "front"}},
    "kube-node": ["local1"],
    "ungrouped": {"hosts": []},
}


def test_ansible_inventories(tmp_path: Path) -> None:
    write(tmp_path, {"hosts.json": json.dumps(ANSIBLE)})
    found = hosts(tmp_path, "  from: {file: hosts.json}\n  roles: {web: {vars: {more: 1}}}\n")
    assert list(found) == ["web1", "local1", "alone"]
    web = found["web1"]
    assert web.roles == ("site", "web")
    assert web.vars == {"more": 1, "zone": "a", "rack": 7, "tier": "front"}
    assert web.connection == ConnectionSpec(
        address="10.0.0.1",
        port=2222,
        user="admin",
        identity_files=("~/.ssh/id",),
        proxy_jump=("jump@bastion:22",),
        become=Become(method="sudo", user="root"),
    )
    local = found["local1"].connection
    assert (local.type, local.become and local.become.method) == ("local", "none")
    assert found["local1"].roles == ("site", "kube-node")
    assert found["alone"].vars == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{}", "names no hosts"),
        ("[]", "is not an inventory"),
        ("null", "is not an inventory"),
        ("{", "not valid JSON"),
        ('{"_meta": {"hostvars": {}}, "all": {"children": []}}', "names no hosts"),
        ('{"a": {"hosts": ["x"], "children": ["a"]}}', "contains itself"),
        ('{"_meta": {"hostvars": {"x": {"ansible_connection": "winrm"}}}}', "is reached by 'winrm'"),
        ('{"_meta": {"hostvars": {"x": {"ansible_port": "many"}}}}', "connection.port"),
        ('{"a": ["bad name"]}', "host 'bad name'"),
    ],
)
def test_imports_that_fail(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hosts(tmp_path, "  from: {command: [inventory, --list]}\n", Commands({"inventory": text.encode()}))
    assert said in caught.value.summary
    assert caught.value.diagnostics[0].source is not None


def test_imports_from_commands(tmp_path: Path) -> None:
    commands = Commands({"inventory": json.dumps(ANSIBLE).encode()})
    assert len(hosts(tmp_path, "  from: {command: [inventory, --list]}\n", commands)) == 3
    assert commands.asked == [(("inventory", "--list"), str(tmp_path))]
    with pytest.raises(ConfigError, match="not run with --untrusted"):
        hosts(tmp_path, "  from: {command: [inventory, --list]}\n", commands, untrusted=True)
    failing = Commands({"inventory": CompletedResult(3, b"{}", b"no route")})
    with pytest.raises(ConfigError, match="failed with status 3: no route") as caught:
        hosts(tmp_path, "  from: {command: [inventory, --list]}\n", failing)
    assert caught.value.detail.startswith(f"Run it by hand in {tmp_path}")


@pytest.mark.parametrize(
    ("status", "said"), [(127, "write where it is"), (124, "It took too long"), (-9, "Run it by hand")]
)
def test_what_to_do_about_a_command_that_fails(tmp_path: Path, status: int, said: str) -> None:
    failing = Commands({"inventory": CompletedResult(status, b"", b"")})
    with pytest.raises(ConfigError) as caught:
        hosts(tmp_path, "  from: {command: [inventory, --list]}\n", failing)
    assert said in caught.value.detail


@pytest.mark.parametrize(
    ("printed", "told"),
    [(b'{"a":\n]', "not valid JSON (line 2, column 1)"), (b'{"\xff', "not UTF-8 text (line 1, column 3)")],
)
def test_where_the_output_of_a_command_is_not_json(tmp_path: Path, printed: bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hosts(tmp_path, "  from: {command: [inventory]}\n", Commands({"inventory": printed}))
    assert caught.value.summary == f"the output of inventory is {told}"


JSONS: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_meta", "hostvars", "hosts", "children", "vars", "a", "b"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(JSONS)
def test_any_import_is_hosts_or_an_error(data: Json) -> None:
    from kubexms.config.ansible import imported

    try:
        assert imported(json.dumps(data).encode(), "x")
    except ConfigError as error:
        assert error.summary  # noqa: PT017 - either outcome is right


def test_maintenance(tmp_path: Path) -> None:
    found = hosts(
        tmp_path,
        """\
  hosts:
    - {name: a, maintenance: {reason: disk}}
    - {name: b, maintenance: {reason: disk, until: 2026-01-02T00:00:00+01:00}}
    - {name: c, maintenance: {reason: disk, until: "2025-12-31T23:00:00Z"}}
""",
    )
    assert found["a"].maintenance is not None
    assert found["b"].maintenance is not None
    assert found["c"].maintenance is None
    assert "ended on 2025-12-31" in load(tmp_path).warnings[0].summary


def test_targets(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    commands = Commands({"vault": b"sudo-pw\n"})
    resolver = SecretResolver(tmp_path, {"PASS": "phrase"}, commands)
    host = Host(
        name="n1",
        connection=ConnectionSpec(
            address="10.0.0.1",
            identity_files=("keys/id", "/abs/id"),
            password=SecretRef(file="pw"),
            passphrase=SecretRef(env="PASS"),
            proxy_jump=("a@b:1", "c"),
            known_hosts="hosts",
            host_keys="accept-new",
            become=Become(user="app", password=SecretRef(command=("vault", "read"))),
        ),
    )
    target = connection_target(host, resolver)
    assert (target.connection, target.address, target.proxy_jump) == ("ssh", "10.0.0.1", "a@b:1,c")
    assert target.identity_files == (str(tmp_path / "keys/id"), "/abs/id")
    assert (target.password, target.passphrase, target.become_password) == ("hunter2", "phrase", "sudo-pw")
    assert (target.become, target.become_user, target.known_hosts) == ("sudo", "app", tmp_path / "hosts")
    assert target.host_key_policy is HostKeyPolicy.ACCEPT_NEW
    assert "hunter2" not in repr(target)
    connection_target(host, resolver)
    assert len(commands.asked) == 1, "a secret is fetched once per run"


@pytest.mark.parametrize("field", ["password", "passphrase", "become.password"])
def test_a_secret_that_is_missing_is_told_with_its_field(tmp_path: Path, field: str) -> None:
    reference = {"env": "NOT_SET"}
    name, _, inner = field.partition(".")
    connection = ConnectionSpec.model_validate({name: {inner: reference} if inner else reference})
    with pytest.raises(SecretError, match="NOT_SET is not set") as caught:
        connection_target(Host(name="n1", connection=connection), SecretResolver(tmp_path, {}, Commands()))
    assert caught.value.detail == f"It is connection.{field} of n1."


def test_targets_with_nothing_said(tmp_path: Path) -> None:
    target = connection_target(Host(name="n1"), SecretResolver(tmp_path, {}, Commands()))
    assert (target.connection, target.address, target.proxy_jump, target.become) == (
        "ssh",
        None,
        None,
        "none",
    )
    none = Host(name="n1", connection=ConnectionSpec(proxy_jump=()))
    assert connection_target(none, SecretResolver(tmp_path, {}, Commands())).proxy_jump == "none"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (SecretRef(env="NOPE"), "NOPE is not set"),
        (SecretRef(file="nope"), "cannot read the secret file"),
        (SecretRef(file="binary"), "is not UTF-8"),
        (SecretRef(command=("nope",)), "failed with status 127"),
        (SecretRef(command=("empty",)), "printed nothing"),
    ],
)
def test_secrets_that_do_not_resolve(tmp_path: Path, reference: SecretRef, said: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xffhunter2")
    resolver = SecretResolver(tmp_path, {}, Commands({"empty": b""}))
    with pytest.raises(SecretError) as caught:
        resolver.resolve(reference)
    assert said in caught.value.summary
    assert "hunter2" not in str(caught.value)


def test_untrusted_runs_no_secret_command(tmp_path: Path) -> None:
    commands = Commands({"vault": b"x"})
    resolver = SecretResolver(tmp_path, {"A": "a"}, commands, untrusted=True)
    with pytest.raises(SecretError, match="not resolved with --untrusted"):
        resolver.text(SecretRef(command=("vault",)))
    assert resolver.text(SecretRef(env="A")) == "a"
    assert commands.asked == []
