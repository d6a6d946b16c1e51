/* SPDX-License-Identifier: Apache-2.0 */
/* Passing on of the Raft node's callbacks; see machine.h. */
#include "arbiter/quorated/machine.h"

static int on_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                    struct buf *result)
{
    const struct quorated_machine *m = ctx;
    return m->inner.apply(m->inner.ctx, txn, entry, result);
}

static void on_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie,
                       struct slice result)
{
    const struct quorated_machine *m = ctx;
    m->inner.applied(m->inner.ctx, index, term, cookie, result);
}

static void on_dropped(void *ctx, uint64_t cookie, int status)
{
    const struct quorated_machine *m = ctx;
    m->inner.dropped(m->inner.ctx, cookie, status);
}

static void on_read_ready(void *ctx, uint64_t cookie, int status)
{
    const struct quorated_machine *m = ctx;
    m->inner.read_ready(m->inner.ctx, cookie, status);
}

static void on_role_changed(void *ctx)
{
    const struct quorated_machine *m = ctx;
    if (m->inner.role_changed != NULL) {
        m->inner.role_changed(m->inner.ctx);
    }
}

static void on_started(void *ctx, int status)
{
    const struct quorated_machine *m = ctx;
    if (m->inner.started != NULL) {
        m->inner.started(m->inner.ctx, status);
    }
    m->started(m->ctx, status);
}

static void on_members_changed(void *ctx)
{
    const struct quorated_machine *m = ctx;
    if (m->inner.members_changed != NULL) {
        m->inner.members_changed(m->inner.ctx);
    }
    m->members_changed(m->ctx);
}

static void on_restored(void *ctx, uint64_t index)
{
    const struct quorated_machine *m = ctx;
    if (m->inner.restored != NULL) {
        m->inner.restored(m->inner.ctx, index);
    }
    m->restored(m->ctx);
}

static void on_changed(void *ctx, uint64_t cookie, int status)
{
    const struct quorated_machine *m = ctx;
    if (m->inner.changed != NULL) {
        m->inner.changed(m->inner.ctx, cookie, status);
    }
}

static void on_halted(void *ctx, int status)
{
    const struct quorated_machine *m = ctx;
    if (m->inner.halted != NULL) {
        m->inner.halted(m->inner.ctx, status);
    }
    m->halted(m->ctx, status);
}

struct raft_machine quorated_machine_port(struct quorated_machine *machine)
{
    return (struct raft_machine){.ctx = machine,
                                 .apply = on_apply,
                                 .applied = on_applied,
                                 .dropped = on_dropped,
                                 .read_ready = on_read_ready,
                                 .role_changed = on_role_changed,
                                 .started = on_started,
                                 .members_changed = on_members_changed,
                                 .restored = on_restored,
                                 .changed = on_changed,
                                 .halted = on_halted};
}
