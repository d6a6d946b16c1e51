/* SPDX-License-Identifier: Apache-2.0 */
/* See kv_words.h. */
#include "tests/golden/kv_words.h"

#include <stdio.h>
#include <string.h>

#define LIST_MAX 16

#define LL(x) ((long long)(x))
#define TEXT(s) (int)(s).len, (const char *)(s).data

/* --- requests --- */

struct slice kv_words_end(const struct golden_line *line)
{
    const char *to = golden_option(line, "to");
    if (to == NULL) {
        return SLICE_EMPTY;
    }
    return strcmp(to, "*") == 0 ? slice_from("", 1) : slice_from_text(to);
}

static struct slice slice_at(const struct golden_line *line, int at)
{
    return slice_from_text(golden_word(line, at));
}

struct kv_request kv_words_put(const struct golden_line *line)
{
    bool is_kept = golden_has(line, "keep-value");
    return (struct kv_request){.kind = KV_KIND_PUT,
                               .put = {.key = slice_at(line, 1),
                                       .value = is_kept ? SLICE_EMPTY : slice_at(line, 2),
                                       .lease = golden_option_number(line, "lease", 0),
                                       .is_prev_kv = golden_has(line, "prev"),
                                       .is_ignore_value = is_kept,
                                       .is_ignore_lease = golden_has(line, "keep-lease")}};
}

static int32_t sort_target(const char *text)
{
    static const char *const names[] = {"key", "version", "create", "mod", "value"};
    for (int32_t i = 0; text != NULL && i < (int32_t)BASE_COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    return 0;
}

struct kv_request kv_words_get(const struct golden_line *line)
{
    const char *sort = golden_option(line, "sort");
    int32_t order = golden_has(line, "descending") ? KV_SORT_DESCEND : KV_SORT_ASCEND;
    return (struct kv_request){
        .kind = KV_KIND_RANGE,
        .range = {.key = slice_at(line, 1),
                  .range_end = kv_words_end(line),
                  .revision = golden_option_number(line, "rev", 0),
                  .limit = golden_option_number(line, "limit", 0),
                  .sort_order = sort == NULL ? KV_SORT_NONE : order,
                  .sort_target = sort_target(sort),
                  .is_keys_only = golden_has(line, "keys"),
                  .is_count_only = golden_has(line, "count"),
                  .min_mod_revision = golden_option_number(line, "min-mod", 0),
                  .max_mod_revision = golden_option_number(line, "max-mod", 0),
                  .min_create_revision = golden_option_number(line, "min-create", 0),
                  .max_create_revision = golden_option_number(line, "max-create", 0)}};
}

struct kv_request kv_words_delete(const struct golden_line *line)
{
    return (struct kv_request){.kind = KV_KIND_DELETE,
                               .delete_range = {.key = slice_at(line, 1),
                                                .range_end = kv_words_end(line),
                                                .is_prev_kv = golden_has(line, "prev")}};
}

/* KEY.TARGET OP VALUE */
static struct kv_compare compare_at(const struct golden_line *line, int at)
{
    static const char *const targets[] = {"version", "create", "mod", "value", "lease"};
    static const char *const results[] = {"=", ">", "<", "!="};
    const char *word = golden_word(line, at);
    const char *dot = strrchr(word, '.');
    struct kv_compare c = {.target = -1, .result = -1};
    for (int32_t i = 0; dot != NULL && i < (int32_t)BASE_COUNT_OF(targets); i++) {
        c.target = strcmp(dot + 1, targets[i]) == 0 ? i : c.target;
    }
    for (int32_t i = 0; i < (int32_t)BASE_COUNT_OF(results); i++) {
        c.result = strcmp(golden_word(line, at + 1), results[i]) == 0 ? i : c.result;
    }
    if (c.target < 0 || c.result < 0) {
        golden_wrong("no condition: %s %s", word, golden_word(line, at + 1));
    }
    c.key = slice_from(word, (size_t)(dot - word));
    c.which = (uint32_t)c.target + KV_COMPARE_VERSION;
    if (c.target == KV_TARGET_VALUE) {
        c.value = slice_at(line, at + 2);
    } else {
        c.number = golden_number(line, at + 2);
    }
    return c;
}

/* One operation; returns how many words it took. */
static int op_at(const struct golden_line *line, int at, struct kv_op *ret)
{
    const char *name = golden_word(line, at);
    *ret = (struct kv_op){0};
    if (strcmp(name, "put") == 0) {
        ret->kind = KV_OP_PUT;
        ret->put = (struct kv_put){.key = slice_at(line, at + 1), .value = slice_at(line, at + 2)};
        return 3;
    }
    if (strcmp(name, "get") == 0) {
        ret->kind = KV_OP_RANGE;
        ret->range = (struct kv_range){.key = slice_at(line, at + 1)};
    } else if (strcmp(name, "del") == 0) {
        ret->kind = KV_OP_DELETE;
        ret->delete_range = (struct kv_delete){.key = slice_at(line, at + 1)};
    } else {
        golden_wrong("no operation '%s'", name);
    }
    return 2;
}

struct kv_request kv_words_txn(const struct golden_line *line)
{
    static struct kv_compare compares[LIST_MAX];
    static struct kv_op ops[2][LIST_MAX];
    struct kv_txn txn = {
        .compares = {compares, 0}, .then_ops = {ops[0], 0}, .else_ops = {ops[1], 0}};
    struct kv_ops *into = NULL;
    for (int at = 1; at < line->count;) {
        const char *word = line->words[at];
        bool is_part =
            strcmp(word, "if") == 0 || strcmp(word, "then") == 0 || strcmp(word, "else") == 0;
        if (is_part) {
            into = strcmp(word, "then") == 0   ? &txn.then_ops
                   : strcmp(word, "else") == 0 ? &txn.else_ops
                                               : NULL;
            at++;
        } else if (into != NULL && strchr(word, '=') != NULL) {
            at++; /* an option of the request */
        } else if (txn.compares.count == LIST_MAX || (into != NULL && into->count == LIST_MAX)) {
            golden_wrong("more than %d of a kind", LIST_MAX);
        } else if (into == NULL) {
            compares[txn.compares.count++] = compare_at(line, at);
            at += 3;
        } else {
            at += op_at(line, at, &into->items[into->count]);
            into->count++;
        }
    }
    return (struct kv_request){.kind = KV_KIND_TXN, .txn = txn};
}

/* --- answers --- */

void kv_words_say_pair(const char *before, const struct kv_pair *pair)
{
    char lease[40] = "";
    if (pair->lease != 0) {
        (void)snprintf(lease, sizeof(lease), ", lease %lld", LL(pair->lease));
    }
    golden_say("%s%.*s = %.*s (create %lld, mod %lld, version %lld%s)", before, TEXT(pair->key),
               TEXT(pair->value), LL(pair->create_revision), LL(pair->mod_revision),
               LL(pair->version), lease);
}

static void say_range(const struct kv_range_response *r)
{
    for (size_t i = 0; i < r->kvs.count; i++) {
        kv_words_say_pair("", &r->kvs.items[i]);
    }
    golden_say("%lld of them%s", LL(r->count), r->has_more ? ", there are more" : "");
}

static void say_put(const struct kv_put_response *r)
{
    if (r->has_prev_kv) {
        kv_words_say_pair("before: ", &r->prev_kv);
    }
}

static void say_delete(const struct kv_delete_response *r)
{
    golden_say("%lld deleted", LL(r->deleted));
    for (size_t i = 0; i < r->prev_kvs.count; i++) {
        kv_words_say_pair("before: ", &r->prev_kvs.items[i]);
    }
}

static void say_txn(const struct kv_txn_response *r)
{
    golden_say("%s", r->is_succeeded ? "then" : "else");
    for (size_t i = 0; i < r->responses.count; i++) {
        const struct kv_op_response *op = &r->responses.items[i];
        if (op->kind == KV_OP_RANGE) {
            say_range(&op->range);
        } else if (op->kind == KV_OP_DELETE) {
            say_delete(&op->delete_range);
        }
    }
}

static void say_names(const struct kv_texts *names)
{
    for (size_t i = 0; i < names->count; i++) {
        golden_say("%.*s", TEXT(names->items[i]));
    }
}

static void say_permissions(const struct kv_permissions *list)
{
    static const char *const types[] = {"read", "write", "read and write"};
    for (size_t i = 0; i < list->count; i++) {
        const struct kv_permission *p = &list->items[i];
        golden_say("%s %.*s%s%.*s", types[p->type], TEXT(p->key),
                   p->range_end.len == 0 ? "" : " to ", TEXT(p->range_end));
    }
}

static void say_alarms(const struct kv_alarm_members *alarms)
{
    for (size_t i = 0; i < alarms->count; i++) {
        golden_say("member %llu: %s", (unsigned long long)alarms->items[i].member_id,
                   alarms->items[i].alarm == 1 ? "nospace" : "corrupt");
    }
}

static void say_response(const struct kv_response *r)
{
    switch (r->kind) {
    case KV_KIND_RANGE:
        say_range(&r->range);
        break;
    case KV_KIND_PUT:
        say_put(&r->put);
        break;
    case KV_KIND_DELETE:
        say_delete(&r->delete_range);
        break;
    case KV_KIND_TXN:
        say_txn(&r->txn);
        break;
    case KV_KIND_LEASE_GRANT:
        golden_say("lease %lld, %lld s", LL(r->lease_grant.id), LL(r->lease_grant.ttl));
        break;
    case KV_KIND_LEASE_LEASES:
        for (size_t i = 0; i < r->leases.leases.count; i++) {
            golden_say("lease %lld", LL(r->leases.leases.items[i].id));
        }
        break;
    case KV_KIND_ALARM:
        say_alarms(&r->alarm.alarms);
        break;
    case KV_KIND_USER_GET:
    case KV_KIND_USER_LIST:
    case KV_KIND_ROLE_LIST:
        say_names(&r->names.names);
        break;
    case KV_KIND_ROLE_GET:
        say_permissions(&r->role_get.permissions);
        break;
    case KV_KIND_AUTH_STATUS:
        golden_say("%s, auth revision %lld", r->auth_status.is_enabled ? "on" : "off",
                   LL(r->auth_status.auth_revision));
        break;
    default:
        break;
    }
}

void kv_words_say_outcome(const struct kv_outcome *o)
{
    if (o->error != KV_OK) {
        golden_say("refused: %s", kv_error_text(o->error));
    } else {
        say_response(&o->response);
    }
    golden_say("%srevision %lld%s", o->is_void ? "void, " : "", LL(o->revision),
               o->is_changed ? ", new" : "");
}
