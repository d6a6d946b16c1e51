# SPDX-License-Identifier: Apache-2.0
# Who trusts whom: passwords, certificates, TLS; what is refused is said, and is no reason to do anything. Sourced by run.sh, after layouts.sh.

said_of() { status_of "$1" | jq -r '[.note, .reason, .state] | join(" ")' | grep -qi -- "$2"; }

with_logins() { # access control, SCRAM; a wrong password
    NAME="logins"
    export LOGIN=scram
    empty_place
    sim user ha_read r3ad-only monitor,oplog,canary
    sim user ha_act act:2-more monitor,configure,state,shutdown,concern
    set_setup mg 3
    set_start
    check "$NAME: found with least privileges" settled 60
    check "$NAME: switchover" db switchover mg --wait --timeout 40s
    check "$NAME: no password in logs or process lists" eval '! grep -rqE "r3ad-only|act:2-more" "$DIR/log" && ! pgrep -f -- "r3ad-only"'
    MARK=$(wc -l <"$DIR/log/commands")
    (umask 077 && printf 'ha_read:wrong-one\nha_act:wrong-one\n' >"$DIR/passwords") && own
    P=$(writable)
    agent_kill "$P"
    wait_until 5 eval '! is_running "$P"'
    agent_start "$P"
    check "$NAME: a wrong password is said" wait_until 30 eval 'status_of "$P" | grep -qi login || says login || grep -qi "login\|Authentication" "$DIR/log/$P"'
    check "$NAME: and is no reason to do anything" eval '! tail -n +$((MARK + 1)) "$DIR/log/commands" | grep -E "replSet(StepDown|Reconfig|Initiate)"'
    unset LOGIN
}

subject_of() { openssl x509 -in "$1" -noout -subject -nameopt RFC2253 | sed 's/^subject= *//'; }
with_certificates() { # TLS among all; the agents' certificates are their logins
    local name
    NAME="certificates"
    export LOGIN=x509
    empty_place
    set_setup mg 3
    for name in "${MEMBERS[@]}"; do
        sim user "$(subject_of "$DIR/tls/agent-mg-$name.crt")" none monitor,oplog,canary,configure,state,shutdown,concern
    done
    set_start
    check "$NAME: found over TLS, by certificates" settled 60
    check "$NAME: switchover" db switchover mg --wait --timeout 40s
    P=$(writable) S=$(first_secondary) MARK=$(commands_count)
    check "$NAME: without TLS nobody is answered" eval '! "$DIR/bin/mongoload" --uri "mongodb://127.0.0.1:$(port_of "$P")/?directConnection=true&serverSelectionTimeoutMS=1500" --audit /dev/null'
    "$DIR/bin/kv" cert ca --dir "$DIR/foreign" --name "Quorate authority" >/dev/null
    tls_refused "of another authority" "$DIR/foreign"
    tls_refused "for another host" "$DIR/tls" db9.example.com
    unset LOGIN
}
tls_refused() { # WHAT DIR [HOSTS]: mongod of S shows a certificate that its agent must not take
    member_issue "$S" "$2" "${3:-}"
    [ "$2" = "$DIR/tls" ] || cp "$2/member-mg-$S".{crt,key} "$DIR/tls/"
    own
    agent_stop "$S"
    MARK=$(commands_count)
    agent_start "$S"
    check "$NAME: a certificate $1: said, with what to look at" wait_until 30 said_of "$S" "TLS with mongod fails: is its certificate of tls.ca, and for the name"
    check "$NAME: a certificate $1: nothing is said to that mongod" eval '! tail -n +$((MARK + 1)) "$DIR/log/commands" | grep -q " 127.0.0.1:$(port_of "$S") "'
    check "$NAME: a certificate $1: nothing is done to the set" no_commands
    check "$NAME: a certificate $1: its /secondary is not 200" eval '! member_is "$S" /secondary'
    member_issue "$S"
    own
    agent_kill "$S"
    kill -KILL "$(mongod_pid "$S")"
    wait_until 5 eval '! is_running "$S"'
    agent_start "$S"
    check "$NAME: with the right one it is there again" settled 60
}
