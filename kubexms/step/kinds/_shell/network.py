"""Tries a TCP port or a URL with what a host has: bash, nc, curl, wget. Status 127: it has nothing."""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.step.shell import quote

# busybox has nc without -z: it runs a program once it is connected.
_TCP = """\
h={host} p={port}
if command -v bash >/dev/null; then
    exec bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$h" "$p"
elif command -v nc >/dev/null; then
    case $(nc -h 2>&1 </dev/null) in
    *'-e PROG'*) exec nc -w {seconds} "$h" "$p" -e true ;;
    *) exec nc -z -w {seconds} "$h" "$p" ;;
    esac
elif command -v curl >/dev/null; then
    case $h in *:*) h="[$h]" ;; esac
    t=$(curl -s -o /dev/null -m {seconds} -w '%{{time_connect}}' "http://$h:$p/" || :)
    case $t in *[1-9]*) exit 0 ;; esac
    echo "curl: cannot connect" >&2
    exit 1
fi
echo 'the host has neither bash nor nc nor curl' >&2
exit 127
"""

_HTTP = """\
nl='
'
want={contains}
if command -v curl >/dev/null; then
    o=$(printf '%s\\n' {config} | curl -sS -m {seconds} {options} -w '\\n%{{http_code}}' -K -) || exit 1
    code=${{o##*"$nl"}}
    case $code in {statuses}) ;; *) echo "status $code" >&2; exit 1 ;; esac
elif command -v wget >/dev/null; then
    if wget --version >/dev/null 2>&1; then
        o=$(printf '%s\\n' {url} | wget -q -O - -t 1 -T {seconds} {wget} -i -) || exit 1
    else
        o=$(wget -q -O - {url}) || exit 1
    fi
else
    echo 'the host has neither curl nor wget' >&2
    exit 127
fi
case $o in *"$want"*) ;; *) echo 'the body does not hold the text' >&2; exit 1 ;; esac
"""


def tcp_open(host: str, port: int, seconds: int) -> str:
    """A shell text that succeeds if the port accepts a connection. Bound its time from outside."""
    return _TCP.format(host=quote(host), port=port, seconds=seconds)


def http_answers(
    url: str,
    statuses: Sequence[int],
    seconds: int,
    *,
    contains: str | None = None,
    insecure: bool = False,
    ca_file: str | None = None,
) -> str:
    """A shell text that succeeds if the URL answers so. The URL is kept out of curl's arguments.

    `url` holds neither quotes nor backslashes nor blanks.
    """
    options = ["-k"] if insecure else []
    wget = ["--no-check-certificate"] if insecure else []
    if ca_file is not None:
        options.append(f"--cacert {quote(ca_file)}")
        wget.append(f"--ca-certificate={quote(ca_file)}")
    return _HTTP.format(
        contains=quote(contains or ""),
        config=quote(f'url = "{url}"'),
        url=quote(url),
        seconds=seconds,
        options=" ".join(options),
        wget=" ".join(wget),
        statuses=" | ".join(map(str, statuses)),
    )
