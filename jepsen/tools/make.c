/* SPDX-License-Identifier: Apache-2.0 */
/* Making good histories; see make.h. */
#include "jepsen/tools/make.h"

#include <stdio.h>

#include "base/assert.h"

#define CLIENTS_MAX 64u
#define KEYS_MAX 256u
#define LIST_MAX MAKE_KEY_OPS
#define STEP_US 300

struct maker {
    const struct make_options *options;
    struct base_rand rand;
    int64_t free_us[CLIENTS_MAX]; /* of each client */
    int64_t now_us;
    int64_t next_value;
    /* each key of the present */
    uint32_t name[KEYS_MAX];
    uint32_t used[KEYS_MAX];
    int64_t value[KEYS_MAX];
    uint64_t value_revision[KEYS_MAX];
    uint64_t revision;
    uint32_t names;
};

/* When an operation is called, happens and returns, and whether anybody hears. */
struct moment {
    uint32_t process;
    int64_t call_us, return_us;
    bool is_lost, happens;
};

static struct maker begin(const struct make_options *options)
{
    struct maker m = {.options = options, .rand = base_rand_make(options->seed, 11), .revision = 1};
    BASE_ASSERT(options->clients >= 1 && options->clients <= CLIENTS_MAX);
    BASE_ASSERT(options->keys >= 1 && options->keys <= KEYS_MAX);
    return m;
}

static struct moment next_moment(struct maker *m)
{
    struct moment t = {.process = 0};
    for (uint32_t i = 1; i < m->options->clients; i++) {
        t.process = m->free_us[i] < m->free_us[t.process] ? i : t.process;
    }
    int64_t free_us = m->free_us[t.process];
    m->now_us = (m->now_us > free_us ? m->now_us : free_us) +
                (int64_t)base_rand_between(&m->rand, 1, STEP_US / m->options->clients + 1);
    int64_t early_us = m->now_us - (int64_t)base_rand_between(&m->rand, 0, STEP_US);
    t.call_us = early_us > free_us ? early_us : free_us;
    t.return_us = m->now_us + (int64_t)base_rand_between(&m->rand, 1, STEP_US);
    t.is_lost = base_rand_chance_ppm(&m->rand, m->options->lost_ppm);
    t.happens = !t.is_lost || base_rand_chance_ppm(&m->rand, 500000);
    m->free_us[t.process] = t.return_us + 1;
    return t;
}

/* A key of the present; `name_it` makes its name when it is new. */
static uint32_t pick(struct maker *m, void *table, uint32_t (*name_it)(void *, struct slice))
{
    uint32_t at = (uint32_t)base_rand_between(&m->rand, 0, m->options->keys - 1);
    if (m->used[at] == 0 || m->used[at] >= MAKE_KEY_OPS) {
        char text[16];
        int len = snprintf(text, sizeof(text), "k%u", m->names++);
        m->name[at] = name_it(table, slice_from(text, (size_t)len));
        m->used[at] = 0;
        m->value[at] = 0;
        m->value_revision[at] = 0;
    }
    m->used[at]++;
    return at;
}

/* --- key-value operations --- */

static uint32_t name_key(void *table, struct slice text)
{
    uint32_t key = 0;
    int rc = chk_history_key(table, text, &key);
    BASE_ASSERT(rc == 0);
    return key;
}

static void write_part(struct maker *m, uint32_t at, struct chk_op *op, bool happens)
{
    bool is_swap = base_rand_chance_ppm(&m->rand, 300000);
    op->has_compare = is_swap;
    op->compare_key = m->name[at];
    op->compare_value = base_rand_chance_ppm(&m->rand, 700000) ? m->value[at] : m->next_value;
    op->is_applied = !is_swap || op->compare_value == m->value[at];
    op->parts[0].kind = CHK_WRITE;
    op->parts[0].value = ++m->next_value;
    if (happens && op->is_applied) {
        m->value[at] = op->parts[0].value;
        m->value_revision[at] = ++m->revision;
    }
}

void make_register(struct chk_history *h, size_t count, const struct make_options *options)
{
    struct maker m = begin(options);
    for (size_t i = 0; i < count; i++) {
        struct moment t = next_moment(&m);
        uint32_t at = pick(&m, h, name_key);
        struct chk_op op = {.process = t.process,
                            .status = t.is_lost ? CHK_INFO : CHK_DONE,
                            .call_us = t.call_us,
                            .return_us = t.is_lost ? CHK_NO_RETURN : t.return_us,
                            .is_applied = true,
                            .parts_count = 1,
                            .parts = {{.kind = CHK_READ, .key = m.name[at]}}};
        if (base_rand_chance_ppm(&m.rand, 500000)) {
            write_part(&m, at, &op, t.happens);
        } else if (!t.is_lost) {
            op.parts[0].value = m.value[at];
            op.parts[0].revision = m.value_revision[at];
        }
        op.revision = t.is_lost ? 0 : m.revision;
        int rc = chk_history_add(h, &op);
        BASE_ASSERT(rc == 0);
    }
}

/* --- lists --- */

static uint32_t name_list(void *table, struct slice text)
{
    uint32_t name = 0;
    int rc = chk_log_name(table, text, &name);
    BASE_ASSERT(rc == 0);
    return name;
}

static void add_tx(struct chk_log *log, const struct moment *t)
{
    const struct chk_tx tx = {.process = t->process,
                              .status = t->is_lost ? CHK_INFO : CHK_DONE,
                              .call_us = t->call_us,
                              .return_us = t->is_lost ? CHK_NO_RETURN : t->return_us};
    int rc = chk_log_add(log, &tx);
    BASE_ASSERT(rc == 0);
}

void make_append(struct chk_log *log, size_t count, const struct make_options *options)
{
    static int64_t lists[KEYS_MAX][LIST_MAX];
    static uint32_t lengths[KEYS_MAX];
    struct maker m = begin(options);
    for (size_t i = 0; i < count; i++) {
        struct moment t = next_moment(&m);
        uint32_t kept[3], changed[3], name[3], changes = 0;
        add_tx(log, &t);
        for (uint64_t n = base_rand_between(&m.rand, 1, 3); n > 0; n--) {
            uint32_t at = pick(&m, log, name_list);
            lengths[at] = m.used[at] == 1 ? 0 : lengths[at];
            bool is_append = base_rand_chance_ppm(&m.rand, 500000);
            struct chk_tx_step step = {.kind = is_append ? CHK_APPEND : CHK_LIST,
                                       .name = m.name[at],
                                       .value = is_append ? ++m.next_value : 0,
                                       .is_known = !t.is_lost};
            bool is_told = !is_append && !t.is_lost;
            int rc = chk_log_add_step(log, &step, lists[at], is_told ? lengths[at] : 0);
            BASE_ASSERT(rc == 0);
            if (is_append) {
                kept[changes] = lengths[at];
                name[changes] = m.name[at];
                changed[changes++] = at;
                lists[at][lengths[at]++] = step.value;
            }
        }
        while (!t.happens && changes > 0) {
            changes--;
            if (m.name[changed[changes]] == name[changes]) { /* else another took its place */
                lengths[changed[changes]] = kept[changes];
            }
        }
    }
}

/* --- a set --- */

void make_set(struct chk_log *log, size_t count, const struct make_options *options)
{
    struct maker m = begin(options);
    int64_t *all = log->values + log->values_cap / 2; /* the upper half holds what is in the set */
    size_t in_set = 0;
    log->values_cap /= 2;
    for (size_t i = 0; i < count; i++) {
        struct moment t = next_moment(&m);
        bool is_read = i % (count / 50 + 1) == count / 50;
        struct chk_tx_step step = {.kind = is_read ? CHK_ALL : CHK_ADD,
                                   .value = is_read ? 0 : ++m.next_value,
                                   .is_known = !t.is_lost};
        add_tx(log, &t);
        int rc = chk_log_add_step(log, &step, all, is_read && !t.is_lost ? in_set : 0);
        BASE_ASSERT(rc == 0);
        if (!is_read && t.happens) {
            all[in_set++] = step.value;
        }
    }
    log->values_cap *= 2;
}
