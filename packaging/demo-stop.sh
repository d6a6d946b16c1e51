#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Stops a demo that was left running, and removes what it made.
cd "$(dirname "$0")/.." || exit 2
. tests/support/cluster.sh
if [ "$(id -u)" -eq 0 ]; then DIR=/var/tmp/quorate-demo; else DIR=/var/tmp/quorate-demo-$(id -un); fi
DIR=${DEMO_DIR:-$DIR}
[ -d "$DIR" ] || { echo "no demo runs under $DIR"; exit 0; }
demo_is_ours "$DIR" || die "$DIR was not made by the demo; nothing was stopped or removed"
cluster_stop
rm -rf "$DIR"
echo "stopped, and $DIR removed"
