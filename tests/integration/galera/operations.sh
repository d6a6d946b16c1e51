# SPDX-License-Identifier: Apache-2.0
# Scenarios of what people set up around a Galera cluster: a slow notify script, TLS on one node only, an arbitrator and transfers
# by mariabackup, quorate-proxy in front of it, what is shown of it. Sourced by run.sh; the numbers in brackets are those of the
# dangers in ../README.md.

member_says() { cluster_json | jq -r --arg m "$1" '.members[] | select(.name == $m) | .note'; }
# An agent that comes back with another line in its file; its server is stopped in order and started by it.
agent_changed() { # MEMBER SED
    kill -TERM "$(agent_pid "$1")"
    wait_until 60 eval "! is_running $1"
    sed -i -E "$2" "$DIR/$1.yml"
    agent_start "$1"
}

# [8] A notify script that takes 4 s holds all writes whenever a member comes or goes: warned of, told while it lasts, nobody is
# replaced for it.
slow_notify() {
    local slow other saying
    begin "a slow notify script"
    mapfile -t saying < <(readers)
    slow=${saying[0]} other=${saying[1]}
    printf '#!/bin/sh\nsleep 4\n' >"$DIR/bin/notify" && chmod 755 "$DIR/bin/notify"
    agent_changed "$slow" "s|parameters: \{|&wsrep_notify_cmd: $DIR/bin/notify, |"
    settled_again
    check "$NAME: it is warned of" wait_until 30 eval 'member_says "$slow" | grep -q wsrep_notify_cmd'
    EPOCH=$(epoch)
    raise db-kill "$other" || return
    check "$NAME: the member that stands still says so" wait_until 15 eval 'members_stalled | grep -q .'
    lower db-kill "$other"
    settled_again
    finish
    check "$NAME: the writer is the same" test "$(epoch)" = "$EPOCH"
    agent_changed "$slow" "s|wsrep_notify_cmd: [^,]*, ||"
    settled_again
}
members_stalled() { cluster_json | jq -r '.members[] | select(.galera.stalled_ms > 0 or .galera.flow_paused) | .name'; }

# [8] One member comes back without TLS where the others have it: it stays outside, which is said, and nothing else happens.
tls_on_some() {
    local outside # `out` is check's own
    begin "TLS on some nodes only"
    outside=$(readers | tail -n 1)
    agent_changed "$outside" 's|^galera:|&\n  tls: off|'
    check "$NAME: it does not get in, which is said" wait_until 150 eval '"${KV[@]}" db history "$SQL_CLUSTER" --events --timeout 3s | grep -q "$outside did not get into"'
    note "$outside: $(member_says "$outside")"
    check "$NAME: the others are as they were" test "$(size_of "$P")" = 2
    check "$NAME: the writer is the same" test "$(epoch)" = "$EPOCH"
    agent_changed "$outside" '/^  tls: off$/d'
    settled_again 180
    finish
}

# A member that lacks everything gets it from the one whom the arbiter names: not from the writer while another one can give.
donor_chosen() {
    local joiner giver seen=$work/givers both
    begin "the donor is chosen"
    mapfile -t both < <(readers)
    joiner=${both[0]} giver=${both[1]}
    fill 20
    (while [ ! -e "$seen.end" ]; do echo "$(maria_status "$P" wsrep_local_state) $(maria_status "$giver" wsrep_local_state)"; sleep 0.2; done >"$seen") &
    check "$NAME: kv db reinit" "${KV[@]}" db reinit "$SQL_CLUSTER" "$joiner" --force --timeout 5s
    check "$NAME: the record names a reader" wait_until 60 eval '[ "$(galera_record sst_joiner) $(galera_record sst_donor)" = "$joiner $giver" ]'
    settled_again 180
    touch "$seen.end"
    wait_until 5 test -s "$seen"
    check "$NAME: the joiner was started with it" grep -q "^wsrep_sst_donor = \"$giver,\"" "$(host_data "$joiner")/state/mariadb.cnf"
    check "$NAME: Galera took it" grep -q "($joiner) requested state transfer from '$giver,'. Selected [0-9.]* ($giver)" "$(host_data "$giver")/state/mariadb.log"
    note "states of the writer and of the reader (2: donor): $(sort "$seen" | uniq -c | tr -s ' \n' ' ;')"
    check "$NAME: the writer was no donor" eval '! grep -q "^2 " "$seen"'
    finish
}

# Writers through quorate-proxy, which follows the record: a planned switch and a dead writer.
proxied() {
    front_stop
    proxy_start || { bad "quorate-proxy does not start" "$(tail -n 3 "$DIR/log/proxy")"; return; }
    begin "through quorate-proxy: planned switch"
    check "$NAME: kv db switchover" "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 40s
    check "$NAME: another one writes" wait_until 20 other_is_writer
    settled_again
    finish
    begin "through quorate-proxy: writer killed"
    raise db-kill "$P" || return
    check "$NAME: writes go on" writes_go_on 40
    lower db-kill "$P"
    settled_again
    finish
    check_output "$NAME: reads come from a reader" 1 proxied_read
    kill -TERM "$PROXY" 2>/dev/null
    front_start
}
proxied_read() { # read_only of whom the port for reads leads to
    client_exec c1 timeout 5 mariadb --no-defaults -h 127.0.0.1 -P 3307 -u app -p"$(cat "$DIR/app.password")" -N -B -e 'SELECT @@GLOBAL.read_only' 2>/dev/null
}
PROXY=0
proxy_start() {
    "$DIR/bin/kv" cert issue --role viewer --name proxy --dir "$DIR/tls" >/dev/null || return 1
    cat >"$DIR/proxy.yml" <<YML
cluster: $SQL_CLUSTER
primary: {listen: "127.0.0.1:3306"}
replicas: {listen: "127.0.0.1:3307"}
quorum: {endpoints: [$(sed 's/[^,]*/"&"/g' <<<"$ENDPOINTS")]}
tls: {ca: $DIR/tls/ca.crt, cert: $DIR/tls/viewer-proxy.crt, key: $DIR/tls/viewer-proxy.key}
http: {listen: "127.0.0.1:5002"}
YML
    own
    (client_become c1 setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$DIR/bin/quorate-proxy" --config "$DIR/proxy.yml") \
        >"$DIR/log/proxy" 2>&1 </dev/null &
    PROXY=$!
    disown
    wait_until 20 client_exec c1 curl -sf http://127.0.0.1:5002/ready
}

# What is shown of a healthy cluster: every agent's metrics beside what its server says, the status page beside kv.
shown_truly() {
    local name
    begin "what is shown"
    sql_clients_stop # numbers stand still
    wait_until 20 eval '[ "$(committed_everywhere | sort -u | wc -l)" = 1 ]'
    for name in "${DATABASES[@]}"; do
        check "$NAME: metrics of $name are what its server says" wait_until 15 metrics_agree "$name"
    done
    check_output "$NAME: one of the metrics says writer" "$P" eval 'for name in "${DATABASES[@]}"; do [ "$(metric "$name" quorate_galera_writer)" != 1 ] || echo "$name"; done'
    check "$NAME: the page has the writer, the group and the positions" wait_until 10 page_agrees
    check "$NAME: its data are those of kv" wait_until 10 data_agree
}
committed_everywhere() { local name; for name in "${DATABASES[@]}"; do maria_status "$name" wsrep_last_committed; done; }
metric() { # MEMBER NAME
    client_exec c1 curl -sf -m 2 "http://$(address_of "$1"):8008/metrics" | awk -v n="$2" 'index($1, n) == 1 && (length($1) == length(n) || substr($1, length(n) + 1, 1) == "{") { print $2 }'
}
# name of the metric, and what must stand there
metrics_agree() { # MEMBER
    local row want
    local -A said=()
    while read -r row want; do said[$row]=$want; done < <(client_exec c1 curl -sf -m 2 "http://$(address_of "$1"):8008/metrics" | awk '/^quorate_galera_/ { name = $1; sub(/[{].*/, "", name); print name, $NF }')
    while read -r row want; do
        [ "${said[$row]:-none}" = "$want" ] || { echo "$1: $row says ${said[$row]:-nothing}, should be $want"; return 1; }
    done <<EOF
quorate_galera_primary 1
quorate_galera_synced 1
quorate_galera_donor 0
quorate_galera_seqno $(maria_status "$1" wsrep_last_committed)
quorate_galera_generation $(generation)
quorate_galera_cluster_size $(maria_status "$1" wsrep_cluster_size)
quorate_galera_conf_id $(maria_status "$1" wsrep_cluster_conf_id)
quorate_galera_weight 1
quorate_galera_flow_paused 0
quorate_galera_rejecting 0
quorate_galera_read_only $(maria "$1" 'SELECT @@GLOBAL.read_only')
quorate_galera_reader 1
EOF
}
page_of() { client_exec "$(quorum_leader)" curl -sf -m 3 "http://127.0.0.1:2381/$1"; }
page_agrees() {
    local page seqno name
    page=$(page_of "") || return 1
    seqno=$(maria_status "$P" wsrep_last_committed)
    grep -q "$P, since" <<<"$page" && grep -q "${#DATABASES[@]} members: " <<<"$page" && grep -q "generation $(generation)" <<<"$page" &&
        [ "$(grep -c ">$seqno<" <<<"$page")" -ge 1 ] || { echo "$page" | head -c 3000; return 1; }
    for name in "${DATABASES[@]}"; do grep -q ">$name<" <<<"$page" || return 1; done
}
data_agree() { # both said within the same second, but for ages
    local of='[.. | objects | select(has("host") and has("galera")) | {name, state, up, g: (.galera | {seqno, generation, conf_id, size, weight, read_only})}] | sort_by(.name)'
    diff <(page_of status.json | jq -c "$of") <(cluster_json | jq -c "$of")
}

# Two members and a garbd under our supervision, transfers by mariabackup: losing a reader stops nobody and begins no recovery, the
# garbd comes back by itself, and a member that is cloned leaves its donor open to readers.
arbitrated() {
    local out seen=$work/donor before
    GALERA_SIZE=3
    "${KV[@]}" db config set "$SQL_CLUSTER" galera.arbitrator=g1 --timeout 5s >/dev/null
    arbitrator_start
    begin "two and an arbitrator"
    out=$(readers)
    before=$(garbd_pid)
    kill -KILL "$before"
    check "$NAME: garbd is started again" wait_until 60 eval '[ -n "$(garbd_pid)" ] && [ "$(garbd_pid)" != "$before" ]'
    settled_again
    EPOCH=$(epoch)
    raise isolate "$out" || return
    check "$NAME: writes go on" writes_go_on 30
    lower isolate "$out"
    settled_again
    finish
    check "$NAME: the writer is the same" test "$(epoch)" = "$EPOCH"
    check "$NAME: no new generation" test "$(generation)" = "$GENERATION"

    begin "a member cloned by mariabackup"
    out=$(readers)
    fill 20
    (while [ ! -e "$seen.end" ]; do echo "$(maria_status "$P" wsrep_local_state) $(code_inside "$P" /writer) $(code_inside "$P" /reader)"; sleep 0.2; done >"$seen") &
    check "$NAME: kv db reinit" "${KV[@]}" db reinit "$SQL_CLUSTER" "$out" --force --timeout 5s
    check "$NAME: mariabackup runs" wait_until 60 eval 'pgrep -f "mariabackup|mariadb-backup" >/dev/null'
    settled_again 180
    touch "$seen.end"
    wait_until 5 test -s "$seen"
    note "the donor's state, /writer, /reader: $(sort "$seen" | uniq -c | tr -s ' \n' ' ;')"
    check "$NAME: the donor stayed the writer" eval '! grep "^2 " "$seen" | grep -q "^2 503"'
    finish
    unset GALERA_SIZE
}
# No account of ours and no password: the agents are the server's OS user (galera.accounts: socket), and so are transfers by
# mariabackup.
without_passwords() {
    local out
    begin "no passwords"
    check "$NAME: there is no account of ours" test "$(maria "$P" "SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'quorate%'")" = 0
    check "$NAME: the writer's heartbeat comes through" wait_until 20 eval '[ "$(maria "$P" "SELECT COUNT(*) FROM quorate.heartbeat")" = 1 ]'
    check "$NAME: kv db switchover" "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 40s
    settled_again
    P=$(primary) out=$(readers | head -n 1)
    check "$NAME: kv db reinit" "${KV[@]}" db reinit "$SQL_CLUSTER" "$out" --force --timeout 5s
    check "$NAME: mariabackup runs" wait_until 60 eval 'pgrep -f "mariabackup|mariadb-backup" >/dev/null'
    settled_again 180
    raise isolate "$P" || return
    check "$NAME: another one writes" wait_until 60 other_is_writer
    lower isolate "$P"
    settled_again 180
    finish
}

garbd_pid() { host_pids c1 garbd | head -n 1; }
arbitrator_start() {
    "$DIR/bin/kv" cert issue --role member --cluster "$SQL_CLUSTER" --name g1 --host "$(host_address c1)" --dir "$DIR/tls" >/dev/null
    cat >"$DIR/g1.yml" <<YML
cluster: {name: $SQL_CLUSTER}
member: g1
tls: {ca: $DIR/tls/ca.crt}
galera:
  listen: $(host_address c1):4567
  members: {$(members_words)}
  tls_cert: $DIR/tls/member-$SQL_CLUSTER-g1.crt
  tls_key: $DIR/tls/member-$SQL_CLUSTER-g1.key
YML
    own
    remember g1 "$(host_spawn c1 "$DIR/log/g1" setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- \
        "$DIR/bin/quorate-agent-galera" --arbitrator --config "$DIR/g1.yml")"
    wait_until 30 eval '[ "$(size_of d1)" = 3 ]' || bad "the arbitrator does not get in" "$(tail -n 3 "$DIR/log/g1")"
}
