/* SPDX-License-Identifier: Apache-2.0 */
/* What a checker hands back: a verdict, counts with names, the transactions concerned, and a text
 * that a person understands. The first violation keeps its place; UNKNOWN never covers it, and OK
 * never covers UNKNOWN. Memory is the caller's.
 */
#ifndef QUORATE_JEPSEN_CHECK_REPORT_H
#define QUORATE_JEPSEN_CHECK_REPORT_H

#include "jepsen/check/log.h"

#define CHK_COUNTS_MAX 32
#define CHK_HITS_MAX 16

struct chk_count {
    const char *name; /* static */
    int64_t value;
};

/* A transaction (or probe) that takes part in the finding, and as what. */
struct chk_hit {
    size_t index;
    const char *role; /* static */
};

struct chk_report {
    enum chk_verdict verdict;
    const char *rule; /* static: which rule is broken, or why there is no verdict */
    struct chk_count counts[CHK_COUNTS_MAX];
    size_t counts_count;
    struct chk_hit hits[CHK_HITS_MAX];
    size_t hits_count;
    struct buf json; /* further members for programs, each with a comma before it */
    struct buf text; /* lines; grows with each finding until it is full */
};

/* A quarter of the memory is for `json`, the rest for `text`. */
struct chk_report chk_report_over(void *memory, size_t bytes);
/* Adds to a count, which is made when it is new. */
void chk_report_count(struct chk_report *report, const char *name, int64_t add);
int64_t chk_report_value(const struct chk_report *report, const char *name); /* 0 without one */
/* Worsens the verdict; true when this is the one that stands now, so that the caller may add hits.
 */
bool chk_report_find(struct chk_report *report, enum chk_verdict verdict, const char *rule);
void chk_report_hit(struct chk_report *report, size_t index, const char *role);
/* Counts ok, fail and info (with open ones) of a log. */
void chk_report_statuses(struct chk_report *report, const struct chk_log *log);
/* "process 3 [1200..1900] [\"append\",..]": one transaction for people. */
void chk_report_tx(struct chk_report *report, const struct chk_log *log, size_t index);
/* Line beginnings and ends of the text; a text that is nearly full takes no new line. */
bool chk_report_line(struct chk_report *report, const char *beginning);

#endif
