"""What the kubelet and kube-proxy change on a host and leave so: remembered before, put back after."""

from __future__ import annotations

from kubexms.step.kinds._kubeadm.survey import OWN

PARAMETERS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""Below /proc/sys: what the kubelet sets when it starts (cm/container_manager_linux.go), and kube-proxy
(proxy/iptables, cmd/kube-proxy/app/conntrack.go)."""

REMEMBER = f"""
mkdir -p -m 0700 {OWN}
if [ ! -e {OWN}/parameters ]; then
  for key in {" ".join(PARAMETERS)}; do
    [ ! -r "/proc/sys/$key" ] || printf '%s %s\\n' "$key" "$(cat "/proc/sys/$key")"
  done >{OWN}/parameters.new
  mv {OWN}/parameters.new {OWN}/parameters
fi
"""
"""Before a host becomes a node; what an earlier attempt has remembered stands."""

PUT_BACK = f"""
if [ -e {OWN}/parameters ]; then
  while read -r key value; do
    now=$(cat "/proc/sys/$key" 2>/dev/null) || continue
    [ "$now" = "$value" ] || printf '%s\\n' "$value" >"/proc/sys/$key" || :
  done <{OWN}/parameters
fi
# the kubelet's groups of pods, which systemd would list until the next boot
if [ -d /run/systemd/system ] && systemctl -q is-active kubepods.slice; then
  systemctl stop kubepods.slice || :
fi
"""
"""When it is none any more: no kubelet and no pod runs."""
