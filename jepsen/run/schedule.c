/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of menus and making of plans; see schedule.h. */
#include "jepsen/run/schedule.h"

#include <string.h>

#include "base/rand.h"

/* --- the table --- */

/* The next word of the line; empty at its end or where a comment begins. */
static struct slice take_word(struct slice *line)
{
    size_t start = 0, end;
    while (start < line->len && line->data[start] == ' ') {
        start++;
    }
    end = start;
    while (end < line->len && line->data[end] != ' ') {
        end++;
    }
    struct slice word = slice_from(line->data + start, end - start);
    *line = slice_skip(*line, end);
    if (word.len > 0 && word.data[0] == '#') {
        *line = SLICE_EMPTY;
        return SLICE_EMPTY;
    }
    return word;
}

static struct slice take_line(struct slice *text)
{
    size_t len = 0;
    while (len < text->len && text->data[len] != '\n') {
        len++;
    }
    struct slice line = slice_from(text->data, len);
    *text = slice_skip(*text, len + 1 < text->len ? len + 1 : text->len);
    return line;
}

static int take_number(struct slice *line, uint32_t *ret)
{
    uint64_t number = 0;
    int rc = slice_to_u64(take_word(line), &number);
    if (rc != 0 || number > UINT32_MAX / 4) {
        return BASE_E_INVALID;
    }
    *ret = (uint32_t)number;
    return 0;
}

static int take_name(struct slice *line, char ret[SCHEDULE_NAME_MAX + 1])
{
    struct slice word = take_word(line);
    if (word.len == 0 || word.len > SCHEDULE_NAME_MAX) {
        return BASE_E_INVALID;
    }
    memcpy(ret, word.data, word.len);
    ret[word.len] = 0;
    return 0;
}

/* LANE KIND RULE WEIGHT MIN_MS MAX_MS */
static int read_fault(struct slice line, struct schedule_menu *menu)
{
    struct schedule_fault fault = {0};
    if (menu->count == SCHEDULE_MENU_MAX) {
        return BASE_E_NOSPACE;
    }
    if (take_number(&line, &fault.lane) != 0 || fault.lane >= SCHEDULE_LANES_MAX ||
        take_name(&line, fault.kind) != 0 || take_name(&line, fault.rule) != 0 ||
        take_number(&line, &fault.weight) != 0 || take_number(&line, &fault.for_min_ms) != 0 ||
        take_number(&line, &fault.for_max_ms) != 0 || fault.for_min_ms > fault.for_max_ms ||
        take_word(&line).len != 0) {
        return BASE_E_INVALID;
    }
    menu->faults[menu->count++] = fault;
    return 0;
}

/* A setting; those of others are not ours to judge. */
static int read_setting(struct slice line, struct schedule_menu *menu)
{
    struct slice name = take_word(&line);
    if (slice_equal(name, SLICE_LIT("seconds"))) {
        int rc = take_number(&line, &menu->length_ms);
        menu->length_ms *= 1000;
        return rc;
    }
    if (slice_equal(name, SLICE_LIT("least"))) {
        return take_number(&line, &menu->least);
    }
    if (slice_equal(name, SLICE_LIT("calm_ms"))) {
        int rc = take_number(&line, &menu->calm_min_ms);
        rc = rc != 0 ? rc : take_number(&line, &menu->calm_max_ms);
        return menu->calm_min_ms > menu->calm_max_ms ? BASE_E_INVALID : rc;
    }
    return 0;
}

int schedule_read(struct slice table, const char *run, struct schedule_menu *ret, size_t *ret_line)
{
    memset(ret, 0, sizeof(*ret));
    ret->least = 1;
    for (*ret_line = 1; table.len > 0; (*ret_line)++) {
        struct slice line = take_line(&table);
        if (!slice_equal(take_word(&line), slice_from_text(run))) {
            continue;
        }
        struct slice what = take_word(&line);
        int rc = slice_equal(what, SLICE_LIT("fault")) ? read_fault(line, ret)
                 : slice_equal(what, SLICE_LIT("set")) ? read_setting(line, ret)
                                                       : BASE_E_INVALID;
        if (rc != 0) {
            return rc;
        }
    }
    return ret->count == 0 ? BASE_E_NOTFOUND : 0;
}

/* --- the plan --- */

/* What a lane does next: each fault `least` times in random order, then by weight. */
struct lane {
    struct base_rand rand;
    uint32_t number;
    uint32_t left[SCHEDULE_MENU_MAX]; /* of those that must be */
};

static uint32_t chances(const struct schedule_menu *menu, const struct lane *lane, bool is_must,
                        size_t at)
{
    if (menu->faults[at].lane != lane->number) {
        return 0;
    }
    return is_must ? lane->left[at] : menu->faults[at].weight;
}

/* Index of the next fault; false when there is none. */
static bool draw(const struct schedule_menu *menu, struct lane *lane, size_t *ret,
                 bool *ret_is_must)
{
    uint64_t sum = 0;
    *ret_is_must = false;
    for (size_t i = 0; i < menu->count; i++) {
        *ret_is_must = *ret_is_must || chances(menu, lane, true, i) > 0;
    }
    for (size_t i = 0; i < menu->count; i++) {
        sum += chances(menu, lane, *ret_is_must, i);
    }
    if (sum == 0) {
        return false;
    }
    uint64_t at = base_rand_between(&lane->rand, 0, sum - 1);
    for (*ret = 0; at >= chances(menu, lane, *ret_is_must, *ret); (*ret)++) {
        at -= chances(menu, lane, *ret_is_must, *ret);
    }
    return true;
}

static int plan_lane(const struct schedule_menu *menu, struct lane *lane,
                     struct schedule_entry *entries, size_t cap, size_t *count)
{
    uint32_t now = 0;
    for (;;) {
        struct schedule_entry entry = {0};
        bool is_must = false;
        if (!draw(menu, lane, &entry.fault, &is_must)) {
            return 0;
        }
        const struct schedule_fault *fault = &menu->faults[entry.fault];
        entry.at_ms =
            now + (uint32_t)base_rand_between(&lane->rand, menu->calm_min_ms, menu->calm_max_ms);
        entry.for_ms =
            (uint32_t)base_rand_between(&lane->rand, fault->for_min_ms, fault->for_max_ms);
        now = entry.at_ms + entry.for_ms + 1;
        if (now > menu->length_ms) {
            return is_must ? BASE_E_INVALID : 0;
        }
        if (*count == cap) {
            return BASE_E_NOSPACE;
        }
        lane->left[entry.fault] -= lane->left[entry.fault] > 0;
        entries[(*count)++] = entry;
    }
}

/* By beginning; stable, so that the lanes' order decides between equals. */
static void sort(struct schedule_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct schedule_entry entry = entries[i];
        size_t j = i;
        for (; j > 0 && entries[j - 1].at_ms > entry.at_ms; j--) {
            entries[j] = entries[j - 1];
        }
        entries[j] = entry;
    }
}

int schedule_plan(const struct schedule_menu *menu, uint64_t seed, struct schedule_entry *entries,
                  size_t cap, size_t *ret_count)
{
    *ret_count = 0;
    for (uint32_t number = 0; number < SCHEDULE_LANES_MAX; number++) {
        struct lane lane = {.rand = base_rand_make(seed, number), .number = number};
        for (size_t i = 0; i < menu->count; i++) {
            lane.left[i] = menu->faults[i].lane == number ? menu->least : 0;
        }
        int rc = plan_lane(menu, &lane, entries, cap, ret_count);
        if (rc != 0) {
            return rc;
        }
    }
    sort(entries, *ret_count);
    return 0;
}
