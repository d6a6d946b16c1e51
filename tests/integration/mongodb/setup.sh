# SPDX-License-Identifier: Apache-2.0
# A replica set with agents, guards and a quorum on loopback, mongosim in the place of mongod: sourced by the demo and the scenarios,
# after tests/support/{cluster,report}.sh.
#
#   set_setup CLUSTER N [ARBITERS]     configuration of N data members m1 ... mN, and ARBITERS more (a1); MONGO_LINES: further lines of
#                                      their mongodb: section, MORE[NAME]: of one member's; LOGIN=none|scram|x509 (with TLS)
#   agent_start NAME, agent_stop NAME, agent_kill NAME, set_start
#   mongod_pid NAME                    its process      port_of NAME, name_at PORT
#   db WORD...                         kv db             order_is STATE, mongo_record FIELD, state_of NAME (its agent's word)
#   writable                           name of the member whose /primary says 200
#   load_on [w], load_off              a libmongoc client that writes; audit prints "acknowledged N missing M"; gap_ms

set -a
MONGO_SPEED=${MONGO_SPEED:-5}
MONGOC_DISABLE_SHM=1 # libmongoc leaves 4 MB in /dev/shm behind with each process that is killed
set +a
declare -gA MONGO_PORT=() MORE=()
DATA=() LOADER=0

. tests/integration/mongodb/hub.sh

member_file() { # NAME CLUSTER NODES MEMBERS ROLE
    agent_head "$1" "$2" "$3" ""
    cat <<YML
mongodb:
  mongod: $DIR/bin/mongod
  data_dir: $DIR/$1/data
  listen: 127.0.0.1
  replica_set: rs0
  role: $5
  members: {${4%, }}
$(mongo_login "$1" "$2")
${MONGO_LINES:-}${MORE[$1]:-}
YML
}
mongo_login() { # NAME CLUSTER
    case ${LOGIN:-none} in
    scram) printf '  login: scram\n  password_file: %s\n  cluster_auth: keyfile\n  key_file: %s\n' "$DIR/passwords" "$DIR/keyfile" ;;
    x509)
        printf '  login: x509\n  cluster_auth: x509\n  tls: "on"\n  tls_cert: %s\n  tls_key: %s\n' "$DIR/tls/member-$2-$1.crt" "$DIR/tls/member-$2-$1.key"
        ;;
    *) printf '  login: none\n  cluster_auth: none\n' ;;
    esac
}
member_issue() { # NAME [DIR [HOSTS]]: mongod's certificate, by the authority of DIR
    rm -f "${2:-$DIR/tls}/member-$MEMBERS_CLUSTER-$1".{crt,key}
    "$DIR/bin/kv" cert issue --role member --cluster "$MEMBERS_CLUSTER" --name "$1" --host "${3:-127.0.0.1,localhost}" --dir "${2:-$DIR/tls}" >/dev/null ||
        die "no member certificate for $1"
}

set_setup() { # CLUSTER N [ARBITERS]
    local cluster=$1 i name nodes="" list="" node role
    MEMBERS_CLUSTER=$cluster MEMBERS=() DATA=()
    for i in $(seq "$2"); do MEMBERS+=("m$i") && DATA+=("m$i"); done
    for i in $(seq "${3:-0}"); do MEMBERS+=("a$i"); done
    for node in "${QUORUM[@]}"; do nodes+="    $node: 127.0.0.1:${PEER_PORT[$node]}"$'\n'; done
    i=0
    for name in "${MEMBERS[@]}"; do
        free_port "MONGO_PORT[$name]" $((27017 + i))
        free_port "HTTP_PORT[$name]" $((8008 + i))
        list+="$name: \"127.0.0.1:${MONGO_PORT[$name]}\", "
        i=$((i + 1))
    done
    (umask 077 && printf 'ha_read:r3ad-only\nha_act:act:2-more\n' >"$DIR/passwords" && echo bW9uZ29zaW0= >"$DIR/keyfile")
    for name in "${MEMBERS[@]}"; do
        "$DIR/bin/kv" cert issue --role agent --cluster "$cluster" --name "$name" --dir "$DIR/tls" >/dev/null || die "no certificate for $name"
        [ "${LOGIN:-none}" != x509 ] || member_issue "$name"
        role=data
        [[ $name == m* ]] || role=arbiter
        mkdir -p "$DIR/$name"
        member_file "$name" "$cluster" "$nodes" "$list" $role >"$DIR/$name.yml"
    done
    own
}
# A stand-in for mongod: a node of the hub.
mongod_stands_in() {
    printf '#!/bin/sh\nexec "%s" node "%s" "$@"\n' "$DIR/bin/mongosim" "$SIM_DIR" >"$DIR/bin/mongod"
    chmod 755 "$DIR/bin/mongod"
}
set_begin() { # [HUB OPTION...]: quorum, hub and programs
    for program in quorate-agent-mongodb mongosim mongoload; do
        cp -f "$BIN/$program" "$DIR/bin/" || die "$BIN/$program is not built"
    done
    quorum_setup 3
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    hub_start --speed "$MONGO_SPEED" --set rs0 --log "$DIR/log/commands" "$@"
    mongod_stands_in
    wait_until 15 quorum_has_leader || die "the quorum has no leader; see $DIR/log"
}

agent_start() { spawn "$1" "$DIR/bin/quorate-agent-mongodb" --config "$DIR/$1.yml"; }
agent_stop() { # it stops its mongod with it when MongoDB allows
    kill -TERM "$(pid_of "$1")" 2>/dev/null
    wait_until 20 eval "! is_running $1"
}
agent_kill() { kill -KILL "$(pid_of "$1")" 2>/dev/null; }
set_start() { local name; for name in "${MEMBERS[@]}"; do agent_start "$name"; done; }
port_of() { echo "${MONGO_PORT[$1]}"; }
name_at() { local name; for name in "${MEMBERS[@]}"; do [ "${MONGO_PORT[$name]}" = "$1" ] && echo "$name"; done; }
mongod_pid() { cat "$DIR/$1/data/mongod.lock" 2>/dev/null; }
mongod_runs() { [ -n "$(mongod_pid "$1")" ] && kill -0 "$(mongod_pid "$1")" 2>/dev/null; }

db() { "${KV[@]}" db "$@"; }
token_in() { grep -oiE 'token[: ]+[0-9a-f]{8,}' <<<"$1" | grep -oE '[0-9a-f]{8,}$' | head -n 1; } # what force-reconfigure has printed
# The plan of a forced reconfiguration: PLAN, TOKEN. Refused until the majority is known to be gone.
plan_force() { # NAME,...
    PLAN=$(db force-reconfigure "$MEMBERS_CLUSTER" --destroyed "$1" 2>&1)
    TOKEN=$(token_in "$PLAN")
    [ -n "$TOKEN" ]
}
record() { "${KV[@]}" get "/quorate/v1/clusters/$MEMBERS_CLUSTER/record" --timeout 2s 2>/dev/null | tail -n 1; }
mongo_record() { record | jq -r ".mongodb.$1"; }
order_is() { [ "$(mongo_record order.state)" = "$1" ]; }
order_kind() { mongo_record order.kind; }
no_order() { [ "$(mongo_record order.state)" != open ]; }
why() { db why "$MEMBERS_CLUSTER" --timeout 2s 2>&1; }
says() { why | grep -q -- "$1" || db show "$MEMBERS_CLUSTER" --timeout 2s 2>&1 | grep -q -- "$1"; }
status_of() { curl -s -m 2 "http://127.0.0.1:${HTTP_PORT[$1]}/status"; }
state_of() { status_of "$1" | jq -r .state; }
state_is() { [ "$(state_of "$1")" = "$2" ]; }
writable() { primary; }
is_writable_other() { local now; now=$(writable) && [ -n "$now" ] && [ "$now" != "$1" ]; }
first_secondary() { local name; for name in "${DATA[@]}"; do [ "$name" != "$(writable)" ] && echo "$name" && return; done; }
# All are in the configuration with their votes, one takes writes, no order is open.
set_is_full() {
    local shape
    shape=$(sim status | jq -r 'select(.up and .writable) | [.term, .members, .votes, .electable] | join(" ")' | sort -n | tail -n 1)
    [ "${shape#* }" = "${#MEMBERS[@]} ${#MEMBERS[@]} ${#DATA[@]}" ] && no_order && [ -n "$(writable)" ] &&
        [ "$(sim status | jq -r 'select(.up and (.state == 1 or .state == 2 or .state == 7)) | .node' | wc -l)" = "${#MEMBERS[@]}" ]
}
settled() { wait_until "${1:-40}" set_is_full; }

uri() {
    local name list=""
    for name in "${DATA[@]}"; do list+=${list:+,}127.0.0.1:${MONGO_PORT[$name]}; done
    echo "mongodb://$list/?replicaSet=rs0"
}
load_on() { # [w]
    ACKED=$DIR/acked.$((LOADS = ${LOADS:-0} + 1))
    : >"$ACKED"
    "$DIR/bin/mongoload" --uri "$(uri)" --out "$ACKED" --w "${1:-majority}" --pause-us 10000 2>"$DIR/log/load" &
    LOADER=$!
    wait_until 15 eval '[ "$(wc -l <"$ACKED")" -gt 20 ]'
}
load_goes_on() { local lines; lines=$(wc -l <"$ACKED"); wait_until "${1:-30}" eval '[ "$(wc -l <"$ACKED")" -gt '$((lines + 20))' ]'; }
load_off() {
    [ "$LOADER" -gt 0 ] || return 0
    kill -TERM "$LOADER" 2>/dev/null
    wait "$LOADER" 2>/dev/null
    LOADER=0
}
# What libmongoc says by itself is no part of the answer.
audit() { "$DIR/bin/mongoload" --uri "$(uri)" --audit "$ACKED" 2>>"$DIR/log/audit"; }
gap_ms() { gap_after "$ACKED" "$1" 60000000; }
