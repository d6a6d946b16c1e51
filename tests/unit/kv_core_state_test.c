/* SPDX-License-Identifier: Apache-2.0 */
/* Leases, compaction, alarms and guarded entries on the tables, and the checksum that compaction
 * must not change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "kv/core/alarm.h"
#include "kv/core/compact.h"
#include "kv/core/lease.h"
#include "tests/unit/kv_one_store.h"

static struct kv_outcome apply(struct kv_request request)
{
    return apply_at(request, 1);
}

static int64_t put(const char *key, int64_t lease)
{
    struct kv_request request = put_request(key, "v");
    request.put.lease = lease;
    struct kv_outcome outcome = apply(request);
    assert_int_equal(outcome.error, KV_OK);
    return outcome.revision;
}

static enum kv_error put_error(const char *key, int64_t lease)
{
    struct kv_request request = put_request(key, "v");
    request.put.lease = lease;
    return apply(request).error;
}

static int64_t del(const char *key)
{
    return apply(delete_request(key, NULL)).revision;
}

static struct kv_outcome grant(int64_t id, int64_t ttl)
{
    return apply((struct kv_request){.kind = KV_KIND_LEASE_GRANT, .lease_grant = {ttl, id}});
}

static struct kv_outcome revoke(int64_t id)
{
    return apply((struct kv_request){.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = id});
}

static enum kv_error compact(int64_t revision)
{
    return apply((struct kv_request){.kind = KV_KIND_COMPACT, .compact.revision = revision}).error;
}

/* Keys of a lease, joined. */
static const char *keys_of(int64_t id)
{
    static char text[256];
    struct kv_request request = {.kind = KV_KIND_LEASE_TTL,
                                 .lease_ttl = {.id = id, .wants_keys = true}};
    struct kv_outcome outcome = read_it(request);
    const struct kv_texts *keys = &outcome.response.lease_ttl.keys;
    size_t len = 0;
    text[0] = 0;
    for (size_t i = 0; i < keys->count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i == 0 ? "" : ",",
                                (int)keys->items[i].len, (const char *)keys->items[i].data);
    }
    return text;
}

static int64_t value_at(const char *key, int64_t revision, enum kv_error *ret_error)
{
    struct kv_request request = range_request(key, NULL);
    request.range.revision = revision;
    struct kv_outcome outcome = read_it(request);
    *ret_error = outcome.error;
    return outcome.error == KV_OK && outcome.response.range.count > 0
               ? outcome.response.range.kvs.items[0].mod_revision
               : 0;
}

static int64_t mod_at(const char *key, int64_t revision)
{
    enum kv_error error = KV_OK;
    int64_t mod = value_at(key, revision, &error);
    assert_int_equal(error, KV_OK);
    return mod;
}

/* --- leases --- */

static void grants(void **state)
{
    (void)state;
    assert_int_equal(put_error("k", 5), KV_E_LEASE_NOT_FOUND);
    struct kv_outcome outcome = grant(5, 60);
    assert_int_equal(outcome.error, KV_OK);
    assert_false(outcome.is_changed);
    assert_int_equal(outcome.response.lease_grant.ttl, 60);
    assert_int_equal(outcome.response.lease_grant.header.revision, 1);
    assert_int_equal(grant(5, 60).error, KV_E_LEASE_EXISTS);
    assert_int_equal(grant(0, 60).error, KV_E_LEASE_NOT_FOUND); /* nobody has chosen an id */
    assert_int_equal(grant(6, 1).response.lease_grant.ttl, KV_LEASE_TTL_MIN);
    assert_int_equal(grant(7, -9).response.lease_grant.ttl, KV_LEASE_TTL_MIN);
    assert_int_equal(grant(8, KV_LEASE_TTL_MAX).error, KV_OK);
    assert_int_equal(grant(9, KV_LEASE_TTL_MAX + 1).error, KV_E_TTL_TOO_LARGE);
    assert_int_equal(grant(-1, 10).error, KV_OK);
    struct kv_outcome listed = read_it((struct kv_request){.kind = KV_KIND_LEASE_LEASES});
    assert_int_equal(listed.response.leases.leases.count, 5);
}

static void keys_follow_their_leases(void **state)
{
    (void)state;
    (void)grant(1, 60);
    (void)grant(2, 60);
    (void)put("b", 1);
    (void)put("a", 1);
    assert_string_equal(keys_of(1), "a,b");
    (void)put("a", 2); /* moves */
    assert_string_equal(keys_of(1), "b");
    assert_string_equal(keys_of(2), "a");
    struct kv_request keep = put_request("a", "w");
    keep.put.is_ignore_lease = true;
    assert_int_equal(apply(keep).error, KV_OK);
    assert_string_equal(keys_of(2), "a");
    (void)put("a", 0); /* detaches */
    assert_string_equal(keys_of(2), "");
    (void)del("b");
    assert_string_equal(keys_of(1), "");
    assert_int_equal(read_it(range_request("a", NULL)).response.range.kvs.items[0].lease, 0);
}

static void a_revoke_deletes_in_one_revision(void **state)
{
    (void)state;
    (void)grant(1, 60);
    (void)grant(2, 60);
    for (int i = 0; i < 40; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%02d", i);
        (void)put(key, i % 2 + 1);
    }
    int64_t before = put("other", 0);
    struct kv_outcome outcome = revoke(1);
    assert_int_equal(outcome.error, KV_OK);
    assert_true(outcome.is_changed);
    assert_int_equal(outcome.revision, before + 1);
    assert_int_equal(outcome.response.header_only.header.revision, before + 1);
    assert_int_equal(read_it(range_request("k", "l")).response.range.count, 20);
    assert_int_equal(revoke(1).error, KV_E_LEASE_NOT_FOUND);
    (void)grant(3, 60);
    outcome = revoke(3); /* without keys */
    assert_false(outcome.is_changed);
    assert_int_equal(outcome.revision, before + 1);
}

static void a_txn_with_a_lease_that_is_gone_does_nothing(void **state)
{
    (void)state;
    struct kv_op ops[2] = {{.kind = KV_OP_PUT, .put = {.key = sl("a")}},
                           {.kind = KV_OP_PUT, .put = {.key = sl("b"), .lease = 4}}};
    struct kv_request txn = {.kind = KV_KIND_TXN, .txn.then_ops = {ops, 2}};
    struct kv_outcome outcome = apply(txn);
    assert_int_equal(outcome.error, KV_E_LEASE_NOT_FOUND);
    assert_int_equal(outcome.revision, 1);
}

static int get_lease(void *ctx, struct store_txn *txn)
{
    struct kv_lease_row *lease = ctx;
    return kv_lease_get(txn, lease->id, lease);
}

static int64_t remaining(int64_t id)
{
    struct kv_lease_row lease = {.id = id};
    assert_int_equal(test_store_run(&store, get_lease, &lease, true), 0);
    return lease.remaining;
}

static void checkpoints(void **state)
{
    (void)state;
    struct kv_lease_checkpoint items[] = {{1, 30}, {99, 5}, {2, 60}};
    struct kv_request request = {.kind = KV_KIND_LEASE_CHECKPOINT,
                                 .checkpoints.checkpoints = {items, 3}};
    (void)grant(1, 60);
    (void)grant(2, 60);
    assert_int_equal(apply(request).error, KV_OK);
    assert_int_equal(remaining(1), 30);
    assert_int_equal(remaining(2), 0); /* as much as it has: nothing to remember */
    items[0].remaining_ttl = 0;
    assert_int_equal(apply(request).error, KV_OK);
    assert_int_equal(remaining(1), 0);
}

/* --- limits --- */

static int set_count(void *ctx, struct store_txn *txn)
{
    const uint64_t *count = ctx;
    return kv_meta_put(txn, SLICE_LIT("kv.leases"), *count);
}

static void leases_are_counted(void **state)
{
    (void)state;
    uint64_t count = KV_LEASES_MAX - 1; /* as if so many had been granted */
    assert_int_equal(test_store_run(&store, set_count, &count, false), 0);
    assert_int_equal(grant(1, 60).error, KV_OK);
    assert_int_equal(grant(2, 60).error, KV_E_TOO_MANY_REQUESTS);
    assert_int_equal(revoke(1).error, KV_OK);
    assert_int_equal(grant(2, 60).error, KV_OK);
}

#define WIDE 4u
#define DEEP 124u /* down one way they are KV_TXN_OPS_MAX */

/* As many operations on all levels as there may be, and one more. */
static void operations_are_counted(void **state)
{
    (void)state;
    static struct kv_op leaf[DEEP];
    struct kv_op nested[WIDE];
    struct kv_op others[WIDE];
    for (size_t i = 0; i < DEEP; i++) {
        leaf[i] = (struct kv_op){.kind = KV_OP_RANGE, .range.key = sl("a")};
    }
    for (size_t i = 0; i < WIDE; i++) {
        nested[i] = (struct kv_op){.kind = KV_OP_TXN,
                                   .txn = {.then_ops = {leaf, DEEP}, .else_ops = {leaf, DEEP}}};
        others[i] = leaf[0];
    }
    size_t rest = KV_TXN_TOTAL_MAX - WIDE * (2 * DEEP + 1) - WIDE;
    others[0] = (struct kv_op){.kind = KV_OP_TXN, .txn.then_ops = {leaf, rest}};
    struct kv_request request = {.kind = KV_KIND_TXN,
                                 .txn = {.then_ops = {nested, WIDE}, .else_ops = {others, WIDE}}};
    assert_int_equal(apply(request).error, KV_OK);
    others[0].txn.then_ops.count++;
    assert_int_equal(apply(request).error, KV_E_TOO_MANY_OPS);
}

/* --- guarded entries --- */

struct guarded {
    struct kv_command command;
    uint64_t term;
    struct kv_outcome outcome;
};

static int apply_guarded(void *ctx, struct store_txn *txn)
{
    struct guarded *guarded = ctx;
    base_arena_reset(&test_scratch()->arena);
    return kv_core_apply(txn, test_scratch(), &guarded->command, guarded->term, &guarded->outcome);
}

static void decisions_of_another_term_are_void(void **state)
{
    (void)state;
    struct guarded guarded = {.term = 8};
    (void)grant(1, 60);
    (void)put("k", 1);
    guarded.command.guard_term = 7;
    guarded.command.request = (struct kv_request){.kind = KV_KIND_LEASE_REVOKE, .lease_id.id = 1};
    assert_int_equal(test_store_run(&store, apply_guarded, &guarded, false), 0);
    assert_int_equal(guarded.outcome.error, KV_E_LEADER_CHANGED);
    assert_true(guarded.outcome.is_void);
    assert_false(guarded.outcome.is_changed);
    assert_string_equal(keys_of(1), "k");
    guarded.term = 7;
    assert_int_equal(test_store_run(&store, apply_guarded, &guarded, false), 0);
    assert_int_equal(guarded.outcome.error, KV_OK);
    assert_true(guarded.outcome.is_changed);
}

static void an_id_that_was_chosen(void **state)
{
    (void)state;
    struct guarded guarded = {.term = 1};
    guarded.command.chosen_id = 4711;
    guarded.command.request =
        (struct kv_request){.kind = KV_KIND_LEASE_GRANT, .lease_grant.ttl = 10};
    assert_int_equal(test_store_run(&store, apply_guarded, &guarded, false), 0);
    assert_int_equal(guarded.outcome.response.lease_grant.id, 4711);
    assert_int_equal(guarded.outcome.lease.id, 4711);
}

/* --- compaction --- */

struct step {
    uint32_t rows;
    struct kv_compact_progress progress;
};

static int step_run(void *ctx, struct store_txn *txn)
{
    struct step *step = ctx;
    return kv_compact_step(txn, step->rows, &step->progress);
}

/* Removes until nothing is left to do; returns the number of steps. */
static unsigned remove_all(uint32_t rows)
{
    struct step step = {.rows = rows};
    unsigned steps = 0;
    do {
        assert_int_equal(test_store_run(&store, step_run, &step, false), 0);
        steps++;
    } while (step.progress.finished != step.progress.scheduled);
    return steps;
}

static int count_row(void *ctx, struct slice key, struct slice value)
{
    size_t *count = ctx;
    (void)key;
    (void)value;
    (*count)++;
    return 0;
}

static int count_rows(void *ctx, struct store_txn *txn)
{
    size_t *counts = ctx;
    int rc = store_scan(txn, STORE_KV_REVS, SLICE_EMPTY, count_row, &counts[0]);
    return rc != 0 ? rc : store_scan(txn, STORE_KV_INDEX, SLICE_EMPTY, count_row, &counts[1]);
}

static size_t rows(void)
{
    size_t counts[2] = {0, 0};
    assert_int_equal(test_store_run(&store, count_rows, counts, true), 0);
    assert_int_equal(counts[0], counts[1]);
    return counts[0];
}

static void compact_revisions(void **state)
{
    (void)state;
    enum kv_error error = KV_OK;
    for (int i = 0; i < 5; i++) {
        (void)put("k", 0); /* revisions 2 to 6 */
    }
    assert_int_equal(compact(7), KV_E_FUTURE_REVISION);
    assert_int_equal(compact(-1), KV_E_COMPACTED);
    assert_int_equal(compact(0), KV_OK);
    assert_int_equal(compact(0), KV_E_COMPACTED);
    assert_int_equal(compact(4), KV_OK);
    assert_int_equal(compact(4), KV_E_COMPACTED);
    assert_int_equal(compact(3), KV_E_COMPACTED);
    /* at once, though every row is still there */
    assert_int_equal(rows(), 5);
    assert_int_equal(value_at("k", 3, &error), 0);
    assert_int_equal(error, KV_E_COMPACTED);
    assert_int_equal(mod_at("k", 4), 4);
    assert_int_equal(mod_at("k", 5), 5);
    (void)remove_all(1000);
    assert_int_equal(rows(), 3);
    assert_int_equal(mod_at("k", 4), 4);
    assert_int_equal(mod_at("k", 0), 6);
}

/* Bugs 18089 and 19179: a tombstone at the compact revision itself must stay until the next one. */
static void bug_18089_tombstone_at_the_compact_revision(void **state)
{
    (void)state;
    (void)put("k", 0);             /* 2 */
    assert_int_equal(del("k"), 3); /* 3 */
    (void)put("other", 0);         /* 4 */
    assert_int_equal(compact(3), KV_OK);
    (void)remove_all(1000);
    assert_int_equal(rows(), 2); /* the tombstone, and the other key */
    assert_int_equal(compact(4), KV_OK);
    (void)remove_all(1000);
    assert_int_equal(rows(), 1);
    assert_int_equal(mod_at("other", 4), 4);
    assert_int_equal(mod_at("k", 4), 0);
}

static int revision_of(void *ctx, struct store_txn *txn)
{
    return kv_core_revision(txn, ctx);
}

/* Bug 17780: when the newest revision is a tombstone that compaction took, the revision went back
 * at the next start. */
static void bug_17780_revision_never_goes_back(void **state)
{
    (void)state;
    int64_t revision = 0;
    (void)put("k", 0);
    assert_int_equal(del("k"), 3);
    assert_int_equal(compact(3), KV_OK);
    (void)remove_all(1000);
    assert_int_equal(test_store_run(&store, revision_of, &revision, true), 0);
    assert_int_equal(revision, 3);
    store_mem_crash(store.mem);
    assert_int_equal(test_store_run(&store, revision_of, &revision, true), 0);
    assert_int_equal(revision, 3);
    assert_int_equal(put("k", 0), 4);
}

/* Bug 18667: a range at a compacted or future revision fails the whole transaction before anything
 * is written, by the compact revision alone and not by how far removal has come. */
static void bug_18667_txn_with_a_compacted_range(void **state)
{
    (void)state;
    struct kv_op ops[2] = {{.kind = KV_OP_PUT, .put = {.key = sl("a"), .value = sl("v")}},
                           {.kind = KV_OP_RANGE, .range = {.key = sl("k"), .revision = 2}}};
    struct kv_request txn = {.kind = KV_KIND_TXN, .txn.then_ops = {ops, 2}};
    (void)put("k", 0);
    (void)put("k", 0);
    (void)put("k", 0); /* 4 */
    assert_int_equal(compact(3), KV_OK);
    for (int removed = 0; removed < 2; removed++) {
        struct kv_outcome outcome = apply(txn);
        assert_int_equal(outcome.error, KV_E_COMPACTED);
        assert_int_equal(outcome.revision, 4);
        assert_int_equal(read_it(range_request("a", NULL)).response.range.count, 0);
        (void)remove_all(1);
    }
    ops[1].range.revision = 9;
    assert_int_equal(apply(txn).error, KV_E_FUTURE_REVISION);
    ops[1].range.revision = -1; /* within a transaction no name of the newest */
    assert_int_equal(apply(txn).error, KV_E_COMPACTED);
    ops[1].range.revision = 3;
    assert_int_equal(apply(txn).error, KV_OK);
}

/* --- the checksum --- */

struct hashing {
    int64_t revision;
    uint32_t rows;
    enum kv_error error;
    struct kv_hash_walk walk;
};

static int hash_begin(void *ctx, struct store_txn *txn)
{
    struct hashing *hashing = ctx;
    return kv_hash_begin(txn, hashing->revision, &hashing->error, &hashing->walk);
}

static int hash_step(void *ctx, struct store_txn *txn)
{
    struct hashing *hashing = ctx;
    return kv_hash_step(txn, hashing->rows, &hashing->walk);
}

static uint32_t hash_at(int64_t revision, uint32_t rows_a_step)
{
    struct hashing hashing = {.revision = revision, .rows = rows_a_step};
    assert_int_equal(test_store_run(&store, hash_begin, &hashing, true), 0);
    assert_int_equal(hashing.error, KV_OK);
    while (!hashing.walk.is_done) {
        assert_int_equal(test_store_run(&store, hash_step, &hashing, true), 0);
        assert_false(hashing.walk.is_void);
    }
    return hashing.walk.crc;
}

static int state_hash(void *ctx, struct store_txn *txn)
{
    return kv_core_hash(txn, ctx);
}

static void some_history(int count, unsigned seed)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        seed = seed * 1103515245u + 12345u;
        (void)snprintf(key, sizeof(key), "k%u", (seed >> 16) % 7);
        if ((seed >> 20) % 3 == 0) {
            (void)del(key);
        } else {
            (void)put(key, 0);
        }
    }
}

static void removal_changes_no_checksum_and_no_answer(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 6; round++) {
        uint32_t whole[2] = {0, 0};
        some_history(60, round);
        int64_t newest = put("end", 0);
        int64_t target = newest - (int64_t)(round * 5);
        assert_int_equal(compact(target), KV_OK);
        uint32_t now = hash_at(0, 0);
        uint32_t then = hash_at(target + 2, 0);
        int64_t mods[7];
        assert_int_equal(test_store_run(&store, state_hash, &whole[0], true), 0);
        for (int i = 0; i < 7; i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "k%d", i);
            mods[i] = mod_at(key, target);
        }
        struct step step = {.rows = round * 7};
        size_t before = rows();
        do { /* after each step, as a crash may come between any two */
            assert_int_equal(test_store_run(&store, step_run, &step, false), 0);
            store_mem_crash(store.mem);
            assert_int_equal(hash_at(0, 0), now);
            assert_int_equal(hash_at(target + 2, 5), then);
            assert_int_equal(test_store_run(&store, state_hash, &whole[1], true), 0);
            assert_int_equal(whole[0], whole[1]);
        } while (step.progress.finished != step.progress.scheduled);
        assert_true(rows() < before);
        for (int i = 0; i < 7; i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "k%d", i);
            assert_int_equal(mod_at(key, target), mods[i]);
        }
    }
}

static void a_later_target_while_removal_runs(void **state)
{
    (void)state;
    some_history(120, 3);
    int64_t newest = put("end", 0);
    struct step step = {.rows = 1};
    assert_int_equal(compact(newest / 2), KV_OK);
    assert_int_equal(test_store_run(&store, step_run, &step, false), 0);
    assert_true(step.progress.finished < step.progress.scheduled);
    assert_int_equal(compact(newest), KV_OK);
    uint32_t hash = hash_at(0, 0);
    (void)remove_all(1);
    assert_int_equal(hash_at(0, 0), hash);
    /* nothing is left but the newest version of each living key */
    assert_int_equal(rows(), (size_t)read_it(range_request("a", "z")).response.range.count);
}

static void checksum_of_revisions(void **state)
{
    (void)state;
    struct hashing hashing = {.revision = 99};
    (void)put("a", 0);
    uint32_t at_2 = hash_at(0, 0);
    (void)put("b", 0);
    assert_int_equal(hash_at(2, 0), at_2);
    assert_true(hash_at(0, 0) != at_2);
    assert_int_equal(test_store_run(&store, hash_begin, &hashing, true), 0);
    assert_int_equal(hashing.error, KV_E_FUTURE_REVISION);
    assert_int_equal(compact(2), KV_OK);
    hashing.revision = 2;
    assert_int_equal(test_store_run(&store, hash_begin, &hashing, true), 0);
    assert_int_equal(hashing.error, KV_E_COMPACTED);
    hashing.revision = 3;
    hashing.rows = 1;
    assert_int_equal(test_store_run(&store, hash_begin, &hashing, true), 0);
    assert_int_equal(compact(3), KV_OK);
    assert_int_equal(test_store_run(&store, hash_step, &hashing, true), 0);
    assert_true(hashing.walk.is_void);
}

/* --- alarms --- */

static struct kv_outcome alarm_do(int32_t action, uint64_t member, int32_t alarm)
{
    return apply((struct kv_request){.kind = KV_KIND_ALARM, .alarm = {action, member, alarm}});
}

static void alarms(void **state)
{
    (void)state;
    struct kv_outcome outcome = alarm_do(KV_ALARM_ACTIVATE, 3, KV_ALARM_NOSPACE);
    assert_int_equal(outcome.response.alarm.alarms.count, 1);
    assert_true(outcome.is_alarm_changed);
    assert_false(outcome.is_changed);
    (void)alarm_do(KV_ALARM_ACTIVATE, 2, KV_ALARM_NOSPACE);
    (void)alarm_do(KV_ALARM_ACTIVATE, 3, KV_ALARM_CORRUPT);
    assert_int_equal(alarm_do(KV_ALARM_GET, 0, KV_ALARM_NONE).response.alarm.alarms.count, 3);
    outcome = read_it((struct kv_request){.kind = KV_KIND_ALARM, .alarm.alarm = KV_ALARM_NOSPACE});
    assert_int_equal(outcome.response.alarm.alarms.count, 2);
    assert_int_equal(outcome.response.alarm.alarms.items[0].member_id, 2);
    assert_int_equal(alarm_do(KV_ALARM_DEACTIVATE, 9, KV_ALARM_NOSPACE).response.alarm.alarms.count,
                     0);
    assert_int_equal(alarm_do(KV_ALARM_DEACTIVATE, 3, KV_ALARM_NOSPACE).response.alarm.alarms.count,
                     1);
    assert_int_equal(alarm_do(KV_ALARM_GET, 0, KV_ALARM_NONE).response.alarm.alarms.count, 2);
    assert_int_equal(alarm_do(7, 0, KV_ALARM_NONE).error, KV_E_MALFORMED);
    assert_int_equal(alarm_do(KV_ALARM_ACTIVATE, 1, 3).error, KV_E_MALFORMED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(grants),
        CASE(keys_follow_their_leases),
        CASE(a_revoke_deletes_in_one_revision),
        CASE(a_txn_with_a_lease_that_is_gone_does_nothing),
        CASE(checkpoints),
        CASE(leases_are_counted),
        CASE(operations_are_counted),
        CASE(decisions_of_another_term_are_void),
        CASE(an_id_that_was_chosen),
        CASE(compact_revisions),
        CASE(bug_18089_tombstone_at_the_compact_revision),
        CASE(bug_17780_revision_never_goes_back),
        CASE(bug_18667_txn_with_a_compacted_range),
        CASE(removal_changes_no_checksum_and_no_answer),
        CASE(a_later_target_while_removal_runs),
        CASE(checksum_of_revisions),
        CASE(alarms),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_scratch_free();
    return failed;
}
