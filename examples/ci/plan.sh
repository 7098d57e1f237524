#!/bin/sh
# plan.sh PROJECT [OPTION...]   plan what is checked out, keep the plan for apply.sh, write what is reviewed
#
# Run in the repository. Options go to `kubexms plan`: -e prod, --untrusted. Needs KUBEXMS_PLANS, a directory
# that outlives the job. The plan is kept under the git tree of PROJECT: apply.sh finds it again where exactly
# these documents are merged, however they are merged. Leaves comment.md, and on GitLab plan.json.
set -eu
project=$1
shift
umask 077
mkdir -p "$KUBEXMS_PLANS"
plan=$(cd "$KUBEXMS_PLANS" && pwd)/$(git -C "$project" rev-parse HEAD:./).kxp

kubexms -C "$project" plan --out "$plan" "$@"
kubexms -C "$project" show --format markdown "$plan" >comment.md
if [ -n "${GITHUB_ACTIONS:-}" ]; then kubexms -C "$project" show --format github "$plan"; fi
if [ -n "${GITLAB_CI:-}" ]; then kubexms -C "$project" show --format gitlab "$plan" >plan.json; fi
