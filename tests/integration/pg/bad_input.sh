#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the PostgreSQL agent must refuse at start, each with one clear line: the checks alone (--dry-run), no quorum needed.
# Usage: bad_input.sh BUILD_DIRECTORY; as root it drops to postgres.
set -u
build=$(cd "$1" && pwd)
dir=$(mktemp -d /tmp/quorate-pg-bad-XXXXXX)
bin=/usr/lib/postgresql/15/bin
passed=0 failed=0 holder="" server=""

cleanup() {
    [ -z "$holder" ] || kill "$holder" 2>/dev/null
    [ -z "$server" ] || kill -QUIT "$server" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

as_user() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}

port=$((20000 + RANDOM % 20000))
mkdir "$dir/bin" && cp "$build/bin/quorate-agent-postgresql" "$build/bin/quorate-guard" "$dir/bin/"
printf 'replication:12345678\nrewind:12345678\n' >"$dir/passwords"
chmod 600 "$dir/passwords"
config() { # EXTRA LINES of section postgresql
    cat >"$dir/agent.yml" <<YML
cluster:
  name: test
member: pg1
advertise: 127.0.0.1
insecure: yes
quorum:
  nodes: { q1: "127.0.0.1:2380" }
state_dir: $dir/state
run_dir: $dir/run
postgresql:
  data_dir: $dir/data
  port: $port
  password_file: $dir/passwords
$1
YML
    [ "$(id -u)" != 0 ] || chown -R postgres "$dir"
}

expect() { # WHAT EXPECTED_TEXT [FLAGS...]
    local what=$1 text=$2 output status
    shift 2
    output=$(as_user "$dir/bin/quorate-agent-postgresql" --config "$dir/agent.yml" --dry-run "$@" 2>&1)
    status=$?
    if { [ "$text" = ok ] && [ $status = 0 ]; } ||
        { [ "$text" != ok ] && [ $status != 0 ] && [ "$(wc -l <<<"$output")" = 1 ] && grep -qF -- "$text" <<<"$output"; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s: status %s, wanted "%s", got: %s\n' "$what" "$status" "$text" "$output"
    fi
}

config ""
expect "good configuration" ok
config "  prot: 5432"
expect "unknown key" "prot"
config "  parameters: { synchronous_standby_names: '*' }"
expect "a setting of ours" "synchronous_standby_names"
config "  parameters: { 'work mem': 1MB }"
expect "not a setting" "work mem"
config "  wal_segment_mb: 3"
expect "segment size" "power of two"
config "  config_dir: etc"
expect "relative directory of the configuration" "must begin with '/'"
config "  clone_rate: 1kB"
expect "a rate that is too low" "32KiB to 1GiB"
config "  tablespaces: { /a: b }"
expect "a tablespace mapped to nowhere" "two absolute paths"
config "  clone: { empty: '' }"
expect "a clone method without a command" "a name and a command"
config "bootstrap: { initdb: { pwfile: /etc/passwd } }"
expect "an option that initdb shall not have" "allowed: lc-collate"
config "bootstrap: { users: { pg_app: createdb } }"
expect "a user with a reserved name" "begins with neither pg_"
config "bootstrap: { users: { app: 'superuser; drop' } }"
expect "a user with an option that is none" "allowed: superuser"
config ""
expect "relative path" "must begin with '/'" --postgresql.data_dir=data
expect "no programs" "install postgresql-15" --postgresql.bin_dir=/usr/bin
expect "no password file" "password file" --postgresql.password_file="$dir/none"
expect "members beyond loopback without TLS" "over TLS" --advertise=192.0.2.1
chmod 644 "$dir/passwords"
expect "open password file" "mode 0600"
chmod 600 "$dir/passwords"
if [ "$(id -u)" = 0 ]; then
    chown root "$dir/data"
    expect "a directory of somebody else" "belongs to user root"
    chown postgres "$dir/data"
fi
python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $port)); s.listen(); print('up', flush=True); time.sleep(60)" >"$dir/holder" &
holder=$!
for _ in $(seq 100); do
    grep -q up "$dir/holder" && break
    sleep 0.05
done
expect "port in use" "is in use by another program"
kill "$holder" && wait "$holder" 2>/dev/null
holder=""

rmdir "$dir/data"
as_user $bin/initdb -D "$dir/data" -U postgres --auth=trust >/dev/null 2>&1
as_user $bin/postgres -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses= >"$dir/server" 2>&1 &
for _ in $(seq 200); do
    server=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null)
    grep -q "ready to accept" "$dir/server" && break
    sleep 0.05
done
expect "a server started by hand" "did not start"
kill -QUIT "$server" && wait 2>/dev/null
server=""
expect "a stopped server" ok

printf 'bad_input: %s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
