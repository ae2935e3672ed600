#!/bin/sh
# The user that images run as, and the folders that volumes are mounted on. The number is what Kubernetes is told. With ROOT all
# of it is below that folder, which has an etc of its own (`make image-user`).
#   add-user.sh [ROOT]
set -eu
root=${1:-}
groupadd ${root:+--prefix "$root"} --gid 10001 learnfleet
useradd ${root:+--prefix "$root"} --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin learnfleet
install -d -o 10001 -g 10001 "$root/var/lib/learnfleet" "$root/var/lib/learnfleet-store"
install -d "$root/datasets" "$root/etc/learnfleet"
