/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made conversations of watches with known verdicts: for each rule of jepsen/check/watch.h one
 * that breaks it and nothing else, beside good ones that come near.
 *
 * A conversation is a text, one response per word group:  "C5" created at header revision 5;
 * "E7:a=1@6 b-@7" events with header revision 7 (a put of value 1 at revision 6, a delete of b at
 * 7; "!v@r" after an event is its previous value and revision); "F..." the same as a fragment;
 * "P9" progress; "X0" canceled, "X4" with compact revision 4. Responses are divided by "|".
 */
#include "tests/support/cm.h"

#include <string.h>

#include "jepsen/check/watch.h"

/* The truth: revision, key, value ("-": delete). Revisions 6 and 8 change two keys. */
static const struct {
    int64_t revision;
    const char *key;
    const char *value;
} truth[] = {
    {2, "a", "1"}, {3, "b", "2"}, {4, "a", "3"}, {5, "c", "4"}, {6, "a", "5"},
    {6, "b", "6"}, {7, "a", "-"}, {8, "a", "7"}, {8, "b", "-"}, {9, "d", "8"},
};

static struct chk_change items[32];

static struct chk_changes make_truth(void)
{
    struct chk_changes changes = chk_changes_over(items, BASE_COUNT_OF(items));
    for (size_t i = 0; i < BASE_COUNT_OF(truth); i++) {
        bool is_delete = truth[i].value[0] == '-';
        assert_int_equal(chk_changes_add(&changes, truth[i].revision, is_delete,
                                         slice_from_text(truth[i].key),
                                         slice_from_text(truth[i].value)),
                         0);
    }
    return changes;
}

struct sample {
    const char *name;
    const char *key; /* "a", or "a-" for all from a on */
    int64_t start;
    const char *options; /* p: prev_kv, P: no puts, D: no deletes */
    int64_t compact;
    const char *conversation;
    int64_t through;
    const char *rule; /* NULL: fine */
};

static const struct sample samples[] = {
    {"one key", "a", 2, "", 0, "C9|E9:a=1@2 a=3@4 a=5@6 a-@7 a=7@8", 9, NULL},
    {"one key in two responses", "a", 2, "", 0, "C9|E5:a=1@2 a=3@4|E9:a=5@6 a-@7 a=7@8", 9, NULL},
    {"from now on", "a", 0, "", 0, "C5|E6:a=5@6|P6|E8:a-@7 a=7@8|P9", 9, NULL},
    {"all keys", "a-", 6, "", 0, "C9|E6:a=5@6 b=6@6|E9:a-@7 a=7@8 b-@8 d=8@9", 9, NULL},
    {"in fragments", "a-", 6, "", 0, "C9|F6:a=5@6|E6:b=6@6|E9:a-@7 a=7@8 b-@8 d=8@9", 9, NULL},
    {"no puts", "a-", 2, "P", 0, "C9|E9:a-@7 b-@8", 9, NULL},
    {"no deletes", "a", 6, "D", 0, "C9|E9:a=5@6 a=7@8", 9, NULL},
    {"previous", "a", 2, "p", 0, "C9|E9:a=1@2 a=3@4!1@2 a=5@6!3@4 a-@7!5@6 a=7@8", 9, NULL},
    {"previous compacted", "a", 4, "p", 4, "C9|E9:a=3@4 a=5@6!3@4 a-@7!5@6 a=7@8", 9, NULL},
    {"compacted", "a", 2, "", 4, "C9|X4", 9, NULL},
    {"canceled by the client", "a", 0, "", 0, "C5|E6:a=5@6|X0", 9, NULL},
    {"a start to come", "a", 8, "", 0, "C5|E8:a=7@8|P9", 9, NULL},
    {"progress at a start to come", "d", 9, "", 0, "C5|P9", 8, "bookmarkable"},

    {"event before created", "a", 0, "", 0, "E6:a=5@6", 9, "created"},
    {"created twice", "a", 0, "", 0, "C5|C5", 9, "created"},
    {"events go back", "a", 2, "", 0, "C9|E9:a=1@2 a=3@4 a=1@2", 9, "ordered"},
    {"order within a revision", "a-", 6, "", 0, "C9|E6:b=6@6 a=5@6", 9, "ordered"},
    {"twice", "a", 2, "", 0, "C9|E5:a=1@2 a=3@4|E6:a=3@4 a=5@6", 9, "unique"},
    {"twice in one response", "a", 2, "", 0, "C9|E5:a=1@2 a=3@4 a=3@4", 9, "unique"},
    {"a revision in two responses", "a-", 6, "", 0, "C9|E6:a=5@6|E6:b=6@6", 9, "atomic"},
    {"half a revision", "a-", 8, "", 0, "C9|E8:a=7@8", 9, "atomic"},
    {"progress within fragments", "a-", 6, "", 0, "C9|F6:a=5@6|P6", 9, "atomic"},
    {"gap", "a", 2, "", 0, "C9|E3:a=1@2|E9:a=5@6 a-@7 a=7@8", 9, "reliable"},
    {"one skipped", "a", 2, "", 0, "C9|E6:a=1@2 a=5@6", 9, "reliable"},
    {"nothing came", "a", 0, "", 0, "C5", 9, "reliable"},
    {"the last is missing", "a", 0, "", 0, "C5|E7:a=5@6 a-@7", 9, "reliable"},
    {"ends in a fragment", "a-", 6, "", 0, "C9|F6:a=5@6", 6, "reliable"},
    {"begins too late", "a", 2, "", 0, "C9|E9:a=3@4 a=5@6 a-@7 a=7@8", 9, "resumable"},
    {"begins too early", "a", 4, "", 0, "C9|E5:a=1@2 a=3@4", 9, "resumable"},
    {"old event from now on", "a", 0, "", 0, "C5|E5:a=3@4", 9, "resumable"},
    {"progress below the start", "a", 8, "", 0, "C5|P6", 7, "resumable"},
    {"progress overtakes", "a", 0, "", 0, "C5|P6", 6, "bookmarkable"},
    {"header overtakes", "a", 2, "", 0, "C9|E7:a=1@2 a=3@4", 5, "bookmarkable"},
    {"header behind its events", "a", 2, "", 0, "C9|E3:a=1@2 a=3@4", 5, "bookmarkable"},
    {"previous is missing", "a", 4, "p", 0, "C9|E5:a=3@4", 5, "previous"},
    {"previous is wrong", "a", 6, "p", 0, "C9|E6:a=5@6!1@2", 6, "previous"},
    {"previous of a creation", "a", 8, "p", 0, "C9|E8:a=7@8!5@6", 8, "previous"},
    {"previous not asked for", "a", 4, "", 0, "C9|E5:a=3@4!1@2", 5, "previous"},
    {"never happened", "a", 2, "", 0, "C9|E5:a=9@2", 5, "foreign"},
    {"another key", "a", 3, "", 0, "C9|E3:b=2@3", 3, "foreign"},
    {"a delete that was filtered out", "a", 6, "D", 0, "C9|E7:a=5@6 a-@7", 7, "foreign"},
    {"canceled without need", "a", 4, "", 4, "C9|X4", 9, "canceled"},
    {"canceled after it was served", "a", 2, "", 4, "C9|E5:a=1@2 a=3@4|X4", 9, "canceled"},
    {"events after the end", "a", 2, "", 4, "C9|X4|E9:a=5@6", 9, "canceled"},
};

/* --- the reader of conversations --- */

static int64_t number(const char **at)
{
    int64_t value = 0;
    while (**at >= '0' && **at <= '9') {
        value = value * 10 + (*(*at)++ - '0');
    }
    return value;
}

static void read_event(const char **at, const struct chk_changes *changes,
                       struct chk_watch_event *ret)
{
    *ret = (struct chk_watch_event){.key = slice_from(*at, 1)};
    (*at)++;
    ret->is_delete = *(*at)++ == '-';
    if (!ret->is_delete) {
        ret->value = slice_from((*at)++, 1);
    }
    (*at)++;
    ret->mod_revision = number(at);
    if (**at == '!') {
        ret->has_prev = true;
        ret->prev_value = slice_from(*at + 1, 1);
        *at += 3;
        ret->prev_mod_revision = number(at);
    }
    for (size_t i = 0; i < changes->count; i++) {
        const struct chk_change *change = &changes->items[i];
        if (change->revision == ret->mod_revision && slice_equal(change->key, ret->key)) {
            ret->create_revision = change->create_revision;
            ret->version = change->version;
        }
    }
}

static void read_response(const char **at, const struct chk_changes *changes,
                          struct chk_watch_event *events, struct chk_watch_response *ret)
{
    char kind = *(*at)++;
    int64_t revision = number(at);
    *ret = (struct chk_watch_response){.revision = revision,
                                       .is_created = kind == 'C',
                                       .is_canceled = kind == 'X',
                                       .is_fragment = kind == 'F',
                                       .events = events};
    if (kind == 'X') {
        ret->revision = 0;
        ret->compact_revision = revision;
    }
    while (**at == ':' || **at == ' ') {
        (*at)++;
        read_event(at, changes, &events[ret->count++]);
    }
    *at += **at == '|';
}

static struct chk_result judge(const struct sample *sample)
{
    static struct chk_watch_event events[16];
    struct chk_changes changes = make_truth();
    struct chk_watch watch = {
        .key = slice_from(sample->key, 1),
        .range_end = sample->key[1] == '-' ? slice_from("", 1) : SLICE_EMPTY,
        .start = sample->start,
        .is_prev_kv = strchr(sample->options, 'p') != NULL,
        .is_no_put = strchr(sample->options, 'P') != NULL,
        .is_no_delete = strchr(sample->options, 'D') != NULL,
    };
    changes.compact = sample->compact;
    for (const char *at = sample->conversation; *at != '\0';) {
        struct chk_watch_response response;
        read_response(&at, &changes, events, &response);
        struct chk_result result = chk_watch_feed(&watch, &changes, &response);
        if (result.verdict != CHK_OK) {
            return result;
        }
    }
    return chk_watch_end(&watch, &changes, sample->through);
}

static void test_known_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(samples); i++) {
        struct chk_result result = judge(&samples[i]);
        const char *rule = result.verdict == CHK_OK ? "fine" : result.text;
        const char *expected = samples[i].rule == NULL ? "fine" : samples[i].rule;
        if (strcmp(rule, expected) != 0) {
            print_error("%s: found '%s', expected '%s'\n", samples[i].name, rule, expected);
            fail();
        }
    }
}

/* From where a client goes on that has heard so much. */
static void test_resume(void **state)
{
    struct chk_changes changes = make_truth();
    struct chk_watch watch = {.key = SLICE_LIT("a"), .range_end = SLICE_EMPTY, .start = 6};
    const struct chk_watch_event event = {.key = SLICE_LIT("a"),
                                          .value = SLICE_LIT("5"),
                                          .create_revision = 2,
                                          .mod_revision = 6,
                                          .version = 3};
    struct chk_watch_response created = {.revision = 9, .is_created = true};
    struct chk_watch_response events = {.revision = 6, .events = &event, .count = 1};
    (void)state;
    assert_int_equal(chk_watch_feed(&watch, &changes, &created).verdict, CHK_OK);
    assert_int_equal(chk_watch_resume(&watch), 6);
    assert_int_equal(chk_watch_feed(&watch, &changes, &events).verdict, CHK_OK);
    assert_int_equal(chk_watch_resume(&watch), 7);
}

static void test_truth_is_checked(void **state)
{
    struct chk_change memory[2];
    struct chk_changes changes = chk_changes_over(memory, BASE_COUNT_OF(memory));
    struct slice key = SLICE_LIT("k");
    (void)state;
    assert_int_equal(chk_changes_add(&changes, 5, false, key, key), 0);
    assert_int_equal(chk_changes_add(&changes, 4, false, key, key), BASE_E_INVALID);
    assert_int_equal(chk_changes_add(&changes, 5, false, key, key), 0);
    assert_int_equal(changes.items[1].version, 2);
    assert_int_equal(chk_changes_add(&changes, 6, false, key, key), BASE_E_NOSPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_verdicts),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_truth_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
