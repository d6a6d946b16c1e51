#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Ansible role against three machines with systemd: from nothing to a cluster, again without a change, a changed setting, newer
# packages. In a sandbox; ansible's ssh is a program that enters a machine's namespaces. environment: ROOT, DEBS, DEBS_NEWER, BIN
. tests/support/report.sh
. packaging/tests/machine.sh
declare -A ON=([a]=q1 [b]=q2 [c]=q3)
work=$QUORATE_SANDBOX_DIR/control
mkdir -p "$work/machines" && cp -r packaging/ansible/. "$work/"
for s in a b c; do host_make "${ON[$s]}" "1$(printf '%d' "'$s" | awk '{ print $1 - 96 }')" 0 || { bad "a host"; report_end ansible; }; done
number=0
for s in a b c; do
    number=$((number + 1))
    check "machine $s" machine_boot "${ON[$s]}" "192.0.2.$number"
    machine "${ON[$s]}" hostname "$s"
    ln -s "$(machine_dir "${ON[$s]}")/pid" "$work/machines/192.0.2.$number"
    # lists of packages are as new as the root: there is no network here
    machine_sh "${ON[$s]}" 'mkdir -p /var/lib/apt/periodic && touch /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists'
done
[ "$FAILED" -eq 0 ] || report_end ansible
cat >"$work/ssh" <<'SH'
#!/bin/bash
# [OPTION...] ADDRESS COMMAND, as ssh
while [ $# -gt 2 ]; do shift; done
exec nsenter --target "$(cat "$(dirname "$0")/machines/$1")" --mount --uts --ipc --pid --net --cgroup --root -- env -i -C /root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LANG=C.UTF-8 /bin/sh -c "$2"
SH
chmod 755 "$work/ssh"

# --- what the README of the role says is made before
"$BIN/kv" cert ca --dir "$work/tls" >/dev/null
number=0
for s in a b c; do
    number=$((number + 1))
    "$BIN/kv" cert issue --dir "$work/tls" --role node --name "$s" --host "192.0.2.$number,$s" >/dev/null
    "$BIN/kv" cert issue --dir "$work/tls" --role agent --cluster pg-main --name "pg$number" >/dev/null
    "$BIN/kv" cert issue --dir "$work/tls" --role member --cluster pg-main --name "pg$number" --host "192.0.2.$number,$s" >/dev/null
done
"$BIN/kv" cert issue --dir "$work/tls" --role admin --name me >/dev/null
(umask 077 && printf 'replication:replication-secret\nrewind:rewind-secret\n' >"$work/passwords")
cp "$work/inventory.example.yml" "$work/inventory.yml"
play() { # OPTION...
    (cd "$work" && ANSIBLE_HOME=$work/home HOME=$work ANSIBLE_SSH_EXECUTABLE=$work/ssh ANSIBLE_SSH_TRANSFER_METHOD=piped ANSIBLE_SSH_ARGS='' ANSIBLE_HOST_KEY_CHECKING=False \
        ANSIBLE_NOCOLOR=1 timeout 280 ansible-playbook -i inventory.yml site.yml -e ansible_become=false -e quorate_packages="$DEBS" "$@") >"$work/log" 2>&1
}
recap() { grep -oE "$1=[0-9]+" "$work/log" | cut -d= -f2 | paste -sd' '; }
run_play() { play "$@" || { grep -A6 -E 'fatal|ERROR' "$work/log" | cut -c1-600 | head -n 20; return 1; }; }
kv() { nsenter --net=/run/netns/q1 -- timeout 20 "$BIN/kv" --endpoints https://192.0.2.1:2379,https://192.0.2.2:2379,https://192.0.2.3:2379 --cacert "$work/tls/ca.crt" \
    --cert "$work/tls/admin-me.crt" --key "$work/tls/admin-me.key" "$@"; }
is_healthy() { kv db list | grep -qE 'pg-main +postgresql +healthy .* 3 up'; }
postmasters() { local s; for s in a b c; do machine "${ON[$s]}" head -n 1 /var/lib/postgresql/15/pg-main/postmaster.pid; done | paste -sd' '; }
agents() { local s; for s in a b c; do machine "${ON[$s]}" systemctl show --value -p MainPID quorate-agent-postgresql@pg-main; done | paste -sd' '; }

check "the play, on servers without Quorate" run_play
check "three members become a healthy cluster" wait_for 90 is_healthy
[ "$FAILED" -eq 0 ] || { tail -n 25 "$work/log" | cut -c1-300; report_end ansible; }
before=$(postmasters) agents=$(agents)
check "the play again" run_play
check_output "changes nothing" "0 0 0" recap changed
check "a setting of the agents" run_play -e '{"quorate_agent_extra": {"tags": {"zone": "here"}}}'
check_output "which was changed on each" 3 eval 'recap changed | tr " " "\n" | grep -vc "^0$"'
check "healthy" wait_for 60 is_healthy
check "the agents were replaced or have read it" eval '[ "$(agents)" != "$agents" ] || machine q1 grep -q zone /etc/quorate/agent-pg-main.yml'
check "newer packages" run_play -e quorate_packages="$DEBS_NEWER"
check "are installed" eval '[ "$(machine q1 dpkg-query -W -f "\${Version}" quorate-quorum)" = "$(dpkg-deb -f "$DEBS_NEWER"/quorate-quorum_*.deb Version)" ]'
check "healthy" wait_for 60 is_healthy
check_output "in all of this no postmaster was restarted" "$before" postmasters
report_end ansible
