# SPDX-License-Identifier: Apache-2.0
# member: a learner joins, is promoted, gets another URL, goes: sourced by run.sh.
. tests/support/jq.sh
same "member list" 'e member list | sort -t, -k3'
same "member list -w fields" 'e member list -w fields | grep -E "Name|URL|IsLearner" | sort'
same "member list -w table" 'e member list -w table | head -n 3'
check "member list -w json" eval 'e member list -w json | jq -e ".members | length == 3 and all(.name and .peerURLs and .clientURLs)"'
url4=https://127.0.0.1:${PEER_PORT[q4]}
check "member add --learner" eval 'e member add q4 --learner --peer-urls="$url4" >"$work/added"'
id4=$(id_of q4)
named "$id4" q4
alike "what member add says" "$(plain <"$work/added" | tr -s ' ' | sed 's/^ETCD_INITIAL_CLUSTER=.*/CLUSTER/')"
check "ETCD_INITIAL_CLUSTER names all four" eval 'grep "^ETCD_INITIAL_CLUSTER=" "$work/added" | tr "," "\n" | grep -c "q[1-4]=" | grep -qx 4'
same "member list with one that has not started" 'e member list | grep q4:peer; e member list | plain | grep q4'
same "a second learner" 'e member add q9 --learner --peer-urls=https://127.0.0.1:9'
same "a peer URL that is taken" 'e member add q9 --peer-urls="https://127.0.0.1:${PEER_PORT[q1]}" 2>&1'
same "member add without URLs" 'e member add q9'
same "member add with a bad URL" 'e member add q9 --peer-urls=127.0.0.1:9'
same "member promote before it is ready" 'e member promote $id4'
store_start q4 existing "$(sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"/\1/p' "$work/added")"
learner_is_up() { ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[q4]} e endpoint status; }
check "the learner comes up" wait_until 20 learner_is_up
same "a learner answers no linearizable get" 'ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[q4]} e get a 2>&1'
same "a learner takes no put" 'ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[q4]} e put a 1 2>&1'
check "a learner answers a serializable get" wait_until 15 eval '[ -n "$(ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[q4]} e get a --consistency s)" ]'
same "move-leader to a learner" 'e move-leader $id4'
check "member promote" wait_until 20 eval 'e member promote "$id4" | grep -q "^Member *$id4 promoted in cluster"'
same "member promote again" 'e member promote $id4'
same "member promote of a stranger" 'e member promote 1234'
check "its name is known" wait_until 10 eval 'e member list | grep -q "$id4, started, q4, $url4, https://127.0.0.1:${CLIENT_PORT[q4]}, false"'
same "the promoted one answers" 'ENDPOINTS=https://127.0.0.1:${CLIENT_PORT[q4]} e get a'
check "member update" eval 'e member update "$id4" --peer-urls="https://localhost:${PEER_PORT[q4]}" | grep -q "^Member *$id4 updated in cluster"'
check "member list shows the new URL" wait_until 5 eval 'e member list | grep -q "q4, https://localhost:${PEER_PORT[q4]},"'
same "member update to a URL that is taken" 'e member update $id4 --peer-urls="https://127.0.0.1:${PEER_PORT[q1]}"'
same "member update of a stranger" 'e member update 1234 --peer-urls=https://127.0.0.1:9'
same "member update without URLs" 'e member update $id4'
check "member remove" eval 'e member remove "$id4" | grep -q "^Member *$id4 removed from cluster"'
same "member remove again" 'e member remove $id4'
same "member remove of a stranger" 'e member remove 1234'
same "member remove of no id" 'e member remove xyz'
same "three are left" 'e member list | sort -t, -k3'
wait_until 10 eval '! is_running q4' || kill -TERM "$(pid_of q4)"
same "reads and writes go on" 'e put a 7; e get a'
