/* SPDX-License-Identifier: Apache-2.0 */
/* How calls end: one by one, all of a list, or those over their deadline. */
#include "base/assert.h"
#include "kv/service_internal.h"

void call_end(struct kv_service *service, struct kv_call *call, enum kv_error error,
              struct slice response)
{
    BASE_ASSERT(service->open_calls > 0);
    service->open_calls--;
    call->done(call, error, error == KV_OK ? response : SLICE_EMPTY);
}

void list_fail(struct kv_service *service, struct call_list *list, enum kv_error error)
{
    struct call_list all = *list; /* what `done` submits stays out of it */
    *list = (struct call_list){0};
    for (struct kv_call *call = list_pop(&all); call != NULL; call = list_pop(&all)) {
        call_end(service, call, error, SLICE_EMPTY);
    }
}

void list_expire(struct kv_service *service, struct call_list *list)
{
    struct call_list kept = {0};
    struct call_list late = {0};
    for (struct kv_call *call = list_pop(list); call != NULL; call = list_pop(list)) {
        list_push(base_mono_before(call->deadline, service->now) ? &late : &kept, call);
    }
    *list = kept;
    list_fail(service, &late, KV_E_TIMEOUT);
}
