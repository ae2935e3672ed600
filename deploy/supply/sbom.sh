#!/bin/sh
# Writes a bill of materials of each image's Python packages, CycloneDX 1.6 (`make sbom`). It reads the locks: no network.
set -eu
tools=$1
out=${2:-dist/sbom}
mkdir -p "$out"
for name in server worker-cpu worker-cuda; do
    "$tools/bin/cyclonedx-py" requirements --spec-version=1.6 --output-reproducible --pyproject=pyproject.toml \
        --output-format=JSON --output-file="$out/$name.json" "deploy/locks/$name.txt"
    echo "$out/$name.json"
done
