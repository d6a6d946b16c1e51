# SPDX-License-Identifier: Apache-2.0
# Scenarios of a healthy set of three data members: sourced by run.sh. Each begins and ends with a full set; what was acknowledged by
# the majority is there afterwards.

begin() { # NAME [w]
    NAME=$1
    settled || bad "$NAME: the set is not full before" "$(shown)"
    load_on "${2:-majority}" || bad "$NAME: no writes get through" "$(shown)"
    P=$(writable) S=$(first_secondary) AT=$(now_us)
    MARK=$(commands_count)
}
finish() { # [lossy]: w:1 may lose
    sim heal
    load_goes_on 40 || bad "$NAME: no writes get through afterwards" "$(shown)"
    settled 60 || bad "$NAME: the set is not full afterwards" "$(shown)"
    load_off
    [ -n "${1:-}" ] || check_output "$NAME: nothing acknowledged is missing" "acknowledged $(wc -l <"$ACKED") missing 0" audit
    note "longest write gap $(gap_ms "$AT") ms"
}
shown() { db show "$MEMBERS_CLUSTER" --timeout 2s 2>&1; why | tail -n 6; sim status; }
commands_count() { wc -l <"$DIR/log/commands"; }
# Commands that change a set, since `begin`.
commands() { tail -n +$((MARK + 1)) "$DIR/log/commands" | awk '{ print $3, $2, $0 }' | grep -E "^$1 "; }
no_commands() { ! commands '(replSet(Initiate|Reconfig|StepDown|StepUp|Freeze|AbortPrimaryCatchUp|Maintenance)|shutdown|setDefaultRWConcern)' | grep -v ' replSetFreeze 0'; }
nobody_frozen() { ! sim status | grep -q '"frozen":true'; }
moved() { is_writable_other "$P"; }
term() { sim truth | jq .term; }

founded() {
    NAME=founded
    check "$NAME: a set of three is found" settled 60
    check_output "$NAME: initiated once" 1 truth initiations
    check_output "$NAME: no forced configuration" 0 truth forced
    check "$NAME: added without a vote first, then the vote, then the priority" eval '[ "$(truth reconfigs)" -ge 6 ]'
    check "$NAME: the drivers string names all" eval 'db dsn "$MEMBERS_CLUSTER" | grep -q "mongodb://.*replicaSet=rs0"'
}

switched() {
    begin "switchover"
    check "$NAME: kv db switchover" db switchover "$MEMBERS_CLUSTER" --to "$S" --wait --timeout 40s
    check "$NAME: the target is writable" eval '[ "$(writable)" = "$S" ]'
    check "$NAME: the others were frozen" eval 'commands replSetFreeze | grep -v "\"replSetFreeze\" : 0"'
    check "$NAME: nobody stays frozen" wait_until 20 nobody_frozen
    finish
}

switch_fails() { # the disk hangs in the middle: who waits for the end is told that it failed, and why
    local out code
    begin "switchover that fails"
    sim stuck "$(port_of "$P")" on
    out=$(db switchover "$MEMBERS_CLUSTER" --to "$S" --wait --timeout 90s 2>&1)
    code=$?
    check_output "$NAME: kv db switchover --wait exits with 1" 1 echo "$code"
    check "$NAME: and says that the order has failed" grep -q "^kv: $MEMBERS_CLUSTER: order .*switchover at $P about $S, has failed: ." <<<"$out"
    note "$(tail -n 1 <<<"$out")"
    check "$NAME: $P is primary still" eval '[ "$(writable)" = "$P" ]'
    finish
    check "$NAME: nobody stays frozen" wait_until 20 nobody_frozen
}

primary_killed() {
    local before
    begin "primary killed"
    before=$(term)
    kill -KILL "$(mongod_pid "$P")"
    check "$NAME: a newer term is won" wait_until 30 eval '[ "$(term)" -gt '"$before"' ]'
    check "$NAME: writes go on" load_goes_on 30
    check "$NAME: its agent starts it again" wait_until 20 mongod_runs "$P"
    finish
    check "$NAME: nothing was ordered" no_commands
}

hung_hello() {
    local pid
    begin "hello hangs"
    pid=$(mongod_pid "$P")
    sim hung "$(port_of "$P")" on
    check "$NAME: its agent says so" wait_until 20 state_is "$P" "does not answer"
    check "$NAME: /primary is not answered with 200" eval '! member_is "$P" /primary'
    check "$NAME: it is not killed" eval '[ "$(mongod_pid "$P")" = "'"$pid"'" ] && mongod_runs "$P"'
    check "$NAME: nothing was done to the set" no_commands
    finish
}

control_lost() { # every quorum node is gone: MongoDB's own majority is what counts
    local node
    begin "control plane lost"
    for node in "${QUORUM[@]}"; do quorum_kill "$node"; done
    check "$NAME: /primary says so" wait_until 15 eval 'curl -si -m 2 "http://127.0.0.1:${HTTP_PORT[$P]}/primary" | grep -i "^X-Quorate-Control: lost"'
    check "$NAME: writes go on" load_goes_on 10
    wait_until 8 eval '[ $(($(now_us) - AT)) -gt 7000000 ]' # longer than any lease
    check "$NAME: /primary is answered" member_is "$P" /primary
    check "$NAME: nothing was done to the set" no_commands
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    wait_until 20 quorum_has_leader
    finish
}

# The primary hears nobody, and neither does its agent hear the quorum. MongoDB's own step-down would come before the agent's three
# samples in time that runs five times as fast: a longer election timeout leaves the agent its turn.
election_timeout() { # DURATION MS
    db config set "$MEMBERS_CLUSTER" "mongodb.election_timeout=$1" >/dev/null
    wait_until 20 eval '[ "$(sim status | jq -r "select(.up) | .election_timeout_ms" | sort -u)" = '"$2"' ] && no_order'
}
agent_said() { tail -n +$((SAID + 1)) "$DIR/log/$P" | grep -qF -- "$1"; }
cut_off() { # MODE
    local node pid
    db config set "$MEMBERS_CLUSTER" "mongodb.cut_off=$1" >/dev/null
    check "primary cut off, $1: a long election timeout" election_timeout 90s 90000
    begin "primary cut off, $1" 1
    pid=$(mongod_pid "$P") SAID=$(wc -l <"$DIR/log/$P")
    for node in "${QUORUM[@]}"; do quorum_kill "$node"; done
    [ "$1" != kill ] || sim stuck "$(port_of "$P")" on # the lock that a step-down needs
    sim isolate "$(port_of "$P")" on
    check "$NAME: its agent finds it cut off" wait_until 17 agent_said "cut off from the majority of its set"
    case $1 in
    report)
        check "$NAME: it says that it does nothing" agent_said "nothing is done (cut_off: report)"
        check "$NAME: another one is elected" wait_until 40 moved
        check "$NAME: nothing was done" no_commands
        ;;
    stepdown)
        check "$NAME: its agent steps it down by force" wait_until 6 eval 'commands replSetStepDown | grep "\"force\" : true"'
        check "$NAME: it takes no writes any more" wait_until 5 eval '! member_is "$P" /primary'
        check "$NAME: nobody else leads yet: it was not MongoDB" eval '[ -z "$(writable)" ]'
        check "$NAME: another one is elected" wait_until 40 moved
        ;;
    kill)
        check "$NAME: a step-down was tried" wait_until 6 eval 'commands replSetStepDown | grep "\"force\" : true"'
        check "$NAME: it does not step down, its agent ends it" wait_until 15 eval '! kill -0 '"$pid"
        check "$NAME: and says so" agent_said "does not step down: ends it, as opted in"
        check "$NAME: another one is elected" wait_until 40 moved
        ;;
    esac
    [ "$1" = kill ] || check "$NAME: it is not killed" eval '[ "$(mongod_pid "$P")" = "'"$pid"'" ] && mongod_runs "$P"'
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    wait_until 20 quorum_has_leader
    finish lossy
    db config set "$MEMBERS_CLUSTER" mongodb.cut_off=null >/dev/null
    check "$NAME: the election timeout as it was" election_timeout 10s 10000
    db config set "$MEMBERS_CLUSTER" mongodb.election_timeout=null >/dev/null
}
cut_off_report() { cut_off report; }
cut_off_stepdown() { cut_off stepdown; }
cut_off_kill() { cut_off kill; }

gray_report() { # the default: nothing is done, and it is said
    local pid
    begin "hung disk, no opt-in"
    pid=$(mongod_pid "$P")
    sim stuck "$(port_of "$P")" on
    check "$NAME: its agent says so" wait_until 30 state_is "$P" "primary that does not write"
    wait_until 6 eval false # a ladder would have had its time
    check "$NAME: nothing was done to the set" no_commands
    check "$NAME: it is not killed" eval '[ "$(mongod_pid "$P")" = "'"$pid"'" ] && mongod_runs "$P"'
    finish
}
gray_kill() {
    local pid
    db config set "$MEMBERS_CLUSTER" mongodb.gray=kill >/dev/null
    begin "hung disk, kill allowed"
    pid=$(mongod_pid "$P")
    sim stuck "$(port_of "$P")" on
    check "$NAME: another one is elected" wait_until 60 moved
    check "$NAME: stepDown was tried before" eval 'commands replSetStepDown >/dev/null'
    check "$NAME: then it was killed" eval '! kill -0 '"$pid"' 2>/dev/null'
    check "$NAME: writes go on" load_goes_on 20
    sim heal
    db config set "$MEMBERS_CLUSTER" mongodb.gray=null >/dev/null
    if ! wait_until 10 mongod_runs "$P"; then
        note "it is held down until an operator says otherwise"
        check "$NAME: kv db restart brings it back" db restart "$MEMBERS_CLUSTER" "$P" --wait --timeout 40s
    fi
    finish
}

full_disk() { # writes fail at once; it can step down still
    local pid
    begin "full disk, no opt-in"
    pid=$(mongod_pid "$P")
    sim full "$(port_of "$P")" on
    check "$NAME: its agent says so" wait_until 30 state_is "$P" "primary that does not write"
    check "$NAME: and what it is" wait_until 6 eval 'status_of "$P" | grep -q "OutOfDiskSpace (14031): its disk is full"'
    wait_until 6 eval false # a ladder would have had its time
    check "$NAME: nothing was done to the set" no_commands
    sim heal
    check "$NAME: it is primary again" wait_until 20 state_is "$P" primary
    db config set "$MEMBERS_CLUSTER" mongodb.gray=stepdown >/dev/null
    NAME="full disk, stepdown allowed"
    sim full "$(port_of "$P")" on
    check "$NAME: another one is elected" wait_until 60 moved
    check "$NAME: it is not killed" eval '[ "$(mongod_pid "$P")" = "'"$pid"'" ] && mongod_runs "$P"'
    sim heal
    db config set "$MEMBERS_CLUSTER" mongodb.gray=null >/dev/null
    finish
}

spoilt_answers() { # half a document, no BSON, lengths without measure, wrong types, no answer: at a primary and at a secondary
    local fault name agent
    begin "spoilt answers"
    for name in "$P" "$S"; do
        agent=$(pid_of "$name")
        for fault in half garbage huge wrong mute; do
            sim "$fault" "$(port_of "$name")" 3
            wait_until 6 eval '[ "$(sim status | wc -l)" -ge 3 ] && member_is '"$name"' /health'
        done
        check "$NAME: the agent of $name lives" eval '[ "$(pid_of '"$name"')" = '"$agent"' ] && is_running '"$name"
        check "$NAME: $name is healthy again" wait_until 20 member_is "$name" /health
    done
    check "$NAME: nothing was done to the set" no_commands
    finish
}

liar() { # a secondary claims an older term: the record keeps to the newer one
    begin "two that claim to be primary"
    sim lie "$(port_of "$S")" 1
    wait_until 5 member_is "$S" /primary
    wait_until 4 eval false
    check "$NAME: the record keeps the higher term's" eval '[ "$(mongo_record primary)" = "$P" ]'
    check "$NAME: nothing was done to the set" no_commands
    finish
}

back_in_time() {
    begin "back in time"
    sim back "$(port_of "$S")" 3600
    sim back "$(port_of "$P")" 3600
    wait_until 6 eval false
    check "$NAME: nothing was done to the set" no_commands
    check "$NAME: the record's term does not fall" eval '[ "$(mongo_record term)" -ge 1 ]'
    finish
}

login_refused() {
    begin "logins refused"
    sim login "$(port_of "$P")" on
    check "$NAME: its agent says so" wait_until 20 eval 'status_of "$P" | grep -qi login || says login'
    check "$NAME: hello is enough for /primary" wait_until 10 member_is "$P" /primary
    check "$NAME: nothing was done to the set" no_commands
    finish
}

agent_restarted() { # in the middle of a switchover
    begin "agent killed in an order"
    db switchover "$MEMBERS_CLUSTER" --to "$S" >/dev/null 2>&1
    wait_until 5 order_is open
    agent_kill "$S"
    agent_kill "$P"
    wait_until 5 eval '! is_running "$P"'
    agent_start "$S"
    agent_start "$P"
    check "$NAME: no order stays open" wait_until 90 no_order
    check "$NAME: nobody stays frozen" wait_until 20 nobody_frozen
    finish
    note "$(why | grep -E 'order|switchover' | tail -n 1)"
}

drained() {
    begin "drained"
    check "$NAME: kv db drain" db drain "$MEMBERS_CLUSTER" "$P"
    check "$NAME: another one is writable" wait_until 40 moved
    check "$NAME: kv db undrain" db undrain "$MEMBERS_CLUSTER" "$P"
    finish
}

restarted() { # each member once, the primary last
    local name before=""
    begin "rolling restart"
    for name in "${DATA[@]}"; do before+="$(mongod_pid "$name") "; done
    check "$NAME: kv db restart" db restart "$MEMBERS_CLUSTER" --wait --timeout 120s
    for name in "${DATA[@]}"; do check "$NAME: $name runs in a new process" wait_until 30 eval 'mongod_runs '"$name"' && [[ " '"$before"'" != *" $(mongod_pid '"$name"') "* ]]'; done
    finish
}

force() { # two of three are gone for good: a person forces, once
    local a b forced name
    begin "forced reconfiguration"
    load_off
    forced=$(truth forced)
    a=$S b=""
    for name in "${DATA[@]}"; do [ "$name" != "$a" ] && [ "$name" != "$P" ] && b=$name; done
    for name in "$P" "$b"; do
        agent_kill "$name"
        pkill -KILL -f -- "quorate-guard .*--socket $DIR/$name/run/"
        kill -KILL "$(mongod_pid "$name")" 2>/dev/null
    done
    check "$NAME: nobody is writable" wait_until 30 eval '[ -z "$(writable)" ]'
    wait_until 40 plan_force "$P,$b" || bad "$NAME: no token is given" "$PLAN"
    sed 's/^/      /' <<<"$PLAN"
    check "$NAME: a wrong token is refused" eval '! db force-reconfigure "$MEMBERS_CLUSTER" 123456789 --force'
    check_output "$NAME: nothing was forced yet" "$forced" truth forced
    check "$NAME: the token is taken" db force-reconfigure "$MEMBERS_CLUSTER" "$TOKEN" --force
    check "$NAME: the survivor is writable" wait_until 40 eval '[ "$(writable)" = '"$a"' ]'
    check_output "$NAME: one forced configuration" $((forced + 1)) truth forced
    check "$NAME: the token is not taken twice" eval '! db force-reconfigure "$MEMBERS_CLUSTER" "$TOKEN" --force'
    agent_start "$P" && agent_start "$b"
    wait_until 8 eval 'mongod_runs "$P" || mongod_runs "$b"'
    check "$NAME: those that were left out stay down" eval '! mongod_runs "$P" && ! mongod_runs "$b"'
    check_output "$NAME: still one" $((forced + 1)) truth forced
}
