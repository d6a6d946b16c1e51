/* SPDX-License-Identifier: Apache-2.0 */
/* Reading entries of the history; see entry.h. */
#include "arbiter/api/entry.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/types.h"

#define LINE_MAX_BYTES 1024

char *arb_entry_text(json_t *entry, const char *name)
{
    union {
        const char *in;
        char *out;
    } u = {.in = json_string_value(json_object_get(entry, name))};
    static char empty[] = "";
    return u.out == NULL ? empty : u.out;
}

uint64_t arb_entry_number(json_t *entry, const char *name)
{
    json_t *value = json_object_get(entry, name);
    if (json_is_string(value)) {
        return strtoull(json_string_value(value), NULL, 10);
    }
    return (uint64_t)json_integer_value(value);
}

/* "16/B374D848" */
uint64_t arb_entry_lsn(json_t *object, const char *name)
{
    unsigned high = 0;
    unsigned low = 0;
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL || sscanf(text, "%X/%X", &high, &low) != 2) {
        return 0;
    }
    return (uint64_t)high << 32 | low;
}

__attribute__((format(printf, 2, 3))) static void add_line(struct arb_why_lines *lines,
                                                           const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (lines->count < ARB_WHY_LINES_MAX) {
        lines->list[lines->count] = strdup(line);
        lines->count += lines->list[lines->count] != NULL;
    }
}

static void add_times(struct arb_why_lines *lines, json_t *times)
{
    static const char *const names[][2] = {{"detection", "until the loss was known"},
                                           {"lease", "until the right was over"},
                                           {"vote", "until the votes were there"},
                                           {"commit", "until the decision was committed"},
                                           {"open", "until the winner was open for writes"}};
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        json_t *value = json_object_get(times, names[i][0]);
        if (json_is_integer(value) && json_integer_value(value) >= 0) {
            add_line(lines, "%8.1f ms  %s", (double)json_integer_value(value) / 1000.0,
                     names[i][1]);
        }
    }
}

static bool is_of_mongodb(json_t *entry)
{
    return json_object_get(json_array_get(json_object_get(entry, "inputs"), 0), "term") != NULL;
}

/* The decision in one sentence. */
static void add_headline(struct arb_why_lines *lines, json_t *entry)
{
    const char *kind = arb_entry_text(entry, "kind");
    const char *to = arb_entry_text(entry, "to");
    const char *from = arb_entry_text(entry, "from");
    const char *reason = arb_entry_text(entry, "reason");
    const char *because = reason[0] == '\0' ? "" : ", because: ";
    if (json_object_get(entry, "order") != NULL) {
        add_line(lines, "%s: %s; carried out by %s, when %s was primary", kind, reason,
                 arb_entry_text(json_object_get(entry, "order"), "member"),
                 from[0] == '\0' ? "nobody" : from);
    } else if (is_of_mongodb(entry) && strcmp(kind, "confirmed") != 0) {
        add_line(lines, "taken in: a running replica set, as %s has it", to);
    } else if (strcmp(kind, "bootstrap") == 0) {
        add_line(lines, "%s: %s makes the database, since none was there", kind, to);
    } else if (strcmp(kind, "confirmed") == 0) {
        add_line(lines, "%s: an operator confirmed %s after a restore of the quorum", kind, to);
    } else if (strcmp(from, to) == 0 || from[0] == '\0') {
        add_line(lines, "%s: %s goes on with its own directory%s%s", kind, to, because, reason);
    } else {
        add_line(lines, "%s: %s takes over from %s%s%s", kind, to, from, because, reason);
    }
}

/* One member as it was seen. */
static void add_input(struct arb_why_lines *lines, json_t *entry, json_t *item)
{
    const char *member = arb_entry_text(item, "member");
    json_t *position = json_object_get(item, "position");
    bool is_chosen = strcmp(member, arb_entry_text(entry, "to")) == 0;
    const char *kind = arb_entry_text(entry, "kind");
    /* Nobody votes on the first holder, nor after an orderly stop. */
    bool is_silent =
        strcmp(kind, "bootstrap") == 0 || (strcmp(kind, "switchover") == 0 &&
                                           strcmp(arb_entry_text(item, "verdict"), "no-vote") == 0);
    long long heard_us = (long long)arb_entry_number(item, "heard_ago_us");
    char where[128] = "no data directory";
    char heard[64] = "not heard of";
    char verdict[256] = "";
    if (json_object_get(item, "seqno") != NULL) {
        (void)snprintf(where, sizeof(where), "at seqno %llu of generation %llu",
                       (unsigned long long)arb_entry_number(item, "seqno"),
                       (unsigned long long)arb_entry_number(item, "generation"));
    } else if (json_object_get(item, "term") != NULL) {
        (void)snprintf(where, sizeof(where), "at %llu of term %llu",
                       (unsigned long long)arb_entry_number(item, "ts") >> 32,
                       (unsigned long long)arb_entry_number(item, "term"));
    } else if (arb_entry_lsn(position, "lsn") != 0) {
        (void)snprintf(where, sizeof(where), "at %s of epoch %llu", arb_entry_text(position, "lsn"),
                       (unsigned long long)arb_entry_number(position, "lineage"));
    }
    if (heard_us >= 0) {
        (void)snprintf(heard, sizeof(heard), "heard %.0f ms before", (double)heard_us / 1000.0);
    }
    if (is_of_mongodb(entry)) { /* nobody is chosen: how each was found as a next primary */
        (void)snprintf(verdict, sizeof(verdict), "; as next primary it %s",
                       arb_entry_text(item, "why"));
    } else if (is_chosen) {
        (void)snprintf(verdict, sizeof(verdict), "; it was chosen");
    } else if (!is_silent) {
        (void)snprintf(verdict, sizeof(verdict), "; it %s", arb_entry_text(item, "why"));
    }
    add_line(lines, "%s: %s, %s%s", member, where, heard, verdict);
}

/* The notes of a leadership go back to its beginning; what led to this decision begins after the
 * database was last open. */
static size_t first_note(json_t *notes)
{
    size_t count = json_array_size(notes);
    for (size_t i = count; i-- > 1;) {
        if (strcmp(arb_entry_text(json_array_get(notes, i - 1), "event"), "opened") == 0) {
            return i;
        }
    }
    return 0;
}

static void add_notes(struct arb_why_lines *lines, json_t *notes)
{
    for (size_t i = first_note(notes); i < json_array_size(notes); i++) {
        json_t *note = json_array_get(notes, i);
        double before = (double)arb_entry_number(note, "before_us") / 1e6;
        add_line(lines, "%9.3f s  %s", before > 0 ? -before : 0.0, arb_entry_text(note, "text"));
    }
}

void arb_why_fill(struct arb_why_lines *lines, json_t *entry)
{
    size_t i = 0;
    json_t *item = NULL;
    add_headline(lines, entry);
    add_notes(lines, json_object_get(entry, "notes"));
    json_array_foreach(json_object_get(entry, "inputs"), i, item)
    {
        add_input(lines, entry, item);
    }
    add_times(lines, json_object_get(entry, "times_us"));
}

void arb_why_free(struct arb_why_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->list[i]);
    }
    lines->count = 0;
}
