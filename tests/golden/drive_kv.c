/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of key-value scripts: one store in memory and the state machine over it, one request at a
 * time. README.md lists the commands; kv_words.h builds requests and tells answers. */
#include <string.h>

#include "kv/core/alarm.h"
#include "kv/core/auth.h"
#include "kv/core/auth_walk.h"
#include "kv/core/compact.h"
#include "kv/core/history.h"
#include "tests/golden/kv_words.h"
#include "tests/unit/kv_support.h"

static struct test_store store;

struct attempt {
    struct kv_command command;
    uint64_t entry_term;
    const char *user;   /* NULL: the node itself */
    int64_t allowed_at; /* auth revision at which it was allowed; -1: now */
    bool is_read;
};

static void say_refused(enum kv_error error)
{
    golden_say("refused: %s", kv_error_text(error));
}

/* Whether the user may ask: as kv/auth.c does before proposing, and the state machine once more. */
static int admit(struct store_txn *txn, struct attempt *a, enum kv_error *ret_error)
{
    struct kv_grants grants;
    uint64_t auth_revision = 0;
    struct kv_request *request = &a->command.request;
    a->command.asker = (struct kv_asker){.auth_revision = KV_ASKER_INTERNAL};
    *ret_error = KV_OK;
    if (a->user == NULL) {
        return 0;
    }
    int rc = kv_auth_revision(txn, &auth_revision);
    rc = rc != 0 ? rc
                 : kv_grants_read(txn, &test_scratch()->arena, slice_from_text(a->user), &grants);
    if (rc == BASE_E_NOTFOUND) {
        *ret_error = KV_E_USER_NOT_FOUND;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    a->command.asker = (struct kv_asker){
        .user = slice_from_text(a->user),
        .auth_revision = a->allowed_at < 0 ? auth_revision : (uint64_t)a->allowed_at};
    *ret_error = kv_auth_walk(&grants, request);
    return *ret_error != KV_OK
               ? 0
               : kv_auth_admit(txn, test_scratch(), &a->command.asker, request, ret_error);
}

static int run_attempt(void *ctx, struct store_txn *txn)
{
    struct attempt *a = ctx;
    struct kv_outcome outcome;
    enum kv_error error;
    int rc = admit(txn, a, &error);
    if (rc != 0 || error != KV_OK) {
        say_refused(error);
        return rc;
    }
    rc = a->is_read ? kv_core_read(txn, test_scratch(), &a->command.request, &outcome)
                    : kv_core_apply(txn, test_scratch(), &a->command, a->entry_term, &outcome);
    if (rc == 0) {
        kv_words_say_outcome(&outcome);
    }
    return rc;
}

static void run_job(test_store_fn *fn, void *ctx)
{
    int rc = test_store_run(&store, fn, ctx, false);
    if (rc != 0) {
        golden_wrong("the store failed: %s", base_error_name(rc));
    }
}

/* Options of every request: as=USER allowed-at=N term=N guard=N. */
static void ask(const struct golden_line *line, struct kv_request request, bool is_read)
{
    struct attempt a = {
        .command = {.request = request,
                    .chosen_id = 7000,
                    .guard_term = (uint64_t)golden_option_number(line, "guard", 0)},
        .entry_term = (uint64_t)golden_option_number(line, "term", 1),
        .user = golden_option(line, "as"),
        .allowed_at = golden_option_number(line, "allowed-at", -1),
        .is_read = is_read,
    };
    run_job(run_attempt, &a);
}

static struct slice name_at(const struct golden_line *line, int at)
{
    return slice_from_text(golden_word(line, at));
}

/* --- keys --- */

static void do_put(const struct golden_line *line)
{
    ask(line, kv_words_put(line), false);
}

static void do_get(const struct golden_line *line)
{
    ask(line, kv_words_get(line), true);
}

static void do_del(const struct golden_line *line)
{
    ask(line, kv_words_delete(line), false);
}

static void do_txn(const struct golden_line *line)
{
    ask(line, kv_words_txn(line), false);
}

/* swap NAME EPOCH REVISION NEW-EPOCH NEW-REVISION leader-term=T: the arbiter's guarded change. */
static void do_swap(const struct golden_line *line)
{
    struct kv_swap_put put = {.key = SLICE_LIT(KV_RESERVED_PREFIX "record"),
                              .value = name_at(line, 1)};
    ask(line,
        (struct kv_request){.kind = KV_KIND_SWAP,
                            .swap = {.name = name_at(line, 1),
                                     .expect_epoch = (uint64_t)golden_number(line, 2),
                                     .expect_revision = (uint64_t)golden_number(line, 3),
                                     .new_epoch = (uint64_t)golden_number(line, 4),
                                     .new_revision = (uint64_t)golden_number(line, 5),
                                     .term = (uint64_t)golden_option_number(line, "leader-term", 1),
                                     .blob = SLICE_LIT("record"),
                                     .puts = {&put, 1}}},
        false);
}

static void do_compact(const struct golden_line *line)
{
    ask(line,
        (struct kv_request){.kind = KV_KIND_COMPACT,
                            .compact = {.revision = golden_number(line, 1)}},
        false);
}

static int remove_rows(void *ctx, struct store_txn *txn)
{
    struct kv_compact_progress p;
    const uint32_t *rows = ctx;
    int rc = kv_compact_step(txn, *rows, &p);
    if (rc == 0) {
        golden_say("compacted up to %lld of %lld", (long long)p.finished, (long long)p.scheduled);
    }
    return rc;
}

/* remove ROWS: one step of removal behind the compact revision. */
static void do_remove(const struct golden_line *line)
{
    uint32_t rows = (uint32_t)golden_number(line, 1);
    run_job(remove_rows, &rows);
}

/* --- watches --- */

static int say_event(void *ctx, const struct kv_event *e)
{
    (void)ctx;
    if (e->type == 0) {
        kv_words_say_pair("put ", &e->kv);
    } else {
        golden_say("delete %.*s (mod %lld)", (int)e->kv.key.len, (const char *)e->kv.key.data,
                   (long long)e->kv.mod_revision);
    }
    if (e->has_prev_kv) {
        kv_words_say_pair("  before: ", &e->prev_kv);
    }
    return 0;
}

static int read_history(void *ctx, struct store_txn *txn)
{
    struct kv_history_result r;
    int rc = kv_history_read(txn, ctx, say_event, NULL, &r);
    if (rc == 0 && r.is_compacted) {
        golden_say("compacted: nothing below %lld is told", (long long)r.compact);
    } else if (rc == 0) {
        golden_say("goes on at %lld", (long long)r.next);
    }
    return rc;
}

/* watch KEY [to=END] from=R [prev] [events=N] */
static void do_watch(const struct golden_line *line)
{
    struct kv_history_interval interval = {.keys = {name_at(line, 1), kv_words_end(line)},
                                           .is_prev_kv = golden_has(line, "prev")};
    struct kv_history_query query = {.intervals = &interval,
                                     .count = 1,
                                     .from = golden_option_number(line, "from", 1),
                                     .events_max =
                                         (uint64_t)golden_option_number(line, "events", 100),
                                     .bytes_max = 100000,
                                     .rows_max = 1000};
    run_job(read_history, &query);
}

/* --- leases and alarms --- */

/* grant ID TTL; ID 0: chosen by the node */
static void do_grant(const struct golden_line *line)
{
    ask(line,
        (struct kv_request){
            .kind = KV_KIND_LEASE_GRANT,
            .lease_grant = {.id = golden_number(line, 1), .ttl = golden_number(line, 2)}},
        false);
}

static void do_revoke(const struct golden_line *line)
{
    ask(line,
        (struct kv_request){.kind = KV_KIND_LEASE_REVOKE, .lease_id = {golden_number(line, 1)}},
        false);
}

static int say_lease(void *ctx, const struct kv_lease_row *lease)
{
    (void)ctx;
    golden_say("lease %lld, %lld s, left at the last checkpoint %lld", (long long)lease->id,
               (long long)lease->ttl, (long long)lease->remaining);
    return 0;
}

static int say_leases(void *ctx, struct store_txn *txn)
{
    (void)ctx;
    return kv_lease_each(txn, 0, say_lease, NULL);
}

static void do_leases(const struct golden_line *line)
{
    (void)line;
    run_job(say_leases, NULL);
}

/* checkpoint ID REMAINING */
static void do_checkpoint(const struct golden_line *line)
{
    struct kv_lease_checkpoint one = {golden_number(line, 1), golden_number(line, 2)};
    ask(line,
        (struct kv_request){.kind = KV_KIND_LEASE_CHECKPOINT,
                            .checkpoints = {.checkpoints = {&one, 1}}},
        false);
}

/* alarm get|raise|clear MEMBER nospace|corrupt|any */
static void do_alarm(const struct golden_line *line)
{
    const char *what = golden_word(line, 1);
    const char *kind = golden_word(line, 3);
    ask(line,
        (struct kv_request){.kind = KV_KIND_ALARM,
                            .alarm = {.action = strcmp(what, "get") == 0     ? KV_ALARM_GET
                                                : strcmp(what, "raise") == 0 ? KV_ALARM_ACTIVATE
                                                                             : KV_ALARM_DEACTIVATE,
                                      .member_id = (uint64_t)golden_number(line, 2),
                                      .alarm = strcmp(kind, "nospace") == 0   ? KV_ALARM_NOSPACE
                                               : strcmp(kind, "corrupt") == 0 ? KV_ALARM_CORRUPT
                                                                              : KV_ALARM_NONE}},
        strcmp(what, "get") == 0);
}

/* --- users and roles --- */

static void do_auth(const struct golden_line *line)
{
    bool is_on = strcmp(golden_word(line, 1), "on") == 0;
    ask(line, (struct kv_request){.kind = is_on ? KV_KIND_AUTH_ENABLE : KV_KIND_AUTH_DISABLE},
        false);
}

/* user-add NAME: without a password */
static void do_user_add(const struct golden_line *line)
{
    ask(line,
        (struct kv_request){.kind = KV_KIND_USER_ADD,
                            .user_add = {.name = name_at(line, 1),
                                         .has_options = true,
                                         .options = {.is_no_password = true}}},
        false);
}

/* Requests that are one name. */
static void do_named(const struct golden_line *line)
{
    static const struct {
        const char *name;
        uint32_t kind;
        bool is_read;
    } kinds[] = {{"user-del", KV_KIND_USER_DELETE, false},
                 {"role-add", KV_KIND_ROLE_ADD, false},
                 {"role-del", KV_KIND_ROLE_DELETE, false},
                 {"user-get", KV_KIND_USER_GET, true},
                 {"role-get", KV_KIND_ROLE_GET, true}};
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, line->words[0]) == 0) {
            ask(line, (struct kv_request){.kind = kinds[i].kind, .name = {name_at(line, 1)}},
                kinds[i].is_read);
        }
    }
}

/* users, roles, auth-status */
static void do_list(const struct golden_line *line)
{
    char which = line->words[0][0];
    ask(line,
        (struct kv_request){.kind = which == 'u'   ? KV_KIND_USER_LIST
                                    : which == 'r' ? KV_KIND_ROLE_LIST
                                                   : KV_KIND_AUTH_STATUS},
        true);
}

/* user-grant USER ROLE, user-revoke USER ROLE */
static void do_user_role(const struct golden_line *line)
{
    bool is_grant = strcmp(line->words[0], "user-grant") == 0;
    ask(line,
        (struct kv_request){.kind = is_grant ? KV_KIND_USER_GRANT : KV_KIND_USER_REVOKE,
                            .user_role = {name_at(line, 1), name_at(line, 2)}},
        false);
}

/* role-grant ROLE read|write|both KEY [to=END] */
static void do_role_grant(const struct golden_line *line)
{
    char type = golden_word(line, 2)[0];
    ask(line,
        (struct kv_request){.kind = KV_KIND_ROLE_GRANT,
                            .role_grant = {.name = name_at(line, 1),
                                           .has_permission = true,
                                           .permission = {.type = type == 'r'   ? 0
                                                                  : type == 'w' ? 1
                                                                                : 2,
                                                          .key = name_at(line, 3),
                                                          .range_end = kv_words_end(line)}}},
        false);
}

/* role-revoke ROLE KEY [to=END] */
static void do_role_revoke(const struct golden_line *line)
{
    ask(line,
        (struct kv_request){
            .kind = KV_KIND_ROLE_REVOKE,
            .role_revoke = {name_at(line, 1), name_at(line, 2), kv_words_end(line)}},
        false);
}

static void begin(void)
{
    test_store_open(&store, TEST_STORE_MEM, 0);
}

static void end(void)
{
    test_store_close(&store);
    test_scratch_free();
}

static const struct golden_command commands[] = {
    {"put", do_put},
    {"get", do_get},
    {"del", do_del},
    {"txn", do_txn},
    {"swap", do_swap},
    {"compact", do_compact},
    {"remove", do_remove},
    {"watch", do_watch},
    {"grant", do_grant},
    {"revoke", do_revoke},
    {"leases", do_leases},
    {"checkpoint", do_checkpoint},
    {"alarm", do_alarm},
    {"auth", do_auth},
    {"user-add", do_user_add},
    {"user-del", do_named},
    {"role-add", do_named},
    {"role-del", do_named},
    {"user-get", do_named},
    {"role-get", do_named},
    {"users", do_list},
    {"roles", do_list},
    {"auth-status", do_list},
    {"user-grant", do_user_role},
    {"user-revoke", do_user_role},
    {"role-grant", do_role_grant},
    {"role-revoke", do_role_revoke},
};

const struct golden_driver golden_driver = {begin, end, commands, BASE_COUNT_OF(commands)};
