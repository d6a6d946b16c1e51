/* SPDX-License-Identifier: Apache-2.0 */
/* Lessees: grant, two keys on the lease, some renewals, then silence or a revocation.
 *
 * Promised is that a lease lives for its TTL from the moment at which the last acknowledged renewal
 * was sent; `deadline_us` is that moment. Whether its keys went before is judged at the end; here
 * only what the answers themselves say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "jepsen/workloads/load.h"

#define SECOND_US INT64_C(1000000)

static bool is_not_found(const struct caller *c)
{
    return strcmp(c->answer.message.text, kv_error_text(KV_E_LEASE_NOT_FOUND)) == 0;
}

/* Until when a lease must live, as true time sees it, though its keeper's clock may be wrong. */
static int64_t promised_until(const struct load *load, int64_t called_us, int64_t ttl)
{
    return called_us + ttl * (SECOND_US - load->clock_error_ppm);
}

/* Index of a new lease in the table, or SIZE_MAX. */
static size_t grant(struct caller *c)
{
    struct load *load = c->load;
    struct kv_request request = {
        .kind = KV_KIND_LEASE_GRANT,
        .lease_grant = {.ttl = (int64_t)base_rand_between(&c->rand, 2, 4)}};
    int64_t called = io_now().us;
    if (load_call(c, &request, "/etcdserverpb.Lease/LeaseGrant") != OUTCOME_OK) {
        return SIZE_MAX;
    }
    size_t at = SIZE_MAX;
    pthread_mutex_lock(&load->lock);
    if (load->leases_count < LEASES_MAX) {
        at = load->leases_count++;
        load->leases[at] = (struct lease){
            .id = c->response.lease_grant.id,
            .deadline_us = promised_until(load, called, c->response.lease_grant.ttl)};
    }
    pthread_mutex_unlock(&load->lock);
    return at;
}

static void put_keys(struct caller *c, struct lease *lease, size_t number)
{
    char name[2][KEY_BYTES];
    struct kv_op ops[2];
    memset(ops, 0, sizeof(ops));
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(name[i], sizeof(name[i]), PREFIX_LEASE "%zu/%c", number, "ab"[i]);
        ops[i].kind = KV_OP_PUT;
        ops[i].put = (struct kv_put){
            .key = slice_from_text(name[i]), .value = SLICE_LIT("1"), .lease = lease->id};
    }
    struct kv_request request = {.kind = KV_KIND_TXN, .txn = {.then_ops = {ops, 2}}};
    lease->may_have_keys = true;
    enum outcome outcome = load_call(c, &request, PATH_TXN);
    lease->has_keys = outcome == OUTCOME_OK;
    if (outcome == OUTCOME_REFUSED && is_not_found(c) && io_now().us < lease->deadline_us) {
        load_violation(c->load, "lease %" PRIx64 " is unknown %" PRId64 " us before its end",
                       (uint64_t)lease->id, lease->deadline_us - io_now().us);
    }
}

static void renew(struct caller *c, struct lease *lease)
{
    struct kv_request request = {.kind = KV_KIND_LEASE_KEEP_ALIVE, .lease_id = {.id = lease->id}};
    int64_t called = io_now().us;
    if (load_call(c, &request, "/etcdserverpb.Lease/LeaseKeepAlive") != OUTCOME_OK) {
        return;
    }
    int64_t ttl = c->response.keep_alive.ttl;
    if (ttl > 0) {
        lease->deadline_us = promised_until(c->load, called, ttl);
    } else if (io_now().us < lease->deadline_us) {
        load_violation(c->load, "lease %" PRIx64 " is gone %" PRId64 " us before its end",
                       (uint64_t)lease->id, lease->deadline_us - io_now().us);
    }
}

void *load_lessee(void *caller)
{
    struct caller *c = caller;
    struct load *load = c->load;
    load_enter_host(load, c->number);
    while (!atomic_load(&load->is_stopping)) {
        size_t number = grant(c);
        if (number == SIZE_MAX) {
            continue;
        }
        struct lease *lease = &load->leases[number];
        put_keys(c, lease, number);
        uint64_t renewals = base_rand_between(&c->rand, 0, 6);
        for (uint64_t i = 0; i < renewals && !atomic_load(&load->is_stopping); i++) {
            load_nap_us((int64_t)base_rand_between(&c->rand, 300000, 1200000));
            renew(c, lease);
        }
        if (base_rand_between(&c->rand, 0, 2) == 0) {
            struct kv_request request = {.kind = KV_KIND_LEASE_REVOKE,
                                         .lease_id = {.id = lease->id}};
            lease->is_revoked = true;
            (void)load_call(c, &request, "/etcdserverpb.Lease/LeaseRevoke");
        }
    }
    return NULL;
}
