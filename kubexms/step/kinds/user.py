"""`user`: an account of the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.etc_files import SBIN, fields_of
from kubexms.step.kinds.group import ACCOUNT
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


class UserSpec(StepArgs):
    """An account in /etc/passwd, its groups, and its password's hash."""

    user: str = Field(pattern=ACCOUNT, max_length=32)
    """Its name."""
    state: Literal["present", "absent"] = "present"
    """Whether it is to be there."""
    uid: int | None = Field(default=None, ge=0, le=4294967294)
    """Its number; default: the next free one when it is made."""
    group: str | None = Field(default=None, pattern=ACCOUNT)
    """Its primary group, which must exist; default: a group of its own name."""
    groups: tuple[str, ...] | None = None
    """Further groups, which must exist."""
    append: bool = True
    """Keep groups that are not listed; false: exactly `groups`."""
    shell: AbsolutePath | None = None
    """Its login shell."""
    home: AbsolutePath | None = None
    """Its home directory; it is not moved when it changes."""
    create_home: bool = True
    """Make the home directory with the account."""
    comment: str | None = Field(default=None, pattern=r"^[^:\n]*$")
    """The full name (GECOS)."""
    system: bool = False
    """Take a number from the range for system accounts when it is made."""
    password: str | None = Field(default=None, pattern=r"^[^:\n]*$")
    """The hash of the password, as crypt(5) writes it (`openssl passwd -6`); `!` locks it.
    Give it as a secret."""
    remove_home: bool = False
    """With `absent`: remove the home directory, too."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.groups is None and not self.append:
            raise PydanticCustomError(
                "no_groups", "'append: false' needs 'groups': the list to be exact about"
            )
        return self


class UserExecutor(StepExecutor[UserSpec]):
    """One fragment for all accounts."""

    kind = "user"
    spec = UserSpec
    identity = ("user",)
    feeds: ClassVar[dict[str, tuple[str, ...]]] = {
        "state": (),
        "append": (),
        "create_home": (),
        "system": (),
        "remove_home": (),
    }
    example = "- {name: deploy, kind: user, user: deploy, groups: [sudo], shell: /bin/bash}\n"

    def probe(self, specs: Sequence[UserSpec]) -> Sequence[Probe]:
        """passwd through getent where there is one; the hash only of those whose password matters."""
        if not specs:
            return ()
        asked = "".join(
            f"user {quote(spec.user)} {'1' if spec.password is not None else ''}\n" for spec in specs
        )
        script = (
            "user() {\n"
            '  l=$(getent passwd -- "$1" 2>/dev/null) || l=$(grep "^$1:" /etc/passwd 2>/dev/null)\n'
            '  if [ -z "$l" ]; then emit 1 ""; return; fi\n'
            "  l=${l#*:}; l=${l#*:}; u=${l%%:*}; l=${l#*:}; l=${l#*:}\n"
            "  c=${l%%:*}; l=${l#*:}; h=${l%%:*}; s=${l#*:}\n"
            '  a="uid=$u\ngroup=$(id -gn -- "$1" 2>/dev/null)\ngroups=$(id -Gn -- "$1" 2>/dev/null)"\n'
            '  a="$a\ncomment=$c\nhome=$h\nshell=$s"\n'
            '  if [ -n "$2" ]; then\n'
            '    p=$(grep "^$1:" /etc/shadow 2>/dev/null); p=${p#*:}\n'
            '    if [ -r /etc/shadow ]; then a="$a\npassword=${p%%:*}"; fi\n'
            "  fi\n"
            '  emit 0 "$a"\n'
            "}\n" + asked
        )
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: UserSpec, record: Record) -> Observation:
        """All attributes; of the groups only those that count, of the password only what may be read."""
        if record.status != 0:
            return Observation.absent()
        answer = fields_of(record)
        if not answer.get("uid", "").isdigit():
            return Observation.unknown(f"the entry of user {spec.user} is damaged")
        every = sorted(set(answer.get("groups", "").split()) - {answer.get("group", "")})
        groups: list[JsonValue] = [
            name for name in every if spec.groups is None or not spec.append or name in spec.groups
        ]
        attributes: dict[str, JsonValue] = {
            "uid": int(answer["uid"]),
            "group": answer.get("group", ""),
            "groups": groups,
            "comment": answer.get("comment", ""),
            "home": answer.get("home", ""),
            "shell": answer.get("shell", ""),
        }
        if "password" in answer:
            attributes["password"] = answer["password"]
        elif spec.password is not None:
            return Observation.unknown("/etc/shadow cannot be read by this user")
        return Observation.present(attributes, {"groups": list[JsonValue](every)})

    def desired(self, spec: UserSpec) -> Attributes | None:
        """Only what is given is compared."""
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {
            name: value
            for name in ("uid", "group", "comment", "home", "shell", "password")
            if (value := getattr(spec, name)) is not None
        }
        if spec.groups is not None:
            wanted["groups"] = list[JsonValue](sorted(spec.groups))
        return wanted

    def secrets_from(self, spec: UserSpec) -> frozenset[str]:
        """A hash invites guessing."""
        return frozenset({"password"})

    def action(self, spec: UserSpec, request: ChangeRequest) -> Action:
        """useradd, usermod or userdel; the hash goes to chpasswd on its standard input."""
        name = quote(spec.user)
        if spec.state == "absent":
            return Action(SBIN + _remove(name, home=spec.remove_home))
        fresh = request.before.presence is not Presence.PRESENT
        words = ["useradd", "-m" if spec.create_home else "-M"] if fresh else ["usermod"]
        if fresh and spec.system:
            words.append("-r")
        given = {"-u": spec.uid, "-g": spec.group, "-s": spec.shell, "-d": spec.home, "-c": spec.comment}
        for option, value in given.items():
            if value is not None:
                words += [option, quote(str(value))]
        if spec.groups is not None:
            words += ["-a"] if spec.append and not fresh else []
            words += ["-G", quote(",".join(spec.groups))]
        script = SBIN
        if fresh and spec.group is None:
            script += f"g=; if grep -q ^{name}: /etc/group; then g='-g {spec.user}'; fi\n"
            words.insert(1, "$g")
        if len(words) > 1:
            script += " ".join([*words, name]) + "\n"
        if spec.password is None:
            return Action(script)
        script += "payload entry | chpasswd -e\n"
        entry = f"{spec.user}:{spec.password}\n".encode()
        return Action(script, {"entry": Payload(data=entry, size=len(entry), sensitive=True)})

    def undo(self, spec: UserSpec, prior: Observation) -> Action | None:
        """Removed with the home that was made for it, or with its former attributes again."""
        name = quote(spec.user)
        if prior.presence is Presence.ABSENT:
            return Action(SBIN + _remove(name, home=spec.create_home))
        was = prior.attributes
        if spec.state == "absent":
            return None
        groups = prior.extra.get("groups")
        words = ["usermod"]
        for option, key in (
            ("-u", "uid"),
            ("-g", "group"),
            ("-s", "shell"),
            ("-d", "home"),
            ("-c", "comment"),
        ):
            words += [option, quote(str(was.get(key, "")))]
        words += ["-G", quote(",".join(map(str, groups)) if isinstance(groups, list) else "")]
        return Action(SBIN + " ".join([*words, name]) + "\n")

    def paths(self, spec: UserSpec) -> tuple[str, ...]:
        """The files that hold accounts."""
        return ("/etc/passwd", "/etc/group")


def _remove(name: str, *, home: bool) -> str:
    option = "-r " if home else ""
    return (
        f"grep -q ^{name}: /etc/passwd || exit 0\n"
        "if command -v userdel >/dev/null; then\n"
        f"  e=0; userdel {option}{name} 2>/dev/null || e=$?\n"
        "  # 12: the home directory could not be removed, often because it is not there\n"
        '  [ "$e" = 0 ] || [ "$e" = 12 ] || { userdel ' + f"{name}; }}\n"
        f"else deluser {name}; fi\n"
    )
