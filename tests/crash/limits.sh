#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What runs out, or is taken away, while a real node works: room for the log, room for the state, the quota, descriptors,
# the right to write, pages of the state's file. Each time the node refuses or stops with words, and goes on where it was
# once there is room again. Needs root for file systems of its own (tmpfs in a mount namespace).
# usage: limits.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
if [ -z "${LIMITS_INSIDE:-}" ]; then
    if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
        skip "limits" "file systems of its own need root"
        report_end limits
        exit $?
    fi
    LIMITS_INSIDE=1 exec unshare -m --propagation private bash "$0" "$build"
fi
. tests/support/cluster.sh >/dev/null
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-limits.XXXXXX")
pid=""
finish() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
    umount -R "$work/data" 2>/dev/null
    ports_release
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
free_port API 22000
free_port PEER 22100

# --- the node ---
start() { # OPTION...
    "$build/bin/quorated" --name=n1 --data_dir="$work/data" --quorum.nodes=n1=127.0.0.1:"$PEER" \
        --client.listen=127.0.0.1:"$API" --metrics.listen=off --insecure=yes --raft.heartbeat=20ms --raft.election=100ms "$@" \
        >>"$work/log" 2>&1 &
    pid=$!
}
ask() { curl -sf -m 10 -X POST "http://127.0.0.1:$API/v3/$1" -d "$2"; }
is_ready() { ask kv/range '{"key":"AA=="}'; }
has_ended() { [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null; }
forget() {
    { wait "$pid"; } 2>/dev/null
    pid=""
}
stop() {
    kill -TERM "$pid" 2>/dev/null
    forget
}
room() { # MB_OF_STATE MB_OF_LOG: an empty node on two file systems
    umount -R "$work/data" 2>/dev/null
    mkdir -p "$work/data"
    mount -t tmpfs -o size="$1"m none "$work/data" && mkdir -p "$work/data/wal" &&
        mount -t tmpfs -o size="$2"m none "$work/data/wal"
    : >"$work/log"
    acked=0
}
big=$(head -c 96000 /dev/zero | tr '\0' x | base64 -w0)
put() { # NUMBER
    printf '{"key":"%s","value":"%s"}' "$(printf 'key-%05d' "$1" | base64 -w0)" "$big" |
        curl -sf -m 10 -X POST "http://127.0.0.1:$API/v3/kv/put" -d @- >/dev/null
}
put_until_refused() { # NAME MAX: counts in acked
    while [ "$acked" -lt "$2" ] && put "$acked"; do acked=$((acked + 1)); done
    check "$1: a write is refused in time" [ "$acked" -lt "$2" ]
}
put_some() { while [ "$acked" -lt "$1" ] && put "$acked"; do acked=$((acked + 1)); done; }
count() { ask kv/range '{"key":"AA==","range_end":"AA==","count_only":true}' | jq -r '.count // "0"'; }
holds_all() {
    local n
    n=$(count)
    [ "$n" -ge "$acked" ] && [ "$n" -le $((acked + 1)) ]
}

# --- room ---
after_full() { # NAME PLACE: more room there, and again
    put_until_refused "$1" 2000
    check "$1: the node has stopped" wait_until 20 has_ended
    forget
    check "$1: it says what is full" grep -qE 'lvl=error.*(NOSPACE|no space|No space|full)' "$work/log"
    mount -o remount,size=400m "$2"
    start
    check "$1: with room again it starts" wait_until 20 is_ready
    check "$1: all $acked acknowledged writes are there" holds_all
    check "$1: and it takes writes" put "$acked"
    stop
}
room 400 17
start
check "a node starts" wait_until 20 is_ready
after_full "log full" "$work/data/wal"
room 6 400
start
wait_until 20 is_ready
after_full "state full" "$work/data"

# --- quota ---
room 400 400
start --store.map_size=8MiB --store.quota=2MiB
wait_until 20 is_ready
put_until_refused quota 2000
check "quota: the node goes on and reads" holds_all
check "quota: the alarm stands" eval "ask maintenance/alarm '{\"action\":\"GET\"}' | grep -q NOSPACE"
check "quota: deleting is allowed" ask kv/deleterange "{\"key\":\"a2V5\",\"range_end\":\"a2V6\"}"
revision=$(ask kv/range '{"key":"AA=="}' | jq -r .header.revision)
check "quota: compacting is allowed" ask kv/compaction "{\"revision\":\"$revision\",\"physical\":true}"
id=$(ask maintenance/alarm '{"action":"GET"}' | jq -r '.alarms[0].memberID')
check "quota: the alarm is taken back" ask maintenance/alarm "{\"action\":\"DEACTIVATE\",\"memberID\":\"$id\",\"alarm\":\"NOSPACE\"}"
check "quota: writes go on" wait_until 10 put 0

# --- descriptors ---
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
exec 7<>"/dev/tcp/127.0.0.1/$API"
request() { # over the connection that was there before
    local body='{"key":"AA=="}' line
    printf 'POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' ${#body} "$body" >&7
    read -r -t 10 line <&7 && grep -q '200' <<<"$line"
}
open_now=$(find "/proc/$pid/fd" -mindepth 1 | wc -l)
prlimit --pid "$pid" --nofile=$((open_now + 3)):$((open_now + 3))
(
    for _ in $(seq 40); do exec {fd}<>"/dev/tcp/127.0.0.1/$API" || break; done
    sleep 600
) 2>/dev/null &
crowd=$!
is_full() { [ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" -ge $((open_now + 2)) ]; }
check "descriptors: all are taken" wait_until 10 is_full
begun=$(ticks)
check "descriptors: a client from before goes on" request
for _ in $(seq 20); do (exec {fd}<>"/dev/tcp/127.0.0.1/$API") 2>/dev/null; done
spent=$(($(ticks) - begun))
note "ticks of CPU spent while 40 connections pressed: $spent"
check "descriptors: the node does not spin" [ "$spent" -lt 50 ]
pkill -P "$crowd" 2>/dev/null
kill "$crowd" 2>/dev/null
wait "$crowd" 2>/dev/null
check "descriptors: once some are free new clients come in" wait_until 20 is_ready
exec 7>&-
stop

# --- the right to write ---
room 400 400
mount -o remount,ro "$work/data"
start
check "read-only: the start is refused" wait_until 20 has_ended
check "read-only: and says so" grep -qiE 'read-only|EROFS|permission|denied' "$work/log"
forget
mount -o remount,rw "$work/data"
start
check "read-only: writable again it starts" wait_until 20 is_ready
stop

# --- pages that are gone ---
start
wait_until 20 is_ready
acked=0
put_some 60
truncate -s 8192 "$work/data/store.mdb"
touch_all() { ask kv/range '{"key":"AA==","range_end":"AA=="}'; ask maintenance/hash '{}'; has_ended; }
check "pages gone: the node ends" wait_until 20 touch_all
check "pages gone: with words" grep -qE 'lvl=error.*(SIGBUS|CORRUPT|damaged)' "$work/log"
forget
report_end limits
