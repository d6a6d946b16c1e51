/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the differential run: a line of a case file, or a generated one.
 *
 *   ID [lines=N] [wait=MS] [mask=NAME,..] [user=NAME:PW] [token=T] PATH BODY
 *
 * BODY is the rest of the line; "-" is an empty one; $(text) in it is base64 of the text, with \xNN
 * for a byte. `lines`: how many lines of a stream to read; `mask`: members that differ by nature.
 */
#ifndef QUORATE_TESTS_DIFFERENTIAL_CASE_H
#define QUORATE_TESTS_DIFFERENTIAL_CASE_H

#include <stdbool.h>
#include <stddef.h>

#define CASE_TEXT_MAX 128

struct diff_case {
    char id[CASE_TEXT_MAX];
    char path[CASE_TEXT_MAX];
    char mask[CASE_TEXT_MAX];
    char user[CASE_TEXT_MAX];
    char token[CASE_TEXT_MAX];
    unsigned lines;
    int wait_ms;
    char *body; /* malloc'ed */
};

/* Reads one line (without its end). False: empty or a comment. Exits with a word when it is wrong.
 */
bool case_parse(const char *line, struct diff_case *ret);

#endif
