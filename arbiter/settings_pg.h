/* SPDX-License-Identifier: Apache-2.0 */
/* The section "postgresql" of a configuration document: what may stand in it, and as the engine
 * reads it. Checked when a document is written, so that an engine never meets one that it must
 * refuse; only what a server alone can tell (a parameter that it does not know, a value it does not
 * take) is left to the members. Uses jansson; any thread, nothing is kept.
 */
#ifndef QUORATE_ARBITER_SETTINGS_PG_H
#define QUORATE_ARBITER_SETTINGS_PG_H

#include "arbiter/settings.h"

#include <jansson.h>

#define ARB_PG_PARAMETERS_MAX 128
#define ARB_PG_LINES_MAX 128
#define ARB_PG_SLOTS_MAX 16
#define ARB_PG_VALUE_MAX 1024 /* bytes of a value or line */
#define ARB_PG_MEMBER_SLOTS_TTL_DEFAULT_MS 1800000
#define ARB_PG_MAP "quorate" /* our own map in pg_ident.conf */

/* Lines of pg_hba.conf or pg_ident.conf. */
struct arb_pg_lines {
    bool is_given; /* false: the member's own file decides */
    bool is_kept;  /* "keep": what stands in the file behind our own lines is left alone */
    uint32_t count;
    const char *lines[ARB_PG_LINES_MAX];
};

struct arb_pg_slot {
    const char *name;
    bool is_logical;
    const char *database; /* of a logical one, else "" */
    const char *plugin;
};

/* The section as plain values. Texts lie in `text`: not to be copied by assignment. */
struct arb_settings_pg {
    uint32_t parameters_count;
    struct {
        const char *name;
        const char *value; /* as postgresql.conf wants it, without quotes */
    } parameters[ARB_PG_PARAMETERS_MAX];
    struct arb_pg_lines hba;
    struct arb_pg_lines ident;
    uint32_t slots_count;
    struct arb_pg_slot slots[ARB_PG_SLOTS_MAX];
    int64_t member_slots_ttl_ms;
    const char *max_slot_wal_keep_size; /* "": our default */
    bool use_slots;
    /* The section "standby_cluster"; host "": there is none. */
    const char *standby_host;
    uint16_t standby_port;
    const char *standby_slot;    /* "": none */
    const char *standby_restore; /* "": none */
    size_t text_len;
    char text[MSG_CONFIG_MAX + 8192];
};

/* 0, or BASE_E_INVALID with what is wrong: path, value found, what is allowed. BASE_E_NOMEM. */
MUST_CHECK int arb_settings_postgresql(json_t *section, struct arb_settings_why *why);

/* A whole document as an engine needs it. Errors as above; BASE_E_INVALID also for no JSON. */
MUST_CHECK int arb_settings_pg_read(struct slice text, struct arb_settings_pg *ret,
                                    struct arb_settings_why *why);
/* What stands for no document at all. */
void arb_settings_pg_defaults(struct arb_settings_pg *ret);

/* One line of pg_hba.conf or pg_ident.conf: NULL when it is well formed, else what is wrong. Empty
 * lines and comments are well formed. Static text. */
const char *arb_pg_hba_fault(const char *line);
const char *arb_pg_ident_fault(const char *line);

#endif
