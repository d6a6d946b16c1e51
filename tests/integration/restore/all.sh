#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All scenarios of this folder at once: two of them wait a minute for leases of a quorum that is gone. usage: all.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
out=$(mktemp -d "${TMPDIR:-/tmp}/quorate-restores.XXXXXX")
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}" 2>/dev/null; rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
for part in run forced; do
    bash "tests/integration/restore/$part.sh" >"$out/$part" 2>&1 &
    pids+=($!)
done
failed=0
for part in damage docs; do bash "tests/integration/restore/$part.sh" || failed=1; done
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
pids=()
cat "$out/run" "$out/forced"
[ "$failed" -eq 0 ]
