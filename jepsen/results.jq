# SPDX-License-Identifier: Apache-2.0
# The tables of RESULTS.md from an array of results; the program is named by --arg part. See results.sh.
def quantile(q): sort | if length == 0 then null else .[((length * q) | ceil) - 1] end;
def spread: {n: length, min: min, median: quantile(0.5), p90: quantile(0.9), max: max};
def cell: if . == null then "–" else tostring end;
def ms: if . == null then null else . / 1000 | floor end;
def row: "| " + (map(cell) | join(" | ")) + " |";
def store: map(select(.peer == "quorate" or .peer == "etcd"));
def sum(f): map(f // 0) | add // 0;
def gaps(peer): map(select(.peer == peer and (.election_ms // 0) > 0)) | map(.gaps // []) | add // [];
def times: "\(.n) × \(.min | cell) / \(.median | cell) / \(.p90 | cell) / \(.max | cell)";
def is_ours: .peer == "quorate" or .peer == "ours";
def checks: (.checks // {}) | to_entries | map("\(.key) \(.value | if type == "object" then .verdict // "?" else . end)") | join(", ");

if $part == "runs" then
    sort_by(.name)[] | [.name, .commit, .verdict, .ops.ok, .ops.failed, .ops.unknown, (.ops.unsettled // .ops.unknown),
        ((.faults // {}) | map(.n // 0) | add), (.load.lost // .set.lost // "–"), (if .away_ms then .away_ms / 1000 | floor else null end), checks] | row
elif $part == "sums" then
    "\(store | map(select(.peer == "quorate")) | "\(length) runs of the store, \(sum(.ops.ok + .ops.failed + .ops.unknown)) operations: \(sum(.ops.ok)) acknowledged, \(sum(.ops.failed)) refused, \(sum(.ops.unknown)) of unknown outcome, of which \(sum(.ops.unsettled)) were not settled by the log of changes; \(map(select(.verdict == "passed")) | length) passed, \(map(select(.verdict == "failed")) | length) failed, \(map(select(.verdict == "invalid")) | length) invalid; \(sum(.load.lost)) acknowledged writes lost.")"
elif $part == "dates" then
    map(.date[0:10]) | unique | if length == 1 then .[0] else "\(.[0]) to \(.[-1])" end
elif $part == "faults" then
    [.[] | select(is_ours) | (.faults // {}) | to_entries[]] | group_by(.key)[] |
        [.[0].key, (map(.value.n // 0) | add), (map(.value.bit // 0) | add), (map(.value.skipped // 0) | add)] | row
elif $part == "gaps" then
    gaps("quorate") as $ours | gaps("etcd") as $theirs |
    ($ours | group_by(.kind + " " + .rule))[] | .[0] as $one |
        [$one.kind, $one.rule, (map(.ms) | spread | times), ([$theirs[] | select(.kind == $one.kind and .rule == $one.rule) | .ms] | if length == 0 then null else spread | times end)] | row
elif $part == "sql" then
    map(select(.name | startswith("pg-"))) | sort_by(.name)[] |
        [.name, .verdict, .ops.ok, (if .lost_async then "\(.lost_async.lost) of asynchronous, \(.lost_async.early) beyond the bound" else .set.lost end), .acknowledged.dual_acknowledged, (.writable.dual_writable_us | ms), (.paused.dual_writable_us | ms), .false_failovers, (.rto.unavailable_us | ms),
         (if .calm_us and (.faults | length) == 0 then .ops.ok * 1000000 / .calm_us | floor else null end)] | row
elif $part == "galera" then
    map(select(.name | startswith("galera-"))) | sort_by(.name)[] |
        [.name, .verdict, .ops.ok, .ops.failed, .ops.unknown, .set.lost, .acknowledged.dual_acknowledged, .checks.register, .checks.append, .checks.rows, (.rto.unavailable_us | ms)] | row
elif $part == "rto" or $part == "galera-rto" then
    (if $part == "rto" then "pg-" else "galera-" end) as $runs | [.[] | select(.name | startswith($runs)) | .peer as $peer | (.rto.classes // {}) | to_entries[] | .value + {kind: .key, peer: $peer}] | group_by(.kind + " " + .peer)[] |
        [.[0].kind, .[0].peer, (map(.n) | add), (map(.min_us) | min | ms), (map(.median_us) | quantile(0.5) | ms), (map(.p90_us) | max | ms), (map(.max_us) | max | ms),
         ([.[].steps // {} | to_entries[]] | group_by(.key) | map("\(.[0].key) \(map(.value) | quantile(0.5) | ms)") | join(", "))] | row
elif $part == "failures" then
    map(select(.verdict == "failed" or .verdict == "invalid")) | if length == 0 then "None." else sort_by(.name)[] | "- `\(.name)` \(.verdict): \(.why | join("; "))" end
else error("part?") end
