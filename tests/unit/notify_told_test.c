/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of what is told about records: each change becomes an event on every node alike, the
 * row takes out what was told, a node that starts finds what nobody told, and a full queue loses
 * its oldest. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "arbiter/notify/told.h"
#include "base/error.h"
#include "base/name.h"

static struct told_facts facts_of(const char *holder, uint64_t epoch, uint64_t revision)
{
    struct told_facts f = {.epoch = epoch, .revision = revision};
    assert_int_equal(base_name_from_text("main", &f.cluster), 0);
    assert_int_equal(base_name_from_text(holder, &f.holder), 0);
    return f;
}

static struct told *told_new(void)
{
    static struct told nodes[4];
    static size_t next;
    struct told *told = &nodes[next++ % 4];
    memset(told, 0, sizeof(*told));
    return told;
}

/* The row as it stands after the first event was told; applied on `other`, too. */
static void tell_first(struct told *leader, struct told *other)
{
    uint8_t memory[TOLD_BYTES_MAX];
    struct buf row = buf_over(memory, sizeof(memory));
    const struct told_event *event = told_next(leader, true);
    assert_non_null(event);
    if (!event->is_last) {
        char id[TOLD_ID_MAX];
        (void)snprintf(id, sizeof(id), "%s", event->id);
        told_remove(leader, id);
        return;
    }
    told_row_after(leader, event, &row);
    assert_false(row.is_full);
    uint64_t revision = leader->revision + 1;
    assert_int_equal(told_row(leader, revision, buf_slice(&row)), 0);
    assert_int_equal(told_row(other, revision, buf_slice(&row)), 0);
}

static void test_both_nodes_alike(void **state)
{
    struct told *a = told_new();
    struct told *b = told_new();
    struct told_facts f = facts_of("pg1", 1, 1);
    (void)state;
    told_record(a, &f, false, 5);
    told_record(b, &f, false, 6);
    f = facts_of("pg1", 1, 2); /* nothing that anybody wants to hear */
    told_record(a, &f, false, 5);
    told_record(b, &f, false, 6);
    f = facts_of("pg2", 2, 3);
    f.is_sync_lost = true;
    told_record(a, &f, false, 7);
    told_record(b, &f, false, 8);
    assert_int_equal(a->queue_count, 3);
    assert_int_equal(b->queue_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(a->queue[i].id, b->queue[i].id);
        assert_string_equal(a->queue[i].text, b->queue[i].text);
    }
    assert_string_equal(a->queue[0].id, "main/1.0/failover");
    assert_string_equal(a->queue[1].id, "main/2.0/failover");
    assert_string_equal(a->queue[2].id, "main/2.3/sync-lost");
    assert_non_null(
        strstr(a->queue[1].text, "pg2 is the primary of main now, epoch 2; it was pg1"));
    assert_null(told_next(b, false)); /* who does not lead tells nothing of records */
}

static void test_next_leader_goes_on(void **state)
{
    struct told *a = told_new();
    struct told *b = told_new();
    struct told_facts f = facts_of("pg1", 1, 1);
    (void)state;
    told_record(a, &f, false, 0);
    told_record(b, &f, false, 0);
    f = facts_of("pg2", 2, 2);
    f.is_sync_lost = true;
    told_record(a, &f, false, 0);
    told_record(b, &f, false, 0);
    tell_first(a, b); /* epoch 1 */
    assert_string_equal(told_next(a, true)->id, "main/2.0/failover");
    assert_string_equal(told_next(b, true)->id, "main/2.0/failover");
    tell_first(a, b); /* the first of two of one change: b does not know */
    assert_string_equal(told_next(a, true)->id, "main/2.2/sync-lost");
    assert_string_equal(told_next(b, true)->id, "main/2.0/failover"); /* told twice, same id */
    tell_first(a, b);
    assert_null(told_next(a, true));
    assert_null(told_next(b, true));
}

static void test_start_finds_what_was_not_told(void **state)
{
    struct told *a = told_new();
    struct told *b = told_new();
    struct told_facts f = facts_of("pg1", 1, 1);
    (void)state;
    told_record(a, &f, false, 0);
    tell_first(a, b);
    uint8_t memory[TOLD_BYTES_MAX];
    struct buf row = buf_over(memory, sizeof(memory));
    f = facts_of("pg2", 4, 9); /* three epochs on, and nobody was there */
    f.is_paused = true;
    const struct told_event old = {.facts = facts_of("pg1", 1, 1)};
    told_row_after(a, &old, &row);
    struct told *c = told_new();
    told_record(c, &f, true, 0);
    assert_int_equal(told_row(c, 1, buf_slice(&row)), 0);
    assert_null(told_next(c, true));
    told_loaded(c, 0);
    assert_string_equal(told_next(c, true)->id, "main/4.0/failover");
    assert_int_equal(c->queue_count, 2);
    assert_string_equal(c->queue[1].id, "main/4.9/paused");
    told_loaded(c, 0); /* again: no second time */
    assert_int_equal(c->queue_count, 2);
    tell_first(c, b);
    tell_first(c, b);
    told_loaded(c, 0); /* everything is told */
    assert_null(told_next(c, true));
}

static void test_every_flag(void **state)
{
    struct told *a = told_new();
    struct told_facts f = facts_of("pg1", 1, 1);
    static const char *const wanted[] = {"failover", "sync-lost",   "sync-back", "paused",
                                         "resumed",  "unconfirmed", "confirmed"};
    (void)state;
    told_record(a, &f, false, 0);
    for (uint64_t i = 0; i < 6; i++) {
        f.revision++;
        f.is_sync_lost = i == 0;
        f.is_paused = i == 2;
        f.is_unconfirmed = i == 4;
        told_record(a, &f, false, 0);
    }
    assert_int_equal(a->queue_count, BASE_COUNT_OF(wanted));
    for (size_t i = 0; i < BASE_COUNT_OF(wanted); i++) {
        assert_string_equal(told_kind_name(a->queue[i].kind), wanted[i]);
        assert_true(a->queue[i].is_last);
    }
}

static void test_removed_cluster_is_forgotten(void **state)
{
    struct told *a = told_new();
    struct told_facts f = facts_of("pg1", 1, 1);
    (void)state;
    told_record(a, &f, false, 0);
    f.epoch = 0;
    told_record(a, &f, false, 0);
    assert_int_equal(a->queue_count, 0);
    assert_int_equal(a->seen_count, 0);
    f = facts_of("pg1", 1, 1); /* made anew: told anew */
    told_record(a, &f, false, 0);
    assert_int_equal(a->queue_count, 1);
}

static void test_full_queue(void **state)
{
    struct told *a = told_new();
    (void)state;
    for (unsigned i = 0; i < TOLD_QUEUE_MAX + 3; i++) {
        struct told_event event = {.kind = TOLD_REFUSED, .is_own = i == TOLD_QUEUE_MAX};
        (void)snprintf(event.id, sizeof(event.id), "%u", i);
        told_add(a, &event);
        told_add(a, &event); /* the same id: once */
    }
    assert_int_equal(a->queue_count, TOLD_QUEUE_MAX);
    assert_int_equal(a->dropped, 3);
    assert_string_equal(a->queue[0].id, "3");
    assert_string_equal(told_next(a, false)->id, "64"); /* its own, without leading */
    told_forget_spoken(a);
    assert_int_equal(a->queue_count, 1);
}

static void test_rows_that_are_damaged(void **state)
{
    static const char *const rows[] = {"main",
                                       "main x 1 pg1 0\n",
                                       "main 1 1 pg1\n",
                                       "main 1 1 pg1 x\n",
                                       "ma in 1 1 pg1 0\n",
                                       "main 1 1 p/g1 0\n"};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct told *a = told_new();
        assert_int_equal(told_row(a, 1, slice_from_text(rows[i])), BASE_E_PROTO);
        assert_int_equal(a->revision, 0);
    }
    struct told *a = told_new();
    assert_int_equal(told_row(a, 1, SLICE_LIT("main 3 4 - 5\n")), 0);
    assert_true(a->list[0].is_sync_lost && a->list[0].is_unconfirmed && !a->list[0].is_paused);
    assert_int_equal(told_row(a, 2, SLICE_EMPTY), 0);
    assert_int_equal(a->count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_nodes_alike),
        cmocka_unit_test(test_next_leader_goes_on),
        cmocka_unit_test(test_start_finds_what_was_not_told),
        cmocka_unit_test(test_every_flag),
        cmocka_unit_test(test_removed_cluster_is_forgotten),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_rows_that_are_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
