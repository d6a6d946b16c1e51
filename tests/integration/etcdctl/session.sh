# SPDX-License-Identifier: Apache-2.0
# The store (ours, or etcd for comparison), etcdctl, and comparing what it prints: sourced by run.sh.
#
#   e ARGS...                 etcdctl as admin over TLS, all three endpoints; E1 ... only the first
#   same NAME 'COMMANDS'      output and exit code are those of expected.txt under NAME
#   alike NAME TEXT           the same for a text that was gathered otherwise
#   begin NAME ARGS...        etcdctl in the background, output in $work/out.NAME; end NAME sends SIGINT and waits
#   says NAME WORD            waits until the output of NAME holds WORD
. tests/support/jq.sh

export ETCDCTL_API=3
declare -A EXPECTED=() BACKGROUND=()
IDS="" # sed commands that give names to what differs from run to run
QUOTA=33554432
is_etcd() { [ "${PEER:-}" = etcd ]; }

# --- the store
store_setup() {
    local name
    quorum_setup 4 # the fourth joins later
    for name in q1 q2 q3 q4; do
        sed -i "s/^quorum:/store: {map_size: 256MiB, quota: 32MiB}\nquorum:/" "$DIR/$name.yml"
        [ "$name" = q4 ] || sed -i "/ q4: /d" "$DIR/$name.yml"
    done
    sed -i "s/^quorum:/quorum:\n  state: existing/" "$DIR/q4.yml"
    "$DIR/bin/kv" cert issue --role admin --name root --dir "$DIR/tls" >/dev/null
    "$DIR/bin/kv" cert issue --role admin --name carol --dir "$DIR/tls" >/dev/null
    own
    chmod -R go+rX "$DIR/tls" 2>/dev/null
    TLS=(--cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key")
    endpoints_of q1 q2 q3
    for name in q1 q2 q3 q4; do
        IDS+="s/127.0.0.1:${CLIENT_PORT[$name]}/$name:client/g;s/127.0.0.1:${PEER_PORT[$name]}/$name:peer/g;"
    done
}
endpoints_of() { # NODE...
    local name
    ENDPOINTS=""
    for name in "$@"; do ENDPOINTS+=${ENDPOINTS:+,}https://127.0.0.1:${CLIENT_PORT[$name]}; done
}
tls_of_etcd() { # PREFIX NAME
    echo "--${1}cert-file $DIR/tls/node-$2.crt --${1}key-file $DIR/tls/node-$2.key --${1}trusted-ca-file $DIR/tls/ca.crt --${1}client-cert-auth"
}
store_start() { # NAME [new|existing INITIAL_CLUSTER]
    local name=$1 state=${2:-new} all=${3:-} other
    is_etcd || { quorum_start "$name"; return; }
    [ -n "$all" ] || for other in q1 q2 q3; do all+=${all:+,}$other=https://127.0.0.1:${PEER_PORT[$other]}; done
    # shellcheck disable=SC2046
    spawn "$name" etcd --name "$name" --data-dir "$DIR/$name/etcd" --logger zap --log-level error \
        --listen-client-urls "https://127.0.0.1:${CLIENT_PORT[$name]}" --advertise-client-urls "https://127.0.0.1:${CLIENT_PORT[$name]}" \
        --listen-peer-urls "https://127.0.0.1:${PEER_PORT[$name]}" --initial-advertise-peer-urls "https://127.0.0.1:${PEER_PORT[$name]}" \
        --initial-cluster "$all" --initial-cluster-state "$state" --quota-backend-bytes "$QUOTA" $(tls_of_etcd "" "$name") $(tls_of_etcd peer- "$name")
}
e() { timeout 20 etcdctl --endpoints "$ENDPOINTS" "${TLS[@]}" "$@"; }
store_has_leader() { e endpoint health && e endpoint status -w json | jq -e 'length == 3 and ([.[].Status.leader] | unique | length) == 1 and .[0].Status.leader != 0'; }
id_of() { e member list | awk -F', ' -v url="https://127.0.0.1:${PEER_PORT[$1]}" '$4 == url { print $1 }'; }
leader_endpoint() { e endpoint status | awk -F', ' '$5 == "true" { print $1 }'; }

# --- what differs from run to run gets a name
forget() { IDS=$(sed "s/[^;]*<$1>\/g;//g" <<<"$IDS"); }
named() { # HEX NAME: an id, in hex and decimal
    local padded
    padded=$(printf '%016x' "0x$1")
    IDS+="s/\\b$1\\b/<$2>/g;s/\\b$padded\\b/<$2>/g;s/\\b$(printf '%u' "0x$1")\\b/<$2>/g;"
}
name_ids() {
    local name
    for name in q1 q2 q3; do named "$(id_of $name)" "$name"; done
    named "$(printf '%x' "$(e get x -w fields | sed -n 's/"ClusterID" : //p')")" cluster
}
plain() {
    sed -e '/^{"level":/d' -e "$IDS" -e 's/"raft_term":[0-9]*/"raft_term":T/g; s/^"RaftTerm" : .*/"RaftTerm" : T/; s/{0x[^}]*}/{}/g; s/(0x[^)]*)/()/g; s/=\[[^]]*\]\(.*gRPC endpoints\)/=[]\1/' \
        -e 's/"member_id":<q[0-9]>/"member_id":M/g; s/^"MemberID" : .*/"MemberID" : M/; s/lease [0-9a-f]\{16\} /lease ID /' \
        -e 's/took = [0-9.]*[mµn]*s/took = T/; s/"took":"[^"]*"/"took":"T"/' \
        -e '/^[+|]/ { s/-\+/-/g; s/ \+/ /g }' -e 's/[[:space:]]*$//' -e "s#$work#WORK#g"
}

# --- comparing
EXPECTED_FILE=$HERE/expected.txt
load_expected() {
    local line name=""
    while IFS= read -r line; do
        if [[ $line == "=== "* ]]; then name=${line#=== }; EXPECTED[$name]=""; else EXPECTED[$name]+="$line"$'\n'; fi
    done <"$EXPECTED_FILE"
}
alike() { # NAME TEXT
    if [ -n "${RECORD:-}" ]; then
        printf '=== %s\n%s\n' "$1" "$2" >>"$work/expected"
        ok "$1"
    elif [ "${EXPECTED[$1]-none}" = "$2"$'\n' ]; then
        ok "$1"
    else
        bad "$1" "$(diff <(printf '%s' "${EXPECTED[$1]-nothing is expected}") <(printf '%s\n' "$2"))"
    fi
}
same() { # NAME COMMANDS
    local out rc
    out=$(eval "$2" 2>&1 </dev/null | plain; exit "${PIPESTATUS[0]}")
    rc=$?
    alike "$1" "$out${out:+$'\n'}exit $rc"
}
finish_expected() {
    [ -z "${RECORD:-}" ] || { [ "$FAILED" -eq 0 ] && cp "$work/expected" "$EXPECTED_FILE"; }
}
[ -n "${RECORD:-}" ] || load_expected

# --- commands that go on until they are told to end
begin() { # NAME ARGS...
    local name=$1
    shift
    env --default-signal=INT etcdctl --endpoints "$ENDPOINTS" "${TLS[@]}" "$@" >"$work/out.$name" 2>&1 &
    BACKGROUND[$name]=$!
}
says() { wait_until 15 grep -q -- "$2" "$work/out.$1"; }
end() {
    kill -INT "${BACKGROUND[$1]}" 2>/dev/null
    wait "${BACKGROUND[$1]}" 2>/dev/null
}
seen() { # NAME WORD: the output of NAME once it holds WORD
    says "$1" "$2"
    end "$1"
    alike "$1" "$(plain <"$work/out.$1")"
}
revision() { e get x -w fields | sed -n 's/^"Revision" : //p'; }
