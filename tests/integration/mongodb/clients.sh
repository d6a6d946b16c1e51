#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Independent clients of Debian against mongosim, each release's profile: python3-pymongo, node-mongodb, prometheus-mongodb-exporter,
# libmongoc. They find the primary, write, read, log in by SCRAM and by certificate, follow a step-down, and complain about nothing.
# usage: clients.sh [RELEASE...]     (42 44 50 60 70 80; without any: all of them) QUICK=1: pymongo and node-mongodb alone, no failures
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/mongodb/hub.sh
here=tests/integration/mongodb
[ $# -gt 0 ] || set -- 42 44 50 60 70 80

cluster_init "$(mktemp -d)"
cp "$BIN/mongosim" "$BIN/mongoload" "$DIR/bin/"
cp $here/clients.py $here/clients.js "$DIR/" && own
leave() {
    cluster_stop
    keep_logs mongodb-clients
    rm -rf "$DIR"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

py() { (cd "$DIR" && timeout 60 /usr/bin/python3 -W error::DeprecationWarning:__main__ clients.py "$@"); }
js() { (cd "$DIR" && NODE_PATH=/usr/share/nodejs timeout 60 node clients.js "$@"); }
has_python() { /usr/bin/python3 -c 'import pymongo' 2>/dev/null; }
has_node() { NODE_PATH=/usr/share/nodejs node -e 'require("mongodb")' 2>/dev/null; }
exporter=$(command -v prometheus-mongodb-exporter)

node_process() { # PORT [LINES of mongod.conf]: a node as a process of its own
    mkdir -p "$DIR/n$1/data"
    printf 'storage:\n  dbPath: %s\nnet:\n  port: %s\n  bindIp: 127.0.0.1\n%breplication:\n  replSetName: rs0\n' "$DIR/n$1/data" "$1" "${2:-}" >"$DIR/n$1.conf"
    own
    spawn "n$1" "$DIR/bin/mongosim" node "$SIM_DIR" --config "$DIR/n$1.conf"
    wait_until 10 eval "ss -Hltn 'sport = :$1' | grep -q ."
}
metric() { curl -s -m 5 "http://127.0.0.1:$EXPORTER_PORT/metrics" | grep -E "$1"; }
run_exporter() {
    free_port EXPORTER_PORT 23400
    spawn exporter "$exporter" -mongodb.uri "mongodb://127.0.0.1:$1/admin?connect=direct" -web.listen-address "127.0.0.1:$EXPORTER_PORT" -groups.enabled asserts,connections,replset,memory,network,op_counters
    check "$release: exporter: its page has the set's members" wait_until 15 metric '^mongodb_replset_member_state.*PRIMARY|^mongodb_replset_(my_state|member_state)'
    check "$release: exporter: up" metric '^mongodb_up 1|^mongodb_instance_uptime_seconds'
    check "$release: exporter: no complaint" eval '! grep -iE "error|panic|fail" "$DIR/log/exporter"'
    kill -TERM "$(pid_of exporter)"
}
moved() { local now; now=$(writable_port); [ -n "$now" ] && [ "$now" != "$1" ]; }

with_release() {
    local release=$1 ports before list
    free_port A 20000 && free_port B 20000 && free_port C 20000
    hub_start --release "$release" --speed 8 --set rs0 --sync-ms 500
    for port in $A $B $C; do node_process "$port"; done
    ports=$A,$B,$C list=127.0.0.1:$A,127.0.0.1:$B,127.0.0.1:$C
    check "$release: pymongo initiates" py initiate "$ports"
    wait_until 20 has_writable
    check "$release: pymongo writes and reads" py writes "$ports"
    [ "$release" = 42 ] || check "$release: pymongo: error codes" py codes "$ports"
    if has_node; then check "$release: node-mongodb writes and reads" js "$ports"; else skip "$release: node-mongodb" "not installed"; fi
    if [ -n "${QUICK:-}" ]; then hub_stop; return; fi
    "$DIR/bin/mongoload" --uri "mongodb://$list/?replicaSet=rs0" --out "$DIR/acked" --pause-us 2000 &
    LOADER=$!
    wait_until 10 eval '[ "$(wc -l <"$DIR/acked")" -gt 50 ]'
    before=$(writable_port)
    sim crash "$before"
    check "$release: another one is elected" wait_until 20 moved "$before"
    lines=$(wc -l <"$DIR/acked")
    check "$release: libmongoc follows it" wait_until 20 eval '[ "$(wc -l <"$DIR/acked")" -gt $((lines + 50)) ]'
    kill -TERM "$LOADER" && wait "$LOADER"
    check_output "$release: libmongoc: nothing acknowledged by the majority is lost" "acknowledged $(wc -l <"$DIR/acked") missing 0" \
        "$DIR/bin/mongoload" --uri "mongodb://$list/?replicaSet=rs0" --audit "$DIR/acked"
    if [ -n "$exporter" ]; then run_exporter "$(writable_port)"; else skip "$release: exporter" "not installed"; fi
    hub_stop
    rm -rf "$DIR"/n* "$DIR/acked"
}

certificates() { # an authority, a server's and a client's certificate
    (
        mkdir -p "$DIR/certs" && cd "$DIR/certs" || exit 1
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
        for name in server client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=quorate/CN=$name" -keyout $name.key -out $name.csr
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost) -out $name.crt
            cat $name.crt $name.key >$name.pem
        done
    ) >/dev/null 2>&1
    own
}
logins() {
    free_port A 20000 && free_port B 20000
    hub_start --release 70 --speed 8 --set rs0
    sim user watcher se:cret monitor
    sim user CN=client,O=quorate none monitor
    node_process "$A"
    py initiate "$A" >/dev/null
    wait_until 20 has_writable
    kill -TERM "$(pid_of "n$A")"
    wait_until 10 eval '! is_running n$A'
    node_process "$A" 'security:\n  authorization: enabled\n'
    wait_until 20 has_writable
    for mechanism in SCRAM-SHA-1 SCRAM-SHA-256; do check "pymongo logs in by $mechanism, and not with a wrong password" py login "$A" $mechanism; done
    certificates
    kill -TERM "$(pid_of "n$A")"
    wait_until 10 eval '! is_running n$A'
    node_process "$A" "  tls:\n    mode: requireTLS\n    certificateKeyFile: $DIR/certs/server.pem\n    CAFile: $DIR/certs/ca.pem\nsecurity:\n  authorization: enabled\n"
    wait_until 20 has_writable
    check "pymongo logs in by its certificate, and not without TLS or certificate" py certificate "$A" "$DIR/certs"
    hub_stop
}

if ! has_python; then
    skip "all clients" "python3-pymongo is not installed"
    report_end mongodb-clients
fi
for release; do with_release "$release"; done
[ -n "${QUICK:-}" ] || logins
report_end mongodb-clients
