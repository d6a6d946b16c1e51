/* SPDX-License-Identifier: Apache-2.0 */
/* Renewals on the leader; see lease.h.
 *
 * A renewal waits for a round that confirms that this node leads and has applied all that was
 * committed before, so that a lease that was revoked is not renewed. One whose end was proposed
 * waits for the outcome. One of which the store says that little is left has that taken back first:
 * the next leader would believe the store.
 */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "kv/lease_internal.h"

static void answer(struct kv_leases *leases, struct kv_call *call, int64_t ttl)
{
    struct kv_service *service = leases->service;
    struct kv_response response = {.kind = KV_KIND_LEASE_KEEP_ALIVE};
    response.keep_alive = (struct kv_lease_keep_alive_response){
        .has_header = true, .id = call->request->lease_id.id, .ttl = ttl};
    response.keep_alive.header.revision = service->revision; /* as it was before the renewal */
    call_answer(service, call, &response);
}

static void renew(struct kv_leases *leases, struct lease *lease, struct kv_call *call)
{
    table_move(&leases->table, lease,
               base_mono_add_us(clock_of(leases->service), lease->ttl * BASE_US_PER_S));
    leases->renewed++;
    answer(leases, call, lease->ttl);
}

/* Proposes that the leases whose renewals wait have their full time again. */
static void take_back(struct kv_leases *leases)
{
    struct checkpoint *checkpoint = &leases->checkpoint;
    if (checkpoint->own.is_busy || leases->confirmed.head == NULL) {
        return;
    }
    checkpoint->count = 0;
    for (const struct kv_call *call = leases->confirmed.head;
         call != NULL && checkpoint->count < CHECKPOINTS_MAX; call = call->next) {
        checkpoint->items[checkpoint->count++] =
            (struct kv_lease_checkpoint){call->request->lease_id.id, 0};
    }
    (void)checkpoint_send(leases); /* else the next tick asks again */
}

/* Those that a round has confirmed. Taken off the list first: an answer may bring another call. */
static void confirmed_run(struct kv_leases *leases)
{
    struct call_list all = leases->confirmed;
    leases->confirmed = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        struct lease *lease = table_find(&leases->table, call->request->lease_id.id);
        if (!leases->is_ready || !leases->is_leader) {
            call_park(leases->service, call);
        } else if (lease == NULL) {
            answer(leases, call, 0);
        } else if (lease->is_ending && !CANARY(RENEWED_WHILE_ENDING)) {
            MARK(LEASE_RENEWED_WHILE_ENDING);
            list_push(&leases->ending, call);
        } else if (lease->is_checkpointed && !CANARY(RENEWAL_KEEPS_CHECKPOINT)) {
            MARK(LEASE_CHECKPOINT_TAKEN_BACK);
            list_push(&leases->confirmed, call);
        } else {
            renew(leases, lease, call);
        }
    }
    take_back(leases);
}

static void round_done(struct kv_barrier *barrier, int status)
{
    struct renewal_round *round = (struct renewal_round *)barrier; /* its first member */
    struct kv_leases *leases = round->leases;
    round->is_busy = false;
    for (struct kv_call *call = list_pop(&round->calls); call != NULL;
         call = list_pop(&round->calls)) {
        if (status == 0) {
            list_push(&leases->confirmed, call);
        } else if (leases->service->is_halted) {
            call_end(leases->service, call, KV_E_STOPPED, SLICE_EMPTY);
        } else {
            call_park(leases->service, call);
        }
    }
    confirmed_run(leases);
    renewals_pump(leases);
}

void renewals_open(struct kv_leases *leases)
{
    leases->round.leases = leases;
    leases->round.barrier.done = round_done;
}

void renewals_pump(struct kv_leases *leases)
{
    struct renewal_round *round = &leases->round;
    if (leases->confirmed.head != NULL && !leases->checkpoint.own.is_busy) {
        confirmed_run(leases);
    }
    if (!leases->is_ready || !leases->is_leader || round->is_busy || leases->waiting.head == NULL) {
        return;
    }
    if (kv_service_barrier(leases->service, &round->barrier) != 0) {
        return; /* the next tick or change of role asks again */
    }
    round->is_busy = true;
    round->calls = leases->waiting;
    leases->waiting = (struct call_list){0};
}

void kv_leases_keep_alive(struct kv_leases *leases, struct kv_call *call)
{
    if (CANARY(RENEWED_WITHOUT_ROUND) && leases->is_ready) {
        list_push(&leases->confirmed, call);
        confirmed_run(leases);
        return;
    }
    list_push(&leases->waiting, call);
    renewals_pump(leases);
}

void kv_leases_ttl(struct kv_leases *leases, struct kv_call *call)
{
    if (leases->is_ready) {
        reads_accept(leases->service, call, false);
    } else {
        list_push(&leases->ttls, call);
    }
}

void ttls_release(struct kv_leases *leases)
{
    struct call_list all = leases->ttls;
    leases->ttls = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        reads_accept(leases->service, call, false);
    }
}

static void list_park(struct kv_leases *leases, struct call_list *list)
{
    struct call_list all = *list;
    *list = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        call_park(leases->service, call);
    }
}

/* This node leads no more: the next leader is asked. */
void renewals_park(struct kv_leases *leases)
{
    list_park(leases, &leases->waiting);
    list_park(leases, &leases->confirmed);
    list_park(leases, &leases->ending);
    list_park(leases, &leases->ttls);
}

/* The lease was revoked: whoever waited to renew it learns that it is gone. */
void renewals_gone(struct kv_leases *leases, int64_t id)
{
    struct call_list all = leases->ending;
    leases->ending = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        if (call->request->lease_id.id == id) {
            answer(leases, call, 0);
        } else {
            list_push(&leases->ending, call);
        }
    }
}

void renewals_tick(struct kv_leases *leases)
{
    struct kv_service *service = leases->service;
    list_expire(service, &leases->waiting);
    list_expire(service, &leases->confirmed);
    list_expire(service, &leases->ending);
    list_expire(service, &leases->ttls);
    list_expire(service, &leases->round.calls);
    renewals_pump(leases);
}

void kv_leases_fail(struct kv_leases *leases, enum kv_error error)
{
    struct kv_service *service = leases->service;
    list_fail(service, &leases->waiting, error);
    list_fail(service, &leases->confirmed, error);
    list_fail(service, &leases->ending, error);
    list_fail(service, &leases->ttls, error);
    list_fail(service, &leases->round.calls, error);
}
