/* SPDX-License-Identifier: Apache-2.0 */
/* How a seed's world is drawn (swarm testing), and setups as text. */
#include "tests/sim/setup.h"

#include <inttypes.h>
#include <string.h>

#include "tests/sim/databases.h"
#include "tests/sim/world.h"

#define RESTORE_US (90 * SECOND) /* leases of a lost quorum are waited for */
#define ADMINS_US (25 * SECOND)  /* they tidy up first, one order after the other */
#define PEACE_US (25 * SECOND)   /* after the faults: everything has to work again */
/* Transfers one after the other, each with its stall; a recovery waits 15 s for a component. */
#define GALERA_PEACE_US (90 * SECOND)
/* Elections of 10 s, votes given back in two steps, one order after the other. */
#define MONGODB_PEACE_US (240 * SECOND)

static void draw_sizes(struct base_rand *r, struct setup *s)
{
    static const unsigned nodes[] = {1, 3, 3, 3, 3, 3, 5, 5};
    s->nodes = nodes[draw(r, 0, 7)];
    s->clusters = 1;
    s->members = (unsigned)draw(r, 2, 5);
    s->kv_clients = (unsigned)draw(r, 3, KV_CLIENTS_MAX);
    s->sql_clients = (unsigned)draw(r, 1, SQL_CLIENTS_MAX);
}

static void draw_links_and_disks(struct base_rand *r, struct setup *s)
{
    static const uint32_t rates[] = {0, 0, 1000, 10000, 50000};
    s->is_ordered = chance(r, 500000);
    s->loss_ppm = s->is_calm ? 0 : rates[draw(r, 0, 4)];
    s->double_ppm = s->is_calm ? 0 : rates[draw(r, 0, 4)];
    s->late_ppm = s->is_calm ? 0 : rates[draw(r, 0, 3)];
    s->delay_min_us = 100;
    s->delay_max_us = draw(r, 300, chance(r, 300000) ? 25 * MS : 3 * MS);
    s->sync_min_us = 200;
    s->sync_max_us = draw(r, 500, !s->is_calm && chance(r, 300000) ? 40 * MS : 6 * MS);
}

static void draw_quorum(struct base_rand *r, struct setup *s)
{
    s->election_min_ms = 250;
    s->election_max_ms = !s->is_calm && chance(r, 300000) ? 265 : 500; /* narrow: split votes */
    s->is_vote_crash = !s->is_calm && chance(r, 300000);
    s->is_changing = !s->is_calm && s->nodes > 1 && chance(r, 500000);
    s->slots = s->is_changing ? s->nodes + 2 : s->nodes;
    s->log_keep = s->is_changing ? (uint32_t)draw(r, 1, chance(r, 500000) ? 8 : 120) : 0;
}

/* Limits are small in some seeds, so that they are met. */
static void draw_limits(struct base_rand *r, struct setup *s)
{
    static const uint32_t chunks[] = {0, 512, 4096, 65536}, proposals[] = {0, 0, 4, 64};
    static const uint32_t heartbeats[] = {0, 0, 20, 80}, memory[] = {0, 0, 256, 1024};
    s->is_mixed = chance(r, 300000);
    s->chunk_bytes = chunks[draw(r, 0, 3)];
    s->proposals_max = proposals[draw(r, 0, 3)];
    s->memory_kib = memory[draw(r, 0, 3)];
    s->quorum_heartbeat_ms = heartbeats[draw(r, 0, 3)];
    s->drift_ppm = 9900;
    if (s->is_standstill && chance(r, 400000)) { /* a mode of its own: beyond the declared bound */
        s->drift_ppm = (uint32_t)draw(r, 15000, 80000);
    }
}

/* Each part has its own stream: what one gains moves nothing in the others. */
void setup_draw(uint64_t seed, const struct setup_wish *wish, struct setup *ret)
{
    struct base_rand part[7];
    for (size_t i = 0; i < 7; i++) {
        part[i] = seed_stream(seed, STREAM_SETUP, i);
    }
    *ret = (struct setup){.has_databases = !wish->is_kv_only};
    bool is_plain =
        wish->is_galera ||
        wish->is_mongodb; /* beside Galera: no lost quorum, no clock that stands still */
    ret->is_calm = wish->is_calm || chance(&part[0], 60000);
    ret->faults_end_us = draw(&part[0], 40 * SECOND, 160 * SECOND);
    ret->end_us = ret->faults_end_us + (wish->is_galera    ? GALERA_PEACE_US
                                        : wish->is_mongodb ? MONGODB_PEACE_US
                                                           : PEACE_US);
    draw_sizes(&part[1], ret);
    draw_links_and_disks(&part[2], ret);
    ret->is_standstill =
        (chance(&part[3], 130000) || wish->is_often[FAULT_STANDSTILL]) && !is_plain;
    draw_quorum(&part[4], ret);
    draw_limits(&part[6], ret);
    ret->is_restoring =
        ret->has_databases && !is_plain && !ret->is_calm && !ret->is_changing &&
        !ret->is_standstill &&
        (chance(&part[5], 300000) || wish->is_restoring || wish->is_often[FAULT_RESTORE]);
    ret->end_us += ret->is_restoring ? RESTORE_US : 0;
    struct base_rand r = seed_stream(seed, STREAM_SETUP, 20);
    ret->has_alarms = !ret->is_restoring && chance(&r, 400000);
    ret->has_people = !ret->is_restoring && chance(&r, 500000);
    struct base_rand checkpoints = seed_stream(seed, STREAM_SETUP, 22);
    ret->checkpoint_ms = chance(&checkpoints, 500000) ? (uint32_t)draw(&checkpoints, 200, 2500) : 0;
    struct base_rand locks = seed_stream(seed, STREAM_SETUP, 23);
    ret->has_locks = !ret->is_restoring && chance(&locks, wish->is_kv_only ? 600000 : 200000);
    struct base_rand admins = seed_stream(seed, STREAM_SETUP, 21);
    bool may_have = ret->has_databases && !is_plain && !ret->is_calm && !ret->is_restoring &&
                    !ret->is_standstill;
    ret->has_admins = may_have && (chance(&admins, 300000) || wish->has_admins);
    ret->end_us += ret->has_admins ? ADMINS_US : 0;
    if (ret->has_admins && ret->chunk_bytes == 512) {
        ret->chunk_bytes = 4096; /* documents make an image large for so small pieces */
    }
    databases_draw(seed, wish, ret);
}

static bool db_set(struct db_setup *s, const char *name, int64_t value)
{
#define SETUP_SET(type, field, text) \
    if (strcmp(name, #field) == 0) { \
        s->field = (type)value; \
        return true; \
    }
    DB_SETUP_FIELDS(SETUP_SET)
    return false;
}

bool setup_set(struct setup *s, const char *name, int64_t value)
{
    if (name[0] == 'd' && name[1] == 'b' && name[2] >= '1' && name[2] < '1' + DB_CLUSTERS_MAX &&
        name[3] == '.') {
        return db_set(&s->databases[name[2] - '1'], name + 4, value);
    }
    SETUP_FIELDS(SETUP_SET)
#undef SETUP_SET
    return false;
}

static void write_field(FILE *out, unsigned db, const char *name, int64_t value, const char *text)
{
    char line[80], prefix[16] = "";
    if (value == 0) {
        return;
    }
    if (db != 0) {
        (void)snprintf(prefix, sizeof(prefix), "db%u.", db);
    }
    (void)snprintf(line, sizeof(line), "set %s%s %" PRId64, prefix, name, value);
    (void)fprintf(out, text[0] != '\0' ? "%-36s# %s\n" : "%s%s\n", line, text);
}

void setup_write(const struct setup *s, FILE *out)
{
    unsigned db = 0;
    const struct db_setup *d = NULL;
#define SETUP_WRITE(type, field, text) write_field(out, db, #field, (int64_t)s->field, text);
#define DB_WRITE(type, field, text) write_field(out, db, #field, (int64_t)d->field, text);
    SETUP_FIELDS(SETUP_WRITE)
    for (db = 1; db <= DB_CLUSTERS_MAX; db++) {
        d = &s->databases[db - 1];
        DB_SETUP_FIELDS(DB_WRITE)
    }
#undef SETUP_WRITE
#undef DB_WRITE
}
