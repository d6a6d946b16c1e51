/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks over HTTP; see health.h. */
#include "agents/shell/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/shell/agent_config.h"
#include "agents/shell/failsafe.h"
#include "proto/io/loop.h"
#include "proto/io/tls.h"

#define FAILSAFE_ANSWER_MAX 512
#define PROC_STAT_START 22 /* field of proc(5): start of the process, in ticks since the boot */

void agent_health_init(struct agent_health *health, struct agt_driver *driver, bool is_insecure)
{
    memset(health, 0, sizeof(*health));
    health->driver = driver;
    health->is_insecure = is_insecure;
}

/* --- what is gathered --- */

/* 0: not known. Field 2 may hold blanks and brackets: count from the last bracket on. */
static int64_t started_wall_us(int32_t pid)
{
    char path[40];
    char line[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    size_t len = fread(line, 1, sizeof(line) - 1, file);
    (void)fclose(file);
    line[len] = '\0';
    const char *at = strrchr(line, ')');
    for (int field = 2; at != NULL && field < PROC_STAT_START; field++) {
        at = strchr(at + 1, ' ');
    }
    long ticks = sysconf(_SC_CLK_TCK);
    if (at == NULL || ticks <= 0) {
        return 0;
    }
    int64_t since_boot_us = strtoll(at, NULL, 10) * BASE_US_PER_S / ticks;
    return io_wall_now().us - (io_now().us - since_boot_us);
}

void agent_health_look(struct agent_health *health)
{
    const struct agt *agent = agt_driver_agent(health->driver);
    if (agent->has_order) {
        agt_http_seen_record(&health->seen, &agent->order.record);
    }
    if (agent->has_guard && agent->guard.root_pid != health->root_pid) {
        health->root_pid = agent->guard.root_pid;
        health->seen.root_started_wall_us =
            health->root_pid > 0 ? started_wall_us(health->root_pid) : 0;
    }
}

void agent_health_woke(struct agent_health *health, int64_t late_us)
{
    agt_http_seen_pause(&health->seen, late_us);
}

void agent_health_config(struct agent_health *health, uint64_t revision, struct slice text)
{
    agt_http_seen_config(&health->seen, revision, text);
}

/* --- answers --- */

/* Another member's word on the right to write: it must have proved who it is, but for agents that
 * run without TLS, which is on one host. */
static void answer_failsafe(struct agent_health *health, struct io_http_exchange *exchange,
                            const struct io_http_request *request)
{
    uint8_t memory[FAILSAFE_ANSWER_MAX];
    struct buf body = buf_over(memory, sizeof(memory));
    bool is_plain_fine = health->is_insecure && !request->is_tls && request->is_loopback;
    if (!is_plain_fine && request->identity->net.role != NET_ROLE_AGENT) {
        io_http_reply(exchange, 403, "text/plain",
                      SLICE_LIT("members only, with the agent's certificate\n"));
        return;
    }
    int rc = agt_driver_failsafe(health->driver, &request->identity->net, request->body, &body);
    if (rc == 0) {
        io_http_reply(exchange, 200, "application/octet-stream", buf_slice(&body));
    } else {
        int status = rc == BASE_E_DENIED ? 403 : rc == BASE_E_PROTO ? 400 : 503;
        io_http_reply(exchange, status, NULL, SLICE_EMPTY);
    }
}

static void answer_state(const struct agent_health *health, struct io_http_exchange *exchange,
                         const struct io_http_request *request)
{
    uint8_t memory[AGT_HTTP_BODY_MAX];
    struct buf body = buf_over(memory, sizeof(memory));
    struct msg_report report;
    struct agt_http_snapshot snapshot;
    agt_http_snapshot_make(agt_driver_agent(health->driver), io_now(), &report, &snapshot);
    snapshot.wall = io_wall_now();
    snapshot.frames_bad = health->driver->frames_bad;
    snapshot.seen = &health->seen;
    if (health->tls != NULL && *health->tls != NULL) {
        snapshot.certificate_end_us = io_tls_own_end_us(*health->tls);
    }
    snapshot.leader_api =
        io_config_map_get(health->config, AGENT_KEY_QUORUM_API, health->driver->leader.text);
    const struct agt_http_request asked = {
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .is_identified = request->is_tls && request->identity->has_certificate,
        .is_admin = request->is_tls && request->identity->net.role == NET_ROLE_ADMIN,
    };
    const struct agt_http_answer made = agt_http_answer(&snapshot, &asked, &body);
    if (made.allow != NULL) {
        io_http_add_header(exchange, "allow", made.allow);
    }
    if (made.control != NULL) {
        io_http_add_header(exchange, "x-quorate-control", made.control);
    }
    if (made.location[0] != '\0') {
        io_http_add_header(exchange, "location", made.location);
    }
    io_http_reply(exchange, made.status, made.content_type, buf_slice(&body));
}

static void answer(void *ctx, struct io_http_exchange *exchange,
                   const struct io_http_request *request)
{
    struct agent_health *health = ctx;
    if (slice_equal(request->path, SLICE_LIT(FAILSAFE_PATH)) &&
        slice_equal(request->method, SLICE_LIT("POST"))) {
        answer_failsafe(health, exchange, request);
        return;
    }
    answer_state(health, exchange, request);
}

struct io_http_handler agent_health_handler(struct agent_health *health)
{
    return (struct io_http_handler){.ctx = health, .request = answer};
}
