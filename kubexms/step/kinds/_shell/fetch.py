"""Fetches a URL with what a host has, curl or wget, and goes on where a broken transfer ended."""

from __future__ import annotations

from collections.abc import Mapping

# fetch: "$part" becomes the file behind the payload `request` (curl) or `url` (wget, and `proxy`).
# A server that cannot resume (curl 33, or an HTTP error on a range) is asked for the whole once more.
FETCH = """\
by_curl() {
    payload request | curl -fsSL --retry 3 --retry-delay 1 --connect-timeout 30 \\
        --speed-limit 1 --speed-time 60 "$@" -o "$part" -K -
}
by_wget() {
    [ -z "$headers" ] || fail 'headers need curl on the host: to wget they would have to be shown to all'
    if [ -n "$proxy" ]; then
        http_proxy=$(payload proxy)
        https_proxy=$http_proxy
        export http_proxy https_proxy
    fi
    if wget --version >/dev/null 2>&1; then
        payload url | wget -nv -t 3 -T 60 $insecure "$@" -O "$part" -i -
    else
        wget -q $insecure "$@" -O "$part" "$(payload url)"
    fi
}
fetch() {
    if command -v curl >/dev/null; then by=curl
    elif command -v wget >/dev/null; then by=wget
    else fail 'the host has neither curl nor wget: install one in a step before this one'; fi
    status=0
    if [ -s "$part" ]; then
        case $by in
        curl) by_curl -C - || status=$? ;;
        wget) by_wget -c || status=$? ;;
        esac
        case $by$status in
        curl0 | wget0) good && return ;;
        curl22 | curl33 | curl36 | wget1 | wget8) ;;
        *) fail "the transfer broke ($by: exit status $status); the next run goes on where it ended" ;;
        esac
        rm -f "$part"
    fi
    status=0
    "by_$by" || status=$?
    [ -s "$part" ] || rm -f "$part"
    [ "$status" -eq 0 ] || fail "the transfer failed ($by: exit status $status)"
}
"""


def curl_config(url: str, headers: Mapping[str, str], *, insecure: bool, proxy: str | None) -> str:
    """What curl reads by `-K -`: nothing of it stands in an argument."""
    lines = [f"url = {_quoted(url)}"]
    lines += [f"header = {_quoted(f'{name}: {value}')}" for name, value in headers.items()]
    if proxy is not None:
        lines.append(f"proxy = {_quoted(proxy)}")
    if insecure:
        lines.append("insecure")
    return "\n".join(lines) + "\n"


def wget_settings(headers: Mapping[str, str], *, insecure: bool, proxy: str | None) -> str:
    """Shell variables that `by_wget` looks at; what is secret stands in payloads only."""
    flags = {"headers": bool(headers), "proxy": proxy is not None}
    lines = [f"{name}={'y' if given else ''}\n" for name, given in flags.items()]
    return "".join([*lines, f"insecure={'--no-check-certificate' if insecure else ''}\n"])


def _quoted(text: str) -> str:
    """A quoted word of curl's configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
