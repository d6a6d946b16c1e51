#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Commands of pages that no other test follows, run as they stand against three quorum nodes and a cluster of three: README.md,
# docs/databases.md, docs/recovery.md, docs/routing.md, docs/runbook.md, docs/security.md, docs/watching.md. Addresses and paths
# become those of this machine. usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
TOP=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-docs.XXXXXX")
trap 'cd "$TOP"; cluster_stop; keep_logs docs; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Lines of the plain fences of a page; prompts and comments taken off.
lines_of() { # PAGE
    awk '/^ *```/ { if (!inside) plain = $0 ~ /^ *```$/; inside = !inside; next }
        inside && plain { sub(/^ +/, ""); sub(/^[a-z]+\$ /, ""); sub(/ +# .*/, ""); sub(/^#.*/, ""); if ($0 != "") print }' "$TOP/$1"
}
here() { # TEXT: for this machine
    sed -e "s|/etc/quorate|$DIR/site/etc|g; s|/var/lib/quorate|$DIR/site/lib|g; s|-o postgres -g postgres|-o $RUN_AS -g $RUN_AS|" \
        -e "s|https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379|$ENDPOINTS|; s|https://10.0.0.1:2379/|${ENDPOINTS%%,*}/|" \
        -e "s|=127.0.0.1 standby_cluster.port=5432|=127.0.0.1 standby_cluster.port=${SQL_PORT[pg1]:-5432}|" <<<"$1"
}
run_page() { # PAGE [PATTERN]: in this shell, so that export lasts
    local line ran=0
    while IFS= read -r line <&3; do
        [[ $line =~ ${2:-.} ]] || continue
        ran=$((ran + 1))
        if eval "$(here "$line")" >"$work/out" 2>&1; then ok "$1: $line"; else bad "$1: $line" "$(cat "$work/out")"; fi
    done 3< <(lines_of "$1")
    check "$1 has commands" test "$ran" -gt 0
}
kv() { timeout 100 "$DIR/bin/kv" "$@"; }
is_synchronous() { [ "$(cluster_json | jq -r .sync)" = "any 2" ]; }

cluster_init "$work"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
wait_until 15 quorum_has_leader || die "the quorum has no leader"

# --- README.md: certificates of its own authority in one directory, then those that the nodes here know in another
mkdir "$DIR/site" "$DIR/of-its-own"
cd "$DIR/of-its-own" || exit 2
run_page README.md '^(install|kv cert) '
check "the README's certificates are there" test -s tls/node-a.crt -a -s tls/member-pg-main-pg1.key -a -s tls/admin-me.key
cd "$DIR" || exit 2
kv cert issue --dir tls --role admin --name me >/dev/null
own
EDITOR=true
export EDITOR
eval "$(here "$(lines_of README.md | grep '^export ')")"

# --- a cluster, made ahead of its first member
if eval "$(here "$(lines_of docs/databases.md | head -n 1)")" >"$work/out" 2>&1; then ok "docs/databases.md: its first command"; else bad "docs/databases.md: its first command" "$(cat "$work/out")"; fi
members_setup pg-main 3
for name in "${MEMBERS[@]}"; do member_start "$name"; done
check "it is whole" wait_until 60 cluster_is healthy
run_page README.md '^(export|kv status) ?'
run_page docs/databases.md '^kv db config'
check "two standbys have every commit, as was set" wait_until 20 is_synchronous
run_page docs/runbook.md
run_page docs/routing.md
run_page docs/watching.md
run_page docs/security.md

# --- a member that does not come back
kv db config set pg-main sync_count=1 --wait >/dev/null
[ "$(primary)" != pg3 ] || kv db switchover pg-main --to pg1 --wait >/dev/null
kill -TERM "$(pid_of pg3)"
is_silent() { [ "$(cluster_json | jq '.members[] | select(.name == "pg3") | .up')" = false ]; }
check "pg3 is stopped" wait_until 30 is_silent
check "the primary goes on without it" wait_until 30 eval '[ "$(cluster_json | jq ".voters | index(\"pg3\")")" = null ]'
run_page docs/recovery.md
check "it is forgotten" eval '[ "$(cluster_json | jq ".members | length")" = 2 ]'
report_end docs
