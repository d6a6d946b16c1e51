/* SPDX-License-Identifier: Apache-2.0 */
/* Member changes on the leader: checks, the next configuration, and the wait for its commit. */
#include "kv/service_members.h"

#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "base/name.h"
#include "base/rand.h"
#include "kv/service_internal.h"
#include "proto/wire/kv.h"
#include "raft/node.h"

#define ANSWER_MAX (32u << 10)

/* A cookie has this bit, so that it is never one that the owner of the process uses for changes of
 * its own. */
#define COOKIE_BIT (UINT64_C(1) << 62)

bool service_members_is_kind(uint32_t kind)
{
    return kind == KV_KIND_MEMBER_ADD || kind == KV_KIND_MEMBER_REMOVE ||
           kind == KV_KIND_MEMBER_UPDATE || kind == KV_KIND_MEMBER_PROMOTE ||
           kind == KV_KIND_MOVE_LEADER;
}

/* --- lists of members --- */

static size_t find(const struct raft_configuration *c, uint64_t id)
{
    size_t at = 0;
    while (at < c->count && c->members[at].id != id) {
        at++;
    }
    return at;
}

struct kv_members service_members_of(const struct raft_configuration *configuration,
                                     struct service_member_list *list)
{
    for (size_t i = 0; i < configuration->count; i++) {
        const struct raft_member *m = &configuration->members[i];
        list->peer_urls[i] = slice_from_text(m->peer_url.text);
        for (size_t j = 0; j < m->client_url_count; j++) {
            list->client_urls[i][j] = slice_from_text(m->client_urls[j].text);
        }
        list->items[i] = (struct kv_member){
            .id = m->id,
            .name = slice_from_text(m->name.text),
            .peer_urls = {&list->peer_urls[i], m->peer_url.text[0] == '\0' ? 0 : 1},
            .client_urls = {list->client_urls[i], m->client_url_count},
            .is_learner = m->is_learner,
        };
    }
    return (struct kv_members){list->items, configuration->count};
}

/* --- who is there --- */

struct voters {
    size_t all;
    size_t started; /* have told their name */
    size_t active;  /* heard in the last seconds; ourselves included */
};

static bool is_active(const struct kv_service *service, uint64_t id)
{
    struct raft_member_status status;
    return id == service->options.member_id ||
           (raft_node_member_status(service->options.node, id, &status) &&
            base_mono_diff_us(service->now, status.heard_at) <= SERVICE_HEALTHY_US);
}

/* Voters of the present configuration, without the member `but` (0: all of them). */
static struct voters count_voters(const struct kv_service *service, uint64_t but)
{
    const struct raft_configuration *c = raft_node_configuration(service->options.node);
    struct voters voters = {0};
    for (size_t i = 0; i < c->count; i++) {
        const struct raft_member *m = &c->members[i];
        if (!m->is_learner && m->id != but) {
            voters.all++;
            voters.started += !base_name_is_empty(&m->name);
            voters.active += is_active(service, m->id);
        }
    }
    return voters;
}

static size_t majority(size_t voters)
{
    return voters / 2 + 1;
}

/* Whether the voters as they will be have a majority that has started, and one that is up. */
static enum kv_error check_voters(const struct voters *after)
{
    if (after->started < majority(after->all)) {
        return KV_E_UNSAFE_RECONFIGURATION;
    }
    return after->active < majority(after->all) ? KV_E_UNHEALTHY : KV_OK;
}

/* --- addresses --- */

static bool is_digit_run(const char *text)
{
    size_t len = strspn(text, "0123456789");
    return len > 0 && len <= 5 && text[len] == '\0';
}

/* http[s]://HOST:PORT and nothing behind it; one address a member. */
static bool is_peer_url(struct slice url, struct base_text *ret)
{
    if (url.len == 0 || url.len > BASE_TEXT_MAX || memchr(url.data, '\0', url.len) != NULL) {
        return false;
    }
    *ret = (struct base_text){{0}};
    memcpy(ret->text, url.data, url.len);
    const char *host = strncmp(ret->text, "http://", 7) == 0    ? ret->text + 7
                       : strncmp(ret->text, "https://", 8) == 0 ? ret->text + 8
                                                                : NULL;
    const char *colon = host == NULL ? NULL : strrchr(host, ':');
    return colon != NULL && colon > host && strpbrk(host, "/?#@ ") == NULL &&
           is_digit_run(colon + 1);
}

static enum kv_error read_url(const struct kv_texts *urls, const struct raft_configuration *c,
                              uint64_t own_id, struct base_text *ret)
{
    if (urls->count != 1 || !is_peer_url(urls->items[0], ret)) {
        return KV_E_BAD_MEMBER_URLS;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->members[i].id != own_id && strcmp(c->members[i].peer_url.text, ret->text) == 0) {
            return KV_E_PEER_URL_EXISTS;
        }
    }
    return KV_OK;
}

/* --- the next configuration --- */

/* Random, so that a member that comes back with an empty disk is never taken for the one that had
 * voted. Below 2^63: tools print ids as signed numbers. */
static uint64_t new_id(struct kv_service *service, const struct raft_configuration *c)
{
    uint64_t id = 0;
    do {
        struct base_rand rand = base_rand_make(service->options.life, ++service->last_number);
        id = base_rand_next(&rand) >> 1;
    } while (id == 0 || find(c, id) < c->count);
    return id;
}

static enum kv_error plan_add(struct kv_service *service, const struct kv_member_add *add,
                              struct raft_configuration *next)
{
    struct raft_member member = {.is_learner = add->is_learner};
    enum kv_error error = read_url(&add->peer_urls, next, 0, &member.peer_url);
    if (error != KV_OK) {
        return error;
    }
    struct voters after = count_voters(service, 0);
    /* Two voters need both, and a new member hears of itself only when its addition is committed:
     * a group of one takes it as a learner, and makes a voter of it when it has caught up. */
    bool is_single = after.all == 1;
    member.is_learner = add->is_learner || is_single;
    size_t learners = 0;
    for (size_t i = 0; i < next->count; i++) {
        learners += next->members[i].is_learner;
    }
    if (member.is_learner && learners >= SERVICE_LEARNERS_MAX) {
        return KV_E_TOO_MANY_LEARNERS;
    }
    if (next->count == RAFT_MEMBERS_MAX) {
        return KV_E_UNSAFE_RECONFIGURATION;
    }
    if (!member.is_learner) {
        after.all++; /* and is neither started nor up */
    }
    error = check_voters(&after);
    if (error == KV_OK) {
        member.id = new_id(service, next);
        next->members[next->count++] = member;
        service->members.added_id = member.id;
        service->members.to_promote = is_single && !add->is_learner ? member.id : 0;
    }
    return error;
}

static enum kv_error plan_remove(const struct kv_service *service, uint64_t id,
                                 struct raft_configuration *next)
{
    size_t at = find(next, id);
    if (at == next->count) {
        return KV_E_MEMBER_NOT_FOUND;
    }
    if (!next->members[at].is_learner) {
        struct voters after = count_voters(service, id);
        /* One that is down is no part of the majority that runs: taking it away only helps. */
        enum kv_error error = after.all == 0 ? KV_E_UNSAFE_RECONFIGURATION : check_voters(&after);
        if (error != KV_OK && (error != KV_E_UNHEALTHY || is_active(service, id))) {
            return error;
        }
    }
    next->count--;
    for (size_t i = at; i < next->count; i++) {
        next->members[i] = next->members[i + 1];
    }
    return KV_OK;
}

static enum kv_error plan_update(const struct kv_member_update *update,
                                 struct raft_configuration *next)
{
    size_t at = find(next, update->id);
    struct base_text url;
    if (at == next->count) {
        return KV_E_MEMBER_NOT_FOUND;
    }
    enum kv_error error = read_url(&update->peer_urls, next, update->id, &url);
    if (error == KV_OK) {
        next->members[at].peer_url = url;
    }
    return error;
}

static bool is_in_sync(const struct kv_service *service, uint64_t id)
{
    struct raft_member_status own;
    struct raft_member_status other;
    const struct raft_node *node = service->options.node;
    return raft_node_member_status(node, service->options.member_id, &own) &&
           raft_node_member_status(node, id, &other) && !other.is_snapshot_under_way &&
           other.match_index >= own.match_index * SERVICE_IN_SYNC_PERCENT / 100 &&
           is_active(service, id);
}

static enum kv_error plan_promote(const struct kv_service *service, uint64_t id,
                                  struct raft_configuration *next)
{
    size_t at = find(next, id);
    if (at == next->count) {
        return KV_E_MEMBER_NOT_FOUND;
    }
    if (!next->members[at].is_learner) {
        return KV_E_NOT_LEARNER;
    }
    if (!is_in_sync(service, id)) {
        return KV_E_LEARNER_NOT_READY;
    }
    struct voters after = count_voters(service, 0);
    after.all++;
    after.started += !base_name_is_empty(&next->members[at].name);
    after.active++; /* in sync says that it is */
    enum kv_error error = check_voters(&after);
    if (error == KV_OK) {
        next->members[at].is_learner = false;
    }
    return error;
}

static enum kv_error plan(struct kv_service *service, const struct kv_request *request,
                          struct raft_configuration *next)
{
    switch (request->kind) {
    case KV_KIND_MEMBER_ADD:
        return plan_add(service, &request->member_add, next);
    case KV_KIND_MEMBER_REMOVE:
        return plan_remove(service, request->member_id.id, next);
    case KV_KIND_MEMBER_UPDATE:
        return plan_update(&request->member_update, next);
    default:
        return plan_promote(service, request->member_id.id, next);
    }
}

/* --- answers --- */

static struct kv_header header_of(const struct kv_service *service)
{
    struct raft_node_status status;
    raft_node_status(service->options.node, &status);
    return (struct kv_header){.cluster_id = service->options.cluster_id,
                              .member_id = service->options.member_id,
                              .raft_term = status.term};
}

static void fill_response(const struct kv_service *service, uint32_t kind,
                          struct service_member_list *list, struct kv_response *ret)
{
    const struct raft_configuration *c = raft_node_configuration(service->options.node);
    struct kv_members members = service_members_of(c, list);
    *ret = (struct kv_response){.kind = kind};
    if (kind == KV_KIND_MEMBER_ADD) {
        size_t at = find(c, service->members.added_id);
        ret->member_add = (struct kv_member_add_response){
            .has_header = true, .header = header_of(service), .members = members};
        ret->member_add.has_member = at < c->count;
        if (at < c->count) {
            ret->member_add.member = list->items[at];
        }
    } else if (kind == KV_KIND_MOVE_LEADER) {
        ret->header_only =
            (struct kv_header_response){.has_header = true, .header = header_of(service)};
    } else {
        ret->member_list = (struct kv_member_list_response){
            .has_header = true, .header = header_of(service), .members = members};
    }
}

static void answer(struct kv_service *service, struct kv_call *call)
{
    uint8_t bytes[ANSWER_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct service_member_list list = {0};
    struct kv_response response;
    fill_response(service, call->request->kind, &list, &response);
    int rc = kv_wire_encode_response(&response, &out);
    call_end(service, call, rc == 0 ? KV_OK : KV_E_RESPONSE_TOO_LARGE, buf_slice(&out));
}

/* --- calls --- */

/* How the core takes it: 0, or why not (raft/node.h). *ret_error: the client's refusal instead. */
static int hand_in(struct kv_service *service, const struct kv_request *request, uint64_t cookie,
                   enum kv_error *ret_error)
{
    struct raft_node *node = service->options.node;
    if (FAILPOINT(MEMBERS_CHANGE) != 0) {
        return BASE_E_BUSY;
    }
    if (request->kind == KV_KIND_MOVE_LEADER) {
        return raft_node_transfer(node, request->move_leader.target_id, cookie);
    }
    struct raft_configuration next = *raft_node_configuration(node);
    *ret_error = plan(service, request, &next);
    return *ret_error != KV_OK ? BASE_E_DENIED : raft_node_change_members(node, &next, cookie);
}

/* KV_OK: taken. TOO_MANY_REQUESTS: not yet, try again. */
static enum kv_error begin(struct kv_service *service, struct kv_call *call)
{
    struct service_members *m = &service->members;
    uint64_t cookie = COOKIE_BIT | ++service->last_number;
    enum kv_error error = KV_OK;
    m->current = call; /* the core may end it at once: a group of one */
    m->cookie = cookie;
    int rc = hand_in(service, call->request, cookie, &error);
    if (rc == 0) {
        return KV_OK;
    }
    m->current = NULL;
    switch (rc) {
    case BASE_E_DENIED:
        return error;
    case BASE_E_BUSY:
    case BASE_E_STATE:
        return service->is_halted ? KV_E_STOPPED : KV_E_TOO_MANY_REQUESTS;
    case BASE_E_NOTLEADER:
        return KV_E_NOT_LEADER;
    default:
        return call->request->kind == KV_KIND_MOVE_LEADER ? KV_E_BAD_TRANSFEREE
                                                          : KV_E_UNSAFE_RECONFIGURATION;
    }
}

static bool is_leader(const struct kv_service *service)
{
    struct raft_node_status status;
    raft_node_status(service->options.node, &status);
    return status.role == RAFT_LEADER;
}

/* MOVE_LEADER to a stranger or a learner. */
static bool is_bad_target(const struct kv_service *service, const struct kv_request *request)
{
    const struct raft_configuration *c = raft_node_configuration(service->options.node);
    size_t at = find(c, request->move_leader.target_id);
    return at == c->count || c->members[at].is_learner;
}

/* MOVE_LEADER to this node, which leads. */
static bool is_move_here(const struct kv_service *service, const struct kv_request *request)
{
    return request->kind == KV_KIND_MOVE_LEADER &&
           request->move_leader.target_id == service->options.member_id;
}

static void pump(struct kv_service *service)
{
    struct service_members *m = &service->members;
    while (m->current == NULL && m->waiting.head != NULL) {
        struct kv_call *call = list_pop(&m->waiting);
        if (is_move_here(service, call->request)) {
            answer(service, call);
            continue;
        }
        enum kv_error error = begin(service, call);
        if (error == KV_E_TOO_MANY_REQUESTS) {
            list_push_front(&m->waiting, call);
            return;
        }
        if (error != KV_OK) {
            call_end(service, call, error, SLICE_EMPTY);
        }
    }
}

enum kv_error service_members_submit(struct kv_service *service, struct kv_call *call)
{
    struct service_members *m = &service->members;
    BASE_ASSERT(service_members_is_kind(call->request->kind));
    if (service->is_halted) {
        return KV_E_STOPPED;
    }
    if (!is_leader(service)) {
        return KV_E_NOT_LEADER;
    }
    if (call->request->kind == KV_KIND_MOVE_LEADER && is_bad_target(service, call->request)) {
        return KV_E_BAD_TRANSFEREE;
    }
    enum kv_error error = KV_E_TOO_MANY_REQUESTS;
    if (m->current == NULL && m->waiting.head == NULL && !is_move_here(service, call->request)) {
        error = begin(service, call);
    }
    if (error == KV_E_TOO_MANY_REQUESTS) {
        list_push(&m->waiting,
                  call); /* the next tick, or the end of the change before it, tries again */
        error = KV_OK;
    }
    return error;
}

void service_members_changed(void *ctx, uint64_t cookie, int status)
{
    struct kv_service *service = ctx;
    struct service_members *m = &service->members;
    if (m->current == NULL || m->cookie != cookie) {
        return;
    }
    struct kv_call *call = m->current;
    m->current = NULL;
    if (status == 0) {
        answer(service, call);
    } else {
        bool is_move = call->request->kind == KV_KIND_MOVE_LEADER;
        call_end(service, call, is_move ? KV_E_TIMEOUT : KV_E_LEADER_CHANGED, SLICE_EMPTY);
    }
    pump(service);
}

void service_members_fail(struct kv_service *service, enum kv_error error)
{
    struct service_members *m = &service->members;
    struct kv_call *current = m->current;
    m->current = NULL;
    if (current != NULL) {
        call_end(service, current, error, SLICE_EMPTY);
    }
    list_fail(service, &m->waiting, error);
}

/* Those over their deadline; the change that is under way goes on, nobody waits for it any more. */
static void expire(struct kv_service *service)
{
    struct service_members *m = &service->members;
    struct kv_call *current = m->current;
    if (current != NULL && base_mono_before(current->deadline, service->now)) {
        m->current = NULL;
        call_end(service, current, KV_E_TIMEOUT, SLICE_EMPTY);
    }
    list_expire(service, &m->waiting);
}

/* The second member of a group of one, added as a voter: it becomes one. */
static void promote_second(struct kv_service *service)
{
    struct service_members *m = &service->members;
    struct raft_configuration next = *raft_node_configuration(service->options.node);
    size_t at = find(&next, m->to_promote);
    if (at == next.count || !next.members[at].is_learner) {
        m->to_promote = 0; /* removed, or promoted by now */
    } else if (!base_name_is_empty(&next.members[at].name) &&
               plan_promote(service, m->to_promote, &next) == KV_OK &&
               raft_node_change_members(service->options.node, &next,
                                        COOKIE_BIT | ++service->last_number) != 0) {
        return; /* another change is under way; the next tick tries again */
    }
}

void service_members_tick(struct kv_service *service)
{
    expire(service);
    if (!is_leader(service)) { /* of the one under way the node tells: it may have been done */
        list_fail(service, &service->members.waiting, KV_E_NOT_LEADER);
        return;
    }
    pump(service);
    if (service->members.to_promote != 0 && service->members.current == NULL) {
        promote_second(service);
    }
}
