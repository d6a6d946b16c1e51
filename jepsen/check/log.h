/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of everything but plain key-value operations: transactions of databases, locks, leases,
 * what probers saw, which faults there were and what the arbiter decided.
 *
 * README.md documents the lines. A transaction is a list of steps; lists that were read lie in one
 * pool of numbers; names (keys, locks, accounts, hosts) are interned. Times are microseconds of one
 * clock for all files of a run. The caller owns all memory, the tables zeroed at the beginning.
 */
#ifndef QUORATE_JEPSEN_CHECK_LOG_H
#define QUORATE_JEPSEN_CHECK_LOG_H

#include "jepsen/check/history.h"

/* clang-format off */
/* kind, word, and what follows it: t name, n second name, v number, m second number, l list of
 * numbers, w word */
#define CHK_STEPS(X) \
    X(APPEND,   "append",   "tv") \
    X(LIST,     "r",        "tl") \
    X(ADD,      "add",      "v") \
    X(ALL,      "all",      "l") \
    X(OPEN,     "open",     "l") \
    X(TRANSFER, "transfer", "tnv") \
    X(BALANCES, "balances", "l") \
    X(ACQUIRE,  "acquire",  "tv") \
    X(RELEASE,  "release",  "tv") \
    X(GUARDED,  "write",    "tvw") \
    X(GRANT,    "grant",    "tv") \
    X(KEEP,     "keep",     "tv") \
    X(REVOKE,   "revoke",   "t") \
    X(PRESENT,  "present",  "tvm") \
    X(GONE,     "gone",     "tnv")
/* clang-format on */

enum chk_step_kind {
#define CHK_STEP_ENUM(name, word, shape) CHK_##name,
    CHK_STEPS(CHK_STEP_ENUM)
#undef CHK_STEP_ENUM
        CHK_STEPS_COUNT
};

struct chk_tx_step {
    enum chk_step_kind kind;
    uint32_t name;
    uint32_t other;
    int64_t value;
    int64_t number;
    bool is_accepted; /* word of a guarded write */
    bool is_known;    /* the list was told */
    uint32_t first;   /* of the list in the pool */
    uint32_t count;
};

struct chk_tx {
    uint32_t process;
    enum chk_status status;
    int64_t call_us;
    int64_t return_us; /* CHK_NO_RETURN unless DONE or FAILED */
    uint32_t first;    /* step */
    uint32_t count;
};

struct chk_probe {
    uint32_t host; /* name */
    uint32_t role; /* name; CHK_NO_NAME not told */
    enum chk_status status;
    bool is_writable; /* the database took a write, whatever became of its commit */
    int64_t call_us;
    int64_t return_us;
    int64_t epoch; /* 0 not told, as timeline and token */
    int64_t timeline;
    int64_t token;
};

struct chk_fault {
    int64_t at_us;
    uint32_t kind; /* name */
    uint32_t target;
    bool is_on;
    int64_t bit;
};

/* A step of a decision, as the arbiter told it: detect, fence, choose, promote, endpoint... */
struct chk_mark {
    int64_t at_us;
    uint32_t name;
};

#define CHK_NO_NAME UINT32_MAX

struct chk_log {
    struct chk_tx *txs;
    size_t txs_count, txs_cap;
    struct chk_tx_step *steps;
    size_t steps_count, steps_cap;
    int64_t *values;
    size_t values_count, values_cap;
    struct chk_key *names;
    size_t names_count, names_cap;
    struct chk_probe *probes;
    size_t probes_count, probes_cap;
    struct chk_fault *faults;
    size_t faults_count, faults_cap;
    struct chk_mark *marks;
    size_t marks_count, marks_cap;
    size_t open; /* invocations without completion */
};

/* Reads one line (without newline). BASE_E_PROTO malformed, BASE_E_NOSPACE a table is full,
 * BASE_E_STATE an invocation within an invocation; *ret_why is a static text then. */
MUST_CHECK int chk_log_read_line(struct chk_log *log, struct slice line, const char **ret_why);
/* Reads all lines; on failure *ret_line is the number of the bad one, from 1. */
MUST_CHECK int chk_log_read(struct chk_log *log, struct slice text, size_t *ret_line,
                            const char **ret_why);
/* One line of each sort, with its newline; is_full of `out` tells when it did not fit. */
void chk_log_write(struct buf *out, const struct chk_log *log, const struct chk_tx *tx);
void chk_log_write_probe(struct buf *out, const struct chk_log *log, const struct chk_probe *probe);
/* One step as `["append","k",1]`. */
void chk_log_write_step(struct buf *out, const struct chk_log *log, const struct chk_tx_step *step);

/* Building a history in memory. BASE_E_NOSPACE. The step goes to the transaction that was added
 * last. */
MUST_CHECK int chk_log_add(struct chk_log *log, const struct chk_tx *tx);
MUST_CHECK int chk_log_add_step(struct chk_log *log, const struct chk_tx_step *step,
                                const int64_t *list, size_t count);
MUST_CHECK int chk_log_name(struct chk_log *log, struct slice text, uint32_t *ret);

/* Is there any step of this kind in a transaction that is done? */
bool chk_log_has(const struct chk_log *log, enum chk_step_kind kind);
/* May a transaction have taken effect: done, unknown or still open. */
static inline bool chk_tx_may_have(const struct chk_tx *tx)
{
    return tx->status != CHK_FAILED;
}

#endif
