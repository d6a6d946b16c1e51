#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes jepsen/RESULTS.md from build/results/jepsen/*.json: `make jepsen-results` after the runs that are to stand there.
set -u
page=${PAGE:-jepsen/RESULTS.md}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
. tests/support/jq.sh
all=("${RESULTS:-build/results/jepsen}"/*.json)
# Ours of the commit that was run last, and of COMMITS where what they change concerns no run again; peers of any, since nothing
# of ours is in them.
commit=${COMMITS:-} && commit+=\ $(jq -rs 'map(select(.peer == "quorate" or .peer == "ours")) | max_by(.date) | .commit // empty' "${all[@]}" 2>/dev/null)
results=()
for file in "${all[@]}"; do
    jq -e --arg commit "$commit" '(.commit as $c | $commit | split(" ") | any(. == $c)) or (.peer != "quorate" and .peer != "ours")' "$file" >/dev/null 2>&1 && results+=("$file")
done
[ "${#results[@]}" -gt 0 ] || { echo "results.sh: no results in build/results/jepsen; run 'make jepsen' first" >&2; exit 2; }
part() { jq -rs --arg part "$1" -f jepsen/results.jq "${results[@]}"; }
canaries() {
    jq -rs 'sort_by(.name)[] | "| \(.name) | \(.verdict) | \(.why | join("; ")) |"' build/results/jepsen-canaries/*.json 2>/dev/null
}
bugs() { # found by these runs: lines of tests/bugs.txt
    grep -hE '^jepsen' tests/bugs.txt 2>/dev/null | grep -v '^#' | sed 's/^/- /'
}
n=$(part n)

cat >$page.new <<MD
# Results of the runs

Written by \`make jepsen-results\` on $(date -u +%F) from what stood in \`build/results/jepsen\`, on $(nproc) cores, Linux $(uname -r | cut -d- -f1).

$(part sums)

| run | commit | verdict | ok | refused | unknown | not settled | faults | lost | no writes, s | checkers |
|---|---|---|---|---|---|---|---|---|---|---|
$(part runs)

Not passed:

$(part failures)

## Faults, by type

Each counts when it really had effect (frames dropped, processes killed or standing still, ...); a run with one that had none is invalid.

| fault | times | effect, sum of its counters | skipped here |
|---|---|---|---|
$(part faults)

## Longest pause between acknowledged writes around each fault, ms

n × min / median / p90 / max, over all clients; etcd is Debian's 3.4.23 with the same election time, faults, clients and checkers.

| fault | meets | ours | etcd |
|---|---|---|---|
$(part gaps)

## PostgreSQL

Both writable while a host was paused as a whole, which no guard on it can prevent, stands apart; commits a second are of runs without faults.

| run | verdict | ok | acknowledged commits lost | acknowledged by two primaries | both writable, ms | the same, host paused | false failovers | no commits, ms | commits/s |
|---|---|---|---|---|---|---|---|---|---|
$(part sql)

Pause of acknowledged commits by fault, ms (median: of the runs' medians; p90: the worst run's); steps are the medians of what the arbiter's log tells. Patroni runs with its shortest ttl, 20 s, and without a watchdog; its faults last five times as long.

| fault | system | n | min | median | p90 | max | steps |
|---|---|---|---|---|---|---|---|
$(part rto)

## MariaDB Galera

\`plain\` is the same cluster as Debian sets it up, without us: restarts with recovered positions, haproxy with a check of the node's state and backup servers. There every node may be written to.

| run | verdict | ok | refused | unknown | acknowledged rows lost | acknowledged by two | registers | lists | rows the same everywhere | no commits, ms |
|---|---|---|---|---|---|---|---|---|---|---|
$(part galera)

Pause of acknowledged writes by fault, ms.

| fault | system | n | min | median | p90 | max | steps |
|---|---|---|---|---|---|---|---|
$(part galera-rto)

## Shown able to fail

The last runs with planted bugs and spoilt harnesses (\`make jepsen-canaries\`); those named after a run alone are controls.

| run | verdict | why |
|---|---|---|
$(canaries)

## Bugs of ours that these runs found

$(b=$(bugs); echo "${b:-None so far.}")

## What this shows, and what it cannot

$n runs passed without an anomaly. If each run had the same chance to show one, that chance is below about 3/$n $( [ "$n" -gt 0 ] && awk -v n="$n" 'BEGIN { printf "= %.0f %%", (300 / n > 100 ? 100 : 300 / n) }') (95 % confidence). Such runs show that
bugs are there, never that none is: schedules of faults are few beside what can happen, which is why the simulator is the main tool.

Limits: one kernel for all hosts and so one true clock; $(nproc) cores, so that slow schedules count as faults; disks that do not lie about
a flush; no hardware watchdog. A pause is measured from the clients, to the next acknowledged write of anybody.
MD
mv $page.new $page
echo "$page is written from ${#results[@]} runs"
