/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration document of a database cluster: JSON that operators write and everybody obeys.
 *
 * Read here once for all: which keys there are, what is allowed and what stands for a key that is
 * missing, from one table. What concerns the arbiter goes into the settings of a record; the
 * section "postgresql" is checked by settings_pg.h and read by the engine. A document that passes
 * is safe to store: everything that is wrong is said when it is written, with the path of the key,
 * the value found and what is allowed. Uses malloc by jansson; any thread, nothing is kept.
 */
#ifndef QUORATE_ARBITER_SETTINGS_H
#define QUORATE_ARBITER_SETTINGS_H

#include "base/error.h"
#include "base/slice.h"
#include "proto/msg/agent.h"

#define ARB_SETTINGS_WHY_MAX 512
#define ARB_FENCE_COMMAND_MAX 63 /* name of a program in the node's directory of fence programs */
#define ARB_FENCE_TIMEOUT_DEFAULT_MS 10000u

/* What is wrong, for people: "ttl: \"1h\"; allowed: 600ms to 1m". */
struct arb_settings_why {
    char text[ARB_SETTINGS_WHY_MAX];
};

struct arb_settings {
    /* Its settings, with defaults for what the document does not say; all else is zero. */
    struct msg_record record;
    char fence_command[ARB_FENCE_COMMAND_MAX + 1]; /* "": none */
    uint32_t fence_timeout_ms;                     /* of one run */
};

/* BASE_E_INVALID: not such a document, *why says it. BASE_E_TOOBIG above MSG_CONFIG_MAX.
 * BASE_E_NOMEM. */
MUST_CHECK int arb_settings_read(struct slice text, struct arb_settings *ret,
                                 struct arb_settings_why *why);

/* The document in its canonical form: keys of the table in its order, compact, members of
 * "postgresql" as they came; `has_defaults`: also what it does not say. Appends to `out`
 * (MSG_CONFIG_MAX bytes are enough without defaults). Errors as above, BASE_E_NOSPACE. */
MUST_CHECK int arb_settings_write(struct slice text, bool has_defaults, struct buf *out,
                                  struct arb_settings_why *why);

/* "1500ms", "2s", "30m", "1h", "0": to milliseconds; false for anything else. */
bool arb_settings_duration(const char *text, int64_t *ret_ms);

/* The document that says what a record without one runs under: its settings where they are not the
 * defaults. Appends to `out`. BASE_E_NOMEM, BASE_E_NOSPACE. */
MUST_CHECK int arb_settings_of(const struct msg_record *record, struct buf *out);

/* The table, for help and documentation; NULL behind the last key. */
struct arb_setting {
    const char *path;     /* "fence.mode" */
    const char *allowed;  /* "600ms to 1m" */
    const char *standard; /* as JSON; "" none */
    const char *help;
};
const struct arb_setting *arb_setting_at(size_t index);

#endif
