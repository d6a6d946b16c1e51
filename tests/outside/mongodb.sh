#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What only a real MongoDB server can show: run it where mongod 6, 7 or 8 is installed (Debian 12 has no package of it). It makes replica sets on
# loopback with three quorum nodes, our agents and guards in a new directory below /tmp, touches nothing else, and says passed or failed for each
# point. A few minutes; 4 GB of memory. Build first: `make binaries` (and `make deps`, once).
#
# usage: tests/outside/mongodb.sh [--mongod PATH] [--points "name ..."] [--keep]
#   --mongod PATH     the server's program; else mongod of PATH. `mongosim`, `mongosim:60`, `:70`, `:80`: the test server stands in, as that
#                     release (checks this script, not MongoDB)
#   --points          some of: found memory switchover killed hung stopped_agent restart control_lost frozen logins force two_and_one three_and_one
#   --keep            leave directory and logs where they are
#
# shellcheck disable=SC2317,SC2120,SC2034,SC2016,SC2015 # points are called by their names, variables read by what is sourced, eval is meant
set -u
cd "$(dirname "$0")/../.." || exit 2
export BIN=${BIN:-build/release/bin}
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/mongodb/setup.sh

MONGOD="" KEEP="" POINTS="found memory switchover killed hung stopped_agent restart control_lost frozen logins force two_and_one three_and_one"
while [ $# -gt 0 ]; do
    case $1 in
    --mongod) MONGOD=${2:-} && shift ;;
    --points) POINTS=${2:-} && shift ;;
    --keep) KEEP=1 ;;
    *) sed -n '3,11s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift
done
RELEASE=70
case $MONGOD in mongosim:*) RELEASE=${MONGOD#*:} MONGOD=mongosim ;; esac
[ -n "$MONGOD" ] || MONGOD=$(command -v mongod) || die "no mongod in PATH; name it with --mongod"
[ "$MONGOD" = mongosim ] || [ -x "$MONGOD" ] || die "$MONGOD is not a program"
for program in quorated quorate-agent-mongodb quorate-guard kv mongoload; do
    [ -x "$BIN/$program" ] || die "$BIN/$program is not built; run 'make binaries'"
done
for tool in curl jq ss setpriv; do command -v $tool >/dev/null || die "$tool is not installed; run 'make deps'"; done
# Two hosts' worth of memory is not there: small caches.
export MONGO_LINES='  cache: 268435456'

leave() {
    load_off
    [ -z "${DIR:-}" ] || cluster_stop
    [ -z "$KEEP" ] || { echo "kept: $DIR" && return; }
    keep_logs outside-mongodb
    [ -z "${DIR:-}" ] || rm -rf "$DIR"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- a set ---
fresh() { # DATA [ARBITERS]
    load_off
    [ -z "${DIR:-}" ] || { cluster_stop && rm -rf "$DIR"; }
    cluster_init "$(mktemp -d)"
    cp -f "$BIN/quorate-agent-mongodb" "$BIN/mongoload" "$DIR/bin/"
    quorum_setup 3
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    if [ "$MONGOD" = mongosim ]; then
        cp -f "$BIN/mongosim" "$DIR/bin/"
        hub_start --speed 1 --set rs0 --release "$RELEASE"
        mongod_stands_in
    else
        ln -s "$(readlink -f "$MONGOD")" "$DIR/bin/mongod"
    fi
    wait_until 20 quorum_has_leader || die "the quorum has no leader; see $DIR/log"
    set_setup mg "$@"
    set_start
}
# By the agents' own words: as many voters as members, one that takes writes, the others follow, no order open.
outside_full() {
    local name p votes
    p=$(writable) && [ -n "$p" ] && no_order || return 1
    votes=$(status_of "$p" | jq -r '[([.members[] | select(.votes == 1 and .healthy)] | length), ([.members[] | select(.priority_tenths > 0)] | length)] | join(" ")')
    [ "$votes" = "${#MEMBERS[@]} ${#DATA[@]}" ] || return 1
    for name in "${DATA[@]}"; do [ "$name" = "$p" ] || member_is "$name" /secondary || return 1; done
}
full() { wait_until "${1:-120}" outside_full; }
shown() { db show mg --timeout 2s 2>&1; why | tail -n 6; for name in "${MEMBERS[@]}"; do tail -n 3 "$DIR/log/$name"; done; }
begin() { # NAME [w]
    NAME=$1
    full || bad "$NAME: the set is not full before" "$(shown)"
    load_on "${2:-majority}" || bad "$NAME: no writes get through" "$(shown)"
    P=$(writable) S=$(first_secondary) AT=$(now_us)
}
finish() {
    load_goes_on 60 || bad "$NAME: no writes get through afterwards" "$(shown)"
    full || bad "$NAME: the set is not full afterwards" "$(shown)"
    load_off
    check_output "$NAME: nothing acknowledged is missing" "acknowledged $(wc -l <"$ACKED") missing 0" audit
    note "longest write gap $(gap_ms "$AT") ms"
}
moved() { is_writable_other "$P"; }
kill_host() {
    agent_kill "$1"
    pkill -KILL -f -- "quorate-guard .*--socket $DIR/$1/run/"
    kill -KILL "$(mongod_pid "$1")" 2>/dev/null
}
same_process() { [ "$(mongod_pid "$1")" = "$2" ] && kill -0 "$2" 2>/dev/null; }

# --- points ---
found() {
    NAME="found"
    check "$NAME: a set of three is initiated and its members are added one at a time" full 180
    note "server $(status_of "$(writable)" | jq -r .server_version), $(why | grep -c 'is done') orders"
}
memory() {
    local name
    NAME="memory"
    full || true
    for name in "${MEMBERS[@]}"; do
        check "$NAME: the agent of $name has at most 12 MB of its own ($(private_kb "$(pid_of "$name")") kB)" eval '[ "$(private_kb "$(pid_of '"$name"')")" -le 12288 ]'
    done
}
switchover() {
    begin "switchover"
    check "$NAME: kv db switchover" db switchover mg --to "$S" --wait --timeout 60s
    check "$NAME: the target is writable" eval '[ "$(writable)" = "$S" ]'
    finish
}
killed() {
    begin "primary killed"
    kill -KILL "$(mongod_pid "$P")"
    check "$NAME: writes go on" load_goes_on 60
    check "$NAME: its agent starts it again" wait_until 60 mongod_runs "$P"
    finish
}
hung() { # SIGSTOP: the agent says so, and does not kill
    local pid
    begin "mongod stopped"
    pid=$(mongod_pid "$P")
    kill -STOP "$pid"
    check "$NAME: another one is elected" wait_until 60 moved
    check "$NAME: its agent says that it does not answer" wait_until 20 state_is "$P" "does not answer"
    kill -CONT "$pid"
    check "$NAME: it was not killed" same_process "$P" "$pid"
    finish
}
stopped_agent() {
    local pid
    begin "agent killed"
    pid=$(mongod_pid "$P")
    agent_kill "$P"
    check "$NAME: writes go on" load_goes_on 20
    wait_until 5 eval '! is_running "$P"'
    agent_start "$P"
    check "$NAME: mongod ran on in the same process" same_process "$P" "$pid"
    finish
}
restart() {
    local name before=""
    begin "rolling restart"
    for name in "${DATA[@]}"; do before+="$(mongod_pid "$name") "; done
    check "$NAME: kv db restart" db restart mg --wait --timeout 300s
    for name in "${DATA[@]}"; do check "$NAME: $name runs in a new process" eval '[[ " '"$before"'" != *" $(mongod_pid '"$name"') "* ]]'; done
    finish
}
control_lost() {
    local node
    begin "control plane lost"
    for node in "${QUORUM[@]}"; do quorum_kill "$node"; done
    wait_until 15 eval '[ $(($(now_us) - AT)) -gt 12000000 ]'
    check "$NAME: the primary is the same one, and answers" member_is "$P" /primary
    check "$NAME: writes go on" load_goes_on 20
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    finish
}
frozen() { # what real servers do with the file system that our test server only models
    begin "server and agent stand still"
    kill -STOP "$(pid_of "$P")" "$(mongod_pid "$P")"
    check "$NAME: another one is elected" wait_until 60 moved
    kill -CONT "$(mongod_pid "$P")" "$(pid_of "$P")"
    finish
}
real_primary() { # port of the member that takes writes, by hello, which needs no login
    local name
    for name in "${DATA[@]}"; do
        [ "$(mongosh --quiet --port "$(port_of "$name")" --eval 'db.hello().isWritablePrimary' 2>/dev/null | tail -n 1)" = true ] && port_of "$name" && return
    done
    return 1
}
logins() { # roles as printed, SCRAM, keyfile
    NAME="logins"
    if [ "$MONGOD" != mongosim ] && ! command -v mongosh >/dev/null; then skip "$NAME" "mongosh is not installed"; return; fi
    export LOGIN=scram
    fresh 3
    if [ "$MONGOD" = mongosim ]; then
        sim user ha_read r3ad-only monitor,oplog,canary
        sim user ha_act act:2-more monitor,configure,state,shutdown,concern
    else
        check "$NAME: one member is initiated by the localhost exception" wait_until 120 real_primary
        check "$NAME: a first user, by the localhost exception" mongosh --quiet --port "$(real_primary)" admin \
            --eval 'db.createUser({user: "first", pwd: "first-one", roles: ["root"]})'
        "$DIR/bin/quorate-agent-mongodb" --config "$DIR/m1.yml" --print-roles |
            sed -e '/"ha_read"/s/passwordPrompt()/"r3ad-only"/' -e '/"ha_act"/s/passwordPrompt()/"act:2-more"/' >"$DIR/roles.js"
        check "$NAME: the printed roles are accepted by mongosh" eval 'mongosh --quiet --port "$(real_primary)" -u first -p first-one --authenticationDatabase admin <"$DIR/roles.js"'
    fi
    check "$NAME: the set is found with least privileges" full 180
    check "$NAME: switchover" db switchover mg --wait --timeout 60s
    check "$NAME: no password in logs" eval '! grep -rqE "r3ad-only|act:2-more" "$DIR/log"'
    unset LOGIN
    fresh 3
}
force() {
    local name gone=""
    NAME="forced reconfiguration"
    full || true
    P=$(writable) S=$(first_secondary)
    for name in "${DATA[@]}"; do [ "$name" = "$S" ] || { gone+=${gone:+,}$name && kill_host "$name"; }; done
    check "$NAME: nobody is writable" wait_until 60 eval '[ -z "$(writable)" ]'
    wait_until 60 plan_force "$gone"
    check "$NAME: a token is given with the evidence" test -n "$TOKEN"
    check "$NAME: it is carried out" db force-reconfigure mg "$TOKEN" --force
    check "$NAME: the survivor takes writes" wait_until 60 eval '[ "$(writable)" = "$S" ]'
    check "$NAME: the token is not taken twice" eval '! db force-reconfigure mg "$TOKEN" --force'
    agent_start "$P"
    wait_until 10 mongod_runs "$P"
    check "$NAME: who was left out stays down" eval '! mongod_runs "$P"'
}
two_and_one() {
    local pid
    NAME="two and an arbiter"
    fresh 2 1
    check "$NAME: found" full 240
    pid=$(mongod_pid a1)
    [ "$MONGOD" = mongosim ] || note "the arbiter's mongod has $(awk '/VmRSS/ { print $2 }' "/proc/$pid/status") kB resident"
    check "$NAME: the agent knows the arbiter" state_is a1 arbiter
    db config set mg mongodb.degrade=auto >/dev/null
    S=$(first_secondary)
    kill_host "$S"
    check "$NAME: the dead member's vote is taken away" wait_until 240 eval '[ "$(order_kind)" = unvote ] && no_order'
    load_on majority
    check "$NAME: w:majority goes on" load_goes_on 30
    load_off
    agent_start "$S"
    check "$NAME: vote and priority are given back" full 300
}
three_and_one() {
    NAME="three and an arbiter"
    fresh 3 1
    check "$NAME: refused, with the reason" wait_until 60 says arbiter
    check "$NAME: nothing is initiated" eval '[ -z "$(writable)" ]'
}

[ "$MONGOD" = mongosim ] && echo "mongosim stands in for mongod: this checks the script" || "$MONGOD" --version | head -n 1
fresh 3
for point in $POINTS; do "$point"; done
report_end outside-mongodb
