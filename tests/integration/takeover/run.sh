#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A running cluster of Debian's Patroni, synchronous, with a writer, is taken over and given back, by the commands of
# docs/from-patroni.md: each block of that page is run as it stands, with paths and addresses of this machine in it.
# usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/patroni/members.sh
PAGE=$PWD/docs/from-patroni.md
for tool in patroni patronictl psql; do
    command -v "$tool" >/dev/null || { skip "a take-over from Patroni" "$tool is not installed; run 'make deps-tests'"; report_end takeover; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-takeover.XXXXXX")
trap 'load_stop; cluster_stop; keep_logs takeover; /bin/rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# --- the page's commands, on one machine
block() { # NAME: the code behind its mark
    awk -v mark="<!-- run: $1 -->" '$0 == mark { found = 1; next } found && /^```/ { if (inside) exit; inside = 1; next } inside' "$PAGE"
}
# run NAME [MEMBER]: paths of a host become those of this member
run() {
    local name=$1 member=${2:-${MEMBERS[0]}} text nodes="" node
    echo "$name" >>"$DIR/blocks"
    for node in "${QUORUM[@]}"; do nodes+=${nodes:+,}$node=127.0.0.1:${PEER_PORT[$node]}; done
    text=$(block "$name" | sed -e "s|/etc/patroni/config.yml|$DIR/$member.yml|g" -e "s|/etc/quorate/agent-batman.yml|$DIR/$member.agent.yml|g" \
        -e "s|a=10.0.0.1:2380,b=10.0.0.2:2380,c=10.0.0.3:2380|$nodes|" -e "s|/var/run/postgresql|$DIR/$member/run -p ${SQL_PORT[$member]}|" \
        -e "s|dynamic.yml|$DIR/$member.dynamic.yml|g; s|--out import|--out $DIR/$member/import|; s|import/cluster.json|$DIR/$member/import/cluster.json|" \
        -e "s|--dir tls|--dir $DIR/tls|; s|10.0.0.1,p1|127.0.0.1,localhost|; s|--name p1|--name $member|; s|kv doctor|kv doctor --etc $DIR/$member/etc|" \
        -e "s|/run/quorate/batman.p1|$DIR/$member/run/batman.$member|; s|/var/lib/quorate/batman|$DIR/$member/state|; s|\bbatman\b|pgp|g")
    [ -n "$text" ] || { echo "no block $name in $PAGE"; return 1; }
    MEMBER=$member
    (set -e && eval "$text")
}
kv() { as_user timeout 150 "${KV[@]}" "$@"; }
patronictl() { as_user env HOME="$DIR" /usr/bin/patronictl "$@"; }
psql() { as_user /usr/bin/psql -X -q -A -t -d postgres "$@"; }
quorate-agent-postgresql() { as_user "$DIR/bin/quorate-agent-postgresql" "$@"; }
quorate-guard() { as_user "$DIR/bin/quorate-guard" "$@"; }
rm() { as_user /bin/rm "$@"; }
systemctl() { # disable|enable --now UNIT: KillMode=process, as both units have
    case "$1 $3" in
    "disable patroni") end_process "$MEMBER" ;;
    "enable patroni") patroni_start "$MEMBER" ;;
    disable*) end_process "agent-$MEMBER" ;;
    enable*) spawn "agent-$MEMBER" "$DIR/bin/quorate-agent-postgresql" --config "$DIR/$MEMBER.agent.yml" ;;
    esac
}
end_process() {
    kill -TERM "$(pid_of "$1")" 2>/dev/null
    wait_until 30 eval "! is_running $1"
}

# What the import wrote, for three hosts that are one: directories of their own, the rig's token.
place_files() { # MEMBER
    local to=$DIR/$1.agent.yml
    sed -e "s|/etc/quorate/tls|$DIR/tls|; s|\"/etc/quorate/passwords\"|\"$DIR/$1/import/passwords\"|" -e "s|\"/var/lib/quorate/pgp\"|\"$DIR/$1/state\"|" \
        -e "s|\"/run/quorate\"|\"$DIR/$1/run\"|; s|^quorum:|quorum:\n  token: $(basename "$DIR")|" "$DIR/$1/import/agent-pgp.yml" >"$to"
    mkdir -p "$DIR/$1/etc"
    cp "$to" "$DIR/$1/etc/agent-pgp.yml"
    own
}
adopted_count() { cluster_json | jq '[.members[] | select(.adopted)] | length'; }
is_taken_over() {
    [ "$(cluster_json | jq '.state == "healthy" and ([.members[] | select(.state == "streaming")] | length) == 2')" = true ]
}
is_synchronous() { [ "$(cluster_json | jq '.sync | test("any 1")')" = true ]; }
health_watch() { # moments at which the primary's health check says so
    while member_is "$leader" /primary && now_us >>"$DIR/health" || sleep 0.02; do sleep 0.02; done
}
pids() { local name; for name in "${MEMBERS[@]}"; do patroni_postmaster "$name"; done; }
lag_is_gone() { [ "$(patroni_sql "$1" "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")" = 2 ]; }

cluster_init "$work"
store_start
wait_until 15 store_has_leader || die "the quorum has no leader"
patroni_setup 3
MEMBERS_CLUSTER=pgp
for name in "${MEMBERS[@]}"; do
    # shellcheck disable=SC2034
    HTTP_PORT[$name]=${REST_PORT[$name]}
    patroni_start "$name"
done
check "Patroni runs a cluster of three" wait_until 90 patroni_is_whole 3
patroni_ctl edit-config pgp --force -s synchronous_mode=true >/dev/null || die "no synchronous mode"
is_patroni_sync() { [ "$(patroni_list | jq 'any(.Role == "Sync Standby")')" = true ]; }
check "in synchronous mode" wait_until 30 is_patroni_sync
leader=$(patroni_leader)
check "a writer begins" eval 'wait_until 20 load_prepare && load_start "$DIR/acked"'
wait_until 10 eval '[ "$(acked_of "$DIR/acked")" -gt 100 ]' || die "nothing is written"

# --- over
for name in "${MEMBERS[@]}"; do
    check "import of $name" run read "$name"
    check "certificates of $name" run prepare "$name"
    place_files "$name"
done
check "the document is accepted" run create
for name in "${MEMBERS[@]}"; do check "$name is fit" run look "$name"; done
check_fails "no agent begins beside Patroni" "pause its cluster and stop it" quorate-agent-postgresql --config "$DIR/p1.agent.yml"
before=$(pids)
began=$(now_us)
check "Patroni pauses" run pause
health_watch &
HEALTH=$!
for name in "$leader" $(printf '%s\n' "${MEMBERS[@]}" | grep -vx "$leader"); do check "the managers of $name change, its server goes on" run change "$name"; done
check "the cluster is taken over, with its primary and two standbys" wait_until 60 is_taken_over
check_output "which is the one that was" "$leader" primary
check "what is shown and told" run verify
check "synchronous again, by its own plan" wait_until 30 is_synchronous
check_output "all three are adopted" 3 adopted_count
check_output "no postmaster was restarted" "$before" pids
check "what waits for a restart is told, though Patroni's command line hides it" wait_until 20 eval \
    '[ "$(cluster_json | jq "[.members[].pending_restart | test(\"cluster_name pgp -> pgp/\")] | all")" = true ]'
check "slots of Patroni are dropped" run tidy "$leader"
sleep 2 # more of the writer, at rest
ended=$(now_us)
over=$(gap_after "$DIR/acked" "$began" $((ended - began)))
note "longest gap between two acknowledged writes while it was taken over: $over ms"
kill "$HEALTH" 2>/dev/null
note "longest time without a 200 on the primary's health check: $(gap_after "$DIR/health" "$began" $((ended - began))) ms"
check_output "nothing that was acknowledged is lost" 0 lost_of "$DIR/acked"

# --- and back
began=$(now_us)
check "our cluster pauses" run back-pause
for name in $(printf '%s\n' "${MEMBERS[@]}" | grep -vx "$leader") "$leader"; do check "$name is given back" run back "$name"; done
check "Patroni has it again" eval 'wait_until 60 patroni_is_whole 3 && run back-resume'
check_output "with the primary that was" "$leader" patroni_leader
check_output "again no postmaster was restarted" "$before" pids
check "Patroni's standbys stream" wait_until 30 lag_is_gone "$leader"
sleep 2
ended=$(now_us)
note "longest gap while it was given back: $(gap_after "$DIR/acked" "$began" $((ended - began))) ms"
check_output "nothing is lost" 0 lost_of "$DIR/acked"

# --- over once more, for good
for name in "${MEMBERS[@]}"; do check "$name forgets" run forget "$name"; done
check "so does the quorum" run forget-record
check "the document once more" run create
check "Patroni pauses again" run pause
for name in $(printf '%s\n' "${MEMBERS[@]}" | grep -vx "$leader") "$leader"; do check "the managers of $name change" run change "$name"; done
check "it is taken over again, whoever's agent came first" wait_until 60 is_taken_over
check_output "no postmaster was restarted" "$before" pids
# Nobody's parent: guard, twin and agent killed together, the server runs on, and the next guard ends it.
victim=$(printf '%s\n' "${MEMBERS[@]}" | grep -vx "$leader" | head -n 1)
lonely=$(patroni_postmaster "$victim")
# shellcheck disable=SC2046
kill -KILL "$(pid_of "agent-$victim")" $(guard_of "$victim")
wait_until 5 eval '! is_running "agent-$victim"'
check "an adopted standby outlives its guard and twin, killed together" kill -0 "$lonely"
check "the agent comes back" eval 'MEMBER=$victim systemctl enable --now quorate-agent-postgresql@pgp'
check "its guard ends what runs without one, and starts it anew" wait_until 60 eval 'is_taken_over && [ "$(adopted_count)" = 2 ] && ! kill -0 "$lonely"'
check "a restart and a switchover end the adoption" run settle
check "all of it is ours" wait_until 60 eval 'is_taken_over && [ "$(adopted_count)" = 0 ]'
check "another one leads" eval '[ "$(primary)" != "$leader" ]'
load_stop
check_output "nothing that was acknowledged is lost" 0 lost_of "$DIR/acked"
note "$(acked_of "$DIR/acked") writes were acknowledged in all"
check "every command of the page was run" eval '
    for name in $(sed -n "s/^<!-- run: \(.*\) -->$/\1/p" "$PAGE"); do grep -qx -e "$name" "$DIR/blocks" || { echo "not run: $name"; exit 1; }; done
    [ "$(grep -c "^\`\`\`" "$PAGE")" = $((2 * $(grep -c "^<!-- run: " "$PAGE"))) ]'
report_end takeover
