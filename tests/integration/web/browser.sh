#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The status page in Debian's headless Chromium, in calm, during a failover, with a lost quorum. Screenshots go to
# build/results/web. usage: browser.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
. tests/integration/web/setup.sh
. tests/integration/web/engines.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-browser.XXXXXX")
cleanup() {
    [ -n "${driver:-}" ] && kill "$driver" 2>/dev/null
    cluster_stop
    keep_logs browser
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
for tool in chromium chromedriver node npm; do
    command -v "$tool" >/dev/null || { skip "the page in a browser" "no $tool (make deps-browser)"; report_end browser; }
done
out=$PWD/build/results/web
mkdir -p "$out"
# The checker is for tests alone; its version and sum are in the lock file, the registry is whatever npm is set to.
axe=build/axe
mkdir -p "$axe"
cp tests/integration/web/axe/package*.json "$axe/"
(cd "$axe" && npm ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1) ||
    { skip "the page in a browser" "axe-core cannot be had: $(tail -n 1 "$axe/npm.log")"; report_end browser; }
web_setup "$work"
free_port DRIVER_PORT 24630
chromedriver --port="$DRIVER_PORT" >"$DIR/log/chromedriver" 2>&1 9>&- &
driver=$!
check "three nodes, three members" web_start
leader=$(quorum_leader)
look() { # STATE NODE TEXT
    local line
    while read -r line; do
        case $line in ok\ *) ok "${line#ok }" ;; FAIL\ *) bad "${line#FAIL }" ;; *) bad "browser" "$line" ;; esac
    done < <(timeout 120 node tests/integration/web/browser.mjs "http://127.0.0.1:$DRIVER_PORT" \
        "http://127.0.0.1:${METRICS_PORT[$2]}/" "$1" "$out" "$axe/node_modules/axe-core/axe.min.js" "$3" 2>&1 || echo "FAIL $1: node")
}
wait_until 5 page "$leader"
look calm "$leader" "All well"
engines_start
look engines "$leader" "All well: 3 database clusters"
engines_agree "$leader"
check_output "a calm minute leaves no line in any log" "" calm_minute

# The primary's whole host is gone: the set elects by itself, and the page says who is missing. Then the writer's, which the quorum replaces.
of() { "${KV[@]}" db show "$1" -o json --timeout 2s 2>/dev/null | jq -r "$2"; }
replaced() { local now; now=$(of "$1" .primary) && [ -n "$now" ] && [ "$now" != null ] && [ "$now" != "$2" ]; }
story_begin "$leader"
old=$(of docs .primary)
host_lost "$old"
check "the replica set has another primary" wait_until 30 replaced docs "$old"
look engines-degraded "$leader" "docs: degraded"
agent_start "$old"
check "and is whole again" wait_until 60 engine_is docs healthy
check "the log tells it in order" wait_until 10 tells docs "$leader" mongodb-primary
if [ ${#GALERA[@]} -gt 0 ]; then
    old=$(of shop .primary)
    host_lost "$old"
    check "Galera has another writer" wait_until 60 replaced shop "$old"
    check "the log tells it in order" wait_until 10 tells shop "$leader" galera-out galera-grant-live galera-formed lease-over galera-writer opened
    spawn "$old" "$DIR/bin/quorate-agent-galera" --config "$DIR/$old.yml"
    check "and is whole again" wait_until 90 engine_is shop healthy
fi

# All agents but the primary's stand still, so that the moment lasts for as long as people look at it.
old=$(primary)
for member in "${MEMBERS[@]}"; do [ "$member" = "$old" ] || kill -STOP "$(pid_of "$member")"; done
story_begin "$leader"
member_kill_host "$old"
look failover "$leader" "no primary"
check "that it waits was told" wait_until 15 eval 'told | grep -q "/waits-"'
for member in "${MEMBERS[@]}"; do [ "$member" = "$old" ] || kill -CONT "$(pid_of "$member")"; done
check "it goes on" wait_until 30 eval '[ "$(cluster_json | jq -r .epoch)" = 2 ] && cluster_is degraded'
look after "$leader" "pg-main: degraded"
check "the log tells it in order" wait_until 10 tells pg-main "$leader" "waits-[a-z-]*" failover opened

for node in "${QUORUM[@]}"; do [ "$node" = "$leader" ] || quorum_kill "$node"; done
look quorum-lost "$leader" "No quorum"
note "screenshots: build/results/web"
report_end browser
