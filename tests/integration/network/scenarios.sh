# SPDX-License-Identifier: Apache-2.0
# Scenarios of run.sh: each begins settled, with writers, makes its faults, sees that they had effect, heals, and ends settled
# with nothing acknowledged lost. The numbers are those of the table in ../README.md.

. tests/support/fault_steps.sh

tables_make() {
    local member
    member=$(primary) || return 1
    load_tables "$member"
}
one_standby() { standbys | head -n 1; }
other_is_primary() { local now; now=$(primary) && [ -n "$now" ] && [ "$now" != "$P" ]; }
shown() { "${KV[@]}" db show "$SQL_CLUSTER" --timeout 2s; }
settled_again() { wait_until "${1:-90}" is_settled || bad "$NAME: not healthy afterwards" "$(shown)"; }
begin_probed() {
    begin "$1"
    probe_start "$work/probe.${1// /-}"
    wait_until 10 eval '[ "$(wc -l <"$PROBED")" -gt 50 ]' || bad "$NAME: the probers get nothing through"
}
finish_probed() { # MEMBER: who was primary before
    probe_stop
    check_output "$NAME: dual acknowledged" 0 dual_acknowledged "$1" "$AT"
    finish
}
same_reign() {
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: same postmaster" root_is "$ROOT"
}

host_lost() { # 5
    begin "host lost"
    raise host-crash "$P" || return
    check "$NAME: another one is promoted" wait_until 20 other_is_primary
    note "after $((($(now_us) - AT) / 1000)) ms"
    check "$NAME: one failover" epoch_is $((EPOCH + 1))
    lower host-crash "$P"
    settled_again
    finish
}

cut_from_quorum() { # 8: clients and standbys still reach it
    begin_probed "cut from the quorum"
    raise cut-quorum "$P" || return
    check "$NAME: another one is promoted" wait_until 20 other_is_primary
    check "$NAME: the old one answers 503" eval '[ "$(http_code "$P" /primary)" != 200 ]'
    lower cut-quorum "$P"
    settled_again
    finish_probed "$P"
    check "$NAME: the epoch grew by one" epoch_is $((EPOCH + 1))
}

cut_from_standbys() { # 9: the set shrinks by an ordered step, and it is said; nobody may be promoted meanwhile
    begin "cut from its standbys"
    raise cut-replication "$P" || return
    check "$NAME: the record says first that no standby counts" wait_until 20 eval '[ "$(record | jq .votes_needed_r)" = 0 ]'
    check "$NAME: then writes go on" wait_until 20 acks_after "$ACKED" "$(now_us)"
    check "$NAME: and it is said who alone has everything" eval 'shown | grep -q "$P"'
    shown | head -n 3 | sed 's/^/      /'
    lower cut-replication "$P"
    settled_again
    finish
    same_reign
}

standby_cut() { # 10
    local s
    begin "one standby cut"
    s=$(one_standby)
    raise isolate "$s" || return
    wait_until 20 acks_after "$ACKED" $((AT + 7000000))
    check "$NAME: never promoted" eval '[ "$(primary)" = "$P" ]'
    lower isolate "$s"
    settled_again
    finish
    same_reign
    check "$NAME: it has caught up" wait_until 20 eval '[ "$(sql '"$s"' "SELECT pg_last_wal_replay_lsn() >= '"'$(sql "$P" "SELECT pg_current_wal_flush_lsn()")'"'")" = t ]'
}

one_way() { # 11
    local kind
    for kind in one-way-in one-way-out; do
        begin_probed "$kind"
        raise "$kind" "$P" || continue
        check "$NAME: another one is promoted" wait_until 25 other_is_primary
        lower "$kind" "$P"
        settled_again
        check "$NAME: at most one failover ($(($(epoch) - EPOCH)))" test $(($(epoch) - EPOCH)) -le 1
        finish_probed "$P"
    done
}
flapping_link() { # 11: at the length of the lease
    local seconds=12 changes
    [ -z "${LONG:-}" ] || seconds=60
    begin_probed "flapping at the lease's length"
    raise flapping "$P" 2000 || return
    sleep "$seconds" # so long it flaps
    lower flapping "$P"
    settled_again
    changes=$(($(epoch) - EPOCH))
    check "$NAME: bounded changes ($changes in $seconds s)" test "$changes" -le $((1 + seconds / 8))
    finish_probed "$P"
}

lossy() { # 12: on the switch (HOSTS_ON=wire) with 200 ms one way as well
    local seconds=20 h changes kind kinds="loss"
    [ -z "${LONG:-}" ] || seconds=120
    begin_probed "nearly half of all frames lost"
    h=$(printf '%s,' "${DATABASES[@]}" "${QUORUM[@]}")
    if is_wire; then
        raise wire-loss "${h%,}" 40 && raise wire-delay "${h%,}" 200,20 || return
        kinds="wire-loss wire-delay"
    else
        raise loss "${h%,}" 25 || return # of what each sends and of what each gets
    fi
    sleep "$seconds" # so long it is lossy
    for kind in $kinds; do lower "$kind" "${h%,}"; done
    settled_again 120
    changes=$(($(epoch) - EPOCH))
    check "$NAME: bounded changes ($changes in $seconds s)" test "$changes" -le $((2 + seconds / 10))
    finish_probed "$P"
}

second_failure() { # 21: the second loss while the first is being handled: it waits and says for whom, or goes on, but loses nothing
    local s
    begin "second failure during the first"
    s=$(one_standby)
    raise crash-in-order "$P,$s" 300 || return
    sleep 8 # longer than lease and vote
    if other_is_primary; then
        note "the third member went on"
    else
        check "$NAME: it is said what is waited for" eval '[ -n "$(cluster_json | jq -r .waiting_for)" ]'
        note "$(cluster_json | jq -r .waiting_for)"
    fi
    lower crash-in-order "$P,$s"
    settled_again 120
    finish
}

disk_full() { # 29
    begin "disk of the primary full"
    raise disk-full "$P" || return
    check "$NAME: another one is promoted" wait_until 30 other_is_primary
    sleep 5 # full still: no second failover
    lower disk-full "$P"
    settled_again 120
    check "$NAME: one failover at most ($(($(epoch) - EPOCH)))" test $(($(epoch) - EPOCH)) -le 1
    finish
}

clocks_jump() { # 31
    local h
    begin "wall clocks jump"
    for h in "${DATABASES[@]}" "${QUORUM[@]}"; do
        raise wall-jump "$h" 3600 || return
        sleep 1 # with the clock an hour ahead
        fault_off wall-jump "$h"
        raise wall-jump "$h" -3600 || return
        sleep 1
        fault_off wall-jump "$h"
    done
    finish
    same_reign
}
