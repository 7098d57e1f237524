"""What kubeadm itself would write, found without writing it: in mounts of its own, or by its dry run.

kubeadm knows its own defaults, which differ between its versions; so it is asked, on the host, and what
it says is compared with what is there.
"""

from __future__ import annotations

TOOLS = r"""
for tool in kubeadm unshare; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed on this host"; exit 1; }
done
"""

KUBELET = r"""
# the kubelet is left alone; whether there is a systemd-resolved counts for the file, so that may be asked
systemctl=$(command -v systemctl || echo /bin/false)
shim="#!/bin/sh
case \$1 in is-active | status) exec $systemctl \"\$@\" ;; esac"
export shim
# kubelet_file: the kubelet's file as kubeadm makes it of the configuration on standard input. Where it finds
# an authority's certificate without its key, it would ask for all the others.
kubelet_file() {
  unshare -m sh -c '
    mount --make-rprivate / && mount -t tmpfs -o mode=0700 none /var/lib/kubelet &&
      mount -t tmpfs -o mode=0700 none /etc/kubernetes || exit 1
    mkdir /var/lib/kubelet/shim
    printf "%s\n" "$shim" >/var/lib/kubelet/shim/systemctl
    chmod 0700 /var/lib/kubelet/shim/systemctl
    PATH=/var/lib/kubelet/shim:$PATH
    said=$(kubeadm init phase kubelet-start --config /dev/stdin 2>&1) || {
      printf "%s\n" "$said" | grep -v "^To see the stack trace" | tail -n 1
      exit 1
    }
    cat /var/lib/kubelet/config.yaml
  '
}
"""

UPLOADS = r"""
# uploads: the ConfigMaps that kubeadm would upload for the configuration on standard input, each after a ---
uploads() {
  unshare -m sh -c '
    mount --make-rprivate / && mount -t tmpfs -o mode=0700 none /etc/kubernetes || exit 1
    said=$(kubeadm init --dry-run --skip-token-print --skip-phases "$1" --config /dev/stdin 2>&1)
    made=$(printf "%s\n" "$said" | awk "
      /^\[dryrun\] Would perform action/ { map = /resource \"configmaps\"/ }
      /^\[dryrun\] Attached object/ { object = map; if (map) print \"---\"; next }
      object && /^\t/ { print substr(\$0, 2); next }
      { object = 0 }
    ")
    case $made in
    *ClusterConfiguration*) printf "%s\n" "$made" ;;
    *) printf "%s\n" "$said" | grep -v "^To see the stack trace" | tail -n 1; exit 1 ;;
    esac
  ' sh "SKIPPED${skipped:+,$skipped}"
}
""".replace(
    "SKIPPED",
    "preflight,certs,kubeconfig,kubelet-start,control-plane,etcd,wait-control-plane,upload-certs,"
    "mark-control-plane,bootstrap-token,kubelet-finalize",
)
"""`skipped` are further phases, separated by commas. A dry run asks nobody; its end, the command to join by,
fails for want of an admin.conf, which is hidden here."""
