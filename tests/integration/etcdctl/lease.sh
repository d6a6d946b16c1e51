# SPDX-License-Identifier: Apache-2.0
# lease, lock and elect: sourced by run.sh.
check "lease grant" eval 'grant=$(e lease grant 300) && [[ $grant =~ ^lease\ [0-9a-f]{16}\ granted\ with\ TTL\(300s\)$ ]]'
grant=$(e lease grant 300)
lease=$(awk '{ print $2 }' <<<"$grant")
named "$lease" lease
same "lease grant without a TTL" 'e lease grant'
same "lease grant of no number" 'e lease grant soon'
same "lease grant of 0" 'e lease grant 0'
same "lease grant beyond" 'e lease grant 9000000001'
same "put --lease" 'e put l/1 x --lease=$lease; e put l/2 y --lease=$lease'
same "put --ignore-lease" 'e put l/1 z --ignore-lease; e get l/1 -w fields | grep -v Rev'
same "put takes the lease away" 'e put l/2 z; e get l/2 -w fields | grep -v Rev'
remaining() { sed -E 's/"revision":[0-9]+/"revision":N/; s/^"Revision" : .*/"Revision" : N/; s/remaining\([0-9]+s\)/remaining(R)/; s/"TTL" : [0-9]+/"TTL" : R/; s/"ttl":[0-9]+/"ttl":R/'; }
same "lease timetolive" 'e lease timetolive $lease | remaining'
same "lease timetolive --keys" 'e lease timetolive $lease --keys | remaining'
for format in json fields; do same "lease timetolive --keys -w $format" "e lease timetolive $lease --keys -w $format | remaining"; done
same "lease timetolive of nothing" 'e lease timetolive 1234'
same "lease timetolive -w json of nothing" 'e lease timetolive 1234 -w json | remaining'
same "lease timetolive of no id" 'e lease timetolive xyz'
check "lease list" eval 'e lease list | grep -q "^found [0-9]* leases$" && e lease list | grep -q "^$lease$"'
check "lease list -w json" eval 'e lease list -w json | grep -q "\"id\":$(printf %d 0x$lease)"'
check "lease list -w fields" eval 'e lease list -w fields | grep -Eqx "\"ID\" : ($lease|$(printf %d 0x$lease))"'
same "lease keep-alive --once" 'e lease keep-alive $lease --once'
for format in json fields; do same "lease keep-alive --once -w $format" "e lease keep-alive $lease --once -w $format | remaining"; done
same "lease keep-alive of nothing" 'e lease keep-alive 1234'
same "lease keep-alive --once of nothing" 'e lease keep-alive 1234 --once'
short=$(e lease grant 2 | awk '{ print $2 }')
named "$short" short
begin "lease keep-alive" lease keep-alive "$short"
says "lease keep-alive" keepalived
check "lease keep-alive goes on" wait_until 10 eval '[ "$(grep -c "keepalived with TTL(2)" "$work/out.lease keep-alive")" -ge 3 ]'
same "lease revoke" 'e lease revoke $short'
check "lease keep-alive sees the end" wait_until 10 eval 'grep -q "expired or revoked" "$work/out.lease keep-alive" || ! kill -0 ${BACKGROUND["lease keep-alive"]}'
end "lease keep-alive"
same "lease revoke of nothing" 'e lease revoke 1234'
same "lease revoke takes keys" 'e lease revoke $lease; e get l/1; e get l/2'
gone=$(e lease grant 2 | awk '{ print $2 }')
e put l/gone x --lease="$gone" >/dev/null
check "a lease runs out and takes its key" wait_until 15 eval '[ -z "$(e get l/gone)" ]'
next=$(($(revision) + 1))
gone=$(e lease grant 2 | awk '{ print $2 }')
e put l/seen x --lease="$gone" >/dev/null
begin "watch sees a lease end" watch l/seen --rev=$next
seen "watch sees a lease end" DELETE

# --- lock: a name and a session's lease; the key's name ends with the lease
same "lock runs a command" 'e lock m -- sh -c "echo \$ETCD_LOCK_KEY | cut -d/ -f1; echo \$ETCD_LOCK_REV | tr 0-9 n"'
same "lock has the command's exit code" 'e lock m -- sh -c "exit 7"'
same "nothing is left of a lock" 'e get m/ --prefix'
same "lock without a name" 'e lock'
begin lock lock m --ttl 5
check "lock prints its key" says lock ^m/
begin second lock m
check "a second one waits in line" wait_until 10 eval '[ "$(e get m/ --prefix --keys-only | grep -c ^m/)" = 2 ]'
check "the second one has not got it" [ ! -s "$work/out.second" ]
end lock
check "it gets the lock when the first goes" says second ^m/
kill -KILL "${BACKGROUND[second]}"
wait "${BACKGROUND[second]}" 2>/dev/null
check "a holder that was killed loses it with its lease" timeout 30 etcdctl --endpoints "$ENDPOINTS" "${TLS[@]}" lock m true

# --- elect
begin elect elect el one
check "elect prints key and proposal" eval 'says elect "^one$" && grep -q ^el/ "$work/out.elect"'
begin listen elect el --listen
check "elect --listen shows the leader" says listen "^one$"
begin two elect el two
check "a second candidate waits" wait_until 10 eval '[ "$(e get el/ --prefix --print-value-only | grep -c .)" = 2 ]'
end elect
check "the second one leads" says two "^two$"
check "elect --listen shows the next one" says listen "^two$"
end two
end listen
check "nothing is left of an election" wait_until 10 eval '[ -z "$(e get el/ --prefix)" ]'
same "elect without a name" 'e elect'
same "elect without a proposal" 'e elect el'
