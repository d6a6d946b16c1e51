# SPDX-License-Identifier: Apache-2.0
# Bad input to an agent: each a clear line, and nothing that runs is touched. Sourced by run.sh.
. tests/support/jq.sh

AGENT() { as_user "$DIR/bin/quorate-agent-postgresql" "$@"; }

# A further agent's configuration, made of pg1's: own directories and ports; NAME as its member unless MEMBER is given.
variant() { # NAME [MEMBER]
    local name=$1 member=${2:-$1}
    [ -n "${SQL_PORT[$name]:-}" ] || free_port "SQL_PORT[$name]" 5450
    [ -n "${HTTP_PORT[$name]:-}" ] || free_port "HTTP_PORT[$name]" 8030
    mkdir -p "$DIR/$name"
    sed -e "s/\bagent-pg-main-pg1\b/agent-pg-main-$member/" -e "s/^member: pg1/member: $member/" -e "s/\bpg1\b/$name/g" \
        -e "s/\b${SQL_PORT[pg1]}\b/${SQL_PORT[$name]}/" -e "s/\b${HTTP_PORT[pg1]}\b/${HTTP_PORT[$name]}/" \
        "$DIR/pg1.yml" >"$DIR/$name.yml"
    sed -i "s/agent-pg-main-$name\b/agent-pg-main-$member/; s/^member: .*/member: $member/" "$DIR/$name.yml"
    sed -i "s/member-pg-main-$name\./member-pg-main-pg1./" "$DIR/$name.yml" # any member's will do for the server
    own_paths "$DIR/$name" "$DIR/$name.yml"
}
own_paths() { [ "$(id -u)" -ne 0 ] || chown -R "$RUN_AS" "$@"; }
issue() { # CLUSTER NAME DIRECTORY [options]
    local cluster=$1 name=$2 at=$3
    shift 3
    "$DIR/bin/kv" cert issue --role agent --cluster "$cluster" --name "$name" --dir "$at" "$@" >/dev/null &&
        own_paths "$at"
}
end_agent() { # NAME
    kill -TERM "$(pid_of "$1")" 2>/dev/null
    wait_until 10 eval "! is_running $1" || kill -KILL "$(pid_of "$1")" 2>/dev/null
}
said() { grep -qi -- "$2" "$DIR/log/$1"; } # NAME TEXT
said_line() { note "$(grep -i -- "$2" "$DIR/log/$1" | head -n 1 | sed 's/.*node=[^ ]* //' | cut -c1-230)"; }
# What must be the same before and after: who holds it, in which epoch, with which processes.
picture() {
    local name
    record | jq -c '[.epoch, .holder, .voters]'
    for name in "${MEMBERS[@]}"; do echo "$name $(pid_of "$name") $(postmaster_of "$name")"; done
}
# True when it stays as it was for a while, all members up.
is_untouched() { # PICTURE
    [ "$(picture)" = "$1" ] && is_settled && [ "$(cluster_json | jq '[.members[] | select(.up)] | length')" = 3 ]
}

# Refused before anything is started.
bad_start() {
    wait_until 60 is_settled
    local before
    before=$(picture)
    variant bad
    issue pg-main bad "$DIR/tls"
    sed 's/^  port:/  prot:/' "$DIR/bad.yml" >"$DIR/wrong.yml"
    own_paths "$DIR/wrong.yml"
    check_fails "agent: unknown key" "prot" AGENT --config "$DIR/wrong.yml"
    check_fails "agent: value out of range" "port" AGENT --config "$DIR/bad.yml" --postgresql.port=99999
    check_fails "agent: HTTP port in use" "in use" AGENT --config "$DIR/bad.yml" --http.listen="127.0.0.1:${HTTP_PORT[pg2]}"
    check_fails "agent: database port in use" "in use" AGENT --config "$DIR/bad.yml" --postgresql.port="${SQL_PORT[pg2]}"
    check_fails "agent: no file" "none.yml" AGENT --config "$DIR/none.yml"
    check_fails "agent: a second one on the same directories" "another agent" AGENT --config "$DIR/pg2.yml" --http.listen="127.0.0.1:${HTTP_PORT[bad]}"
    check "agent: nothing was touched" is_untouched "$before"
}

bad_identity() {
    wait_until 60 is_settled
    local before
    before=$(picture)
    variant late
    issue pg-main late "$DIR/tls" --days -1
    check_fails "agent: expired certificate" "expired" AGENT --config "$DIR/late.yml"
    variant other
    issue pg-other other "$DIR/tls"
    check_fails "agent: certificate of another cluster" "pg-other" AGENT --config "$DIR/other.yml" \
        --tls.cert="$DIR/tls/agent-pg-other-other.crt" --tls.key="$DIR/tls/agent-pg-other-other.key"
    check_fails "agent: certificate of another member" "pg2" AGENT --config "$DIR/other.yml" \
        --tls.cert="$DIR/tls/agent-pg-main-pg2.crt" --tls.key="$DIR/tls/agent-pg-main-pg2.key"

    # From a foreign authority the certificate looks good to its agent; the quorum says no.
    "$DIR/bin/kv" cert ca --dir "$DIR/foreign" >/dev/null
    issue pg-main other "$DIR/foreign"
    sed -i "s|$DIR/tls/agent|$DIR/foreign/agent|" "$DIR/other.yml"
    member_start other
    check "agent: foreign certificate is refused by the quorum" wait_until 10 said other "refuse\|foreign\|unknown ca\|authority"
    said_line other "refuse\|foreign\|unknown ca\|authority"
    check "agent: it goes on running, and says so" eval "is_running other"
    end_agent other
    check "agent: nothing was touched by bad identities" is_untouched "$before"
}

# A second agent, on another host as it were, with the name of one that lives.
double() { # NAME OF-WHOM MEMBER
    local before what
    what="a second member with the name of $2"
    before=$(picture)
    variant "$1" "$3"
    member_start "$1"
    check "$what is refused, with the reason" wait_until 15 said "$1" "refused by the arbiter: .*name"
    said_line "$1" "refused by the arbiter: .*name"
    sleep 3 # longer than a lease: nothing may come of it
    check "$what: its data directory stays empty" eval '[ ! -e "$DIR/'"$1"'/data/global" ]'
    check "$what: the first one is not touched" is_untouched "$before"
    end_agent "$1"
    check "$what: nor after its end" is_untouched "$before"
}
duplicate_member() {
    wait_until 60 is_settled
    local holder
    holder=$(primary)
    double twin "a standby" "$(for name in "${MEMBERS[@]}"; do [ "$name" != "$holder" ] && echo "$name"; done | head -n 1)"
    double rival "the primary" "$holder"
}

foreign_directory() {
    wait_until 60 is_settled
    local before identifier
    before=$(picture)
    variant pg9
    issue pg-main pg9 "$DIR/tls"
    as_user "$POSTGRES_BIN/initdb" -D "$DIR/pg9/data" -U postgres --auth=trust >/dev/null 2>&1 || bad "initdb failed"
    identifier=$("$POSTGRES_BIN/pg_controldata" "$DIR/pg9/data" | awk '/system identifier/ { print $4 }')
    check_fails "a directory that is not Quorate's is not touched unasked" "cluster.adopt" \
        "$DIR/bin/quorate-agent-postgresql" --config "$DIR/pg9.yml"
    sed -i "s/^  name: pg-main/&\n  adopt: yes/" "$DIR/pg9.yml"
    member_start pg9
    check "a directory with another system identifier is refused" wait_until 15 \
        said pg9 "refused by the arbiter: .*system identifier"
    said_line pg9 "refused by the arbiter"
    check "... and kv db show says so" eval \
        'cluster_json | jq -e ".members[] | select(.name == \"pg9\") | .note | test(\"system identifier\")"'
    check_output "... and kept as it is" "$identifier" eval \
        "'$POSTGRES_BIN/pg_controldata' '$DIR/pg9/data' | awk '/system identifier/ { print \$4 }'"
    check "... the others are not touched" eval "[ \"\$(picture)\" = '$before' ]"
    end_agent pg9
}

# PostgreSQL started by hand in a member's directory, while its agent is down and while it is up.
started_by_hand() {
    local standby pid
    begin "started by hand"
    standby=$(for name in "${MEMBERS[@]}"; do [ "$name" != "$P" ] && echo "$name"; done | head -n 1)
    check_fails "started by hand beside the agent's" "postmaster.pid" as_user "$POSTGRES_BIN/postgres" -D "$DIR/$standby/data"
    end_agent "$standby"
    wait_until 15 tree_is_gone "$standby" || bad "$NAME: the database of $standby does not end with its agent"
    spawn byhand "$POSTGRES_BIN/postgres" -D "$DIR/$standby/data"
    wait_until 15 sql "$standby" "SELECT 1" || bad "$NAME: it does not start" "$(tail -n 3 "$DIR/log/byhand")"
    pid=$(pid_of byhand)
    check_fails "$NAME: the agent refuses" "did not start" AGENT --config "$DIR/$standby.yml"
    check "$NAME: it is not touched" kill -0 "$pid"
    kill -INT "$pid"
    wait_until 10 eval "! is_running byhand" || bad "$NAME: it does not end"
    member_start_here "$standby"
    check "$NAME: the member comes back once it has ended" wait_until 60 member_is "$standby" /replica
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: same postmaster of the primary" root_is "$ROOT"
}
