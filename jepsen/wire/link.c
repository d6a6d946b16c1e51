/* SPDX-License-Identifier: Apache-2.0 */
/* See link.h. Dice are thrown in the same order for every frame and whatever the rules are, so that
 * changing one rule in the middle of a run does not move the others' luck. */
#include "jepsen/wire/link.h"

#include <string.h>

#include "base/error.h"

const char *const wire_count_names[WIRE_COUNTS] = {"passed",    "cut",        "lost",
                                                   "burst",     "queue_full", "duplicated",
                                                   "reordered", "corrupted",  "delayed"};

struct wire_link wire_link_make(uint64_t seed, unsigned from, unsigned to)
{
    return (struct wire_link){.rand = base_rand_make(seed, ((uint64_t)from << 32) | to)};
}

struct dice {
    bool lost, burst, burst_ends, duplicate, reorder, corrupt[2];
    uint64_t jitter[2], bit[2];
};

static struct dice throw_dice(struct wire_link *link)
{
    const struct wire_rules *rules = &link->rules;
    struct base_rand *r = &link->rand;
    struct dice d = {0};
    d.lost = base_rand_chance_ppm(r, rules->loss_ppm);
    d.burst = base_rand_chance_ppm(r, rules->burst_ppm);
    d.burst_ends = base_rand_chance_ppm(r, rules->burst_end_ppm);
    d.duplicate = base_rand_chance_ppm(r, rules->duplicate_ppm);
    d.reorder = base_rand_chance_ppm(r, rules->reorder_ppm);
    for (int i = 0; i < 2; i++) {
        d.corrupt[i] = base_rand_chance_ppm(r, rules->corrupt_ppm);
        d.jitter[i] = base_rand_next(r);
        d.bit[i] = base_rand_next(r);
    }
    return d;
}

/* The cause for which a frame does not pass, or WIRE_PASSED. */
static enum wire_count is_lost(struct wire_link *link, const struct dice *d, size_t len,
                               int64_t now_us)
{
    const struct wire_rules *rules = &link->rules;
    bool burst = link->is_burst || d->burst;
    link->is_burst = burst && !d->burst_ends;
    if (rules->is_cut) {
        return WIRE_CUT;
    }
    if (burst) {
        return WIRE_BURST;
    }
    if (d->lost) {
        return WIRE_LOST;
    }
    if (rules->rate > 0 && rules->queue_bytes > 0 && link->free_at_us > now_us) {
        int64_t waiting = (link->free_at_us - now_us) * rules->rate / BASE_US_PER_S;
        return waiting + (int64_t)len > rules->queue_bytes ? WIRE_QUEUE_FULL : WIRE_PASSED;
    }
    return WIRE_PASSED;
}

/* When the whole frame is on the wire, at the link's rate. */
static int64_t sent_at(struct wire_link *link, size_t len, int64_t now_us)
{
    if (link->rules.rate <= 0) {
        return now_us;
    }
    int64_t begin = link->free_at_us > now_us ? link->free_at_us : now_us;
    link->free_at_us = begin + (int64_t)len * BASE_US_PER_S / link->rules.rate;
    return link->free_at_us;
}

static int64_t on_the_way(const struct wire_rules *rules, uint64_t dice)
{
    int64_t span = 2 * rules->jitter_us + 1;
    int64_t us = rules->delay_us + (int64_t)(dice % (uint64_t)span) - rules->jitter_us;
    return us > 0 ? us : 0;
}

void wire_link_pass(struct wire_link *link, size_t len, int64_t now_us, struct wire_fate *ret_fate)
{
    struct dice d = throw_dice(link);
    *ret_fate = (struct wire_fate){0};
    enum wire_count cause = is_lost(link, &d, len, now_us);
    link->counts[cause]++;
    if (cause != WIRE_PASSED) {
        return;
    }
    int64_t sent = sent_at(link, len, now_us);
    ret_fate->copies = d.duplicate ? 2 : 1;
    link->counts[WIRE_DUPLICATED] += d.duplicate;
    link->counts[WIRE_REORDERED] += d.reorder;
    for (size_t i = 0; i < ret_fate->copies; i++) {
        int64_t at = sent + on_the_way(&link->rules, d.jitter[i]);
        if (d.reorder) {
            at += 2 * link->rules.delay_us + BASE_US_PER_MS;
        } else {
            at = at > link->last_us ? at : link->last_us;
            link->last_us = at;
        }
        link->counts[WIRE_DELAYED] += at > now_us;
        ret_fate->copy[i] =
            (struct wire_copy){.at_us = at, .is_corrupt = d.corrupt[i], .dice = d.bit[i]};
    }
}

static int set_ppm(uint32_t *field, int64_t value)
{
    if (value < 0 || value > 1000000) {
        return BASE_E_INVALID;
    }
    *field = (uint32_t)value;
    return 0;
}

static int set_amount(int64_t *field, int64_t value)
{
    if (value < 0 || value > INT64_C(1000000000000)) {
        return BASE_E_INVALID;
    }
    *field = value;
    return 0;
}

int wire_rules_set(struct wire_rules *rules, const char *name, int64_t value)
{
    struct {
        const char *name;
        uint32_t *ppm;
        int64_t *amount;
    } fields[] = {
        {"delay_us", NULL, &rules->delay_us},
        {"jitter_us", NULL, &rules->jitter_us},
        {"loss_ppm", &rules->loss_ppm, NULL},
        {"burst_ppm", &rules->burst_ppm, NULL},
        {"burst_end_ppm", &rules->burst_end_ppm, NULL},
        {"duplicate_ppm", &rules->duplicate_ppm, NULL},
        {"reorder_ppm", &rules->reorder_ppm, NULL},
        {"corrupt_ppm", &rules->corrupt_ppm, NULL},
        {"corrupt_port", &rules->corrupt_port, NULL},
        {"rate", NULL, &rules->rate},
        {"queue_bytes", NULL, &rules->queue_bytes},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        if (strcmp(name, fields[i].name) == 0) {
            return fields[i].ppm != NULL ? set_ppm(fields[i].ppm, value)
                                         : set_amount(fields[i].amount, value);
        }
    }
    if (strcmp(name, "cut") == 0 && (value == 0 || value == 1)) {
        rules->is_cut = value == 1;
        return 0;
    }
    return BASE_E_INVALID;
}
