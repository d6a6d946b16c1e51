/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of the lines of watches; judging is watch.c's. */
#include "jepsen/check/watch_log.h"

#include "jepsen/check/scan.h"

#define EVENTS_MAX 4096u

/* clang-format off */
#define FIELDS(X) \
    X(CHANGE, "change") X(COMPACT, "compact") X(WATCH, "watch") X(KEY, "key") X(END, "end") \
    X(ALL, "all") X(START, "start") X(PREV, "prev") X(NO_PUT, "no_put") \
    X(NO_DELETE, "no_delete") X(CREATED, "created") X(CANCELED, "canceled") \
    X(COMPACTED, "compacted") X(REV, "rev") X(EVENTS, "events") X(FRAGMENT, "fragment") \
    X(THROUGH, "through")
/* clang-format on */
enum field {
#define FIELD_ENUM(name, word) FIELD_##name,
    FIELDS(FIELD_ENUM) FIELDS_COUNT
};
static const char *const field_words[] = {
#define FIELD_WORD(name, word) word,
    FIELDS(FIELD_WORD)};
static const char *const kind_words[] = {"put", "del"};

struct reader {
    struct chk_report *report;
    struct chk_changes changes;
    struct chk_key *keys; /* every changed key, with the newest change of each */
    size_t keys_count, keys_cap;
    size_t *newest;
    struct chk_watch *watches; /* by number */
    bool *is_known;
    bool *is_broken; /* was complained of; says nothing more */
    size_t watches_cap;
    struct chk_watch_event *events;
    /* of the present line */
    struct chk_scan s;
    unsigned seen;
    int64_t number[FIELDS_COUNT];
    struct slice key, end;
    size_t events_count;
};

static bool has(const struct reader *r, enum field field)
{
    return (r->seen >> field & 1) != 0;
}

static int take_comma_integer(struct reader *r, int64_t *ret)
{
    int rc = chk_scan_need(&r->s, ',');
    return rc == 0 ? chk_scan_integer(&r->s, ret) : rc;
}

static int take_comma_text(struct reader *r, struct slice *ret)
{
    int rc = chk_scan_need(&r->s, ',');
    return rc == 0 ? chk_scan_text(&r->s, ret) : rc;
}

/* [REVISION, "put"|"del", KEY, VALUE] */
static int take_change(struct reader *r)
{
    struct slice key = SLICE_EMPTY, value = SLICE_EMPTY;
    int64_t revision = 0;
    size_t kind = 0;
    uint32_t number = 0;
    int rc = chk_scan_need(&r->s, '[');
    rc = rc == 0 ? chk_scan_integer(&r->s, &revision) : rc;
    rc = rc == 0 ? chk_scan_need(&r->s, ',') : rc;
    rc = rc == 0 ? chk_scan_word(&r->s, kind_words, BASE_COUNT_OF(kind_words), &kind) : rc;
    rc = rc == 0 ? take_comma_text(r, &key) : rc;
    rc = rc == 0 ? take_comma_text(r, &value) : rc;
    rc = rc == 0 ? chk_scan_need(&r->s, ']') : rc;
    if (rc != 0) {
        return rc;
    }
    size_t known = r->keys_count;
    rc = chk_name(r->keys, &r->keys_count, r->keys_cap, key, &number);
    if (rc != 0) {
        r->s.why = "key empty or longer than 63";
        return rc;
    }
    size_t before = number < known ? r->newest[number] : CHK_NONE;
    rc = chk_changes_add_after(&r->changes, before, revision, kind == 1, key, value);
    r->s.why = rc == 0 ? r->s.why : "a change of a lower revision after a higher one";
    r->newest[number] = rc == 0 ? r->changes.count - 1 : r->newest[number];
    return rc;
}

/* ["put"|"del", KEY, VALUE, CREATE, MOD, VERSION] or with PREV_VALUE, PREV_MOD behind it */
static int take_event(void *ctx)
{
    struct reader *r = ctx;
    struct chk_watch_event event = {.is_delete = false};
    size_t kind = 0;
    int rc = chk_scan_need(&r->s, '[');
    rc = rc == 0 ? chk_scan_word(&r->s, kind_words, BASE_COUNT_OF(kind_words), &kind) : rc;
    rc = rc == 0 ? take_comma_text(r, &event.key) : rc;
    rc = rc == 0 ? take_comma_text(r, &event.value) : rc;
    rc = rc == 0 ? take_comma_integer(r, &event.create_revision) : rc;
    rc = rc == 0 ? take_comma_integer(r, &event.mod_revision) : rc;
    rc = rc == 0 ? take_comma_integer(r, &event.version) : rc;
    event.is_delete = kind == 1;
    event.value = event.is_delete ? SLICE_EMPTY : event.value;
    if (rc == 0 && !chk_scan_char(&r->s, ']')) {
        event.has_prev = true;
        rc = take_comma_text(r, &event.prev_value);
        rc = rc == 0 ? take_comma_integer(r, &event.prev_mod_revision) : rc;
        rc = rc == 0 ? chk_scan_need(&r->s, ']') : rc;
    }
    if (rc == 0 && r->events_count == EVENTS_MAX) {
        return chk_scan_bad(&r->s, "too many events in one response");
    }
    if (rc == 0) {
        r->events[r->events_count++] = event;
    }
    return rc;
}

static int take_field(struct reader *r)
{
    size_t field = 0;
    int rc = chk_scan_word(&r->s, field_words, BASE_COUNT_OF(field_words), &field);
    rc = rc == 0 ? chk_scan_need(&r->s, ':') : rc;
    if (rc == 0 && has(r, (enum field)field)) {
        rc = chk_scan_bad(&r->s, "field twice");
    }
    if (rc != 0) {
        return rc;
    }
    r->seen |= 1u << field;
    if (field == FIELD_KEY || field == FIELD_END) {
        return chk_scan_text(&r->s, field == FIELD_KEY ? &r->key : &r->end);
    }
    if (field == FIELD_CHANGE || field == FIELD_EVENTS) {
        return field == FIELD_CHANGE ? take_change(r) : chk_scan_array(&r->s, take_event, r);
    }
    return chk_scan_integer(&r->s, &r->number[field]);
}

/* --- judging a line --- */

static int open_watch(struct reader *r, size_t number)
{
    if (r->is_known[number]) {
        return chk_scan_bad(&r->s, "a watch of this number is there already");
    }
    r->is_known[number] = true;
    r->watches[number] = (struct chk_watch){.key = r->key,
                                            .range_end = r->end,
                                            .start = r->number[FIELD_START],
                                            .is_prev_kv = r->number[FIELD_PREV] != 0,
                                            .is_no_put = r->number[FIELD_NO_PUT] != 0,
                                            .is_no_delete = r->number[FIELD_NO_DELETE] != 0};
    if (r->number[FIELD_ALL] != 0) {
        r->watches[number].key = r->watches[number].range_end = SLICE_LIT("\0");
    }
    chk_report_count(r->report, "watches", 1);
    return 0;
}

static void complain(struct reader *r, size_t number, size_t line, struct chk_result result)
{
    r->is_broken[number] = true;
    chk_report_count(r->report, result.text, 1);
    (void)chk_report_find(r->report, CHK_VIOLATED, result.text);
    if (!chk_report_line(r->report, "watch ")) {
        return;
    }
    struct buf *out = &r->report->text;
    buf_put_dec(out, number);
    buf_put_text(out, ", line ");
    buf_put_dec(out, line);
    buf_put_text(out, ": ");
    buf_put_text(out, result.text);
    if (result.op < r->changes.count) {
        buf_put_text(out, "; owed is revision ");
        buf_put_int(out, r->changes.items[result.op].revision);
        buf_put_text(out, " of ");
        buf_put(out, r->changes.items[result.op].key);
    }
    if (result.other < r->events_count) {
        buf_put_text(out, "; told was revision ");
        buf_put_int(out, r->events[result.other].mod_revision);
        buf_put_text(out, " of ");
        buf_put(out, r->events[result.other].key);
    }
}

static int judge_line(struct reader *r, size_t line)
{
    int64_t watch = r->number[FIELD_WATCH];
    if (has(r, FIELD_COMPACT)) {
        bool is_higher = r->number[FIELD_COMPACT] > r->changes.compact;
        r->changes.compact = is_higher ? r->number[FIELD_COMPACT] : r->changes.compact;
    }
    if (!has(r, FIELD_WATCH)) {
        bool is_fit = has(r, FIELD_CHANGE) || has(r, FIELD_COMPACT);
        return is_fit ? 0 : chk_scan_bad(&r->s, "neither change, compact nor watch");
    }
    if (watch < 0 || (uint64_t)watch >= r->watches_cap) {
        return chk_scan_bad(&r->s, "watches are numbered from 0, below the number of lines");
    }
    size_t number = (size_t)watch;
    if (has(r, FIELD_KEY) || has(r, FIELD_ALL)) {
        return open_watch(r, number);
    }
    if (!r->is_known[number]) {
        return chk_scan_bad(&r->s, "a watch that was not asked for");
    }
    if (r->is_broken[number]) {
        return 0;
    }
    const struct chk_watch_response response = {.revision = r->number[FIELD_REV],
                                                .is_created = r->number[FIELD_CREATED] != 0,
                                                .is_canceled = r->number[FIELD_CANCELED] != 0,
                                                .is_fragment = r->number[FIELD_FRAGMENT] != 0,
                                                .compact_revision = r->number[FIELD_COMPACTED],
                                                .events = r->events,
                                                .count = r->events_count};
    struct chk_watch *w = &r->watches[number];
    struct chk_result result = has(r, FIELD_THROUGH)
                                   ? chk_watch_end(w, &r->changes, r->number[FIELD_THROUGH])
                                   : chk_watch_feed(w, &r->changes, &response);
    chk_report_count(r->report, "responses", !has(r, FIELD_THROUGH));
    chk_report_count(r->report, "events", (int64_t)r->events_count);
    if (result.verdict != CHK_OK) {
        complain(r, number, line, result);
    }
    return 0;
}

static int read_line(struct reader *r, struct slice text, size_t line)
{
    r->s = (struct chk_scan){text, "malformed"};
    r->seen = 0;
    r->events_count = 0;
    r->key = r->end = SLICE_EMPTY;
    memset(r->number, 0, sizeof(r->number));
    int rc = chk_scan_need(&r->s, '{');
    while (rc == 0) {
        rc = take_field(r);
        if (rc == 0 && !chk_scan_char(&r->s, ',')) {
            break;
        }
    }
    rc = rc == 0 ? chk_scan_need(&r->s, '}') : rc;
    rc = rc == 0 ? chk_scan_end(&r->s) : rc;
    return rc == 0 ? judge_line(r, line) : rc;
}

static bool prepare(struct reader *r, struct slice text, struct base_arena *arena)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    r->keys_cap = r->watches_cap = lines;
    r->changes = chk_changes_over(base_arena_take(arena, lines, sizeof(struct chk_change)), lines);
    r->keys = base_arena_take(arena, lines, sizeof(*r->keys));
    r->newest = base_arena_take(arena, lines, sizeof(*r->newest));
    r->watches = base_arena_take(arena, lines, sizeof(*r->watches));
    r->is_known = base_arena_take(arena, lines, sizeof(*r->is_known));
    r->is_broken = base_arena_take(arena, lines, sizeof(*r->is_broken));
    r->events = base_arena_take(arena, EVENTS_MAX, sizeof(*r->events));
    return r->changes.items != NULL && r->keys != NULL && r->newest != NULL && r->watches != NULL &&
           r->is_known != NULL && r->is_broken != NULL && r->events != NULL;
}

int chk_watch_log(struct slice text, struct base_arena *arena, struct chk_report *report,
                  size_t *ret_line, const char **ret_why)
{
    static const char *const counts[] = {"watches", "responses", "events"};
    struct reader r = {.report = report};
    size_t number = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    if (!prepare(&r, text, arena)) {
        *ret_line = 1;
        *ret_why = "too little memory for a file of this size";
        return BASE_E_NOSPACE;
    }
    for (struct slice line; chk_scan_line(&text, &line);) {
        number++;
        int rc = line.len > 0 ? read_line(&r, line, number) : 0;
        if (rc != 0) {
            *ret_line = number;
            *ret_why = r.s.why;
            return rc;
        }
    }
    chk_report_count(report, "changes", (int64_t)r.changes.count);
    if (chk_report_value(report, "events") == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "no watch was told anything");
    }
    return 0;
}
