# SPDX-License-Identifier: Apache-2.0
# build/bench/dcs.json as text for people.
def pad($n): tostring | . + (" " * ([$n - length, 0] | max));
def left($n): tostring | (" " * ([$n - length, 0] | max)) + .;
def fixed($d): if . == null then "-" else (. * pow(10; $d) | round / pow(10; $d) | tostring) end;
def ms: if . == null then "-" else (. * 1000 | fixed(3)) end;
def mb: if . == null then "-" else (. / 1048576 | fixed(1)) end;
. as $all
| ([(.quorate, .etcd) | to_entries[] | select(.value | type == "object" and has("rate")) | .key] | unique) as $cases
| "", (("case" | pad(22)) + (["etcd/s", "mean ms", "p99 ms", "ours/s", "mean ms", "p99 ms", "rate x", "latency x"] | map(left(11)) | join(""))),
  ($cases[] as $c | ($all.etcd[$c] // {}) as $e | ($all.quorate[$c] // {}) as $q
   | ($c | pad(22)) + ([($e.rate | fixed(0)), ($e.latency_mean | ms), ($e.latency_p99 | ms), ($q.rate | fixed(0)), ($q.latency_mean | ms), ($q.latency_p99 | ms),
      (if $all.is_flushed == false or $e.rate == null or $q.rate == null then "-" else ($q.rate / $e.rate | fixed(2)) end),
      (if $all.is_flushed == false or $e.latency_mean == null or $q.latency_mean == null then "-" else ($q.latency_mean / $e.latency_mean | fixed(2)) end)] | map(left(11)) | join(""))),
  "", (("memory, MB" | pad(22)) + (["idle", "peak", "resident"] | map(left(11)) | join(""))),
  (("etcd", "quorate") as $s | ($s | pad(22)) + ([($all[$s].rss_idle_private | mb), ($all[$s].rss_peak_private | mb), ($all[$s].rss_peak | mb)] | map(left(11)) | join(""))),
  "",
  (("etcd", "quorate") as $s | $all[$s].flushes | select(. != null) | "flushes of the nodes for \(.puts) puts of one client, \($s): \(.nodes | join(", "))"),
  (("etcd", "quorate") as $s | $all[$s].leader_kill_gap | select(. != null) | "write gap after kill -9 of the leader, \($s): median \(.median | fixed(3)) s of \(.n) (\(.min | fixed(3)) to \(.max | fixed(3)))"),
  (("etcd", "quorate") as $s | $all[$s].start | select(. != null) | "start with \(.mb) MB, \($s): \(.serializable | fixed(3)) s to its own answers, \(.linearizable | fixed(3)) s to agreed ones"),
  (("etcd", "quorate") as $s | $all[$s].watch | select(. != null) | "watchers and leases, \($s): \(tojson)"),
  (("etcd", "quorate") as $s | $all[$s].agents | select(. != null) | "agents, \($s): \(tojson)"),
  (("etcd", "quorate") as $s | $all[$s].compact | select(. != null) | "puts of 16 clients, \($s): " + (to_entries | map("\(.key): p99 \(.value.latency_p99 | ms) ms") | join("; ")) + "; compaction took \($all[$s].compaction | fixed(2)) s"),
  ($all.floor.grpc | to_entries[] | "framing and client alone, \(.key) clients: \(.value.rate | fixed(0))/s, \(.value.latency_mean | ms) ms"),
  "",
  ($all.marks[] | "\(.name | pad(45)) \(.value | fixed(3) | left(9))   mark \(.pass | tostring | left(4))   \(.verdict)")
