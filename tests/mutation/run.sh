#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How many one-token mutations of the cores do the tests notice? Each is built and meets the unit tests of its module, then
# simulated systems. Takes up where it was interrupted.      usage: run.sh MUTATE_PROGRAM [COUNT] [SEED]
#   SECONDS_MAX=n   stop after so long; what was done counts
#   WORKERS=n       at a time [2]
#   FLOOR=n         fail when less than so many percent were killed
set -u
cd "$(dirname "$0")/../.." || exit 2
mutate=$PWD/$1 count=${2:-200} seed=${3:-1} seconds_max=${SECONDS_MAX:-100000} floor=${FLOOR:-0} workers=${WORKERS:-2}
out=$PWD/build/mutation results=$PWD/build/results
# What only checks is left out: nothing depends on it as long as nothing is wrong.
modules=$(find raft/core arbiter/core agents/core agents/guard/core.c -maxdepth 1 -name '*.c' ! -path raft/core/check.c | sort)
mkdir -p "$out" "$results"

named() { # PATTERN: the tests of that name
    find tests/unit -name "$1_test.c" -printf '%f\n' | sed 's/\.c$//' | sort | tr '\n' ' '
}
# A file of each kind: they have tests and simulated systems of their own.
kinds=(raft/x arbiter/core/x arbiter/core/galera_x arbiter/core/mongodb_x agents/core/x agents/core/galera_x agents/core/mongodb_x agents/guard/x)
tests_of() { # FILE: the unit tests and golden scripts that look at it, quickest first
    case $1 in
    raft/*) echo golden-raft raft_change_test raft_core_test raft_image_test raft_replication_test exhaust_test raft_node_test raft_cluster_test ;;
    arbiter/core/galera*) echo golden-galera "$(named 'galera_[crt]*')" galera_oracle_test ;;
    arbiter/core/mongodb*) echo golden-mongodb "$(named 'mongodb_*')" ;;
    arbiter/*)
        echo golden-arbiter "$(named 'arb_[a-ce-ln-z]*')" goals_test exhaust_test "$(named 'arb_d*')" golden-galera golden-mongodb \
            galera_core_test galera_turn_test mongodb_core_test mongodb_force_test mongodb_task_test arb_minisim_test
        ;;
    agents/core/galera*) named 'agt_galera*' ;;
    agents/core/*mongodb*) echo golden-mongodb_member "$(named 'agt_mongodb*')" ;;
    agents/core/*) echo golden-agents "$(named 'agt_[bcfsou]*')" agt_adopt_test goals_test "$(named 'agt_galera*')" agt_mongodb_test agt_random_test arb_minisim_test ;;
    agents/guard/*) echo guard_core_test ;;
    *) exit 2 ;;
    esac
}
flags_of() { # FILE: the simulated systems that it is part of
    case $1 in
    raft/*) echo --kv-only ;;
    *galera*) echo --galera ;;
    *mongodb*) echo --mongodb ;;
    esac
}

# A worker has a tree of its own, so that nobody sees a changed file.
tree_make() { # WORKER
    local tree=$out/tree$1
    mkdir -p "$tree"
    git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$tree" --keep-newer-files 2>/dev/null
    # shellcheck disable=SC2046
    build "$1" sim $(for file in "${kinds[@]}"; do tests_of "$file"; done | tr ' ' '\n' | sort -u) >"$out/build$1.log" 2>&1
}
program() { # TEST: where it is built
    case $1 in
    sim | golden-*) echo "out/bin/$1" ;;
    *) echo "out/test/$1" ;;
    esac
}
build() { # WORKER TEST...
    local tree=$out/tree$1 targets=() test
    shift
    for test; do targets+=("$(program "$test")"); done
    make -C "$tree" --no-print-directory B=out VARIANT=debug "${targets[@]}"
}
# Seconds of a processor, so that a busy machine kills nobody.
within() { # SECONDS COMMAND...
    (ulimit -t "$1" && shift && exec timeout 1200 "$@")
}
# A test is linked when those before it have noticed nothing, and is killed when it takes ten times what is usual.
passes() { # WORKER TEST FILE
    local tree=$out/tree$1
    build "$1" "$2" >"$out/build$1.log" 2>&1 || return 0 # only the first can fail to build, see `try`
    cd "$tree" || exit 2
    # shellcheck disable=SC2046
    case $2 in
    sim) within 300 out/bin/sim --seed 1 --count "${SIM_SEEDS:-25}" --quiet $(flags_of "$3") ;;
    golden-*) within 60 bash tests/golden/golden.sh out "${2#golden-}" ;;
    *) within 60 "out/test/$2" ;;
    esac >/dev/null 2>&1
    set -- $?
    cd - >/dev/null || exit 2
    return "$1"
}
killer() { # WORKER FILE: who notices; empty: nobody
    local test
    for test in $(tests_of "$2") sim; do
        passes "$1" "$test" "$2" || { echo "$test" && return; }
    done
}
# The place of a mutation that outlives changes elsewhere in the file: file, text of the line, what became what.
key_of() { # FILE LINE OLD NEW
    printf '%s | %s | %s -> %s' "$1" "$(sed -n "$2s/^ *//p" "$1")" "$(xargs <<<"$3")" "$(xargs <<<"$4")"
}
try() { # WORKER FILE LINE COLUMN OLD NEW: one line of JSON
    local tree=$out/tree$1 by="" verdict=killed
    "$mutate" apply "$2" "$3" "$4" "$5" "$6" >"$tree/$2" || exit 2
    if ! make -C "$tree" --no-print-directory B=out VARIANT=debug "out/${2%.c}.o" >"$out/build$1.log" 2>&1; then
        verdict=stillborn
    else
        by=$(killer "$1" "$2")
        [ -n "$by" ] || verdict=survived
    fi
    cp "$2" "$tree/$2"
    jq -cn --arg at "$2:$3:$4" --arg key "$(key_of "$2" "$3" "$5" "$6")" --arg verdict "$verdict" --arg by "$by" \
        '{at: $at, key: $key, verdict: $verdict, by: $by}'
}
unharmed() { # WORKER: without a mutation all must pass, or every one would count as noticed. Seeds are those of sim-check
    local file test seen=" "
    for file in "${kinds[@]}"; do
        for test in $(tests_of "$file") sim; do
            [[ $seen == *" $test "* ]] && continue
            SIM_SEEDS=2 passes "$1" "$test" "$file" || { echo "mutations: $test fails without a mutation" && return 1; }
            [ "$test" = sim ] || seen="$seen$test "
        done
    done
}
worker() { # WORKER OF: each takes its share of the sample
    local number=0 line file row column old new
    tree_make "$1" || { tail -n 5 "$out/build$1.log" && exit 1; }
    unharmed "$1" || exit 1
    while IFS= read -r line; do
        number=$((number + 1))
        [ $((number % $2)) -eq "$1" ] || continue
        [ "$(jq -s 'map(select(.verdict != "stillborn")) | length' "$out"/done.*)" -lt "$count" ] && [ "$SECONDS" -lt "$seconds_max" ] || break
        IFS=: read -r file row column old new <<<"$line"
        grep -qsF "\"at\":\"$file:$row:$column\"" "$out"/done.* && continue
        try "$1" "$file" "$row" "$column" "$old" "$new" >>"$out/done.$1"
    done <"$out/sample"
}

# The same seed draws the same sample of the same code. New tests may kill who has survived, and no killed one comes back.
# shellcheck disable=SC2086
cores=$(cat $modules | sha256sum | cut -c1-16) tests=$(git ls-files -z tests/unit tests/golden tests/sim | xargs -0 cat | sha256sum | cut -c1-16)
read -r old_cores old_seed old_tests <<<"$(cat "$out/state" 2>/dev/null)"
[ "$old_cores $old_seed" = "$cores $seed" ] || rm -f "$out"/done.*
for ((number = 0; number < workers; number++)); do touch "$out/done.$number"; done
[ "$old_tests" = "$tests" ] || sed -i '/"verdict":"survived"/d' "$out"/done.*
echo "$cores $seed $tests" >"$out/state"
# Drawn by what stands in the line, not by its number: a change elsewhere in a file leaves the others of a sample in it.
# shellcheck disable=SC2086
"$mutate" list $modules | awk -F: -v seed="$seed" '
    BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
    function hash(text,   i, h) { for (i = 1; i <= length(text); i++) h = (h * 65599 + code[substr(text, i, 1)]) % 2147483647; return h }
    $1 != file { file = $1; row = 0; while ((getline line < file) > 0) text[++row] = line; close(file) }
    { drawn = seed " " $1 " " text[$2] " " substr($0, length($1 $2 $3) + 4); print hash(drawn " " same[drawn]++ " " seed) "\t" $0 }' |
    sort -n | cut -f2- >"$out/sample"
failed=0
for ((number = 0; number < workers; number++)); do worker "$number" "$workers" & done
for job in $(jobs -p); do wait "$job" || failed=1; done

cat "$out"/done.* | jq -s --rawfile explained tests/mutation/explained.txt --arg seed "$seed" '
    ($explained | split("\n") | map(select(startswith("#") | not) | select(length > 0) | split(" || ")[:-1] | join(" || "))) as $known |
    map(select(.verdict != "stillborn")) as $all |
    { seed: ($seed | tonumber), mutations: ($all | length), killed: ($all | map(select(.verdict == "killed")) | length),
      by: ($all | map(select(.verdict == "killed").by) | group_by(.) | map({key: .[0], value: length}) | from_entries),
      stillborn: (length - ($all | length)),
      explained: ($all | map(select(.verdict == "survived" and ([.key] | inside($known)))) | map(.key)),
      survivors: ($all | map(select(.verdict == "survived" and ([.key] | inside($known) | not))) | map({at, key})) } |
    . + {killed_percent: (if .mutations == 0 then 0 else .killed * 100 / .mutations | floor end)}' >"$results/mutation.json"
jq -r '.survivors[] | "survived  \(.at)  \(.key)"' "$results/mutation.json"
jq -r '"mutations: \(.mutations), \(.killed) killed (\(.killed_percent) %), \(.explained | length) survivors explained, \(.survivors | length) not; \(.stillborn) did not compile"' "$results/mutation.json"
[ "$failed" -eq 0 ] && [ "$(jq .mutations "$results/mutation.json")" -gt 0 ] && [ "$(jq .killed_percent "$results/mutation.json")" -ge "$floor" ]
