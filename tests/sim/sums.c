/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over runs. */
#include "tests/sim/sums.h"

#include <inttypes.h>
#include <stdio.h>

#define ADOPTED_FLOOR 400 /* in 1000 seeds */

static const struct floor_row {
    const char *name;
    uint64_t floor;
} kinds[FAULT_KIND_COUNT] = {
#define FAULT_ROW(id, name, group, floor, fn) [FAULT_##id] = {name, floor},
    FAULT_KINDS_DRAWN(FAULT_ROW)
#undef FAULT_ROW
#define FAULT_ROW(id, name, floor) [FAULT_##id] = {name, floor},
        FAULT_KINDS_OTHER(FAULT_ROW)
#undef FAULT_ROW
#define FAULT_ROW(id, name, floor, fn) [FAULT_##id] = {name, floor},
            FAULT_KINDS_GALERA(FAULT_ROW)
#undef FAULT_ROW
                [FAULT_GALERA_TAIL_LOST] = {"galera-tail-lost", 5},
#define FAULT_ROW(id, name, floor, fn) [FAULT_##id] = {name, floor},
    FAULT_KINDS_HOSTS(FAULT_ROW)
#undef FAULT_ROW
        [FAULT_WATCHDOG_RESET] = {"watchdog-reset", 200},
#define FAULT_ROW(id, name, floor, fn) [FAULT_##id] = {name, floor},
    FAULT_KINDS_MONGODB(FAULT_ROW)
#undef FAULT_ROW
};

static void add_tally(struct tally *into, const struct tally *from)
{
    uint64_t *a = (uint64_t *)(void *)into;
    const uint64_t *b = (const uint64_t *)(const void *)from;
    for (size_t i = 0; i < sizeof(*into) / sizeof(uint64_t); i++) {
        a[i] += b[i];
    }
}

void sums_add(struct sums *s, const struct world *w)
{
    add_tally(&s->tally, &w->tally);
    s->failed += w->failure_name != NULL;
    s->seeds++;
}

void sums_merge(struct sums *s, const struct sums *part)
{
    add_tally(&s->tally, &part->tally);
    s->seeds += part->seeds;
    s->failed += part->failed;
    s->real_us = s->real_us > part->real_us ? s->real_us : part->real_us;
    for (size_t i = 0; i < BASE_MARK_COUNT; i++) {
        s->marks[i] += part->marks[i];
    }
}

void sums_print(const struct sums *s)
{
    const struct tally *t = &s->tally;
    double seconds = (double)s->real_us / 1e6;
    printf("%" PRIu64 " seeds in %.1f s", s->seeds, seconds);
    if (s->real_us > 0) {
        printf(": %.0f events, %.0f simulated seconds each second", (double)t->events / seconds,
               (double)t->busy_us / 1e6 / seconds);
    }
    printf("\n");
#define TALLY_PRINT(name, floor, text) printf("  %12" PRIu64 "  %s\n", t->name, text);
    TALLY_COUNTS(TALLY_PRINT)
    if (t->galera_acked > 0) {
        TALLY_GALERA(TALLY_PRINT)
    }
    if (t->mongodb_acked > 0) {
        TALLY_MONGODB(TALLY_PRINT)
    }
#undef TALLY_PRINT
    printf("faults that bit:");
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
        if (t->bit[i] > 0) {
            printf(" %s %" PRIu64, kinds[i].name, t->bit[i]);
        }
    }
    printf("\n");
}

void sums_json(const struct sums *s, FILE *out)
{
    const struct tally *t = &s->tally;
    (void)fprintf(out, "{\"seeds\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"real_us\": %" PRIu64,
                  s->seeds, s->failed, s->real_us);
#define TALLY_JSON(name, floor, text) (void)fprintf(out, ", \"" #name "\": %" PRIu64, t->name);
    TALLY_COUNTS(TALLY_JSON)
    TALLY_GALERA(TALLY_JSON)
    TALLY_MONGODB(TALLY_JSON)
#undef TALLY_JSON
    (void)fprintf(out, ", \"faults\": {");
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++) {
        (void)fprintf(out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "", kinds[i].name, t->bit[i]);
    }
    (void)fprintf(out, "}, \"marks\": {");
    for (size_t i = 0; i < BASE_MARK_COUNT; i++) {
        (void)fprintf(out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "",
                      base_mark_name((enum base_mark)i), s->marks[i]);
    }
    (void)fprintf(out, "}}\n");
}

/* 1 when there is less than the floor asks for. */
static int too_few(const struct sums *s, const char *name, uint64_t have, uint64_t floor)
{
    uint64_t wanted = floor * s->seeds / 1000;
    if (have >= wanted) {
        return 0;
    }
    printf("  %s: %" PRIu64 ", wanted %" PRIu64 "\n", name, have, wanted);
    return 1;
}

static int check_marks(const struct sums *s)
{
    int missing = 0;
    for (size_t i = 0; i < BASE_MARK_COUNT; i++) {
        if (s->marks[i] < MARK_FLOOR) {
            printf("  mark %s: %" PRIu64 " times, wanted %d\n", base_mark_name((enum base_mark)i),
                   s->marks[i], MARK_FLOOR);
            missing++;
        }
    }
    return missing;
}

/* Of runs with a Galera cluster: what is theirs alone; the rest is asked for elsewhere. */
static int check_galera(const struct sums *s)
{
    const struct tally *t = &s->tally;
    int missing = 0;
#define TALLY_CHECK(name, floor, text) missing += too_few(s, text, t->name, floor);
    TALLY_GALERA(TALLY_CHECK)
#undef TALLY_CHECK
    for (size_t i = FAULT_GALERA_FIRST; i < FAULT_HOSTS_FIRST; i++) {
        missing += too_few(s, kinds[i].name, t->bit[i], kinds[i].floor);
    }
    return missing;
}

/* Likewise with a MongoDB set. */
static int check_mongodb(const struct sums *s)
{
    const struct tally *t = &s->tally;
    int missing = 0;
#define TALLY_CHECK(name, floor, text) missing += too_few(s, text, t->name, floor);
    TALLY_MONGODB(TALLY_CHECK)
#undef TALLY_CHECK
    for (size_t i = FAULT_MONGODB_FIRST; i < FAULT_KIND_COUNT; i++) {
        missing += too_few(s, kinds[i].name, t->bit[i], kinds[i].floor);
    }
    return missing;
}

static int check_others(const struct sums *s, bool with_marks)
{
    const struct tally *t = &s->tally;
    int missing = with_marks ? check_marks(s) : 0;
#define TALLY_CHECK(name, floor, text) missing += too_few(s, text, t->name, floor);
    TALLY_COUNTS(TALLY_CHECK)
#undef TALLY_CHECK
    for (size_t i = 0; i < FAULT_GALERA_FIRST; i++) {
        missing += too_few(s, kinds[i].name, t->bit[i], kinds[i].floor);
    }
    return missing;
}

/* Of hosts with watchdogs and databases that were there before. */
static int check_hosts(const struct sums *s)
{
    const struct tally *t = &s->tally;
    int missing = too_few(s, "servers taken over while they ran", t->adopted, ADOPTED_FLOOR);
    for (size_t i = FAULT_HOSTS_FIRST; i <= FAULT_WATCHDOG_RESET; i++) {
        missing += too_few(s, kinds[i].name, t->bit[i], kinds[i].floor);
    }
    return missing;
}

int sums_check(const struct sums *s, bool with_marks, const struct setup_wish *wish)
{
    const struct tally *t = &s->tally;
    int missing = wish->is_galera    ? check_galera(s)
                  : wish->is_mongodb ? check_mongodb(s)
                  : wish->has_hosts  ? check_hosts(s)
                                     : check_others(s, with_marks);
    if (t->kv_unknown * 50 > t->kv_ok + t->kv_fail) {
        printf("  more than 2%% of the key-value operations have an unknown outcome\n");
        missing++;
    }
    if (missing > 0) {
        printf("FAILED enough-happened: %d counts are below what proves something\n", missing);
    }
    return missing > 0 ? 1 : 0;
}
