# SPDX-License-Identifier: Apache-2.0
# Scenario 27: a standby is away until its slot's limit has passed: pg_wal stays bounded, and the member comes back all the same.
# Sourced by run.sh after crash.sh.

segments_of() { find "$DIR/$1/data/pg_wal" -maxdepth 1 -type f -regex '.*/[0-9A-F]+' | grep -c .; } # MEMBER
slot_limit_passed() {
    local s mark count
    begin "slot limit passed"
    set_config postgresql.max_slot_wal_keep_size=32MB postgresql.parameters.max_wal_size=64MB postgresql.parameters.wal_keep_size=32MB
    check "$NAME: the limit is in force" wait_until 20 eval '[ "$(sql "$P" "SHOW max_slot_wal_keep_size")" = 32MB ]'
    s=$(standbys_of "$P" | head -n 1)
    mark=$(wc -l <"$DIR/log/$s")
    end_agent "$s"
    wait_until 15 tree_is_gone "$s"
    AT=$(now_us)
    for _ in $(seq 40); do sql "$P" "SELECT txid_current(), pg_switch_wal()"; done >/dev/null
    for _ in 1 2; do sql "$P" CHECKPOINT; sql "$P" "SELECT txid_current(), pg_switch_wal()" >/dev/null; done
    check "$NAME: what its slot keeps is let go" wait_until 20 eval \
        '[ "$(sql "$P" "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '"'quorate_$s'"' AND wal_status IN ('"'reserved', 'extended'"')")" = 0 ]'
    count=$(segments_of "$P")
    check "$NAME: pg_wal is bounded ($count segments of 16 MB)" test "$count" -le 24
    member_start_here "$s"
    comes_back "$s" 90
    wait_until 60 is_settled || bad "$NAME: not healthy afterwards" "$(shown)"
    note "$s $(tail -n +$((mark + 1)) "$DIR/log/$s" | grep -o 'clones the holder' | tail -n 1)"
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
}
