/* SPDX-License-Identifier: Apache-2.0 */
/* See patroni.h. The rows follow Patroni's REST API; what it has and we do not is refused by name.
 */
#include "arbiter/api/patroni.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arbiter/api/patroni_config.h"
#include "base/name.h"
#include "proto/io/loop.h"

struct request {
    struct base_name cluster;
    struct base_name member;
    json_t *fields; /* an object */
    struct base_name holder;
    uint64_t revision; /* of the document that stands; 0: none */
    struct slice document;
    struct base_wall now;
};

static int refuse(struct arb_patroni_call *call, int status, const char *text)
{
    call->status = status;
    call->text = text;
    return -1;
}

/* Takes over `body`. */
static int use(struct arb_patroni_call *call, const char *name, json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    bool fits = text != NULL && strlen(text) < sizeof(call->body);
    if (fits) {
        (void)snprintf(call->path, sizeof(call->path), "/quorate/v1/databases/%s", name);
        (void)snprintf(call->body, sizeof(call->body), "%s", text);
    }
    free(text);
    json_decref(body);
    return fits ? 0 : refuse(call, 400, "the request cannot be put into words of ours\n");
}

static const char *text_of(const struct request *r, const char *field)
{
    const char *text = json_string_value(json_object_get(r->fields, field));
    return text != NULL ? text : "";
}

/* "2026-03-01T12:00:00+01:00", a blank for the T, a fraction, Z; without a zone: refused, as in
 * Patroni. */
static int time_parse(const char *text, int64_t *ret_us)
{
    struct tm parts = {0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    at = at != NULL ? at : strptime(text, "%Y-%m-%d %H:%M:%S", &parts);
    if (at == NULL) {
        return -1;
    }
    if (*at == '.') {
        at += 1 + strspn(at + 1, "0123456789");
    }
    int hours = 0;
    int minutes = 0;
    char rest = '\0';
    bool is_zulu = strcmp(at, "Z") == 0;
    bool is_zone =
        (*at == '+' || *at == '-') && (sscanf(at + 1, "%2d:%2d%c", &hours, &minutes, &rest) == 2 ||
                                       sscanf(at + 1, "%2d%2d%c", &hours, &minutes, &rest) == 2);
    if (!is_zulu && !is_zone) {
        return -1;
    }
    int64_t offset_s = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    int64_t seconds = (int64_t)timegm(&parts) - (*at == '-' ? -offset_s : offset_s);
    *ret_us = seconds * BASE_US_PER_S;
    return 0;
}

/* 0 when there is no such field. */
static int time_of(const struct request *r, const char *field, struct arb_patroni_call *call,
                   int64_t *ret_us)
{
    const char *text = text_of(r, field);
    *ret_us = 0;
    if (text[0] == '\0' || strcmp(text, "now") == 0) {
        return 0;
    }
    if (time_parse(text, ret_us) != 0) {
        return refuse(call, 422, "no time with a time zone, like 2026-03-01T12:00:00+01:00\n");
    }
    return *ret_us <= r->now.us ? refuse(call, 422, "that time is over\n") : 0;
}

static int put_switchover(const struct request *r, struct arb_patroni_call *call)
{
    int64_t at = 0;
    const char *leader = text_of(r, "leader");
    leader = leader[0] != '\0' ? leader : text_of(r, "primary");
    if (leader[0] == '\0') {
        return refuse(call, 400, "a switchover must name the leader\n");
    }
    if (strcmp(leader, r->holder.text) != 0) {
        return refuse(call, 412, "the leader is another one\n");
    }
    if (strcmp(leader, text_of(r, "candidate")) == 0) {
        return refuse(call, 400, "leader and candidate are the same\n");
    }
    if (time_of(r, "scheduled_at", call, &at) != 0) {
        return -1;
    }
    return use(call, "switchover",
               json_pack("{s:s, s:s, s:I}", "cluster", r->cluster.text, "to",
                         text_of(r, "candidate"), "at_wall_us", (json_int_t)at));
}

static int put_failover(const struct request *r, struct arb_patroni_call *call)
{
    if (text_of(r, "leader")[0] != '\0') {
        return put_switchover(r, call);
    }
    if (text_of(r, "candidate")[0] == '\0') {
        return refuse(call, 400, "a failover must name a candidate\n");
    }
    if (text_of(r, "scheduled_at")[0] != '\0') {
        return refuse(call, 400, "a failover cannot be scheduled\n");
    }
    return use(call, "failover",
               json_pack("{s:s, s:s}", "cluster", r->cluster.text, "to", text_of(r, "candidate")));
}

static int put_task(const struct request *r, const char *kind, int64_t at, bool is_pending_only,
                    struct arb_patroni_call *call)
{
    return use(call, "task",
               json_pack("{s:s, s:s, s:s, s:b, s:I}", "cluster", r->cluster.text, "member",
                         r->member.text, "kind", kind, "pending_only", is_pending_only,
                         "at_wall_us", (json_int_t)at));
}

static int put_restart(const struct request *r, struct arb_patroni_call *call)
{
    static const char *const absent[] = {"role", "postgres_version", "timeout"};
    int64_t at = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(absent); i++) {
        if (json_object_get(r->fields, absent[i]) != NULL) {
            return refuse(call, 400, "role, postgres_version and timeout are not known here\n");
        }
    }
    if (time_of(r, "schedule", call, &at) != 0) {
        return -1;
    }
    return put_task(r, "restart", at, json_is_true(json_object_get(r->fields, "restart_pending")),
                    call);
}

static int put_reload(const struct request *r, struct arb_patroni_call *call)
{
    return put_task(r, "reload", 0, false, call);
}

static int put_reinit(const struct request *r, struct arb_patroni_call *call)
{
    return put_task(r, "reinit", 0, false, call);
}

static int put_cancel(const struct request *r, struct arb_patroni_call *call)
{
    return use(call, "cancel",
               json_pack("{s:s, s:s}", "cluster", r->cluster.text, "member", r->member.text));
}

/* A planned one alone, as in Patroni: tasks stay, and one that is under way goes its way. */
static int put_unplan(const struct request *r, struct arb_patroni_call *call)
{
    return use(call, "cancel",
               json_pack("{s:s, s:b}", "cluster", r->cluster.text, "planned", true));
}

static int put_document(const struct request *r, bool is_patch, struct arb_patroni_call *call)
{
    return use(call, "configure",
               arb_patroni_configure(&r->cluster, r->revision, r->document, r->fields, is_patch));
}

static int put_patch(const struct request *r, struct arb_patroni_call *call)
{
    return put_document(r, true, call);
}

static int put_whole(const struct request *r, struct arb_patroni_call *call)
{
    return put_document(r, false, call);
}

static const struct {
    const char *method;
    const char *operation;
    int (*put)(const struct request *r, struct arb_patroni_call *call);
} calls[] = {
    {"POST", "switchover", put_switchover}, {"POST", "failover", put_failover},
    {"POST", "restart", put_restart},       {"DELETE", "restart", put_cancel},
    {"POST", "reload", put_reload},         {"POST", "reinitialize", put_reinit},
    {"DELETE", "switchover", put_unplan},   {"PATCH", "config", put_patch},
    {"PUT", "config", put_whole},
};

static bool part_take(struct slice *path, struct slice *ret)
{
    const uint8_t *slash = path->len > 0 ? memchr(path->data, '/', path->len) : NULL;
    if (slash == NULL) {
        return false;
    }
    *ret = (struct slice){path->data, (size_t)(slash - path->data)};
    *path = slice_skip(*path, ret->len + 1);
    return true;
}

void arb_patroni_translate(struct slice method, struct slice path, struct slice body,
                           const struct arb_patroni *patroni, struct base_wall now,
                           struct arb_patroni_call *ret)
{
    struct request r = {.now = now};
    struct slice cluster;
    struct slice member;
    *ret = (struct arb_patroni_call){0};
    if (!part_take(&path, &cluster) || !part_take(&path, &member) ||
        base_name_from(cluster, &r.cluster) != 0 || base_name_from(member, &r.member) != 0) {
        (void)refuse(ret, 404, "no such path\n");
        return;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(calls); i++) {
        if (!slice_equal(method, slice_from_text(calls[i].method)) ||
            !slice_equal(path, slice_from_text(calls[i].operation))) {
            continue;
        }
        r.fields = body.len == 0 ? json_object()
                                 : json_loadb((const char *)body.data, body.len,
                                              JSON_REJECT_DUPLICATES, NULL);
        r.holder = patroni->holder(patroni->ctx, &r.cluster);
        r.revision = patroni->document(patroni->ctx, &r.cluster, &r.document);
        if (!json_is_object(r.fields)) {
            (void)refuse(ret, 400, "the body is no JSON object\n");
        } else {
            (void)calls[i].put(&r, ret);
        }
        json_decref(r.fields);
        return;
    }
    (void)refuse(ret, 404, "no such path\n");
}

/* --- the handler --- */

static void request(void *ctx, struct io_http_exchange *exchange,
                    const struct io_http_request *asked)
{
    struct arb_patroni *p = ctx;
    struct slice prefix = SLICE_LIT(ARB_PATRONI_PREFIX);
    if (!slice_has_prefix(asked->path, prefix)) {
        p->next.request(p->next.ctx, exchange, asked);
        return;
    }
    arb_patroni_translate(asked->method, slice_skip(asked->path, prefix.len), asked->body, p,
                          io_wall_now(), &p->call);
    if (p->call.status != 0) {
        io_http_reply(exchange, p->call.status, "text/plain; charset=utf-8",
                      slice_from_text(p->call.text));
        return;
    }
    struct io_http_request translated = *asked;
    translated.method = SLICE_LIT("POST");
    translated.path = slice_from_text(p->call.path);
    translated.query = SLICE_EMPTY;
    translated.body = slice_from_text(p->call.body);
    p->next.request(p->next.ctx, exchange, &translated);
}

static void gone(void *ctx, struct io_http_exchange *exchange)
{
    struct arb_patroni *p = ctx;
    if (p->next.gone != NULL) {
        p->next.gone(p->next.ctx, exchange);
    }
}

static void writable(void *ctx, struct io_http_exchange *exchange)
{
    struct arb_patroni *p = ctx;
    if (p->next.writable != NULL) {
        p->next.writable(p->next.ctx, exchange);
    }
}

struct io_http_handler arb_patroni_handler(struct arb_patroni *patroni)
{
    return (struct io_http_handler){
        .ctx = patroni, .request = request, .gone = gone, .writable = writable};
}
