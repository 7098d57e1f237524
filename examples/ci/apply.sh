#!/bin/sh
# apply.sh PROJECT [OPTION...]   apply the plan that was reviewed, or refuse
#
# Run in the repository, after plan.sh has planned the same documents. The digest that is applied is the one in
# the comment that was reviewed. Options go to `kubexms apply`: --resume after a run that was cut off.
set -eu
project=$1
shift
plan=$(cd "$KUBEXMS_PLANS" && pwd)/$(git -C "$project" rev-parse HEAD:./).kxp
if [ ! -e "$plan" ]; then
    echo "Error: these documents have not been planned" >&2
    echo "Something else was merged in between. Plan the branch again, on top of it, and have that reviewed." >&2
    exit 1
fi

kubexms -C "$project" show --format markdown "$plan" >comment.md
digest=$(python3 "$(dirname "$0")/comment.py" digest comment.md)
kubexms -C "$project" apply --lock-timeout 30m --digest "$digest" "$@" "$plan"
