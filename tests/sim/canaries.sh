#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proves that the harness can fail: every planted bug of base/canary.h must be caught as its rows in
# tests/canaries.txt say. The checkers cannot see which bug is on.
# usage: canaries.sh BUILD_OF_VARIANT_CANARY RESULT_JSON [UNIT_TEST...]
# The unit tests named switch bugs of theirs on and off themselves, which only this build can; they must pass.
# LONG=1: three different seeds must catch each bug of the simulator, and the time to catch is their median.
# ONLY="id id": these alone. CANARY_JOBS: how many at a time. CANARY_SEEDS, CANARY_SECONDS: how long one bug is looked for.
# Seconds of a row are those of a processor: a machine that is busy with other things fails none.
set -u
shopt -s extglob
table=tests/canaries.txt
jobs=${CANARY_JOBS:-2} seeds_max=${CANARY_SEEDS:-400} long=${LONG:-0}
seconds_max=${CANARY_SECONDS:-$((long ? 400 : 90))}
wanted=$((long ? 3 : 1))

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

# Processor time, in seconds, of all that this shell has waited for; and since a moment of that.
spent() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.2f", ($14 + $15) / hz }' "/proc/$$/stat"; }
used() { awk -v a="$1" -v b="$(spent)" 'BEGIN { printf "%.2f", b - a }'; }

# A program within its share; one that hangs ends, too.
within() { # PROGRAM [ARGUMENT...]
    (ulimit -t "$seconds_max" && exec timeout "$((seconds_max * 10))" "$@")
}

# --- one row ---

# A line of JSON for the result, and one for people: verdict, names, seeds, seconds.
finish() { # VERDICT NAME SEED SECONDS SEEDS_TRIED
    printf '%s\t"by": "%s", "invariant": "%s", "seeds": [%s], "seconds_to_catch": %s, "seeds_tried": %s\n' \
        "$1" "$tier" "$2" "$3" "$4" "$5"
    case $1 in
    caught) printf '%-30s caught by %s %s, seed %s, %s s, %s tried\n' "$id" "$tier" "$2" "$3" "$4" "$5" >&2 ;;
    *) printf '%-30s %s (%s)\n' "$id" "$1" "$tier" >&2 ;;
    esac
}

# shellcheck disable=SC2086
run_sim() { # CANARY SEED COUNT: its line of failure
    QUORATE_CANARY=$1 within "$build/bin/sim" --seed "$2" --count "$3" --quiet $options 2>&1 |
        grep '^FAILED ' || true
}
is_expected() { # NAME
    [ "$1" != no-assertion ] && { [ "$names" = any ] || [[ ",$names," == *",$1,"* ]]; }
}

# Seeds from 1 on, until enough of them have failed as the row wants. Others that fail (an assertion, another rule)
# are passed over.
by_sim() {
    local from=1 start first seed name="" found="" times="" seeds=0 passed_over="" begun
    begun=$(spent)
    start=$begun
    while [ "$seeds" -lt "$wanted" ]; do
        if [ "$from" -gt "$seeds_max" ] || awk -v s="$(used "$begun")" -v m="$seconds_max" 'BEGIN { exit !(s > m) }'; then
            finish "SURVIVED $((from - 1)) seeds, $seeds of $wanted caught it${passed_over:+, passed over:$passed_over}" "$name" "$found" 0 "$((from - 1))"
            return
        fi
        first=$(run_sim "$id" "$from" "$((seeds_max + 1 - from))")
        seed=$(sed -n 's/^FAILED .* seed \([0-9]*\),.*/\1/p' <<<"$first")
        if [ -z "$seed" ]; then # none of them, or the time is over
            finish "SURVIVED seeds from $from on, for $(used "$begun") s${passed_over:+, passed over:$passed_over}" "$name" "$found" 0 0
            return
        fi
        from=$((seed + 1))
        if ! is_expected "$(sed -n 's/^FAILED \([a-z0-9-]*\):.*/\1/p' <<<"$first")"; then
            passed_over="$passed_over $(sed -n 's/^FAILED \([a-z0-9-]*\):.*/\1/p' <<<"$first")"
            continue
        fi
        times="$times $(used "$start")"
        if [ "$(run_sim "$id" "$seed" 1)" != "$first" ]; then
            finish "NOT the same a second time, seed $seed" "" "$seed" 0 "$seed"
            return
        fi
        if [ -n "$(run_sim "" "$seed" 1)" ]; then
            finish "FAILS without the bug, too, seed $seed" "" "$seed" 0 "$seed"
            return
        fi
        name=$(sed -n 's/^FAILED \([a-z0-9-]*\):.*/\1/p' <<<"$first")
        found="$found${found:+, }$seed"
        seeds=$((seeds + 1))
        start=$(spent)
    done
    finish caught "$name" "$found" "$(tr ' ' '\n' <<<"$times" | sort -n | awk 'NF { v[++n] = $1 } END { print v[int((n + 1) / 2)] }')" \
        "$((from - 1))"
}

# shellcheck disable=SC2086
# Of the harness: too little of something must have happened, and be said by its name.
by_sums() {
    local start seen
    start=$(spent)
    seen=$(QUORATE_CANARY=$id within "$build/bin/sim" --quiet --check $options 2>&1 | tr ' ' '-')
    if ! grep -q "^--$names:-0,-wanted" <<<"$seen"; then
        finish "SURVIVED: nothing is said to be too few" "" "" 0 0
    elif ! grep -q '^FAILED-enough-happened' <<<"$seen"; then
        finish "SURVIVED: it passes all the same" "" "" 0 0
    else
        finish caught "enough-happened" "" "$(used "$start")" 0
    fi
}

# shellcheck disable=SC2086
run_test() { # of a tier that runs whole programs
    case $tier in
    crash) within "$build/bin/crash" $options ;;
    replay) within "$build/bin/replay-$options" tests/fuzz/corpus/"$options"/* ;;
    unit) within "$build/test/$options" ;;
    *) echo "no such tier: $tier" && false ;;
    esac
}
by_test() {
    local start
    start=$(spent)
    if QUORATE_CANARY=$id run_test >/dev/null 2>&1; then
        finish "SURVIVED $options" "" "" 0 0
    elif ! run_test >/dev/null 2>&1; then
        finish "FAILS without the bug, too: $options" "" "" 0 0
    else
        finish caught "$options" "" "$(used "$start")" 0
    fi
}

one_row() { # BUILD "id tier names options"
    build=$1
    read -r id tier names options <<<"$2"
    case $tier in
    sim) by_sim ;;
    sums) by_sums ;;
    *) by_test ;;
    esac
}
if [ "${1:-}" = --row ]; then
    one_row "$2" "$3"
    exit 0
fi

# --- all ---

build=$1 result=$2
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/canaries.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$result")"
rm -f "$result"
begun=$(now)
ids=$("$build/bin/sim" --canaries) || exit 1
rows=$(grep -v -e '^#' -e '^$' "$table")
survived=0
for id in $ids; do
    grep -q "^$id " "$table" || { echo "$id has no row in $table: say there who must catch it"; survived=$((survived + 1)); }
done
while read -r id _; do
    grep -qx "$id" <<<"$ids" || { echo "$table names $id, which base/canary.h does not"; survived=$((survived + 1)); }
done <<<"$rows"
if [ -n "${ONLY:-}" ]; then
    rows=$(for id in $ONLY; do grep "^$id " "$table"; done)
fi

number=0
while read -r row; do
    number=$((number + 1))
    while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do wait -n; done
    bash "$0" --row "$build" "$row" >"$work/$(printf %04d "$number")-${row%% *}" &
done <<<"$rows"
wait

caught=0 json="" top=0
for file in "$work"/*; do
    id=$(basename "$file")
    id=${id#*-}
    verdict=$(cut -f1 "$file")
    fields=$(cut -f2- "$file")
    if [ "$verdict" = caught ]; then caught=$((caught + 1)); else survived=$((survived + 1)); fi
    json="$json${json:+,
  }{\"id\": \"$id\", \"verdict\": \"${verdict:-it ended without a word}\"${fields:+, $fields}}"
    tried=$(sed -n 's/.*"seeds_tried": \([0-9]*\).*/\1/p' <<<"$fields")
    [ "${tried:-0}" -gt "$top" ] && top=$tried
done

# The same seeds without any bug.
control=clean
[ "$top" -gt 40 ] && top=40
if [ "$top" -gt 0 ] && ! "$build/bin/sim" --seed 1 --count "$top" --quiet >/dev/null 2>&1; then
    control=violated
    survived=$((survived + 1))
fi
printf 'control: %d seeds without a planted bug: %s\n' "$top" "$control"
for test; do
    if ! within "$build/test/$test" >/dev/null 2>&1; then
        survived=$((survived + 1))
        printf '%-30s FAILS, or does not see a bug that it switches on itself\n' "$test"
    fi
done
printf '{"control": "%s", "control_seeds": %d, "seeds_each": %d, "seconds": %s, "canaries": [\n  %s]}\n' \
    "$control" "$top" "$wanted" "$(since "$begun")" "$json" >"$result"
printf 'canaries: %d passed, %d failed, 0 skipped\n' "$caught" "$survived"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$caught $survived 0" >>"$QUORATE_COUNTS"
[ "$survived" -eq 0 ] && [ "$caught" -gt 0 ]
