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

# --- agents: of Galera by its unit, of PostgreSQL by hand as root, beside the directory of sockets that the units share
http_is() { [ "$(machine m1 curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$1$2")" = 200 ]; }
agent_file() { # CLUSTER HTTP-PORT ENGINE LINES
    machine m1 bash -c 'umask 022 && cat >"/etc/quorate/agent-$1.yml"' - "$1" <<YML
cluster: {name: $1}
member: m1
advertise: 127.0.0.1
insecure: yes
quorum:
  nodes: {a: "127.0.0.1:2380"}
http: {listen: "127.0.0.1:$2"}
state_dir: /var/lib/quorate/$1
run_dir: /run/quorate
$3:
$4
YML
}
secrets() { # CLUSTER USER LINE...
    machine m1 bash -c 'umask 077 && printf "%s\n" "${@:3}" >"/etc/quorate/passwords-$1" && chown "$2:" "/etc/quorate/passwords-$1"' - "$@"
}
if machine m1 test -e /lib/systemd/system/quorate-agent-galera@.service; then
    unit=quorate-agent-galera@shop
    mariadbd() { machine m1 pgrep -x mariadbd; }
    secrets shop mysql check:check-secret agent:agent-secret sst:transfer-secret
    machine m1 install -d -o mysql -g mysql /var/lib/mysql-shop
    agent_file shop 8018 galera '  data_dir: /var/lib/mysql-shop
  listen: 127.0.0.1
  members: {m1: "127.0.0.1:4567"}
  password_file: /etc/quorate/passwords-shop'
    check "kv doctor finds what that agent needs" machine m1 kv doctor --only configuration,permissions,versions,ports,managers
    check "the agent for Galera is started by its unit" machine m1 systemctl start "$unit"
    check "its server becomes the writer" wait_for 90 http_is 8018 /writer
    [ "$FAILED" -eq 0 ] || { machine m1 journalctl --no-pager -n 15 -u "$unit"; report_end packages; }
    check "in a cgroup of its own below the unit" eval 'machine m1 cat "/proc/$(mariadbd)/cgroup" | grep -q "quorate-agent-galera@shop.service/quorate-shop.m1.guard"'
    server=$(mariadbd)
    machine m1 kill -KILL "$(property "$unit" MainPID)"
    check "an agent that is killed comes back" wait_for 30 eval '[ "$(property "$unit" NRestarts)" = 1 ] && active "$unit" && http_is 8018 /writer'
    check_output "under the same server" "$server" mariadbd
    check "reload replaces the agent alone" machine m1 systemctl reload "$unit"
    check "which serves" wait_for 30 http_is 8018 /writer
    check_output "under the same server" "$server" mariadbd
    check "stopped" machine m1 systemctl stop "$unit"
    check_output "the server with it" "" mariadbd
else
    skip "the agent for Galera under its unit" "it is not among the packages"
fi
if machine m1 test -e /lib/systemd/system/quorate-agent-mongodb@.service && [ -x "$BIN/mongosim" ]; then
    # Debian has no mongod: tests/mongosim stands in.
    unit=quorate-agent-mongodb@docs
    mongod() { machine m1 pgrep -f 'mongosim node'; }
    machine_put m1 "$BIN/mongosim" /usr/local/bin
    machine m1 useradd --system --home-dir /nonexistent mongodb
    machine m1 install -d -o mongodb -g mongodb /var/lib/mongodb-docs /var/lib/mongodb-hub
    machine_sh m1 'printf "#!/bin/sh\nexec /usr/local/bin/mongosim node /var/lib/mongodb-hub \"\$@\"\n" >/usr/local/bin/mongod && chmod 755 /usr/local/bin/mongod'
    machine m1 systemd-run --quiet --unit=mongosim --uid=mongodb /usr/local/bin/mongosim hub /var/lib/mongodb-hub --speed 5 --set rs0
    agent_file docs 8038 mongodb '  mongod: /usr/local/bin/mongod
  data_dir: /var/lib/mongodb-docs
  listen: 127.0.0.1
  replica_set: rs0
  login: none
  cluster_auth: none
  members: {m1: "127.0.0.1:27017"}'
    check "the agent for MongoDB is started by its unit" machine m1 systemctl start "$unit"
    check "its set has a primary (mongosim in the place of mongod)" wait_for 60 http_is 8038 /primary
    [ "$FAILED" -eq 0 ] || { machine m1 journalctl --no-pager -n 15 -u "$unit" -u mongosim; report_end packages; }
    server=$(mongod)
    machine m1 kill -KILL "$(property "$unit" MainPID)"
    check "an agent that is killed comes back" wait_for 30 eval '[ "$(property "$unit" NRestarts)" = 1 ] && active "$unit" && http_is 8038 /primary'
    check_output "under the same server" "$server" mongod
    check "reload replaces the agent alone" machine m1 systemctl reload "$unit"
    check "which serves" wait_for 30 http_is 8038 /primary
    check_output "under the same server" "$server" mongod
    docs=$unit # it goes on under an upgrade, below
else
    skip "the agent for MongoDB under its unit" "it is not among the packages, or mongosim is not built"
fi
secrets hand postgres replication:replication-secret rewind:rewind-secret
machine m1 systemctl stop postgresql
agent_file hand 8028 postgresql '  data_dir: /var/lib/postgresql/15/hand
  listen: 127.0.0.1
  port: 5442
  password_file: /etc/quorate/passwords-hand'
machine_sh m1 'setsid quorate-agent-postgresql --config /etc/quorate/agent-hand.yml >/var/log/hand.log 2>&1 </dev/null &'
check "an agent that root starts by hand becomes postgres and serves" wait_for 60 http_is 8028 /primary
check "its guard's socket lies in the directory of the units" machine m1 test -S /run/quorate/hand.m1.guard
machine m1 pkill -TERM -f '^quorate-agent-postgresql --config /etc/quorate/agent-hand.yml'
check "it ends, its database with it" wait_for 60 eval '[ -z "$(machine m1 pgrep -f -- "-D /var/lib/postgresql/15/hand")" ]'
[ "$FAILED" -eq 0 ] || machine m1 tail -n 5 /var/log/hand.log
pid=$(property quorated MainPID)
check "an upgrade is installed" machine_sh m1 'dpkg -i /srv/newer/*.deb'
check "and has replaced the program" eval '[ "$(property quorated MainPID)" != "$pid" ] && active quorated'
check_output "what was written is there" 1 machine m1 kv get a --print-value-only
if [ -n "${docs:-}" ]; then
    check "the agent for MongoDB serves after it" wait_for 30 eval 'active "$docs" && http_is 8038 /primary'
    check_output "under the same server" "$server" mongod
    check "stopped" machine m1 systemctl stop "$docs"
    check_output "the server with it" "" mongod
    machine m1 systemctl stop mongosim
fi
check "going back is an installation as well" machine_sh m1 'dpkg -i /srv/debs/*.deb'
check_output "what was written is there" 1 machine m1 kv get a --print-value-only

# --- gone again
check "the packages are removed" machine_sh m1 'dpkg -r $(dpkg-query -f "\${Package} " -W "quorate-*")'
check "and purged" machine_sh m1 'dpkg -P $(dpkg-query -f "\${Package} " -W "quorate-*")'
check_output "nothing of them runs" "" machine m1 pgrep -l quorate
check "the operator's configuration and the node's promises stay" machine_sh m1 '[ -e /etc/quorate/quorated.yml ] && [ -d /var/lib/quorate/quorum/wal ]'
machine_sh m1 'rm -rf /etc/quorate /var/lib/quorate /var/lib/mysql-shop /var/lib/mongodb-docs /var/lib/postgresql/15/hand'
check_output "no file is left" "" machine_sh m1 'find /etc /usr /lib /var/lib -xdev \( -name "*quorate*" -o -name quorated* \) ! -path "*/deb-systemd*" ! -path "/var/lib/systemd/*" | head'
machine_off m1
report_end packages
