"""The manifests of a control plane's static pods as kubeadm would write them, and how one is started anew."""

from __future__ import annotations

SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ETCD = "etcd"
PHASES = {
    "kube-apiserver": "apiserver",
    "kube-controller-manager": "controller-manager",
    "kube-scheduler": "scheduler",
}

_PRIVATE = r"""
  mount --make-rprivate / && mount -t tmpfs -o mode=0700 none /etc/kubernetes/manifests || exit 1
  # kubeadm would make a directory of data that is not there
  [ -d "$data" ] || mount -t tmpfs none "${data%/*}" || exit 1
  phase() {
    said=$(kubeadm init phase "$1" "$2" --config /dev/stdin 2>&1) || {
      printf "%s\n" "$said" | grep -v "^To see the stack trace" | tail -n 1
      exit 1
    }
  }
  # the members of etcd that a manifest names count only when a member is made: it names those of that time
  keep() {
    block=$(printf "%s\n" "$was" | grep -e "^ *- --initial-cluster")
    export block
    awk "/^ *- --initial-cluster/ && ENVIRON[\"block\"] != \"\" {
      if (!n++) print ENVIRON[\"block\"]
      next
    }
    { print }" /etc/kubernetes/manifests/etcd.yaml
  }
"""

ASK = (
    r"""
a= s= c= e=
set --
for n in $names; do set -- "$@" "/etc/kubernetes/manifests/$n.yaml"; done
now=$(basis "$@")
if [ -n "$now" ] && [ "$now" = "$known" ]; then
  for n in $names; do echo "= $n as specified"; done
  echo "basis $now"
  exit 0
fi
for n in $names; do
  f=/etc/kubernetes/manifests/$n.yaml
  [ -e "$f" ] || continue
  case $n in
  *apiserver) a=$(cat "$f") ;;
  *scheduler) s=$(cat "$f") ;;
  etcd) e=$(cat "$f") ;;
  *) c=$(cat "$f") ;;
  esac
done
export a s c e names data config
# in a mount of its own nothing of what kubeadm writes reaches the host
told=$(unshare -m sh -c '"""
    + _PRIVATE
    + r"""
  printf %s "$config" | phase control-plane all || exit 1
  case $names in *etcd*) printf %s "$config" | phase etcd local || exit 1 ;; esac
  for n in $names; do
    case $n in *apiserver) was=$a ;; *scheduler) was=$s ;; etcd) was=$e ;; *) was=$c ;; esac
    if [ "$n" = etcd ]; then is=$(keep); else is=$(cat "/etc/kubernetes/manifests/$n.yaml"); fi || exit 1
    if [ "$was" = "$is" ]; then
      echo "= $n as specified"
      continue
    fi
    if [ -n "$was" ]; then echo "= $n differs"; else echo "= $n missing"; fi
    [ -z "$was" ] || printf "%s\n" "$was" | sed "s/^/-/"
    printf "%s\n" "$is" | sed "s/^/+/"
  done
')
status=$?
printf '%s\n' "$told"
[ "$status" = 0 ] || exit "$status"
case $told in
*' differs'* | *' missing'*) ;;
# whoever wrote meanwhile
*) [ -z "$now" ] || [ "$(basis "$@")" != "$now" ] || echo "basis $now" ;;
esac
exit 0
"""
)
"""Read-only: each of `names` beside its manifest of `config`; `data` is etcd's directory. With the digest
`known` nothing is asked of kubeadm; see the module `basis`."""

OF_ETCD = (
    r"""
# manifest_of_etcd: made of the configuration on standard input, with the members that $was names
manifest_of_etcd() {
  unshare -m sh -c '"""
    + _PRIVATE
    + r"""
    phase etcd local || exit 1
    keep
  '
}
export data
"""
)

START = r"""
# started NAME PROCESS: the kubelet has started it anew, unless only the text differed
started() {
  n=0
  until now=$(pid "$1"); [ -n "$now" ] && [ "$now" != "$2" ]; do
    n=$((n + 1))
    if [ "$n" -gt 45 ] && [ -n "$now" ]; then break; fi
    [ "$n" -lt 180 ] || { echo "the kubelet has not started $1 within 180 s" >&2; exit 1; }
    sleep 1
  done
}
# component NAME PHASE: its manifest anew
component() {
  was=$(pid "$1")
  payload config | kubeadm init phase control-plane "$2" --config /dev/stdin
  started "$1" "$was"
}
# again NAME: stopped and started by the kubelet, its manifest being away meanwhile. A process that is merely
# ended takes a minute for the requests that it has, and counts as one that crashes, which has to wait.
again() {
  f=/etc/kubernetes/manifests/$1.yaml away=/etc/kubernetes/$1.away was=$(pid "$1")
  [ -n "$was" ] || return 0
  mv -f "$f" "$away"
  n=0
  while [ -d "/proc/$was" ] && [ "$n" -lt 120 ]; do
    n=$((n + 1))
    sleep 1
  done
  mv -f "$away" "$f"
  [ "$n" -lt 120 ] || { echo "the kubelet has not stopped $1 within 120 s: does it run?" >&2; exit 1; }
  started "$1" "$was"
}
"""

SINCE = r"""
p=$(pid kube-apiserver)
began=
if [ -n "$p" ] && stat=$(cat "/proc/$p/stat" 2>/dev/null); then
  # after the name, which may hold blanks: field 22 of proc(5), the start in ticks since boot
  set -- ${stat##*) }
  shift 19
  began=$1
  echo "process $(cat /proc/sys/kernel/random/boot_id) $p $began"
fi
# later NAME PATH: it has changed after the process began; both ages are counted from now
later() {
  [ -n "$began" ] && changed=$(stat -c %Z "$2" 2>/dev/null) || return 0
  read -r up rest </proc/uptime
  age=$((${up%%.*} - began / $(getconf CLK_TCK 2>/dev/null || echo 100)))
  [ "$(($(date +%s) - changed))" -ge "$age" ] || echo "later $1"
}
"""
"""Read-only; needs `pid` (PID)."""
