# host.sh PART [ARGUMENT...]   what by-hand.sh has a host do; read by bash on its standard input
set -euo pipefail
part=$1
shift
install() { DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1 </dev/null; }

case $part in
packages)
    install containerd runc containernetworking-plugins conntrack socat ebtables ethtool
    swapoff -a
    modprobe overlay
    modprobe br_netfilter
    printf '%s\n' net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 \
        >/etc/sysctl.d/99-kubernetes.conf
    sysctl -qp /etc/sysctl.d/99-kubernetes.conf
    mkdir -p /etc/containerd /etc/cni/net.d
    cat >/etc/containerd/config.toml <<'EOF'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "k8s.gcr.io/pause:3.2"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
EOF
    systemctl restart containerd
    ;;
node)
    mv /srv/kubernetes/bin/*/*/* /usr/local/bin/
    for archive in /srv/kubernetes/images/*/*/*.tar; do ctr -n k8s.io images import "$archive" >/dev/null; done
    rm -r /srv/kubernetes
    cat >/etc/systemd/system/kubelet.service <<'EOF'
[Unit]
Description=kubelet
After=containerd.service network-online.target
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
Restart=always
StartLimitInterval=0
RestartSec=10
[Install]
WantedBy=multi-user.target
EOF
    systemctl daemon-reload
    systemctl -q enable kubelet
    ;;
balancer)
    install haproxy
    {
        printf '%s\n' defaults '  mode tcp' '  timeout connect 3s' '  timeout client 1h' '  timeout server 1h' \
            'listen kubernetes' '  bind *:6443' '  option tcp-check' '  default-server check inter 1s fall 2 rise 1'
        for address; do echo "  server plane-${address##*.} $address:6443"; done
    } >/etc/haproxy/haproxy.cfg
    systemctl restart haproxy
    ;;
cidrs)
    kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes \
        -o 'jsonpath={range .items[*]}{.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}'
    ;;
network)
    own=$1
    while read -r cidr address; do
        if [ "$address" != "$own" ]; then
            ip route replace "$cidr" via "$address"
            continue
        fi
        cat >/etc/cni/net.d/10-bridge.conflist <<EOF
{"cniVersion": "0.3.1", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$cidr"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
    done < <(tr ';' '\n' <<<"$2" | grep .)
    iptables -P FORWARD ACCEPT
    ;;
esac
