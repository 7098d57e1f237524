"""ssh_config files, as ssh reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.errors import ConfigError
from kubexms.runtime.ssh.settings import SshSettings, resolve
from kubexms.runtime.target import HostKeyPolicy, HostTarget


def settings(tmp_path: Path, text: str, name: str = "web-1", **options: object) -> SshSettings:
    config = tmp_path / "config"
    config.write_text(text)
    return resolve(HostTarget(name, ssh_config=config, **options))  # type: ignore[arg-type]


def test_the_first_value_counts(tmp_path: Path) -> None:
    found = settings(tmp_path, "Host web-*\n  Port 2222\n  User a\nHost *\n  Port 1\n  User b\n")
    assert (found.port, found.user) == (2222, "a")


def test_the_target_comes_before_the_file(tmp_path: Path) -> None:
    found = settings(tmp_path, "User a\nPort 1\nConnectTimeout 7\n", user="b", port=2, connect_timeout=3.0)
    assert (found.user, found.port, found.timeout) == ("b", 2, 3.0)


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path, "")
    assert (found.hostname, found.port, found.jumps, found.proxy_command) == ("web-1", 22, (), None)
    assert (found.timeout, found.keepalive, found.policy) == (10.0, 15.0, HostKeyPolicy.STRICT)
    assert found.default_keys[0].name == "id_ed25519"
    assert found.known_name == "web-1"


@pytest.mark.parametrize(
    ("name", "matches"),
    [("web-1", True), ("web-12", False), ("WEB-1", True), ("db", False), ("xweb-1", False)],
)
def test_host_patterns(tmp_path: Path, name: str, matches: bool) -> None:
    found = settings(tmp_path, "Host !web-1? web-* other\n  Port 7\n", name)
    assert (found.port == 7) is matches


@pytest.mark.parametrize(
    ("criteria", "matches"),
    [
        ("all", True),
        ("host 10.0.0.1", True),
        ("host web-1", False),
        ("originalhost web-1", True),
        ("originalhost web-1 user root", False),
        ("user deploy", True),
        ("!user deploy", False),
        ("exec true", True),
        ('exec "test %h = 10.0.0.1"', True),
        ("exec false", False),
        ("canonical", False),
        ("final", True),
        ("surprise x", False),
    ],
)
def test_match(tmp_path: Path, criteria: str, matches: bool) -> None:
    text = f"Host *\n  HostName 10.0.0.1\n  User deploy\nMatch {criteria}\n  Port 7\n"
    assert (settings(tmp_path, text).port == 7) is matches


def test_includes_keep_the_conditions_around_them(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("User inner\nHost nothing\n  Port 9\nHost web-*\n  Port 8\n")
    text = f"Host web-*\n  Include {tmp_path}/inner\n  ConnectTimeout 5\n"
    found = settings(tmp_path, text)
    assert (found.user, found.port, found.timeout) == ("inner", 8, 5.0)
    other = settings(tmp_path, text, "nothing")
    assert (other.port, other.timeout) == (22, 10.0)


def test_an_include_of_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nested deeper"):
        settings(tmp_path, f"Include {tmp_path}/config\n")


def test_missing_includes_are_no_error(tmp_path: Path) -> None:
    assert settings(tmp_path, f"Include {tmp_path}/none/*\nPort 7\n").port == 7


def test_spellings(tmp_path: Path) -> None:
    text = '# comment\n  port=7\nHostName = 10.0.0.1 # trailing\nIdentityFile "/a b/key"\nidentityfile /c\n'
    found = settings(tmp_path, text)
    assert (found.port, found.hostname) == (7, "10.0.0.1")
    assert found.named_keys == (Path("/a b/key"), Path("/c"))
    assert found.default_keys == ()


def test_tokens(tmp_path: Path) -> None:
    text = (
        "HostName %h.example.org\nIdentityFile /keys/%n-%r\nUser u\nProxyCommand nc %h %p # not a comment\n"
    )
    found = settings(tmp_path, text)
    assert found.hostname == "web-1.example.org"
    assert found.named_keys == (Path("/keys/web-1-u"),)
    assert found.proxy_command == "nc web-1.example.org 22 # not a comment"


def test_jumps(tmp_path: Path) -> None:
    text = "ProxyJump a,user@b:2222\n"
    assert settings(tmp_path, text).jumps == ("a", "user@b:2222")
    assert settings(tmp_path, text, proxy_jump="c").jumps == ("c",)
    assert settings(tmp_path, text, proxy_jump="none").jumps == ()


@pytest.mark.parametrize(
    ("word", "policy"),
    [
        ("yes", HostKeyPolicy.STRICT),
        ("ask", HostKeyPolicy.STRICT),
        ("accept-new", HostKeyPolicy.ACCEPT_NEW),
        ("no", HostKeyPolicy.OFF),
    ],
)
def test_host_key_policy(tmp_path: Path, word: str, policy: HostKeyPolicy) -> None:
    assert settings(tmp_path, f"StrictHostKeyChecking {word}\n").policy is policy


def test_names_in_known_hosts(tmp_path: Path) -> None:
    assert settings(tmp_path, "", "Web-1", port=2222).known_name == "[web-1]:2222"
    assert settings(tmp_path, "HostKeyAlias x\n", port=2222).known_name == "x"


def test_a_setting_without_a_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2: port needs a value"):
        settings(tmp_path, "User a\nPort\n")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    found = settings(tmp_path, "", password="pw-secret", passphrase="pp-secret")
    assert "secret" not in repr(found)
