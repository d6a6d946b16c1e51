/* SPDX-License-Identifier: Apache-2.0 */
/* The switch's decisions: every rule does what it says in the measure it says, the same seed
 * decides the same, and a corrupted TCP segment has a checksum that is right. */
#include "tests/support/cm.h"

#include <string.h>

#include "jepsen/wire/frame.h"
#include "jepsen/wire/link.h"

#define FRAMES 20000

/* Sends frames of 1000 bytes, one each millisecond; returns how many copies came out. */
static size_t send_many(struct wire_link *link, int64_t *ret_last_us)
{
    size_t copies = 0;
    for (int64_t i = 0; i < FRAMES; i++) {
        struct wire_fate fate;
        wire_link_pass(link, 1000, i * 1000, &fate);
        copies += fate.copies;
        if (fate.copies > 0) {
            *ret_last_us = fate.copy[fate.copies - 1].at_us;
        }
    }
    return copies;
}

static void assert_near(uint64_t value, uint64_t wanted)
{
    assert_in_range(value, wanted * 9 / 10, wanted * 11 / 10);
}

static void without_rules_all_pass_at_once(void **state)
{
    (void)state;
    struct wire_link link = wire_link_make(1, 0, 1);
    int64_t last = 0;
    assert_int_equal(send_many(&link, &last), FRAMES);
    assert_int_equal(last, (FRAMES - 1) * 1000);
    assert_int_equal(link.counts[WIRE_PASSED], FRAMES);
    assert_int_equal(link.counts[WIRE_DELAYED], 0);
}

static void each_rule_in_its_measure(void **state)
{
    (void)state;
    struct wire_link link = wire_link_make(2, 0, 1);
    int64_t last;
    assert_int_equal(wire_rules_set(&link.rules, "loss_ppm", 200000), 0);
    size_t copies = send_many(&link, &last);
    assert_int_equal(copies, FRAMES - link.counts[WIRE_LOST]);
    assert_near(link.counts[WIRE_LOST], FRAMES / 5);

    link = wire_link_make(2, 0, 1);
    assert_int_equal(wire_rules_set(&link.rules, "duplicate_ppm", 300000), 0);
    copies = send_many(&link, &last);
    assert_int_equal(copies, FRAMES + link.counts[WIRE_DUPLICATED]);
    assert_near(link.counts[WIRE_DUPLICATED], FRAMES * 3 / 10);

    link = wire_link_make(2, 0, 1);
    link.rules.is_cut = true;
    assert_int_equal(send_many(&link, &last), 0);
    assert_int_equal(link.counts[WIRE_CUT], FRAMES);
}

/* Bursts begin with 1 of 100 frames and last ten on average: about a tenth is lost, in rows. */
static void bursts_come_in_rows(void **state)
{
    (void)state;
    struct wire_link link = wire_link_make(3, 0, 1);
    link.rules.burst_ppm = 10000;
    link.rules.burst_end_ppm = 100000;
    uint64_t rows = 0;
    bool was_lost = false;
    for (int64_t i = 0; i < FRAMES; i++) {
        struct wire_fate fate;
        wire_link_pass(&link, 100, i, &fate);
        rows += fate.copies == 0 && !was_lost;
        was_lost = fate.copies == 0;
    }
    assert_in_range(link.counts[WIRE_BURST], FRAMES / 20, FRAMES / 5);
    assert_in_range(rows, FRAMES / 200, FRAMES / 50);
}

static void delay_keeps_the_order_and_reorder_does_not(void **state)
{
    (void)state;
    struct wire_link link = wire_link_make(4, 0, 1);
    link.rules.delay_us = 40000;
    link.rules.jitter_us = 10000;
    int64_t last = 0;
    for (int64_t i = 0; i < FRAMES; i++) {
        struct wire_fate fate;
        wire_link_pass(&link, 100, i * 1000, &fate);
        assert_int_equal(fate.copies, 1);
        assert_in_range(fate.copy[0].at_us, i * 1000 + 30000, i * 1000 + 50000);
        assert_true(fate.copy[0].at_us >= last);
        last = fate.copy[0].at_us;
    }
    link.rules.reorder_ppm = 100000;
    uint64_t overtaken = 0;
    for (int64_t i = FRAMES, before = 0; i < 2 * FRAMES; i++) {
        struct wire_fate fate;
        wire_link_pass(&link, 100, i * 1000, &fate);
        overtaken += fate.copy[0].at_us < before;
        before = fate.copy[0].at_us;
    }
    assert_near(link.counts[WIRE_REORDERED], FRAMES / 10);
    assert_true(overtaken > FRAMES / 20);
}

static void rate_and_queue(void **state)
{
    (void)state;
    struct wire_link link = wire_link_make(5, 0, 1);
    int64_t last = 0;
    link.rules.rate = 500000; /* half of what comes */
    assert_int_equal(send_many(&link, &last), FRAMES);
    assert_int_equal(last, (int64_t)FRAMES * 2000);
    link = wire_link_make(5, 0, 1);
    link.rules.rate = 500000;
    link.rules.queue_bytes = 20000;
    assert_near(send_many(&link, &last), FRAMES / 2);
    assert_true(last <= (FRAMES - 1) * 1000 + 42000);
    assert_true(link.counts[WIRE_QUEUE_FULL] > 0);
}

static void the_seed_decides(void **state)
{
    (void)state;
    struct wire_link a = wire_link_make(6, 1, 2);
    struct wire_link b = wire_link_make(6, 1, 2);
    struct wire_link c = wire_link_make(6, 2, 1);
    a.rules.loss_ppm = b.rules.loss_ppm = c.rules.loss_ppm = 500000;
    b.rules.duplicate_ppm = 500000; /* moves nobody else's luck */
    int differences = 0;
    for (int64_t i = 0; i < 1000; i++) {
        struct wire_fate fa, fb, fc;
        wire_link_pass(&a, 100, i, &fa);
        wire_link_pass(&b, 100, i, &fb);
        wire_link_pass(&c, 100, i, &fc);
        assert_int_equal(fa.copies == 0, fb.copies == 0);
        differences += (fa.copies == 0) != (fc.copies == 0);
    }
    assert_true(differences > 300);
}

static void rules_that_are_none(void **state)
{
    (void)state;
    struct wire_rules rules = {0};
    assert_int_not_equal(wire_rules_set(&rules, "loss_ppm", 1000001), 0);
    assert_int_not_equal(wire_rules_set(&rules, "delay_us", -1), 0);
    assert_int_not_equal(wire_rules_set(&rules, "cut", 2), 0);
    assert_int_not_equal(wire_rules_set(&rules, "speed", 1), 0);
    assert_int_equal(wire_rules_set(&rules, "cut", 1), 0);
    assert_true(rules.is_cut);
}

/* --- frames */
static uint32_t sum_words(const uint8_t *bytes, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    }
    return sum;
}

/* Of the pseudo header and the segment, as the receiver computes it: all ones when it is right. */
static uint32_t tcp_sum(const uint8_t *frame, size_t tcp_len)
{
    uint32_t sum = sum_words(frame + 26, 8, 0) + 6 + (uint32_t)tcp_len;
    sum = sum_words(frame + 34, tcp_len, sum);
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* A segment from port 1000 to port 2380 with `payload` bytes of payload; returns its length. */
static size_t make_frame(uint8_t *frame, size_t payload)
{
    size_t tcp = 20 + payload;
    memset(frame, 0, WIRE_FRAME_MAX);
    frame[12] = 0x08;
    frame[14] = 0x45;
    frame[16] = (uint8_t)((20 + tcp) >> 8);
    frame[17] = (uint8_t)(20 + tcp);
    frame[23] = 6;
    frame[26] = frame[30] = 10;
    frame[29] = 1;
    frame[33] = 2;
    frame[34] = 1000 >> 8;
    frame[35] = (uint8_t)1000;
    frame[36] = 2380 >> 8;
    frame[37] = (uint8_t)2380;
    frame[46] = 5 << 4;
    for (size_t i = 0; i < payload; i++) {
        frame[54 + i] = (uint8_t)(i * 7);
    }
    uint32_t sum = ~tcp_sum(frame, tcp) & 0xffff;
    frame[50] = (uint8_t)(sum >> 8);
    frame[51] = (uint8_t)sum;
    return 34 + tcp;
}

static void corrupted_payload_has_a_right_checksum(void **state)
{
    (void)state;
    uint8_t frame[WIRE_FRAME_MAX], before[WIRE_FRAME_MAX];
    for (size_t payload = 1; payload < 40; payload++) {
        size_t len = make_frame(frame, payload);
        assert_int_equal(tcp_sum(frame, 20 + payload), 0xffff);
        memcpy(before, frame, len);
        for (uint64_t dice = 0; dice < payload * 8; dice++) {
            assert_true(wire_frame_corrupt(frame, len, 0, dice));
            assert_int_equal(tcp_sum(frame, 20 + payload), 0xffff);
            assert_int_not_equal(memcmp(frame + 54, before + 54, payload), 0);
            assert_int_equal(memcmp(frame, before, 50), 0);
            memcpy(frame, before, len);
        }
    }
}

static void what_is_not_corrupted(void **state)
{
    (void)state;
    uint8_t frame[WIRE_FRAME_MAX];
    size_t len = make_frame(frame, 0);
    assert_false(wire_frame_corrupt(frame, len, 0, 1)); /* nothing to corrupt */
    len = make_frame(frame, 10);
    assert_false(wire_frame_corrupt(frame, len, 5432, 1)); /* another port */
    assert_true(wire_frame_corrupt(frame, len, 2380, 1));
    assert_true(wire_frame_has_port(frame, len, 1000));
    assert_false(wire_frame_has_port(frame, len, 1001));
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(wire_frame_corrupt(frame, cut, 0, 1)); /* shorter than it says */
    }
    frame[20] = 0x20; /* a fragment */
    assert_false(wire_frame_corrupt(frame, len, 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_all_pass_at_once),
        cmocka_unit_test(each_rule_in_its_measure),
        cmocka_unit_test(bursts_come_in_rows),
        cmocka_unit_test(delay_keeps_the_order_and_reorder_does_not),
        cmocka_unit_test(rate_and_queue),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(rules_that_are_none),
        cmocka_unit_test(corrupted_payload_has_a_right_checksum),
        cmocka_unit_test(what_is_not_corrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
