#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes jepsen/RESULTS.md from build/results/jepsen/*.json: `make jepsen-results` after the runs that are to stand there. The page has
# parts, each between marks; a part of which nothing was run here stays as it was, with its own date.
set -u
page=${PAGE:-jepsen/RESULTS.md}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
. tests/support/jq.sh
shopt -s nullglob
all=("${RESULTS:-build/results/jepsen}"/*.json)
[ "${#all[@]}" -gt 0 ] || { echo "results.sh: no results in build/results/jepsen; run 'make jepsen' first" >&2; exit 2; }

# Ours of the commit that was run last, and of COMMITS where what they change concerns no run again; peers of any, since nothing
# of ours is in them.
results=()
take() { # NAMES, a pattern: into results
    local file commit files=()
    results=()
    for file in "${all[@]}"; do [[ $(basename "$file") =~ $1 ]] && files+=("$file"); done
    [ "${#files[@]}" -gt 0 ] || return 1
    commit=${COMMITS:-}\ $(jq -rs 'map(select(.peer == "quorate" or .peer == "ours")) | max_by(.date) | .commit // empty' "${files[@]}" 2>/dev/null)
    for file in "${files[@]}"; do
        jq -e --arg commit "$commit" '(.commit as $c | $commit | split(" ") | any(. == $c)) or (.peer != "quorate" and .peer != "ours")' "$file" >/dev/null 2>&1 && results+=("$file")
    done
    [ "${#results[@]}" -gt 0 ]
}
part() { jq -rs --arg part "$1" -f jepsen/results.jq "${results[@]}"; }
machine() { echo "Runs of $(part dates), on $(nproc) cores, Linux $(uname -r | cut -d- -f1)${LOADED:+; $LOADED}."; }
canaries() {
    local file
    for file in build/results/jepsen-canaries/*.json build/results/jepsen-canaries/*/result.json; do
        jq --arg name "$(basename "$(dirname "$file")")" '{name: (.name // $name), verdict, why}' "$file"
    done | jq -rs 'sort_by(.name)[] | "| \(.name) | \(.verdict) | \(.why | join("; ") | .[0:240]) |"' 2>/dev/null
}
bugs() { # found by these runs: lines of tests/bugs.txt
    grep -hE '^jepsen,' tests/bugs.txt 2>/dev/null | grep -v '^#' | sed 's/^/- /'
}
runs_and_faults() {
    cat <<MD
| run | commit | verdict | ok | refused | unknown | not settled | faults | lost | no writes, s | checkers |
|---|---|---|---|---|---|---|---|---|---|---|
$(part runs)

Not passed:

$(part failures)

Faults by type: each counts when it really had effect (frames dropped, processes killed or standing still, ...); a run with one that had none is invalid.

| fault | times | effect, sum of its counters | skipped here |
|---|---|---|---|
$(part faults)
MD
}

sql_runs() {
    cat <<MD
| run | verdict | ok | acknowledged commits lost | acknowledged by two primaries | both writable, ms | the same, host paused | false failovers | no commits, ms | commits/s |
|---|---|---|---|---|---|---|---|---|---|
$(part sql)
MD
}
sql_pauses() {
    cat <<MD
| fault | system | n | min | median | p90 | max | steps |
|---|---|---|---|---|---|---|---|
$(part rto)
MD
}

write_suite() {
    cat <<MD
## The store, and PostgreSQL

$(machine)

$(part sums)

$(runs_and_faults)

### Longest pause between acknowledged writes around each fault, ms

n × min / median / p90 / max, over all clients; etcd is Debian's 3.4.23 with the same election time, faults, clients and checkers.

| fault | meets | ours | etcd |
|---|---|---|---|
$(part gaps)

### PostgreSQL

Both writable while a host was paused as a whole, which no guard on it can prevent, stands apart; commits a second are of runs without faults.

$(sql_runs)

Pause of acknowledged commits by fault, ms (median: of the runs' medians; p90: the worst run's); steps are the medians of what the arbiter's log tells. Patroni runs with its shortest ttl, 20 s, and without a watchdog; its faults last five times as long.

$(sql_pauses)
MD
}
write_long() {
    cat <<MD
## The long form: PostgreSQL, synchronous

$(machine) Each fault of the menu once in each run (\`make jepsen LONG=1\`).

$(sql_runs)

$(sql_pauses)

$(runs_and_faults)
MD
}
write_galera() {
    cat <<MD
## MariaDB Galera

$(machine) \`plain\` is the same cluster as Debian sets it up, without us: restarts with recovered positions, haproxy with a check of the node's state and backup servers. There every node may be written to.

| run | verdict | ok | refused | unknown | acknowledged rows lost | acknowledged by two | registers | lists | rows the same everywhere | no commits, ms |
|---|---|---|---|---|---|---|---|---|---|---|
$(part galera)

Pause of acknowledged writes by fault, ms.

| fault | system | n | min | median | p90 | max | steps |
|---|---|---|---|---|---|---|---|
$(part galera-rto)

$(runs_and_faults)
MD
}
write_canaries() {
    cat <<MD
## Shown able to fail

The last runs with planted bugs and spoilt harnesses (\`make jepsen-canaries\`); those named after a run alone, and \`control\`, are controls.

| run | verdict | why |
|---|---|---|
$(canaries)
MD
}

mark() { echo "<!-- part: $1 -->"; }
former() { sed -n "/^$(mark "$1")\$/,/^<!-- part: /{/^<!-- part: /!p;}" "$page"; }
either() { # PART: anew where there is something, else as it was
    mark "$1"
    if "has_$1"; then write_"$1" && echo; else former "$1"; fi
}
others='pg-(async|calm|control|storm)|[0-9]|quick'
has_suite() { take "^($others)" && take "^(pg-sync(-patroni)?-[123][.]|$others)"; }
has_long() { take '^pg-sync-([4-9]|[0-9][0-9])[.]' && take '^pg-sync-[0-9]+[.]'; }
has_galera() { take '^galera-'; }
has_canaries() { [ -n "$(canaries)" ]; }

{
    cat <<MD
# Results of the runs

Written by \`make jepsen-results\` from what stood in \`build/results/jepsen\`, each part when its runs were made.

MD
    for name in suite long galera canaries; do either $name; done
    mark end
} >"$page.parts"
# Runs of ours that passed, of all parts.
n=$(awk -F' *[|] *' '$4 == "passed" && $3 ~ /^[0-9a-f]+$/ && $2 !~ /etcd|patroni|plain/' "$page.parts" | wc -l)
cat "$page.parts" - >"$page.new" <<MD
## Bugs of ours that these runs found

$(b=$(bugs); echo "${b:-None so far.}")

## What this shows, and what it cannot

$n runs passed without an anomaly. If each run had the same chance to show one, that chance is below about 3/$n $( [ "$n" -gt 0 ] && awk -v n="$n" 'BEGIN { printf "= %.0f %%", (300 / n > 100 ? 100 : 300 / n) }') (95 % confidence). Such runs show that
bugs are there, never that none is: schedules of faults are few beside what can happen, which is why the simulator is the main tool.

Limits: one kernel for all hosts and so one true clock; $(nproc) cores, so that slow schedules count as faults; disks that do not lie about
a flush; no hardware watchdog. A pause is measured from the clients, to the next acknowledged write of anybody.
MD
rm -f "$page.parts"
mv "$page.new" "$page"
echo "$page is written"
