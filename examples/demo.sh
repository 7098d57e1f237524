#!/usr/bin/env bash
# demo.sh   the main job for real: plan, apply, an empty plan, drift found and repaired, destroy.
#           First on this machine without root, in a temporary directory; then over SSH on throwaway hosts,
#           where this machine allows it. Ends non-zero as soon as one stage is not what it promises.
#           Nothing stays behind: neither files nor hosts nor state.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(dirname "$here")
cd "$checkout" || exit 1
export NO_COLOR="${NO_COLOR-1}" CI=
work=$(mktemp -d)
fleet=demo$$
booted=

cleanup() {
    [ -z "$booted" ] || python3 -m tests.e2e.testbed --name "$fleet" down >/dev/null 2>&1
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

part() { printf '\n==== %s ====\n\n' "$1"; }
say() { printf '%s\n' "-- $1"; }
broken() { printf '\nThe demonstration failed: %s\n' "$1" >&2; exit 1; }

# run WHAT CODE COMMAND...   show a command and what it prints; its exit code must be CODE
run() {
    local what=$1 expected=$2 got=0
    shift 2
    printf '\n$ kubexms %s\n' "$*"
    "${kubexms[@]}" -C "$project" "$@" </dev/null 2>&1 | tee "$work/output" | sed 's/^/    /'
    got=${PIPESTATUS[0]}
    [ "$got" = "$expected" ] || broken "$what: exit code $got instead of $expected"
    echo
}

# said TEXT   the last command printed TEXT
said() { grep -qF -- "$1" "$work/output" || broken "the output does not say '$1'"; }

# tour VANDALISE CHECK RESTORED GONE   the five stages; the arguments are commands
tour() {
    local vandalise=$1 wrong=$2 repaired=$3 gone=$4
    say "What would change? Nothing is touched: each host is asked once, read-only."
    run "the first plan" 2 plan --detailed-exitcode --out "$work/first.kxp" "${variables[@]}"
    say "Do exactly that plan, or refuse if a host has moved since. Every step is verified after it has run."
    run "apply" 0 apply --auto-approve "$work/first.kxp"
    said "Apply complete!"
    say "A plan now has to be empty: what was applied is what was promised."
    run "the plan after apply" 0 plan --detailed-exitcode "${variables[@]}"
    said "No changes. Your infrastructure matches the configuration."
    say "$wrong"
    eval "$vandalise" || broken "could not change a file"
    say "Cron would have found it: drift prints nothing while all is well, and exits with 2 when it is not."
    run "drift" 2 drift "${variables[@]}"
    say "Apply puts back what was changed, and only that."
    run "the repair" 0 apply --auto-approve "${variables[@]}"
    eval "$repaired" || broken "the repair did not put the file back"
    run "drift after the repair" 0 drift "${variables[@]}"
    [ ! -s "$work/output" ] || broken "drift is not silent after the repair"
    say "Silence: no drift. And away with everything; what was there before comes back."
    run "destroy" 0 destroy --auto-approve "${variables[@]}"
    eval "$gone" || broken "destroy left something behind"
    say "The hosts are as they were."
}

on_this_machine() {
    part "On this machine, without root"
    kubexms=(kubexms)
    project=$work/quickstart
    target=$work/site
    variables=(--var "target=$target")
    cp -r "$here/quickstart" "$project" && rm -rf "$project/state"
    say "The project is examples/quickstart: seven steps that keep a small site in $(basename "$target")/."
    tour "echo 'level = debug' >>'$target/site.conf'" \
        "Somebody edits a file behind its back: echo 'level = debug' >>site.conf" \
        "! grep -q debug '$target/site.conf'" \
        "[ ! -e '$target' ]"
}

on_hosts() {
    part "Over SSH, on three throwaway hosts"
    local reason
    reason=$(python3 -c 'from tests.e2e.testbed import missing; print(missing() or "")' 2>&1) ||
        reason="the test bed cannot be used: $(printf '%s' "$reason" | tail -1)"
    if [ -n "$reason" ]; then
        say "Skipped: $reason."
        return 0
    fi
    say "Booting three hosts with systemd and sshd in a network of their own."
    booted=yes
    python3 -m tests.e2e.testbed --name "$fleet" up 3 >"$work/hosts" || broken "the hosts did not come up"
    project=$work/three-hosts
    cp -r "$here/three-hosts" "$project" && rm -rf "$project/state"
    kubexms=(python3 -m tests.e2e.testbed --name "$fleet" exec kubexms)
    variables=()
    ssh_config >"$project/ssh_config" || broken "the hosts' addresses are unknown"
    say "The project is examples/three-hosts; only its ssh_config has other addresses."
    run "hosts" 0 hosts
    tour "python3 -m tests.e2e.testbed --name $fleet run 1 'echo PORT=9999 >>/etc/orders/web.conf'" \
        "On web1 somebody appends PORT=9999 to /etc/orders/web.conf." \
        "! python3 -m tests.e2e.testbed --name $fleet run 1 'grep 9999 /etc/orders/web.conf'" \
        "! python3 -m tests.e2e.testbed --name $fleet run 1 'ls -d /etc/orders /usr/local/bin/orders-web 2>/dev/null'"
}

# The throwaway hosts' addresses in place of the example's.
ssh_config() {
    local names=(web1 web2 db1) key known i=0 address
    key=$(python3 -m tests.e2e.testbed --name "$fleet" paths | sed -n 's/^key //p')
    known=$(python3 -m tests.e2e.testbed --name "$fleet" paths | sed -n 's/^known_hosts //p')
    while read -r _ address; do
        printf 'Host %s\n    HostName %s\n' "${names[$i]}" "$address"
        i=$((i + 1))
    done <"$work/hosts"
    printf 'Host *\n    User root\n    IdentityFile %s\n    UserKnownHostsFile %s\n' "$key" "$known"
    [ "$i" = 3 ]
}

command -v kubexms >/dev/null || { echo "kubexms is not on the PATH: run \`make demo\`, or install it" >&2; exit 1; }
on_this_machine
on_hosts
part "Done"
say "Next: \`kubexms init DIRECTORY\` writes a project of your own; docs/getting-started.md explains it."
