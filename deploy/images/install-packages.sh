#!/bin/sh
# A virtual environment with the packages of a lock file and nothing else: an image's large layer, which is the same as long as
# the lock is. Every file that is installed has the hash that the lock says.
#   install-packages.sh LOCK VENV
set -eu
lock=$1
venv=$2
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# By the pip of another environment: this one has none, as nothing is installed in a container that runs.
"$python" -m venv "$work/pip"
"$python" -m venv --without-pip "$venv"
"$work/pip/bin/pip" --python "$venv/bin/python" install --quiet --no-cache-dir --require-hashes --only-binary=:all: -r "$lock"
