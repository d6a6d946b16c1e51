#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kv setup, kv doctor, kv import-patroni: what they write is accepted by the programs and serves, and what was planted
# on a host is found.
# usage: run.sh [STEP...]     plans, first_cluster, planted, import; without any: all, in this order
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
PAGE=$PWD/docs/setup.md
HERE=$PWD/tests/integration/host
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-host.XXXXXX")
trap 'cluster_stop; keep_logs host; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
KV=("$DIR/bin/kv")
kv() { timeout 60 "${KV[@]}" "$@"; }
mode_of() { stat -c %a "$1"; }

# --- setup: plans that are only checked
plan() { # addresses as they would be; files below $DIR
    cat <<YML
cluster: pg-main
hosts: {a: 10.77.0.1, b: 10.77.0.2}
quorum_only: {c: "fd00::3"}
clients: [10.77.0.0/16, "fd00::/8"]
user: $RUN_AS
node_user: $RUN_AS
etc: $DIR/etc
state: $DIR/state
run: $DIR/run
YML
}
page_block() { awk '/^```/ { inside = !inside; next } inside' "$PAGE"; }
accepted() { # HOST PROGRAM FILE
    rm -rf "${DIR:?}/etc"
    tar -xpf "$DIR/out/$1.tar" -C / && "$DIR/bin/$2" --check-config --config "$DIR/etc/$3"
}
plans() {
    local host
    plan >"$DIR/plan.yml"
    check "a plan becomes archives" kv setup "$DIR/plan.yml" --out "$DIR/out"
    for host in a b c; do check_output "archive of $host: its owner alone may read it" 600 mode_of "$DIR/out/$host.tar"; done
    check_output "so with the passwords" 600 mode_of "$DIR/out/passwords"
    for host in a b; do
        check "quorated takes the file of $host" accepted "$host" quorated quorated.yml
        check "the agent takes the file of $host" accepted "$host" quorate-agent-postgresql agent-pg-main.yml
    done
    check "quorated takes the file of c, which only votes" accepted c quorated quorated.yml
    check "c has nothing of a database's" eval '! tar -tf "$DIR/out/c.tar" | grep -q -e agent -e passwords'
    check "keys are for their user alone" eval '[ -z "$(tar -tvf "$DIR/out/a.tar" | grep "\.key\|passwords" | grep -v "^-rw-------")" ]'
    check_output "... which is the database's for its own" "$RUN_AS/$RUN_AS" eval \
        "tar -tvf '$DIR/out/a.tar' | awk '/agent-pg-main-a.key/ {print \$2}'"
    check "the authority's key goes to no host" eval '! cat "$DIR"/out/*.tar | grep -aq ca.key'
    check "every host has its unit's drop-in" eval 'tar -tf "$DIR/out/a.tar" | grep -q "quorate-agent-postgresql@pg-main.service.d/setup.conf"'
    check_fails "what is there is not written over" "force" kv setup "$DIR/plan.yml" --out "$DIR/out"
    sha256sum "$DIR/out/tls/"* "$DIR/out/passwords" >"$DIR/sums"
    check "a host is added later" kv setup "$DIR/plan.yml" --members_only=d=10.77.0.4 --out "$DIR/out" --force
    check "with the same authority, certificates and passwords" sha256sum --quiet -c "$DIR/sums"
    check "the new one's file is taken" accepted d quorate-agent-postgresql agent-pg-main.yml
    check "what is to be done stands there for each host, in order" eval \
        'kv setup "$DIR/plan.yml" --members_only=d=10.77.0.4 --out "$DIR/out" --force | grep -A6 "^b (10.77.0.2)" | grep -q quorate-agent-postgresql@pg-main'
    check "the same as JSON" eval 'kv -o json setup "$DIR/plan.yml" --out "$DIR/out" --force | jq -en "input | .hosts | length == 3"'
    printf '%s\n' postgresql pg-main a=10.77.0.1,b=10.77.0.2,c=10.77.0.3 "" 10.77.0.0/16 on >"$DIR/answers"
    check "it asks for what it needs" eval 'kv setup --out "$DIR/asked" <"$DIR/answers" && [ -s "$DIR/asked/c.tar" ]'
    check_fails "nobody answers" "kv setup --sample" kv setup --out "$DIR/none"
    check_fails "a host named twice" "named twice" kv setup --hosts=a=10.0.0.1,a=10.0.0.2 --out "$DIR/none"
    check_fails "an address that is none" "'a=ten'\|an address" kv setup '--hosts=a=10.0.0.1;x' --out "$DIR/none"
    check_fails "no host at all" "0 quorum nodes" kv setup --cluster=x --out "$DIR/none"
    check "an even number of nodes is told of" eval 'kv setup --hosts=a=10.0.0.1,b=10.0.0.2 --out "$DIR/even" 2>&1 | grep -q "even number"'
    if [ -x "$BIN/quorate-agent-galera" ]; then
        cp "$BIN/quorate-agent-galera" "$DIR/bin/"
        check "a plan of Galera" kv setup --engine=galera --cluster=shop --hosts=a=10.77.0.1,b=10.77.0.2,c=10.77.0.3 --user="$RUN_AS" \
            --node_user="$RUN_AS" --etc="$DIR/etc" --out "$DIR/galera"
        sed 's|out/|galera/|' <(declare -f accepted) >"$DIR/accepted" && . "$DIR/accepted"
        check "its agent takes the file" accepted b quorate-agent-galera agent-shop.yml
        check "quorated takes its own" accepted b quorated quorated.yml
        check "with the roles of that engine" grep -q "^sst:" "$DIR/galera/passwords-shop"
        check "kv doctor knows that engine" eval 'kv doctor --etc "$DIR/etc" --only certificates,permissions | grep -q "member-shop-b.key"'
    fi
    if [ -x "$BIN/quorate-agent-mongodb" ]; then
        cp "$BIN/quorate-agent-mongodb" "$DIR/bin/"
        check "a plan of a replica set with an arbiter, beside that cluster" kv setup --engine=mongodb --cluster=docs --hosts=a=10.77.0.1,b=10.77.0.2 \
            --arbiters=c=10.77.0.3 --http_port=8018 --user="$RUN_AS" --node_user="$RUN_AS" --etc="$DIR/etc" --out "$DIR/galera" --force
        check "its agents take their files" eval 'accepted a quorate-agent-mongodb agent-docs.yml && accepted c quorate-agent-mongodb agent-docs.yml'
        check "passwords of its own roles" eval 'cut -d: -f1 "$DIR/galera/passwords-docs" | paste -sd" " | grep -qx "ha_read ha_act"'
        check "none for the arbiter, which stores no users" eval '! tar -tf "$DIR/galera/c.tar" | grep -q passwords && tar -tf "$DIR/galera/c.tar" | grep -q mongodb-docs.key'
        check "a key file that a server takes" eval '[ "$(tr -d "\n" <"$DIR/galera/mongodb-docs.key" | wc -c)" = 1008 ]'
        check "its certificates are good on their own host" eval 'openssl x509 -in "$DIR/galera/tls/member-docs-a.crt" -noout -ext subjectAltName | grep -q 127.0.0.1'
        check_fails "three with data and an arbiter" "odd number of voters" kv setup --engine=mongodb --hosts=a=10.0.0.1,b=10.0.0.2,c=10.0.0.3 \
            --arbiters=d=10.0.0.4 --out "$DIR/none"
        check_fails "an arbiter of another engine" "quorum_only" kv setup --hosts=a=10.0.0.1,b=10.0.0.2 --arbiters=c=10.0.0.3 --out "$DIR/none"
    fi
    # The commands of the page, word by word, in a directory of their own.
    mkdir "$DIR/page"
    check "the page's command" eval 'cd "$DIR/page" && eval "$(page_block)" && [ "$(ls quorate-setup)" = "$(printf "%s\n" a.tar b.tar c.tar kv.yml passwords tls)" ]'
    mkdir "$DIR/page-mongodb"
    check "that of docs/mongodb.md" eval 'command=$(grep -m 1 "^kv setup " docs/mongodb.md) && cd "$DIR/page-mongodb" && eval "$command" &&
        [ "$(ls quorate-setup)" = "$(printf "%s\n" a.tar b.tar c.tar kv.yml mongodb-docs.key passwords-docs tls)" ]'
    check "the sample is a plan's file" eval 'kv setup --sample | grep -q "^#\? *quorum_only"'
}

# --- setup: one that is started
sound() {
    local out
    out=$(kv doctor --etc "$DIR/etc" --root "$DIR/base" "$@") || { grep -A1 "^fail" <<<"$out"; return 1; }
}
is_serving() { [ "$(kv -o json db show one 2>/dev/null | jq '.members[0].state')" = '"running"' ]; }
first_cluster() {
    free_port CLIENT 21379
    free_port PEER 21380
    free_port SQL 21432
    free_port HTTP 21008
    rm -rf "${DIR:?}/etc"
    # shellcheck disable=SC2153
    check "a cluster of one host is set up" kv setup --cluster=one --hosts=a=127.0.0.1 --client_port="$CLIENT" --peer_port="$PEER" --port="$SQL" \
        --http_port="$HTTP" --data_dir="$DIR/data" --user="$RUN_AS" --node_user="$RUN_AS" --etc="$DIR/etc" --state="$DIR/state" --run="$DIR/run" --out "$DIR/one"
    check "its archive is unpacked" tar -xpf "$DIR/one/a.tar" -C /
    mkdir -p "$DIR/state/quorum" && chmod 700 "$DIR/state/quorum"
    rm -rf "${DIR:?}/base"
    mkdir -p "$DIR/base/etc/systemd/system/multi-user.target.wants" "$DIR/base/usr/lib/systemd/system"
    cp packaging/systemd/*.service "$DIR/base/usr/lib/systemd/system/"
    free_port METRICS 21381
    printf 'metrics: {listen: "127.0.0.1:%s"}\n' "$METRICS" >>"$DIR/etc/quorated.yml" # others use the default on this machine
    own
    check "kv doctor finds nothing that hinders the first start" sound --seconds 0 --only configuration,certificates,permissions,versions,units,managers,ports,watchdog,space
    spawn node "$DIR/bin/quorated" --config "$DIR/etc/quorated.yml"
    spawn agent "$DIR/bin/quorate-agent-postgresql" --config "$DIR/etc/agent-one.yml"
    mkdir -p "$DIR/.config/quorate"
    cp "$DIR/one/kv.yml" "$DIR/.config/quorate/kv.yml"
    export HOME=$DIR
    check "it serves, as kv with the file that was written sees" wait_until 40 is_serving
    check "kv doctor finds a sound host" sound --seconds 1
    note "$(kv doctor --etc "$DIR/etc" --root "$DIR/base" --seconds 1 | grep -e flush -e pauses)"
}

# --- doctor: what was planted is found
NUMBER=0
planted() {
    [ -d "$DIR/base" ] || first_cluster
    plant configuration "no such key\|unknown" eval 'echo "wurst: 1" >>"$E/quorated.yml"'
    plant certificates "has expired" eval 'rm "$E/tls/node-a".* && cp "$DIR/one/tls/ca".* "$E/tls/" &&
        kv cert issue --role node --name a --host 127.0.0.1 --days -1 --dir "$E/tls"'
    plant certificates "was not signed by" eval 'kv cert ca --dir "$E/other" && cp "$E/other/ca.crt" "$E/tls/ca.crt"'
    plant certificates "does not name" sed -i 's/^advertise: .*/advertise: 10.9.9.9/' E/agent-one.yml
    plant certificates "is for quorate://node" eval 'cp "$E/tls/node-a.crt" "$E/tls/agent-one-a.crt"; cp "$E/tls/node-a.key" "$E/tls/agent-one-a.key"'
    plant permissions "can be read by others" chmod 644 E/tls/agent-one-a.key
    plant permissions "passwords: No such file" rm E/passwords
    plant permissions "may not make it in /" eval 'sed -i "s|^  data_dir: .*|  data_dir: /proc/none|" "$E/agent-one.yml"'
    plant permissions "mongodb.key can be read by others" eval 'touch "$E/mongodb.key" && chmod 644 "$E/mongodb.key" && other_agent mongodb "key_file: $E/mongodb.key"'
    plant versions "is of version 12" eval 'mkdir "$E/data" && echo 12 >"$E/data/PG_VERSION" && sed -i "s|^  data_dir: .*|  data_dir: $E/data|" "$E/agent-one.yml"'
    plant units "is masked" ln -s /dev/null "R/etc/systemd/system/quorate-agent-postgresql@one.service"
    plant units "KillMode=control-group" eval 'mkdir -p "$R/etc/systemd/system/quorate-agent-postgresql@.service.d" &&
        printf "[Service]\nKillMode=control-group\n" >"$R/etc/systemd/system/quorate-agent-postgresql@.service.d/x.conf"'
    plant managers "postgresql.service is enabled" ln -s /usr/lib/systemd/system/postgresql.service \
        R/etc/systemd/system/multi-user.target.wants/postgresql.service
    plant memory "may lock" eval 'mkdir -p "$R/etc/systemd/system/quorate-agent-postgresql@one.service.d" &&
        printf "[Service]\nLimitMEMLOCK=64K\n" >"$R/etc/systemd/system/quorate-agent-postgresql@one.service.d/x.conf"'
    listener & # on a port that the agent wants
    LISTENER=$!
    wait_until 5 eval '[ -s "$DIR/taken" ]'
    plant ports "is in use by .*python" eval 'sed -i "s/^  listen: 0.0.0.0:.*/  listen: 0.0.0.0:$(cat "$DIR/taken")/" "$E/agent-one.yml"'
    plant ports "state transfers. is in use by .*python" other_agent galera 'sst_port: '"$(cat "$DIR/taken")"
    plant ports "database. is in use by .*python" other_agent mongodb 'port: '"$(cat "$DIR/taken")"
    kill "$LISTENER" 2>/dev/null
    plant versions "no program /nowhere/mariadbd" other_agent galera 'server: /nowhere/mariadbd'
    plant versions "no program /nowhere/mariabackup" other_agent galera 'tools_dir: /nowhere'
    plant versions "no Galera library" other_agent galera 'provider: /nowhere/libgalera_smm.so'
    plant versions "is version 3.6; known are" eval 'printf "#!/bin/sh\necho db version v3.6.8\n" >"$E/mongod" && chmod 755 "$E/mongod" &&
        other_agent mongodb "mongod: $E/mongod"'
    plant managers "mongod.service is enabled" eval 'other_agent mongodb "port: 1" && ln -s /usr/lib/systemd/system/mongod.service \
        "$R/etc/systemd/system/multi-user.target.wants/mongod.service"'
    plant quorum "0 of 1 quorum nodes" sed -i 's/^  nodes: .*/  nodes: {a: "127.0.0.1:9"}/' E/agent-one.yml
    plant cgroup "has no cgroup.freeze" eval 'echo "guard: {cgroup: $E}" >>"$E/agent-one.yml"'
    plant watchdog "No such file" eval 'echo "watchdog: {mode: require, device: $E/none}" >>"$E/agent-one.yml"'
    late_clock &
    LISTENER=$!
    wait_until 5 eval '[ -s "$DIR/late" ]'
    plant clocks "behind this host" eval 'sed -i "s|^  clients: .*|  clients: {a: \"https://127.0.0.1:$(cat "$DIR/late")\"}|" "$E/quorated.yml"'
    kill "$LISTENER" 2>/dev/null
    slow_disk
    long_pause
    note "$NUMBER planted"
}
other_agent() { # ENGINE LINE: beside the one that is there
    printf 'cluster: {name: other}\nmember: m1\nuser: %s\n%s:\n  %s\n' "$RUN_AS" "$1" "$2" >"$E/agent-other.yml"
}
# plant CHECK WORDS CMD...: E/ and R/ in its arguments are copies of the configuration and of systemd's directories
plant() {
    local check=$1 words=$2 name out
    shift 2
    NUMBER=$((NUMBER + 1))
    E=$DIR/planted/$NUMBER/etc R=$DIR/planted/$NUMBER/base
    mkdir -p "$DIR/planted/$NUMBER"
    cp -a "$DIR/etc" "$E"
    cp -a "$DIR/base" "$R"
    sed -i "s|$DIR/etc/|$E/|" "$E"/*.yml
    name="found: $check, ${words%%\\*}"
    set -- "${@/#E\//$E/}"
    set -- "${@/#R\//$R/}"
    out=$("$@" 2>&1) || { bad "$name" "cannot plant: $out"; return; }
    out=$(kv -o json doctor --etc "$E" --root "$R" --seconds 0 --only "$check" 2>&1)
    if [ $? -eq 1 ] && jq -en --arg w "$words" 'input | any(.findings[]; .result == "fail" and (.found | test($w | gsub("\\\\\\|"; "|"))) and .mend != "")' \
        <<<"$out" >/dev/null; then ok "$name"; else bad "$name" "$(jq -c '.findings[]' <<<"$out")"; fi
}
listener() {
    exec python3 -c '
import socket, time, sys
s = socket.create_server(("0.0.0.0", 0)); open(sys.argv[1], "w").write(str(s.getsockname()[1])); time.sleep(30)' "$DIR/taken"
}
late_clock() { # a node whose clock is an hour behind
    exec python3 -c '
import http.server, ssl, sys, email.utils, time
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response_only(200); self.send_header("Date", email.utils.formatdate(time.time() - 3600, usegmt=True)); self.end_headers()
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1] + "/tls/node-a.crt", sys.argv[1] + "/tls/node-a.key")
s.socket = c.wrap_socket(s.socket, server_side=True)
open(sys.argv[2], "w").write(str(s.server_address[1])); s.serve_forever()' "$DIR/one" "$DIR/late"
}
slow_disk() {
    NUMBER=$((NUMBER + 1))
    printf '#include <unistd.h>\nint fdatasync(int fd) { (void)fd; return usleep(250000); }\n' >"$DIR/slow.c"
    if ! cc -shared -fPIC -o "$DIR/slow.so" "$DIR/slow.c" 2>/dev/null; then
        skip "found: flush, a slow disk" "no compiler"
        return
    fi
    sed 's/^data_dir: .*/data_dir: \/tmp/' "$DIR/etc/quorated.yml" >"$DIR/planted/only.yml"
    mkdir -p "$DIR/planted/slow"
    cp "$DIR/planted/only.yml" "$DIR/planted/slow/quorated.yml"
    check "found: flush, a slow disk" eval \
        'LD_PRELOAD=$DIR/slow.so kv -o json doctor --etc "$DIR/planted/slow" --only flush | jq -en "input | any(.findings[]; .result == \"fail\" and (.found | test(\"median 25\")))"'
}
long_pause() {
    NUMBER=$((NUMBER + 1))
    timeout 20 "${KV[@]}" -o json doctor --etc "$DIR/etc" --only pauses --seconds 3 >"$DIR/pauses.json" &
    local watcher=$! pid=""
    # Once it sleeps its milliseconds, and not before.
    wait_until 5 eval 'pid=$(pgrep -P '"$watcher"') && [ "$(sed -n "s/^voluntary_ctxt_switches:\t//p" "/proc/$pid/status")" -gt 50 ]'
    kill -STOP "$pid" 2>/dev/null
    sleep 1.3 # a pause that is longer than half of the lease, and no wait for anything
    kill -CONT "$pid" 2>/dev/null
    wait "$watcher"
    check "found: pauses, a host that stood still" jq -en 'input | .findings[0].result == "fail"' "$DIR/pauses.json"
}

# --- import
import() {
    local out=$DIR/imported
    check "a file with every key of Patroni's" eval 'kv -o json import-patroni "$HERE/every-key.yml" --nodes a=10.0.0.1:2380 --out '"$out >$DIR/keys.json"
    check "the agent takes what became of it" "$DIR/bin/quorate-agent-postgresql" --check-config --config "$out/agent-batman.yml"
    check "it takes a running server over" grep -q 'adopt: "running"' "$out/agent-batman.yml"
    check_output "passwords are for their owner alone" 600 mode_of "$out/passwords"
    check "no key is unknown, or could not be taken" jq -en 'input | all(.keys[]; .fate | IN("taken", "another name", "no counterpart", "default"))' "$DIR/keys.json"
    check "no secret is told" eval '! grep -q -e secret-1 -e secret-2 -e secret-3 "$DIR/keys.json"'
    check_fails "it writes over nothing" "force" kv import-patroni "$HERE/every-key.yml" --nodes a=10.0.0.1:2380 --out "$out"
    printf 'loop_wait: 10\nttl: 30\nsynchronous_mode: quorum\npostgresql:\n  parameters: {max_connections: 77}\n' >"$DIR/dynamic.yml"
    check "the present state of the store goes before the first day's" eval 'kv -o json import-patroni "$HERE/every-key.yml" --dynamic "$DIR/dynamic.yml" \
        --force --out "$DIR/imported" >"$DIR/keys.json" && jq -en "input.document | .sync == \"on\" and .postgresql.parameters.max_connections == \"77\" and (.slots == null)" "$DIR/keys.json"'
    check "nodes are guessed from its store, and that is said" jq -en 'input | any(.keys[]; .fate == "assumed")' "$DIR/keys.json"
    check "the agent takes that too" "$DIR/bin/quorate-agent-postgresql" --check-config --config "$out/agent-batman.yml"
    printf 'scope: x\nname: y\nwurst: 1\npostgresql:\n  connect_address: 10.0.0.1:5432\n  data_dir: /x\n' >"$DIR/small.yml"
    check "a key that is none of Patroni's is told of" eval 'kv import-patroni "$DIR/small.yml" --nodes a=h:1 --out "$DIR/small" | grep -q "wurst *not known"'
    printf 'scope: [\n' >"$DIR/broken.yml"
    check_fails "a file that is no YAML" "broken.yml:" kv import-patroni "$DIR/broken.yml"
    check_fails "a file that is not a member's" "connect_address\|scope" kv import-patroni "$DIR/dynamic.yml" --nodes a=h:1 --out "$DIR/none"
    if [ -n "${HTTP:-}" ]; then
        check "the quorum takes the document" kv db create batman --file "$DIR/imported/cluster.json"
        kv -o json import-patroni "$HERE/every-key.yml" --nodes a=10.0.0.1:2380 --out "$out" --force >/dev/null
        check "... and that of the first day" kv db create robin --file "$DIR/imported/cluster.json"
        check "a document of each other engine, ahead of its members" eval 'kv db create shop --engine galera && kv db create docs --engine mongodb mongodb.cut_off=stepdown'
        check_output "which knows its settings" stepdown eval 'kv -o json db config show docs | jq -r ".mongodb.cut_off // .document.mongodb.cut_off"'
    fi
}

[ $# -gt 0 ] || set -- plans first_cluster planted import
for step in "$@"; do
    start=$SECONDS
    "$step"
    note "$step took $((SECONDS - start)) s"
done
report_end host
