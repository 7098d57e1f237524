# emit STATUS TEXT: one record. It ends the fragment where the answer would outgrow its cap.
emit() {
    kx_sum=$((kx_sum + ${#2} + 16))
    if [ "$kx_sum" -gt "$kx_cap" ]; then
        printf '%sX 0\n\n' "$kx_pre" >&3
        exit 1
    fi
    printf '%s%s %s\n%s\n' "$kx_pre" "$1" "${#2}" "$2" >&3
}
