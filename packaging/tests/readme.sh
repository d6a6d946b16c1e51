#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# "A first real cluster on three servers" of README.md, to the letter, on three machines without any package of Quorate: its commands,
# its two configurations, its addresses. In a sandbox. environment: ROOT, INSTALLED (what `make install PREFIX=/usr` wrote)
. tests/support/report.sh
. packaging/tests/machine.sh
declare -A ON=([a]=q1 [b]=q2 [c]=q3)
number() { printf '%d' "'$1" | awk '{ print $1 - 96 }'; } # a is 1
tree() { echo "$(machine_dir "${ON[$1]}")/tree"; }
home() { echo "$(tree "$1")/root"; }
path() { sed -n '/^## A first real cluster/,/^## /p' README.md; }
commands() { path | awk '/^ *```$/ { on = !on; next } on { sub(/^ +/, ""); sub(/ +# .*/, ""); print }' | grep -E "^($1)"; }
config() { path | awk -v want="$1" '/^ *```yaml/ { n++; on = n == want; next } /^ *```/ { on = 0 } on { sub(/^   /, ""); print }'; }
# What stands there for a (member pg1), for another one.
as() { local n; n=$(number "$1"); sed "s/--name a /--name $1 /; s/node-a\\./node-$1./; s/^name: a$/name: $1/; s/pg1/pg$n/g; s/10\\.0\\.0\\.1,a/10.0.0.$n,$1/
    s/^advertise: 10\\.0\\.0\\.1/advertise: 10.0.0.$n/; s/listen: 10\\.0\\.0\\.1/listen: 10.0.0.$n/"; }
for s in a b c; do host_make "${ON[$s]}" "1$(number "$s")" 0 || { bad "a host"; report_end readme; }; done
for s in a b c; do
    check "machine $s" machine_boot "${ON[$s]}" "10.0.0.$(number "$s")"
    check "$s: make install PREFIX=/usr" cp -a "$INSTALLED/." "$(tree "$s")/"
    while IFS= read -r line <&3; do check "$s: $line" machine_sh "${ON[$s]}" "$line"; done 3< <(commands 'install')
done
[ "$FAILED" -eq 0 ] || report_end readme

# --- certificates on a, copied
while IFS= read -r line <&3; do
    check "a: $line" machine_sh q1 "$line"
    [[ $line != *node* && $line != *pg1* ]] || for s in b c; do check "a: likewise for $s" machine_sh q1 "$(as "$s" <<<"$line")"; done
done 3< <(commands 'kv cert')
for s in a b c; do
    cp "$(home a)"/tls/{ca.crt,node-"$s".*,*-pg-main-pg"$(number "$s")".*} "$(tree "$s")/etc/quorate/tls/"
    machine_sh "${ON[$s]}" 'chown postgres: /etc/quorate/tls/{agent,member}-*.key && (umask 077 && printf "replication:first-word\nrewind:second-word\n" >/etc/quorate/passwords) &&
        chown postgres: /etc/quorate/passwords' || bad "files of $s"
    config 1 | as "$s" >"$(tree "$s")/etc/quorate/quorated.yml"
    config 2 | as "$s" >"$(tree "$s")/etc/quorate/agent-pg-main.yml"
    check "$s: quorated --check-config" machine_sh "${ON[$s]}" 'quorated --config /etc/quorate/quorated.yml --check-config'
    check "$s: the agent's file is good" machine_sh "${ON[$s]}" 'quorate-agent-postgresql --config /etc/quorate/agent-pg-main.yml --check-config'
    check "$s: Debian's service is off" machine_sh "${ON[$s]}" 'systemctl disable --now postgresql'
done
start() { machine_sh "${ON[$1]}" "setsid $2 >/var/log/${2%% *}.log 2>&1 </dev/null &"; }
for s in a b c; do start "$s" "quorated --config /etc/quorate/quorated.yml"; done
for s in a b c; do start "$s" "quorate-agent-postgresql --config /etc/quorate/agent-pg-main.yml"; done
step5=$(commands 'export|kv status' | paste -sd';')
is_whole() { machine_sh q1 "$step5" >"$QUORATE_SANDBOX_DIR/seen" 2>&1 && machine_sh q1 "${step5%;kv status*}; kv db list" | grep -qE 'pg-main +postgresql +healthy .* 3 up'; }
check "kv status && kv db show pg-main" wait_for 120 is_whole
[ "$FAILED" -eq 0 ] || for s in a b c; do machine_sh "${ON[$s]}" 'tail -n 5 /var/log/quorate*.log'; done
check "it shows three members" eval '[ "$(grep -cE "^pg[123] " "$QUORATE_SANDBOX_DIR/seen")" = 3 ]'
check_output "kv db dsn names them all" 3 eval 'machine_sh q1 "${step5%;kv status*}; kv db dsn pg-main" | grep -oE "10\.0\.0\.[123]" | sort -u | wc -l'
report_end readme
