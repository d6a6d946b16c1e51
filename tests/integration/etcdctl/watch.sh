# SPDX-License-Identifier: Apache-2.0
# watch: history and what comes, ranges, previous values, formats, commands, interactive: sourced by run.sh.
first=$(($(revision) + 1))
for text in "put w/1 x" "put w/2 y" "put w/1 z" "del w/1" "put w3 1" "put w/1 again"; do
    # shellcheck disable=SC2086
    e $text >/dev/null
done
printf '\nput w/5 1\nput w/6 1\ndel w/2\n\n\n' | e txn >/dev/null
e put w/end 1 >/dev/null
begin "watch --prefix --rev" watch w/ --prefix --rev=$first
seen "watch --prefix --rev" w/end
begin "watch of one key" watch w/1 --rev=$first
says "watch of one key" again
seen "watch of one key" again
begin "watch of a range" watch w/1 w/3 --rev=$first
seen "watch of a range" DELETE
begin "watch --prev-kv" watch w/ --prefix --rev=$first --prev-kv
seen "watch --prev-kv" w/end
begin "watch of everything" watch "" --prefix --rev=$first
seen "watch of everything" w/end
begin "watch --hex" watch w/ --prefix --rev=$first --hex
seen "watch --hex" '77\\x2f\\x65\\x6e\\x64'
begin "watch -w json" watch w/ --prefix --rev=$first --prev-kv -w json
says "watch -w json" "$(printf w/end | base64)"
end "watch -w json"
alike "watch -w json" "$(jq -c '.Events[]?' <"$work/out.watch -w json")"
begin "watch -w fields" watch w/ --prefix --rev=$first --prev-kv -w fields
says "watch -w fields" w/end
end "watch -w fields"
alike "watch -w fields" "$(grep -vE '^"(Revision|CompactRevision|Canceled|Created|RaftTerm|MemberID|ClusterID|WatchId)|^$' "$work/out.watch -w fields")"
begin "watch runs a command" watch w/ --prefix --rev=$first -- sh -c 'echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE'
seen "watch runs a command" '"PUT" "w/end"'
# The names in the environment take the place of arguments.
ETCDCTL_WATCH_KEY=w/1 begin "watch of the key in the environment" watch --rev=$first
seen "watch of the key in the environment" again
next=$(($(revision) + 1))
begin "watch what comes" watch live --rev=$next
e put live now >/dev/null
e del live >/dev/null
seen "watch what comes" DELETE
begin "watch from now on" watch live
wait_until 10 eval 'e put live tick && grep -q tick "$work/out.watch from now on"'
check "watch without a revision" grep -q "^PUT$" "$work/out.watch from now on"
end "watch from now on"
next=$(($(revision) + 1))
begin "watch of a revision to come" watch live --rev=$((next + 1))
e put live early >/dev/null
e put live late >/dev/null
seen "watch of a revision to come" late
mkfifo "$work/fifo"
env --default-signal=INT etcdctl --endpoints "$ENDPOINTS" "${TLS[@]}" watch --interactive <"$work/fifo" >"$work/out.watch --interactive" 2>&1 &
BACKGROUND["watch --interactive"]=$!
exec 7>"$work/fifo"
echo "watch w/1 --rev=$first" >&7
says "watch --interactive" again
echo "watch w/2 --rev=$first -- sh -c 'echo command'" >&7
says "watch --interactive" command
echo "watch live --rev=$(($(revision) + 1))" >&7
says "watch --interactive" again
e put live twice >/dev/null
says "watch --interactive" twice
alike "watch --interactive, several" "$(plain <"$work/out.watch --interactive" | sort)"
echo "progress" >&7
says "watch --interactive" "progress notify"
check "watch --interactive: progress" says "watch --interactive" "progress notify: [1-9]"
exec 7>&-
end "watch --interactive"
same "watch without a key" 'e watch'
e compaction $((first + 2)) >/dev/null
same "watch below the compaction" "e watch w/1 --rev=$first"
same "watch below the compaction -w json" "e watch w/1 --rev=$first -w json | jq -c '.CompactRevision'"
