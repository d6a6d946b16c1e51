/* SPDX-License-Identifier: Apache-2.0 */
/* Raft messages on the wire: what goes in comes out; nothing that comes from outside does harm. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"

#include "base/rand.h"
#include "proto/wire/raft.h"

#define ARENA_BYTES (1u << 20)

static uint8_t arena_memory[ARENA_BYTES];
static struct wire_arena arena;
static uint8_t bytes[1u << 16];

static struct msg_raft sample(struct msg_raft_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct msg_raft_entry){
            .term = 5 + i / 3, .type = MSG_RAFT_ENTRY_DATA, .body = SLICE_LIT("put a 1\0x")};
    }
    return (struct msg_raft){.type = MSG_RAFT_APPEND,
                             .cluster = UINT64_MAX,
                             .from = 1,
                             .to = UINT64_C(1) << 62,
                             .term = 9,
                             .index = 1000,
                             .log_term = 5,
                             .commit = 999,
                             .entry_count = count,
                             .entries = entries};
}

static struct slice encode(const struct msg_raft *m)
{
    struct buf out = buf_over(bytes, sizeof(bytes));
    wire_arena_init(&arena, arena_memory, sizeof(arena_memory));
    assert_int_equal(wire_raft_encode(m, &arena, &out), 0);
    return buf_slice(&out);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct msg_raft_entry entries[12];
    struct msg_raft out;
    struct msg_raft in = sample(entries, 12);
    assert_int_equal(wire_raft_decode(encode(&in), &arena, &out), 0);
    assert_int_equal(out.entry_count, 12);
    for (uint32_t i = 0; i < 12; i++) {
        assert_true(out.entries[i].term == entries[i].term);
        assert_int_equal(out.entries[i].type, entries[i].type);
        assert_true(slice_equal(out.entries[i].body, entries[i].body));
    }
    assert_true(out.cluster == in.cluster && out.to == in.to && out.index == 1000);
    assert_true(out.log_term == 5 && out.commit == 999 && out.term == 9);
    struct msg_raft reply = {.type = MSG_RAFT_APPEND_REPLY,
                             .is_rejected = true,
                             .from = 3,
                             .to = 4,
                             .term = 1,
                             .proposed_term = 2,
                             .round = UINT64_MAX,
                             .received = 6,
                             .hint_index = 7,
                             .hint_term = 8};
    assert_int_equal(wire_raft_decode(encode(&reply), &arena, &out), 0);
    assert_true(out.is_rejected && out.round == UINT64_MAX && out.received == 6);
    assert_true(out.hint_index == 7 && out.hint_term == 8 && out.proposed_term == 2);
}

static struct msg_raft chunk(void)
{
    return (struct msg_raft){.type = MSG_RAFT_SNAPSHOT,
                             .from = 1,
                             .to = 2,
                             .term = 9,
                             .index = 1000,
                             .log_term = 8,
                             .round = 5,
                             .offset = UINT64_C(1) << 40,
                             .is_last = true,
                             .data = SLICE_LIT("a piece\0of it")};
}

static void test_images_and_transfers(void **state)
{
    (void)state;
    struct msg_raft out;
    struct msg_raft in = chunk();
    assert_int_equal(wire_raft_decode(encode(&in), &arena, &out), 0);
    assert_true(slice_equal(out.data, in.data) && out.is_last && !out.is_transfer);
    assert_true(out.offset == in.offset && out.round == 5 && out.log_term == 8);
    in = (struct msg_raft){
        .type = MSG_RAFT_SNAPSHOT_REPLY, .from = 1, .to = 2, .offset = UINT64_MAX};
    assert_int_equal(wire_raft_decode(encode(&in), &arena, &out), 0);
    assert_true(out.offset == UINT64_MAX && out.data.len == 0);
    in = (struct msg_raft){
        .type = MSG_RAFT_VOTE, .from = 1, .to = 2, .term = 3, .is_transfer = true};
    assert_int_equal(wire_raft_decode(encode(&in), &arena, &out), 0);
    assert_true(out.is_transfer);
}

static void expect_refused(struct msg_raft m)
{
    struct msg_raft out = {.term = 77};
    assert_int_equal(wire_raft_decode(encode(&m), &arena, &out), BASE_E_PROTO);
    assert_int_equal(out.term, 77);
}

static void test_unsound_images_are_refused(void **state)
{
    (void)state;
    struct msg_raft m = chunk();
    m.index = 0;
    expect_refused(m);
    m = chunk();
    m.log_term = 0;
    expect_refused(m);
    m = chunk();
    m.log_term = 10;
    expect_refused(m);
    m = chunk();
    m.offset = UINT64_MAX;
    expect_refused(m);
    m = chunk();
    m.type = MSG_RAFT_HEARTBEAT; /* carries no piece of an image */
    expect_refused(m);
    for (unsigned type = MSG_RAFT_READ_REPLY + 1; type < MSG_RAFT_SNAPSHOT; type++) {
        m = (struct msg_raft){.type = (enum msg_raft_type)type, .from = 1, .to = 2};
        expect_refused(m); /* numbers that mean nothing */
    }
}

static void test_unsound_messages_are_refused(void **state)
{
    (void)state;
    struct msg_raft_entry entries[MSG_RAFT_ENTRIES_MAX + 1];
    struct msg_raft m = sample(entries, 3);
    m.type = (enum msg_raft_type)99;
    expect_refused(m);
    m = sample(entries, 3);
    m.type = MSG_RAFT_HEARTBEAT; /* has no entries */
    expect_refused(m);
    m = sample(entries, 3);
    m.from = 0;
    expect_refused(m);
    m = sample(entries, 3);
    m.index = UINT64_C(1) << 63;
    expect_refused(m);
    m = sample(entries, 3);
    m.index = 0;
    expect_refused(m);
    m = sample(entries, 3);
    entries[1].term = 4; /* falls */
    expect_refused(m);
    m = sample(entries, 3);
    entries[2].term = 10; /* later than its leader */
    expect_refused(m);
    m = sample(entries, 3);
    entries[0].type = (enum msg_raft_entry_type)0;
    expect_refused(m);
    m = sample(entries, MSG_RAFT_ENTRIES_MAX);
    m.term = 1000;
    struct msg_raft out;
    assert_int_equal(wire_raft_decode(encode(&m), &arena, &out), 0);
    m = sample(entries, MSG_RAFT_ENTRIES_MAX + 1);
    m.term = 1000;
    expect_refused(m);
    assert_int_equal(wire_raft_decode(SLICE_EMPTY, &arena, &out), BASE_E_PROTO);
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    struct msg_raft_entry entries[100];
    struct msg_raft m = sample(entries, 100);
    m.term = 100;
    struct slice good = encode(&m);
    struct msg_raft out;
    struct wire_arena small;
    wire_arena_init(&small, arena_memory + 1, 2000);
    assert_int_equal(wire_raft_decode(good, &small, &out), BASE_E_PROTO);
    assert_true(small.is_full);
    uint8_t little[50];
    struct buf full = buf_over(little, sizeof(little));
    assert_int_equal(wire_raft_encode(&m, &arena, &full), BASE_E_TOOBIG);
    assert_int_equal(full.len, 0);
    /* Many empty entries in few bytes: bounded by the arena, not by luck. */
    memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i + 1 < sizeof(bytes); i += 2) {
        bytes[i] = 15 << 3 | 2;
    }
    wire_arena_init(&arena, arena_memory, sizeof(arena_memory));
    assert_int_equal(wire_raft_decode(slice_from(bytes, sizeof(bytes)), &arena, &out),
                     BASE_E_PROTO);
}

static void check_decoded(const struct msg_raft *m)
{
    uint64_t term = m->log_term;
    assert_true(m->type > MSG_RAFT_NONE && m->type < MSG_RAFT_TYPE_COUNT);
    assert_true(m->entry_count <= MSG_RAFT_ENTRIES_MAX);
    for (uint32_t i = 0; i < m->entry_count; i++) {
        assert_true(m->entries[i].term >= term && m->entries[i].term <= m->term);
        term = m->entries[i].term;
        uint8_t sum = 0;
        for (size_t j = 0; j < m->entries[i].body.len; j++) {
            sum = (uint8_t)(sum + m->entries[i].body.data[j]); /* readable memory */
        }
        (void)sum;
    }
}

static void test_mutations(void **state)
{
    (void)state;
    struct base_rand r = base_rand_make(11, 1);
    size_t accepted = 0;
    for (int i = 0; i < 40000; i++) {
        struct msg_raft_entry entries[8];
        struct msg_raft out;
        struct msg_raft in = sample(entries, (uint32_t)base_rand_between(&r, 0, 8));
        struct slice good = encode(&in);
        size_t len = good.len;
        uint8_t *copy = malloc(len + 1); /* own memory, so that a reader beyond its end is seen */
        assert_non_null(copy);
        memcpy(copy, good.data, len);
        for (uint64_t n = base_rand_between(&r, 1, 4); n > 0; n--) {
            copy[base_rand_between(&r, 0, len - 1)] = (uint8_t)base_rand_next(&r);
        }
        if (base_rand_chance_ppm(&r, 200000)) {
            len = base_rand_between(&r, 0, len);
        }
        uint8_t *exact = malloc(len == 0 ? 1 : len);
        assert_non_null(exact);
        memcpy(exact, copy, len);
        if (wire_raft_decode(slice_from(exact, len), &arena, &out) == 0) {
            check_decoded(&out);
            accepted++;
        }
        free(exact);
        free(copy);
    }
    assert_true(accepted > 100);
}

static void test_arena(void **state)
{
    (void)state;
    struct wire_arena a;
    wire_arena_init(&a, arena_memory + 3, 100);
    uint8_t *first = wire_arena_take(&a, 1);
    uint8_t *second = wire_arena_take(&a, 8);
    assert_true((uintptr_t)first % 16 == 0 && (uintptr_t)second % 16 == 0 && second > first);
    assert_null(wire_arena_take(&a, 100));
    assert_true(a.is_full);
    assert_null(wire_arena_take(&a, SIZE_MAX));
    wire_arena_reset(&a);
    assert_ptr_equal(wire_arena_take(&a, 50), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_images_and_transfers),
        cmocka_unit_test(test_unsound_images_are_refused),
        cmocka_unit_test(test_unsound_messages_are_refused),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
