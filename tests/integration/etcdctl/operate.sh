# SPDX-License-Identifier: Apache-2.0
# compaction, alarm, defrag, endpoint, move-leader, snapshot, make-mirror and what needs no server: sourced by run.sh.
. tests/support/jq.sh
e put o/1 1 >/dev/null
now=$(revision)
e put o/1 2 >/dev/null
e put o/1 3 >/dev/null
IDS+="s/\\b$now\\b/<now>/g;"
same "compaction" 'e compaction $((now - 1))'"| sed 's/[0-9][0-9]*/N/'"
same "compaction --physical" 'e compaction $now --physical'
same "compaction again" 'e compaction $now'
same "compaction of the future" 'e compaction 999999'
same "compaction of no number" 'e compaction x'
same "compaction without a revision" 'e compaction'
same "get at the compact revision" 'e get o/1 --rev=$now'
same "get below it" 'e get o/1 --rev=$((now - 1))'
same "txn with a get below it" 'printf "\nget o/1 --rev %s\n\n\n" $((now - 1)) | e txn'
same "alarm list of none" 'e alarm list'
same "alarm disarm of none" 'e alarm disarm'
same "defrag" 'e defrag'
same "defrag --cluster" 'ENDPOINTS=${ENDPOINTS%%,*} e defrag --cluster | sort'
same "defrag of an endpoint that is down" 'ENDPOINTS=https://127.0.0.1:1 e defrag --command-timeout 1s 2>&1 | sed "s/ (.*//" | grep -v connection'

# --- endpoint
same "endpoint health" 'e endpoint health 2>&1 | sort'
same "endpoint health --cluster" 'ENDPOINTS=${ENDPOINTS%%,*} e endpoint health --cluster 2>&1 | sort'
same "endpoint health -w json" 'e endpoint health -w json 2>&1 | jq -c "[.[] | {health, endpoint}] | sort_by(.endpoint)"'
same "endpoint health of one that is down" 'ENDPOINTS=https://127.0.0.1:1 e endpoint health --command-timeout 1s 2>&1 | sed "s/after.*//; s/failed to commit.*//" | plain'
status_fields() { jq -c '[.[] | {e: .Endpoint, leads: (.Status.leader == .Status.header.member_id), keys: (.Status | keys | map(select(. != "dbSizeInUse" and . != "isLearner")))}] | sort_by(.e) | (map(.leads) | sort), (.[] | [.e, .keys])'; }
same "endpoint status -w json" 'e endpoint status -w json | status_fields'
same "endpoint status --cluster" 'ENDPOINTS=${ENDPOINTS%%,*} e endpoint status --cluster -w json | status_fields'
same "endpoint status" 'e endpoint status | sort | awk -F", " "{ print \$1, \$2, NF, \$6 }"'
same "endpoint status -w fields" 'e endpoint status -w fields | sed -n "s/ : .*//p"'
same "endpoint status -w table" 'e endpoint status -w table | head -n 3'
agree() { e endpoint hashkv "$@" -w json | jq -e 'length == 3 and ([.[].HashKV.hash] | unique | length) == 1 and ([.[].HashKV.compact_revision] | unique | length) == 1'; }
check "endpoint hashkv: the nodes agree" wait_until 10 agree
check "endpoint hashkv --rev" wait_until 10 agree --rev="$(revision)"
check "endpoint hashkv --cluster" eval 'ENDPOINTS=${ENDPOINTS%%,*} agree --cluster'
same "endpoint hashkv" 'e endpoint hashkv | sort | sed "s/, [0-9]*$/, HASH/"'
same "endpoint hashkv -w fields" 'e endpoint hashkv -w fields | sed -n "s/ : .*//p" | sort | uniq -c'
same "endpoint hashkv --rev of the future" 'e endpoint hashkv --rev=999999 2>&1 | sed "s/.*Error: //" | grep -o "etcdserver.*"'
same "endpoint hashkv --rev below the compaction" 'e endpoint hashkv --rev=$((now - 1)) 2>&1 | grep -o "etcdserver.*"'

# --- move-leader
led=$(leader_endpoint)
for node in q1 q2 q3; do [ "https://127.0.0.1:${CLIENT_PORT[$node]}" = "$led" ] || { to=$node; break; }; done
target=$(id_of "$to")
check "move-leader" eval '[ "$(e move-leader "$target")" != "" ]'
check "the other one leads" wait_until 10 eval '[ "$(leader_endpoint)" = "https://127.0.0.1:${CLIENT_PORT[$to]}" ]'
check "move-leader says from whom to whom" eval 'say=$(e move-leader "$(id_of q1)" 2>&1 || true); leader_endpoint; [ "$to" = q1 ] || grep -q "^Leadership transferred from $target to $(id_of q1)$" <<<"$say"'
check "it leads" wait_until 10 eval '[ "$(leader_endpoint)" = "https://127.0.0.1:${CLIENT_PORT[q1]}" ]'
same "move-leader to a stranger" 'e move-leader 1234'
same "move-leader to no id" 'e move-leader xyz'
same "move-leader asked of a follower" 'ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[q2]} e move-leader $(id_of q3) 2>&1 | plain | sed "s/ endpoint.*//"'

# --- snapshot save: an image with its SHA-256 behind, a multiple of 512 bytes and 32
check "snapshot save" eval 'ENDPOINTS=${ENDPOINTS%%,*} e snapshot save "$work/snap" 2>&1 | grep -q "^Snapshot saved at $work/snap$"'
check "it ends with its sum" eval '[ "$(head -c -32 "$work/snap" | sha256sum | cut -d" " -f1)" = "$(tail -c 32 "$work/snap" | od -An -tx1 | tr -d " \n")" ] && [ $(($(stat -c %s "$work/snap") % 512)) = 32 ]'
check "snapshot save of several endpoints is refused" eval '! e snapshot save "$work/none"'
same "snapshot save without a file" 'ENDPOINTS=${ENDPOINTS%%,*} e snapshot save'
is_etcd || check "kv reads it" eval '"$DIR/bin/kv" snapshot status "$work/snap"'

# --- make-mirror, to a store of its own
mirror_setup() {
    free_port MIRROR 24379
    free_port MIRROR_PEER 24479
    mkdir -p "$DIR/mirror"
    cat >"$DIR/mirror.yml" <<YML
name: m1
data_dir: $DIR/mirror
insecure: yes
quorum:
  nodes: {m1: "127.0.0.1:$MIRROR_PEER"}
client: {listen: "127.0.0.1:$MIRROR"}
metrics: {listen: "off"}
YML
    own
    if is_etcd; then
        spawn mirror etcd --name m1 --data-dir "$DIR/mirror/etcd" --logger zap --log-level error --listen-client-urls "http://127.0.0.1:$MIRROR" \
            --advertise-client-urls "http://127.0.0.1:$MIRROR" --listen-peer-urls "http://127.0.0.1:$MIRROR_PEER" \
            --initial-advertise-peer-urls "http://127.0.0.1:$MIRROR_PEER" --initial-cluster "m1=http://127.0.0.1:$MIRROR_PEER"
    else
        spawn mirror "$DIR/bin/quorated" --config "$DIR/mirror.yml"
    fi
}
m() { timeout 20 etcdctl --endpoints "http://127.0.0.1:$MIRROR" "$@"; }
mirror_setup
check "a second store" wait_until 10 m endpoint health
for i in 1 2 3; do e put "mm/$i" "$i" >/dev/null; done
begin mirror make-mirror "127.0.0.1:$MIRROR" --prefix mm/ --dest-prefix there/
check "make-mirror copies what is there" wait_until 15 eval '[ "$(m get there/ --prefix --keys-only | grep -c there)" = 3 ]'
e put mm/4 4 >/dev/null
e del mm/1 >/dev/null
printf '\nput mm/5 5\nput mm/6 6\ndel mm/2\n\n\n' | e txn >/dev/null
check "make-mirror follows" wait_until 15 eval '[ "$(m get there/ --prefix --print-value-only | tr -d "\n")" = 3456 ]'
end mirror
begin mirror2 make-mirror "127.0.0.1:$MIRROR" --prefix mm/ --no-dest-prefix
check "make-mirror --no-dest-prefix" wait_until 15 eval '[ "$(m get 5 --print-value-only)" = 5 ]'
end mirror2
begin mirror3 make-mirror "127.0.0.1:$MIRROR" --prefix mm/
check "make-mirror under the same names" wait_until 15 eval '[ "$(m get mm/ --prefix --keys-only | grep -c mm/)" = 4 ]'
end mirror3
check "make-mirror into a store with TLS" eval 'ENDPOINTS_OLD=$ENDPOINTS; timeout -s INT 10 etcdctl --endpoints "http://127.0.0.1:$MIRROR" make-mirror "${ENDPOINTS%%,*}" \
    --prefix there/ --dest-prefix back/ --dest-insecure-transport=false --dest-cacert "$DIR/tls/ca.crt" --dest-cert "$DIR/tls/admin-admin.crt" --dest-key "$DIR/tls/admin-admin.key" >/dev/null 2>&1 &
    wait_until 10 eval "[ \$(e get back/ --prefix --keys-only | grep -c back/) = 4 ]"; rc=$?; kill -TERM $!; wait $! 2>/dev/null; [ $rc = 0 ]'
kill -TERM "$(pid_of mirror)"

# --- no server needed
for shell in bash zsh fish powershell; do check "completion $shell" eval "etcdctl completion $shell | grep -q etcdctl"; done
check "version" eval 'etcdctl version | grep -q "^API version: 3.4$"'
check "help" eval 'etcdctl help | grep -q make-mirror'
if [ -n "${PERF:-}" ]; then
    check "check perf --load s --auto-compact --auto-defrag" eval 'timeout 120 etcdctl --endpoints "$ENDPOINTS" "${TLS[@]}" check perf --load s --auto-compact --auto-defrag >"$work/perf" 2>&1'
    note "$(tail -n 5 "$work/perf")"
fi
