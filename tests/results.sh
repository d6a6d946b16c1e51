#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/RESULTS.md on standard output, from build/results/*.json: what was measured, and nothing else. A tier without a
# result says so. usage: results.sh      CONDITIONS="..." a sentence on how it was run
set -u
cd "$(dirname "$0")/.." || exit 2
results=build/results
long=$results/sim-long.json
[ -s "$long" ] || long=$results/sim.json

# Of a tier that was not measured with the rest: when it was, so that nobody takes it for this commit.
have() {
    [ -s "$results/$1" ] || { printf 'Not run here.\n\n' && return 1; }
    [ -s $results/proof/commit ] && [ "$results/$1" -ot $results/proof/commit ] &&
        printf 'Measured before that commit, on %s.\n\n' "$(date -u -r "$results/$1" '+%Y-%m-%d %H:%M')"
    return 0
}
machine() {
    printf '%s cores, %s, Linux %s' "$(nproc)" "$(awk '/MemTotal/ { printf "%d GB", $2 / 1048576 + 0.5 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)"
}

simulator() {
    [ -s "$long" ] || { printf 'Not run here.\n\n' && return; }
    jq -r '
      def millions: if . >= 1e6 then "\(. / 1e4 | floor / 100) million" else tostring end;
      "| what | count |", "|---|---|",
      "| seeds | \(.seeds), of which failed: \(.failed) |",
      "| real time | \(.real_us / 1e6 | floor) s |",
      "| simulated seconds, idle stretches left out | \(.busy_us / 1e6 | floor) |",
      "| events | \(.events | millions); \(.events * 1e6 / ([.real_us, 1] | max) | floor) each second |",
      "| frames delivered | \(.frames | millions) |",
      "| operations of the store | \(.kv_ok) succeeded, \(.kv_fail) failed, \(.kv_unknown) unknown |",
      "| commits of the databases | \(.sql_acked) acknowledged, \(.sql_fail) refused, \(.sql_unknown) unknown |",
      "| leaders elected | \(.elections) |",
      "| failovers, hand-overs, returns of the former holder | \(.failovers), \(.handovers), \(.reopened) |",
      "| images installed, members changed, leadership handed over | \(.images), \(.changes), \(.transfers) |",
      "| leases renewed, run out | \(.renewals), \(.expiries) |",
      "| events told to watches, watches resumed | \(.watch_events), \(.watch_resumes) |",
      "",
      (if .failed == 0 and .seeds > 0 then "No violation in \(.seeds) independent runs: the share of runs that violate something is below \(3e6 / .seeds | ceil / 1e4) % (95 %).\n" else "" end),
      "Faults that had an effect: \(.faults | to_entries | map("\(.key) \(.value)") | join(", ")).\n",
      "Rare branches (coverage marks): \(.marks | to_entries | map("\(.key) \(.value)") | join(", ")).\n"' "$long"
}

profile() {
    [ -s $results/profile.json ] || return
    jq -r '"What bounds the rate, in percent of the processor'"'"'s time over \(.seeds) seeds (`perf`): \(.functions | map("\(.what) \(.percent)") | join(", ")).\n"' $results/profile.json
}

canaries() {
    have canaries.json || return
    jq -r '
      def cell: if type == "array" then map(tostring) | join(", ") else tostring end;
      "Control run without any: \(.control).\n",
      "| planted bug | caught by | rule or test | seed | seconds to catch |", "|---|---|---|---|---|",
      (.canaries | (if type == "object" then to_entries | map(.value + {id: .key}) else . end)[] |
        "| \(.id // .canary) | \(.by // .caught_by // "nobody" | cell) | \(.invariant // "" | cell) | \(.seeds // .seed // "" | cell) | \(.seconds_to_catch // "" | cell) |"),
      ""' "$results/canaries.json"
}

crash() {
    have crash.json || return
    jq -r '"| what | count |", "|---|---|", (to_entries[] | "| \(.key | gsub("_"; " ")) | \(.value) |"), ""' "$results/crash.json"
}

fuzz() {
    have fuzz.json || return
    jq -r '
      "\(.engine), \(.seconds_each) s each, address and undefined-behaviour sanitizers.\n",
      (.targets[0] | keys_unsorted) as $columns |
      "| \($columns | join(" | ")) |", "|\($columns | map("---") | join("|"))|",
      (.targets[] | . as $t | "| \($columns | map($t[.] | tostring) | join(" | ")) |"), ""' "$results/fuzz.json"
}

mutation() {
    have mutation.json || return
    jq -r '
      "\(.mutations) one-token mutations of the cores that compile: \(.killed) killed (\(.killed_percent) %), \(.explained | length) survivors explained, \(.survivors | length) not.\n",
      (.survivors[] | "- survived: `\(.at)` \(.key | sub(" +$"; ""))"), ""' "$results/mutation.json"
}

bugs() {
    printf '| found by | what was wrong | mended in |\n|---|---|---|\n'
    grep -v '^#' tests/bugs.txt | awk -F ' [|] ' 'NF == 3 { printf "| %s | %s | %s |\n", $1, $2, $3 }'
    printf '\n'
}

cat <<END
# What was tested, in figures

Made by \`tests/results.sh\` from what the programs wrote (\`build/results\`); not edited by hand. \`make proof HOURS=n\` repeats
it. Date $(date -u +%Y-%m-%d), commit $(cat $results/proof/commit 2>/dev/null || git describe --always 2>/dev/null), $(machine).${CONDITIONS:+ $CONDITIONS}
Runs with real processes and databases: \`jepsen/RESULTS.md\`.

## Tier 1: simulated systems

END
simulator
profile
printf '## Planted bugs\n\n'
canaries
printf '## Tier 2: fuzzing\n\n'
fuzz
printf '## Tier 3: crashes, disk errors and damage of one node\n\n'
crash
printf '## Mutations\n\n'
mutation
printf '## Bugs that the harness found in this code\n\n'
bugs
cat <<END
## Known limits

Runs show that bugs are there, not that there are none. The simulator models PostgreSQL, the network, disks and clocks; what the
models leave out is in \`tests/sim/README.md\`. Crash images know the writes of this store, not those of every file system.
END
