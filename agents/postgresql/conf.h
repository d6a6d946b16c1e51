/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files of a data directory that we write: quorate.conf (conf.c), pg_hba.conf and
 * pg_ident.conf (conf_hba.c), signal files.
 *
 * quorate.conf is included by the last line of postgresql.conf and holds what changes with the
 * role: upstream and synchronous standbys. Invariant: what it says is on disk before anybody is
 * told so, and unless it was written by SET_SYNC or PREPARE_PRIMARY with the holder's settings, its
 * synchronous_standby_names can be fulfilled by nobody (section 4.6), so that a promotion alone
 * acknowledges nothing. Worker threads only.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_CONF_H
#define QUORATE_AGENTS_POSTGRESQL_CONF_H

#include "agents/postgresql/settings.h"
#include "proto/msg/agent.h"

/* The name that no member can have (ours begin with it only in slots) and nobody connects with. */
#define PG_SYNC_NOBODY "quorate_nobody"
/* A data directory with this file in it is half rewound and must not be started. */
#define PG_UNUSABLE_FILE "quorate.unusable"

struct pg_conf {
    struct base_name upstream; /* empty: detached */
    struct base_text upstream_host;
    uint16_t upstream_port;
    bool is_remote;               /* upstream is the primary of another cluster */
    struct base_text remote_slot; /* our slot there; "": none */
    bool has_slot;                /* our slot is there on the upstream */
    bool has_sync;                /* false: nobody can fulfil it */
    struct msg_names sync_names;
    uint8_t sync_count;
    /* As a server has them that is taken over while it runs; NULL: by the fields above. */
    const char *left_conninfo;
    const char *left_slot;
    const char *left_sync;
};

/* synchronous_standby_names: "" for a count of 0, else ANY count ("a", "b"); no names: nobody. */
void pg_sync_format(const struct msg_names *names, uint8_t count, struct buf *b);
/* The reverse; our nobody gives no names and its count. UNSUPPORTED: written by somebody else. */
MUST_CHECK int pg_sync_parse(struct slice text, struct msg_names *ret_names, uint8_t *ret_count);

/* Name of `member`'s slot on its upstream: [a-z0-9_], at most 63 bytes, different for different
 * members. */
struct base_text pg_slot_name(const struct base_name *member);

/* Connection string to another member as `role`; `upstream` may be NULL (application_name
 * quorate_agent). */
MUST_CHECK int pg_conninfo(const struct pg_settings *settings, const struct pg_conf *conf,
                           const char *role, bool is_receiver, struct buf *b);

/* name = 'value' in the syntax of postgresql.conf, with its newline. */
void pg_conf_put(struct buf *b, const char *name, struct slice value);

/* Writes quorate.conf. */
MUST_CHECK int pg_conf_write(const struct pg_settings *settings, const char *dir,
                             const struct pg_conf *conf);
/* The same with what stands there about the role left as it is: other settings alone have changed.
 * To `to_dir`, which may be `dir` itself. */
MUST_CHECK int pg_conf_rewrite(const struct pg_settings *settings, const char *dir,
                               const char *to_dir);
/* True when the file says exactly this of the role already. */
bool pg_conf_is(const struct pg_settings *settings, const char *dir, const struct pg_conf *conf);
/* The same for a server that runs and keeps its files where they are: `config_file` gets the
 * include line at its end, and pg_hba.conf and pg_ident.conf of their directories our lines in
 * front. What a reload puts into force; the rest waits for a start through the guard. */
struct pg_conf_places {
    struct pg_path config_file;
    struct pg_path hba_dir;
    struct pg_path ident_dir;
};
MUST_CHECK int pg_conf_join(const struct pg_settings *settings,
                            const struct pg_conf_places *places);
/* Include line, pg_hba.conf, pg_ident.conf; takes our keys out of postgresql.auto.conf. Server
 * stopped. */
MUST_CHECK int pg_conf_install(const struct pg_settings *settings, const char *dir, bool is_gated);
/* pg_hba.conf alone, when it differs; a gated one lets in nobody but standbys and our own sessions.
 */
MUST_CHECK int pg_conf_set_gate(const struct pg_settings *settings, const char *dir, bool is_gated,
                                bool *ret_is_changed);
/* As the file stands now. */
bool pg_conf_is_gated(const char *dir);
/* pg_ident.conf alone, when it differs. */
MUST_CHECK int pg_conf_set_ident(const struct pg_settings *settings, const char *dir,
                                 bool *ret_is_changed);
/* What stands in pg_hba.conf or pg_ident.conf (`name`) now, so that it can be put back. The caller
 * frees *ret_memory, which is NULL when there is no such file. */
MUST_CHECK int pg_conf_keep(const char *dir, const char *name, char **ret_memory, size_t *ret_len);
MUST_CHECK int pg_conf_put_back(const char *dir, const char *name, const char *memory, size_t len);
/* standby.signal there or not; recovery.signal never. */
MUST_CHECK int pg_conf_set_standby(const char *dir, bool is_standby);
/* Marks or unmarks the directory as unusable. */
MUST_CHECK int pg_conf_set_unusable(const char *dir, const char *why);
bool pg_conf_is_unusable(const char *dir);

#endif
