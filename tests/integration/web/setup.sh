#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A quorum of three with its status page and a webhook, three PostgreSQL members, a proxy: sourced by run.sh and by the
# browser's tests. Needs cluster.sh and report.sh.

# web_setup DIR: all configuration; web_start: everything runs and the cluster is healthy
web_setup() {
    local node
    cluster_init "$1"
    quorum_setup 3
    for role in viewer:eve admin:late; do
        "$DIR/bin/kv" cert issue --role "${role%:*}" --name "${role#*:}" --dir "$DIR/tls" >/dev/null || die "no certificate"
    done
    "$DIR/bin/kv" cert issue --role node --name hook --host 127.0.0.1 --dir "$DIR/tls" >/dev/null || die "no certificate"
    free_port HOOK_PORT 24600
    free_port PROXY_STATUS 24610
    free_port PROXY_SQL 24620
    mkdir -p "$DIR/notify"
    cat >"$DIR/notify/record" <<'SH'
#!/bin/sh
[ ! -e "$(dirname "$0")/broken" ] || exit 7
echo "$QUORATE_ID $QUORATE_EVENT $QUORATE_CLUSTER" >>"$(dirname "$0")/told"
SH
    chmod 755 "$DIR/notify/record"
    echo "hook-secret" >"$DIR/token"
    echo "ops:open sesame" >"$DIR/people"
    chmod 600 "$DIR/token" "$DIR/people"
    for node in "${QUORUM[@]}"; do
        cat >>"$DIR/$node.yml" <<YML
status_password_file: $DIR/people
notify:
  dir: $DIR/notify
  command: record
  url: https://127.0.0.1:$HOOK_PORT/events?from=test
  token_file: $DIR/token
  ca: $DIR/tls/ca.crt
YML
    done
    members_setup pg-main 3
}
hook_start() {
    (exec python3 tests/integration/web/hook.py "$HOOK_PORT" "$DIR/tls/node-hook.crt" "$DIR/tls/node-hook.key" "$DIR/hook") \
        >"$DIR/log/hook" 2>&1 9>&- &
    remember hook $!
    disown
}
web_start() {
    local node member
    hook_start
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    wait_until 15 quorum_has_leader || return 1
    for member in "${MEMBERS[@]}"; do member_start "$member"; done
    wait_until 90 cluster_is healthy
}
proxy_start() {
    cat >"$DIR/proxy.yml" <<YML
cluster: pg-main
primary: {listen: "127.0.0.1:$PROXY_SQL"}
replicas: {listen: "off"}
quorum: {endpoints: [$(sed 's/[^,]*/"&"/g' <<<"$ENDPOINTS")]}
tls: {ca: $DIR/tls/ca.crt, cert: $DIR/tls/viewer-eve.crt, key: $DIR/tls/viewer-eve.key}
http: {listen: "127.0.0.1:$PROXY_STATUS"}
YML
    cp -f "$BIN/quorate-proxy" "$DIR/bin/"
    own
    spawn proxy "$DIR/bin/quorate-proxy" --config "$DIR/proxy.yml"
}
page() { curl -sf -m 5 "http://127.0.0.1:${METRICS_PORT[$1]}${2:-/}"; } # NODE [PATH]: plain, on loopback
told() { cut -d' ' -f1 "$DIR/notify/told" 2>/dev/null; }               # ids, in the order of their delivery
has_told() { told | grep -qx "$1"; }
