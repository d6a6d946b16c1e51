#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three machines with systemd, and every command of docs/install.md and docs/upgrade.md run on them as it stands there; a writer
# runs during the upgrade. In a sandbox. environment: ROOT, DEBS, DEBS_NEWER, BIN
. tests/support/report.sh
. packaging/tests/machine.sh
declare -A ON=([a]=q1 [b]=q2 [c]=q3) ADDRESS=([a]=192.0.2.1 [b]=192.0.2.2 [c]=192.0.2.3) MEMBER=([a]=pg1 [b]=pg2 [c]=pg3)
home() { echo "$(machine_dir "${ON[$1]}")/tree/root"; }
try() { # SERVER COMMAND: tried again for a while, as an operator would
    local end=$((SECONDS + ${TRY:-30})) out
    until out=$(machine_sh "${ON[$1]}" "$2" 2>&1); do
        [ "$SECONDS" -lt "$end" ] || { echo "$out"; return 1; }
        sleep 0.3
    done
    echo "$out"
}
is_healthy() { machine_sh q1 "kv db list | grep -E 'pg-main +postgresql +healthy .* 3 up'"; }
copy() { # certificates|passwords
    local s etc
    for s in a b c; do
        etc=$(machine_dir "${ON[$s]}")/tree/etc/quorate
        case $1 in
        certificates) cp "$(home a)"/tls/{ca.crt,node-"$s".*,*-pg-main-"${MEMBER[$s]}".*} "$etc/tls/" ;;
        passwords) [ "$s" = a ] || cp -p "$(machine_dir q1)/tree/etc/quorate/passwords" "$etc/" ;;
        esac || bad "copy of $1 to $s"
    done
}
postmasters() { local s; for s in a b c; do machine "${ON[$s]}" head -n 1 /var/lib/postgresql/15/pg-main/postmaster.pid; done | paste -sd' '; }
guards() { local s; for s in a b c; do machine "${ON[$s]}" pgrep -x quorate-guard; done | paste -sd' '; }
record() { machine_sh q1 'kv get /quorate/v1/clusters/pg-main/record --print-value-only' | jq -c '[.epoch, .holder]'; }
# Commands of a page. `each$` is a block that is done with one server before it is begun with the next.
page() { # FILE
    local line s block=() is_each=""
    while IFS= read -r line <&3; do
        case $line in
        '<!-- copy '*) line=${line#<!-- copy }; copy "${line% -->}" ;;
        '```')
            if [ -n "$is_each" ]; then
                for s in a b c; do
                    for line in "${block[@]}"; do
                        case $line in each*) check "$s: ${line#*\$ }" try "$s" "${line#*\$ }" ;; *) check "$line" try "${line%%\$*}" "${line#*\$ }" ;; esac
                    done
                done
            else
                for line in "${block[@]}"; do
                    case $line in
                    all*) for s in a b c; do check "$s: ${line#*\$ }" try "$s" "${line#*\$ }"; done ;;
                    *) check "$line" try "${line%%\$*}" "${line#*\$ }" ;;
                    esac
                done
            fi
            block=() is_each=""
            ;;
        *) block+=("$line"); [[ $line != each* ]] || is_each=yes ;;
        esac
    done 3< <(awk '/^(```|<!--)/ || /^([a-c]|all|each)\$ /' "$1")
}

for s in a b c; do
    host_make "${ON[$s]}" "1${ADDRESS[$s]##*.}" 0 || { bad "a host"; report_end servers; }
done
for s in a b c; do
    check "machine $s" machine_boot "${ON[$s]}" "${ADDRESS[$s]}"
    machine "${ON[$s]}" hostname "$s"
    cp "$DEBS"/*.deb "$(home "$s")/" && mkdir "$(home "$s")/newer" && cp "$DEBS_NEWER"/*.deb "$(home "$s")/newer/"
done
[ "$FAILED" -eq 0 ] || report_end servers
note "a real systemd on each: $(machine q1 systemctl --version | head -n 1)"
check "systemd brought the server's own PostgreSQL up" try a 'pg_lsclusters -h | grep -q "15 *main *5432 online"'
page <(sed '/^Removing: /,$d' docs/install.md)

check "the cluster is healthy" wait_for 60 is_healthy
if [ "$FAILED" -gt 0 ]; then # the rest would tell nothing
    for s in a b c; do machine "${ON[$s]}" journalctl --no-pager -n 15 -u quorated -u 'quorate-agent-postgresql@*'; done
    report_end servers
fi
guard_began() { machine_sh q1 "grep -h 'ev=begin' /var/lib/quorate/pg-main/guard.log | tail -n 1"; }
check "the guard's memory is locked" eval 'guard_began | grep -q locked=1'
if prlimit --rtprio=10:10 true 2>/dev/null; then
    check "and its priority is real time" eval 'guard_began | grep -q realtime=1'
else
    skip "the guard's real-time priority" "nobody may raise that limit on this machine (no CAP_SYS_RESOURCE)"
fi
check "the database has a cgroup of its own below the unit" machine_sh q1 \
    'grep -q "quorate-agent-postgresql@pg-main.service/quorate-pg-main.pg1.guard" /proc/$(head -n 1 /var/lib/postgresql/15/pg-main/postmaster.pid)/cgroup'
check "frozen and killed by that cgroup" machine_sh q1 "grep -h ev=begin /var/lib/quorate/pg-main/guard.log | tail -n 1 | grep -q 'cgroup=/sys'"
check_output "sessions are as other programs when memory runs out" 0 machine_sh q1 \
    'cat /proc/$(pgrep -P $(head -n 1 /var/lib/postgresql/15/pg-main/postmaster.pid) | head -n 1)/oom_score_adj'

# --- a writer on a member's host, by a role of its own
machine_sh q2 "cd / && runuser -u postgres -- psql -qX -d postgres -c \"CREATE TABLE acked (writer int, n bigint, PRIMARY KEY (writer, n))\" -c \"CREATE ROLE writer LOGIN PASSWORD 'w'\" -c 'GRANT ALL ON acked TO writer'" ||
    bad "a table for the writer"
ACKED=$QUORATE_SANDBOX_DIR/acked
client_spawn q1 "$QUORATE_SANDBOX_DIR/pgload.log" "$BIN/pgload" --members 192.0.2.1:5432,192.0.2.2:5432,192.0.2.3:5432 --table acked --clients 2 --out "$ACKED" \
    --pause-us 5000 --conninfo "user=writer password=w dbname=postgres sslmode=require" >"$QUORATE_SANDBOX_DIR/pgload.pid"
check "a writer's rows are acknowledged" wait_for 20 test -s "$ACKED"
before=$(postmasters) guards_before=$(guards) record_before=$(record)
page docs/upgrade.md
wait_for 30 is_healthy
check_output "no postmaster was restarted by an upgrade and the way back" "$before" postmasters
check_output "no guard either" "$guards_before" guards
check_output "the same primary in the same epoch" "$record_before" record
check "each guard took the new program and the old one again" eval '[ "$(for s in a b c; do machine "${ON[$s]}" grep -ohE "upgrades=2" /var/lib/quorate/pg-main/guard.log | tail -n 1; done | wc -l)" = 3 ]'
kill -TERM "$(<"$QUORATE_SANDBOX_DIR/pgload.pid")" 2>/dev/null
wait_for 10 eval '! kill -0 "$(<"$QUORATE_SANDBOX_DIR/pgload.pid")" 2>/dev/null'
rows=$(sort -u <(awk '{ print $2, $3 }' "$ACKED") | wc -l)
stored=$(machine_sh q2 "cd / && runuser -u postgres -- psql -qXAt -d postgres -c 'SELECT writer || chr(32) || n FROM acked'" | sort)
check_output "no acknowledged row is lost" "" comm -23 <(awk '{ print $2, $3 }' "$ACKED" | sort -u) <(echo "$stored")
note "$rows rows acknowledged; longest gap $(awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%d ms", gap / 1000 }' <(sort -n "$ACKED"))"

# --- a reboot, and the end
check "a machine that is shut down hands over and comes back" machine_off q2
check "the others go on" wait_for 20 eval '[ "$(record)" != "$record_before" ]'
check "it boots again" machine_boot q2 192.0.2.2
check "and its member is back by itself" wait_for 60 is_healthy
check_fails "an agent's package is not removed under its database" "nothing is removed before" machine q3 apt-get remove -y quorate-agent-postgresql
page <(sed -n '/^Removing: /,$p' docs/install.md)
check_output "what it managed has stopped" "" machine q3 pgrep -x postgres
report_end servers
