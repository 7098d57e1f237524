"""`user`: an account of the host."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.accounts import PROBE, RECREATE, USER
from kubexms.step.kinds._shell.etc_files import lists_of
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

ACCOUNT = r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$"
"""What useradd and groupadd take as a name."""


def _hashed(value: str) -> str:
    if not re.match(r"^([$_!*]|[A-Za-z0-9./]{13}$)", value) or ":" in value or "\n" in value:
        raise PydanticCustomError(
            "not_a_hash", "'password' takes the hash (see mkpasswd or `openssl passwd -6`), not the password"
        )
    return value


class UserSpec(StepArgs):
    """An account: who it is, which groups it is in, where its home is."""

    user: str = Field(pattern=ACCOUNT, max_length=32)
    """The account's name."""
    state: Literal["present", "absent"] = "present"
    """`absent`: there is no such account."""
    uid: int | None = Field(default=None, ge=0, le=4294967294)
    """The numeric id; default: the next free one."""
    group: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$")
    """The primary group, by name or quoted id; default: one with the account's own name."""
    groups: tuple[Annotated[str, Field(pattern=ACCOUNT)], ...] | None = None
    """Further groups, by name."""
    append: bool = True
    """Groups that are not listed stay; `false` takes the account out of them."""
    shell: AbsolutePath | None = None
    """The login shell."""
    home: AbsolutePath | None = None
    """The home directory."""
    create_home: bool | None = None
    """Make the home directory, from /etc/skel; default: with the account, unless it is a system's."""
    system: bool = False
    """Take the id from the system's range, when the account is created."""
    comment: str | None = Field(default=None, pattern=r"^[^:\n]*$", max_length=200)
    """The full name, or what it is for."""
    password: Annotated[str, AfterValidator(_hashed)] | None = None
    """The *hash* of the password, or `*` for none. Never shown, and only its digest is compared."""
    locked: bool | None = None
    """Whether logging in by password is locked."""
    remove_home: bool = False
    """With `absent`, and when the step is destroyed: the home directory goes with the account."""


def digest(text: str) -> str:
    """What stands for a password's hash where it is compared."""
    return hashlib.sha256(text.encode()).hexdigest()


class UserExecutor(StepExecutor[UserSpec]):
    """One getent and one awk for all accounts."""

    kind: ClassVar[str] = "user"
    spec: ClassVar[type[StepArgs]] = UserSpec
    identity: ClassVar[tuple[str, ...]] = ("user",)
    feeds = {  # noqa: RUF012
        "append": ("groups",),
        "create_home": ("homeExists",),
        "system": (),
        "remove_home": (),
    }
    example: ClassVar[str] = """\
- {name: deploy, kind: user, user: deploy, groups: [adm], shell: /bin/bash}
"""

    def probe(self, specs: Sequence[UserSpec]) -> Sequence[Probe]:
        """The digest of a hash is made on the host: the hash itself never travels."""
        if not specs:
            return ()
        names = words(sorted({spec.user for spec in specs}))
        rows = "".join(
            f"row {quote(spec.user)} {int(spec.password is not None)} {quote(spec.home or '')}\n"
            for spec in specs
        )
        script = f"{PROBE}load {names}\n{rows}"
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: UserSpec, record: Record) -> Observation:
        """Groups that nobody asked about are left out when the listed ones are only added."""
        answer = lists_of(record)
        if "passwd" not in answer:
            return Observation.absent()
        if "denied" in answer and (spec.password is not None or spec.locked is not None):
            return Observation.unknown("permission denied: /etc/shadow cannot be read")
        _, _, uid, gid, comment, home, shell = (answer["passwd"][0].split(":") + [""] * 7)[:7]
        groups = sorted(set(answer.get("group", ())))
        if spec.groups is not None and spec.append:
            groups = [name for name in groups if name in spec.groups]
        numeric = spec.group is not None and spec.group.isdecimal()
        attributes: dict[str, JsonValue] = {
            "user": spec.user,
            "uid": int(uid) if uid.isdecimal() else None,
            "group": gid if numeric else answer.get("primary", [gid])[0],
            "groups": list[JsonValue](groups),
            "shell": shell,
            "home": home,
            "comment": comment,
            "homeExists": "home" in answer,
        }
        if "denied" not in answer:
            attributes["locked"] = "locked" in answer
            if spec.password is not None:
                sums = answer.get("sum", [""])
                attributes["password"] = sums[-1] if spec.locked else sums[0]
        return Observation.present(
            attributes, {"allGroups": list[JsonValue](sorted(set(answer.get("group", ()))))}
        )

    def desired(self, spec: UserSpec) -> Attributes | None:
        """What the step says, and nothing else."""
        if spec.state == "absent":
            return None
        asked: dict[str, JsonValue] = {
            "uid": spec.uid,
            "group": spec.group,
            "groups": list[JsonValue](sorted(set(spec.groups))) if spec.groups is not None else None,
            "shell": spec.shell,
            "home": spec.home,
            "comment": spec.comment,
            "homeExists": spec.create_home or None,
            "locked": spec.locked,
            "password": digest(spec.password) if spec.password is not None else None,
        }
        return {"user": spec.user, **{name: value for name, value in asked.items() if value is not None}}

    def secrets_from(self, spec: UserSpec) -> frozenset[str]:
        """The password's digest."""
        return frozenset({"password"})

    def disruption(self, spec: UserSpec, request: ChangeRequest) -> Disruption:
        """Removing a home directory loses what is in it."""
        if not spec.remove_home or request.before.presence is not Presence.PRESENT:
            return Disruption.NONE
        stays = request.prior is not None and request.prior.presence is Presence.PRESENT
        undone = request.action is ActionKind.DELETE and not stays
        goes = spec.state == "absent" or undone or request.action is ActionKind.REPLACE
        return Disruption.DATA_LOSS if goes else Disruption.NONE

    def action(self, spec: UserSpec, request: ChangeRequest) -> Action:
        """useradd or usermod, or busybox's adduser; the hash goes by standard input."""
        script = f"{USER}name={quote(spec.user)}\nsave\n"
        if spec.state == "absent":
            return Action(f"{script}drop {int(spec.remove_home)}\n")
        changed = request.changed
        script += _arguments(spec, request)
        if request.action is ActionKind.CREATE:
            home = not spec.system if spec.create_home is None else spec.create_home
            script += f"nested={'1' if home else ''} system={'1' if spec.system else ''}\nmake\n"
        else:
            script += "alter\n"
            if "homeExists" in changed:
                script += "nest\n"
        payloads = {}
        if spec.password is not None and "password" in changed:
            line = f"{spec.user}:{spec.password}\n".encode()
            payloads["password"] = Payload(data=line, size=len(line), sensitive=True)
            script += "payload password | chpasswd -e\n"
        if spec.locked is not None and ("locked" in changed or (payloads and spec.locked)):
            script += f"lock {int(spec.locked)}\n"
        return Action(script, payloads=payloads)

    def undo(self, spec: UserSpec, prior: Observation) -> Action | None:
        """The account as it was; one that kubexms made goes, its home too unless something is in it."""
        script = f"{USER}{RECREATE}name={quote(spec.user)}\n"
        if prior.presence is not Presence.PRESENT:
            return Action(f"{script}withdraw {int(spec.remove_home)}\n")
        was = prior.attributes
        groups = prior.extra.get("allGroups")
        lists = ",".join(str(name) for name in groups) if isinstance(groups, list) else ""
        values = {name: was.get(name) for name in ("uid", "group", "shell", "home", "comment")}
        settings = " ".join(
            f"{name}={quote('' if value is None else str(value))}" for name, value in values.items()
        )
        return Action(f"{script}{settings} groups={quote(lists)}\nrecreate\n")


def _arguments(spec: UserSpec, request: ChangeRequest) -> str:
    """Shell variables of what is to be set: empty ones are left as they are."""
    changed = request.changed
    groups = ",".join(sorted(set(spec.groups))) if spec.groups is not None and "groups" in changed else ""
    clear = spec.groups is not None and "groups" in changed and not spec.append
    settings = {
        "uid": str(spec.uid) if spec.uid is not None and "uid" in changed else "",
        "group": spec.group if spec.group is not None and "group" in changed else "",
        "groups": groups,
        "append": "" if clear else "1",
        "exact": "1" if clear else "",
        "shell": spec.shell if spec.shell is not None and "shell" in changed else "",
        "home": spec.home if spec.home is not None and "home" in changed else "",
    }
    text = " ".join(f"{name}={quote(value)}" for name, value in settings.items())
    if spec.comment is not None and "comment" in changed:
        return f"{text} comment={quote(spec.comment)} commented=1\n"
    return f"{text} comment= commented=\n"
