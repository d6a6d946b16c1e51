#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The network between hosts: a bridge in a namespace of its own, and one set of pairs (from, to) that it drops.
#
#   net_cut ID < lines "FROM TO [PORT]"    a named cut; PORT: only TCP with that port on either side
#   net_uncut ID                           it is gone, others stay        net_cut_count ID   frames it has dropped
#   net_heal                               all cuts and losses are gone   net_verify         everybody reaches everybody
#   net_loss ID PERCENT < pairs            net_unloss ID                  net_dropped        frames dropped in all
#   link_down/link_up NAME                 both_ways, pairs: to write pairs
#
# Whoever changes a cut hands the kernel the difference to what it has as one transaction: there is no moment with
# half of it, and pairs that stay keep their counters. Neighbours are permanent, since frames dropped one way
# would drop ARP answers too and soon cut both ways.

net_enter() {
    ip netns add sw || return 1
    ip -n sw link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 || return 1
    ip -n sw link set br0 up
    mkdir -p "$QUORATE_SANDBOX_DIR"/net/{cuts,dropped,losses}
    : >"$QUORATE_SANDBOX_DIR/net/applied" && : >"$QUORATE_SANDBOX_DIR/net/applied-losses"
    nft_sw -f - <<'NFT'
table bridge faults {
  set cut { type ifname . ifname; counter; }
  set cut_port { type ifname . ifname . inet_service; counter; }
  map lossy { type ifname . ifname : verdict; }
  counter dropped { }
  chain forwarding {
    type filter hook forward priority 0; policy accept;
    iifname . oifname @cut counter name dropped drop
    iifname . oifname . tcp dport @cut_port counter name dropped drop
    iifname . oifname . tcp sport @cut_port counter name dropped drop
    iifname . oifname vmap @lossy
  }
}
NFT
}
nft_sw() { nsenter --net=/run/netns/sw -- nft "$@"; }

# Hosts stand on the bridge, or with HOSTS_ON=wire on the switch of jepsen/wire.
wire() { "$QUORATE_SANDBOX_DIR/jepsen-wire" "$QUORATE_SANDBOX_DIR/wire.sock" "$@"; }
is_wire() { [ "${HOSTS_ON:-bridge}" = wire ]; }
wire_start() {
    local bin=${BIN:-build/release/bin}
    [ ! -e "$QUORATE_SANDBOX_DIR/wire.sock" ] || return 0
    cp "$bin/jepsen-wire" "$QUORATE_SANDBOX_DIR/" || { echo "make hosts-programs builds jepsen-wire" >&2; return 1; }
    wire serve "${SEED:-1}" >>"$QUORATE_SANDBOX_DIR/wire.log" 2>&1 </dev/null &
    disown
    wait_for 5 test -S "$QUORATE_SANDBOX_DIR/wire.sock"
}
net_plug() { # NAME: an eth0 that leads to the others
    if is_wire; then
        wire_start && wire port "$1" "/run/netns/$1" "$(host_mac "$1")"
        return
    fi
    ip -n sw link add "p-$1" type veth peer name eth0 address "$(host_mac "$1")" netns "$1" &&
        ip -n sw link set "p-$1" master br0 up
}
net_attach() { # NAME
    local name=$1 other
    # Without IPv6, whose own chatter would count as frames that a cut has dropped.
    nsenter --net="/run/netns/$name" -- sh -c 'for i in all default; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done' 2>/dev/null
    net_plug "$name" || return 1
    ip -n "$name" addr add "$(host_address "$name")/24" dev eth0
    ip -n "$name" link set eth0 up
    net_neighbours "$name"
    for other in $(hosts); do
        [ "$other" = "$name" ] ||
            ip -n "$other" neigh replace "$(host_address "$name")" lladdr "$(host_mac "$name")" dev eth0 nud permanent
    done
}
net_neighbours() { # NAME: it knows all others
    local other
    for other in $(hosts); do
        [ "$other" = "$1" ] ||
            echo "neigh replace $(host_address "$other") lladdr $(host_mac "$other") dev eth0 nud permanent"
    done | ip -n "$1" -batch -
}

net_cut() { # ID, pairs on standard input
    local net=$QUORATE_SANDBOX_DIR/net
    sort -u >"$net/cuts/.$1"
    net_dropped_by "$net/cuts/.$1" >"$net/dropped/$1" # by other cuts of the same pairs, which may be on
    mv "$net/cuts/.$1" "$net/cuts/$1" && net_apply
}
net_uncut() { # ID
    [ -e "$QUORATE_SANDBOX_DIR/net/cuts/$1" ] || return 0
    rm -f "$QUORATE_SANDBOX_DIR/net/cuts/$1" && net_apply
}
net_element() { # of a line FROM TO [PORT]: the nft statement, after VERB
    awk -v verb="$1" '{ printf "%s element bridge faults cut%s { \"p-%s\" . \"p-%s\"%s }\n", verb, (NF > 2 ? "_port" : ""), $1, $2, (NF > 2 ? " . " $3 : "") }'
}
net_apply() {
    local net=$QUORATE_SANDBOX_DIR/net
    (
        flock 9
        cat "$net"/cuts/* 2>/dev/null | sort -u >"$net/wanted"
        # shellcheck disable=SC2046 # words are meant
        if is_wire; then wire cuts $(awk '{ print $1 ">" $2 (NF > 2 ? ":" $3 : "") }' "$net/wanted"); exit; fi
        { comm -13 "$net/wanted" "$net/applied" | net_element delete
          comm -23 "$net/wanted" "$net/applied" | net_element add; } >"$net/change"
        [ ! -s "$net/change" ] || nft_sw -f "$net/change" || exit 1
        mv "$net/wanted" "$net/applied"
    ) 9>"$net/lock"
}
net_counters() { # lines "FROM TO [PORT] FRAMES": what pairs have dropped
    if is_wire; then wire cut-counts; return; fi
    { nft_sw list set bridge faults cut; nft_sw list set bridge faults cut_port; } | grep -o '"p-[^,}]*' |
        sed -E 's/"p-([^"]*)" \. "p-([^"]*)"( \. ([0-9a-z-]+))? counter packets ([0-9]+).*/\1 \2 \4 \5/'
}
net_dropped_by() { # FILE of pairs
    net_counters | awk -v file="$1" '
        BEGIN { while ((getline line < file) > 0) { split(line, word); mine[word[1] " " word[2]] = 1 } }
        ($1 " " $2) in mine { sum += $NF }
        END { print sum + 0 }'
}
net_cut_count() { # ID: frames dropped since it is on, as long as it is on
    local net=$QUORATE_SANDBOX_DIR/net
    echo $(($(net_dropped_by "$net/cuts/$1") - $(<"$net/dropped/$1")))
}

both_ways() { awk '{ print; t = $1; $1 = $2; $2 = t; print }'; }
pairs() { # "A B C" "D E": each of the first with each of the second, one way
    local a b
    for a in $1; do for b in $2; do [ "$a" = "$b" ] || echo "$a $b"; done; done
}

# --- loss
loss_chain() { # PERCENT: a chain that drops so many
    nft_sw list chain bridge faults "drop$1" >/dev/null 2>&1 ||
        printf 'add counter bridge faults lost%d\nadd chain bridge faults drop%d { numgen random mod 100 < %d counter name lost%d counter name dropped drop; }\n' \
            "$1" "$1" "$1" "$1" | nft_sw -f -
}
net_loss() { # ID PERCENT, pairs on standard input
    loss_chain "$2" && sed "s/\$/ $2/" >"$QUORATE_SANDBOX_DIR/net/losses/$1" && net_apply_losses
}
net_unloss() { rm -f "$QUORATE_SANDBOX_DIR/net/losses/$1" && net_apply_losses; } # ID
net_apply_losses() { # of several losses of a pair the worst counts
    local net=$QUORATE_SANDBOX_DIR/net
    (
        flock 9
        cat "$net"/losses/* 2>/dev/null | sort -k1,2 -k3,3nr | awk '!had[$1 " " $2]++' | sort >"$net/wanted-losses"
        { comm -13 "$net/wanted-losses" "$net/applied-losses" |
            awk '{ printf "delete element bridge faults lossy { \"p-%s\" . \"p-%s\" }\n", $1, $2 }'
          comm -23 "$net/wanted-losses" "$net/applied-losses" |
            awk '{ printf "add element bridge faults lossy { \"p-%s\" . \"p-%s\" : jump drop%d }\n", $1, $2, $3 }'; } >"$net/change"
        [ ! -s "$net/change" ] || nft_sw -f "$net/change" || exit 1
        mv "$net/wanted-losses" "$net/applied-losses"
    ) 9>"$net/lock"
}
net_heal() {
    rm -f "$QUORATE_SANDBOX_DIR"/net/cuts/* "$QUORATE_SANDBOX_DIR"/net/losses/*
    net_apply && net_apply_losses && { ! is_wire || wire clear; }
}
nft_counter() { nft_sw list counter bridge faults "$1" 2>/dev/null | awk '$1 == "packets" { n = $2 } END { print n + 0 }'; }
net_dropped() {
    if is_wire; then wire counts '*' '*' | awk '$1 ~ /^(cut|lost|burst|queue_full)$/ { n += $2 } END { print n }'; else nft_counter dropped; fi
}
link_down() { if is_wire; then wire carrier "$1" 0; else ip -n sw link set "p-$1" down; fi; }
link_up() { if is_wire; then wire carrier "$1" 1; else ip -n sw link set "p-$1" up; fi; }

# Every host reaches every other one, and nothing is dropped any more. Prints the pairs that fail.
net_verify() { # [SECONDS]
    wait_for "${1:-10}" net_all_reach || { net_unreached; return 1; }
    local before
    before=$(net_dropped)
    net_all_reach && [ "$(net_dropped)" = "$before" ] || { echo "frames are still dropped" >&2; return 1; }
}
net_all_reach() { [ -z "$(net_unreached)" ]; }
net_unreached() {
    local from pids=()
    for from in $(hosts); do
        # shellcheck disable=SC2016,SC2046 # expanded inside, and words are meant
        nsenter --net="/run/netns/$from" -- bash -c 'from=$1; shift
            for to; do ping -q -c 1 -W 1 "${to#*=}" >/dev/null 2>&1 || echo "$from does not reach ${to%=*}" & done; wait' \
            _ "$from" $(for to in $(hosts); do [ "$to" = "$from" ] || echo "$to=$(host_address "$to")"; done) &
        pids+=($!)
    done
    wait "${pids[@]}"
}
