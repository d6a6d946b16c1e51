/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of key-value operations: what clients asked for, when, and what they were told.
 *
 * One record per operation; times are of one clock for the whole history (microseconds; the
 * simulator's true time or the test host's monotonic clock). An operation that failed for certain
 * left no trace and is not checked; one whose outcome nobody knows may have happened at any moment
 * after its call, or never. Values are positive numbers; 0 stands for "key is absent". The caller
 * owns all memory. Used by the simulator and by real runs.
 */
#ifndef QUORATE_JEPSEN_CHECK_HISTORY_H
#define QUORATE_JEPSEN_CHECK_HISTORY_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

#define CHK_PARTS_MAX 4
#define CHK_KEY_MAX 63
#define CHK_NO_RETURN INT64_MAX

enum chk_verdict { CHK_OK, CHK_VIOLATED, CHK_UNKNOWN };

enum chk_status {
    CHK_INVOKED, /* call written, no outcome yet: counts as unknown at the end */
    CHK_DONE,    /* ok: the reply says what happened */
    CHK_FAILED,  /* for certain without effect */
    CHK_INFO,    /* unknown */
};

enum chk_kind { CHK_READ, CHK_WRITE, CHK_DELETE };

struct chk_part {
    enum chk_kind kind;
    uint32_t key;  /* number in the history's key table */
    int64_t value; /* WRITE: written; READ: seen, 0 absent; DELETE: 1 when something was deleted */
    uint64_t revision; /* READ: mod revision of what was seen; 0 absent or not told */
};

struct chk_op {
    uint32_t process;
    enum chk_status status;
    int64_t call_us;
    int64_t return_us; /* CHK_NO_RETURN unless DONE or FAILED */
    uint64_t revision; /* of the store as the reply told it; 0 not told */
    bool has_compare;  /* parts happen only when the value of compare_key equals compare_value */
    bool is_applied;   /* DONE: the comparison held (true without one) */
    uint32_t compare_key;
    int64_t compare_value;
    bool has_seen;          /* DONE and not applied: the reply told what was there instead */
    int64_t compare_seen;   /* 0 absent */
    uint64_t seen_revision; /* its modification revision; 0 absent or not told */
    uint8_t parts_count;
    struct chk_part parts[CHK_PARTS_MAX];
};

/* One row of a table of names; the table is its own hash index. */
struct chk_key {
    char text[CHK_KEY_MAX + 1];
    uint32_t bucket; /* of hash value = own number: first name, plus 1; 0 none */
    uint32_t next;   /* in the same bucket, plus 1 */
};

struct chk_history {
    struct chk_op *ops;
    size_t count;
    size_t cap;
    struct chk_key *keys;
    size_t keys_count;
    size_t keys_cap;
    size_t open; /* invocations without completion, counted by the reader */
};

/* What a checker found; `text` is static and names the rule, the two operations are indices or
 * SIZE_MAX. */
struct chk_result {
    enum chk_verdict verdict;
    const char *text;
    size_t op;
    size_t other;
    uint64_t steps;
};

/* Number of a text in a table of `cap` rows that was zeroed at its beginning, added when new.
 * BASE_E_TOOBIG (empty or over 63 bytes), BASE_E_NOSPACE (table full). */
MUST_CHECK int chk_name(struct chk_key *keys, size_t *count, size_t cap, struct slice text,
                        uint32_t *ret);

/* Over arrays of the caller; forgets the keys that were in the table. */
struct chk_history chk_history_over(struct chk_op *ops, size_t ops_cap, struct chk_key *keys,
                                    size_t keys_cap);
/* Number of a key, as chk_name. */
MUST_CHECK int chk_history_key(struct chk_history *h, struct slice text, uint32_t *ret);
/* Appends a copy. BASE_E_NOSPACE. */
MUST_CHECK int chk_history_add(struct chk_history *h, const struct chk_op *op);

/* Does the operation change the store, as far as it was told? */
bool chk_op_is_write(const struct chk_op *op);
/* Could it have changed the store: a write part and not known to be without effect. */
bool chk_op_may_write(const struct chk_op *op);

/* Sorts an index array by ops[i].call_us (by_return: return_us); ties by index. In place, O(n log
 * n). */
void chk_sort(const struct chk_op *ops, uint32_t *order, size_t count, bool by_return);

#endif
