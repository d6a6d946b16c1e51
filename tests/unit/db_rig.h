/* SPDX-License-Identifier: Apache-2.0 */
/* The database port of an agent on the bench: a loop, a directory, what the port told, what the
 * guard tells it. The test brings the scripted server. Included by gal_db_test and mdb_db_test. */
#ifndef QUORATE_TESTS_UNIT_DB_RIG_H
#define QUORATE_TESTS_UNIT_DB_RIG_H

#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/port_db.h"
#include "agents/shell/files.h"
#include "base/name.h"
#include "proto/io/loop.h"

#define SECOND BASE_US_PER_S
#define WAIT_US (10 * SECOND) /* for what comes at once */

static struct {
    struct io_loop *loop;
    struct db_port port;
    struct guard_status guard;
    struct db_view view;
    unsigned views;
    struct db_done done;
    unsigned dones;
    uint64_t ids;
    char log[1024];
    char dir[64];
    void (*each_turn)(void); /* of the loop; NULL: nothing */
} w;

static void took_done(void *ctx, const struct db_done *done)
{
    (void)ctx;
    w.done = *done;
    w.dones++;
}

static void took_view(void *ctx, const struct db_view *view)
{
    (void)ctx;
    w.view = *view;
    w.views++;
}

static void took_log(void *ctx, const char *text)
{
    (void)ctx;
    (void)snprintf(w.log, sizeof(w.log), "%s", text);
}

static const struct db_events rig_events = {.done = took_done, .view = took_view, .log = took_log};

static void rig_begin(void (*each_turn)(void))
{
    memset(&w, 0, sizeof(w));
    w.each_turn = each_turn;
    (void)snprintf(w.dir, sizeof(w.dir), "/tmp/db_rig.XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    assert_int_equal(io_loop_new(&w.loop), 0);
}

/* The port is closed already. */
static void rig_end(void)
{
    char command[128];
    w.loop = io_loop_free(w.loop);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w.dir);
    assert_int_equal(system(command), 0);
}

static void rig_turn(void)
{
    if (w.each_turn != NULL) {
        w.each_turn();
    }
    io_loop_run_once(w.loop, base_mono_add_us(io_now(), 5000));
}

/* Turns the loop until `condition` holds. */
#define UNTIL(condition) \
    do { \
        struct base_mono until_ = base_mono_add_us(io_now(), WAIT_US); \
        while (!(condition) && base_mono_before(io_now(), until_)) { \
            rig_turn(); \
        } \
        assert_true(condition); \
    } while (0)

static void set_path(struct pg_path *path, const char *name)
{
    (void)snprintf(path->text, sizeof(path->text), "%s/%s", w.dir, name);
}

static void guard_says(enum guard_tree tree)
{
    w.guard.instance = 7;
    w.guard.tree = tree;
    w.guard.root_pid = tree == GUARD_TREE_RUNNING ? 4242 : 0;
    w.guard.starts += tree == GUARD_TREE_RUNNING;
    w.port.guard_changed(w.port.ctx, &w.guard);
}

/* With the next id, which is told in w.ids; 9 s, where it says nothing else. */
static void rig_order(const struct db_order *wanted)
{
    struct db_order o = *wanted;
    o.id = ++w.ids;
    o.timeout_us = o.timeout_us != 0 ? o.timeout_us : 9 * SECOND;
    w.port.order(w.port.ctx, &o);
}

#endif
