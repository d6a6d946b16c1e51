#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Data directories and images that are damaged, cut off, foreign, closed, or on a full disk: what a node and the offline
# tools say, and that nothing acknowledged is lost.    usage: damage.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/jq.sh
. tests/integration/restore/common.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-damage.XXXXXX")
trap 'cluster_stop; keep_logs damage; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "three nodes elect a leader" wait_until 10 quorum_has_leader
kvload() { # VERB FILE [options]
    local verb=$1 file=$2
    shift 2
    "$DIR/bin/kvload" "$verb" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
        --key "$DIR/tls/admin-admin.key" --out "$file" "$@"
}
check "writes" kvload put "$work/acked" --clients 4 --seconds 1
check "snapshot save" "${KV[@]}" snapshot save "$DIR/image"
check "nothing is shown of progress where no terminal is" eval '[ -z "$("${KV[@]}" snapshot save "$DIR/image2" 2>&1 >/dev/null)" ]'
victim=$(for node in "${QUORUM[@]}"; do [ "$node" != "$(quorum_leader)" ] && echo "$node"; done | head -n 1)
quorum_stop "$victim"
cp -a "$DIR/$victim" "$DIR/good"
AT=$DIR/$victim
LOG=$(ls "$AT/wal" | grep seg | head -n 1)
USED=$(($(grep -abo '[^[:cntrl:]]' "$AT/wal/$LOG" | tail -n 1 | cut -d: -f1) + 1)) # the last byte that is not zero, nearly
own

# --- a node on such a directory
anew() { rm -rf "$AT" && cp -a "$DIR/good" "$AT"; }
ends() { ! is_running "$victim"; }
refuses() { # NAME WORDS: it does not start, or ends by itself, and says so
    local name=$1 words=$2
    : >"$DIR/log/$victim"
    quorum_start "$victim"
    check "$name: the node ends" wait_until 10 ends
    check "$name: with its reason" grep -qi -- "$words" "$DIR/log/$victim"
    note "$(grep -i -- "$words" "$DIR/log/$victim" | head -n 1 | cut -c1-300)"
    is_running "$victim" && quorum_stop "$victim"
    anew
}
up() { [ "$("${KV[@]}" status -o json --timeout 1s | jq '[.[] | select(.up)] | length')" = 3 ]; }
equal() { "${KV[@]}" hash -o json | jq -e 'length == 3 and ([.[].hash] | unique | length == 1)'; }
starts() { # NAME: it takes part, with all that was acknowledged
    quorum_start "$victim"
    check "$1: the node takes part" wait_until 10 up
    check "$1: with all that the others have" wait_until 10 equal
    quorum_stop "$victim"
    anew
}
overwrite() { dd if=/dev/urandom of="$1" bs="$2" seek="$3" count="$4" conv=notrunc status=none; } # FILE BLOCK AT BLOCKS

overwrite "$AT/wal/$LOG" 4096 $((USED / 8192)) 2
refuses "damage in the middle of the log" 'the log is damaged: .*kv member remove.*kv member add.*empty data directory'
head -c 100 /dev/urandom | dd of="$AT/wal/$LOG" bs=1 seek=$(((USED / 4096 + 1) * 4096)) conv=notrunc status=none
starts "a batch that was being written when power failed"
truncate -s $((USED / 2)) "$AT/wal/$LOG"
refuses "a log cut off in what was acknowledged" 'damaged'
rm -r "$AT/wal"
refuses "a log that is gone" 'kv member remove'
overwrite "$AT/store.mdb" 4096 0 8
refuses "state overwritten" 'store.mdb.*state is damaged.*kv member remove'
truncate -s 8192 "$AT/store.mdb"
refuses "state cut off" 'damaged'
rm "$AT/store.mdb"
starts "state that is gone, the log whole" # made again from the log
dd if=/dev/zero of="$AT/store.mdb" bs=4096 seek=12 count=$(($(stat -c %s "$AT/store.mdb") / 4096 - 12)) conv=notrunc status=none
refuses "state whose pages were never written" 'damaged.*kv member remove'
if [ "$(id -u)" -eq 0 ]; then
    chmod -R a-w "$AT"
    refuses "a directory that may not be written" 'Permission denied'
    chown -R root "$AT" && chmod 700 "$AT"
    refuses "a directory of another user" 'Permission denied'
else
    skip "directories of others" "needs root"
fi
few_files() { # LIMIT: whether a node that may open so many files ends and says why
    : >"$DIR/log/$victim"
    (ulimit -n "$1" && quorum_start "$victim")
    wait_until 10 ends && grep -q "raise the limit of open files" "$DIR/log/$victim"
}
for limit in 12 16 24 64 127; do
    check "at most $limit open files: the node ends with its reason" few_files $limit || note "$(tail -n 3 "$DIR/log/$victim")"
done
rm -rf "$AT" && : >"$AT"
own_paths "$AT"
refuses "a file in place of the directory" 'Not a directory'

# --- offline tools on them
tool() { as_user "$DIR/bin/kv" "$@"; }
copy() { rm -rf "$DIR/copy" && cp -a "$DIR/good" "$DIR/copy"; }
check "debug log" eval 'tool debug log "$DIR/good" | grep -q PUT'
check "debug dump" eval 'tool debug dump "$DIR/good" -o json | jq -e length'
check_fails "debug log of a node that runs" "a node is running on it; stop it first" tool debug log "$DIR/$(quorum_leader)"
check_fails "debug log of nothing" "no data directory of a node" tool debug log "$DIR/none"
copy && overwrite "$DIR/copy/wal/$LOG" 4096 $((USED / 8192)) 2
check_fails "debug log of a damaged log" "the log is damaged" tool debug log "$DIR/copy"
copy && truncate -s 8192 "$DIR/copy/store.mdb"
check_fails "debug dump of a state cut off" "damaged" tool debug dump "$DIR/copy"
copy && overwrite "$DIR/copy/store.mdb" 4096 0 8
check_fails "debug dump of a foreign file" "not an LMDB file" tool debug dump "$DIR/copy"
if [ "$(id -u)" -eq 0 ]; then
    copy && chown -R root "$DIR/copy" && chmod 700 "$DIR/copy"
    check_fails "debug log of another user's directory" "run this as the user" tool debug log "$DIR/copy"
fi

# --- images
restore_of() { # IMAGE DIRECTORY [options]
    local image=$1 at=$2
    shift 2
    tool snapshot restore "$image" --data-dir "$at" --name q1 --initial-cluster "$(initial_cluster "${QUORUM[@]}")" "$@"
}
nothing_made() { [ -z "$(ls -d "$DIR"/new* 2>/dev/null)" ]; }
SIZE=$(stat -c %s "$DIR/image")
head -c 10000 "$DIR/image" >"$DIR/image.cut"
head -c $((SIZE - 4096)) "$DIR/image" >"$DIR/image.short"
cp "$DIR/image" "$DIR/image.bent" && overwrite "$DIR/image.bent" 16 $((SIZE / 32)) 1
head -c $((SIZE - 32)) "$DIR/image.bent" >"$DIR/image.bare"
head -c 65536 /dev/urandom >"$DIR/image.foreign"
: >"$DIR/image.empty"
{ head -c 16 /dev/zero; printf '\xed\xda\x0c\xed'; head -c 20492 /dev/zero; } >"$DIR/image.etcd" # a first page of bbolt
chmod a+r "$DIR"/image*
for verb in status restore; do
    image_of() { if [ "$verb" = status ]; then tool snapshot status "$1"; else restore_of "$1" "$DIR/new"; fi; }
    check_fails "snapshot $verb: no file" "No such file" image_of "$DIR/none"
    check_fails "snapshot $verb: a directory" "not a file" image_of "$DIR/good"
    check_fails "snapshot $verb: an empty file" "no whole image" image_of "$DIR/image.empty"
    check_fails "snapshot $verb: cut off" "no whole image" image_of "$DIR/image.cut"
    check_fails "snapshot $verb: cut off at a block" "take another copy" image_of "$DIR/image.short"
    check_fails "snapshot $verb: one bit more or less" "SHA-256 does not match" image_of "$DIR/image.bent"
    check_fails "snapshot $verb: the same without a digest" "take another copy" image_of "$DIR/image.bare"
    check_fails "snapshot $verb: something else" "not a whole image of this program" image_of "$DIR/image.foreign"
    check_fails "snapshot $verb: etcd's" "make-mirror" image_of "$DIR/image.etcd"
done
check "nothing was made of them" nothing_made
check_fails "restore into a directory in use" "is not empty" restore_of "$DIR/image" "$DIR/good"
check_fails "restore below no directory" "No such file" restore_of "$DIR/image" "$DIR/none/new"
check_fails "restore for a stranger" "is not among the members given" restore_of "$DIR/image" "$DIR/new" --name q9
check_fails "restore without members" "needs --data-dir" tool snapshot restore "$DIR/image" --data-dir "$DIR/new" --name q1
if [ "$(id -u)" -eq 0 ]; then
    check_fails "restore where one may not write" "run this as the user" restore_of "$DIR/image" /usr/quorate-new
    small() { unshare -m bash -c 'mount -t tmpfs -o size=400k,mode=777 none "$1" && shift && "$@"' - "$DIR/small" "$@"; }
    mkdir "$DIR/small"
    if small true; then
        as=(setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups --)
        check_fails "restore on a full disk" "No space left" small "${as[@]}" "$DIR/bin/kv" snapshot restore "$DIR/image" \
            --data-dir "$DIR/small/new" --name q1 --initial-cluster "$(initial_cluster "${QUORUM[@]}")"
    else
        skip "restore on a full disk" "needs to mount"
    fi
fi
check "nothing was made by any of them" nothing_made
check "restore" restore_of "$DIR/image" "$DIR/new"
check_fails "restore a second time" "is not empty" restore_of "$DIR/image" "$DIR/new"
if command -v script >/dev/null; then
    check "progress on a terminal" eval 'script -qec "$DIR/bin/kv snapshot restore $DIR/image --data-dir $DIR/shown --name q1 --initial-cluster q1=https://127.0.0.1:1" /dev/null | grep -q "100 %"'
fi

# --- the end
anew
quorum_start "$victim"
check "on its own directory the node takes part again" wait_until 10 up
check "all hold the same" wait_until 10 equal
check "no acknowledged put is lost" kvload verify "$work/acked"
report_end damage
