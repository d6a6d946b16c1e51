# SPDX-License-Identifier: Apache-2.0
# The quorum has lost all that it knew while every host was off: nothing starts by itself, and the operator is told what to type.
# Sourced by run.sh, after setup.sh.

one_runs() { local name; for name in "${MEMBERS[@]}"; do mongod_runs "$name" && return 0; done; return 1; }

quorum_anew() {
    local name forced
    NAME="quorum made anew" MARK=$(commands_count)
    forced=$(truth forced)
    for name in "${MEMBERS[@]}"; do kill -TERM "$(pid_of "$name")"; done
    for name in "${MEMBERS[@]}"; do wait_until 40 eval "! is_running $name"; done
    check "$NAME: all stop in order, their mongods with them" eval '! one_runs'
    for name in "${QUORUM[@]}"; do
        kill -KILL "$(pid_of "$name")"
        wait_until 5 eval "! is_running $name"
        find "${DIR:?}/$name" -mindepth 1 -delete
    done
    for name in "${QUORUM[@]}"; do quorum_start "$name"; done
    wait_until 20 quorum_has_leader
    set_start
    check "$NAME: kv db why names the command" wait_until 20 says "kv db confirm $MEMBERS_CLUSTER --force starts"
    check "$NAME: nobody was started without a word" eval '! one_runs'
    check "$NAME: without --force it is refused" eval '! db confirm "$MEMBERS_CLUSTER" >/dev/null 2>&1'
    check "$NAME: with it, it is done" db confirm "$MEMBERS_CLUSTER" --force
    check "$NAME: the set goes on" settled 60
    check "$NAME: nothing is initiated" eval '! commands replSetInitiate | grep -q .'
    check_output "$NAME: nothing is forced" "$forced" truth forced
}
