/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes of the whole project, one table.
 *
 * A function that can fail returns int: 0, or a negative BASE_E_* code. The class tells the caller
 * what it may do: `retry` may succeed later as it is, `caller` was asked for something impossible,
 * `fatal` means that the process must stop (damaged storage). Native codes (errno, LMDB, OpenSSL,
 * SQLSTATE) are mapped into these at the border by the shells.
 */
#ifndef QUORATE_BASE_ERROR_H
#define QUORATE_BASE_ERROR_H

/* clang-format off */
/*   name          class   text */
#define BASE_ERRORS(X) \
    X(INVALID,     caller, "invalid argument") \
    X(NOTFOUND,    caller, "not found") \
    X(EXISTS,      caller, "exists already") \
    X(RANGE,       caller, "out of range") \
    X(TOOBIG,      caller, "too large") \
    X(DENIED,      caller, "permission denied") \
    X(UNSUPPORTED, caller, "not supported") \
    X(CONFLICT,    caller, "somebody else was first") \
    X(STATE,       caller, "not possible in the present state") \
    X(PROTO,       caller, "malformed message") \
    X(COMPACTED,   caller, "revision has been compacted") \
    X(FUTURE,      caller, "revision lies in the future") \
    X(BUSY,        retry,  "too busy, try again") \
    X(TIMEOUT,     retry,  "timed out") \
    X(NOTLEADER,   retry,  "not the leader") \
    X(NOQUORUM,    retry,  "no quorum") \
    X(CLOSED,      retry,  "connection closed") \
    X(UNREACHABLE, retry,  "not reachable") \
    X(CANCELED,    retry,  "canceled") \
    X(NOSPACE,     retry,  "no space left") \
    X(NOMEM,       retry,  "out of memory") \
    X(TLS,         retry,  "TLS failure") \
    X(IO,          fatal,  "input/output error") \
    X(CORRUPT,     fatal,  "stored data is damaged")
/* clang-format on */

enum base_error {
    BASE_OK = 0,
#define BASE_ERROR_ENUM(name, class_, text) BASE_E_POSITIVE_##name,
    BASE_ERRORS(BASE_ERROR_ENUM)
#undef BASE_ERROR_ENUM
        BASE_E_COUNT
};
#define BASE_ERROR_NEGATIVE(name) BASE_E_##name = -BASE_E_POSITIVE_##name
enum base_error_code {
#define BASE_ERROR_CODE(name, class_, text) BASE_ERROR_NEGATIVE(name),
    BASE_ERRORS(BASE_ERROR_CODE)
#undef BASE_ERROR_CODE
};

enum base_error_class { BASE_CLASS_none, BASE_CLASS_retry, BASE_CLASS_caller, BASE_CLASS_fatal };

/* Text of a code, lower case, no full stop; "no error" for 0, "unknown error" for anything else.
 * Static. */
const char *base_error_text(int code);
/* Stable name ("NOTFOUND"), for logs and JSON. Static. */
const char *base_error_name(int code);
/* Class of a code; BASE_CLASS_none for 0, BASE_CLASS_fatal for a code that is not in the table. */
enum base_error_class base_error_class_of(int code);

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
