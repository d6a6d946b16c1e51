/* SPDX-License-Identifier: Apache-2.0 */
/* Users, roles and tokens, drawn at random; see people.h. */
#include "tests/sim/people.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/auth.h"
#include "proto/wire/kv.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"

#define USERS 3
#define ROLES 3
/* Nobody looks at it. */
#define HASH "$2a$10$0000000000000000000000000000000000000000000000000000"
#define KEYS 6 /* "!a" to "!f" */

struct person {
    struct world *world;
    unsigned index;
    struct base_rand rand;
    struct kv_call call;
    struct kv_request request;
    struct kv_permission permission;
    struct kv_op ops[2];
    bool is_waiting;
    char user[3], role[3], key[3], end[3]; /* texts of the request */
    uint8_t asker[KV_AUTH_NAME_MAX];
    char token[KV_AUTH_TOKEN_MAX + 1]; /* of the login under way */
    char told[KV_AUTH_TOKEN_MAX + 1];  /* what it was told */
    uint64_t told_index;
    int64_t asked_us; /* when that login was sent */
    int64_t sent_us;
    bool has_token;
};

struct people {
    struct person users[USERS];
    struct person admin;
    uint64_t last_token;
};

static struct slice text(const char *t)
{
    return slice_from_text(t);
}

static void draw_texts(struct person *p)
{
    p->user[0] = 'u';
    p->user[1] = (char)('0' + draw(&p->rand, 0, USERS - 1));
    p->role[0] = 'r';
    p->role[1] = (char)('0' + draw(&p->rand, 0, ROLES - 1));
    p->key[0] = p->end[0] = '!';
    p->key[1] = (char)('a' + draw(&p->rand, 0, KEYS - 1));
    p->end[1] = (char)('a' + draw(&p->rand, 0, KEYS));
}

/* --- the administrator --- */

static void admin_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct person *p = call->user;
    (void)error; /* whatever came of it: the next one is drawn anew */
    (void)response;
    p->is_waiting = false;
}

static struct kv_request of_user_and_role(uint32_t kind, const char *user, const char *role)
{
    return (struct kv_request){.kind = kind, .user_role = {text(user), text(role)}};
}

static struct kv_request add_user(const char *user)
{
    return (struct kv_request){.kind = KV_KIND_USER_ADD,
                               .user_add = {.name = text(user), .hashed_password = text(HASH)}};
}

static struct kv_request name_of(uint32_t kind, const char *name)
{
    return (struct kv_request){.kind = kind, .name = {text(name)}};
}

static void draw_permission(struct person *p)
{
    p->permission =
        (struct kv_permission){.type = (int32_t)draw(&p->rand, 0, 2), .key = slice_from(p->key, 2)};
    if (p->end[1] > p->key[1]) {
        p->permission.range_end = slice_from(p->end, 2);
    }
    p->request = (struct kv_request){.kind = KV_KIND_ROLE_GRANT,
                                     .role_grant = {text(p->role), true, p->permission}};
}

static void draw_order(struct person *p)
{
    int64_t what = draw(&p->rand, 0, 99);
    draw_texts(p);
    if (what < 4) {
        p->request = add_user("root");
    } else if (what < 8) {
        p->request = name_of(KV_KIND_ROLE_ADD, "root");
    } else if (what < 12) {
        p->request = of_user_and_role(KV_KIND_USER_GRANT, "root", "root");
    } else if (what < 22) {
        p->request = add_user(p->user);
    } else if (what < 30) {
        p->request = name_of(KV_KIND_ROLE_ADD, p->role);
    } else if (what < 48) {
        p->request = of_user_and_role(KV_KIND_USER_GRANT, p->user, p->role);
    } else if (what < 66) {
        draw_permission(p);
    } else if (what < 76) {
        p->request = (struct kv_request){.kind = KV_KIND_AUTH_ENABLE};
    } else if (what < 79) {
        p->request = (struct kv_request){.kind = KV_KIND_AUTH_DISABLE};
    } else if (what < 87) {
        p->request = of_user_and_role(KV_KIND_USER_REVOKE, p->user, p->role);
    } else if (what < 95) {
        draw_permission(p);
        p->request.kind = KV_KIND_ROLE_REVOKE;
        p->request.role_revoke =
            (struct kv_role_revoke){text(p->role), p->permission.key, p->permission.range_end};
    } else {
        p->request = name_of(what < 97 ? KV_KIND_USER_DELETE : KV_KIND_ROLE_DELETE,
                             what < 97 ? p->user : p->role);
    }
}

/* A node that takes requests; -1: none just now. */
static int draw_node(struct person *p)
{
    struct world *w = p->world;
    unsigned node = (unsigned)draw(&p->rand, 0, w->setup.slots - 1);
    bool is_there = node_auth(w, node) != NULL && node_process(w, node)->stopped == 0;
    return is_there ? (int)node : -1;
}

static void ask(struct person *p, unsigned node, struct kv_asker asker,
                void (*done)(struct kv_call *, enum kv_error, struct slice))
{
    p->call = (struct kv_call){.request = &p->request, .user = p, .asker = asker, .done = done};
    p->is_waiting = true;
    p->sent_us = p->world->now_us;
    p->is_waiting = node_ask_as(p->world, node, &p->call) == KV_OK;
}

static void admin_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct person *p = ctx;
    struct world *w = p->world;
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + draw(&p->rand, 50 * MS, 400 * MS), NULL, admin_tick, p);
    int node = draw_node(p);
    if (node >= 0 && !p->is_waiting) {
        draw_order(p);
        ask(p, (unsigned)node, (struct kv_asker){.auth_revision = KV_ASKER_INTERNAL}, admin_done);
    }
}

/* --- users --- */

static void show_at_once(void *ctx, uint64_t number, struct slice bytes);

/* What the login was told, and one look at another node right away. */
static void logged_in(struct person *p, struct slice response)
{
    static _Alignas(16) uint8_t memory[4096];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_response decoded;
    BASE_ASSERT(kv_wire_decode_response(KV_KIND_AUTHENTICATE, response, &arena, &decoded) == 0);
    struct slice token = decoded.authenticate.token;
    struct slice number = slice_skip(token, strlen(p->token) + 1);
    BASE_ASSERT(token.len <= KV_AUTH_TOKEN_MAX && slice_has_prefix(token, text(p->token)));
    BASE_ASSERT(slice_to_u64(number, &p->told_index) == 0);
    memcpy(p->told, token.data, token.len);
    p->told[token.len] = 0;
    p->asked_us = p->sent_us;
    p->has_token = true;
    p->world->tally.logins++;
    world_at(p->world, p->world->now_us + draw(&p->rand, 0, 2 * MS), NULL, show_at_once, p);
}

static void user_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct person *p = call->user;
    p->is_waiting = false;
    if (p->request.kind == KV_KIND_AUTHENTICATE) {
        if (error == KV_OK) {
            logged_in(p, response);
        }
        return;
    }
    p->world->tally.permitted += error == KV_OK;
    p->world->tally.denied += error == KV_E_AUTH_OLD_REVISION;
}

static void draw_write(struct person *p)
{
    int64_t what = draw(&p->rand, 0, 99);
    struct kv_put put = {.key = slice_from(p->key, 2), .value = slice_from(p->key, 2)};
    struct kv_delete gone = {.key = slice_from(p->key, 2)};
    if (p->end[1] > p->key[1]) {
        gone.range_end = slice_from(p->end, 2);
    }
    if (what < 50) {
        p->request = (struct kv_request){.kind = KV_KIND_PUT, .put = put};
    } else if (what < 75) {
        p->request = (struct kv_request){.kind = KV_KIND_DELETE, .delete_range = gone};
    } else {
        p->ops[0] = (struct kv_op){.kind = KV_OP_DELETE, .delete_range = gone};
        put.key = slice_from(p->end, 2);
        p->ops[1] = (struct kv_op){.kind = KV_OP_PUT, .put = put};
        size_t count = p->end[1] < p->key[1] ? 2 : 1;
        p->request = (struct kv_request){.kind = KV_KIND_TXN};
        p->request.txn.then_ops = (struct kv_ops){p->ops, count};
    }
}

/* As kv/api/auth.c once the password fits. */
static void log_in(struct person *p, unsigned node)
{
    struct buf token = buf_over(p->token, sizeof(p->token));
    uint64_t revision = 0;
    if (kv_auth_known_revision(node_auth(p->world, node), &revision) != 0 || revision == 0) {
        return;
    }
    p->has_token = false;
    buf_put_dec(&token, ++p->world->people->last_token);
    buf_put_u8(&token, 0);
    p->request = (struct kv_request){.kind = KV_KIND_AUTHENTICATE};
    p->request.authenticate =
        (struct kv_authenticate){.name = slice_from(p->user, 2), .token = text(p->token)};
    ask(p, node, (struct kv_asker){.auth_revision = revision}, user_done);
}

static void write_something(struct person *p, unsigned node)
{
    struct kv_auth_who who = {.common_name = slice_from(p->user, 2), .may_wait = true};
    struct kv_asker asker;
    if (p->has_token && chance(&p->rand, 500000)) {
        who.token = text(p->told);
    }
    if (who.token.len > 0 && kv_auth_is_ahead(node_auth(p->world, node), who.token)) {
        return; /* kv/api would wait; here the same is tried again later */
    }
    draw_write(p);
    enum kv_error error =
        kv_auth_decide(node_auth(p->world, node), &who, &p->request, p->asker, &asker);
    p->world->tally.denied += error != KV_OK;
    if (error == KV_E_INVALID_TOKEN) {
        truth_token_refused(p->world, node, p->told_index, p->asked_us);
        p->has_token = false;
    }
    if (error == KV_OK) {
        ask(p, node, asker, user_done);
    }
}

static void show_at_once(void *ctx, uint64_t number, struct slice bytes)
{
    struct person *p = ctx;
    (void)number;
    (void)bytes;
    int node = draw_node(p);
    if (node >= 0 && !p->is_waiting && p->has_token) {
        draw_texts(p);
        p->user[1] = (char)('0' + p->index);
        write_something(p, (unsigned)node);
    }
}

static void user_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct person *p = ctx;
    struct world *w = p->world;
    (void)number;
    (void)bytes;
    world_at(w, w->now_us + draw(&p->rand, 50 * MS, 500 * MS), NULL, user_tick, p);
    int node = draw_node(p);
    if (node < 0 || p->is_waiting) {
        return;
    }
    draw_texts(p);
    p->user[1] = (char)('0' + p->index);
    if (!p->has_token && chance(&p->rand, 100000)) {
        log_in(p, (unsigned)node);
    } else {
        write_something(p, (unsigned)node);
    }
}

/* --- life --- */

static void begin(struct person *p, struct world *w, unsigned index, event_fn *tick)
{
    p->world = w;
    p->index = index;
    p->rand = world_stream(w, STREAM_PEOPLE, index);
    world_at(w, w->now_us + 2 * SECOND, NULL, tick, p);
}

void people_open(struct world *w)
{
    struct people *all = w->people = must_alloc(1, sizeof(*all));
    if (!w->setup.has_people) {
        return;
    }
    for (unsigned i = 0; i < USERS; i++) {
        begin(&all->users[i], w, i, user_tick);
    }
    begin(&all->admin, w, USERS, admin_tick);
}

void people_close(struct world *w)
{
    free(w->people);
    w->people = NULL;
}
