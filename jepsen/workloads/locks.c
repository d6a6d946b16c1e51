/* SPDX-License-Identifier: Apache-2.0 */
/* Locks on leases, and a resource that each lock guards.
 *
 * Who makes the lock's key holds it until his lease ends; the revision of its making is his token.
 * A holder may sleep past the end of his lease and then still write: the resource refuses a token
 * below the highest that it has seen. Without tokens (`--no-tokens`) it takes everything, and the
 * checker must see two holders.
 */
#include <inttypes.h>

#include "jepsen/workloads/load.h"

struct holding {
    size_t lock;
    char key[KEY_BYTES];
    int64_t lease, token;
};

static void told(struct caller *c, const char *what, const struct holding *h, int64_t called,
                 const char *type, const char *more)
{
    load_line(c->load, FILE_LOCK,
              "{\"process\":%" PRIu32 ",\"type\":\"%s\",\"call\":%" PRId64 ",\"return\":%" PRId64
              ",\"txn\":[[\"%s\",\"k%zu\",%" PRId64 "%s]]}\n",
              c->number, type, called, io_now().us, what, h->lock, h->token, more);
}

static bool grant(struct caller *c, struct holding *h)
{
    const struct kv_request request = {.kind = KV_KIND_LEASE_GRANT, .lease_grant = {.ttl = 2}};
    if (load_call(c, &request, "/etcdserverpb.Lease/LeaseGrant") != OUTCOME_OK) {
        return false;
    }
    h->lease = c->response.lease_grant.id;
    return true;
}

static bool acquire(struct caller *c, struct holding *h)
{
    struct kv_compare compare = {.result = KV_EQUAL,
                                 .target = KV_TARGET_CREATE,
                                 .which = KV_COMPARE_CREATE,
                                 .key = slice_from_text(h->key)};
    struct kv_op put = {
        .kind = KV_OP_PUT,
        .put = {.key = slice_from_text(h->key), .value = SLICE_LIT("1"), .lease = h->lease}};
    const struct kv_request request = {.kind = KV_KIND_TXN,
                                       .txn = {.compares = {&compare, 1}, .then_ops = {&put, 1}}};
    int64_t called = io_now().us;
    enum outcome outcome = load_call(c, &request, PATH_TXN);
    load_count(c->load, called, outcome, true);
    if (outcome != OUTCOME_OK || !c->response.txn.is_succeeded) {
        return false;
    }
    h->token = c->response.txn.header.revision;
    told(c, "acquire", h, called, "ok", "");
    return true;
}

/* The guarded resource: it knows nothing of leases, only the tokens that it was shown. */
static bool resource_takes(struct load *load, const struct holding *h)
{
    pthread_mutex_lock(&load->lock);
    bool is_taken = load->is_tokenless || h->token >= load->lock_tokens[h->lock];
    if (is_taken && h->token > load->lock_tokens[h->lock]) {
        load->lock_tokens[h->lock] = h->token;
    }
    pthread_mutex_unlock(&load->lock);
    return is_taken;
}

static void use(struct caller *c, const struct holding *h)
{
    uint64_t writes = base_rand_between(&c->rand, 1, 4);
    bool is_slow = base_rand_between(&c->rand, 0, 3) == 0; /* longer than his lease */
    for (uint64_t i = 0; i < writes && !atomic_load(&c->load->is_stopping); i++) {
        load_nap_us((int64_t)base_rand_between(&c->rand, 1000, is_slow ? 2500000 : 100000));
        int64_t called = io_now().us;
        bool is_taken = resource_takes(c->load, h);
        told(c, "write", h, called, "ok", is_taken ? ",\"accepted\"" : ",\"refused\"");
    }
}

static void release(struct caller *c, const struct holding *h)
{
    const struct kv_request request = {.kind = KV_KIND_LEASE_REVOKE, .lease_id = {.id = h->lease}};
    int64_t called = io_now().us;
    enum outcome outcome = load_call(c, &request, "/etcdserverpb.Lease/LeaseRevoke");
    told(c, "release", h, called, outcome == OUTCOME_OK ? "ok" : "info", "");
}

void *load_locker(void *caller)
{
    struct caller *c = caller;
    struct load *load = c->load;
    load_enter_host(load, c->number);
    while (!atomic_load(&load->is_stopping)) {
        struct holding h = {.lock = base_rand_between(&c->rand, 0, LOCKS - 1)};
        (void)snprintf(h.key, sizeof(h.key), PREFIX_LOCK "%zu", h.lock);
        if (!grant(c, &h)) {
            continue;
        }
        if (acquire(c, &h)) {
            use(c, &h);
        }
        release(c, &h);
        load_nap_us((int64_t)base_rand_between(&c->rand, 10000, 100000));
    }
    return NULL;
}
