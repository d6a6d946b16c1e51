#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packages on a whole machine with systemd: installed, a quorum node used, upgraded, removed, purged. In a sandbox.
# environment: ROOT, DEBS, DEBS_NEWER
. tests/support/report.sh
. packaging/tests/machine.sh
active() { machine m1 systemctl is-active --quiet "$1"; }
property() { machine m1 systemctl show --value -p "$2" "$1"; }
(
    cd packaging/ansible && export ANSIBLE_HOME=$QUORATE_SANDBOX_DIR/ansible HOME=$QUORATE_SANDBOX_DIR XDG_CACHE_HOME=$QUORATE_SANDBOX_DIR
    ansible-playbook --syntax-check -i inventory.example.yml site.yml && ansible-lint --offline --nocolor -q site.yml
) >"$QUORATE_SANDBOX_DIR/ansible.log" 2>&1
check_output "the role passes ansible's syntax check and ansible-lint" 0 echo $?
host_make m1 11 0 || { bad "a host"; report_end packages; }
check "Debian's systemd is process 1 of a machine" machine_boot m1 192.0.2.1
[ "$FAILED" -eq 0 ] || report_end packages
note "a real systemd: $(machine m1 systemctl --version | head -n 1)"
machine_put m1 "$DEBS"/*.deb /srv/debs
machine_put m1 "$DEBS_NEWER"/*.deb /srv/newer
check "all packages are installed" machine_sh m1 'DEBIAN_FRONTEND=noninteractive dpkg -i /srv/debs/*.deb'
check "the user is there" machine m1 getent passwd quorate
check_output "sockets of guards have a place that strangers cannot write to" "drwxrwx--T root quorate" machine m1 stat -c '%A %U %G' /run/quorate
check_output "keys have a place" "drwxr-xr-x root root" machine m1 stat -c '%A %U %G' /etc/quorate/tls
check "every unit passes systemd-analyze verify" machine_sh m1 \
    'out=$(systemd-analyze verify $(cd /lib/systemd/system && ls quorat*.service | sed "s/@/@pg-main/") 2>&1); echo "$out"; [ -z "$out" ]'
check_output "the quorum node is enabled" enabled machine m1 systemctl is-enabled quorated
check_output "and does nothing without a configuration" inactive machine m1 systemctl is-active quorated
check "manual pages are found" machine_sh m1 'for p in kv quorated quorate-agent-postgresql quorate-guard quorate-proxy; do man -w $p || exit 1; done'
check_output "bash completes subcommands" "switchover" machine_sh m1 \
    '. /usr/share/bash-completion/completions/kv; COMP_WORDS=(kv db swi) COMP_CWORD=2; _kv_complete; echo "${COMPREPLY[0]}"'
check "certificates are made" machine_sh m1 'kv cert ca --dir tls && kv cert issue --dir tls --role node --name a --host 192.0.2.1,a &&
    install -o quorate -g quorate -m 600 tls/node-a.* tls/ca.crt /etc/quorate/tls/'
check "the sample of a quorum node is taken" machine_sh m1 'runuser -u quorate -- quorated --config /usr/share/quorate/samples/quorated.yml --check-config'

# --- a quorum node by its unit
machine_sh m1 'cat >/etc/quorate/quorated.yml <<YML
name: a
data_dir: /var/lib/quorate/quorum
insecure: yes
quorum:
  nodes: {a: "127.0.0.1:2380"}
YML
systemctl start quorated'
check_output "it is up when systemctl start returns" active machine m1 systemctl is-active quorated
check_output "a write is taken" OK machine m1 kv put a 1
check_output "its data belong to it alone" "drwx------ quorate quorate" machine m1 stat -c '%A %U %G' /var/lib/quorate/quorum
pid=$(property quorated MainPID)
check_output "it runs as its own user" quorate machine m1 ps -o user= -p "$pid"
check "without any capability" eval '[ "$(machine m1 grep CapEff "/proc/$pid/status" | cut -f 2)" = 0000000000000000 ]'
machine m1 kill -STOP "$pid"
check "the watchdog replaces one that hangs" wait_for 30 eval '[ "$(property quorated NRestarts)" = 1 ] && active quorated'
check "which has kept what it had" wait_for 10 eval '[ "$(machine m1 kv get a --print-value-only)" = 1 ]'
machine m1 kill -KILL "$(property quorated MainPID)"
check "so is one that is killed" wait_for 30 eval '[ "$(property quorated NRestarts)" = 2 ] && active quorated'
pid=$(property quorated MainPID)
check "an upgrade is installed" machine_sh m1 'dpkg -i /srv/newer/*.deb'
check "and has replaced the program" eval '[ "$(property quorated MainPID)" != "$pid" ] && active quorated'
check_output "what was written is there" 1 machine m1 kv get a --print-value-only
check "going back is an installation as well" machine_sh m1 'dpkg -i /srv/debs/*.deb'
check_output "what was written is there" 1 machine m1 kv get a --print-value-only

# --- gone again
check "the packages are removed" machine_sh m1 'dpkg -r $(dpkg-query -f "\${Package} " -W "quorate-*")'
check "and purged" machine_sh m1 'dpkg -P $(dpkg-query -f "\${Package} " -W "quorate-*")'
check_output "nothing of them runs" "" machine m1 pgrep -l quorate
check "the operator's configuration and the node's promises stay" machine_sh m1 '[ -e /etc/quorate/quorated.yml ] && [ -d /var/lib/quorate/quorum/wal ]'
machine_sh m1 'rm -rf /etc/quorate /var/lib/quorate'
check_output "no file is left" "" machine_sh m1 'find /etc /usr /lib /var/lib -xdev \( -name "*quorate*" -o -name quorated* \) ! -path "*/deb-systemd*" ! -path "/var/lib/systemd/*" | head'
machine_off m1
report_end packages
