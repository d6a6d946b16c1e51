/* SPDX-License-Identifier: Apache-2.0 */
/* Database clusters as a seed draws them. */
#include "tests/sim/databases.h"

#include "base/assert.h"
#include "tests/sim/adopted.h"
#include "tests/sim/world.h"

static void draw_members(struct base_rand *r, struct setup *s)
{
    static const unsigned clusters[] = {1, 1, 1, 1, 1, 1, 1, 2, 2, 3};
    unsigned left = MEMBERS_MAX;
    unsigned wanted = clusters[draw(r, 0, (int64_t)BASE_COUNT_OF(clusters) - 1)];
    s->clusters = s->is_restoring ? 1 : wanted; /* a restored quorum is judged for one */
    s->members = 0;
    for (unsigned i = 0; i < s->clusters; i++) {
        unsigned room = left - 2 * (s->clusters - 1 - i); /* two for each that follows */
        unsigned count = (unsigned)draw(r, 2, CLUSTER_MEMBERS_MAX);
        s->databases[i].first = s->members;
        s->databases[i].members = count < room ? count : room;
        left -= s->databases[i].members;
        s->members += s->databases[i].members;
    }
}

static void draw_settings(struct base_rand *r, const struct setup *s, struct db_setup *d)
{
    static const uint32_t ttls[] = {600, 1000, 2000, 2000, 3000};
    d->ttl_ms = ttls[draw(r, 0, 4)];
    d->heartbeat_ms = d->ttl_ms / 8 < 100 ? 100 : d->ttl_ms / 8;
    d->freeze_max_ms = (uint32_t)draw(r, 1, 3) * 1000;
    d->sync_count = d->members > 2 && chance(r, 300000) ? 2 : 1;
    d->is_async = chance(r, 150000) && !s->is_standstill;
    d->is_strict = chance(r, 300000);
}

/* In most of the seeds that have one it is the only database cluster: the more happens to it. */
static void draw_galera(uint64_t seed, const struct setup_wish *wish, struct setup *s)
{
    static const unsigned members[] = {2, 2, 3, 3, 3, 3, 4}, flush[] = {1, 1, 1, 1, 2, 0};
    struct base_rand r = seed_stream(seed, STREAM_SETUP, 30);
    bool is_alone = chance(&r, 700000);
    s->clusters = is_alone ? 0 : 1;
    s->members = is_alone ? 0 : (s->members > 3 ? 3 : s->members);
    s->databases[0].members = s->members;
    s->has_databases = !is_alone;
    s->sql_clients = 1;
    s->galera_members = members[draw(&r, 0, 6)];
    s->galera_flush = flush[draw(&r, 0, 5)];
    s->has_arbitrator = s->galera_members == 2 && chance(&r, 300000);
    s->has_hands = !s->is_calm && (chance(&r, 150000) || wish->is_often[FAULT_GALERA_BY_HAND]);
    s->has_galera_admins = !s->is_calm && chance(&r, 400000);
    s->is_fast_takeover = !s->has_arbitrator && chance(&r, 250000);
    s->databases[s->clusters] = (struct db_setup){.first = s->members,
                                                  .members = s->galera_members,
                                                  .ttl_ms = GALERA_TTL_MS,
                                                  .heartbeat_ms = 500};
}

/* One story alone; nothing else of the set's goes wrong before its end. */
static void draw_story(const struct setup_wish *wish, struct setup *s)
{
    bool is_any = !s->is_calm && (wish->is_mongodb_token || wish->is_mongodb_parted);
    if (!is_any) {
        return;
    }
    s->has_mongodb_token = wish->is_mongodb_token;
    s->has_mongodb_parted = !wish->is_mongodb_token;
    s->has_mongodb_force = wish->is_mongodb_token;
    s->has_mongodb_admins = s->has_mongodb_ladder = s->is_mongodb_restored = false;
    s->mongodb_policy &= ~0xfu; /* agents leave a primary alone */
    s->end_us += MONGODB_STORY_US - s->faults_end_us;
    s->faults_end_us = MONGODB_STORY_US;
}

/* It is the only one. A set of four is three members with data and one that comes later. */
static void draw_mongodb(uint64_t seed, const struct setup_wish *wish, struct setup *s)
{
    static const unsigned members[] = {3, 3, 3, 3, 5}, releases[] = {42, 44, 50, 60, 70, 80, 70};
    struct base_rand r = seed_stream(seed, STREAM_SETUP, 50);
    *s->databases = (struct db_setup){0};
    s->clusters = s->members = 0;
    s->has_databases = false;
    s->sql_clients = 1;
    s->mongodb_members = members[draw(&r, 0, 4)];
    s->has_mongodb_arbiter = chance(&r, 400000);
    s->mongodb_release = releases[draw(&r, 0, 6)];
    s->mongodb_window = chance(&r, 300000) ? (uint32_t)draw(&r, 60, 300) : 0;
    s->mongodb_policy = (unsigned)draw(&r, 0, 255);
    s->has_mongodb_admins = !s->is_calm && chance(&r, 400000);
    s->has_mongodb_force = !s->is_calm && chance(&r, 250000);
    s->is_mongodb_restored =
        !s->is_calm && (chance(&r, 120000) || wish->is_often[FAULT_MONGODB_RESTORED]);
    s->has_mongodb_ladder =
        !s->is_calm && s->faults_end_us > MONGODB_LADDER_END_US && chance(&r, 400000);
    if (s->has_mongodb_ladder) { /* nothing else ends it before */
        static const unsigned allowed[] = {0xa, 0xa, 0x5, 0x5, 0x0}; /* kill, stepdown, report */
        s->mongodb_policy = (s->mongodb_policy & ~0xfu) | allowed[draw(&r, 0, 4)];
        s->has_mongodb_force = s->has_mongodb_admins = false;
    }
    draw_story(wish, s);
    s->databases[0] =
        (struct db_setup){.members = s->mongodb_members, .ttl_ms = 5000, .heartbeat_ms = 1000};
}

/* Half of the ttl is the most that a watchdog may count. */
static void draw_hosts(uint64_t seed, struct setup *s)
{
    struct base_rand r = seed_stream(seed, STREAM_SETUP, 40);
    bool is_plain = s->is_standstill || s->is_restoring;
    s->watchdog_ms = !s->is_standstill && chance(&r, 600000) ? 1000 : 0;
    for (unsigned i = 0; i < s->clusters; i++) {
        struct db_setup *d = &s->databases[i];
        if (s->watchdog_ms > 0 && d->ttl_ms < 2 * s->watchdog_ms) {
            d->ttl_ms = 2 * s->watchdog_ms;
            d->heartbeat_ms = d->ttl_ms / 8;
        }
        d->adopting = is_plain || !chance(&r, 600000) ? ADOPTING_NOT
                      : chance(&r, 300000)            ? ADOPTING_STOPPED
                                                      : ADOPTING_RUNNING;
        s->has_admins = s->has_admins && d->adopting == ADOPTING_NOT;
    }
}

void databases_draw(uint64_t seed, const struct setup_wish *wish, struct setup *s)
{
    struct base_rand members = seed_stream(seed, STREAM_SETUP, 10);
    draw_members(&members, s);
    for (unsigned i = 0; i < s->clusters; i++) {
        struct base_rand own = seed_stream(seed, STREAM_SETUP, 11 + i);
        draw_settings(&own, s, &s->databases[i]);
        struct base_rand lag = seed_stream(seed, STREAM_SETUP, 60 + i);
        bool is_small = s->databases[i].is_async && !s->is_calm && chance(&lag, 700000);
        s->databases[i].lag_bytes = is_small ? 64 * (uint32_t)draw(&lag, 1, 40) : 0;
    }
    if (wish->is_galera) {
        draw_galera(seed, wish, s);
    } else if (wish->is_mongodb) {
        draw_mongodb(seed, wish, s);
    } else if (wish->has_hosts && s->has_databases && !s->is_calm) {
        draw_hosts(seed, s);
    }
}

unsigned databases_count(const struct world *w)
{
    return w->setup.clusters + (w->setup.galera_members > 0 ? 1 : 0) +
           (w->setup.mongodb_members > 0 ? 1 : 0);
}

bool is_galera(const struct world *w, unsigned cluster)
{
    return cluster == w->setup.clusters && w->setup.galera_members > 0;
}

bool is_mongodb(const struct world *w, unsigned cluster)
{
    return cluster == w->setup.clusters && w->setup.mongodb_members > 0;
}

unsigned cluster_of(const struct world *w, unsigned member)
{
    unsigned i = 0;
    while (member >= w->setup.databases[i].first + w->setup.databases[i].members) {
        i++;
        BASE_ASSERT(i < databases_count(w));
    }
    return i;
}

const struct db_setup *database_of(const struct world *w, unsigned member)
{
    return &w->setup.databases[cluster_of(w, member)];
}

const struct base_name *cluster_name(unsigned cluster)
{
    static const struct base_name names[DB_CLUSTERS_MAX] = {{"main"}, {"shop"}, {"blog"}};
    return &names[cluster];
}
