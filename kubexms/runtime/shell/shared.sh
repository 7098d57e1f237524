# Loaded into every shell that answers: the asking shell, the acting shell and the shells nested in them.
#
# kx_m      the marker of this channel's frames
# kx_phase  B or A in an exchange (before, after), empty while asking
# kx_bare   not empty: records are written to fd 3 as canonical bytes, without a frame around them
# fd 3      takes the records; fd 6 takes every other frame

kx_evaluate='kx_text=$(cat); case $kx_text in *"#kx-end") eval "$kx_text" ;; *) exit 125 ;; esac'
# the same without a process more, for a shell of the same user: another one may not open the pipe again
kx_source='. /proc/self/fd/0'

kx_prefix() {
    if [ -n "$kx_bare" ]; then kx_pre=; else kx_pre="$kx_m R $1 "; fi
}

# kx_fragment TOKEN CAP SCRIPT: trusted fragments cost one fork. What a subshell cannot tell
# portably is its own pid; /proc/self can.
kx_fragment() {
    printf '%s %s\n' "$kx_m" "$1" >&2
    (
        kx_prefix "$1"
        kx_cap=$2 kx_sum=0 kx_script=$3
        read -r kx_pid kx_rest </proc/self/stat
        printf '%s S %s %s 0\n\n' "$kx_m" "$1" "$kx_pid" >&6
        set --
        eval "$kx_script"
    )
    kx_status=$?
    [ -n "$kx_bare" ] || printf '%s E %s %s 0\n\n' "$kx_m" "$1" "$kx_status" >&6
}

# kx_nested_text LINE...: the text that a nested shell evaluates.
kx_nested_text() {
    printf '%s\n' 'exec </dev/null' "kx_m='$kx_m' kx_phase='$kx_phase' kx_bare='$kx_bare' kx_uid='$kx_uid'" \
        "$kx_quoted" 'eval "$kx_emit"' "$kx_shared" "$@" '#kx-end'
}

# kx_as USER: a shell of that user evaluates the text on stdin. sudo closes descriptors above 2.
kx_as() {
    if [ "$kx_uid" != 0 ]; then
        sudo -n -u "$1" -- sh -c "$kx_evaluate"
    elif command -v runuser >/dev/null; then
        runuser -u "$1" -- sh -c "$kx_evaluate"
    else
        su -s /bin/sh "$1" -c "$kx_evaluate"
    fi
}

# kx_fragments_as USER TEXT
kx_fragments_as() {
    kx_nested_text 'exec 3>&1 >/dev/null' \
        '[ -n "$kx_bare" ] || exec 6>&3; { : >&6; } 2>/dev/null || exec 6>/dev/null' 'cd /' "$2" |
        kx_as "$1" >&3
}

# kx_tree PID: kx_found becomes " PID CHILD ... ", everything that descends from PID.
kx_tree() {
    kx_pairs=
    for kx_f in /proc/[0-9]*/stat; do
        { read -r kx_line <"$kx_f"; } 2>/dev/null || continue
        kx_rest=${kx_line##*) }
        kx_rest=${kx_rest#* }
        kx_pairs="$kx_pairs ${kx_line%% *}:${kx_rest%% *}"
    done
    kx_found=" $1 "
    kx_more=1
    while [ -n "$kx_more" ]; do
        kx_more=
        for kx_f in $kx_pairs; do
            case $kx_found in *" ${kx_f#*:} "*) ;; *) continue ;; esac
            case $kx_found in *" ${kx_f%:*} "*) continue ;; esac
            kx_found="$kx_found${kx_f%:*} "
            kx_more=1
        done
    done
}

# kx_end SIGNAL PID: ends PID, what descends from it, and the groups that any of them leads;
# never this shell itself. All of them are stopped first: otherwise a child born meanwhile would be
# missed, and a script whose present command is ended would go on to its next one.
kx_end() {
    read -r kx_me kx_rest </proc/self/stat
    kx_tree "$2"
    kx_before=
    while [ "$kx_found" != "$kx_before" ]; do
        kx_before=$kx_found
        kx_signal STOP
        kx_tree "$2"
    done
    kx_signal "$1"
    [ "$1" = KILL ] || kx_signal CONT
}

# kx_signal SIGNAL: to all of kx_found, and the groups that any of them leads, but not to kx_me. Children
# come first: once their parent is gone, this shell may be told that its work is over.
kx_signal() {
    kx_last=
    for kx_f in $kx_found; do kx_last="$kx_f $kx_last"; done
    for kx_f in $kx_last; do
        [ "$kx_f" != "$kx_me" ] || continue
        [ "$1" = STOP ] || kill "-$1" "-$kx_f"
        kill "-$1" "$kx_f"
    done 2>/dev/null
}
