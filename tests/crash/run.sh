#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Crash images from several seeds, the error sweep, the sweep over a real quorated, and damage done to its files, side by side. What was done goes
# into build/results/crash.json as well.
# usage: run.sh BUILD_DIR IMAGES POINTS PARTS SWEEP_STEP; SEED: the first seed; SWEEP_FLAGS: for the sweeps
set -u
build=$1 images=$2 points=$3 parts=$4 step=$5 seed=${SEED:-1}
out=$(mktemp -d)
memory=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/quorate-crash-run.XXXXXX") # for the nodes' files
export TMPDIR=$memory
pids=()
finish() { # what still runs is ended by its pid
    [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
    rm -rf "$out" "$memory"
}
trap finish EXIT
trap 'exit 130' INT TERM
start() { # FILE COMMAND...
    local file=$1
    shift
    timeout 3000 "$@" >"$out/$file" 2>&1 &
    pids+=($!)
}
# shellcheck disable=SC2086
sweep() { # MODE FIRST STEP
    start "sweep-$1-$2" "$build/bin/sweep" "$1" --quorated "$build/bin/quorated" --shim "$build/lib/quorate-shim.so" \
        --kv "$build/bin/kv" --first "$2" --step "$3" ${SWEEP_FLAGS:-}
}
for ((i = 0; i < parts; i++)); do
    start "images-$i" "$build/bin/crash" images --seed $((seed + i)) --images $((images / parts))
done
start errors "$build/bin/crash" errors --seed "$seed" --points "$points" --quiet
start rot "$build/bin/rot" --quorated "$build/bin/quorated" --seed "$seed" --points $((step > 1 ? 48 : 400))
sweep image 1 $((step > 1 ? step : 2))
[ "$step" -gt 1 ] || sweep image 2 2
sweep restore 1 "$step"
for ((i = 0; i < 2; i++)); do sweep alone $((seed % step + 1 + i * step)) $((2 * step)); done
passed=0 failed=0
for pid in "${pids[@]}"; do
    if wait "$pid"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
cat "$out"/*
sum() { # PATTERN FIELD: over all lines that begin so
    cat "$out"/* | awk -v pattern="^$1" -v field="$2" '$0 ~ pattern { n += $field } END { print n + 0 }'
}
all_images=$(sum "crash images:" 3) alone=$(sum "crash points of a node alone:" 7) image=$(sum "crash points of a follower:" 6)
restore=$(sum "crash points of a restore:" 6)
errors=$(sum "errors:" 2)
rot=$(sed -n 's/^rot in .*: \([0-9]*\), .*/\1/p' "$out/rot" | awk '{ n += $1 } END { print n + 0 }')
unnoticed=$(sed -n 's/^rot in the state: .*, \([0-9]*\) unnoticed/\1/p' "$out/rot")
printf 'crash images in all: %d; disk errors: %d; crash points of a real node: %d alone, %d with an image, %d of a restore; damages: %d\n' \
    "$all_images" "$errors" "$alone" "$image" "$restore" "$rot"
mkdir -p build/results
printf '{"images":%d,"errors":%d,"points_alone":%d,"points_follower":%d,"points_restore":%d,"rot":%d,"rot_of_state_unnoticed":%d,"passed":%d,"failed":%d}\n' "$all_images" "$errors" \
    "$alone" "$image" "$restore" "$rot" "${unnoticed:-0}" "$passed" "$failed" >build/results/crash.json
if [ "$failed" -gt 0 ]; then
    mkdir -p build/failed
    rm -rf build/failed/crash
    cp -a "$memory" build/failed/crash && printf 'files of bad images: build/failed/crash\n'
fi
printf 'crash: %d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
