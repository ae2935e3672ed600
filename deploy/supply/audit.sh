#!/bin/sh
# Known vulnerabilities of the locked packages (`make audit`). It asks PyPI and fails where PyPI does not answer: silence
# is no clean bill. What was looked at and is to be let through goes into deploy/supply/accepted.txt, an id a line.
set -eu
tools=$1
ignored=$(sed -nE 's/^([A-Z]+-[^[:space:]]+).*/--ignore-vuln=\1/p' deploy/supply/accepted.txt)
bad=0
for name in server worker-cpu worker-cuda build; do
    echo "deploy/locks/$name.txt"
    # shellcheck disable=SC2086
    "$tools/bin/pip-audit" --progress-spinner=off --strict --require-hashes --disable-pip $ignored \
        --requirement="deploy/locks/$name.txt" || bad=1
done
exit $bad
