#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The long form of the proof: planted bugs, crash images and sweeps, fuzzing, mutations, and simulated systems for all the
# time that is left. Takes up where it was interrupted, on the same commit.      usage: proof.sh HOURS
#   FRESH=1 forgets what was done before   CHUNK=n seeds between two looks at the clock   SEED=n the first seed   SIM_JOBS=n at a time [2]
# Each step leaves build/results/proof/STEP.json and STEP.log; tests/results.sh makes tests/RESULTS.md of all results.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/support/jq.sh
results=$PWD/build/results state=$PWD/build/results/proof
hours=${1:-1} chunk=${CHUNK:-200} first_seed=${SEED:-1000001}
sim=build/canary/bin/sim
budget=$(awk -v h="$hours" 'BEGIN { printf "%d", h * 3600 }')

# What was shown of one state of the code says nothing of another.
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
changed=$(git diff HEAD -- . ':!tests/RESULTS.md' ':!jepsen/RESULTS.md' 2>/dev/null | cksum)
[ "$changed" = "$(cksum </dev/null)" ] || commit="$commit and changes ${changed%% *}"
if [ -n "${FRESH:-}" ] || [ "$(cat "$state/commit" 2>/dev/null)" != "$commit" ]; then
    rm -rf "$state"
fi
mkdir -p "$state"
echo "$commit" >"$state/commit"

# Seconds of work so far, also those of earlier calls.
before=$(cat "$state/seconds" 2>/dev/null || echo 0)
elapsed() { echo $((before + SECONDS)); }
share() { awk -v b="$budget" -v s="$1" 'BEGIN { printf "%d", b * s < 30 ? 30 : b * s }'; } # of the budget, in seconds
child=""
finish() {
    [ -n "$child" ] && kill "$child" 2>/dev/null # timeout(1) passes it on to all below it
    elapsed >"$state/seconds"
}
trap finish EXIT
trap 'exit 130' INT TERM
limited() { # SECONDS LOG COMMAND...
    local seconds=$1 log=$2 status
    shift 2
    timeout "$seconds" "$@" >"$log" 2>&1 </dev/null &
    child=$!
    wait "$child"
    status=$?
    child=""
    return "$status"
}

# One step, once; again when its share ran out and is larger now. A share that ran out is no failure: what was done until
# then counts. What an older run has left is not taken for its result.
is_done() { # NAME SECONDS_MAX
    [ -s "$state/$1.json" ] && jq -e --argjson share "$2" '.is_cut_short and .share < $share | not' "$state/$1.json" >/dev/null
}
step() { # NAME SECONDS_MAX COMMAND...
    local name=$1 seconds_max=$2 begun=$SECONDS status
    shift 2
    is_done "$name" "$seconds_max" && { printf '%-10s done before\n' "$name" && return; }
    printf '%-10s for at most %d s\n' "$name" "$seconds_max"
    rm -f "$results/$name.json"
    limited "$seconds_max" "$state/$name.log" "$@"
    status=$?
    printf '{"step": "%s", "status": %d, "is_cut_short": %s, "seconds": %d, "share": %d}\n' "$name" "$status" \
        "$([ "$status" -eq 124 ] && echo true || echo false)" $((SECONDS - begun)) "$seconds_max" >"$state/$name.json"
    tail -n 1 "$state/$name.log" | cut -c1-200
}

# Of eight chunks two with administrators in all seeds that can have some (settings, pauses, orders, fences, failsafe), one with
# MariaDB Galera, one with MongoDB, one with watchdogs and databases that are taken over; three are as the seeds draw them.
chunk_kind() { # NUMBER
    case $(($1 % 8)) in
        0 | 3) echo --admins ;;
        2) echo --galera ;;
        5) echo --hosts ;;
        6) echo --mongodb ;;
    esac
}
# Faults that have had an effect less than so often, those of one kind of system in a list.
EACH=1000
lacking() { # PATTERN OF NAMES
    sums | jq -r --arg names "$1" --argjson each "$EACH" '[.faults | to_entries[] | select(.value < $each and (.key | test($names))) | .key] | join(",")'
}
# Every other chunk, behind the first sixteen, is for what has been rare until then.
rare_kind() { # NUMBER
    local list system
    case $(($1 / 2 % 4)) in
        0) system=--galera list=$(lacking '^galera-') ;;
        1) system=--mongodb list=$(lacking '^mongodb-') ;;
        2) system=--hosts list=$(lacking '^(guard-hang|watchdog-reset)$') ;;
        3) system="" list=$(lacking '^(?!galera-|mongodb-|guard-hang|watchdog)') ;;
    esac
    [ -z "$list" ] || echo "$system --often $list"
}
kind_of() { # NUMBER
    local kind=""
    [ "$1" -le 16 ] || [ $(($1 % 2)) -eq 1 ] || kind=$(rare_kind "$1")
    echo "${kind:-$(chunk_kind "$1")}"
}
# Seeds until the time is over; a chunk that was interrupted is done again.
simulate() {
    local number=1 file kind
    while [ "$number" -eq 1 ] || [ "$(elapsed)" -lt "$budget" ]; do
        file=$(printf '%s/sim-%06d.json' "$state" "$number")
        if [ ! -s "$file" ]; then
            kind=()
            read -r -a kind <<<"$(kind_of "$number")"
            limited 3600 "$state/sim.log" "$sim" --seed $((first_seed + (number - 1) * chunk)) --count "$chunk" --jobs "${SIM_JOBS:-2}" \
                "${kind[@]}" --quiet --go-on --json "$file.part"
            [ -s "$file.part" ] || { echo "the simulator did not run: $state/sim.log" && return 1; }
            grep '^FAILED ' "$state/sim.log" | sed "s/^FAILED/FAILED ${kind[*]}/" >>"$state/failed.txt"
            mv "$file.part" "$file"
            [ $((number % 5)) -eq 1 ] && rate
        fi
        number=$((number + 1))
    done
    rate
}
sums() { jq -s -f tests/sums.jq "$state"/sim-*.json; }
rate() {
    sums | jq -r '
        def hours_to(have; want): if have == 0 then "never" else "\(want / have * .real_us / 36e8 * 10 | ceil / 10) h" end;
        def each(have): if .real_us == 0 then 0 else have * 1e6 / .real_us | floor end;
        "\(.seeds) seeds, \(.failed) failed; each second \(each(.events)) events, \(each(.busy_us / 1e6)) simulated seconds; 10^9 events take \(hours_to(.events; 1e9)), 10^7 operations \(hours_to(.kv_ok + .sql_acked; 1e7)), 10^5 failovers \(hours_to(.failovers; 1e5))"'
}

if ! make --no-print-directory -j2 VARIANT=canary "$sim" >"$state/build.log" 2>&1; then
    cat "$state/build.log"
    exit 1
fi
targets=(tests/fuzz/fuzz_*.c)
fuzz_seconds=$(($(share 0.08) * 2 / ${#targets[@]})) # two at a time; the rest of its share is for building
steps=(profile past canaries crash fuzz mutation limits tsan valgrind)
step profile 120 bash tests/sim/profile.sh "$sim" "$results/profile.json"
step past "$(share 0.05)" bash tests/sim/past.sh "$sim"
step canaries "$(share 0.20)" make --no-print-directory canaries LONG="$(awk -v h="$hours" 'BEGIN { print (h >= 3) }')"
step crash "$(share 0.12)" make --no-print-directory crash-images
step fuzz "$(share 0.12)" env FUZZ_SEED=0 FUZZ_RUNS=-1 make --no-print-directory fuzz-smoke FUZZ_SECONDS=$((fuzz_seconds > 6 ? fuzz_seconds : 6))
step mutation "$(share 0.12)" env SECONDS_MAX=$(($(share 0.12) - 20)) make --no-print-directory mutations
step limits "$(share 0.04)" make --no-print-directory limits-check
step tsan "$(share 0.06)" make --no-print-directory tsan-check
step valgrind "$(share 0.04)" make --no-print-directory valgrind-check
simulate || exit 1
sums >"$results/sim-long.json"
bash tests/results.sh >tests/RESULTS.md
sed -n '1,/^## Known limits/p' tests/RESULTS.md

files=("${steps[@]/#/$state/}")
bad=$(jq -s '[.[] | select(.status != 0 and .is_cut_short == false)] | length' "${files[@]/%/.json}")
failed=$(jq .failed "$results/sim-long.json")
jq -r 'select(.status != 0) | "\(.step): " + (if .is_cut_short then "its share of the time was over" else "status \(.status)" end)' \
    "${files[@]/%/.json}"
[ -s "$state/failed.txt" ] && sort -u "$state/failed.txt" | head -n 20
printf 'proof: %d seeds that failed, %d steps that failed, %d s\n' "$failed" "$bad" "$(elapsed)"
[ "$bad" -eq 0 ] && [ "$failed" -eq 0 ]
