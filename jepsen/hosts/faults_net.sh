#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults of the network: every shape of partition as pairs for net_cut, loss, links, resets, bandwidth.
# Families are named by letters: q quorum nodes, d databases, c clients.
fault_table <<'TABLE'
isolate net hosts - cut from everybody, clients too
halves net hosts - they on one side, all other quorum nodes and databases on the other; clients reach both
bridge net host - two halves of its family, joined by it alone
ring net host - each of the family sees a majority, no two the same
one-way-in net host - nothing arrives at it, what it sends does arrive
one-way-out net host - what it sends arrives nowhere
cut-peers net host - cut from its own family only; clients and others still reach it
cut-quorum net host - cut from the quorum nodes only
cut-replication net host PORT databases do not reach each other's PORT (5432)
cut-clients net host - cut from the clients only
flapping net host PERIOD_MS cut from everybody and joined again in turns (500)
loss net host PERCENT of the frames it sends and gets, lost (30)
link-down net host - its cable is out: no carrier
link-down-inside net host - its interface is down: unreachable at once
reject net host PORT TCP to it is answered with a reset (all ports)
kill-connections net host - its TCP connections end (once)
bandwidth net host RATE it sends no faster (2mbit)
TABLE

others_of() { # "A,B" NAMES...: the names that are not among them
    local name
    for name in "${@:2}"; do [[ ,$1, == *,$name,* ]] || echo "$name"; done
}
half_of() { head -n $(($# / 2)) < <(printf '%s\n' "$@"); }

# --- shapes: each prints pairs
shape_isolate() { pairs "${1//,/ }" "$(others_of "$1" $(hosts))" | both_ways; }
shape_halves() { pairs "${1//,/ }" "$(others_of "$1" $(hosts q d))" | both_ways; }
shape_bridge() {
    local rest half
    rest=$(others_of "$1" $(host_family "$1"))
    half=$(half_of $rest)
    pairs "$half" "$(others_of "$(echo $half | tr ' ' ,)" $rest)" | both_ways
}
shape_ring() { # each keeps its neighbours on either side, as many as make a majority; of three the middle one keeps both
    local all=() n i j distance
    mapfile -t all < <(host_family "$1")
    n=${#all[@]}
    for ((i = 0; i < n; i++)); do
        for ((j = i + 1; j < n; j++)); do
            distance=$((j - i < n - (j - i) ? j - i : n - (j - i)))
            if [ "$n" -eq 3 ]; then [ "$i" -eq 0 ] && [ "$j" -eq 2 ]; else [ "$distance" -gt $(((n / 2 + 1) / 2)) ]; fi &&
                pairs "${all[$i]}" "${all[$j]}"
        done
    done | both_ways
}
shape_one_way_in() { pairs "$(others_of "$1" $(hosts q d))" "$1"; }
shape_one_way_out() { pairs "$1" "$(others_of "$1" $(hosts q d))"; }
shape_cut_peers() { pairs "${1//,/ }" "$(others_of "$1" $(host_family "$1"))" | both_ways; }
shape_cut_quorum() { pairs "${1//,/ }" "$(others_of "$1" $(hosts q))" | both_ways; }
shape_cut_clients() { pairs "${1//,/ }" "$(others_of "$1" $(hosts c))" | both_ways; }
shape_cut_replication() {
    pairs "${1//,/ }" "$(others_of "$1" $(host_family "$1"))" | both_ways | sed "s/\$/ ${2:-5432}/"
}
net_kind() { # KIND: a shape that is cut as long as it is on
    local f=${1//-/_}
    eval "raise_$f() { shape_$f \"\$@\" | net_cut $1.\$1; }
        lower_$f() { net_uncut $1.\$1; }
        live_$f() { net_cut_count $1.\$1; }
        may_$f() { needs nft; }"
}
for kind in isolate halves bridge ring one-way-in one-way-out cut-peers cut-quorum cut-replication cut-clients; do
    net_kind "$kind"
done

# --- flapping: a shell of its own cuts and joins until the file is gone
flap() { # TARGET MS
    local dir nap
    dir=$(fault_dir flapping "$1")
    nap=$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))
    while [ -e "$dir/flapping" ]; do
        shape_isolate "$1" | net_cut "flapping.$1"
        sleep "$nap"
        echo $(($(cat "$dir/dropped") + $(net_cut_count "flapping.$1"))) >"$dir/.dropped" && mv "$dir/.dropped" "$dir/dropped"
        net_uncut "flapping.$1"
        sleep "$nap"
    done
}
raise_flapping() {
    echo 0 | fault_keep flapping "$1" dropped
    echo "${2:-500}" | fault_keep flapping "$1" flapping
    flap "$1" "${2:-500}" >/dev/null &
    echo $! | fault_keep flapping "$1" pid
}
lower_flapping() {
    rm -f "$(fault_dir flapping "$1")/flapping"
    wait_for 15 eval "! kill -0 $(fault_kept flapping "$1" pid)" && net_uncut "flapping.$1"
}
live_flapping() { fault_kept flapping "$1" dropped; }
may_flapping() { needs nft; }

raise_loss() {
    local percent=${2:-30}
    loss_chain "$percent" || return 1 # whose counter is read now
    echo "$percent $(nft_counter "lost$percent")" | fault_keep loss "$1" base
    pairs "$1" "$(others_of "$1" $(hosts))" | both_ways | net_loss "$1" "$percent"
}
lower_loss() { net_unloss "$1"; }
live_loss() {
    local percent before
    read -r percent before < <(fault_kept loss "$1" base)
    echo $(($(nft_counter "lost$percent") - before))
}
may_loss() {
    needs nft || return 1
    ! is_wire || { echo "hosts stand on the switch: wire-loss is meant"; return 1; }
}

# --- links
carrier() { ip -n "$1" -o link show "$2" | grep -c 'state DOWN'; }
raise_link_down() { link_down "$1" && wait_for 5 eval "[ \$(carrier $1 eth0) = 1 ]"; } # the kernel tells within a second
lower_link_down() { link_up "$1" && wait_for 5 eval "[ \$(carrier $1 eth0) = 0 ]"; }
live_link_down() { carrier "$1" eth0; }
may_link_down() { needs ip; }
raise_link_down_inside() { ip -n "$1" link set eth0 down; }
lower_link_down_inside() { ip -n "$1" link set eth0 up && net_neighbours "$1"; }
live_link_down_inside() { carrier "$1" eth0; }
may_link_down_inside() { needs ip; }

# --- connections
nft_in() { nsenter --net="/run/netns/$1" -- nft "${@:2}"; }
raise_reject() {
    nft_in "$1" -f - <<NFT
table inet faults {
  chain arriving {
    type filter hook input priority 0; policy accept;
    iifname "eth0" tcp dport ${2:-0-65535} counter reject with tcp reset
  }
}
NFT
}
lower_reject() { nft_in "$1" delete table inet faults; }
live_reject() { nft_in "$1" list table inet faults | awk '{ for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) } END { print n + 0 }'; }
may_reject() { needs nft; }

raise_kill_connections() {
    nsenter --net="/run/netns/$1" -- ss -Htn -K state established "not dst 127.0.0.1" | grep -c . | fault_keep kill-connections "$1" count
}
lower_kill_connections() { :; }
live_kill_connections() { fault_kept kill-connections "$1" count; }
may_kill_connections() { needs ss; }

raise_bandwidth() { ip netns exec "$1" tc qdisc add dev eth0 root tbf rate "${2:-2mbit}" burst 16kb latency 200ms; }
lower_bandwidth() { ip netns exec "$1" tc qdisc del dev eth0 root; }
live_bandwidth() { ip netns exec "$1" tc -s -j qdisc show dev eth0 | jq '[.[] | .overlimits + .drops] | add // 0'; }
may_bandwidth() { needs tc jq; }
