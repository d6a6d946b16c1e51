# SPDX-License-Identifier: Apache-2.0
# put, get and del with every flag, in every output format: sourced by run.sh on an empty store.
name_ids
same "put" 'e put a 1'
same "put again with --prev-kv" 'e put a 2 --prev-kv'
same "put with --prev-kv of nothing" 'e put b 1 --prev-kv'
same "put from standard input" 'printf "x\ny" | e put b'
same "put after two dashes" 'e put c -- -1'
same "put an empty value" 'e put empty ""'
same "put --ignore-value" 'e put a --ignore-value'
same "put --ignore-value of nothing" 'e put nothing --ignore-value'
same "put --ignore-value with a value" 'e put a 3 --ignore-value'
same "put without a value" 'e put'
same "put an empty key" 'e put "" 1'
same "put with a lease that is none" 'e put a 3 --lease=1234'
same "put with a lease that is not a number" 'e put a 3 --lease=xyz'
same "put -w json" 'e put a 3 -w json --prev-kv'
same "put -w fields" 'e put a 4 -w fields --prev-kv'
same "put -w table" 'e put a 5 -w table'
same "put -w protobuf" 'e put a 6 -w protobuf --prev-kv | tail -c 14 | od -An -tx1'
same "put -w of a format that is none" 'e put a 6 -w yaml'
same "put --hex" 'e put a 7 --prev-kv --hex'
for i in 5 4 3 2 1; do e put "s/$i" "v$(((i * 3) % 7))" >/dev/null; done
e put s/3 again >/dev/null
e put s/1 again2 >/dev/null
e put s/1 again3 >/dev/null

same "get" 'e get a'
same "get of nothing" 'e get nothing'
same "get of an empty value" 'e get empty'
same "get a range" 'e get a c'
same "get an empty range" 'e get c a'
same "get --prefix" 'e get s/ --prefix'
same "get --prefix of everything" 'e get "" --prefix --keys-only'
same "get --from-key" 'e get c --from-key'
same "get --from-key of everything" 'e get "" --from-key --keys-only'
same "get without a key" 'e get'
same "get of an empty key" 'e get ""'
same "get --prefix with a range_end" 'e get a c --prefix'
same "get --prefix --from-key" 'e get a --prefix --from-key'
same "get --limit" 'e get s/ --prefix --limit 2'
same "get --limit 0" 'e get s/ --prefix --limit 0 --keys-only'
same "get --limit below 0" 'e get s/ --prefix --limit=-1 --keys-only'
same "get --limit says that there is more" 'e get s/ --prefix --limit 2 -w fields'
for rev in 2 3 8 14 19; do same "get --rev $rev" "e get '' --prefix --rev=$rev -w fields"; done
same "get --rev of the future" 'e get a --rev=9999'
same "get --rev below 0" 'e get a --rev=-1'
for target in CREATE KEY MODIFY VALUE VERSION; do
    for order in ASCEND DESCEND; do
        same "get --sort-by $target --order $order" "e get s/ --prefix --sort-by=$target --order=$order --limit 4"
    done
    same "get --sort-by $target" "e get s/ --prefix --keys-only --sort-by=$target"
done
same "get --order without --sort-by" 'e get s/ --prefix --keys-only --order DESCEND'
same "get in an order that is none" 'e get s/ --prefix --order=SIDEWAYS'
same "get by a target that is none" 'e get s/ --prefix --sort-by=COLOUR'
same "get --consistency l" 'e get a --consistency l'
wait_until 10 eval 'for n in q1 q2 q3; do [ "$(ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[$n]} e get s/1 --print-value-only --consistency s)" = again3 ] || exit 1; done'
same "get --consistency s" 'e get a --consistency s'
same "get with a consistency that is none" 'e get a --consistency x'
same "get --keys-only" 'e get a c --keys-only'
same "get --print-value-only" 'e get a c --print-value-only'
same "get --print-value-only of several" 'e get s/ --prefix --print-value-only'
same "get --print-value-only -w json" 'e get a --print-value-only -w json'
same "get --print-value-only -w fields" 'e get a --print-value-only -w fields'
same "get --hex" 'e get a c --hex'
same "get --hex of a key in hex" 'e get "\x61" --hex'
for format in json simple fields table; do
    same "get -w $format" "e get a c -w $format"
    same "get -w $format of nothing" "e get nothing -w $format"
    same "get -w $format --keys-only" "e get s/ --prefix --keys-only -w $format"
done
same "get -w protobuf" 'e get c -w protobuf | tail -c 15 | od -An -tx1'
for node in q1 q2 q3; do
    same "get from $node alone" "ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[$node]} e get a c"
done
same "an endpoint that is down does not matter" 'ENDPOINTS=https://127.0.0.1:1,$ENDPOINTS e get a'
same "an endpoint by its name" 'ENDPOINTS=https://localhost:${CLIENT_PORT[q1]} e get a'
check "without a certificate nothing is answered" eval '! timeout 10 etcdctl --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" get a'
check "without TLS nothing is answered" eval '! timeout 10 etcdctl --endpoints "${ENDPOINTS//https/http}" get a'
check "the server's certificate is checked" eval '! timeout 10 etcdctl --endpoints "$ENDPOINTS" "${TLS[@]:2}" get a'
same "--insecure-skip-tls-verify" 'timeout 20 etcdctl --endpoints "$ENDPOINTS" "${TLS[@]:2}" --insecure-skip-tls-verify get a'
same "settings from the environment" 'ETCDCTL_ENDPOINTS=$ENDPOINTS ETCDCTL_CACERT=$DIR/tls/ca.crt ETCDCTL_CERT=$DIR/tls/admin-admin.crt \
    ETCDCTL_KEY=$DIR/tls/admin-admin.key timeout 20 etcdctl get a'
same "--keepalive-time, --keepalive-timeout, --dial-timeout, --command-timeout" 'e get a --keepalive-time 1s --keepalive-timeout 1s --dial-timeout 5s --command-timeout 6s'
check "--debug" eval 'e get a --debug 2>&1 | grep -q "^a$"'
check "a put as large as etcdctl can send" eval 'head -c 1572000 /dev/zero | tr "\0" z | e put large && [ "$(e get large --print-value-only | wc -c)" = 1572001 ]'
same "a put beyond" 'head -c 1572900 /dev/zero | tr "\0" z | e put large'
e del large >/dev/null

same "del" 'e del c'
same "del of nothing" 'e del c'
same "del --prev-kv" 'e del b --prev-kv'
same "del a range" 'e del s/1 s/3'
same "del --prefix --prev-kv" 'e del s/ --prefix --prev-kv'
same "del --prefix with a range_end" 'e del a b --prefix'
same "del --prefix --from-key" 'e del a --prefix --from-key'
same "del --from-key" 'e put z1 1; e put z2 2; e del z1 --from-key'
same "del without a key" 'e del'
same "del -w json" 'e put d 1; e del d --prev-kv -w json'
same "del -w fields" 'e put d 1; e del d --prev-kv -w fields'
same "del -w table" 'e put d 1; e del d -w table'
same "del -w protobuf" 'e put d 1; e del d -w protobuf | tail -c 2 | od -An -tx1'
