/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks over HTTP; see health.h. */
#include "agents/shell/health.h"

#include "proto/io/loop.h"

void agent_health_init(struct agent_health *health, const struct agt_driver *driver)
{
    health->driver = driver;
}

static void answer(void *ctx, struct io_http_exchange *exchange,
                   const struct io_http_request *request)
{
    const struct agent_health *health = ctx;
    uint8_t memory[AGENT_HEALTH_BODY_MAX];
    struct buf body = buf_over(memory, sizeof(memory));
    struct msg_report report;
    struct agt_http_snapshot snapshot;
    agt_http_snapshot_make(agt_driver_agent(health->driver), io_now(), &report, &snapshot);
    snapshot.wall = io_wall_now();
    snapshot.frames_bad = health->driver->frames_bad;
    const struct agt_http_request asked = {
        .method = request->method, .path = request->path, .query = request->query};
    const struct agt_http_answer made = agt_http_answer(&snapshot, &asked, &body);
    io_http_reply(exchange, made.status, made.content_type, buf_slice(&body));
}

struct io_http_handler agent_health_handler(struct agent_health *health)
{
    return (struct io_http_handler){.ctx = health, .request = answer};
}
