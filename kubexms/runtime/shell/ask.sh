# The asking shell: answers all fragments, one after the other. A second process reads what the
# controller sends meanwhile: the pid of a fragment whose time is over; at the end of the channel it ends all.
kx_watch() {
    while read -r kx_line; do kx_end KILL "$kx_line"; done
    kx_end KILL $$
}

kx_start() {
    exec 3>&1 4<&0 </dev/null >/dev/null
    exec 6>&3
    umask 077
    cd /
    for TMPDIR in /dev/shm /run /tmp; do [ -w "$TMPDIR" ] && break; done
    export TMPDIR
    # by exec: a redirection of a function leaves copies of the descriptors open in the shell
    (
        exec 2>/dev/null 3>&- 6>&-
        kx_watch
    ) <&4 &
    kx_watcher=$!
    exec 4<&-
}

kx_stop() {
    kill "$kx_watcher"
    printf '%s z\n' "$kx_m" >&2
    printf '%s Z 0\n\n' "$kx_m" >&3
}
