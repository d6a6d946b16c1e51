/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a cluster as the shell sees them: where they are, and what their agents say. Names are
 * looked up by a worker, again after failures; nothing here waits. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/proxy/proxy_internal.h"
#include "base/name.h"

#define DOUBT_US (20 * BASE_US_PER_MS) /* not sooner after the last one */
#define RESOLVE_AGAIN_US BASE_US_PER_S /* not sooner after the last time */
#define ASK_TIMEOUT_MIN_US (250 * BASE_US_PER_MS)

struct proxy_resolve {
    struct io_work work;           /* first: the worker hands it back */
    struct proxy_backend *backend; /* NULL: not wanted any more */
    struct base_text host;
    uint16_t port;
    struct addrinfo *result;
    int status;
};

static struct proxy_member *member_of(const struct proxy_backend *b)
{
    return &b->cluster->core.members[b->number];
}

/* --- addresses --- */

static int look_up(const char *host, uint16_t port, int flags, struct addrinfo **ret)
{
    char text[8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    (void)snprintf(text, sizeof(text), "%u", (unsigned)port);
    return getaddrinfo(host, text, &hints, ret);
}

static void take_addresses(struct proxy_backend *b, struct addrinfo *list)
{
    b->addresses_count = 0;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        if (b->addresses_count < PROXY_ADDRESSES_MAX &&
            a->ai_addrlen <= sizeof(union proxy_address)) {
            memcpy(&b->addresses[b->addresses_count++], a->ai_addr, a->ai_addrlen);
        }
    }
    if (list != NULL) {
        freeaddrinfo(list);
    }
    b->resolved_at = io_now();
    b->cluster->is_pump_due = true;
}

static void resolve_run(struct io_work *work)
{
    struct proxy_resolve *r = (struct proxy_resolve *)work;
    r->status = look_up(r->host.text, r->port, AI_ADDRCONFIG, &r->result);
}

static void resolve_done(struct io_work *work)
{
    struct proxy_resolve *r = (struct proxy_resolve *)work;
    struct proxy_backend *b = r->backend;
    if (b != NULL) {
        b->resolve = NULL;
        b->resolved_at = io_now();
        if (r->status == 0) { /* a failure keeps what is known */
            take_addresses(b, r->result);
            r->result = NULL;
        } else {
            IO_LOG_WARN("proxy", "name_unknown", io_name("cluster", &b->cluster->name),
                        io_btext("host", &r->host), io_text("why", gai_strerror(r->status)));
        }
        proxy_settle(b->cluster);
    }
    if (r->result != NULL) {
        freeaddrinfo(r->result);
    }
    free(r);
}

static void forget_resolve(struct proxy_backend *b)
{
    if (b->resolve != NULL) {
        b->resolve->backend = NULL; /* a worker has it */
        b->resolve = NULL;
    }
}

static void resolve(struct proxy_backend *b)
{
    struct addrinfo *list = NULL;
    if (look_up(b->host.text, b->port, AI_NUMERICHOST, &list) == 0) {
        take_addresses(b, list);
        return;
    }
    struct proxy_resolve *r = calloc(1, sizeof(*r));
    if (r != NULL) {
        r->work = (struct io_work){.run = resolve_run, .done = resolve_done};
        r->backend = b;
        r->host = b->host;
        r->port = b->port;
        b->resolve = r;
        io_work_submit(b->cluster->proxy->workers, &r->work);
    }
}

void proxy_backend_resolve_again(struct proxy_backend *backend)
{
    if (backend->resolve == NULL && backend->host.text[0] != '\0' &&
        base_mono_diff_us(io_now(), backend->resolved_at) >= RESOLVE_AGAIN_US) {
        resolve(backend);
    }
}

/* --- questions --- */

/* For whoever counts the milliseconds of a failover. */
static void say_promoted(const struct proxy_backend *b, enum proxy_answer before)
{
    const struct proxy_core *core = &b->cluster->core;
    enum proxy_answer now = member_of(b)->words[PROXY_ASKS_PROMOTED].answer;
    if (now == PROXY_ANSWER_YES && before != now && !core->record.is_opened &&
        b->number == proxy_holder(core)) {
        IO_LOG_NOTICE("proxy", "promoted", io_name("cluster", &b->cluster->name),
                      io_u64("epoch", core->record.epoch),
                      io_u64("waiting", b->cluster->held_count[PROXY_PRIMARY]));
    }
}

static void answered(void *ctx, enum proxy_question question, enum proxy_answer answer,
                     struct base_mono asked_at)
{
    struct proxy_backend *b = ctx;
    struct proxy_event event = {.kind = PROXY_EVENT_WORD,
                                .member = b->number,
                                .question = question,
                                .answer = answer,
                                .asked_at = asked_at};
    enum proxy_answer promoted = member_of(b)->words[PROXY_ASKS_PROMOTED].answer;
    proxy_tell(b->cluster, &event);
    say_promoted(b, promoted);
    proxy_settle(b->cluster);
}

static void open_ask(struct proxy_backend *b)
{
    const struct proxy *p = b->cluster->proxy;
    const struct ask_options options = {.loop = p->loop,
                                        .tls = p->settings.is_agents_tls ? p->tls : NULL,
                                        .answered = answered,
                                        .ctx = b};
    if (ask_open(&options, &b->ask) != 0) {
        b->ask = NULL; /* no memory: the record alone decides, and replicas wait */
    }
}

static void close_asking(struct proxy_backend *b)
{
    b->ask = ask_close(b->ask);
    b->ask_at = BASE_MONO_NEVER;
}

void proxy_backend_follow(struct proxy_backend *backend)
{
    struct proxy_backend *b = backend;
    const struct proxy_member *m = member_of(b);
    if (!m->is_used || !m->is_listed) {
        close_asking(b);
        return;
    }
    if (strcmp(b->host.text, m->seen.host.text) != 0 || b->port != m->seen.db_port) {
        b->host = m->seen.host;
        b->port = m->seen.db_port;
        b->addresses_count = 0;
        forget_resolve(b);
        if (b->host.text[0] != '\0' && b->port != 0) {
            resolve(b);
        }
    }
    if (b->cluster->core.options.has_agents && b->ask == NULL) {
        open_ask(b);
        b->ask_at = b->asked_at = io_now();
    }
    if (b->ask != NULL) {
        ask_set(b->ask, m->seen.host.text, m->seen.http_port,
                b->cluster->proxy->settings.lag_bytes);
    }
}

void proxy_backend_doubt(struct proxy_backend *backend)
{
    if (backend->ask != NULL) {
        struct base_mono soon = base_mono_add_us(backend->asked_at, DOUBT_US);
        backend->ask_at = base_mono_min(backend->ask_at, base_mono_max(io_now(), soon));
    }
}

void proxy_backend_ask(struct proxy_backend *backend, struct base_mono now)
{
    const struct proxy_core *core = &backend->cluster->core;
    int64_t interval_us = backend->cluster->proxy->settings.agents_interval_us;
    int64_t timeout_us = proxy_age_max_us(core) / 4;
    if (backend->ask == NULL) {
        return;
    }
    int64_t urgency_us = proxy_word_urgency_us(core, backend->number, now);
    if (urgency_us > 0 && interval_us > urgency_us) {
        interval_us = urgency_us;
        backend->ask_at =
            base_mono_min(backend->ask_at, base_mono_add_us(backend->asked_at, urgency_us));
    }
    if (!base_mono_before(now, backend->ask_at)) {
        ask_now(backend->ask, core->record.epoch,
                timeout_us > ASK_TIMEOUT_MIN_US ? timeout_us : ASK_TIMEOUT_MIN_US);
        backend->asked_at = now;
        backend->ask_at = base_mono_add_us(now, interval_us);
    }
}

void proxy_backend_close(struct proxy_backend *backend)
{
    forget_resolve(backend);
    close_asking(backend);
}
