#!/bin/sh
# Adds this project to the environment of its packages. What it adds lies below LAYER as well, at its place in the image and alone:
# the small layer that a new version ships. The wheel is built without the network, by tools that have the hashes of their lock.
#   install-project.sh VENV LAYER [SOURCE]
set -eu
venv=$1
layer=$2
source=${3:-.}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/build"
pip="$work/build/bin/pip"
"$pip" install --quiet --no-cache-dir --require-hashes --only-binary=:all: -r "$source/deploy/locks/build.txt"
"$pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$source"

"$pip" --python "$venv/bin/python" install --quiet --no-cache-dir --no-deps --no-index --root "$layer" "$work"/learnfleet-*.whl
place=$("$venv/bin/python" -c 'import sys; print(sys.prefix)')
cp -a "$layer$place/." "$venv/"
"$pip" --python "$venv/bin/python" check
