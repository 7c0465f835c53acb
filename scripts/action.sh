#!/bin/bash
# The step of action.yml: installs rawtp beside the job's own Python, runs the command, keeps the reports.
set -euo pipefail

place=$(mktemp -d "${RUNNER_TEMP:?}/rawtp.XXXXXX")
if [ -z "${RAWTP_PROGRAM:-}" ]; then
    python3 -m venv "$place/venv"
    "$place/venv/bin/pip" --disable-pip-version-check install --quiet "${RAWTP_PACKAGE:?}"
    RAWTP_PROGRAM=$place/venv/bin/rawtp
fi
arguments=()
while IFS= read -r line; do
    [ -z "${line//[[:space:]]/}" ] || arguments+=("--fail-if=$line")
done <<<"${RAWTP_FAIL_IF:-}"
while IFS= read -r line; do
    [ -z "${line//[[:space:]]/}" ] || arguments+=("$line")
done <<<"${RAWTP_OPTIONS:-}"

# sudo keeps no environment by itself, and has a PATH of its own; the command is to have the job's.
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo --preserve-env env "PATH=$PATH")
code=0
"${root[@]}" "$RAWTP_PROGRAM" run --report "md=$place/report.md" --report "json=$place/report.json" \
    --report "sarif=$place/report.sarif" "${arguments[@]}" -- bash -e -o pipefail -c "${RAWTP_RUN:?}" || code=$?

if [ -s "$place/report.md" ]; then
    # The summary of a step has at most 1 MiB.
    head -c 1000000 "$place/report.md" >>"${GITHUB_STEP_SUMMARY:?}"
    echo "sarif=$place/report.sarif" >>"${GITHUB_OUTPUT:?}"
    echo "json=$place/report.json" >>"$GITHUB_OUTPUT"
fi
exit "$code"
