# build/bench/failover.json as a table, the break-down of our own steps beside the floor (postgresql: what the server, the kernel
# and libpq cost when nothing of ours adds to it, on two cores), and false freezes.
def s: . * 1000 | round / 1000 | tostring;
def pad($n): . + (" " * ([$n - length, 1] | max));
def apart: [(select(.trials_with_loss > 0) | "\(.trials_with_loss) lost rows"), (select(.broken > 0) | "\(.broken) left a broken cluster"),
            (select(.invalid > 0) | "\(.invalid) not valid")] | if length > 0 then "; " + join(", ") else "" end;
def classes: ["switchover", "crash", "host-loss", "host-loss-leader", "quorum-cut", "host-paused"];
def floor_of: {switchover: 0.22, crash: 0.16}[.] // null;
[to_entries[] | select(.value | type == "object")] as $systems
| ("system" | pad(15)) + ("class" | pad(18)) + "n   median  p90     max     lost  route            other routes, median; trials that do not count",
  ($systems[] | .key as $system | .value as $v | classes[] | select($v[.]) | . as $class | $v[$class] |
    ($system | pad(15)) + ($class | pad(18)) + (.n | tostring | pad(4))
    + (if .n == 0 then "none counts" | pad(24) else (.median | s | pad(8)) + (.p90 | s | pad(8)) + (.max | s | pad(8)) end)
    + (.lost | tostring | pad(6)) + (.route // "" | pad(17))
    + (.route as $r | [.via // {} | to_entries[] | select(.key != $r) | "\(.key) \(.value.median | s)"] | join(", ")) + apart
    + (if .all then "; all \(.all.n): \(.all.median | s), \(.all.p90 | s), \(.all.max | s)" else "" end)),
  "",
  "where the time goes, seconds at the median (detection and lease until the old right was over; open until the holder said so):",
  ($systems[] | select(.key | startswith("quorate")) | .key as $system | .value as $v | classes[] | select($v[.]) | . as $class |
    "  " + ($system | pad(15)) + ($class | pad(18)) + ([$v[$class].where // {} | to_entries[] | "\(.key) \(.value | s)"] | join("  "))
    + (if ($class | floor_of) then "   floor \($class | floor_of)" else "" end)),
  ($systems[] | select(.value.calm) | "\(.key): \(.value.calm.freezes) freezes and \(.value.calm.failovers) failovers in \(.value.calm.seconds) s of writing without a fault")
