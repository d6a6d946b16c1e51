#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a version leaves on disk, and whether this one still reads it.
#   fixtures.sh write BUILD_DIR            into v$(fixtures version): frames, a node's whole directory, an image, what they hold
#   fixtures.sh read BUILD_DIR             every v*: frames; a node starts on the directory, another one on the restored image, and
#                                          both hold what they held; a directory of a later format is refused and says so
# The node is alone, on loopback, without TLS.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
verb=$1 bin=$2/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-fixtures.XXXXXX")
pid=""
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
here=tests/golden
base=$((23000 + RANDOM % 2000))
kv() { "$bin/kv" --endpoints "127.0.0.1:$base" "$@"; }
port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
until port_is_free "$base" && port_is_free $((base + 1)); do base=$((base + 2)); done

node_start() { # DIR
    "$bin/quorated" --insecure=yes --name=a --data_dir="$1" --quorum.nodes="a=127.0.0.1:$((base + 1))" \
        --client.listen="127.0.0.1:$base" --metrics.listen=off --store.map_size=4MiB --store.quota=2MiB >"$work/log" 2>&1 </dev/null &
    pid=$!
    for _ in $(seq 200); do
        kv put fixture-probe up >/dev/null 2>&1 && kv del fixture-probe >/dev/null 2>&1 && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
node_stop() {
    kill -TERM "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=""
}
# Everything that a client can see of what was written, but for the numbers that go on.
seen() {
    kv get fixture/ --prefix -o json | jq -S '[.kvs[] | {key, value, create_revision, mod_revision, version, lease}]'
    kv get fixture/twice --rev "$(<"$1")" -o json | jq -S '[.kvs[].value]'
    kv user list
    kv role get reader
    kv member list -o json | jq -S '[.[] | {name}]'
}
fill() {
    local i
    for i in $(seq 40); do kv put "fixture/$i" "value $i" >/dev/null || return 1; done
    kv put fixture/twice first >/dev/null && kv get fixture/twice -o json | jq '.kvs[0].mod_revision' >"$work/revision"
    kv put fixture/twice second >/dev/null && kv del fixture/7 >/dev/null && kv lease grant 3000000 --id 1234 >/dev/null &&
        kv put fixture/leased here --lease 1234 >/dev/null && kv user add reader:secret >/dev/null && kv role add reader >/dev/null &&
        kv role grant-permission reader read fixture/ --prefix >/dev/null && kv user grant-role reader reader >/dev/null
}
write() {
    local version dir
    version=$("$bin/fixtures" version) || exit 1
    dir=$here/v$version
    mkdir -p "$dir" && "$bin/fixtures" write "$dir" || exit 1
    node_start "$work/data" || { cat "$work/log" >&2; exit 1; }
    fill || { echo "fixtures: the node does not take what is to be recorded" >&2; exit 1; }
    seen "$work/revision" >"$dir/seen.txt"
    cp "$work/revision" "$dir/revision.txt"
    kv snapshot save "$work/image" >/dev/null || exit 1
    node_stop
    rm -f "$work/data"/*lock*
    xz -9e <"$work/image" >"$dir/image.xz"
    tar -C "$work" --sparse --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - data | xz -9e >"$dir/data.tar.xz"
    ls -l "$dir"
}
# A node must be this shell's own child, or nobody stops it: `check` would start it in another one.
starts() { # NAME DIR
    if node_start "$2"; then ok "$1"; else bad "$1" "$(<"$work/log")"; fi
}
holds() { # VERSION_DIR
    seen "$1/revision.txt" >"$work/now" && diff "$1/seen.txt" "$work/now"
}
read_version() { # DIR
    local dir=$1 version=${1##*/v}
    if "$bin/fixtures" read "$version" "$dir" >"$work/frames"; then ok "frames and files of version $version ($(grep -c ^ok "$work/frames"))"
    else bad "frames and files of version $version" "$(grep ^FAIL "$work/frames")"; fi
    rm -rf "$work/data" "$work/restored"
    tar -C "$work" --sparse -xJf "$dir/data.tar.xz"
    starts "a node starts on a directory of version $version" "$work/data"
    check "and holds what it held" holds "$dir"
    node_stop
    xz -dc "$dir/image.xz" >"$work/image"
    check "an image of version $version is restored" "$bin/kv" snapshot restore "$work/image" --data-dir "$work/restored" --name a \
        --initial-cluster "a=http://127.0.0.1:$((base + 1))" --initial-cluster-token quorate
    starts "a node starts on it" "$work/restored"
    check "and holds what it held" holds "$dir"
    node_stop
}
refusals() { # DIR: a later format is told apart from damage
    rm -rf "$work/data"
    tar -C "$work" --sparse -xJf "$1/data.tar.xz"
    "$bin/fixtures" later "$work/data/wal/$(ls "$work/data/wal" | grep seg | head -n 1)" || { bad "a later format can be made"; return; }
    check_fails "a log of a later format is refused, and not taken for damage" "run a newer one" limited 10 \
        "$bin/quorated" --insecure=yes --name=a --data_dir="$work/data" --quorum.nodes="a=127.0.0.1:$((base + 1))" \
        --client.listen="127.0.0.1:$base" --metrics.listen=off
}
case $verb in
write) write ;;
read)
    for dir in "$here"/v*/; do read_version "${dir%/}"; done
    refusals "${dir%/}"
    report_end fixtures
    ;;
*) echo "usage: fixtures.sh write|read BUILD_DIR" >&2; exit 2 ;;
esac
