#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real cluster on hosts of their own (jepsen/hosts): links cut in every way, lossy and slow ones, hosts without power, full
# disks, clocks that jump. Writers keep what was acknowledged, and a prober inside each database's host tells who answers.
# usage: run.sh [SCENARIO...]     names as in `all` below; without any: all of them.   LONG=1    longer faults
set -u
if [ -z "${NETWORK_INSIDE:-}" ]; then
    cd "$(dirname "$0")/../../.." || exit 2
    export NETWORK_INSIDE=1 NETWORK_SCENARIOS="$*"
    bash jepsen/hosts/sandbox.sh -t "${LIMIT:-2400}" "$PWD/tests/integration/network/run.sh"
    code=$?
    [ "$code" -ne 77 ] || { [ -z "${QUORATE_COUNTS:-}" ] || echo "0 0 1" >>"$QUORATE_COUNTS"; exit 0; }
    exit "$code"
fi
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/postgresql/setup.sh
SQL_DISK_MB=400
. jepsen/sql/topology.sh
. jepsen/sql/faults.sh
. tests/integration/network/scenarios.sh

all=(host_lost cut_from_quorum cut_from_standbys standby_cut one_way flapping_link lossy second_failure disk_full clocks_jump)
# shellcheck disable=SC2206 # words are meant
scenarios=(${NETWORK_SCENARIOS:-})
[ "${#scenarios[@]}" -gt 0 ] || scenarios=("${all[@]}")

# The writers and probers of setup.sh, at their places in the network.
members_list() {
    local name out=""
    for name in "${DATABASES[@]}"; do out+=${out:+,}$(address_of "$name"):5432; done
    echo "$out"
}
own_loader() { # HOST OUT OPTIONS...: becomes pgload there; out's summary beside it
    local host=$1 out=$2
    shift 2
    client_become "$host" setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$DIR/bin/pgload" --out "$out" "$@"
}
load_start() { # FILE [pgload options]
    local file=$1
    shift
    : >>"$file" && chown "$RUN_AS" "$file"
    (own_loader c1 "$file" --members "$(members_list)" --conninfo "user=app dbname=postgres passfile=$DIR/pgpass sslmode=require" "$@") \
        >"$file.summary" 2>&1 9>&- &
    LOAD=$!
}
PROBES=()
# Writer 101 is d1's, and so on. They do not wait for standbys: what an isolated side would still accept.
probe_start() { # FILE
    local member
    PROBED=$1
    : >"$1" && chown "$RUN_AS" "$1"
    for member in "${DATABASES[@]}"; do
        (own_loader "$member" "$1" --members "$(data_of "$member")/run:5432" --parallel --first-writer $((100 + ${member#d})) --pause-us 5000 \
            --conninfo "user=app dbname=postgres passfile=$DIR/pgpass options='-c synchronous_commit=local'") >"$1.$member" 2>&1 &
        PROBES+=($!)
    done
}
probe_stop() {
    [ "${#PROBES[@]}" -gt 0 ] || return 0
    kill -TERM "${PROBES[@]}" 2>/dev/null
    wait "${PROBES[@]}" 2>/dev/null
    PROBES=()
}
dual_acknowledged() { # MEMBER T_US
    sort -n -k1,1 "$PROBED" | awk -v own="$((100 + ${1#d}))" -v t="$2" '
        $1 <= t { next }
        $2 != own { other = 1 }
        $2 == own && other { dual++ }
        END { print dual + 0 }'
}
postgres_log() { cat "$(data_of "$1")/state/postgresql.log"; }
tree_of() { find /proc -maxdepth 2 -name cwd -lname "$(data_of "$1")/pg" 2>/dev/null | cut -d/ -f3; }

leave() {
    probe_stop
    load_stop
    faults_off
    if [ "$FAILED" -gt 0 ]; then
        rm -rf build/failed/network && mkdir -p build/failed/network && cp -r "$DIR/log" "$DIR"/*.yml build/failed/network/ 2>/dev/null
        for name in "${DATABASES[@]}"; do
            for log in "$(data_of "$name")"/state/*.log; do cp "$log" "build/failed/network/$name.$(basename "$log")"; done
        done
        echo "logs: build/failed/network"
    fi
    cp "$work"/acked.* "$work"/probe.* build/failed/network/ 2>/dev/null
}
trap leave EXIT
sql_setup
work=$DIR/work
mkdir -p "$work" && chown "$RUN_AS" "$work"
sql_start
sql_ready || die "the cluster did not become healthy"
tables_make || die "no table to write to"
for scenario in "${scenarios[@]}"; do
    start=$SECONDS
    "$scenario"
    note "$scenario took $((SECONDS - start)) s"
done
report_end network
