/* SPDX-License-Identifier: Apache-2.0 */
/* Writing HTML: what comes from outside is always escaped. No memory: the page is cut off there and
 * `is_failed` says so; callers look at it once, at the end. Loop thread. */
#ifndef QUORATE_ARBITER_WEB_HTML_H
#define QUORATE_ARBITER_WEB_HTML_H

#include <stdint.h>

#include "proto/io/bytes.h"

struct web_out {
    struct io_bytes bytes;
    bool is_failed;
};

/* Markup of our own, as it is. */
void web_raw(struct web_out *out, const char *markup);
/* Text: & < > " ' become entities, control characters a blank. */
void web_text(struct web_out *out, const char *text);
/* Formatted, at most 511 bytes, then escaped as text. */
__attribute__((format(printf, 2, 3))) void web_textf(struct web_out *out, const char *format, ...);
/* ` name="value"`, the value escaped. */
void web_attribute(struct web_out *out, const char *name, const char *value);
void web_number(struct web_out *out, const char *name, int64_t value); /* the same of a number */
void web_out_free(struct web_out *out);

/* How things stand: said by a word, shown by a shape and a colour beside it. */
enum web_level { WEB_GOOD, WEB_WATCH, WEB_BAD, WEB_IDLE };
const char *web_level_name(enum web_level level); /* a CSS class */
/* The shape: full circle, triangle, square, empty circle. Hidden from screen readers, who have the
 * word. */
void web_mark(struct web_out *out, enum web_level level);

#define WEB_CELL_MAX 64
/* "4d 02:11", "3 h 07 min", "01:07 min"; "-" for nothing. */
const char *web_age(int64_t since_us, int64_t now_us, char memory[WEB_CELL_MAX]);
const char *web_bytes(uint64_t bytes, char memory[WEB_CELL_MAX]);
/* <time datetime="...">2026-01-02 03:04:05Z</time> */
void web_time(struct web_out *out, int64_t wall_us);

#endif
