# SPDX-License-Identifier: Apache-2.0
# Hooks of real agents: what they are told and when, one that hangs, and a promotion that is refused. Sourced by run.sh.

told() { cut -d' ' -f1-2 "$DIR/hooks.$1" 2>/dev/null | sort -u | xargs; } # MEMBER: "on_stop replica ..."
was_told() { grep -q "^$2 $3 " "$DIR/hooks.$1"; }                       # MEMBER ACTION ROLE

routed_by_hooks() {
    local name old new third words hook
    # QUORATE_MEMBER is the hook's own: one line for all members.
    # shellcheck disable=SC2016
    hook="sh -c 'echo \\\"\$0 \$1 \$2 \$QUORATE_EPOCH \$QUORATE_PRIMARY\\\" >>$DIR/hooks.\$QUORATE_MEMBER'"
    words=()
    for name in on_start on_restart on_stop on_role_change on_primary_change; do words+=("$name: \"$hook\""); done
    hooks_set "${words[@]}" "before_stop: \"sleep 600\"" "timeout: 1s"
    old=$(primary)
    for name in "${MEMBERS[@]}"; do [ "$name" = "$old" ] || { third=${new:-}; new=$name; }; done
    check "hooks: an agent that starts tells role and primary" wait_until 10 was_told "$old" on_role_change primary
    check_output "hooks: and nothing was started" "" eval "told $old | grep -o on_start"
    check "hooks: a switchover though before_stop hangs" "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --to "$new" --wait --timeout 30s
    check "hooks: the new primary was told" wait_until 10 was_told "$new" on_role_change primary
    check "hooks: the old one stopped" wait_until 10 was_told "$old" on_stop primary
    check "hooks: and came back" wait_until 20 was_told "$old" on_start replica
    check "hooks: a third member was told of the new primary" wait_until 10 grep -q "^on_primary_change replica .* $new\$" "$DIR/hooks.$third"
    wait_until 60 is_settled
    # The next one refuses to be promoted: it hands back, another one takes over.
    hooks_set "pre_promote: \"sh -c '[ \$QUORATE_MEMBER != $old ]'\""
    "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --to "$old" --timeout 20s >/dev/null 2>&1
    check "hooks: who refuses is not promoted, another one is" wait_until 40 eval \
        '[ -n "$(primary)" ] && [ "$(primary)" != '"$old"' ] && grep -q "pre_promote refused" "$DIR/log/'"$old"'"'
    check "hooks: everybody has a place again" wait_until 90 is_settled
}
