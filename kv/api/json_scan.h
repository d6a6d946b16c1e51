/* SPDX-License-Identifier: Apache-2.0 */
/* Syntax of JSON: finding the end of a value, saying what is wrong with it, walking through what is
 * known to be right. Used by json_read.c only. Pure. */
#ifndef QUORATE_KV_API_JSON_SCAN_H
#define QUORATE_KV_API_JSON_SCAN_H

#include "kv/api/json.h"

enum json_kind { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

void json_fail(struct json_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Length of the value that text begins with (no white space before it). BASE_E_INVALID with error;
 * `eof` is what is said when the text ends too early. */
MUST_CHECK int json_scan(struct slice text, const char *eof, struct json_error *error,
                         size_t *ret_len);
/* The whole of text is one value, white space around it; *ret is the value. BASE_E_INVALID. */
MUST_CHECK int json_scan_whole(struct slice text, struct json_error *error, struct slice *ret);
struct slice json_skip_space(struct slice text);

/* --- of values that were scanned --- */

enum json_kind json_kind_of(struct slice value);
/* "object", "number", ... */
const char *json_kind_name(enum json_kind kind);
/* Between the quotes, as it stands. */
struct slice json_inner(struct slice string);
/* Next item of an array or object; *rest begins as the whole value. False at the end. name: raw
 * text of the name between its quotes (objects), may be NULL for arrays. */
bool json_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value);
/* Resolves escapes of the text between a string's quotes; what is no UTF-8 becomes U+FFFD. */
MUST_CHECK int json_unescape(struct slice inner, struct io_bytes *out);
/* Length of the UTF-8 sequence at the front of text, 0 when it is none. */
size_t json_utf8(struct slice text);
size_t json_put_utf8(uint32_t code, uint8_t out[4]);

#endif
