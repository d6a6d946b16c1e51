#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The virtual IP of a real cluster, in a network namespace of its own: each member has an interface of its own, the address is on
# the primary's alone, moves with a switchover, and goes away by itself under an agent that was killed or stopped. Needs root.
# usage: vip.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/report.sh
if [ "$(id -u)" -ne 0 ] || ! unshare -n true 2>/dev/null; then
    skip "virtual IP" "needs root and network namespaces"
    report_end vip
    exit
fi
if [ -z "${VIP_INSIDE:-}" ]; then VIP_INSIDE=1 exec unshare -n bash "$0"; fi
ip link set lo up
. tests/support/cluster.sh
. tests/support/mounts.sh
. tests/integration/postgresql/setup.sh
quorum_mounts() { return 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-vip.XXXXXX")
trap 'load_stop; cluster_stop; keep_logs vip; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

FOUR=10.99.0.5 SIX=fd99::5
# As root: the agent gives that up by itself, and keeps what an address needs.
member_start() {
    if ! ip link show "v-$1" >/dev/null 2>&1; then
        ip link add "v-$1" type veth peer name "w-$1" && ip link set "v-$1" up && ip link set "w-$1" up
        printf 'vip:\n  address: [%s/24, %s/64]\n  interface: v-%s\n' $FOUR $SIX "$1" >>"$DIR/$1.yml"
    fi
    RUN_AS=root spawn "$1" "$DIR/bin/quorate-agent-postgresql" --config "$DIR/$1.yml"
}
has_vip() { # MEMBER: both addresses
    ip -o addr show dev "v-$1" | grep -q " $FOUR/24 " && ip -o addr show dev "v-$1" | grep -q " $SIX/64 "
}
has_none() { ! ip -o addr show dev "v-$1" | grep -qE " ($FOUR|$SIX)/"; }
who_has() { local m; for m in "${MEMBERS[@]}"; do has_none "$m" || echo "$m"; done | xargs; }
primary_alone_has() { has_vip "$(primary)" && [ "$(who_has)" = "$(primary)" ]; }
# How often two members had an address at one time, looking all the time until the pid ends.
watch_pairs() { # PID FILE
    while kill -0 "$1" 2>/dev/null; do
        ip -o -4 addr show | grep -c " $FOUR/"
    done | awk '$1 > 1 { n++ } END { print n + 0 }' >"$2"
}
caps_of() { awk '/^Cap(Prm|Eff|Inh|Amb)/ { printf "%s%s", sep, $2; sep = " " }' "/proc/$1/status"; }

make_cluster
check "the primary has both addresses, nobody else" wait_until 10 primary_alone_has
P=$(primary)
check_output "the agent has two capabilities and hands none on" \
    "0000000000000000 0000000000003000 0000000000003000 0000000000000000" caps_of "$(pid_of "$P")"
check_output "the database has none" "0000000000000000 0000000000000000 0000000000000000 0000000000000000" \
    caps_of "$(postmaster_of "$P")"
sleep 60 & watched=$!
watch_pairs $watched "$work/pairs" &
"${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 30s >/dev/null
check "it moves with a switchover" wait_until 10 eval 'primary_alone_has && [ "$(primary)" != '"$P"' ]'
P=$(primary)
kill -STOP "$(pid_of "$P")"
check "a stopped agent leaves none behind" wait_until 5 has_none "$P"
check "the next primary has it" wait_until 20 eval '[ -n "$(primary)" ] && has_vip "$(primary)"'
kill -CONT "$(pid_of "$P")"
check "the old one comes back without it" wait_until 30 eval 'has_none '"$P"' && primary_alone_has'
wait_until 60 is_settled
P=$(primary)
kill -KILL "$(pid_of "$P")"
check "a killed agent leaves none behind" wait_until 5 has_none "$P"
check "the next primary has it" wait_until 20 eval '[ -n "$(primary)" ] && primary_alone_has'
kill "$watched" && wait
check_output "never on two members at a time" 0 cat "$work/pairs"
report_end vip
