# SPDX-License-Identifier: Apache-2.0
# Two more clusters beside the PostgreSQL one of setup.sh, under the same quorum, on loopback: a Galera cluster `shop` of two real
# MariaDB servers, and a replica set `docs` of three nodes of mongosim. Sourced by browser.sh, after setup.sh.
#
#   engines_start        both are configured, started and healthy; a message where something is not installed
#   calm_minute          what all logs got in a minute in which nothing happened; nothing is the answer
#   host_lost MEMBER     its agent, guard and server are killed at one moment
#   story CLUSTER NODE   the names of the arbiter's events since story_begin, in the leader's log, on one line
#   engines_agree NODE   the page's data, its tables and the metrics are what kv says, for every engine; checks
declare -gA MARIA_PORT=()
GALERA=() REPLICA_SET=()
galera_start() {
    local name members="" base ports=()
    command -v mariadbd >/dev/null || PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null || { skip "a Galera cluster on the page" "no mariadbd"; return 0; }
    cp -f "$BIN/quorate-agent-galera" "$DIR/bin/"
    (umask 077 && printf 'check:check-12345\nagent:agent-12345\nsst:transfer-12345\n' >"$DIR/galera-passwords")
    GALERA=(g1 g2)
    for name in "${GALERA[@]}"; do
        for base in 14567 14568 14444 13306 18008; do free_port "ports[$base]" "$base"; done
        MARIA_PORT[$name]="${ports[14567]} ${ports[14568]} ${ports[14444]} ${ports[13306]}"
        HTTP_PORT[$name]=${ports[18008]}
        members+="${members:+, }$name: \"127.0.0.1:${ports[14567]}\""
    done
    for name in "${GALERA[@]}"; do
        read -ra ports <<<"${MARIA_PORT[$name]}"
        "$DIR/bin/kv" cert issue --role agent --cluster shop --name "$name" --dir "$DIR/tls" >/dev/null || return 1
        engine_file "$name" shop galera "  listen: 127.0.0.1
  port: ${ports[3]}
  ist_port: ${ports[1]}
  sst_port: ${ports[2]}
  sst_method: rsync
  members: {$members}
  password_file: $DIR/galera-passwords
  parameters: {innodb_buffer_pool_size: 16M}
  provider_options: gcache.size=8M"
        own
        spawn "$name" "$DIR/bin/quorate-agent-galera" --config "$DIR/$name.yml"
    done
}
engine_file() { # MEMBER CLUSTER ENGINE LINES
    local node nodes=""
    mkdir -p "$DIR/$1"
    for node in "${QUORUM[@]}"; do nodes+="${nodes:+, }$node: \"127.0.0.1:${PEER_PORT[$node]}\""; done
    cat >"$DIR/$1.yml" <<YML
cluster: {name: $2}
member: $1
advertise: 127.0.0.1
quorum:
  token: $(basename "$DIR")
  nodes: {$nodes}
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/agent-$2-$1.crt
  key: $DIR/tls/agent-$2-$1.key
http: {listen: "127.0.0.1:${HTTP_PORT[$1]}"}
state_dir: $DIR/$1/state
run_dir: $DIR/$1/run
$3:
  data_dir: $DIR/$1/data
$4
YML
}
replica_set_start() {
    local postgresql=("${MEMBERS[@]}") cluster=$MEMBERS_CLUSTER program
    . tests/integration/mongodb/setup.sh
    for program in quorate-agent-mongodb mongosim; do cp -f "$BIN/$program" "$DIR/bin/" || return 1; done
    hub_start --speed "$MONGO_SPEED" --set rs0
    mongod_stands_in
    set_setup docs 3
    set_start
    REPLICA_SET=("${MEMBERS[@]}")
    MEMBERS=("${postgresql[@]}") MEMBERS_CLUSTER=$cluster
}
engine_is() { [ "$("${KV[@]}" db show "$1" -o json --timeout 2s 2>/dev/null | jq -r .state)" = "$2" ]; }
engines_start() {
    galera_start || bad "Galera's members" "no configuration"
    replica_set_start || bad "the replica set" "no configuration"
    [ ${#GALERA[@]} -eq 0 ] || check "a Galera cluster of two" wait_until 120 eval 'engine_is shop healthy && [ "$(synced)" = 2 ]'
    check "a replica set of three" wait_until 60 eval 'engine_is docs healthy && [ "$("${KV[@]}" db show docs -o json | jq ".members | length")" = 3 ]'
}
synced() { local name; for name in "${GALERA[@]}"; do curl -sf -m 2 "http://127.0.0.1:${HTTP_PORT[$name]}/metrics" | grep -E '^quorate_galera_synced(\{[^}]*\})? 1$'; done | wc -l; }

# What moves with each report is left out of the comparison, on both sides.
still() {
    jq -S '.clusters | map(walk(if type == "object" then with_entries(select(.key |
        test("(_ago_us|_left_us|_age_ms|_ms|lsn|seqno|lag_bytes|worst_us|connections|disk_free_bytes|wall_us|oplog_s|applied_ts|permille)$") | not)) else . end))'
}
same_data() { [ "$(page "$1" /status.json | still)" = "$("${KV[@]}" db list -o json | still)" ]; }
rows_of_page() { grep -oE 'data-member="[^"]*" data-role="[^"]*" data-state="[^"]*"' | sed -E 's/data-[a-z]+="([^"]*)"/\1/g'; }
rows_of_json() { jq -r '.clusters[].members[] | "\(.name) \(.role) \(.state)"'; }
same_rows() { [ "$(page "$1" | rows_of_page)" = "$("${KV[@]}" db list -o json | rows_of_json)" ]; }
scrape() {
    local name
    page "$1" /metrics
    for name in "${MEMBERS[@]}" "${GALERA[@]}" "${REPLICA_SET[@]}"; do curl -sf -m 5 "http://127.0.0.1:${HTTP_PORT[$name]}/metrics"; done
}
engines_agree() { # NODE
    check "the page's data are those of kv, for all engines" wait_until 15 same_data "$1"
    check "its tables of members too" wait_until 15 same_rows "$1"
    check_output "of each engine's cluster there is a part" 3 eval 'page '"$1"' | grep -oE "data-cluster=\"(pg-main|shop|docs)\"" | sort -u | wc -l'
    scrape "$1" | sed -n 's/^\([a-z_0-9]*\)[ {].*/\1/p' | sort -u >"$DIR/scrape"
    check_output "every metric of every engine is in a scrape" "" eval '"$BIN/reference" names | grep -v "^quorate_proxy_" | sort -u | comm -23 - "$DIR/scrape" | grep -v "^$"'
    check_output "and every one of a scrape in a table" "" eval '"$BIN/reference" names | sort -u | comm -13 - "$DIR/scrape"'
}

all_lines() {
    local name
    for name in "${QUORUM[@]}" "${MEMBERS[@]}" "${GALERA[@]}" "${REPLICA_SET[@]}"; do sed "s/^/$name: /" "$DIR/log/$name"; done | sort
}
# An account of this machine that read_only does not stop is warned of every ten minutes.
calm_minute() {
    all_lines >"$DIR/calm"
    sleep 60 # time itself is the matter
    all_lines | comm -13 "$DIR/calm" - | grep -v "ev=standing_warning"
}
host_lost() {
    kill -KILL "$(pid_of "$1")" 2>/dev/null
    pkill -KILL -f -- "quorate-guard .*--socket $DIR/$1/run/"
    pkill -KILL -f -- "$DIR/$1/(data|state)"
}
story_begin() { STORY=$(wc -l <"$DIR/log/$1"); } # NODE
story() { tail -n +$((STORY + 1)) "$DIR/log/$2" | sed -n "s/.*mod=arbiter ev=\([a-z0-9-]*\) .*cluster=$1 .*/\1/p" | paste -sd' '; }
tells() { # CLUSTER NODE EVENT...: in this order, whatever is between
    local wanted
    wanted=$(printf ' .*%s' "${@:3}")
    [[ " $(story "$1" "$2") " =~ ${wanted# } ]] || { story "$1" "$2"; return 1; }
}
