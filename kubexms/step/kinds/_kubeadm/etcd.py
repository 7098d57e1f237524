"""A control plane's member of etcd is started anew with other flags.

It is asked over HTTP (its gateway: etcd.io/docs/v3.4/dev-guide/api_grpc_gateway), by openssl: there need be
no etcdctl on the host, and the API need not know the pod while it starts.
"""

from __future__ import annotations

CHANGE = r"""
pki=/etc/kubernetes/pki/etcd
# ask HOST:PORT METHOD PATH BODY
ask() {
  printf '%s %s HTTP/1.0\r\nContent-Length: %s\r\n\r\n%s' "$2" "$3" "${#4}" "$4" |
    timeout 5 openssl s_client -quiet -connect "$1" -cert "$pki/healthcheck-client.crt" \
      -key "$pki/healthcheck-client.key" 2>/dev/null
}
healthy() { ask "$1" GET /health '' | grep -q '"health":"true"'; }
# members: the name of each, and where it serves
members() {
  ask 127.0.0.1:2379 POST /v3/cluster/member/list '{}' | tr '{' '\n' |
    sed -n 's/.*"name":"\([^"]*\)".*"clientURLs":\["https:\/\/\([^"]*\)".*/\1 \2/p'
}
# its containers' logs, one a start, below a directory of each pod
logs() { ls -d /var/log/pods/kube-system_etcd-*/etcd/*.log 2>/dev/null || :; }
# works PROCESS: another one serves, unless only the text of its manifest differed. What ends and is started
# again does not get better.
works() {
  n=0
  until now=$(pid etcd); [ -n "$now" ] && { [ "$now" != "$1" ] || [ "$n" -gt 45 ]; } &&
      healthy 127.0.0.1:2379; do
    n=$((n + 1))
    [ "$n" -lt 180 ] || return 1
    # a new pod whose second container has begun
    case $(logs | grep -vxF "$old" | grep -v '/0\.log$') in *log) return 1 ;; esac
    sleep 1
  done
}
put() {
  printf '%s\n' "$1" >/etc/kubernetes/etcd.new
  chmod 0600 /etc/kubernetes/etcd.new
  mv -f /etc/kubernetes/etcd.new "$f"
}
# change_etcd: this member with the manifest that is to be. All the others must work before; where it does not
# work afterwards, it gets the one of before back.
change_etcd() {
  f=/etc/kubernetes/manifests/etcd.yaml
  command -v openssl >/dev/null || { echo 'openssl is not installed on this host' >&2; exit 1; }
  # a member that does not work itself is missed by nobody
  if healthy 127.0.0.1:2379; then
    others=$(members)
    case $others in *:*) ;; *) echo 'etcd does not tell who its members are' >&2; exit 1 ;; esac
    for at in $(printf '%s\n' "$others" | awk -v n="$own" '$1 != n { print $2 }'); do
      healthy "$at" || {
        echo "the member of etcd at $at does not work: repair that one first, nothing was restarted" >&2
        exit 1
      }
    done
  fi
  was=$(cat "$f" 2>/dev/null) || was=
  export was
  new=$(payload config | manifest_of_etcd) || { printf '%s\n' "$new" >&2; exit 1; }
  before=$(pid etcd) old=$(logs)
  put "$new"
  if works "$before"; then return; fi
  echo 'etcd does not work with this configuration; the one of before is back:' >&2
  said=$(logs | grep -vxF "$old" | tail -n 1 | xargs -r cat | cut -d ' ' -f 4-)
  why=$(printf '%s\n' "$said" | grep -i -e error -e invalid -e fatal -e failed -e 'not defined' | tail -n 3)
  printf '%s\n' "${why:-$(printf '%s\n' "$said" | tail -n 3)}" >&2
  if [ -n "$was" ]; then
    before=$(pid etcd) old=$(logs)
    put "$was"
    works "$before" || echo 'and it does not work yet' >&2
  fi
  exit 1
}
"""
"""Needs `pid` (PID), `manifest_of_etcd`, the name of the node (`own`), and the payload `config`."""
