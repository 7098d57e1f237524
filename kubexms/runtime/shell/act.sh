# The acting shell: one per host and run. It reads one line at a time:
#
#   L ID LENGTH   then LENGTH bytes, evaluated here (the lock)
#   X ID LENGTH   then LENGTH bytes, evaluated in a worker, so that this shell goes on listening
#   K SIGNAL PID  end what runs
#   Q             end
#
# The controller sends nothing after a body before the answer to it has arrived, except K.

kx_start() {
    exec 3>&1 4<&0 </dev/null >/dev/null
    exec 6>&3
    umask 077
    cd /
    kx_state=${KUBEXMS_HOST_STATE:-}
    if [ -z "$kx_state" ]; then
        if [ "$kx_uid" = 0 ]; then kx_state=/var/lib/kubexms; else kx_state=$HOME/.local/state/kubexms; fi
    fi
    kx_dir=$kx_state/staging/$kx_m
    if ! mkdir -p "$kx_state/objects" "$kx_state/steps" "$kx_state/staging"; then
        kx_unwritable state
        exit 1
    fi
    (
        exec 3>&- 4<&- 6>&-
        kx_pacemaker
    ) &
    kx_pace=$!
    printf '%s H %s %s\n%s\n' "$kx_m" "$kx_uid" "${#kx_dir}" "$kx_dir" >&3
    kx_listen
    kx_finish
}

# Gives back the space of output that outgrows its limit, and says something now and then, so that a
# dead connection is noticed.
kx_pacemaker() {
    kx_ticks=0
    while { sleep 0.5 || sleep 1; } 2>/dev/null && kill -0 $$ 2>/dev/null; do
        kx_ticks=$((kx_ticks + 1))
        if [ "$kx_ticks" -ge 60 ]; then
            kx_ticks=0
            printf . >&2
        fi
        { read -r kx_pid <"$kx_dir/worker" && read -r kx_line <"/proc/$kx_pid/stat"; } 2>/dev/null || continue
        case $kx_line in *") "?" $$ "*) ;; *) continue ;; esac
        for kx_f in "/proc/$kx_pid/fd/5" "/proc/$kx_pid/fd/7"; do
            if [ -s "$kx_f" ]; then kx_limit "$kx_f" "$(wc -c <"$kx_f")"; fi
        done
    done
}

# kx_limit FILE SIZE: punches out all but the end, which loses nothing that counts. Where that cannot
# be done, a far larger file is cut, and its end kept aside.
kx_limit() {
    [ "$2" -gt 16777216 ] || return 0
    fallocate -p -o 0 -l $(($2 - 4194304)) "$1" 2>/dev/null && return
    [ "$2" -gt 268435456 ] || return 0
    tail -c "$kx_cap" <"$1" >"$kx_dir/kept${1##*/}"
    true >"$1"
}

kx_listen() {
    kx_worker=
    while read -r kx_word kx_a kx_b; do
        case $kx_word in
        [LX])
            kx_body=$(
                head -c "$kx_b"
                printf .
            )
            [ "${#kx_body}" -eq $((kx_b + 1)) ] || break
            [ -z "$kx_worker" ] || wait "$kx_worker"
            kx_worker=
            if [ "$kx_word" = L ]; then
                eval "${kx_body%.}"
                printf '%s D %s %s 0\n\n' "$kx_m" "$kx_a" "$?" >&3
            else
                {
                    trap 'printf "%s D %s %s 0\n\n" "$kx_m" "$kx_a" "$?" >&6' EXIT
                    eval "${kx_body%.}"
                } </dev/null 4<&- &
                kx_worker=$!
            fi
            kx_body=
            ;;
        K) kx_end "$kx_a" "$kx_b" ;;
        Q) break ;;
        esac
    done <&4
}

# At the end, also at the unexpected end of the channel: end what runs, let go of the host.
kx_finish() {
    exec 4<&- 3>/dev/null 6>/dev/null
    if [ -n "$kx_worker" ] && kill -0 "$kx_worker" 2>/dev/null; then
        kx_end TERM "$kx_worker"
        for kx_f in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 "$kx_worker" 2>/dev/null || break
            { sleep 0.2 || sleep 1; } 2>/dev/null
        done
        kx_end KILL "$kx_worker"
    fi
    kill "$kx_pace" 2>/dev/null
    kx_unlock
    rm -rf "$kx_dir"
}

# kx_observe TOKEN LINE: runs one fragment's line; its records go to kx_all and to the controller.
kx_observe() {
    kx_got=$(
        { eval "$2"; } 3>&1 >/dev/null 2>/dev/null
        printf .
    )
    kx_got=${kx_got%.}
    kx_all=$kx_all$kx_got
    printf '%s B %s%s %s\n%s\n' "$kx_m" "$kx_phase" "$1" "${#kx_got}" "$kx_got" >&6
}

# kx_exchange EXPECT USER RELEASE VERIFY
# The body has set kx_script and these functions: kx_probe, and kx_members, which calls "$1" OBJECT LINEAGE
# RELEASE STORE PATH... for each step that this exchange is for, and stops at the first that fails.
kx_exchange() {
    kx_expect=$1 kx_user=$2 kx_release=$3 kx_verify=$4
    kx_bare=1 kx_phase=B kx_all=
    kx_probe
    if [ -n "$kx_expect" ]; then
        kx_sum=$(printf %s "$kx_all" | sha256sum)
        [ "${kx_sum%% *}" = "$kx_expect" ] || return 0
    fi
    kx_members kx_unowned || return 0
    if ! kx_secure; then
        kx_unwritable save
        return 0
    fi
    kx_act
    if [ -n "$kx_release" ] && [ "$kx_status" = 0 ]; then kx_members kx_let_go; fi
    if [ -n "$kx_verify" ]; then
        kx_phase=A
        kx_probe
    fi
}

# fails, and says who it is, if another lineage owns the object
kx_unowned() {
    [ -n "$1" ] && [ -s "$kx_state/objects/$1" ] || return 0
    read -r kx_owner <"$kx_state/objects/$1"
    [ "$kx_owner" = "$2" ] && return
    printf '%s W X %s\n%s\n' "$kx_m" "${#kx_owner}" "$kx_owner" >&6
    return 1
}

kx_let_go() {
    rm -f -- "$kx_state/objects/$1"
    [ -z "$4" ] || rm -rf -- "$kx_state/steps/$4"
}

kx_sync() { sync "$@" 2>/dev/null || sync; }

# Takes the objects and saves what is at the paths. A copy counts only once its .path file is there, and that
# is written when the copy is on the disk: a crash in between must not make kubexms's own content the backup.
# kx_list holds names below $kx_state, in letters that need no quotes.
kx_secure() {
    kx_list=
    kx_members kx_missing
    if [ -n "$kx_list" ]; then (cd "$kx_state" && mkdir -p $kx_list) || return 1; fi
    kx_list= kx_copied= kx_marks=
    kx_members kx_copy || return 1
    if [ -n "$kx_copied" ]; then sync -f "$kx_state/steps" 2>/dev/null || sync; fi
    kx_members kx_mark || return 1
    [ -n "$kx_list" ] || return 0
    (cd "$kx_state" && kx_sync $kx_list ${kx_marks:+steps})
}

kx_missing() {
    if [ -n "$4" ] && [ ! -d "$kx_state/steps/$4" ]; then kx_list="$kx_list steps/$4"; fi
}

kx_copy() {
    if [ -n "$1" ] && [ -z "$3" ] && [ ! -s "$kx_state/objects/$1" ]; then
        printf '%s\n' "$2" >"$kx_state/objects/$1" || return 1
        kx_list="$kx_list objects/$1"
    fi
    kx_store=$4
    shift 4
    kx_index=0
    for kx_path in "$@"; do
        kx_f=$kx_state/steps/$kx_store/$kx_index
        kx_index=$((kx_index + 1))
        kx_saved && continue
        if [ -e "$kx_f" ] || [ -L "$kx_f" ] || [ -e "$kx_f.path" ]; then rm -rf -- "$kx_f" "$kx_f.path"; fi
        if [ -e "$kx_path" ] || [ -L "$kx_path" ]; then
            cp -a -- "$kx_path" "$kx_f" || return 1
            kx_copied=1
        fi
    done
}

# whether the copy kx_f is of kx_path, and counts
kx_saved() {
    [ -f "$kx_f.path" ] || return
    IFS= read -r kx_line <"$kx_f.path"
    [ "$kx_line" = "$kx_path" ] || [ "$(cat "$kx_f.path")" = "$kx_path" ]
}

kx_mark() {
    kx_store=$4
    shift 4
    kx_index=0
    for kx_path in "$@"; do
        kx_f=$kx_state/steps/$kx_store/$kx_index
        if ! kx_saved; then
            printf %s "$kx_path" >"$kx_f.path" || return 1
            kx_list="$kx_list steps/$kx_store/$kx_index.path steps/$kx_store"
            kx_marks=1
        fi
        kx_index=$((kx_index + 1))
    done
}

kx_act() {
    exec 5>>"$kx_dir/o$kx_a" 7>>"$kx_dir/e$kx_a" 8>>"$kx_dir/v$kx_a"
    rm -f -- "$kx_dir/o$kx_a" "$kx_dir/e$kx_a" "$kx_dir/v$kx_a" 5>&- 6>&- 7>&- 8>&- 9>&- &
    export KX_BACKUP
    printf '%s\n' "$kx_script" | kx_action_shell >&5 2>&7 3>&- 4<&- 5>&- 6>&- 7>&- &
    kx_pid=$!
    read -r kx_me kx_rest </proc/self/stat
    printf '%s\n' "$kx_me" >"$kx_dir/worker"
    # of the run's own shell only: what works beside it is not what a lost run is ended by
    [ -z "$kx_mine" ] || printf '%s\n' "$kx_pid" >"$kx_state/running"
    printf '%s S X %s 0\n\n' "$kx_m" "$kx_pid" >&6
    wait "$kx_pid"
    kx_status=$?
    true >"$kx_dir/worker"
    printf '%s T X %s 0\n\n' "$kx_m" "$kx_status" >&6
    for kx_f in 5 7 8; do
        [ -s "/proc/self/fd/$kx_f" ] || [ -e "$kx_dir/kept$kx_f" ] || continue
        printf '%s O %s ~\n' "$kx_m" "$kx_f" >&6
        if [ -e "$kx_dir/kept$kx_f" ]; then
            cat "$kx_dir/kept$kx_f" - <"/proc/self/fd/$kx_f" | tail -c "$kx_cap" >&6
            rm -f "$kx_dir/kept$kx_f"
        else
            tail -c "$kx_cap" <"/proc/self/fd/$kx_f" >&6
        fi
    done
    exec 5>&- 7>&- 8>&-
}

kx_action_shell() {
    if [ -z "$kx_user" ]; then
        exec setsid sh -c "$kx_source"
    elif [ "$kx_uid" != 0 ]; then
        exec setsid sudo -n -u "$kx_user" -- sh -c "$kx_evaluate"
    elif command -v runuser >/dev/null; then
        exec setsid runuser -u "$kx_user" -- sh -c "$kx_evaluate"
    else
        exec setsid su -s /bin/sh "$kx_user" -c "$kx_evaluate"
    fi
}
