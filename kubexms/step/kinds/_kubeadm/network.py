"""The shell of `podNetwork`: what the API and the kernel say, and what brings them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubexms.step.kinds._kubeadm.nodelist import NODES
from kubexms.step.kinds._kubeadm.scripts import ROUTE_PROTOCOL
from kubexms.step.kinds._kubeadm.survey import PATHS

BRIDGE_TEXT = "kubexms"
"""The network's name, below which the plugin keeps its leases (/var/lib/cni/networks)."""

_COMMON = (
    PATHS
    + NODES
    + r"""
conf=/etc/cni/net.d/10-kubexms.conflist
unit=/etc/systemd/system/kubexms-pod-routes.service
kubelet=/etc/kubernetes/kubelet.conf
nl='
'
routes() { ip "$family" route show proto PROTO | sed -n 's/^\([^ ]*\) via \([^ ]*\).*/\1 via \2/p'; }
# rule VERB: what gives pods the address of their node outside of the pods' network
rule() {
  case $family in -6) t=ip6tables ;; *) t=iptables ;; esac
  set -- "$1" POSTROUTING -s "$pods" ! -d "$pods" -m comment --comment kubexms-pod-network
  "$t" -w -t nat "$@" -j MASQUERADE
}
# template: the configuration's digest with SUBNET for the node's own part
digest() {
  d=$(sed 's|"subnet": "[^"]*"|"subnet": "SUBNET"|' "$conf" | sha256sum)
  printf %s "${d%% *}"
}
""".replace("PROTO", ROUTE_PROTOCOL)
)

ASK = (
    _COMMON
    + r"""
[ -e "$unit" ] || exit 0
echo unit
sed -n 's/^ExecStart=-[^ ]* -[46] route replace \(.* via [^ ]*\) proto.*/boot \1/p' "$unit"
[ "$(systemctl is-enabled kubexms-pod-routes.service)" != enabled ] || echo enabled
routes | sed 's/^/route /'
if rule -C; then echo masquerade; fi
if n=$(nodes); then
  printf '%s\n' "$n" | sed 's/^/node /'
  part=$(printf '%s\n' "$n" | awk -F'|' -v n="$node" '$1 == n { print $2 }')
  if [ ! -e "$conf" ]; then
    echo 'configuration missing'
  elif [ "$(digest)" = "$want" ] && grep -q "\"subnet\": \"$part\"" "$conf"; then
    echo 'configuration as specified'
  else
    echo 'configuration differs'
  fi
else
  printf 'error %s\n' "$(printf '%s\n' "$n" | tail -n 1)"
fi
exit 0
"""
)

ACT = (
    _COMMON
    + r"""
[ -e "$kubelet" ] || { echo 'this host is no member of a cluster yet' >&2; exit 1; }
n=0
while :; do
  found=$(nodes) || found=
  part=$(printf '%s\n' "$found" | awk -F'|' -v n="$node" '$1 == n { print $2 }')
  [ -z "$part" ] || break
  n=$((n + 1))
  [ "$n" -lt 60 ] || { echo "the API has given $node no part of the pods' network" >&2; exit 1; }
  sleep 1
done
mkdir -p "${conf%/*}"
payload template | sed "s|SUBNET|$part|" >"$conf.new"
chmod 0644 "$conf.new"
cmp -s "$conf.new" "$conf" || mv -f "$conf.new" "$conf"
rm -f "$conf.new"
wanted=$(printf '%s\n' "$found" | awk -F'|' -v n="$node" '
  $1 != n && $2 != "" && $3 != "" { split($3, a, " "); print $2 " via " a[1] }')
ip=$(command -v ip)
{
  echo '[Unit]'
  echo 'Description=Routes to the pods of the other nodes'
  echo 'Wants=network-online.target'
  echo 'After=network-online.target'
  echo 'Before=kubelet.service'
  echo '[Service]'
  echo 'Type=oneshot'
  echo 'RemainAfterExit=yes'
  printf '%s\n' "$wanted" | while read -r to via gate; do
    [ -z "$to" ] || echo "ExecStart=-$ip $family route replace $to $via $gate proto PROTO"
  done
  if [ -n "$masquerade" ]; then
    case $family in -6) t=ip6tables ;; *) t=iptables ;; esac
    r="POSTROUTING -s $pods ! -d $pods -m comment --comment kubexms-pod-network -j MASQUERADE"
    echo "ExecStart=/bin/sh -c '$t -w -t nat -C $r 2>/dev/null || $t -w -t nat -A $r'"
  else
    echo 'ExecStart=/bin/true'
  fi
  echo '[Install]'
  echo 'WantedBy=multi-user.target'
} >"$unit.new"
mv -f "$unit.new" "$unit"
routes | while read -r route; do
  case "
$wanted
" in *"
$route
"*) ;; *) ip "$family" route delete ${route%% *} proto PROTO ;; esac
done
[ -n "$masquerade" ] || while rule -D 2>/dev/null; do :; done
systemctl daemon-reload
systemctl enable --quiet kubexms-pod-routes.service
systemctl restart kubexms-pod-routes.service
""".replace("PROTO", ROUTE_PROTOCOL)
)

UNDO = (
    _COMMON
    + r"""
systemctl disable --quiet --now kubexms-pod-routes.service 2>/dev/null || :
rm -f "$unit"
systemctl daemon-reload
# a member still needs it to end its pods: what takes it out of the cluster takes this along
if [ ! -e "$kubelet" ]; then
  rm -f "$conf"
  routes | while read -r to via; do ip "$family" route delete "$to" proto PROTO; done
  while rule -D 2>/dev/null; do :; done
  ip link delete "$bridge" 2>/dev/null || :
  rm -rf /var/lib/cni/networks/kubexms
  rmdir /var/lib/cni/networks /var/lib/cni /etc/cni/net.d /etc/cni 2>/dev/null || :
fi
""".replace("PROTO", ROUTE_PROTOCOL)
)


OWN_PART = r"""
sed -n 's/.*"subnet": *"\([^"]*\)".*/\1/p' /etc/cni/net.d/10-kubexms.conflist 2>/dev/null | head -n 1
"""
"""Prints the part of the pods' network that this node has, if this tool has set its network up."""


def without_route(part: str) -> str:
    """On a node: no route to this part of the pods' network, now and at boot; others stay."""
    family = "-6" if ":" in part else "-4"
    return (
        f'{PATHS}unit=/etc/systemd/system/kubexms-pod-routes.service\n[ -e "$unit" ] || exit 0\n'
        f'sed -i "\\| route replace {part} via |d" "$unit"\n'
        f"ip {family} route delete {part} proto {ROUTE_PROTOCOL} 2>/dev/null || :\n"
        "systemctl daemon-reload\n"
    )


@dataclass(frozen=True)
class Found:
    """What a host tells of its pod network."""

    unit: bool = False
    enabled: bool = False
    boot: frozenset[str] = frozenset()
    """Routes that are made at boot, as `NETWORK via ADDRESS`."""
    routes: frozenset[str] = frozenset()
    """Those that there are."""
    masquerade: bool = False
    configuration: str = "missing"
    nodes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Part of the pods' network and address of each node."""
    error: str = ""

    def wanted(self, own: str) -> dict[str, str]:
        """The route to each other node that has a part of the pods' network."""
        return {
            name: f"{part} via {address}"
            for name, (part, address) in self.nodes.items()
            if name != own and part and address
        }


def read(text: str) -> Found:
    """From the text of a record; never raises."""
    words: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        words.setdefault(word, []).append(rest)
    nodes = {}
    for line in words.get("node", []):
        name, part, addresses = (*line.split("|"), "", "")[:3]
        if name:
            nodes[name] = (part, addresses.split(" ")[0])
    return Found(
        unit="unit" in words,
        enabled="enabled" in words,
        boot=frozenset(words.get("boot", [])),
        routes=frozenset(words.get("route", [])),
        masquerade="masquerade" in words,
        configuration=(words.get("configuration") or ["missing"])[0],
        nodes=nodes,
        error=(words.get("error") or [""])[0],
    )
