/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of a cluster's history, as it stands in JSON under /quorate/, read for people: its
 * fields, and the lines of `kv db why`. Written by arbiter/record_json.c; fields that are missing
 * read as empty and zero, so that entries of older versions can be shown. Pure but for malloc. */
#ifndef QUORATE_ARBITER_API_ENTRY_H
#define QUORATE_ARBITER_API_ENTRY_H

#include <jansson.h>
#include <stdint.h>

#define ARB_WHY_LINES_MAX 256

/* Lines in memory of their own; start zeroed, release with arb_why_free. */
struct arb_why_lines {
    size_t count;
    char *list[ARB_WHY_LINES_MAX];
};

/* Text of a field, "" when it is not there; lives as long as the entry and must not be changed. */
char *arb_entry_text(json_t *entry, const char *name);
/* Number of a field, also of one that is written as text; 0 when it is not there. */
uint64_t arb_entry_number(json_t *entry, const char *name);
/* "16/B374D848"; 0 when it is not there. */
uint64_t arb_entry_lsn(json_t *object, const char *name);

/* Adds what was decided, from what, and where the time went. Without memory lines are left out. */
void arb_why_fill(struct arb_why_lines *lines, json_t *entry);
void arb_why_free(struct arb_why_lines *lines);

#endif
