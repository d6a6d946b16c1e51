#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults of databases, agents and the arbiter, in the form of jepsen/hosts/faults.sh. Targets are hosts; what a
# target RULE means is resolved when the fault begins (sql_target). Those of network, disks and clocks are in
# jepsen/hosts. Sourced after topology.sh.
fault_table <<'TABLE'
db-kill db host - SIGKILL to the postmaster (once)
db-pause db host - every process of the database stopped, agent and guard alive
agent-kill db host - SIGKILL to the agent; a service manager starts it again when the fault is over
agent-pause db host - SIGSTOP to the agent
guard-kill db host - SIGKILL to guard and agent at once; the twin ends the database
host-crash db hosts - power loss: disk shut down without a flush, all processes and the link gone
crash-in-order db hosts DELAY_MS power loss of one host after the other
standby-left-behind db host - without power until the WAL that it needs next is gone everywhere
node-kill db hosts - SIGKILL to quorum nodes
leader-killed-in-failover db host LEADER SIGKILL to the postmaster, then to the leader of the quorum
promotion-hangs db host STANDBY SIGKILL to the postmaster while the recovery of a standby is stopped
switchover db host - asked for by an operator (once)
restart-agents db hosts - agents replaced one after the other, databases go on
restart-nodes db hosts - quorum nodes restarted one after the other
nothing db host - does nothing at all: a run that relies on it is invalid
TABLE

process_gone() { # PID
    [ ! -e "/proc/$1" ] || [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)" = Z ]
}
process_stopped() { [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)" = T ]; }
count_of() { # TEST PID...: how many pass
    local test=$1 pid n=0
    shift
    for pid; do "$test" "$pid" && n=$((n + 1)); done
    echo $n
}
names() { echo "${1//,/ }"; }
for kind in db_kill db_pause agent_kill agent_pause guard_kill node_kill leader_killed_in_failover promotion_hangs \
    switchover restart_agents restart_nodes nothing; do eval "may_$kind() { return 0; }"; done
for kind in host_crash crash_in_order standby_left_behind; do
    eval "may_$kind() { [ -n \"\$QUORATE_CGROUP2\" ] || { echo 'no cgroup v2'; return 1; }; needs xfs_io; }"
done

raise_nothing() { :; }
lower_nothing() { :; }
live_nothing() { echo 0; }

# --- the database ----------------------------------------------------------------------------------------------------
raise_db_kill() {
    postmaster_of "$1" | fault_keep db-kill "$1" pid
    kill -KILL "$(fault_kept db-kill "$1" pid)"
}
lower_db_kill() { :; }
live_db_kill() { count_of process_gone "$(fault_kept db-kill "$1" pid)"; }

raise_db_pause() {
    local pids again
    pids=$(tree_of "$1")
    # shellcheck disable=SC2086
    kill -STOP $pids && again=$(tree_of "$1") && kill -STOP $again
    echo "$again" | fault_keep db-pause "$1" pids
}
# Whoever has ended meanwhile was killed by its guard, as it should be.
lower_db_pause() {
    # shellcheck disable=SC2046
    kill -CONT $(fault_kept db-pause "$1" pids) 2>/dev/null
    return 0
}
live_db_pause() {
    local pids
    mapfile -t pids < <(fault_kept db-pause "$1" pids)
    echo $(($(count_of process_stopped "${pids[@]}") + $(count_of process_gone "${pids[@]}")))
}

raise_promotion_hangs() { # HOST [STANDBY]
    local standby=${2:-$(standbys | shuf -n 1 --random-source=<(yes "$1$RANDOM"))} startup
    startup=$(pgrep -P "$(postmaster_of "$standby")" -f 'startup')
    [ -n "$startup" ] || { echo "no recovery process at $standby" >&2; return 1; }
    echo "$startup" | fault_keep promotion-hangs "$1" pid
    kill -STOP "$startup" && kill -KILL "$(postmaster_of "$1")"
}
lower_promotion_hangs() { kill -CONT "$(fault_kept promotion-hangs "$1" pid)" 2>/dev/null; return 0; }
live_promotion_hangs() {
    local pid
    pid=$(fault_kept promotion-hangs "$1" pid)
    echo $(($(count_of process_stopped "$pid") + $(count_of process_gone "$pid")))
}

# What a service manager does, unless the host is without power or somebody has done it.
agent_back() { ! host_is_mounted "$1" || is_running "$1" || agent_start "$1"; }
node_back() { is_running "$1" || node_start "$1"; }

# --- agent and guard -------------------------------------------------------------------------------------------------
raise_agent_kill() {
    agent_pid "$1" | fault_keep agent-kill "$1" pid
    kill -KILL "$(fault_kept agent-kill "$1" pid)"
}
lower_agent_kill() { agent_back "$1"; }
live_agent_kill() { count_of process_gone "$(fault_kept agent-kill "$1" pid)"; }

raise_agent_pause() {
    agent_pid "$1" | fault_keep agent-pause "$1" pid
    kill -STOP "$(fault_kept agent-pause "$1" pid)"
}
lower_agent_pause() { kill -CONT "$(fault_kept agent-pause "$1" pid)" 2>/dev/null; return 0; }
live_agent_pause() { count_of process_stopped "$(fault_kept agent-pause "$1" pid)"; }

raise_guard_kill() {
    local guard
    guard=$(awk '{ print $4 }' "/proc/$(postmaster_of "$1")/stat") # the guard is the postmaster's parent
    grep -q quorate-guard "/proc/$guard/cmdline" || { echo "no guard above the database of $1" >&2; return 1; }
    echo "$guard" "$(agent_pid "$1")" | fault_keep guard-kill "$1" pids
    kill -KILL "$guard" "$(agent_pid "$1")"
}
lower_guard_kill() { agent_back "$1"; }
# shellcheck disable=SC2046
live_guard_kill() { count_of process_gone $(fault_kept guard-kill "$1" pids); }

raise_restart_agents() {
    local name pid n=0
    for name in $(names "$1"); do
        pid=$(agent_pid "$name")
        kill -USR1 "$pid"
        wait_until 10 process_gone "$pid" && agent_start "$name" && n=$((n + 1))
        wait_until 60 cluster_healthy
    done
    echo $n | fault_keep restart-agents "$1" count
}
lower_restart_agents() { :; }
live_restart_agents() { fault_kept restart-agents "$1" count; }

raise_switchover() {
    local before
    before=$(epoch)
    "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 40s >"$(fault_dir switchover "$1")/said" 2>&1
    echo $(($(epoch) - before)) | fault_keep switchover "$1" epochs
}
lower_switchover() { :; }
live_switchover() { fault_kept switchover "$1" epochs; }

# --- whole hosts -----------------------------------------------------------------------------------------------------
host_is_off() { ! host_is_mounted "$1"; }
raise_host_crash() { local h; for h in $(names "$1"); do host_power_off "$h" || return 1; done; }
lower_host_crash() { local h; for h in $(names "$1"); do host_power_on "$h" && host_daemons_start "$h" || return 1; done; }
# shellcheck disable=SC2046
live_host_crash() { count_of host_is_off $(names "$1"); }

raise_crash_in_order() { # A,B [DELAY_MS]
    local host nap
    nap=$(printf '%d.%03d' $((${2:-300} / 1000)) $((${2:-300} % 1000)))
    for host in $(names "$1"); do
        host_power_off "$host" || return 1
        sleep "$nap" # the fault itself: the second loss while the first is being handled
    done
}
lower_crash_in_order() { lower_host_crash "$1"; }
live_crash_in_order() { live_host_crash "$1"; }

# A new primary has no slot for a member that is away: what it needs next goes with the next checkpoints.
oldest_segment() { sql "$1" "SELECT min(substr(f, 9)) FROM pg_ls_dir('pg_wal') f WHERE f ~ '^[0-9A-F]{24}\$'"; }
raise_standby_left_behind() {
    local p before _
    host_power_off "$1" || return 1
    "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 30s >"$(fault_dir standby-left-behind "$1")/said" 2>&1
    wait_until 30 eval '[ -n "$(primary)" ]' || return 1
    p=$(primary)
    before=$(sql "$p" "SELECT substr(pg_walfile_name(pg_current_wal_flush_lsn()), 9)")
    for _ in $(seq 45); do sql "$p" "SELECT txid_current()" -c "SELECT pg_switch_wal()"; done >/dev/null
    for _ in 1 2; do sql "$p" CHECKPOINT; done
    if [[ $(oldest_segment "$p") > $before ]]; then echo 1; else echo 0; fi | fault_keep standby-left-behind "$1" count
}
lower_standby_left_behind() { lower_host_crash "$1"; }
live_standby_left_behind() { fault_kept standby-left-behind "$1" count; }

# --- quorum ----------------------------------------------------------------------------------------------------------
raise_node_kill() {
    local name
    for name in $(names "$1"); do pid_of "$name"; done | fault_keep node-kill "$1" pids
    for name in $(names "$1"); do node_kill "$name"; done
}
lower_node_kill() { local n; for n in $(names "$1"); do node_back "$n"; done; }
# shellcheck disable=SC2046
live_node_kill() { count_of process_gone $(fault_kept node-kill "$1" pids); }

raise_leader_killed_in_failover() { # HOST [LEADER]
    local leader=${2:-$(quorum_leader)}
    echo "$leader $(pid_of "$leader") $(postmaster_of "$1")" | fault_keep leader-killed-in-failover "$1" killed
    kill -KILL "$(postmaster_of "$1")"
    sleep "0.$((RANDOM % 9))" # somewhere within the failover
    node_kill "$leader"
}
lower_leader_killed_in_failover() { node_back "$(fault_kept leader-killed-in-failover "$1" killed | cut -d' ' -f1)"; }
live_leader_killed_in_failover() {
    # shellcheck disable=SC2046
    count_of process_gone $(fault_kept leader-killed-in-failover "$1" killed | cut -d' ' -f2-)
}

raise_restart_nodes() {
    local name pid n=0
    for name in $(names "$1"); do
        pid=$(pid_of "$name")
        kill -TERM "$pid"
        wait_until 15 process_gone "$pid" && node_start "$name" && n=$((n + 1))
        wait_until 30 quorum_is_whole
    done
    echo $n | fault_keep restart-nodes "$1" count
}
lower_restart_nodes() { :; }
live_restart_nodes() { fault_kept restart-nodes "$1" count; }

# --- targets ---------------------------------------------------------------------------------------------------------
standbys() { local h p; p=$(primary); for h in "${DATABASES[@]}"; do [ "$h" = "$p" ] || echo "$h"; done; }
comma() { paste -s -d, -; }
# Who a rule means now. DRAW is a number that the plan gives.
sql_target() { # RULE DRAW
    local p
    p=$(primary)
    case $1 in
    primary) echo "$p" ;;
    any) echo "${DATABASES[$(($2 % 3))]}" ;;
    standby) standbys | sed -n "$(($2 % 2 + 1))p" ;;
    standby-then-primary) { standbys | sed -n "$(($2 % 2 + 1))p"; echo "$p"; } | comma ;;
    primary-then-standby) { echo "$p"; standbys | sed -n "$(($2 % 2 + 1))p"; } | comma ;;
    databases) { standbys; echo "$p"; } | comma ;;
    leader) quorum_leader ;;
    node) echo "${QUORUM[$(($2 % 3))]}" ;;
    two-nodes) { quorum_leader; printf '%s\n' "${QUORUM[@]}" | grep -vx "$(quorum_leader)" | sed -n "$(($2 % 2 + 1))p"; } | comma ;;
    nodes) printf '%s\n' "${QUORUM[@]}" | comma ;;
    *) echo "sql_target: no rule $1" >&2; return 1 ;;
    esac
}
quorum_is_whole() { [ "$("${KV[@]}" status -o json --timeout 1s 2>/dev/null | jq '[.[] | select(.up)] | length')" = "${#QUORUM[@]}" ]; }
