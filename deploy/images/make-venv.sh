#!/bin/sh
# Makes a virtual environment of a lock file and this project (`make image-server` does the same outside of a container).
# Every file that is installed has the hash that the lock says; the project's own wheel is built without the network.
#   make-venv.sh LOCK VENV [SOURCE]
set -eu
lock=$1
venv=$2
source=${3:-.}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/build"
"$work/build/bin/pip" install --quiet --no-cache-dir --require-hashes --only-binary=:all: -r "$source/deploy/locks/build.txt"
"$work/build/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$source"

"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir --require-hashes --only-binary=:all: -r "$lock"
"$venv/bin/pip" install --quiet --no-cache-dir --no-deps --no-index "$work"/learnfleet-*.whl
"$venv/bin/pip" check
# Nothing is installed in a container that runs.
"$venv/bin/pip" uninstall --quiet --yes pip
