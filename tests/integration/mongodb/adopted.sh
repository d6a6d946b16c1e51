# SPDX-License-Identifier: Apache-2.0
# Sets that others have to do with: mongods that somebody else runs, and two who found one at a time. Sourced by run.sh, after layouts.sh.

by_hand() { # NAME [LINES below net:]: mongod of NAME is started by somebody else, in plain text
    mkdir -p "$DIR/$1/data"
    printf 'storage:\n  dbPath: %s\nnet:\n  port: %s\n  bindIp: 127.0.0.1\n%breplication:\n  replSetName: rs0\nprocessManagement:\n  pidFilePath: %s\n' \
        "$DIR/$1/data" "$(port_of "$1")" "${2:-}" "$DIR/$1/mongod.pid" >"$DIR/$1/hand.conf"
    own
    spawn "hand-$1" "$DIR/bin/mongod" --config "$DIR/$1/hand.conf"
    wait_until 10 mongod_runs "$1"
}
priority_of() { # NAME: in the configuration that the primary has
    ask "$(port_of "$(writable)")" '{"replSetGetConfig": 1}' | jq ".config.members[] | select(.host | endswith(\":$(port_of "$1")\")) | .priority"
}
initiate_by_hand() { # NAME...
    local name members="" n=0
    for name; do members+="${members:+, }{\"_id\": $n, \"host\": \"127.0.0.1:$(port_of "$name")\"}" && n=$((n + 1)); done
    ask "$(port_of "$1")" "{\"replSetInitiate\": {\"_id\": \"rs0\", \"version\": 1, \"members\": [$members]}}"
}
none_started() { ! pgrep -f -- "mongosim node $SIM_DIR .*--config $DIR/$1/state" >/dev/null; }

watched() { # three mongods of somebody else: looked at and steered; never started, stopped, ended or emptied
    local name pid
    NAME="watched"
    if ! can_ask; then skip "$NAME" "python3-pymongo is not installed"; return; fi
    empty_place
    for name in m1 m2 m3; do MORE[$name]=$'\n'"  adopt: watch"$'\n'"  pid_file: $DIR/$name/mongod.pid"; done
    set_setup mg 3
    for name in "${MEMBERS[@]}"; do by_hand "$name"; done
    initiate_by_hand m1 m2 m3 >/dev/null
    wait_until 20 has_writable
    set_start
    check "$NAME: taken in as it is" wait_until 40 eval '[ "$(mongo_record is_initiated)" = true ] && [ -n "$(mongo_record primary)" ] && [ -n "$(writable)" ]'
    check_output "$NAME: initiated by hand alone" 1 truth initiations
    begin "$NAME"
    check "$NAME: kv db switchover" db switchover mg --to "$S" --wait --timeout 40s
    P=$(writable) S=$(first_secondary)
    ask "$(port_of "$P")" "$(ask "$(port_of "$P")" '{"replSetGetConfig": 1}' |
        jq -c ".config | .version += 1 | .members |= map(if .host | endswith(\":$(port_of "$P")\") then .priority = 7 else . end) | {replSetReconfig: .}")" >/dev/null
    MARK=$(commands_count)
    wait_until 4 eval '[ "$(priority_of "$P")" != 7 ]'
    check_output "$NAME: a priority that somebody gave is let be" 7 priority_of "$P"
    pid=$(mongod_pid "$S")
    db restart mg "$S" >/dev/null 2>&1
    db reinit mg "$S" --force >/dev/null 2>&1
    wait_until 15 eval '[ "$(mongo_record order.state)" = failed ]'
    db cancel mg >/dev/null 2>&1
    check "$NAME: kv db restart and reinit touch nothing" eval '[ "$(mongod_pid "$S")" = "$pid" ] && kill -0 "$pid" && ! commands shutdown'
    db config set mg mongodb.gray=kill mongodb.cut_off=kill >/dev/null
    pid=$(mongod_pid "$P")
    sim stuck "$(port_of "$P")" on
    check "$NAME: a disk that hangs: it is told to step down" wait_until 30 eval 'commands replSetStepDown >/dev/null'
    wait_until 25 eval '! kill -0 '"$pid"
    check "$NAME: ... and not killed, whatever is allowed" kill -0 "$pid"
    sim heal
    db config set mg mongodb.gray=null mongodb.cut_off=null >/dev/null
    P=$(writable) S=$(first_secondary)
    kill -KILL "$(mongod_pid "$S")"
    check "$NAME: one that ends: its agent says so" wait_until 15 eval '! member_is "$S" /health'
    wait_until 6 eval '! none_started '"$S"
    check "$NAME: ... and does not start it" none_started "$S"
    by_hand "$S"
    plain_against_tls "$S"
    pid=$(mongod_pid "$P")
    agent_stop "$P"
    check "$NAME: an agent that ends leaves it running" kill -0 "$pid"
    agent_start "$P"
    finish
    for name in "${MEMBERS[@]}"; do agent_kill "$name" && kill -TERM "$(pid_of "hand-$name")"; done
    MORE=()
}
plain_against_tls() { # NAME: it asks for TLS and the agent does not, and the other way about
    local name=$1
    kill -TERM "$(pid_of "hand-$name")"
    wait_until 10 eval '! is_running "hand-$S"'
    "$DIR/bin/kv" cert issue --role member --cluster mg --name "$name" --host 127.0.0.1,localhost --dir "$DIR/tls" >/dev/null
    cat "$DIR/tls/member-mg-$name".{crt,key} >"$DIR/$name/mongod.pem"
    MARK=$(commands_count)
    by_hand "$name" "  tls:\n    mode: requireTLS\n    certificateKeyFile: $DIR/$name/mongod.pem\n    CAFile: $DIR/tls/ca.crt\n    allowConnectionsWithoutCertificates: true\n"
    check "$NAME: plain text where mongod wants TLS: said" wait_until 20 said_of "$name" "tls"
    sed -i 's/^  adopt: watch$/&\n  tls: "on"/' "$DIR/$name.yml"
    agent_stop "$name"
    agent_start "$name"
    check "$NAME: over TLS it is a secondary" wait_until 20 member_is "$name" /secondary
    kill -TERM "$(pid_of "hand-$name")"
    wait_until 10 eval '! is_running "hand-$S"'
    by_hand "$name"
    check "$NAME: TLS where mongod speaks plain text: said" wait_until 20 said_of "$name" "TLS with mongod fails"
    sed -i '/^  tls: "on"$/d' "$DIR/$name.yml"
    agent_stop "$name"
    agent_start "$name"
    check "$NAME: nothing was done to the set" no_commands
}

fault_taken() { [ -z "$(sim code "$@" 2>&1 | tr -d '\n')" ]; } # the hub knows a node from its first start
raced() { # two found the set, one after the other
    local m1
    NAME="raced"
    if ! can_ask; then skip "$NAME" "python3-pymongo is not installed"; return; fi
    empty_place
    set_setup mg 3
    m1=127.0.0.1:$(port_of m1)
    set_start
    wait_until 30 fault_taken "$(port_of m1)" replSetInitiate 74 50
    check "$NAME: the arbiter has m1 found the set, which fails" wait_until 40 grep -q " $m1 replSetInitiate" "$DIR/log/commands"
    initiate_by_hand m2 >/dev/null
    check "$NAME: somebody else founds it at m2: that one is taken in" wait_until 40 eval '[ "$(mongo_record is_initiated)" = true ]'
    sim heal
    check "$NAME: and m1 is added to it" settled 90
    check_output "$NAME: initiated once" 1 truth initiations
    check "$NAME: twins of an agent: the second one refuses to run" eval '! timeout 5 setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$DIR/bin/quorate-agent-mongodb" --config "$DIR/m1.yml"'

    empty_place
    set_setup mg 3
    set_start
    wait_until 30 fault_taken "$(port_of m1)" replSetInitiate 0 1
    check "$NAME: an answer that was lost: what is read counts" settled 60
    check_output "$NAME: initiated once" 1 truth initiations
    check_output "$NAME: asked once" 1 grep -c " replSetInitiate " "$DIR/log/commands"
}
