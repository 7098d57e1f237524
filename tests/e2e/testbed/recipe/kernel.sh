#!/bin/bash
# kernel.sh OUT   the file-system layer that depends on the running kernel: what /proc/sys starts from in a
#                 host, and the modules that modprobe finds there.
set -euo pipefail
out=$1
release=$(uname -r)
sysctls=$out/usr/local/lib/testbed
mkdir -p "$sysctls"
cp -r /proc/sys/{vm,kernel,fs} "$sysctls/" 2>/dev/null || true # some are write-only
(cd /proc/sys && find vm kernel fs -type f) | while read -r name; do
    [ -e "$sysctls/$name" ] || { mkdir -p "$sysctls/${name%/*}" && : >"$sysctls/$name"; }
done
chmod -R u+w "$sysctls"

# A host loads no module into the machine's kernel; these count as built in, so that "modprobe X" succeeds.
modules=$out/usr/lib/modules/$release
mkdir -p "$modules"
for name in overlay br_netfilter bridge veth vxlan tun loop fuse nf_conntrack nf_nat nf_tables nft_compat \
    ip_tables ip6_tables iptable_nat iptable_filter iptable_mangle ip_set ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh \
    xt_comment xt_conntrack xt_mark xt_nat xt_statistic xt_multiport xt_addrtype dm_snapshot; do
    echo "kernel/builtin/$name.ko"
done >"$modules/modules.builtin"
: >"$modules/modules.order"
ln -s usr/lib "$out/lib"
depmod -b "$out" "$release" 2>/dev/null # it misses descriptions that nobody needs
