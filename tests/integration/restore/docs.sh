#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every command of docs/quorum.md as it stands there, from top to bottom: servers a to d with the addresses and paths
# of the page, in namespaces of their own. A command that fails is tried again for a while, as an operator would.
# Comments of the page start and stop nodes.    usage: docs.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/report.sh
if [ -z "${QUORATE_DOCS_INSIDE:-}" ] && { [ "$(id -u)" -ne 0 ] || ! unshare -n -m true 2>/dev/null; }; then
    skip "commands of docs/quorum.md" "needs root and namespaces"
    report_end docs
fi
[ -n "${QUORATE_DOCS_INSIDE:-}" ] || QUORATE_DOCS_INSIDE=1 exec unshare -n -m bash "$0"

BIN=$(cd "${BIN:-build/release/bin}" && pwd)
DIR=$(mktemp -d "${TMPDIR:-/tmp}/quorate-docs.XXXXXX")
declare -A PID=()
stop() { # HOST
    [ -n "${PID[$1]:-}" ] || return 0
    kill -TERM "${PID[$1]}" 2>/dev/null
    wait "${PID[$1]}" 2>/dev/null
    unset "PID[$1]"
}
end() {
    local host
    [ "$BASHPID" = "$$" ] || return 0 # a child that is ended before it has become what it shall be
    for host in "${!PID[@]}"; do stop "$host"; done
    [ "$FAILED" -eq 0 ] || tail -n 5 "$DIR"/log/*
    cd / && umount "$DIR/top" && rm -rf "$DIR"
}
trap end EXIT
trap 'exit 130' INT TERM
mkdir -p "$DIR/top" "$DIR/log" "$DIR/home/.config/quorate" "$DIR/home/tls"

# /etc, /var/lib and /var/backups as they are, with changes that nobody else sees.
mount -t tmpfs none "$DIR/top"
for place in etc var/lib; do
    mkdir -p "$DIR/top/$place/up" "$DIR/top/$place/work"
    mount -t overlay none -o "lowerdir=/$place,upperdir=$DIR/top/$place/up,workdir=$DIR/top/$place/work" "/$place" || {
        skip "commands of docs/quorum.md" "no overlay file systems here"
        report_end docs
    }
done
mkdir -p /etc/quorate /var/lib/quorate "$DIR/top/backups"
[ -d /var/backups ] && mount --bind "$DIR/top/backups" /var/backups
ip link set lo up
"$BIN/kv" cert ca --dir "$DIR/home/tls" >/dev/null
"$BIN/kv" cert issue --role admin --name me --dir "$DIR/home/tls" >/dev/null
number=0
for host in a b c d; do
    number=$((number + 1))
    ip addr add "10.0.0.$number/32" dev lo
    mkdir -p "$DIR/$host/etc/tls" "$DIR/$host/lib"
    "$BIN/kv" cert issue --role node --name "$host" --host "10.0.0.$number,localhost" --dir "$DIR/home/tls" >/dev/null
    cp "$DIR"/home/tls/{ca.crt,node-"$host".*} "$DIR/$host/etc/tls"
    cat >"$DIR/$host/etc/quorated.yml" <<YML
name: $host
data_dir: /var/lib/quorate/quorum
quorum:
  nodes: {a: "10.0.0.1:2380", b: "10.0.0.2:2380", c: "10.0.0.3:2380"}
client:
  listen: 10.0.0.$number:2379
metrics:
  listen: 127.0.0.$number:2381
tls:
  ca: /etc/quorate/tls/ca.crt
  cert: /etc/quorate/tls/node-$host.crt
  key: /etc/quorate/tls/node-$host.key
YML
done
sed -i 's|^  nodes: .*|  nodes: {a: "10.0.0.1:2380", b: "10.0.0.2:2380", d: "10.0.0.4:2380"}|' "$DIR/d/etc/quorated.yml"
cat >"$DIR/home/.config/quorate/kv.yml" <<YML
endpoints: https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379
cacert: $DIR/home/tls/ca.crt
cert: $DIR/home/tls/admin-me.crt
key: $DIR/home/tls/admin-me.key
YML

on() { # HOST COMMAND: in place of this shell
    cd "$DIR/home" || exit 2
    # shellcheck disable=SC2016
    exec env HOME="$DIR/home" PATH="$BIN:$PATH" unshare -m bash -c \
        'mount --bind "$1/etc" /etc/quorate && mount --bind "$1/lib" /var/lib/quorate && exec bash -c "$2"' - "$DIR/$1" "$2"
}
start() { # HOST COMMAND
    stop "$1"
    (on "$1" "exec $2") >>"$DIR/log/$1" 2>&1 </dev/null &
    PID[$1]=$!
}
try() { # HOST COMMAND
    local end=$((SECONDS + 10))
    until (on "$1" "set -o pipefail; $2"); do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done 2>&1 | tail -n 12
    return "${PIPESTATUS[0]}"
}
hosts_of() { grep -ow '[a-d]' <<<"$1"; }
while IFS= read -r line <&3; do
    case $line in
    '<!-- start '*) for host in $(hosts_of "$line"); do start "$host" "quorated --config /etc/quorate/quorated.yml"; done ;;
    '<!-- stop '*) for host in $(hosts_of "$line"); do stop "$host"; done ;;
    [a-d]'$ quorated '*)
        start "${line%%\$*}" "${line#*\$ }"
        sleep 0.3
        check "$line" kill -0 "${PID[${line%%\$*}]}"
        ;;
    [a-d]'$ '*) check "$line" try "${line%%\$*}" "${line#*\$ }" ;;
    esac
done 3< <(awk '/^(```|<!--)/ || /^[a-d]\$ /' docs/quorum.md)
report_end docs
