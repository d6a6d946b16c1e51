# SPDX-License-Identifier: Apache-2.0
# The cluster of the PostgreSQL scenarios, and what each of them begins and ends with: sourced by run.sh.
#
#   make_cluster          everything up and healthy; quorum nodes on file systems of their own where that is possible;
#                         adapt_member NAME, if there is one, may change the member's file before its start
#   begin NAME            writers run; sets ACKED, P (primary), ROOT (its postmaster), EPOCH, AT
#   finish NAME           writers end; nothing acknowledged may be missing
#   epoch_is E, root_is PID, state_is PID LETTER, tree_of MEMBER, log_marks, log_has MEMBER TEXT
. tests/support/jq.sh

LOAD=0 PROBE=0

make_cluster() {
    cluster_init "$work"
    quorum_setup 3
    if quorum_mounts 160; then note "quorum nodes on file systems of their own"; fi
    for node in "${QUORUM[@]}"; do quorum_start_here "$node"; done
    wait_until 15 quorum_has_leader || die "the quorum has no leader"
    MEMBER_TLS=verify-full # though all is on loopback: the way it is between real servers
    members_setup pg-main 3
    for member in "${MEMBERS[@]}"; do
        sed -i '/- "host all all/a\    - "local all app scram-sha-256"' "$DIR/$member.yml"
        ! declare -F adapt_member >/dev/null || adapt_member "$member"
        member_start "$member"
    done
    wait_until 90 cluster_is healthy || die "the cluster did not become healthy"
    load_prepare || die "no table to write to"
    # The harness spoilt (canaries.sh): what is acknowledged then is on one disk only, and the scenarios must find it lost.
    [ "${SABOTAGE:-}" != local-commit ] || sql "$(primary)" "ALTER ROLE app SET synchronous_commit = local"
    check_output "standbys stream over TLS with verified certificates" "2 t" sql "$(primary)" \
        "SELECT count(*) || ' ' || left(bool_and(s.ssl)::text, 1) FROM pg_stat_replication r JOIN pg_stat_ssl s USING (pid)"
}

record() { "${KV[@]}" get "/quorate/v1/clusters/$MEMBERS_CLUSTER/record" --timeout 2s 2>/dev/null | tail -n 1; }
epoch() { record | jq -r .epoch; }
epoch_is() { [ "$(epoch)" = "$1" ]; }
root_is() { [ "$(postmaster_of "$P")" = "$1" ] && kill -0 "$1"; }
state_is() { [ "$(sed 's/.*) //' "/proc/$1/stat" | cut -c1)" = "$2" ]; }
# By SIGSTOP or by the freezer of its cgroup.
is_frozen() { # PID
    state_is "$1" T || grep -q "frozen 1" "$CGROUP_MOUNT$(sed -n 's/^0:://p' "/proc/$1/cgroup")/cgroup.events"
}
# As root, where there is cgroup v2: further starts of members happen in a delegated cgroup of their own.
CGROUP_MOUNT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
CGROUP=""
cgroups_make() {
    local member
    [ "$(id -u)" -eq 0 ] && [ -n "$CGROUP_MOUNT" ] && mkdir "$CGROUP_MOUNT/quorate-test-$$" 2>/dev/null || return 1
    CGROUP=$CGROUP_MOUNT/quorate-test-$$
    for member in "${MEMBERS[@]}"; do
        mkdir "$CGROUP/$member" && [ -e "$CGROUP/$member/cgroup.kill" ] && chown -R "$RUN_AS" "$CGROUP/$member" || return 1
    done
}
cgroups_remove() { [ -z "$CGROUP" ] || find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null; }
member_start_here() { # NAME
    if [ -z "$CGROUP" ]; then
        member_start "$1"
    else
        (echo "$BASHPID" >"$CGROUP/$1/cgroup.procs" && member_start "$1")
    fi
}
# Every process that stands in the member's data directory, zombies aside.
tree_of() { # MEMBER
    find /proc -maxdepth 2 -name cwd -lname "$DIR/$1/data" 2>/dev/null | cut -d/ -f3
}
tree_is_gone() { [ -z "$(tree_of "$1")" ]; }
postgres_log() { cat "$DIR/$1/state/postgresql.log"; }
# After log_mark MEMBER: does its PostgreSQL log hold a new line with TEXT?
log_mark() { MARK=$(postgres_log "$1" | wc -l); }
log_has() { postgres_log "$1" | tail -n +$((MARK + 1)) | grep -q -- "$2"; }
# All of the first members up and in their places, whoever else was seen.
is_settled() {
    cluster_json | jq -e '.primary != "" and .r == 1 and (.voters | length) == 2 and (.sync_names | length) == 2 and
        ([.members[] | select(.up and (.state == "running" or .state == "streaming"))] | length) == 3' >/dev/null
}
acks_after() { # FILE T_US
    [ "$(tail -n 1 "$1" | cut -d' ' -f1)" -gt "$2" ]
}

begin() { # NAME
    NAME=$1
    touch "$work/begun"
    wait_until 60 is_settled || bad "$NAME: the cluster is not healthy before" "$("${KV[@]}" db show "$MEMBERS_CLUSTER")"
    ACKED=$work/acked.$NAME
    load_start "$ACKED" --clients 3 --pause-us 3000
    wait_until 15 eval '[ "$(wc -l <"$ACKED")" -gt 100 ]' || bad "$NAME: no writes get through"
    P=$(primary) EPOCH=$(epoch) AT=$(now_us)
    ROOT=$(postmaster_of "$P")
    log_mark "$P"
}
finish() {
    wait_until 30 has_primary
    wait_until 20 acks_after "$ACKED" "$(now_us)" || bad "$NAME: no writes get through afterwards"
    load_stop
    check_output "$NAME: no acknowledged commit is lost ($(acked_of "$ACKED"))" 0 lost_of "$ACKED"
    note "longest write gap: $(gap_after "$ACKED" "$AT" 60000000) ms"
}

# One prober inside each member's host, over its local socket: writer 101 is pg1's, and so on.
probe_start() { # FILE
    local member list=""
    for member in "${MEMBERS[@]}"; do list+=${list:+,}$DIR/$member/run:${SQL_PORT[$member]}; done
    : >"$1"
    [ "$(id -u)" -ne 0 ] || chown "$RUN_AS" "$1"
    as_user "$DIR/bin/pgload" --members "$list" --parallel --first-writer 101 --out "$1" \
        --conninfo "user=app dbname=postgres passfile=$DIR/pgpass" >"$1.summary" 2>&1 &
    PROBE=$!
    PROBED=$1
}
probe_stop() {
    [ "$PROBE" -gt 0 ] && kill -TERM "$PROBE" 2>/dev/null && wait "$PROBE" 2>/dev/null
    PROBE=0
}
# Acknowledgements of MEMBER after T that came later than the first of anybody else.
dual_acknowledged() { # MEMBER T_US
    sort -n -k1,1 "$PROBED" | awk -v own="$((100 + ${1#pg}))" -v t="$2" '
        $1 <= t { next }
        $2 != own { other = 1 }
        $2 == own && other { dual++ }
        END { print dual + 0 }'
}
other_acknowledged() { # MEMBER T_US
    awk -v own="$((100 + ${1#pg}))" -v t="$2" '$1 > t && $2 != own { found = 1 } END { exit !found }' "$PROBED"
}
