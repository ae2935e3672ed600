#!/bin/sh
# The user that images run as, and the folders that volumes are mounted on. The number is what Kubernetes is told.
set -eu
groupadd --gid 10001 learnfleet
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin learnfleet
install -d -o 10001 -g 10001 /var/lib/learnfleet /var/lib/learnfleet-store
install -d /datasets /etc/learnfleet
