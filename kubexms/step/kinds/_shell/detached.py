"""Runs a shell text as a transient unit of systemd, which a later run finds and waits for.

What it leaves lies in "$KX_BACKUP/detached": `program` until it has been read, `out`, `err`, and at the
end `status`. The unit's name is made of the command's digest and the step's own directory, so that
two steps never share one.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.runtime.protocol import Action, Outcome, Payload
from kubexms.step.contract import StepContext

STILL_RUNNING = 75
_VANISHED = 70
_GONE = 69
_SLICE = 15
"""Seconds for which the host itself looks, before one line of progress."""

_NAMES = """\
w=$KX_BACKUP/detached
u=kubexms-{digest}-$(printf %.12s "${{KX_BACKUP##*/}}").service
running() {{
    case $(systemctl show -p ActiveState "$u") in
    *=active | *=activating | *=deactivating) ;;
    *) return 1 ;;
    esac
}}
"""

# The unit itself never fails, so that systemd forgets it when it has ended.
_START = """\
if ! command -v systemd-run >/dev/null || [ ! -d /run/systemd/system ]; then
    echo "'detach' needs a host that systemd runs" >&2
    exit 1
fi
[ ! -f "$w/status" ] || exit 0
! running || exit 0
rm -rf "$w"
mkdir -m 700 "$w"
trap 'rm -f "$w/program.new"' EXIT
( umask 077; payload program >"$w/program.new" )
mv "$w/program.new" "$w/program"
systemd-run --quiet --unit="$u" --description='a step of kubexms' sh -c '
    cd /
    umask 022
    { rm -f "$1/program"; sh -c "eval \\"\\$(cat)\\" </dev/null"; } <"$1/program" >"$1/out" 2>"$1/err"
    echo "$?" >"$1/status.new"
    sync
    mv "$1/status.new" "$1/status"' sh "$w" >&2 || { rm -rf "$w"; exit 1; }
"""

# What is done already is not begun again, whatever is left of it.
_FIND = """\
[ ! -f "$w/status" ] || exit 0
! running || exit 0
rm -rf "$w"
exit {gone}
"""

_AWAIT = """\
i=0
until [ -f "$w/status" ]; do
    if ! running; then
        sleep 1
        if [ ! -f "$w/status" ]; then
            echo "the unit $u ended without a result: was the host restarted?" >&2
            exit {vanished}
        fi
    fi
    [ "$i" -lt {seconds} ] || exit {still}
    i=$((i + 1))
    sleep 1
done
"""

_COLLECT = """\
cat "$w/out"
cat "$w/err" >&2
status=$(cat "$w/status")
rm -rf "$w"
case $status in {expected}) ;; *) exit "$status" ;; esac
"""


def start(text: str, digest: str) -> Action:
    """Starts the unit, unless it runs already or has ended and nobody has taken the result."""
    names = _NAMES.format(digest=digest[:12])
    payload = Payload(data=text.encode("utf-8", "surrogateescape"))
    return Action(names + _START, {"program": payload})


def find(digest: str) -> Action:
    """Whether the unit is still there, or its result; status `_GONE` if there is neither."""
    return Action(_NAMES.format(digest=digest[:12]) + _FIND.format(gone=_GONE))


def wait(digest: str) -> Action:
    """Waits on the host for a while; status 0 when the unit has ended, `STILL_RUNNING` if not yet."""
    script = _AWAIT.format(vanished=_VANISHED, still=STILL_RUNNING, seconds=_SLICE)
    return Action(_NAMES.format(digest=digest[:12]) + script)


def collect(digest: str, statuses: Sequence[int]) -> Action:
    """Gives back what the unit printed and its exit status, and removes all traces."""
    script = _COLLECT.format(expected=" | ".join(map(str, statuses)))
    return Action(_NAMES.format(digest=digest[:12]) + script)


def run_detached(context: StepContext, text: str, digest: str, statuses: Sequence[int]) -> Outcome:
    """Start it or find it, wait until it has ended, take its result.

    Waits as long as it takes, with a line of progress now and then; `errors.Interrupted` leaves it running.
    """
    outcome = context.exchange(start(text, digest), verify=False)
    if not outcome.acted or outcome.status != 0:
        return outcome
    return _result(context, digest, statuses)


def find_detached(context: StepContext, digest: str, statuses: Sequence[int]) -> Outcome | None:
    """The same for what an earlier run has started and is done; None where nothing of it is left to take."""
    outcome = context.exchange(find(digest), verify=False)
    if outcome.acted and outcome.status == _GONE:
        return None
    if not outcome.acted or outcome.status != 0:
        return outcome
    return _result(context, digest, statuses)


def _result(context: StepContext, digest: str, statuses: Sequence[int]) -> Outcome:
    began = context.monotonic()
    while True:
        outcome = context.exchange(wait(digest), verify=False)
        if outcome.status == 0:
            return context.exchange(collect(digest, statuses))
        if outcome.status != STILL_RUNNING:
            return outcome
        context.progress(f"detached, for {context.monotonic() - began:.0f} s")
        context.sleep(0.1)


__all__ = ["collect", "find", "find_detached", "run_detached", "start", "wait"]
