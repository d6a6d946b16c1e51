#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The status page over plain HTTP against real nodes: its data equals `kv -o json`, who may look, a failover live, a
# lost quorum; metrics; events to a program and a webhook; the audit. usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
. tests/integration/web/setup.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-web.XXXXXX")
cleanup() {
    cluster_stop
    keep_logs web
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
web_setup "$work"
check "three nodes, three members" web_start
leader=$(quorum_leader)
for node in "${QUORUM[@]}"; do [ "$node" = "$leader" ] || follower=$node; done

# --- the page is what `kv -o json` says
page "$leader" >"$work/page"
check "the headline" grep -q "All well: 1 database cluster" "$work/page"
check "nothing comes from elsewhere" eval '! grep -oE "(src|href)=\"[^\"]*\"" "$work/page" | grep -vE "\"(/status\.(css|js|json)|/metrics|#main|data:,)\""'
check "no inline script or style" eval '! grep -qiE "<style|style=|<script>| on[a-z]+=" "$work/page"'
check "without a script it loads again" grep -q '<noscript><meta http-equiv="refresh" content="5">' "$work/page"
# What moves with each report is left out of the comparison, on both sides.
still() {
    jq -S '.clusters | map(del(.since_wall_us) | .members |= map(del(.lsn, .replay_lsn, .lag_bytes, .seen_ago_us, .lease_left_us,
        .pause_worst_us, .connections, .disk_free_bytes, .since_wall_us)))'
}
same_data() { [ "$(page "$leader" /status.json | still)" = "$("${KV[@]}" db list -o json | still)" ]; }
check "status.json has what kv db list -o json has" wait_until 5 same_data
rows_of_page() { grep -oE 'data-member="[^"]*" data-role="[^"]*" data-state="[^"]*"' | sed -E 's/data-[a-z]+="([^"]*)"/\1/g'; }
rows_of_json() { jq -r '.clusters[].members[] | "\(.name) \(.role) \(.state)"'; }
same_rows() { [ "$(page "$1" | rows_of_page)" = "$("${KV[@]}" db list -o json | rows_of_json)" ]; }
check "the table of members too" wait_until 5 same_rows "$leader"
check "and on a node that does not lead" wait_until 5 same_rows "$follower"
check "which says so" eval 'page "$follower" | grep -q "This node follows"'
check "the quorum's nodes" eval '[ "$(page "$leader" | grep -c "data-state=\"up\"")" = 3 ]'
check "the first primary's epoch is in its story" wait_until 5 eval 'page "$leader" | grep -q "data-entry=\"1\" data-kind=\"bootstrap\""'
check "kv db history says the same" eval '[ "$("${KV[@]}" db history pg-main -o json | jq length)" = "$(page "$leader" /status.json | jq ".history[\"pg-main\"] | length")" ]'

# --- answers
headers() { curl -s -m 5 -D - -o /dev/null "$@" "http://127.0.0.1:${METRICS_PORT[$leader]}/"; }
check "a policy that forbids what the page does not need" eval 'headers | grep -qi "^content-security-policy: default-src .none.; style-src .self.; script-src .self."'
check "style" eval 'page "$leader" /status.css | grep -q prefers-color-scheme'
check "script" eval 'page "$leader" /status.js | grep -q EventSource'
check "HEAD" eval 'headers -I | grep -q "200 OK"'
check "POST is refused" eval 'headers -X POST | grep -q "405"'
check "a page of another site is not served" eval 'headers -H "Host: evil.example.org:2381" | grep -q "403"'

# --- who may look, on the public port
code() { curl -s -o /dev/null -m 5 -w '%{http_code}' --cacert "$DIR/tls/ca.crt" "$@"; }
with() { code --cert "$DIR/tls/$1.crt" --key "$DIR/tls/$1.key" "https://127.0.0.1:${CLIENT_PORT[$leader]}${2:-/}"; }
url="https://127.0.0.1:${CLIENT_PORT[$leader]}"
for path in / /status.json /status/live /metrics; do
    check_output "nobody: $path" 401 code "$url$path"
    check_output "an agent: $path" 401 with agent-pg-main-pg1 $path
    check_output "a node: $path" 401 with node-hook $path
done
check_output "a viewer" 200 with viewer-eve
check_output "a viewer's metrics" 200 with viewer-eve /metrics
check_output "an admin" 200 with admin-late
check_output "a password" 200 code -u "ops:open sesame" "$url/"
check_output "a wrong password" 401 code -u "ops:shut" "$url/"
for _ in $(seq 10); do code -u "ops:guess" "$url/" >/dev/null; done
check_output "too many wrong ones: not even the right one is looked at" 429 code -u "ops:open sesame" "$url/"
check_output "a viewer is not held up by that" 200 with viewer-eve
check_output "health is for everybody" 200 code "$url/health"

# --- metrics: all that the tables name exist in a scrape
proxy_start
check "the proxy runs" wait_until 10 curl -sf "http://127.0.0.1:$PROXY_STATUS/ready"
scrape() {
    page "$leader" /metrics
    for member in "${MEMBERS[@]}"; do curl -sf "http://127.0.0.1:${HTTP_PORT[$member]}/metrics"; done
    curl -sf "http://127.0.0.1:$PROXY_STATUS/metrics"
}
scrape >"$work/scrape"
# Those of other engines' agents are in the scrapes of members that run them (tests/integration/galera, tests/integration/mongodb).
check_output "every metric of the tables is in a scrape" "" eval \
    '"$BIN/reference" names | grep -vE "^quorate_(galera|mongodb)_" | sort -u | comm -23 - <(sed -n "s/^\([a-z_0-9]*\)[ {].*/\1/p" "$work/scrape" | sort -u)'
check_output "and every metric of a scrape is in a table" "" eval \
    '"$BIN/reference" names | sort -u | comm -13 - <(sed -n "s/^\([a-z_0-9]*\)[ {].*/\1/p" "$work/scrape" | sort -u)'
metric() { page "$1" /metrics | awk -v name="$2" 'index($0, name) == 1 { print $NF }' | head -n 1; }
check_output "the leader has a primary" 1 metric "$leader" 'quorate_database_has_primary{cluster="pg-main"}'
check_output "others say nothing of databases" "" metric "$follower" quorate_database_

# --- a failover, live
curl -sN -m 60 "http://127.0.0.1:${METRICS_PORT[$leader]}/status/live" >"$work/live" 9>&- &
viewer=$!
check "the page is kept live" wait_until 5 grep -q "^event: part" "$work/live"
check_output "one is counted" 1 metric "$leader" quorate_status_viewers
check "the first event was told" wait_until 10 has_told pg-main/1.0/failover
old=$(primary)
member_kill_host "$old"
check "another primary" wait_until 20 eval '[ "$(cluster_json | jq -r .epoch)" = 2 ] && cluster_is degraded'
new=$(cluster_json | jq -r .primary)
check "the page went through it without being loaded again" wait_until 5 eval \
    'grep -q "data-primary=\"$old\"" "$work/live" && grep -q "data-primary=\"$new\"" "$work/live"'
check "its seconds are there" wait_until 5 eval 'page "$leader" | grep -A12 "data-entry=\"2\" data-kind=\"failover\"" | grep -q "until the old right was over"'
check "the failover was told, once" wait_until 10 eval '[ "$(told | grep -cx pg-main/2.0/failover)" = 1 ]'
check "what it waited for on its way was not" eval '! told | grep -q /waits-'
kill "$viewer" 2>/dev/null
wait "$viewer" 2>/dev/null
check "nobody looks any more" wait_until 5 eval '[ "$(metric "$leader" quorate_status_viewers)" = 0 ]'

# --- events over a change of the leader: nothing is lost, ids are the same
touch "$DIR/notify/broken"
"${KV[@]}" db pause pg-main >/dev/null
check "what cannot be delivered is tried again" wait_until 10 eval '[ "$(metric "$leader" quorate_notify_failed_total)" -ge 1 ]'
quorum_kill "$leader"
rm "$DIR/notify/broken"
check "the next leader tells it" wait_until 15 eval 'told | grep -q "pg-main/2\.[0-9]*/paused"'
check "the webhook has the same ids, with the secret" wait_until 5 eval \
    '[ "$(cut -d" " -f1 "$DIR/hook" | sort -u)" = "$(told | sort -u)" ] && ! grep -v " Bearer hook-secret {" "$DIR/hook" | grep -q .'
check "what it gets is JSON" eval 'tail -n 1 "$DIR/hook" | cut -d" " -f4- | jq -e ".id and .event and .text" >/dev/null'

echo "other-secret" >"$DIR/token"
"${KV[@]}" db resume pg-main >/dev/null
"${KV[@]}" db pause pg-main >/dev/null
check "a secret that was replaced goes with the next event" wait_until 15 eval 'tail -n 1 "$DIR/hook" | grep -q " Bearer other-secret {"'

# --- the audit
second=$(quorum_leader)
"${KV[@]:0:3}" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/viewer-eve.crt" --key "$DIR/tls/viewer-eve.key" db resume pg-main >/dev/null 2>&1
audit() { cat "$DIR"/log/q[123] | grep "mod=audit ev=control"; }
check "who paused it" eval 'audit | grep "method=/quorate.v1.Databases/Pause" | grep "who=\"admin admin\"" | grep "request=\"\?cluster=pg-main" | grep -q "answer=OK"'
check "whose resume was refused" eval 'audit | grep "who=\"viewer eve\"" | grep -q "answer=PermissionDenied"'

# --- a lost quorum
for node in "${QUORUM[@]}"; do [ "$node" = "$leader" ] || [ "$node" = "$second" ] || last=$node; done
quorum_kill "$second"
check "the last node says it" wait_until 10 eval 'page "$last" | grep -q "No quorum: nothing can be decided"'
check "and shows what it knows" eval 'page "$last" | grep -q "data-cluster=\"pg-main\""'
check "and what happened before, from its own store" wait_until 5 eval 'page "$last" | grep -q "data-kind=\"failover\""'
check "it tells it by itself" wait_until 20 eval 'told | grep -q "^$last/[0-9]*/quorum-lost"'
quorum_start "$second"
check "and that it is over" wait_until 20 eval 'told | grep -q "^$last/[0-9]*/quorum-back"'

# --- a certificate that ends
rm "$DIR/tls/node-$last.crt" "$DIR/tls/node-$last.key"
"$DIR/bin/kv" cert issue --role node --name "$last" --host 127.0.0.1,localhost --dir "$DIR/tls" --days 5 >/dev/null
own
check "a certificate that ends is told, by its node" wait_until 15 eval 'told | grep -q "^$last/[0-9]*/certificate-ends"'
check "the page says what to do" eval 'page "$last" | grep -q "This node.s certificate ends"'
check "the metric knows the day" eval '[ "$(metric "$last" quorate_certificate_not_after_seconds)" -lt $(($(date +%s) + 6 * 86400)) ]'

# --- other passwords
echo "ops:another one" >"$DIR/people"
url="https://127.0.0.1:${CLIENT_PORT[$last]}"
eve() { code --cert "$DIR/tls/viewer-eve.crt" --key "$DIR/tls/viewer-eve.key" "$url/"; }
check "a file of passwords that has changed is read again" wait_until 15 eval 'eve >/dev/null; grep -q "mod=web ev=reloaded" "$DIR/log/$last"'
check_output "the new one" 200 code -u "ops:another one" "$url/"
check_output "the former one" 401 code -u "ops:open sesame" "$url/"
report_end web
