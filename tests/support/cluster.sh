#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starting and breaking a whole cluster on loopback: sourced by the demo, the integration tests and the benchmarks.
#
#   cluster_init DIR          an empty directory for everything; as root it belongs to postgres, who runs the daemons
#   quorum_setup N            certificates and configuration of N quorum nodes (q1 ... qN)
#   quorum_start NAME / quorum_stop NAME / quorum_kill NAME      ENDPOINTS, KV=(kv with its options)
#   members_setup CLUSTER N   configuration of N PostgreSQL members (pg1 ... pgN)
#   member_start NAME / member_kill_host NAME
#   cluster_stop              everything that was started here, and nothing else
#
# Every process that is started is remembered in $DIR/pids/NAME. Ports are the defaults where free, else the next.
# wait_until SECONDS CMD...  polls; say, note and die print.

BIN=${BIN:-build/release/bin}
POSTGRES_BIN=${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}

say() { printf '%s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

wait_until() { # SECONDS CMD...
    local limit=$1 end
    shift
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

now_us() { # CLOCK_BOOTTIME, in microseconds, to the hundredth of a second
    awk '{printf "%.0f\n", $1 * 1000000}' /proc/uptime
}

# Whether a directory is missing, empty, or one that cluster_init has made: all else is never removed.
demo_is_ours() { # DIR
    [ ! -e "$1" ] || [ -z "$(ls -A "$1" 2>/dev/null)" ] || { [ -d "$1/pids" ] && [ -d "$1/tls" ]; }
}

demo_needs_tools() {
    local tool missing=""
    for tool in awk curl jq pgrep psql setpriv ss; do
        command -v "$tool" >/dev/null || missing+=" $tool"
    done
    [ -x "$POSTGRES_BIN/postgres" ] || missing+=" $POSTGRES_BIN/postgres"
    [ -z "$missing" ] || die "missing:$missing; run 'make deps'"
    for tool in quorated quorate-agent-postgresql quorate-guard kv pgload; do
        [ -x "$BIN/$tool" ] || die "$BIN/$tool is not built; run 'make demo'"
    done
}

as_user() {
    if [ "$(id -u)" -eq 0 ]; then
        # From a directory that this user may enter: the checkout may be closed to others.
        (cd / && exec setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$@")
    else
        "$@"
    fi
}

# A port belongs to a run as long as its shell lives, also while nobody listens there: a node that was killed
# finds its port again when it comes back, though others run beside us. /tmp/quorate-ports/PORT holds the shell's pid.
declare -gA PORTS_TAKEN=()
PORTS_DIR=/tmp/quorate-ports
port_claim() { # PORT
    local mark=$PORTS_DIR/$1 owner
    owner=$(cat "$mark" 2>/dev/null)
    if [ -n "$owner" ] && [ ! -d "/proc/$owner" ]; then rm -f "$mark" 2>/dev/null; fi
    (set -C && echo $$ >"$mark") 2>/dev/null || [ "$(cat "$mark" 2>/dev/null)" = $$ ]
}
free_port() { # VARIABLE START
    local port=$2
    [ -d "$PORTS_DIR" ] || { mkdir -p "$PORTS_DIR" && chmod 777 "$PORTS_DIR"; } 2>/dev/null
    while [ -n "${PORTS_TAKEN[$port]:-}" ] || ss -Hltn "sport = :$port" | grep -q . || ! port_claim "$port"; do
        port=$((port + 1))
        [ "$port" -lt 65000 ] || die "no free port from $2 on; is $PORTS_DIR writable?"
    done
    PORTS_TAKEN[$port]=1
    printf -v "$1" '%s' "$port"
}
ports_release() {
    local port
    for port in "${!PORTS_TAKEN[@]}"; do
        [ "$(cat "$PORTS_DIR/$port" 2>/dev/null)" = $$ ] && rm -f "$PORTS_DIR/$port"
    done
    return 0
}

cluster_init() { # DIR
    DIR=$1
    RUN_AS=$(id -un)
    if [ "$(id -u)" -eq 0 ]; then
        RUN_AS=${DAEMONS_USER:-postgres}
        id "$RUN_AS" >/dev/null 2>&1 || die "user $RUN_AS does not exist; run 'make deps'"
    fi
    mkdir -p "$DIR" || die "cannot make $DIR"
    DIR=$(cd "$DIR" && pwd)
    # The programs may lie in a home directory that the daemons' user cannot enter: they get copies.
    mkdir -p "$DIR/bin" "$DIR/tls" "$DIR/pids" "$DIR/log" "$DIR/run"
    for program in quorated quorate-agent-postgresql quorate-agent-galera quorate-guard quorate-proxy kv pgload kvload; do
        [ -x "$BIN/$program" ] && cp -f "$BIN/$program" "$DIR/bin/$program"
    done
    chmod 755 "$DIR"
    own
}
own() { [ "$(id -u)" -ne 0 ] || chown -R "$RUN_AS" "$DIR"; }

remember() { echo "$2" >"$DIR/pids/$1"; }
pid_of() { cat "$DIR/pids/$1" 2>/dev/null; }
is_running() { [ -n "$(pid_of "$1")" ] && kill -0 "$(pid_of "$1")" 2>/dev/null; }
# spawn NAME CMD...: in a session of its own, as the daemons' user, log in $DIR/log/NAME
spawn() {
    local name=$1
    shift
    (
        cd "$DIR" || exit 1
        if [ "$(id -u)" -eq 0 ]; then
            exec setsid setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$@"
        else
            exec setsid "$@"
        fi
    ) >>"$DIR/log/$name" 2>&1 </dev/null 9>&- &
    remember "$name" $!
    disown
}

# --- quorum ------------------------------------------------------------------------------------------------------
declare -gA CLIENT_PORT=() PEER_PORT=() METRICS_PORT=() SQL_PORT=() HTTP_PORT=()
QUORUM=()

quorum_setup() { # N
    local i name nodes="" clients=""
    QUORUM=()
    "$DIR/bin/kv" cert ca --dir "$DIR/tls" >/dev/null || die "no certificate authority"
    for i in $(seq "$1"); do
        name=q$i
        QUORUM+=("$name")
        free_port "CLIENT_PORT[$name]" $((2379 + (i - 1) * 10))
        free_port "PEER_PORT[$name]" $((2380 + (i - 1) * 10))
        free_port "METRICS_PORT[$name]" $((2381 + (i - 1) * 10))
        nodes+="  $name: 127.0.0.1:${PEER_PORT[$name]}"$'\n'
        clients+="    $name: https://127.0.0.1:${CLIENT_PORT[$name]}"$'\n'
        "$DIR/bin/kv" cert issue --role node --name "$name" --host 127.0.0.1,localhost --dir "$DIR/tls" >/dev/null ||
            die "no certificate for $name"
    done
    "$DIR/bin/kv" cert issue --role admin --name admin --dir "$DIR/tls" >/dev/null || die "no admin certificate"
    ENDPOINTS=""
    for name in "${QUORUM[@]}"; do
        mkdir -p "$DIR/$name"
        cat >"$DIR/$name.yml" <<YML
name: $name
data_dir: $DIR/$name
quorum:
  token: $(basename "$DIR")
  nodes:
$(sed 's/^/  /' <<<"${nodes%$'\n'}")
  clients:
${clients%$'\n'}
client:
  listen: 127.0.0.1:${CLIENT_PORT[$name]}
metrics:
  listen: 127.0.0.1:${METRICS_PORT[$name]}
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/node-$name.crt
  key: $DIR/tls/node-$name.key
YML
        ENDPOINTS+=${ENDPOINTS:+,}https://127.0.0.1:${CLIENT_PORT[$name]}
    done
    KV=("$DIR/bin/kv" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt"
        --key "$DIR/tls/admin-admin.key")
    own
}

quorum_start() { spawn "$1" "$DIR/bin/quorated" --config "$DIR/$1.yml"; }
quorum_stop() {
    kill -TERM "$(pid_of "$1")" 2>/dev/null
    wait_until 10 eval "! is_running $1"
}
quorum_kill() {
    kill -KILL "$(pid_of "$1")" 2>/dev/null
    wait_until 5 eval "! is_running $1"
}
quorum_has_leader() { [ -n "$(quorum_leader)" ]; }
quorum_leader() { # name of the leader, by asking every node
    "${KV[@]}" status -o json --timeout 1s 2>/dev/null | jq -r '.[] | select(.up and .is_leader) | .endpoint' |
        while read -r endpoint; do
            for name in "${QUORUM[@]}"; do
                [ "${endpoint##*:}" = "${CLIENT_PORT[$name]}" ] && echo "$name"
            done
        done | head -n 1
}

# --- members -----------------------------------------------------------------------------------------------------
MEMBERS=()
MEMBERS_CLUSTER=""

members_setup() { # CLUSTER N
    local cluster=$1 count=$2 i name nodes="" node
    MEMBERS_CLUSTER=$cluster
    MEMBERS=()
    for node in "${QUORUM[@]}"; do nodes+="    $node: 127.0.0.1:${PEER_PORT[$node]}"$'\n'; done
    for name in superuser replication rewind; do
        echo "$name:$(head -c 24 /dev/urandom | base64 | tr -d '/+=')"
    done >"$DIR/passwords"
    for i in $(seq "$count"); do
        name=pg$i
        MEMBERS+=("$name")
        free_port "SQL_PORT[$name]" $((5432 + i - 1))
        free_port "HTTP_PORT[$name]" $((8008 + i - 1))
        "$DIR/bin/kv" cert issue --role agent --cluster "$cluster" --name "$name" --dir "$DIR/tls" >/dev/null ||
            die "no certificate for $name"
        if [ -n "${MEMBER_TLS:-}" ]; then
            "$DIR/bin/kv" cert issue --role member --cluster "$cluster" --name "$name" --host 127.0.0.1,localhost \
                --dir "$DIR/tls" >/dev/null || die "no member certificate for $name"
        fi
        mkdir -p "$DIR/$name"
        member_config "$name" "$cluster" "$nodes" >"$DIR/$name.yml"
    done
    chmod 600 "$DIR/passwords"
    own
}

# What the files of all agents begin with.
agent_head() { # NAME CLUSTER NODES CLUSTER_LINES
    cat <<YML
cluster:
  name: $2
$4
member: $1
advertise: 127.0.0.1
quorum:
  token: $(basename "$DIR")
  nodes:
${3%$'\n'}
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/agent-$2-$1.crt
  key: $DIR/tls/agent-$2-$1.key
http:
  listen: 127.0.0.1:${HTTP_PORT[$1]}
state_dir: $DIR/$1/state
run_dir: $DIR/$1/run
YML
}
# One member's file. SEED_LINES, if set, are further lines of its cluster: section; MEMBER_TLS (verify-full ...) is
# the mode of TLS between the members.
member_config() { # NAME CLUSTER NODES
    # what is started here fails over more often than a cluster in use may
    agent_head "$1" "$2" "$3" "  failover_interval: 0s
${SEED_LINES:-}"
    cat <<YML
postgresql:
  bin_dir: $POSTGRES_BIN
  data_dir: $DIR/$1/data
  listen: 127.0.0.1
  port: ${SQL_PORT[$1]}
  password_file: $DIR/passwords
$([ -z "${MEMBER_TLS:-}" ] || printf '  tls: %s\n  tls_cert: %s\n  tls_key: %s\n' "$MEMBER_TLS" \
    "$DIR/tls/member-$2-$1.crt" "$DIR/tls/member-$2-$1.key")
  hba:
    - "host all all 127.0.0.1/32 scram-sha-256"
  parameters:
    max_connections: 60
    shared_buffers: 32MB
    log_min_messages: warning
YML
}
member_start() { spawn "$1" "$DIR/bin/quorate-agent-postgresql" --config "$DIR/$1.yml"; }
http_code() { curl -s -o /dev/null -m 1 -w '%{http_code}' "http://127.0.0.1:${HTTP_PORT[$1]}$2"; }
member_is() { [ "$(http_code "$1" "$2")" = 200 ]; } # NAME PATH
primary() {
    local name
    for name in "${MEMBERS[@]}"; do member_is "$name" /primary && echo "$name" && return; done
    return 1
}
has_primary() { [ -n "$(primary)" ]; }
postmaster_of() { head -n 1 "$DIR/$1/data/postmaster.pid" 2>/dev/null; }
guard_of() { pgrep -f -- "quorate-guard .*--socket $DIR/$1/run/" | head -n 2; } # guard and twin
cluster_json() { "${KV[@]}" db show "$MEMBERS_CLUSTER" -o json --timeout 2s 2>/dev/null; }
cluster_is() { [ "$(cluster_json | jq -r .state)" = "$1" ]; }
psql_of() { # MEMBER OPTIONS...: as superuser over the local socket
    as_user psql -X -q -A -t -h "$DIR/$1/run" -p "${SQL_PORT[$1]}" -U postgres -d postgres "${@:2}"
}
sql() { psql_of "$1" -c "$2"; } # MEMBER STATEMENT
members_list() { # host:port,...
    local name out=""
    for name in "${MEMBERS[@]}"; do out+=${out:+,}127.0.0.1:${SQL_PORT[$name]}; done
    echo "$out"
}
# Every process of a member's host at once: agent, guard, twin, database; and the quorum node given.
member_kill_host() { # NAME [NODE]
    local pids
    pids=$({ pid_of "$1"; [ -n "${2:-}" ] && pid_of "$2"; guard_of "$1"; pgrep -f -- "-D $DIR/$1/data "; } 2>/dev/null
        local root; root=$(postmaster_of "$1"); [ -n "$root" ] && echo "$root" && pgrep -P "$root")
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null
}

# Processes that were started below $DIR, guards and databases in sessions of their own among them: an argument of their
# command line, or where they stand, lies in it.
pids_here() {
    {
        grep -lzs -- "^$DIR/" /proc/[0-9]*/cmdline
        find /proc -maxdepth 2 -name cwd -lname "$DIR/*" 2>/dev/null
    } | cut -d/ -f3 | sort -un | grep -vx -e "$$" -e "$BASHPID"
}
# Everything that was started here, and nothing else.
cluster_stop() {
    local pid
    [ -n "${DIR:-}" ] || return 0
    for _ in $(seq 100); do
        for pid in $(for name in $(ls "$DIR/pids" 2>/dev/null); do pid_of "$name"; rm -f "$DIR/pids/$name"; done; pids_here); do
            kill -KILL "$pid" 2>/dev/null && kill -CONT "$pid" 2>/dev/null
        done
        [ -n "$(pids_here)" ] || break
        sleep 0.05
    done
    ports_release
}

# --- load and loss -----------------------------------------------------------------------------------------------
# A table and a role for pgload; the password goes through a file, never over a command line.
load_prepare() {
    local member
    member=$(primary) || return 1
    (umask 077 && echo "*:*:*:app:$(head -c 18 /dev/urandom | base64 | tr -d '/+=')" >"$DIR/pgpass")
    [ "$(id -u)" -ne 0 ] || chown "$RUN_AS" "$DIR/pgpass"
    load_tables "$member"
}
load_tables() { # MEMBER: with the password that is in the file already
    psql_of "$1" <<SQL
SET client_min_messages = warning;
CREATE ROLE app LOGIN PASSWORD '$(cut -d: -f5 "$DIR/pgpass")';
CREATE TABLE quorate_load (writer int, n bigint, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (writer, n));
GRANT ALL ON quorate_load TO app;
SQL
}
# load_start FILE [pgload options]: in the background, pid in $LOAD
# LOAD_CONNINFO: further words of the connection string.
load_start() {
    local file=$1
    shift
    : >>"$file"
    [ "$(id -u)" -ne 0 ] || chown "$RUN_AS" "$file"
    # The subshell becomes the writer: $LOAD is its own pid, so that load_stop reaches it.
    (
        set -- "$DIR/bin/pgload" --members "$(members_list)" --out "$file" \
            --conninfo "user=app dbname=postgres passfile=$DIR/pgpass ${LOAD_CONNINFO:-}" "$@"
        [ "$(id -u)" -ne 0 ] || set -- setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$@"
        exec "$@"
    ) >"$file.summary" 2>&1 9>&- &
    LOAD=$!
}
load_stop() {
    [ "${LOAD:-0}" -gt 0 ] || return 0 # never "kill 0": that is everybody around us
    kill -TERM "$LOAD" 2>/dev/null
    wait "$LOAD" 2>/dev/null
    LOAD=0
}
# How many values of the file the primary does not have.
lost_of() { # FILE
    local member
    member=$(primary) || return 1
    {
        echo "CREATE TEMP TABLE kept (t bigint, writer int, n bigint);"
        echo "COPY kept FROM STDIN DELIMITER ' ';"
        cat "$1"
        echo '\.'
        echo "SELECT count(*) FROM kept k WHERE NOT EXISTS (SELECT FROM quorate_load l WHERE l.writer = k.writer AND l.n = k.n);"
    } | psql_of "$member"
}
acked_of() { wc -l <"$1"; }

# Private memory of a process in kB, the pages of the mapped store aside.
private_kb() { # PID; nothing where this user may not look: a guard is not dumpable
    head -c 1 "/proc/$1/smaps" >/dev/null 2>&1 || return 1
    awk '/^[0-9a-f]+-[0-9a-f]+ / { skip = ($6 ~ /\.mdb/) }
         /^Private_/ && !skip { kb += $2 }
         END { print kb + 0 }' "/proc/$1/smaps"
}
