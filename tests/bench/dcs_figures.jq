# SPDX-License-Identifier: Apache-2.0
# Lines of bench-dcs (an array) -> the figures: medians over the rounds, and the marks. $machine, $commit.
def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def cases($system): [.[] | select(.system == $system and .case != null and .part == null)]
  | group_by([.case, .where])
  | map({key: (.[0].case + (if .[0].where == "follower" then "-follower" else "" end)),
         value: {rate: (map(.rate) | median), latency_mean: (map(.latency_mean) | median), latency_p99: (map(.latency_p99) | median), rounds: length}})
  | from_entries;
def memory($system; $kind; $field): [.[] | select(.system == $system and .memory == $kind and .round > 0) | .[$field]] | median;
def gaps($system): [.[] | select(.system == $system and .leader_kill != null) | .leader_kill];
def figures($system): . as $all
  | cases($system)
  + {rss_idle_private: memory($system; "idle"; "highest"), rss_peak_private: memory($system; "peak"; "highest"),
     rss_peak: memory($system; "peak"; "resident")}
  + (gaps($system) | if length == 0 then {} else {leader_kill_gap: {n: length, median: median, min: min, max: max}} end)
  + ([.[] | select(.system == $system and .flushes != null)] | if length == 0 then {} else {flushes: (.[0] | {puts, leader, nodes: .flushes})} end)
  + ([.[] | select(.system == $system and .start != null) | .start] | if length == 0 then {} else
      {start: {mb: .[0].mb, disk: .[0].disk, serializable: (map(.serializable) | median), linearizable: (map(.linearizable) | median)}} end)
  + ([.[] | select(.system == $system and .watch != null)] | if length == 0 then {} else {watch: .[0].watch} end)
  + ([.[] | select(.system == $system and .agents != null)] | if length == 0 then {} else {agents: .[0].agents} end)
  + ([.[] | select(.system == $system and .part == "compact")] | if length == 0 then {} else
      {compact: (map({key: .name, value: {rate, latency_mean, latency_p99}}) | from_entries)} end)
  + ([.[] | select(.system == $system and .compaction != null)] | if length == 0 then {} else {compaction: .[0].compaction} end);
# At least one flush for each acknowledged batch (one client: each put) on two nodes of three.
# null: not counted in this run.
def is_flushed: if .flushes == null then null else (.flushes as $f | $f.puts > 0 and ([$f.nodes[] | select(. >= $f.puts)] | length >= 2)) end;
def ratio($a; $b): if $a == null or $b == null or $b == 0 then null else $a / $b end;
def mark($name; $value; $pass; $reach; $is_least): {name: $name, value: $value, pass: $pass, reach: $reach,
  verdict: (if $value == null then "not measured"
    elif ($is_least and $reach != null and $value >= $reach) or (($is_least | not) and $reach != null and $value <= $reach) then "PASS, and the mark to reach for"
    elif ($is_least and $value >= $pass) or (($is_least | not) and $value <= $pass) then "PASS" else "miss" end)};
# A ratio counts only when it was seen that ours flushes.
def proven($is_flushed): if .value == null or $is_flushed == true then . else .value = null
  | .verdict = (if $is_flushed == null then "no verdict, flushes were not counted" else "no verdict, ours flushed too seldom" end) end;
def rates($q; $e; $case; $pass; $reach): ("", "-follower") as $where
  | mark("\($case)\($where) rate, times etcd\u0027s"; ratio($q[$case + $where].rate; $e[$case + $where].rate); $pass; $reach; true);
(figures("quorate")) as $q | (figures("etcd")) as $e
| {machine: $machine, commit: $commit, quorate: $q, etcd: $e,
   floor: {store: ([.[] | select(.system == "floor" and .store != null) | .store] | first),
           grpc: ([.[] | select(.system == "floor" and .grpc != null)] | map({key: .grpc, value: {rate, latency_mean}}) | from_entries)},
   is_flushed: ($q | is_flushed)}
| .is_flushed as $is_flushed
| .marks = [
    ([mark("put-1 latency, of etcd\u0027s"; ratio($q["put-1"].latency_mean; $e["put-1"].latency_mean); 0.7; 0.6; false),
      rates($q; $e; "put-64"; 2; 3), rates($q; $e; "put-256"; 2; 3), rates($q; $e; "put-64x16"; 1.5; 2.5),
      rates($q; $e; "range-1"; 3; 5), rates($q; $e; "range-64"; 3; 5), rates($q; $e; "range-256"; 3; 5)] | .[] | proven($is_flushed)),
    mark("idle private memory, MB"; (if $q.rss_idle_private == null then null else $q.rss_idle_private / 1048576 end); 5; null; false),
    mark("peak private memory, of etcd\u0027s"; ratio($q.rss_peak_private; $e.rss_peak_private); 0.25; null; false),
    mark("peak resident memory, of etcd\u0027s"; ratio($q.rss_peak; $e.rss_peak); 0.25; null; false),
    mark("write gap after kill -9 of the leader, s"; $q.leader_kill_gap.median; 0.5; null; false),
    mark("start with \($q.start.mb // 1024) MB until serving, s"; $q.start.linearizable; 0.2; null; false),
    mark("events missing of \($q.watch.watchers // 10000) watchers"; $q.watch.events_missing; 0; null; false),
    mark("leader under \($q.agents.agents // 1000) agents, cores"; $q.agents.leader_cpu; 0.2; null; false),
    mark("put p99 while compacting, s"; $q.compact["while compacting"].latency_p99; 0.1; null; false)]
