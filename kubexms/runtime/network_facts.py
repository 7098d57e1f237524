"""Addresses, interfaces and default routes from `ip -o`, or from `ifconfig` where there is no `ip`."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(slots=True)
class _Link:
    mac: str = ""
    ipv4: list[str] = field(default_factory=list)
    ipv6: list[str] = field(default_factory=list)


def network_facts(raw: Mapping[str, str]) -> dict[str, JsonValue]:
    """`interfaces`, `addresses`, `default_ipv4` and `default_ipv6`, in stable order."""
    links = {name: _Link(mac) for name, mac in _links(raw.get("links", ""))}
    found = _ip_addresses(raw["addresses"]) if "addresses" in raw else _ifconfig(raw.get("ifconfig", ""))
    for name, text in found:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        link = links.setdefault(name, _Link())
        (link.ipv4 if address.version == 4 else link.ipv6).append(str(address))
    facts: dict[str, JsonValue] = {
        "interfaces": {
            name: {"mac": link.mac, "ipv4": [*sorted(link.ipv4)], "ipv6": [*sorted(link.ipv6)]}
            for name, link in sorted(links.items())
        },
        "addresses": {
            "ipv4": [*sorted({a for link in links.values() for a in link.ipv4 if _routable(a)})],
            "ipv6": [*sorted({a for link in links.values() for a in link.ipv6 if _routable(a)})],
        },
    }
    for key, route, version in (("default_ipv4", "route4", 4), ("default_ipv6", "route6", 6)):
        default = _default(raw.get(route, ""), links, version)
        if default:
            facts[key] = default
    return facts


def _links(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, _, mac = word.partition(",")
        yield name, mac


def _ip_addresses(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("inet", "inet6") and "temporary" not in words:
            yield words[1].split("@")[0], words[3].split("/")[0]


def _ifconfig(text: str) -> Iterator[tuple[str, str]]:
    name = ""
    for line in text.splitlines():
        if line and not line[0].isspace():
            name = line.split()[0].rstrip(":")
        for address in re.findall(r"inet6? (?:addr: ?)?([0-9a-fA-F.:]+)", line):
            yield name, address


def _default(text: str, links: Mapping[str, _Link], version: int) -> dict[str, JsonValue]:
    """The first default route (the kernel lists the lowest metric first) and the address used on it."""
    words = text.partition("\n")[0].split()
    pairs = dict(itertools.pairwise(words))
    interface = pairs.get("dev", "")
    link = links.get(interface)
    if link is None:
        return {}
    own = sorted(a for a in (link.ipv4 if version == 4 else link.ipv6) if _routable(a))
    address = pairs.get("src") or (own[0] if own else "")
    return {"address": address, "interface": interface, "gateway": pairs.get("via", "")}


def _routable(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local)
