#!/bin/sh
# Writes deploy/locks/*.txt: what the images install, each file with its version and its SHA-256 (`make lock`).
#
# Versions are those of the virtual environment that the tests run in. PyPI's torch for Linux brings CUDA, also for the
# image without it; where PyTorch's own index can be reached, TORCH_INDEX=https://download.pytorch.org/whl/cpu makes a
# worker-cpu.txt of a tenth of the size.
set -eu
uv=$1/bin/uv
tested=$2/bin/python
python=3.11
platform=x86_64-manylinux_2_28
tested_versions=build/tested-versions.txt  # the same name each time: it stands in the locks
mkdir -p build
"$uv" pip freeze --quiet --python "$tested" | grep == | grep -v '^-e' >"$tested_versions"

lock() { # name, then what uv is to be told more
    name=$1
    shift
    "$uv" pip compile --quiet --generate-hashes --only-binary=:all: --no-emit-package=learnfleet --no-header \
        --python-version="$python" --python-platform="$platform" --constraints="$tested_versions" \
        --output-file="deploy/locks/$name.txt" "$@"
    echo "deploy/locks/$name.txt: $(grep -c == "deploy/locks/$name.txt") packages"
}

lock server pyproject.toml --extra=server --extra=mlflow-users --extra=postgres --extra=tracing
lock worker-cuda pyproject.toml --extra=worker --extra=pytorchcv --extra=tracing
lock worker-cpu pyproject.toml --extra=worker --extra=pytorchcv --extra=tracing ${TORCH_INDEX:+--index="$TORCH_INDEX"}
lock build deploy/supply/build.in
lock supply deploy/supply/supply.in
