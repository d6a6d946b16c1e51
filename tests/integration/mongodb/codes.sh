# SPDX-License-Identifier: Apache-2.0
# Every error code of agents/mongodb/codes.h as the answer of a mongod: its agent lives on, says the sentence of the table, and does nothing to the
# set. Sourced by run.sh.

sheet() { sed -n 's/^ *X(\([0-9]*\), \([A-Za-z]*\), .*/\1 \2/p' agents/mongodb/codes.h; }
# What the table says, of one code: its first words, as they are quoted in one or two lines.
sentence() { grep -A1 "^ *X($1, " agents/mongodb/codes.h | tr -d '\\\n' | sed 's/^[^"]*"\([^"]\{1,24\}\).*/\1/'; }
says_code() { # NAME CODE WORD
    case $2 in
    13 | 18) status_of "$1" | grep -qi "login\|right" ;;
    94) true ;; # told by its state
    *) status_of "$1" | grep -qF -- "$(sentence "$2")" && status_of "$1" | grep -qF -- "$3 ($2)" ;;
    esac
}

refused_answers() { # at the canary's writes of the primary, and at the status of a secondary
    local code word agents agents_now
    begin "refused answers"
    agents=$(for name in "${MEMBERS[@]}"; do pid_of "$name"; done)
    while read -r code word; do
        sim code "$(port_of "$P")" update "$code" 2
        sim code "$(port_of "$S")" replSetGetStatus "$code" 2
        check "$NAME: $code $word at a status" wait_until 12 says_code "$S" "$code" "$word"
        [ "$code" = 94 ] || check "$NAME: $code $word at a write" wait_until 6 says_code "$P" "$code" "$word"
    done < <(sheet)
    agents_now=$(for name in "${MEMBERS[@]}"; do pid_of "$name"; done)
    check "$NAME: the agents live" eval '[ "$agents" = "$agents_now" ] && is_running "$P" && is_running "$S"'
    check "$NAME: nothing was done to the set" no_commands
    finish
}

refused_orders() { # codes of the command sheet, each at its command
    local code rest
    while read -r code rest; do
        begin "an order refused with $code"
        sim code "$(port_of "$P")" replSetStepDown "$code" 1
        wait_until 20 taken
        check "$NAME: the switchover fails, and says why" grep -q "has failed: .*code $code" <<<"$OUT"
        check "$NAME: $P is primary still" eval '[ "$(writable)" = "$P" ]'
        check "$NAME: its agent's log has the sentence" grep -qF -- "$(sentence "$code")" "$DIR/log/$P"
        check "$NAME: nobody stays frozen" wait_until 20 nobody_frozen
        finish
    done <<<"262
50
96
10107
13"
    begin "a switchover after those that were refused"
    wait_until 20 taken
    check_output "$NAME: goes through" 0 echo "$RC"
    finish
    n=11
    while read -r code rest; do
        begin "a change refused with $code"
        sim code "$(port_of "$P")" replSetReconfig "$code" 1
        db config set mg "mongodb.election_timeout=${n}s" >/dev/null
        check "$NAME: it is in force at last" wait_until 60 election_timeout_is $((n * 1000))
        finish
        n=$((n + 1))
    done <<<"103
109
308
117
104
93
100
10107"
    check_output "refused orders: never forced" 0 truth forced
    db config set mg mongodb.election_timeout=null >/dev/null
}
# A switchover that begins; refused at once while the primary is not seen yet as the one of a majority.
taken() {
    OUT=$(db switchover mg --to "$S" --wait --timeout 60s 2>&1)
    RC=$?
    ! grep -q "is not seen as the one writable" <<<"$OUT"
}
election_timeout_is() { [ "$(sim status | jq -r 'select(.up) | .election_timeout_ms' | sort -u)" = "$1" ] && no_order; }
