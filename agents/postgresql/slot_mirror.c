/* SPDX-License-Identifier: Apache-2.0 */
/* Slots besides the one that a standby makes for itself (slot_keep.c), looked after every ten
 * seconds.
 *
 * A standby holds a slot for each other member as well, moved along with the one upstream, so that
 * the WAL they need is still there when it takes over. Permanent slots of the document are made on
 * the primary and mirrored alike (logical ones: slot_logical.c). A slot that lost its WAL is
 * dropped, so that its user makes a new one (and learns that it must clone). One of ours that
 * nobody has needed for member_slots_ttl is dropped. Slots that are neither ours by name nor in the
 * document are never touched. What is remembered of times is this agent's alone: a restart begins
 * anew. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "base/name.h"

#define OWN_PREFIX "quorate_"
#define UPSTREAM_US (1 * BASE_US_PER_S)

struct mirror {
    struct pg_run *run;
    struct pg_sql *sql; /* superuser here */
    const struct arb_settings_pg *document;
    bool is_primary;
    struct base_text own; /* our own slot upstream: never made here */
};

static bool is_ours(const char *name)
{
    return strncmp(name, OWN_PREFIX, sizeof(OWN_PREFIX) - 1) == 0;
}

static const struct arb_pg_slot *in_document(const struct mirror *m, const char *name)
{
    for (uint32_t i = 0; i < m->document->slots_count; i++) {
        if (strcmp(m->document->slots[i].name, name) == 0) {
            return &m->document->slots[i];
        }
    }
    return NULL;
}

/* --- what is remembered --- */

static struct pg_watch_slot *memory_of(struct pg_watch *w, const char *name)
{
    struct pg_watch_slot *free_one = NULL;
    for (size_t i = 0; i < PG_WATCH_SLOTS_MAX; i++) {
        if (strcmp(w->slots[i].name, name) == 0) {
            return &w->slots[i];
        }
        free_one = free_one == NULL && w->slots[i].name[0] == '\0' ? &w->slots[i] : free_one;
    }
    if (free_one != NULL) {
        (void)snprintf(free_one->name, sizeof(free_one->name), "%.63s", name);
        free_one->needed_at = pg_now();
    }
    return free_one;
}

static void needed(const struct mirror *m, const char *name)
{
    struct pg_watch_slot *slot = memory_of(&m->run->db->watch, name);
    if (slot != NULL) {
        slot->needed_at = pg_now();
    }
}

static bool is_outlived(const struct mirror *m, const char *name)
{
    const struct pg_watch_slot *slot = memory_of(&m->run->db->watch, name);
    int64_t ttl_us = m->document->member_slots_ttl_ms * BASE_US_PER_MS;
    return slot != NULL && base_mono_diff_us(pg_now(), slot->needed_at) > ttl_us;
}

/* --- statements; names are of [a-z0-9_] alone, by the server's own rule --- */

static int run_on(const struct mirror *m, const char *function, const char *name, const char *more)
{
    char text[256];
    struct base_text why;
    struct pg_sql_rows rows;
    (void)snprintf(text, sizeof(text), "SELECT %s('%.63s'%s)", function, name, more);
    int status = pg_sql_run(m->sql, text, m->run->deadline, &rows, &why);
    if (status == 0) {
        pg_sql_free(&rows);
    }
    return status;
}

static void drop(const struct mirror *m, const char *name)
{
    struct pg_watch_slot *slot = memory_of(&m->run->db->watch, name);
    if (run_on(m, "pg_drop_replication_slot", name, "") == 0 && slot != NULL) {
        memset(slot, 0, sizeof(*slot));
    }
}

static const char here_statement[] =
    "SELECT slot_name, slot_type = 'physical', active, wal_status IS NOT DISTINCT FROM 'lost',"
    " restart_lsn FROM pg_replication_slots WHERE NOT temporary";

/* Slots here that are to go. A lost one that is the document's comes back with the next round. */
static void tidy(const struct mirror *m, const PGresult *here)
{
    for (int row = 0; row < PQntuples(here); row++) {
        const char *name = pg_sql_text(here, row, 0);
        bool is_active = pg_sql_bool(here, row, 2);
        bool is_lost = pg_sql_bool(here, row, 3);
        bool is_known =
            is_ours(name) || (in_document(m, name) != NULL && pg_sql_bool(here, row, 1));
        if (is_active) {
            needed(m, name);
        } else if (is_known && (is_lost || (is_ours(name) && is_outlived(m, name)))) {
            drop(m, name);
        }
    }
}

static int find(const PGresult *list, const char *name)
{
    for (int row = 0; row < PQntuples(list); row++) {
        if (strcmp(pg_sql_text(list, row, 0), name) == 0) {
            return row;
        }
    }
    return -1;
}

/* --- primary: what the document wants --- */

static void make_wanted(const struct mirror *m, const PGresult *here)
{
    for (uint32_t i = 0; i < m->document->slots_count; i++) {
        const struct arb_pg_slot *slot = &m->document->slots[i];
        if (find(here, slot->name) < 0 && !slot->is_logical) {
            (void)!run_on(m, "pg_create_physical_replication_slot", slot->name, ", true");
        }
    }
}

/* --- standby: those of upstream --- */

static int list_upstream(const struct mirror *m, struct pg_sql *sql, struct pg_sql_rows *ret)
{
    static const char text[] = "SELECT slot_name, restart_lsn FROM pg_replication_slots WHERE NOT "
                               "temporary AND slot_type = 'physical' AND restart_lsn IS NOT NULL";
    char conninfo[PG_RUN_CONNINFO_MAX];
    struct base_text why = {{0}};
    struct base_mono deadline =
        base_mono_min(m->run->deadline, base_mono_add_us(pg_now(), UPSTREAM_US));
    int status =
        pg_run_upstream_conninfo(m->run, PG_ROLE_REWIND, false, conninfo, sizeof(conninfo));
    status = status != 0 ? status : pg_sql_open(sql, conninfo, deadline, &why);
    return status != 0 ? status : pg_sql_run(sql, text, deadline, ret, &why);
}

/* Makes the slot here, or moves it along; never beyond what this standby has replayed, nor below
 * where it stands: the server sees to both. */
static void follow(const struct mirror *m, const PGresult *here, const char *name, const char *lsn)
{
    char more[64];
    int row = find(here, name);
    needed(m, name);
    if (row < 0) {
        (void)!run_on(m, "pg_create_physical_replication_slot", name, ", true");
    } else if (!pg_sql_bool(here, row, 2) && pg_sql_lsn(here, row, 4) > 0) {
        uint64_t wanted = 0;
        if (pg_lsn_parse(slice_from_text(lsn), &wanted) == 0 && wanted > pg_sql_lsn(here, row, 4)) {
            (void)snprintf(more, sizeof(more), ", '%.20s'", lsn);
            (void)!run_on(m, "pg_replication_slot_advance", name, more);
        }
    }
}

/* The upstream itself will need WAL from here when it comes back as a standby: from our last
 * restart point on, which is what we keep anyway. */
static void follow_upstream_itself(const struct mirror *m, const PGresult *here)
{
    static const char text[] = "SELECT redo_lsn FROM pg_control_checkpoint()";
    struct pg_sql_rows rows;
    struct base_text why;
    if (pg_sql_run(m->sql, text, m->run->deadline, &rows, &why) != 0) {
        return;
    }
    struct base_text name = pg_slot_name(&m->run->order.upstream_member);
    if (rows.count > 0 && PQntuples(rows.results[0]) > 0) {
        follow(m, here, name.text, pg_sql_text(rows.results[0], 0, 0));
    }
    pg_sql_free(&rows);
}

static void follow_all(const struct mirror *m, const PGresult *here)
{
    struct pg_sql upstream = {.cancel_fd = m->run->db->cancel_fd};
    struct pg_sql_rows rows;
    if (list_upstream(m, &upstream, &rows) == 0) {
        const PGresult *there = rows.results[0];
        for (int row = 0; row < PQntuples(there); row++) {
            const char *name = pg_sql_text(there, row, 0);
            bool is_wanted = is_ours(name) || in_document(m, name) != NULL;
            if (is_wanted && strcmp(name, m->own.text) != 0) {
                follow(m, here, name, pg_sql_text(there, row, 1));
            }
        }
        pg_sql_free(&rows);
        follow_upstream_itself(m, here);
        pg_slot_logical_round(m->run, m->sql, &upstream);
    }
    pg_sql_close(&upstream);
}

void pg_slot_mirror(struct pg_run *run, struct pg_sql *superuser, bool is_primary)
{
    const struct pg_conf *following = &run->db->following;
    struct pg_sql_rows here;
    struct base_text why;
    if (run->settings->config == NULL || !run->settings->config->document->use_slots) {
        return;
    }
    struct mirror m = {.run = run,
                       .sql = superuser,
                       .document = run->settings->config->document,
                       .is_primary = is_primary,
                       .own = pg_slot_name(&run->settings->member)};
    run->order.upstream_member = following->upstream;
    run->order.upstream_host = following->upstream_host;
    run->order.upstream_port = following->upstream_port;
    if (pg_sql_run(superuser, here_statement, run->deadline, &here, &why) != 0) {
        return;
    }
    if (is_primary) {
        make_wanted(&m, here.results[0]);
        pg_slot_logical_round(run, superuser, NULL);
    } else if (!base_name_is_empty(&following->upstream) && !following->is_remote) {
        follow_all(&m, here.results[0]);
    }
    tidy(&m, here.results[0]);
    pg_sql_free(&here);
}
