/* SPDX-License-Identifier: Apache-2.0 */
/* Guard port over the guard's socket; see guard_link.h. */
#include "agents/shell/guard_link.h"

#include <stdlib.h>

#include "base/canary.h"
#include "proto/io/log.h"

#define RETRY_US (100 * BASE_US_PER_MS)
#define SPAWN_TIMEOUT_MS 15000

struct guard_link {
    struct guard_link_options options;
    struct io_loop *loop;
    struct io_workers *workers;
    struct guard_client client;
    uv_poll_t *poll; /* NULL while not connected; freed when its handle is closed */
    struct io_timer retry;
    int64_t margin_us;
    bool is_heard; /* this guard has told its status, and the core knows of it */
    bool is_spawning;
    struct spawn_work {
        struct io_work work;
        struct guard_link *link;
        int status;
    } spawn;
};

static void look(void *ctx);

static void poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void disconnect(struct guard_link *link)
{
    if (link->poll != NULL) {
        (void)uv_poll_stop(link->poll);
        uv_close((uv_handle_t *)link->poll, poll_closed);
        link->poll = NULL;
    }
    guard_client_close(&link->client);
}

static void lost(struct guard_link *link)
{
    disconnect(link);
    IO_LOG_WARN("guard", "link_lost", io_text("next", "connecting again"));
    io_timer_start_in_us(&link->retry, 0);
}

static void ready(uv_poll_t *poll, int status, int events);

static void watch(struct guard_link *link)
{
    int events = UV_READABLE | (guard_client_wants_write(&link->client) ? UV_WRITABLE : 0);
    (void)uv_poll_start(link->poll, events, ready);
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct guard_link *link = poll->data;
    struct guard_answer answer;
    int rc = status < 0 ? BASE_E_CLOSED : 0;
    if (rc == 0 && (events & UV_WRITABLE) != 0) {
        rc = guard_client_flush(&link->client);
        rc = rc == BASE_E_BUSY ? 0 : rc;
    }
    while (rc == 0) {
        rc = guard_client_read(&link->client, &answer);
        if (rc == 0) {
            link->is_heard = true;
            link->options.status(link->options.ctx, &answer.status);
        }
    }
    if (rc != BASE_E_BUSY) {
        lost(link);
    } else if (link->poll != NULL) {
        watch(link);
    }
}

static int connect_guard(struct guard_link *link)
{
    int rc = guard_client_connect(&link->client, link->options.spawn.socket, false);
    if (rc != 0) {
        return rc;
    }
    link->poll = calloc(1, sizeof(*link->poll));
    if (link->poll == NULL ||
        uv_poll_init(io_loop_uv(link->loop), link->poll, link->client.fd) != 0) {
        free(link->poll);
        link->poll = NULL;
        guard_client_close(&link->client);
        return BASE_E_NOMEM;
    }
    link->poll->data = link;
    link->is_heard = CANARY(GUARD_UNHEARD);
    link->options.spawn.adopt =
        0; /* there is a guard: a later one finds no such process any more */
    watch(link);
    return 0;
}

static void spawn_run(struct io_work *work)
{
    struct spawn_work *spawn = (struct spawn_work *)(void *)work;
    spawn->status = guard_client_spawn(&spawn->link->options.spawn, SPAWN_TIMEOUT_MS);
}

static void spawn_done(struct io_work *work)
{
    const struct spawn_work *spawn = (const struct spawn_work *)(const void *)work;
    struct guard_link *link = spawn->link;
    link->is_spawning = false;
    if (spawn->status == BASE_E_STATE || spawn->status == BASE_E_CONFLICT) {
        /* A guard may have come up meanwhile; else the refusal stands. */
        if (connect_guard(link) != 0) {
            link->options.failed(link->options.ctx, spawn->status);
        }
        return;
    }
    if (spawn->status != 0) {
        IO_LOG_ERROR("guard", "start_failed", io_err(spawn->status),
                     io_text("next", "trying again"));
        io_timer_start_in_us(&link->retry, 10 * RETRY_US);
        return;
    }
    io_timer_start_in_us(&link->retry, 0);
}

/* Connects to the guard, or starts one. */
static void look(void *ctx)
{
    struct guard_link *link = ctx;
    if (link->poll != NULL || link->is_spawning) {
        return;
    }
    int rc = connect_guard(link);
    if (rc == BASE_E_NOTFOUND) {
        link->is_spawning = true;
        link->spawn =
            (struct spawn_work){.work = {.run = spawn_run, .done = spawn_done}, .link = link};
        io_work_submit(link->workers, &link->spawn.work);
    } else if (rc != 0) {
        io_timer_start_in_us(&link->retry, RETRY_US);
    }
}

static void send_command(struct guard_link *link, const struct guard_command *command)
{
    if (link->poll == NULL || !link->is_heard) {
        return; /* meant for a former guard: the core says it again when it still holds */
    }
    int rc = guard_client_send(&link->client, command, NULL);
    if (rc == BASE_E_CLOSED) {
        lost(link);
        return;
    }
    watch(link);
}

static void port_start(void *ctx)
{
    send_command(ctx, &(struct guard_command){.type = GUARD_FRAME_START});
}

static void arm(struct guard_link *link, struct guard_command command)
{
    if (link->options.arming != NULL) {
        link->options.arming(link->options.ctx);
    }
    command.type = GUARD_FRAME_ARM;
    command.margin_us = link->margin_us;
    send_command(link, &command);
}

static void port_arm(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t freeze_max_us)
{
    arm(ctx, (struct guard_command){
                 .epoch = epoch, .deadline = deadline, .freeze_max_us = freeze_max_us});
}

static void port_arm_soft(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t soft_us)
{
    arm(ctx, (struct guard_command){.epoch = epoch, .deadline = deadline, .soft_us = soft_us});
}

static void port_release(void *ctx, uint64_t epoch)
{
    send_command(
        ctx, &(struct guard_command){.type = GUARD_FRAME_HAND_BACK, .epoch = epoch, .soft_us = 1});
}

static void port_disarm(void *ctx)
{
    send_command(ctx, &(struct guard_command){.type = GUARD_FRAME_DISARM});
}

static void port_signal(void *ctx, int signal_number)
{
    send_command(
        ctx, &(struct guard_command){.type = GUARD_FRAME_SIGNAL, .signal_number = signal_number});
}

static void port_kill(void *ctx)
{
    send_command(ctx, &(struct guard_command){.type = GUARD_FRAME_KILL});
}

static void port_hand_back(void *ctx, uint64_t epoch)
{
    send_command(ctx, &(struct guard_command){.type = GUARD_FRAME_HAND_BACK, .epoch = epoch});
}

int guard_link_new(struct io_loop *loop, const struct guard_link_options *options,
                   struct guard_link **ret)
{
    struct guard_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return BASE_E_NOMEM;
    }
    link->loop = loop;
    link->options = *options;
    guard_client_init(&link->client);
    io_timer_init(&link->retry, loop, look, link);
    int rc = io_workers_new(loop, 1, &link->workers);
    if (rc != 0) {
        free(link);
        return rc;
    }
    io_timer_start_in_us(&link->retry, 0);
    *ret = link;
    return 0;
}

struct guard_port guard_link_port(struct guard_link *link)
{
    return (struct guard_port){.ctx = link,
                               .start = port_start,
                               .arm = port_arm,
                               .arm_soft = port_arm_soft,
                               .release = port_release,
                               .disarm = port_disarm,
                               .signal = port_signal,
                               .kill = port_kill,
                               .hand_back = port_hand_back};
}

void guard_link_set_margin(struct guard_link *link, int64_t margin_us)
{
    link->margin_us = margin_us;
}

void guard_link_end_guard(struct guard_link *link)
{
    send_command(link, &(struct guard_command){.type = GUARD_FRAME_END});
}

struct guard_link *guard_link_free(struct guard_link *link)
{
    if (link == NULL) {
        return NULL;
    }
    io_timer_stop(&link->retry);
    disconnect(link);
    link->workers = io_workers_free(link->workers, false);
    free(link);
    return NULL;
}
