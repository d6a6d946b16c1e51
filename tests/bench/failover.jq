# Trials of failover.sh (one object a line, slurped) into build/bench/failover.json: seconds. The median is the middle one or the
# mean of the two in the middle. Trials that lost rows, were not valid, or left a cluster that nobody mended, are counted apart.
include "valid";
def rounded: . * 10000 | round / 10000;
def figures: sort | length as $n |
  {n: $n, min: .[0], median: ((.[($n - 1) / 2 | floor] + .[$n / 2 | floor]) / 2), p90: .[($n * 0.9 | ceil) - 1], max: .[$n - 1]}
  | with_entries(if .key == "n" then . else .value |= rounded end);
def middle: sort | .[(length - 1) / 2 | floor];
def steps: . as $all | ([.[].times_us | keys_unsorted[]] | unique) |
  map(. as $k | {($k): ([$all[].times_us[$k] // empty] | middle // 0 | . / 1e6 | rounded)}) | add // {};
def via: . as $all | [.[].via_us | keys_unsorted[]] | unique |
  map(. as $k | {($k): ([$all[].via_us[$k] // empty | . / 1e6] | figures)}) | add // {};
def class: . as $all | map(select(is_valid)) | if length == 0 then {n: 0} else
  ([.[].gap_us / 1e6] | figures) + {acknowledged: (map(.acknowledged) | add), route: .[0].route, via: via, where: steps} end
  + ($all | map(select(has_ended)) | if any(.[]; is_valid | not) then {all: ([.[].gap_us / 1e6] | figures)} else {} end)
  + ($all | {lost: (map(.lost // 0) | add), trials_with_loss: (map(select((.lost // 0) > 0)) | length),
     invalid: (map(select((is_valid | not) and .broken == null and (.lost // 0) == 0)) | length), broken: (map(select(.broken)) | length)});
def calm: {seconds: (map(.seconds) | add), freezes: (map(.freezes) | add), failovers: (map(.failovers) | add)};
. as $trials
| {machine: $machine, commit: $commit, build: $build}
  + (group_by(.system) | map({(.[0].system): (group_by(.class) | map({(.[0].class): (if .[0].class == "calm" then calm else class end)}) | add)}) | add // {})
  + {order: ($trials | map("\(.system) \(.class)"))}
