#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proves that the simulator can fail: every planted bug of base/canary.h must break a named invariant.
# usage: canaries.sh BUILD_OF_VARIANT_CANARY RESULT_JSON [UNIT_TEST...]
# One that the simulated disk cannot show is caught by the crash images. The unit tests named switch bugs of theirs on
# and off themselves, which only this build can; they must pass.
# A bug counts as caught when an invariant fails (an assertion does not count), the same seed fails again in
# the same way, and that seed passes without the bug. The checkers cannot see which bug is on.
set -u
build=$1 sim=$1/bin/sim result=$2
shift 2
seeds_max=${CANARY_SEEDS:-400} seconds_max=${CANARY_SECONDS:-120}
mkdir -p "$(dirname "$result")"
rm -f "$result"
caught=0 survived=0 rows="" top=0

# The rules of Raft and of the key-value store show faster without databases.
flags_of() {
    case $1 in
    continue-after-failed-sync | snapshot-omits-table | vote-not-persisted | ack-before-flush) echo "--kv-only" ;;
    commit-older-term | skip-log-matching | read-index-over-leader-change | no-pre-vote) echo "--kv-only" ;;
    quorum-of-old-configuration | read-without-confirmation | retry-applied-twice | compare-at-propose) echo "--kv-only" ;;
    early-tombstone-drop | expire-on-waking | watch-skips-revision) echo "--kv-only" ;;
    restored-record-trusted) echo "--restore" ;;
    *) echo "" ;;
    esac
}

# "env TEST": fails when the variable names the bug, and passes without. Empty: the simulator.
checker_of() {
    case $1 in
    nometasync-while-acking) echo "env crash" ;;
    *) ;;
    esac
}
run_test() { # a unit test, or the crash images
    if [ "$1" = crash ]; then
        timeout "$seconds_max" "$build/bin/crash" images --images 100
    else
        timeout "$seconds_max" "$build/test/$1"
    fi
}
declare -A passes=()
passes_without() { # TEST, each once
    [ -n "${passes[$1]:-}" ] || { run_test "$1" >/dev/null 2>&1 && passes[$1]=yes || passes[$1]=no; }
    [ "${passes[$1]}" = yes ]
}
by_test() { # ID MODE TEST: the verdict
    if ! passes_without "$3"; then
        echo "$3 FAILS without the bug, too"
    elif [ "$2" = env ] && QUORATE_CANARY=$1 run_test "$3" >/dev/null 2>&1; then
        echo "SURVIVED $3"
    else
        echo caught
    fi
}

failure() { # canary, seed, count, flags: the line with the invariant's name
    # shellcheck disable=SC2086
    QUORATE_CANARY=$1 timeout "$seconds_max" "$sim" --seed "$2" --count "$3" --quiet $4 2>&1 | grep '^FAILED '
}

ids=$("$sim" --canaries) || exit 1
for id in $ids; do
    read -r mode checker <<<"$(checker_of "$id")"
    if [ -n "$mode" ]; then
        start=$(date +%s.%N)
        verdict=$(by_test "$id" "$mode" "$checker")
        seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }')
        if [ "$verdict" = caught ]; then
            caught=$((caught + 1))
            rows="$rows${rows:+, }\"$id\": {\"caught_by\": [\"$checker\"], \"seconds_to_catch\": $seconds}"
        else
            survived=$((survived + 1))
            rows="$rows${rows:+, }\"$id\": {\"caught_by\": []}"
        fi
        printf '%-28s %s by %s, %s s\n' "$id" "$verdict" "$checker" "$seconds"
        continue
    fi
    flags=$(flags_of "$id")
    start=$(date +%s.%N)
    first=$(failure "$id" 1 "$seeds_max" "$flags")
    seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }')
    seed=$(sed -n 's/.* seed \([0-9]*\),.*/\1/p' <<<"$first")
    name=$(sed -n 's/^FAILED \([a-z-]*\):.*/\1/p' <<<"$first")
    verdict=caught
    if [ -z "$seed" ]; then
        verdict="SURVIVED $seeds_max seeds"
    elif [ "$name" = no-assertion ]; then
        verdict="met an assertion only"
    elif [ "$(failure "$id" "$seed" 1 "$flags")" != "$first" ]; then
        verdict="NOT the same a second time"
    elif [ -n "$(failure "" "$seed" 1 "$flags")" ]; then
        verdict="FAILS without the bug, too"
    fi
    if [ "$verdict" = caught ]; then
        caught=$((caught + 1))
        [ "$seed" -gt "$top" ] && top=$seed
        rows="$rows${rows:+, }\"$id\": {\"caught_by\": [\"sim\"], \"invariant\": \"$name\", \"seed\": $seed, \"seconds_to_catch\": $seconds}"
    else
        survived=$((survived + 1))
        rows="$rows${rows:+, }\"$id\": {\"caught_by\": []}"
    fi
    printf '%-28s %s%s\n' "$id" "$verdict" "${seed:+ by $name, seed $seed, $seconds s}"
done

control=clean
[ "$top" -gt 40 ] && top=40
if [ "$top" -gt 0 ] && ! "$sim" --seed 1 --count "$top" --quiet >/dev/null 2>&1; then
    control=violated
    survived=$((survived + 1))
fi
printf 'control: %d seeds without a planted bug: %s\n' "$top" "$control"
for test; do
    if ! timeout "$seconds_max" "$build/test/$test" >/dev/null 2>&1; then
        survived=$((survived + 1))
        printf '%-28s FAILS, or does not see a bug that it switches on itself\n' "$test"
    fi
done
printf '{"control": "%s", "canaries": {%s}}\n' "$control" "$rows" >"$result"
printf 'canaries: %d passed, %d failed, 0 skipped\n' "$caught" "$survived"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$caught $survived 0" >>"$QUORATE_COUNTS"
[ "$survived" -eq 0 ] && [ "$caught" -gt 0 ]
