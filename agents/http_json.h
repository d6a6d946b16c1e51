/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of JSON that knows whether a comma is due; for the bodies of agents/http*.c.
 *
 * Key NULL: an element of an array. What does not fit shows in the buffer's is_full. Pure.
 */
#ifndef QUORATE_AGENTS_HTTP_JSON_H
#define QUORATE_AGENTS_HTTP_JSON_H

#include "base/slice.h"

struct agt_json {
    struct buf *b;
    bool is_next;
};

/* The comma and the key; the value is the caller's to write. */
void agt_json_key(struct agt_json *j, const char *key);
void agt_json_open(struct agt_json *j, const char *key, char bracket);
void agt_json_close(struct agt_json *j, char bracket);
void agt_json_put_text(struct agt_json *j, const char *key, const char *text);
void agt_json_put_number(struct agt_json *j, const char *key, uint64_t number);
void agt_json_put_bool(struct agt_json *j, const char *key, bool is_true);
/* "2026-03-01T12:00:00.000000+00:00" of a wall clock in microseconds, not before 1970. */
void agt_json_put_time(struct agt_json *j, const char *key, int64_t wall_us);
/* "16/B374D848" */
void agt_json_put_lsn(struct agt_json *j, const char *key, uint64_t lsn);

#endif
