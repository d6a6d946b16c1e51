# SPDX-License-Identifier: Apache-2.0
# The quota: puts until NOSPACE, what still works then, and the way out: sourced by run.sh as the last.
head -c 1400000 /dev/urandom | base64 -w 0 | head -c 1500000 >"$work/blob"
fill() {
    local i out
    for i in $(seq 60); do
        out=$(e put "big/$i" <"$work/blob" 2>&1) || { grep -o "etcdserver.*" <<<"$out" | tail -n 1; return; }
    done
    echo "no end"
}
same "puts end with an error" 'fill'
same "alarm list" 'e alarm list | sed "s/memberID:[<q0-9>]* /memberID:M /" | sort -u'
same "no put" 'e put small 1'
same "no txn that puts" 'printf "\nput small 1\n\n\n" | e txn'
same "no lease" 'e lease grant 100'
same "a get" 'e get a'
same "a txn that reads" 'printf "\nget a\n\n\n" | e txn'
check "endpoint status tells" eval 'e endpoint status | grep -q "alarm:NOSPACE"'
same "alarm disarm too early" 'e alarm disarm | sed "s/memberID:[<q0-9>]* /memberID:M /" | sort -u'
check "and the alarm comes back" wait_until 10 eval 'e put small <"$work/blob"; e alarm list | grep -q NOSPACE'
check "del" eval '[ "$(e del big/ --prefix)" -gt 5 ]'
check "compaction --physical" eval 'e compaction "$(revision)" --physical'
same "defrag --cluster" 'e defrag --cluster | sort'
check "alarm disarm" eval 'e alarm disarm | grep -q NOSPACE'
same "no alarm" 'e alarm list'
check "puts again" wait_until 10 e put small 1
check "and large ones" eval 'e put large <"$work/blob"'
same "no alarm after them" 'e alarm list'
