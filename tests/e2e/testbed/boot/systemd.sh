#!/bin/bash
# systemd.sh   is one systemd host while it is on; ends when it is off. Runs in a mount namespace of its own,
#              so that every mount vanishes with the last process.
# Environment: HOST_DIR (disk/, root/, pid), HOST_NAME, HOST_NETNS (path), HOST_LOWER (overlay layers),
#              HOST_CGROUPS (directories, one a line), HOST_BINDS (systemd-nspawn options, one a line)
set -euo pipefail
while read -r cgroup; do echo $BASHPID >"$cgroup/cgroup.procs"; done <<<"$HOST_CGROUPS"
binds=()
while read -r option; do [ -z "$option" ] || binds+=("$option"); done <<<"${HOST_BINDS:-}"
disk=$HOST_DIR/disk root=$HOST_DIR/root
mount -t tmpfs -o mode=755 testbed /run/systemd/nspawn # nspawn's own leftovers stay in here
(cd "$disk/work" && rm -rf work/incompat) # "volatile" (fsync costs nothing) refuses a second mount
mount -t overlay -o "lowerdir=$HOST_LOWER,upperdir=$disk/upper,workdir=$disk/work,volatile" overlay "$root"
while :; do
    status=0
    systemd-nspawn --quiet --register=no --keep-unit -D "$root" -M "$HOST_NAME" \
        --network-namespace-path="$HOST_NETNS" --console=read-only --kill-signal=SIGRTMIN+3 \
        --capability=all --drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE,CAP_SYS_RAWIO \
        --system-call-filter='add_key keyctl request_key bpf perf_event_open' \
        --bind=/dev/kmsg --resolv-conf=off --timezone=off "${binds[@]}" \
        /usr/local/sbin/testbed-init </dev/null >>"$HOST_DIR/console.log" 2>&1 &
    echo $! >"$HOST_DIR/pid"
    wait $! || status=$?
    [ $status = 133 ] || break # 133: the host asked to be started again
done
rm -f "$HOST_DIR/pid"
