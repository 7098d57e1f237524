#!/bin/bash
# busybox.sh   is one light host while it is on: namespaces, a pivoted root, busybox init, sshd.
# Environment: as for systemd.sh. With the argument "inside" it is the first program of the host.
set -euo pipefail
root=$HOST_DIR/root
if [ "${1:-}" != inside ]; then
    while read -r cgroup; do echo $BASHPID >"$cgroup/cgroup.procs"; done <<<"$HOST_CGROUPS"
    (cd "$HOST_DIR/disk/work" && rm -rf work/incompat)
    nsenter --net="$HOST_NETNS" unshare --mount --pid --uts --ipc --fork --kill-child --propagation private \
        bash "$0" inside </dev/null >>"$HOST_DIR/console.log" 2>&1 &
    echo $! >"$HOST_DIR/pid"
    wait $! || true
    rm -f "$HOST_DIR/pid"
    exit 0
fi
disk=$HOST_DIR/disk
mount -t overlay -o "lowerdir=$HOST_LOWER,upperdir=$disk/upper,workdir=$disk/work,volatile" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
while read -r option; do # --bind=FROM:TO and --bind-ro=FROM:TO, as systemd-nspawn has them
    [ -n "$option" ] || continue
    pair=${option#*=}
    mkdir -p "$root${pair#*:}"
    mount --bind "${pair%%:*}" "$root${pair#*:}"
    case $option in --bind-ro=*) mount -o remount,bind,ro "$root${pair#*:}" ;; esac
done <<<"${HOST_BINDS:-}"
hostname "$HOST_NAME"
cd "$root"
pivot_root . mnt
/bin/busybox umount -l /mnt
exec /bin/busybox env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
