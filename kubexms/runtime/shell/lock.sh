# The host's own lock: a file that names the run. The acting shell holds it on descriptor 9, and what
# it starts inherits that; services are started by the init system and so do not.

# kx_stat PID: kx_session and kx_born of a process; fails if there is none, or only its remains.
kx_stat() {
    kx_session= kx_born=
    { read -r kx_line <"/proc/$1/stat"; } 2>/dev/null || return 1
    set -- ${kx_line##*) }
    [ "$1" != Z ] || return 1
    kx_session=$4 kx_born=${20}
}

# kx_lock RUN ACTOR PLAN LINEAGE
kx_lock() {
    if command -v flock >/dev/null; then
        kx_lock_file=$kx_state/lock
        # a redirection that fails ends the shell if it is exec's, and not if it is true's
        true >>"$kx_lock_file" || { kx_unwritable lock; return 1; }
        exec 9>>"$kx_lock_file"
        if flock -n 9 && [ /proc/self/fd/9 -ef "$kx_lock_file" ]; then
            kx_locked "$@"
            return
        fi
    else
        kx_lock_file=$kx_state/lock.d/lock
        if mkdir "$kx_state/lock.d" 2>/dev/null; then
            exec 9>>"$kx_lock_file"
            kx_locked "$@"
            return
        fi
        [ -w "$kx_state" ] || { kx_unwritable lock; return 1; }
    fi
    exec 9>&-
    kx_held=$(cat "$kx_lock_file" 2>/dev/null)
    kx_holder
    printf '%s N busy %s\n%s\n' "$kx_m" "${#kx_held}" "$kx_held" >&3
    return 1
}

kx_locked() {
    kx_stat $$
    printf 'run=%s\nactor=%s\nplan=%s\nlineage=%s\npid=%s\nborn=%s\nsession=%s\nsince=%s\n' \
        "$1" "$2" "$3" "$4" "$$" "$kx_born" "$kx_session" "$(date +%s)" >"$kx_lock_file" &&
        mkdir -p "$kx_dir" || {
        kx_unwritable lock
        rm -rf "$kx_lock_file" "$kx_state/lock.d"
        exec 9>&-
        return 1
    }
    kx_mine=1
    # what an earlier run could not clear away
    for kx_f in "$kx_state"/staging/*; do
        [ "$kx_f" = "$kx_dir" ] || rm -rf -- "$kx_f"
    done
    if command -v logger >/dev/null; then
        logger -t kubexms "apply run=$1 actor=$2 plan=$3 lineage=$4" </dev/null 9>&- &
    fi 2>/dev/null
    return 0
}

# kx_unwritable WHAT: tells the controller; on the channel, since what is on standard error may come later
kx_unwritable() {
    kx_f=$kx_state
    while ! [ -d "$kx_f" ] && [ -n "$kx_f" ]; do kx_f=${kx_f%/*}; done
    kx_f=$(df -Pk "${kx_f:-/}" 2>/dev/null | awk 'END { print $4 }')
    kx_f="kubexms cannot write below $kx_state on this host; its file system has $kx_f KiB left"
    printf '%s ! %s %s\n%s\n' "$kx_m" "$1" "${#kx_f}" "$kx_f" >&6
}

# Is the holder still there? If its shell is gone, what it had started is ended, and the lock is free.
kx_holder() {
    kx_pid= kx_old_born= kx_old_session=
    while IFS='=' read -r kx_key kx_value; do
        case $kx_key in
        pid) kx_pid=$kx_value ;;
        born) kx_old_born=$kx_value ;;
        session) kx_old_session=$kx_value ;;
        esac
    done <"$kx_lock_file"
    # held, but not written yet: somebody has just taken it
    [ -n "$kx_old_session" ] || return 0
    if kx_stat "$kx_pid" && [ "$kx_born" = "$kx_old_born" ]; then return 0; fi
    kx_running=
    { read -r kx_running <"$kx_state/running"; } 2>/dev/null
    # stopped first: a script whose present command is ended must not go on to its next one
    for kx_with in STOP TERM CONT KILL; do
        kx_left=
        for kx_f in /proc/[0-9]*; do
            [ "$kx_f/fd/9" -ef "$kx_lock_file" ] && kx_stat "${kx_f#/proc/}" || continue
            case $kx_session in "$kx_old_session" | "$kx_running") ;; *) continue ;; esac
            kill "-$kx_with" "${kx_f#/proc/}" && kx_left=1
        done 2>/dev/null
        [ -n "$kx_left" ] || break
        case $kx_with in STOP | TERM) continue ;; esac
        { sleep 0.5 || sleep 1; } 2>/dev/null
    done
    # a daemon that an action left behind may still hold the old file open: the name is what counts
    rm -rf "$kx_lock_file" "$kx_state/lock.d"
}

kx_unlock() {
    [ -n "$kx_mine" ] || return 0
    [ /proc/self/fd/9 -ef "$kx_lock_file" ] && rm -rf "$kx_lock_file" "$kx_state/lock.d"
    exec 9>&-
    kx_mine=
}
