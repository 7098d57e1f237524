# The read-only guard for checks that users wrote. It stops writes to files, nothing else: not
# sockets, not signals, not the network, not writes to a device node.

# kx_guarded TEXT: TEXT is lines of kx_check. They share one private mount namespace; each has a
# shell, a session and a TMPDIR of its own.
kx_guarded() {
    if [ "$kx_uid" = 0 ] && command -v unshare >/dev/null && unshare -m true 2>/dev/null; then
        kx_nested_text kx_enter "$1" kx_sweep | unshare -m sh -c "$kx_evaluate"
    else
        (
            kx_mode=unavailable kx_drop=
            kx_scratch_plain
            eval "$1"
            [ "$kx_scratch" = /dev/null ] || rm -rf "$kx_scratch"
        )
    fi
}

# Without a namespace the scratch directory lies on a memory file system where there is one.
kx_scratch_plain() {
    for kx_dir in "/run/user/$kx_uid" /dev/shm /run "${TMPDIR:-/tmp}" /tmp; do
        kx_scratch=$kx_dir/kubexms.$$.$kx_m
        mkdir -m 0755 "$kx_scratch" 2>/dev/null && return
    done
    kx_scratch=/dev/null
}

kx_enter() {
    kx_mode=unavailable kx_drop= kx_private=
    # kx_sweep kills by namespace: it must be certain that this one is private.
    if [ -e /proc/self/ns/mnt ] && [ -e "/proc/$PPID/ns/mnt" ] &&
        ! [ "/proc/$PPID/ns/mnt" -ef /proc/self/ns/mnt ] && ! [ /proc/1/ns/mnt -ef /proc/self/ns/mnt ]; then
        kx_private=1
    fi
    if [ -z "$kx_private" ] || ! mount --make-rprivate / 2>/dev/null || [ -n "$(kx_remount 2>&1)" ]; then
        kx_scratch_plain
        return
    fi
    kx_scratch=/dev/null
    # A mount point is needed that nobody looks into: one that the kernel made.
    for kx_dir in /sys/fs/pstore /sys/kernel/config /sys/kernel/tracing /proc/tty/driver /proc/driver /proc/fs; do
        [ -d "$kx_dir" ] || continue
        mount -n -t tmpfs -o size=16m,nr_inodes=4096,mode=0755 tmpfs "$kx_dir" 2>/dev/null || continue
        kx_scratch=$kx_dir
        break
    done
    kx_mode=mounts
    kx_drop='setpriv --bounding-set -sys_admin,-net_admin,-mknod,-sys_rawio,-sys_boot,-sys_module,-sys_time'
    if $kx_drop true 2>/dev/null; then kx_mode=enforced; else kx_drop=; fi
}

# Remounts everything read-only, keeping the flags of each mount. Prints what could not be.
kx_remount() {
    # util-linux 2.35 and later does it in one process. As its fstab it is given a directory that never
    # holds one, so that a mount command that takes -a for something else has nothing to mount.
    mount -n -i -a -t noautofs -T /proc/self/ns -o remount,bind,ro 2>/dev/null
    cat /proc/self/mountinfo | while read -r kx_id kx_parent kx_dev kx_root kx_at kx_opts kx_rest; do
        case $kx_opts in rw*) ;; *) continue ;; esac
        kx_type=${kx_rest#*- }
        case ${kx_type%% *} in autofs) continue ;; esac
        # the kernel writes a space, tab, newline and backslash in octal
        case $kx_at in *\\*) kx_at=$(printf '%b.' "$(printf %s "$kx_at" | sed 's/\\\([0-7]\)/\\0\1/g')") kx_at=${kx_at%.} ;; esac
        kx_set=remount,bind,ro
        for kx_f in nosuid nodev noexec noatime nodiratime relatime; do
            case ,$kx_opts, in *,"$kx_f",*) kx_set=$kx_set,$kx_f ;; esac
        done
        mount -n -i -o "$kx_set" none "$kx_at" 2>/dev/null && continue
        # covered by another mount: out of reach anyway
        [ -e "$kx_at" ] && printf '%s\n' "$kx_at"
    done
}

# kx_check TOKEN CAP USER SCRIPT
kx_check() {
    kx_prefix "$1"
    printf '%s G %s %s 0\n\n' "$kx_m" "$1" "$kx_mode" >&6
    kx_dir=$kx_scratch/$1
    kx_errors=$kx_dir.err
    mkdir -m 1777 "$kx_dir" 2>/dev/null || kx_dir=$kx_scratch kx_errors=/dev/null
    printf '%s\n' 'exec </dev/null' "$kx_emit" "kx_pre='$kx_pre' kx_cap=$2 kx_sum=0 TMPDIR='$kx_dir'" \
        "export TMPDIR; umask 077; printf '%s S %s %s 0\\n\\n' '$kx_m' '$1' \$\$ >&6" "$4" '#kx-end' |
        kx_check_shell "$3" >/dev/null 2>"$kx_errors" &
    kx_pid=$!
    wait "$kx_pid"
    kx_status=$?
    # what it left behind in its session must not hold the answer's pipe open
    kill -KILL "-$kx_pid" 2>/dev/null
    if [ -f "$kx_errors" ] && [ -s "$kx_errors" ]; then
        kx_tail=$(tail -c 2000 "$kx_errors")
        printf '%s F %s %s\n%s\n' "$kx_m" "$1" "${#kx_tail}" "$kx_tail" >&6
    fi
    printf '%s E %s %s 0\n\n' "$kx_m" "$1" "$kx_status" >&6
}

kx_check_shell() {
    if [ "$kx_mode" = unavailable ]; then ulimit -f 65536 2>/dev/null; fi
    if [ -z "$1" ]; then
        exec $kx_drop setsid sh -c "$kx_source"
    elif [ "$kx_uid" != 0 ]; then
        kx_meta='6>&1'
        [ -z "$kx_bare" ] || kx_meta='6>/dev/null'
        exec sudo -n -u "$1" -- sh -c "exec 3>&1 $kx_meta >/dev/null; $kx_evaluate" >&3
    elif command -v runuser >/dev/null; then
        exec $kx_drop runuser -u "$1" -- setsid sh -c "$kx_evaluate"
    else
        exec $kx_drop su -s /bin/sh "$1" -c "exec setsid sh -c '$kx_evaluate'"
    fi
}

# Ends everything else in this mount namespace: whatever the checks left behind.
kx_sweep() {
    [ -n "$kx_private" ] || return 0
    for kx_f in /proc/[0-9]*; do
        [ "$kx_f" != "/proc/$$" ] && [ "$kx_f/ns/mnt" -ef /proc/self/ns/mnt ] && kill -KILL "${kx_f#/proc/}"
    done 2>/dev/null
    [ "$kx_mode" != unavailable ] || rm -rf "$kx_scratch"
}
