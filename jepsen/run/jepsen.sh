#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Carries runs out and keeps what they say: build/results/jepsen/NAME.json each, merged into build/results/jepsen.json.
#
#   jepsen.sh suite NAME      every run of the table whose setting `suite` has the name; goes on where it was interrupted
#   jepsen.sh run NAME        that one
#   jepsen.sh merge           results of this commit into one file
# environment: BIN, SEED=1, NODES, PEERS=1 (Debian's etcd, Patroni, and Galera as Debian sets it up, in our place), LONG=1 (goes on with the seeds that this commit
# lacks, SEEDS=10 times as many), AT_ONCE=1 (runs at a time: more of them make each other's pauses longer), ELECTION, BOUND (ms)
#
# Each run has a fresh, empty folder and a sandbox of its own; a run without a result is invalid. What failed keeps its
# folder in build/failed/jepsen/NAME. Nothing is repeated because it failed. Exit 0 when every run passed or was skipped.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
BIN=${BIN:-build/release/bin}
BIN=$(cd "$BIN" && pwd) || exit 2
export BIN
TABLE=${TABLE:-jepsen/run/runs.txt}
RESULTS=${RESULTS:-build/results/jepsen}
SEED=${SEED:-1}
COMMIT=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
passed=0 failed=0 skipped=0

setting() { awk -v run="$1" -v name="$2" '$1 == run && $2 == "set" && $3 == name { for (i = 4; i <= NF && $i !~ /^#/; i++) print $i }' $TABLE; }
runs_of() { # SUITE
    awk '$2 == "set" && $3 == "suite" && !seen[$1]++ { print $1 }' $TABLE | while read -r run; do setting "$run" suite | grep -qx -- "$1" && echo "$run"; done
}
is_sql() { [[ $1 == pg-* || $1 == galera-* ]]; }
peer_of() { # RUN
    if [ -z "${PEERS:-}" ]; then if is_sql "$1"; then echo ours; else echo quorate; fi
    elif [[ $1 == galera-* ]]; then echo plain; elif is_sql "$1"; then echo patroni; else echo etcd; fi
}
seconds_of() { echo $(($(setting "$1" seconds | head -n 1) + 400)); } # a store that is broken keeps everybody waiting

carry_out() { # RUN SEED NODES OUT: exit status of the run
    if is_sql "$1"; then
        PEER=$(peer_of "$1") bash jepsen/sql/run.sh "$1" "$2" "$4"
    else
        PEER=$(peer_of "$1") NODE_COUNT=$3 bash jepsen/hosts/sandbox.sh -t "$(seconds_of "$1")" jepsen/run/run.sh "$1" "$2" "$4"
    fi
}

name_of() { # RUN SEED NODES
    local name=$1 peer
    peer=$(peer_of "$1")
    [ "$3" = 3 ] || name+=-n$3
    case $peer in etcd | patroni | plain) name+=-$peer ;; esac
    echo "$name-$2"
}
# LONG: what this commit has is not made again. Else a suite that was interrupted goes on: it has left its mark.
is_done() { # NAME
    [ -n "${LONG:-}" ] || { [ -n "${MARK:-}" ] && [ "$RESULTS/$1.json" -nt "$MARK" ]; } || return 1
    [ "$(jq -r .commit "$RESULTS/$1.json" 2>/dev/null)" = "$COMMIT" ]
}

trap 'kill $(jobs -pr) 2>/dev/null; wait' EXIT
trap 'exit 130' INT TERM
one() ( # RUN SEED NODES
    name=$(name_of "$1" "$2" "$3") began=$SECONDS
    is_done "$name" && exit 0
    FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/quorate-jepsen.XXXXXX")
    trap 'rm -rf "$FOLDER"' EXIT
    trap 'kill $!; wait; exit 130' TERM # the sandbox of whoever has gone is swept
    mkdir -p build/failed/jepsen
    rm -rf "$RESULTS/$name.json" "build/failed/jepsen/$name"
    echo "--- $name"
    carry_out "$1" "$2" "$3" "$FOLDER/run" &
    wait $!
    status=$?
    keep "$name" "$FOLDER/run" "$status" $((SECONDS - began))
    [ "$status" = 0 ] || [ "$status" = 77 ] || keep_folder "$name" "$FOLDER/run" "$1" "$2" "$3"
    merge
)
# Lines RUN SEED NODES, AT_ONCE of them at a time; the results stand in files, so that all are counted behind the last.
each() {
    local run seed nodes list
    list=$(cat)
    while read -r run seed nodes; do
        while [ "$(jobs -pr | wc -l)" -ge "${AT_ONCE:-1}" ]; do wait -n; done
        one "$run" "$seed" "$nodes" </dev/null &
    done <<<"$list"
    wait
    while read -r run seed nodes; do
        count "$(jq -r .verdict "$RESULTS/$(name_of "$run" "$seed" "$nodes").json" 2>/dev/null)"
    done <<<"$list"
}
count() { # VERDICT: what is found at a peer is its own affair, the run was made and tells of it
    case $1${PEERS:+-peer} in
    passed* | failed-peer) passed=$((passed + 1)) ;;
    skipped*) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
}
keep_folder() { # NAME OUT RUN SEED NODES
    mv "$2" "build/failed/jepsen/$1" 2>/dev/null
    echo "kept: build/failed/jepsen/$1; again: make jepsen RUN=$3 SEED=$4 NODES=$5${PEERS:+ PEERS=1}"
}
keep() { # NAME OUT STATUS SECONDS
    local verdict=invalid
    [ "$3" -ne 77 ] || verdict=skipped
    { cat "$2/result.json" 2>/dev/null || echo '{"why": ["the run left no result"]}'; } |
        jq --arg name "$1" --arg commit "$COMMIT" --arg date "$(date -u +%FT%TZ)" --arg verdict "$verdict" --argjson took "$4" \
            '{name: $name, commit: $commit, date: $date, took_s: $took, verdict: $verdict} + .' >"$RESULTS/$1.json"
}
nodes_of() { # RUN: how many nodes it is made with, one a line
    if [ -n "${NODES:-}" ]; then echo "$NODES"; elif is_sql "$1"; then echo 3; else { setting "$1" nodes; echo 3; } | head -n 1; setting "$1" nodes_also; fi
}
each_nodes() { # RUN SEED
    local nodes
    for nodes in $(nodes_of "$1"); do echo "$1 $2 $nodes"; done
}

merge() {
    local new=$RESULTS.json.$BASHPID
    jq -s --arg commit "$COMMIT" '{commit: $commit, runs: [.[] | select(.commit == $commit)]}' "$RESULTS"/*.json >"$new" && mv "$new" "$RESULTS.json"
}

# Rounds come one after the other, each with all runs; a run has a part in as many as its setting `rounds` says (1).
suite() { # NAME
    local run round rounds=1 most
    MARK=$RESULTS/.begun-$1${PEERS:+-peers}
    if [ "$(cat "$MARK" 2>/dev/null)" = "$COMMIT $SEED ${NODES:-}" ]; then
        echo "jepsen: goes on where it was interrupted ($MARK)"
    else
        echo "$COMMIT $SEED ${NODES:-}" >"$MARK"
    fi
    for run in $(runs_of "$1"); do most=$(rounds_of "$run"); [ "$most" -le "$rounds" ] || rounds=$most; done
    for round in $(seq "$rounds"); do
        for run in $(runs_of "$1"); do
            [ "$round" -gt "$(rounds_of "$run")" ] || each_nodes "$run" $((SEED + round - 1))
        done
    done >"$MARK.list"
    each <"$MARK.list"
    rm -f "$MARK" "$MARK.list"
}
rounds_of() { # RUN
    local rounds
    rounds=$(setting "$1" rounds | head -n 1)
    if [ -n "${LONG:-}" ]; then echo $((${rounds:-1} * ${SEEDS:-10})); else echo "${rounds:-1}"; fi
}

mkdir -p "$RESULTS"
case ${1:-} in
suite) suite "$2" ;;
run) each < <(each_nodes "$2" "$SEED") ;;
merge) ;;
*) echo "usage: jepsen.sh suite NAME | run NAME | merge" >&2; exit 2 ;;
esac
merge
[ "${1:-}" != merge ] || exit 0
echo "jepsen: $passed passed, $failed failed, $skipped skipped"
[ -z "${QUORATE_COUNTS:-}" ] || echo "$passed $failed $skipped" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
