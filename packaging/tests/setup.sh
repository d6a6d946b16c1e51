#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three machines with systemd, and what `kv setup` prints done on them to the letter: a Galera cluster on all three by the command of
# docs/galera.md, then a MongoDB replica set beside it (mongosim in the place of mongod, which Debian does not have). In a sandbox.
# environment: ROOT, DEBS_NEWER, BIN
. tests/support/report.sh
. tests/support/jq.sh
. packaging/tests/machine.sh
declare -A ON=([a]=q1 [b]=q2 [c]=q3) ADDRESS=([a]=192.0.2.1 [b]=192.0.2.2 [c]=192.0.2.3)
home() { echo "$(machine_dir "${ON[$1]}")/tree/root"; }
kv() { machine_sh q1 "timeout 10 kv $*"; }
end() { # what the machines say, where something failed
    local s
    if [ "$FAILED" -gt 0 ]; then
        for s in a b c; do machine "${ON[$s]}" journalctl --no-pager -n 12 -u quorated -u 'quorate-agent-*' | cut -c1-300; done
    fi
    report_end setup
}
# What stands behind `HOST (ADDRESS)` up to the next empty line, run there; `here` is on a.
steps() { # FILE
    local s line
    for s in a b c; do
        while IFS= read -r line <&3; do
            line=${line%%  #*}
            case $line in
            scp\ *) cp "$(home a)/$(cut -d' ' -f2 <<<"$line")" "$(home "$s")/" || bad "$s: $line" ;;
            *kv\ doctor*) check "$s: ${line%%&&*}&& kv doctor" sound "$s" "${line%%&&*}" ;;
            *) check "$s: $line" machine_sh "${ON[$s]}" "$line" ;;
            esac
        done 3< <(awk -v s="$s" '$0 ~ "^" s " [(]" { on = 1; next } /^$/ { on = 0 } on { sub(/^ +/, ""); print }' "$1")
    done
    while IFS= read -r line <&3; do
        case $line in *--print-roles*) check "$line" machine_sh q1 "$line" ;; *kv\ db\ show*) ;; *) check "here: $line" machine_sh q1 "$line" ;; esac
    done 3< <(awk '/^here$/ { on = 1; next } /^on the host/ { on = 1; next } /^$/ { on = 0 } on { sub(/ +#.*/, ""); sub(/^ +/, ""); if ($0 != "") print }' "$1")
}
# Of the disk and the pauses of this machine nothing is asked here.
sound() { # SERVER COMMAND-BEFORE
    machine_sh "${ON[$1]}" "${2:-true}" && machine_sh "${ON[$1]}" 'kv -o json doctor --seconds 0; true' |
        jq -e '[.findings[] | select(.result == "fail" and (.check | IN("pauses", "flush", "quorum", "clocks") | not))] | if . == [] then true else (., false) end'
}
for s in a b c; do
    host_make "${ON[$s]}" "1${ADDRESS[$s]##*.}" 0 || { bad "a host"; report_end setup; }
done
for s in a b c; do
    check "machine $s" machine_boot "${ON[$s]}" "${ADDRESS[$s]}"
    machine "${ON[$s]}" hostname "$s"
    cp "$DEBS_NEWER"/*.deb "$(home "$s")/"
    machine_sh "${ON[$s]}" 'systemctl unmask --quiet mariadb; systemctl disable --now --quiet postgresql; systemctl mask --quiet postgresql@15-main'
    check "packages on $s" machine_sh "${ON[$s]}" 'DEBIAN_FRONTEND=noninteractive dpkg -i ./quorate-{common,quorum,guard,agent-galera,agent-mongodb,kv}_*.deb'
done
[ "$FAILED" -eq 0 ] || end

# --- Galera, as docs/galera.md begins
command=$(grep -m 1 '^kv setup ' docs/galera.md)
check "$command" eval 'machine_sh q1 "$command" >"$QUORATE_SANDBOX_DIR/galera.steps"'
steps "$QUORATE_SANDBOX_DIR/galera.steps"
[ "$FAILED" -eq 0 ] || end
check "three members become a cluster with a writer" wait_for 120 eval 'kv db list | grep -E "shop +galera +healthy .* 3 up"'
[ "$FAILED" -eq 0 ] || { kv db show shop; end; }
code() { machine q1 curl -s -o /dev/null -m 2 -w '%{http_code}' "http://192.0.2.$1:$2$3"; }
check_output "exactly one of them is it" 1 eval 'for n in 1 2 3; do code $n 8008 /writer; echo; done | grep -c 200'
check "all of them read" wait_for 60 eval '[ "$(for n in 1 2 3; do code $n 8008 /reader; echo; done | grep -c 200)" -ge 2 ]'
for s in a b c; do check "kv doctor on $s, while it runs" sound "$s"; done

# --- MongoDB beside it, on a alone
machine_put q1 "$BIN/mongosim" /usr/local/bin
machine q1 useradd --system --home-dir /nonexistent mongodb
machine q1 install -d -o mongodb /var/lib/mongodb-hub
machine_sh q1 'printf "#!/bin/sh\nexec /usr/local/bin/mongosim node /var/lib/mongodb-hub \"\$@\"\n" >/usr/bin/mongod && chmod 755 /usr/bin/mongod
    printf "[Service]\nExecStart=/usr/bin/mongod\n[Install]\nWantedBy=multi-user.target\n" >/etc/systemd/system/mongod.service'
machine q1 systemd-run --quiet --unit=mongosim --uid=mongodb /usr/local/bin/mongosim hub /var/lib/mongodb-hub --speed 5 --set docs --name 192.0.2.1:27017
check "a plan of MongoDB beside it" eval 'machine_sh q1 "kv setup --engine=mongodb --cluster=docs --hosts=a=192.0.2.1 --quorum_only=b=192.0.2.2,c=192.0.2.3 \
    --http_port=8018 --force" >"$QUORATE_SANDBOX_DIR/mongodb.steps"'
steps "$QUORATE_SANDBOX_DIR/mongodb.steps"
[ "$FAILED" -eq 0 ] || end
check "the first member has founded the set from its own host" wait_for 60 eval 'machine_sh q1 "mongosim ctl /var/lib/mongodb-hub status" | jq -e "select(.writable)"'
check "that its agent cannot log in yet is said" wait_for 30 eval '{ kv db why docs; kv db show docs; } 2>&1 | grep -i "login"'
password() { machine_sh q1 "sed -n 's/^$1://p' quorate-setup/passwords-docs"; }
machine q1 mongosim ctl /var/lib/mongodb-hub user ha_read "$(password ha_read)" monitor,oplog,canary >/dev/null
machine q1 mongosim ctl /var/lib/mongodb-hub user ha_act "$(password ha_act)" monitor,configure,state,shutdown,concern >/dev/null
check "with its users, over TLS, it serves" wait_for 60 eval '[ "$(code 1 8018 /primary)" = 200 ]'
check "and nothing is said of a login any more" wait_for 30 eval '! { kv db why docs; kv db show docs; } 2>&1 | grep -i "login is refused"'
check "both clusters are shown" wait_for 30 eval '[ "$(kv db list | grep -cE "^(shop|docs) ")" = 2 ]'
[ "$FAILED" -eq 0 ] || { kv db show docs; kv db why docs; }
end
