#!/bin/sh
# Fails where a locked package has a licence that deploy/supply/allowed-licences.txt does not name (`make licences`).
#   licences.sh TOOLS VENV   (VENV: what pip installed, of which the locked packages are looked at)
set -eu
tools=$1
venv=$2
here=deploy/supply
names() { sed -nE 's/^([A-Za-z0-9._-]+)==.*/\1/p' deploy/locks/server.txt deploy/locks/worker-cpu.txt | sort -u; }
allowed=$(grep -vE '^(#|$)' "$here/allowed-licences.txt" | paste -sd';' -)
known=$(sed -nE 's/^([A-Za-z0-9._-]+)[[:space:]].*/\1/p' "$here/looked-at.txt")
# shellcheck disable=SC2046,SC2086
"$tools/bin/pip-licenses" --python="$venv/bin/python" --from=mixed --packages $(names) \
    --ignore-packages $known --allow-only="$allowed" --format=markdown
