/* SPDX-License-Identifier: Apache-2.0 */
/* A modelled replica set for tests: made, founded, asked, and run for a while. */
#ifndef QUORATE_TESTS_UNIT_MONGOSIM_RIG_H
#define QUORATE_TESTS_UNIT_MONGOSIM_RIG_H

#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mongosim/set.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)
#define ENTRIES 20000

struct rig {
    struct mset *set;
    void *memory, *entries;
    uint64_t tag, value;
    struct mset_reply reply;
};

static inline void name_of(unsigned node, struct mset_host *ret)
{
    (void)snprintf(ret->text, sizeof(ret->text), "m%u:27017", node + 1);
}

static inline void rig_open(struct rig *r, uint64_t seed, unsigned release, unsigned nodes,
                            uint32_t window)
{
    memset(r, 0, sizeof(*r));
    struct mset_options options = {.seed = seed,
                                   .release = release,
                                   .nodes = nodes,
                                   .wall_us = 1700000000 * SECOND,
                                   .name = {"rs"},
                                   .window_entries = window};
    r->memory = calloc(1, mset_size());
    r->entries = calloc(ENTRIES, mset_entry_size());
    assert_non_null(r->memory);
    assert_non_null(r->entries);
    r->set = mset_init(r->memory, r->entries, ENTRIES, &options);
    for (unsigned i = 0; i < nodes; i++) {
        struct mset_host host;
        name_of(i, &host);
        mset_name(r->set, i, host.text);
        mset_start(r->set, i);
    }
}

static inline void rig_close(struct rig *r)
{
    free(r->memory);
    free(r->entries);
}

static inline void run(struct rig *r, int64_t us)
{
    mset_advance(r->set, mset_now(r->set) + us);
}

/* The answer to a command, in that time; -99: none came. */
static inline int ask(struct rig *r, unsigned node, struct mset_command c, int64_t us)
{
    int64_t end = mset_now(r->set) + us;
    c.tag = ++r->tag;
    assert_true(mset_command(r->set, node, &c));
    for (;;) {
        while (mset_take_reply(r->set, &r->reply)) {
            if (r->reply.tag == c.tag) {
                return r->reply.code;
            }
        }
        if (mset_now(r->set) >= end) {
            return -99;
        }
        run(r, 5 * MS);
    }
}

static inline struct mset_config config_of(unsigned data, unsigned arbiters)
{
    struct mset_config c = {.set_name = {"rs"},
                            .version = {0, 1},
                            .heartbeat_ms = 2000,
                            .election_timeout_ms = 10000,
                            .heartbeat_timeout_ms = 10000,
                            .catch_up_ms = -1};
    for (unsigned i = 0; i < data + arbiters; i++) {
        struct mset_member *m = &c.members[c.count++];
        *m = (struct mset_member){.id = i, .votes = 1, .is_arbiter = i >= data};
        m->priority_x10 = i >= data ? 0 : 10;
        name_of(i, &m->host);
    }
    return c;
}

static inline int initiate(struct rig *r, unsigned node, const struct mset_config *config)
{
    struct mset_command c = {.kind = MSET_INITIATE, .config = *config};
    return ask(r, node, c, SECOND);
}

static inline int write_w(struct rig *r, unsigned node, uint8_t w, uint32_t max_ms)
{
    struct mset_command c = {
        .kind = MSET_WRITE, .value = ++r->value, .w = w, .max_time_ms = max_ms};
    return ask(r, node, c, 60 * SECOND);
}

/* Waits for a writable primary; fails when none comes. */
static inline unsigned primary_of(struct rig *r)
{
    uint64_t term;
    for (int i = 0; i < 1200; i++) {
        int p = mset_primary(r->set, &term);
        if (p >= 0) {
            return (unsigned)p;
        }
        run(r, 100 * MS);
    }
    fail_msg("no primary");
    return 0;
}

static inline void found(struct rig *r, uint64_t seed, unsigned release, unsigned data,
                         unsigned arbiters)
{
    struct mset_config c = config_of(data, arbiters);
    rig_open(r, seed, release, data + arbiters, 0);
    assert_int_equal(initiate(r, 0, &c), MSET_OK);
    (void)primary_of(r);
    for (unsigned i = 0; i < data; i++) {
        for (int n = 0; n < 600 && mset_state_of(r->set, i) != MSET_SECONDARY &&
                        mset_state_of(r->set, i) != MSET_PRIMARY;
             n++) {
            run(r, 100 * MS);
        }
    }
    run(r, 5 * SECOND);
}

static inline int reconfig(struct rig *r, unsigned node, struct mset_config *c, bool is_forced)
{
    struct mset_command command = {
        .kind = MSET_RECONFIG, .is_forced = is_forced, .max_time_ms = 9000};
    command.config = *c;
    return ask(r, node, command, 20 * SECOND);
}

static inline struct mset_config read_config(struct rig *r, unsigned node)
{
    struct mset_config c;
    assert_int_equal(mset_config_get(r->set, node, &c, NULL), MSET_OK);
    c.version.version++;
    return c;
}

static inline unsigned other_data(unsigned primary)
{
    return primary == 0 ? 1 : 0;
}

static inline void cut(struct rig *r, unsigned a, unsigned b, bool is_cut)
{
    struct mset_link link = {.is_cut = is_cut};
    mset_link_set(r->set, a, b, &link);
    mset_link_set(r->set, b, a, &link);
}

#endif
