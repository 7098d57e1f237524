"""The kind `authorizedKey`: a public key that may log in as a user."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Owner
from kubexms.step.kinds._shell.atomic import functions
from kubexms.step.kinds._shell.survey import LOOK
from kubexms.step.kinds.line import OneLine
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

_KEY = re.compile(
    r"^(?P<type>(?:ssh|sk-ssh|ecdsa|sk-ecdsa)-[A-Za-z0-9@.-]+)[ \t]+"
    r"(?P<blob>[A-Za-z0-9+/]+={0,3})(?:[ \t]+(?P<comment>.*))?$"
)


class AuthorizedKeySpec(StepArgs):
    """A public key in a user's `authorized_keys`. Other keys stay, unless `exclusive` is given.

    The files are written as that user, never as root, and with the modes that sshd insists on.
    """

    user: Owner
    """Whose login it is. The user must exist when the step runs."""
    key: OneLine
    """The public key as ssh-keygen writes it: type, key, and a comment if there is one."""
    options: OneLine = ""
    """What sshd allows with this key: `from="10.0.0.0/8",no-pty`. Others that are there are replaced."""
    comment: OneLine | None = None
    """The comment. Default: the one that `key` has; without any, it is not looked at."""
    state: Literal["present", "absent"] = "present"
    """`absent`: this key may not log in."""
    exclusive: bool = False
    """Remove all other keys of this user."""
    path: AbsolutePath | None = None
    """The file. Default: `.ssh/authorized_keys` in the user's home."""

    @model_validator(mode="after")
    def _is_key(self) -> Self:
        if _type_of(self) is None:
            raise PydanticCustomError("public_key", "'key' is not a public key as ssh-keygen writes it")
        if self.state == "absent" and (self.options or self.exclusive):
            raise PydanticCustomError("absent_key", "'state: absent' takes neither 'options' nor 'exclusive'")
        return self


def _type_of(spec: AuthorizedKeySpec) -> str | None:
    """The key's type, if the bytes say the same."""
    match = _KEY.match(spec.key.strip())
    if match is None:
        return None
    try:
        data = base64.b64decode(match["blob"] + "=" * (-len(match["blob"]) % 4), validate=True)
    except binascii.Error:
        return None
    name = match["type"].encode()
    return match["type"] if data.startswith(len(name).to_bytes(4, "big") + name) else None


def _blob(spec: AuthorizedKeySpec) -> str:
    match = _KEY.match(spec.key.strip())
    return match["blob"] if match is not None else ""


def _comment(spec: AuthorizedKeySpec) -> str | None:
    match = _KEY.match(spec.key.strip())
    return spec.comment if spec.comment is not None else (match["comment"] if match is not None else None)


# ask USER PATH BLOB EXCLUSIVE: the modes of directory and file, the lines with this key, other keys if asked.
_ASK = (
    LOOK
    + """\
set -f
entry() {
    getent passwd "$1" 2>/dev/null || awk -F: -v u="$1" '$1 == u || $3 == u { print; exit }' </etc/passwd
}
home() {
    if [ "$1" != "$was" ] || [ -z "$1" ]; then
        was=$1
        e=$(entry "$1")
        e=${e%%"$nl"*}
        h=${e%:*}
        h=${h##*:}
        e=${e#*:*:}
        uid=${e%%:*}
    fi
}
ask() {
    home "$1"
    if [ -z "$uid" ]; then emit 5 ''; return; fi
    p=${2:-$h/.ssh/authorized_keys}
    look "$p"
    case $k in
    a) emit 1 '' ; return ;;
    d) emit 2 '' ; return ;;
    esac
    if [ -L "$p" ] || [ ! -f "$p" ] || [ ! -r "$p" ]; then emit 3 ''; return; fi
    m=$(stat -c '%a %u' -- "${p%/*}" "$p")
    emit 0 "$uid$nl$m$nl$(K=$3 X=$4 awk '
        /^[ \\t]*#/ || !NF { next }
        {
            found = 0
            for (i = 1; i <= NF; i++) if ($i == ENVIRON["K"]) found = 1
            if (found) print "+" $0
            else if (ENVIRON["X"]) print "-" $0
        }' <"$p")"
}
was=
"""
)

_REASONS = {
    2: "permission denied: the directory cannot be searched",
    3: "the file cannot be read, or it is not a plain file",
}

# As the user: nothing that the user could have put in the way is followed with more rights than theirs.
_WORK = """\
umask 077
[ -n "$file" ] || file=$home/.ssh/authorized_keys
dir=${file%/*}
[ ! -L "$file" ] || { echo "$file is a symbolic link: nothing is written through it" >&2; exit 1; }
if [ ! -d "$dir" ]; then
    [ -n "$add" ] || exit 0
    mkdir -- "$dir"
fi
[ -n "$add" ] || [ -e "$file" ] || exit 0
begin "$file"
src=$file
[ -e "$file" ] || src=/dev/null
K=$blob L=$add X=$only awk '
    /^[ \\t]*#/ || !NF { print; next }
    {
        found = 0
        for (i = 1; i <= NF; i++) if ($i == ENVIRON["K"]) found = 1
        if (found) { if (ENVIRON["L"] != "" && !done) { done = 1; print ENVIRON["L"] } }
        else if (!ENVIRON["X"]) print
    }
    END { if (ENVIRON["L"] != "" && !done) print ENVIRON["L"] }' <"$src" >"$t"
for line in {again}; do
    grep -qxF -e "$line" "$t" || printf '%s\\n' "$line" >>"$t"
done
if [ -n "$made" ] && [ ! -s "$t" ]; then
    rm -f -- "$file" "$t"
    rmdir -- "$dir" 2>/dev/null || :
    exit 0
fi
s=600
if [ -f "$file" ]; then s=$(stat -c %a -- "$file"); fi
permit '' "$s"
commit
chmod go-w -- "$dir" "$file"
"""

# `w=$(cat)` and not `eval "$(cat)"`: what cannot be read has to fail, not to be nothing to do
_AS_USER = """\
entry=$(getent passwd "$user" 2>/dev/null ||
    awk -F: -v u="$user" '$1 == u || $3 == u { print; exit }' </etc/passwd)
entry=${entry%%"
"*}
if [ -z "$entry" ]; then
    [ -n "$add" ] || exit 0
    echo "user $user does not exist: declare it in a step before this one" >&2
    exit 1
fi
name=${entry%%:*}
uid=${entry#*:*:}
uid=${uid%%:*}
home=${entry%:*}
home=${home##*:}
if [ -z "$file" ] && [ ! -d "$home" ]; then
    echo "the home directory $home of $user does not exist" >&2
    exit 1
fi
[ -z "$add" ] || [ -e "${file:-$home/.ssh/authorized_keys}" ] || : >"$KX_BACKUP/made"
made=
[ ! -e "$KX_BACKUP/made" ] || made=y
export home made
if [ "$(id -u)" = "$uid" ]; then
    eval "$work"
elif command -v runuser >/dev/null; then
    printf '%s\\n' "$work" | runuser -u "$name" -- sh -euc 'cd /; w=$(cat); eval "$w"'
else
    printf '%s\\n' "$work" | su -s /bin/sh "$name" -c 'set -eu; cd /; w=$(cat); eval "$w"'
fi
"""


class AuthorizedKeyExecutor(StepExecutor[AuthorizedKeySpec]):
    """See `AuthorizedKeySpec`."""

    kind: ClassVar[str] = "authorizedKey"
    spec: ClassVar[type[StepArgs]] = AuthorizedKeySpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("user", "key", "path")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"exclusive": ("others",), "state": ("options",)}
    example: ClassVar[str] = """\
- name: ops
  kind: authorizedKey
  user: deploy
  key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtvaO0yBmC7SRRmWkgLCAS1ZZ0BdIv3H0bAGvBzkrhN ops@example
"""

    def probe(self, specs: Sequence[AuthorizedKeySpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        asks = [
            f"ask {words([spec.user, spec.path or '', _blob(spec), 'y' if spec.exclusive else ''])}"
            for spec in specs
        ]
        fragment = Fragment(_ASK + "\n".join(asks) + "\n", records=len(specs), timeout=30.0 + len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: AuthorizedKeySpec, record: Record) -> Observation:
        if record.status in _REASONS:
            return Observation.unknown(_REASONS[record.status])
        if record.status != 0:  # no file, or no user yet
            return Observation.absent()
        texts = record.text.decode("utf-8", "replace").splitlines()
        if len(texts) < 3 or not all(re.fullmatch(r"[0-7]+ \d+", text) for text in texts[1:3]):
            return Observation.unknown("the host's answer about this file makes no sense")
        uid, directory, file, *lines = texts
        mine = [line[1:] for line in lines if line.startswith("+")]
        others = [line[1:] for line in lines if line.startswith("-")]
        if not mine and (spec.state == "absent" or not others):
            return Observation.absent()
        attributes: dict[str, JsonValue] = {}
        if mine:
            options, comment = _parts(mine[0], _blob(spec))
            attributes = {"options": options, "comment": comment, "copies": len(mine)}
        if spec.exclusive:
            attributes["others"] = [_short(line) for line in others]
        attributes["permissions"] = _permissions(uid, directory, file)
        return Observation.present(attributes, {"others": [*others]} if spec.exclusive else None)

    def desired(self, spec: AuthorizedKeySpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"options": spec.options, "copies": 1, "permissions": "strict"}
        if _comment(spec) is not None:
            wanted["comment"] = _comment(spec)
        if spec.exclusive:
            wanted["others"] = []
        return wanted

    def action(self, spec: AuthorizedKeySpec, request: ChangeRequest) -> Action:
        parts = (spec.options, _type_of(spec), _blob(spec), _comment(spec))
        line = " ".join(part for part in parts if part)
        return _action(spec, "" if spec.state == "absent" else line, only=spec.exclusive)

    def undo(self, spec: AuthorizedKeySpec, prior: Observation) -> Action | None:
        others = prior.extra.get("others")
        again = [str(line) for line in others] if isinstance(others, list) else []
        if prior.presence is not Presence.PRESENT or "options" not in prior.attributes:
            return _action(spec, "", again=again)
        seen = prior.attributes
        parts = (seen["options"], _type_of(spec), _blob(spec), seen.get("comment"))
        return _action(spec, " ".join(str(part) for part in parts if part), again=again)

    def object_id(self, spec: AuthorizedKeySpec) -> str:
        text = "\n".join([self.kind, spec.user, spec.path or "", _blob(spec)])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _action(spec: AuthorizedKeySpec, line: str, *, only: bool = False, again: Sequence[str] = ()) -> Action:
    values = {"file": spec.path or "", "blob": _blob(spec), "add": line, "only": "y" if only else ""}
    assigned = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
    lines = words([*again]) if again else ""
    work = assigned + functions(f"key:{spec.user}") + _WORK.replace("{again}", lines)
    script = f"user={quote(spec.user)}\n{assigned}work={quote(work)}\n"
    return Action(script + _AS_USER)


def _parts(line: str, blob: str) -> tuple[str, str]:
    """Options before the key's type, comment after its bytes."""
    before, _, after = line.partition(blob)
    words_before = before.rstrip().rsplit(None, 1)
    options = words_before[0].strip() if len(words_before) == 2 else ""
    return options, after.strip()


def _short(line: str) -> str:
    """Another key, as a person can tell it."""
    for word in line.split():
        if word.startswith("AAAA"):
            return f"…{word[-12:]} {line.partition(word)[2].strip()}".strip()
    return line[:40]


def _permissions(uid: str, directory: str, file: str) -> str:
    """`strict` where sshd's StrictModes is content, else what is wrong."""
    for name, text in (("directory", directory), ("file", file)):
        mode, _, owner = text.partition(" ")
        if owner not in (uid, "0"):
            return f"the {name} belongs to user id {owner}"
        if int(mode, 8) & 0o022:
            return f"others may write the {name}"
    return "strict"


__all__ = ["AuthorizedKeyExecutor", "AuthorizedKeySpec"]
