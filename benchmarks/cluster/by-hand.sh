#!/bin/bash
# by-hand.sh ARTIFACTS SSH CP1 CP2 CP3 WORKER LB   the cluster as a careful person scripts it with kubeadm
#
# The last five are addresses; SSH is the ssh command with its options. All hosts are prepared at once, control planes
# join one after the other, the worker before them. A line "PHASE SECONDS" is printed after each.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
artifacts=$1 ssh=$2 first=$3 planes=("$3" "$4" "$5") worker=$6 balancer=$7
nodes=("${planes[@]}" "$worker")
on() { local address=$1; shift; $ssh "root@$address" "$@"; }
began=$(date +%s%N)
lap() {
    local now took
    now=$(date +%s%N) took=$((($(date +%s%N) - began) / 1000000))
    printf '%s %d.%03d\n' "$1" $((took / 1000)) $((took % 1000))
    began=$now
}

# what the node needs of the artifacts goes through the connection that then installs it
prepare() {
    local address=$1 role=$2 files
    files=$(cd "$artifacts" && ls bin/*/*/* images/*/*/*)
    if [ "$role" = worker ]; then
        files=$(grep -v -e kube-apiserver -e kube-controller -e kube-scheduler -e etcd <<<"$files")
    fi
    # shellcheck disable=SC2086
    tar -C "$artifacts" -c $files | on "$address" 'mkdir -p /srv/kubernetes && tar -C /srv/kubernetes -x' &
    local copying=$!
    on "$address" bash -s packages <"$here/host.sh"
    wait "$copying"
    on "$address" bash -s node <"$here/host.sh"
}
pids=()
for address in "${planes[@]}"; do prepare "$address" control-plane & pids+=($!); done
prepare "$worker" worker & pids+=($!)
on "$balancer" bash -s balancer "${planes[@]}" <"$here/host.sh" & pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done
lap prepare

on "$first" "cat >/root/kubeadm.yaml && kubeadm init --config /root/kubeadm.yaml --upload-certs" >/dev/null <<EOF
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $first}
nodeRegistration: {criSocket: /run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: $balancer:6443
etcd: {local: {extraArgs: {heartbeat-interval: "500", election-timeout: "5000"}}}
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.200.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
conntrack: {maxPerCore: 0, min: 0}
EOF
lap init

join=$(on "$first" kubeadm token create --print-join-command 2>/dev/null)
key=$(on "$first" kubeadm init phase upload-certs --upload-certs 2>/dev/null | tail -n 1)
on "$worker" "$join" >/dev/null
lap join-worker
for address in "${planes[@]:1}"; do
    on "$address" "$join --control-plane --certificate-key $key --apiserver-advertise-address $address" >/dev/null
    lap join-control-plane
done

kubectl() { on "$first" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
cidrs=$(on "$first" bash -s cidrs <"$here/host.sh" | tr '\n' ';')
pids=()
for address in "${nodes[@]}"; do
    on "$address" bash -s network "$address" "'$cidrs'" <"$here/host.sh" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
kubectl wait --for=condition=Ready node --all --timeout=180s >/dev/null
lap network-and-ready
