/* SPDX-License-Identifier: Apache-2.0 */
/* A member's hooks: those that follow what is seen, and the database port with the two that
 * something waits for.
 *
 * The port stands between the driver and the engine. pre_promote runs in front of the engine's
 * PROMOTE: a failure ends the order with DENIED and nothing is promoted; when it ended well, the
 * right is looked at again before the engine hears of the order. before_stop runs behind the
 * CHECKPOINT of a hand-over, whose completion the core waits for before it stops the server; its
 * exit status changes nothing. A cancelled order ends its hook. Loop thread.
 */
#ifndef QUORATE_AGENTS_HOOKS_PORT_H
#define QUORATE_AGENTS_HOOKS_PORT_H

#include "agents/core/agent.h"
#include "agents/hooks/run.h"
#include "agents/port_db.h"

#define HOOKS_QUEUE_MAX 8

struct hooks {
    const struct hooks_settings *settings;
    const struct agt *agent; /* read only, by the owner's leave; NULL: not yet */
    struct io_workers *workers;
    struct hooks_watch watch;
    struct hook_run follower; /* of what was seen */
    uint8_t queue_count;
    struct hook_due {
        enum hook_kind kind;
        struct hook_words words;
    } queue[HOOKS_QUEUE_MAX];
    struct hook_run gate; /* in front of or behind an order */
    struct db_port engine;
    bool is_gated; /* `order` waits for `gate` */
    bool is_canceled;
    bool is_closing;
    struct db_order order;
    struct db_done held; /* the checkpoint's completion, while before_stop runs */
    void *ctx;
    void (*done)(void *ctx, const struct db_done *done); /* completions for the driver */
    bool (*may_promote)(void *ctx, uint64_t epoch);      /* the right holds now */
};

/* Without any command configured nothing is started and the port is the engine's own. done and
 * may_promote are called in the loop thread, done never from inside of an order. NOMEM, IO. */
MUST_CHECK int hooks_open(struct hooks *hooks, struct io_loop *loop,
                          const struct hooks_settings *settings);
struct db_port hooks_port(struct hooks *hooks, struct db_port engine);
/* A completion of the engine: true when it is held back and comes later through `done`. */
bool hooks_take_done(struct hooks *hooks, const struct db_done *done);
/* After each round of the loop. */
void hooks_look(struct hooks *hooks, const struct agt *agent, struct base_mono now);
void hooks_close(struct hooks *hooks);

#endif
