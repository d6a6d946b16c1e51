#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A new major version of PostgreSQL by the commands of docs/postgresql-major-upgrade.md, with pg_upgrade there and back, and by
# logical replication into a second cluster. One version stands for both. usage: run.sh [STEP...]   upgraded, moved
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/page.sh
PAGE=$PWD/docs/postgresql-major-upgrade.md
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-major.XXXXXX")
trap 'cluster_stop; keep_logs major; /bin/rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# --- the page's commands, for members of this machine
run() { # BLOCK [MEMBER]
    local text member=${2:-pg1}
    # 15 and 16 are the same programs here, and different directories
    text=$(page_block "$1") || return 1
    text=$(sed -e "s|/usr/lib/postgresql/1[56]/bin|$POSTGRES_BIN|g; s|/var/lib/postgresql/\(1[56]\)/pg-main|$DIR/$member/postgresql/\1/pg-main|g" \
        -e "s|/var/lib/quorate/pg-main|$DIR/$member/state|g; s|/etc/quorate/agent-pg-main.yml|$DIR/$member.yml|g" \
        -e "s|/run/postgresql|$DIR/$member/run -p ${SQL_PORT[$member]}|g; s|cd /var/tmp|cd $DIR/log|; s|pg-old-primary port=5432|127.0.0.1 port=${SQL_PORT[pg1]}|" \
        -e "s|-o postgres -g postgres|-o $RUN_AS -g $RUN_AS|; s|before-16.image|$DIR/log/before.image|; s|pg-main.json|$DIR/log/pg-main.json|; s#\(schema\|sequences\)\.sql#$DIR/log/\1.sql#" <<<"$text")
    MEMBER=$member
    (set -e && eval "$text")
}
kv() { timeout 150 "${KV[@]}" "$@"; }
runuser() { # -u postgres -- CMD...: where one stands
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "${@:4}"; else "${@:4}"; fi
}
psql() { as_user /usr/bin/psql "$@"; }
pg_dump() { as_user /usr/bin/pg_dump "$@"; }
systemctl() { # disable|enable --now UNIT
    case $1 in
    disable)
        kill -TERM "$(pid_of "$MEMBER")" 2>/dev/null
        wait_until 40 eval "! is_running $MEMBER" && [ -z "$(guard_of "$MEMBER")" ]
        ;;
    enable) member_start "$MEMBER" ;;
    esac
}
# The file as the page has it, with the directories of a version.
page_file() { # MEMBER
    sed -i -e "s|^  name: pg-main||; s|^cluster:|cluster: {name: pg-main, failover_interval: 0s}|; /^  failover_interval/d; /^  bin_dir/d" \
        -e "s|^  data_dir: .*|  data_dir: $DIR/$1/postgresql/15/pg-main|" "$DIR/$1.yml"
    mkdir -p "$DIR/$1/postgresql/15" "$DIR/$1/postgresql/16"
}
rows() { sql "$1" "SELECT count(*) || ' ' || coalesce(sum(v), 0) FROM kept"; }
others() { printf '%s\n' "${MEMBERS[@]}" | grep -vx pg1; }
is_whole() { [ "$(cluster_json | jq -r '.state + " " + ([.members[] | select(.state == "streaming")] | length | tostring)')" = "healthy $1" ]; }
data_dir() { sql pg1 "SHOW data_directory"; }

stop_all() {
    local name
    for name in $(others) pg1; do check "$name is stopped, its database with it" run stop "$name"; done
}
start_all() { # what pg1 has is taken, the others clone it
    local name
    check "pg1 starts with what it has" run start-first pg1
    check "and is the primary of a new record" wait_until 40 member_is pg1 /primary
    for name in $(others); do check "$name starts" run start-other "$name"; done
    check "which is cloned" wait_until 60 is_whole $((${#MEMBERS[@]} - 1))
}

upgraded() {
    local name before
    check "what is saved before" run save
    check "a directory of the new version, and no objection" run prepare
    before=$(rows pg1)
    stop_all
    check "pg_upgrade" run upgrade
    check "the old record is forgotten" run forget
    for name in "${MEMBERS[@]}"; do check "so is what $name knew" run forget-member "$name"; done
    start_all
    check_output "the rows are there" "$before" rows pg2
    check_output "in the new directory" "$DIR/pg1/postgresql/16/pg-main" data_dir
    check "with the settings that there were" wait_until 20 eval '[ "$(sql pg2 "SHOW work_mem")" = 7MB ]'
    check "statistics" run look
    sql pg1 "INSERT INTO kept VALUES (1000)"
    stop_all
    check "the new record is forgotten" run forget
    for name in "${MEMBERS[@]}"; do check "the files of $name as they were" run back-member "$name"; done
    for name in $(others); do as_user rm -r "$DIR/$name/postgresql/15/pg-main"; done
    sed -i 's|, adopt: yes||' "$DIR/pg1.yml"
    start_all
    check_output "back, without what was written since" "$before" rows pg2
    check_output "in the old directory" "$DIR/pg1/postgresql/15/pg-main" data_dir
}

moved() {
    local nodes="" node
    check "the old cluster logs what logical replication needs" run logical
    check "it is whole" wait_until 60 is_whole 1
    [ "$(primary)" = pg1 ] || kv db switchover pg-main --to pg1 --wait >/dev/null
    check "published" wait_until 20 run publish pg1
    for node in "${QUORUM[@]}"; do nodes+="    $node: 127.0.0.1:${PEER_PORT[$node]}"$'\n'; done
    free_port "SQL_PORT[new1]" 5482
    free_port "HTTP_PORT[new1]" 8048
    "$DIR/bin/kv" cert issue --role agent --cluster pg-new --name new1 --dir "$DIR/tls" >/dev/null || die "no certificate"
    mkdir -p "$DIR/new1"
    member_config new1 pg-new "$nodes" >"$DIR/new1.yml"
    own
    member_start new1
    check "a second cluster" wait_until 40 member_is new1 /primary
    check "subscribes" run subscribe new1
    check "rows arrive" wait_until 30 eval '[ "$(rows new1)" = "$(rows pg1)" ]'
    sql pg1 "INSERT INTO kept SELECT nextval('counted') FROM generate_series(1, 50)"
    check "it catches up" wait_until 30 eval '[ -z "$(run caught-up pg1)" ]'
    check_output "with every row" "$(rows pg1)" rows new1
    check "sequences" run switch pg1
    check "the end" run finish new1
    check_output "sequences go on" "$(($(sql pg1 "SELECT last_value FROM counted") + 1))" sql new1 "SELECT nextval('counted')"
    check_output "nothing of it is left on the old one" 0 sql pg1 "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'moving'"
}

cluster_init "$work"
quorum_setup 1
quorum_start q1
wait_until 15 quorum_has_leader || die "the quorum has no leader"
members_setup pg-main 2
for name in "${MEMBERS[@]}"; do page_file "$name"; done
own
check "a cluster" kv db create pg-main failover_interval=0s postgresql.parameters.work_mem=7MB
member_start pg1
check "of one" wait_until 40 member_is pg1 /primary
member_start pg2
check "and another" wait_until 60 is_whole 1
sql pg1 "CREATE TABLE kept (v bigint PRIMARY KEY)"
sql pg1 "CREATE SEQUENCE counted"
sql pg1 "INSERT INTO kept SELECT nextval('counted') FROM generate_series(1, 500)"
[ $# -gt 0 ] || set -- upgraded moved
ALL=$([ $# -eq 2 ] && echo yes)
for step in "$@"; do
    start=$SECONDS
    "$step"
    note "$step took $((SECONDS - start)) s"
done
[ -z "$ALL" ] || check "every command of the page was run" page_is_done
report_end major
