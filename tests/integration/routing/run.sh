#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The HTTP port of the agents, and Debian's haproxy, pgbouncer and pgpool2 with the samples of packaging/samples: writes get to the
# primary, after a switchover and after a crash new sessions reach the new one, and sessions of the old one are cut.
# usage: run.sh [PART...]      control hooks haproxy pgbouncer pgpool
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/mounts.sh
. tests/support/report.sh
. tests/integration/postgresql/setup.sh
. tests/integration/postgresql/crash.sh
parts=(control hooks haproxy pgbouncer pgpool)
for part in "${parts[@]}"; do . "tests/integration/routing/$part.sh"; done
[ $# -gt 0 ] || set -- "${parts[@]}"
quorum_mounts() { return 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-routing.XXXXXX")
trap 'load_stop; pgpool_stop; cluster_stop; keep_logs routing; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# psql through a router, as an application would: password from the file, nothing else.
through() { # PORT STATEMENT
    PGPASSFILE=$DIR/pgpass PGCONNECT_TIMEOUT=2 timeout 5 psql -X -q -A -t -h 127.0.0.1 -p "$1" -U app -d postgres -c "$2"
}
who() { through "$1" "SELECT inet_server_port() || ' ' || pg_is_in_recovery()"; } # PORT
leads_to_primary() { [ "$(who "$1")" = "${SQL_PORT[$(primary)]} false" ]; }
leads_to_replica() { [[ "$(who "$1")" == *" true" ]]; }
routed_load() { # PORT: writers that come this way, $ACKED as with begin
    local port=$1
    members_list() { echo "127.0.0.1:$port"; }
}
# A switchover, a crash, writers by PORT all the time.
routed() { # NAME PORT SECONDS: how long a new way may take
    local name=$1 port=$2
    check "$name: leads to the primary" wait_until 15 leads_to_primary "$port"
    routed_load "$port"
    begin "$name, switchover"
    AT=$(now_us)
    check "$NAME: done" "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 30s
    check "$NAME: new sessions reach the new primary" wait_until "$3" leads_to_primary "$port"
    finish
    begin "$name, crash"
    kill_root
    check "$NAME: another one is primary" wait_until 20 other_is_primary
    check "$NAME: new sessions reach it" wait_until "$3" leads_to_primary "$port"
    finish
}

# The hooks of every agent from now on: each is started anew, alone, under its database.
hooks_set() { # LINE...
    local name line
    for name in "${MEMBERS[@]}"; do
        sed -i '/^hooks:/,$d' "$DIR/$name.yml"
        echo "hooks:" >>"$DIR/$name.yml"
        for line; do echo "  $line" >>"$DIR/$name.yml"; done
        kill -USR1 "$(pid_of "$name")"
        wait_until 10 eval "! is_running $name"
        member_start "$name"
    done
    wait_until 30 is_settled
}

make_cluster
for part in "$@"; do "routed_by_$part"; done
report_end routing
