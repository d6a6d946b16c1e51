/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of calls, linked through the field that struct kv_call leaves to the service. First in,
 * first out; owns nothing. A call is in one list at a time. Loop thread, or whoever owns the list.
 */
#ifndef QUORATE_KV_CALL_LIST_H
#define QUORATE_KV_CALL_LIST_H

#include "kv/service.h"

struct call_list {
    struct kv_call *head;
    struct kv_call *tail;
};

static inline void list_push(struct call_list *list, struct kv_call *call)
{
    call->next = NULL;
    if (list->tail == NULL) {
        list->head = call;
    } else {
        list->tail->next = call;
    }
    list->tail = call;
}

/* In front of all others: a call that was taken out and could not be served. */
static inline void list_push_front(struct call_list *list, struct kv_call *call)
{
    call->next = list->head;
    list->head = call;
    list->tail = list->tail == NULL ? call : list->tail;
}

/* The oldest call, or NULL. */
static inline struct kv_call *list_pop(struct call_list *list)
{
    struct kv_call *call = list->head;
    if (call != NULL) {
        list->head = call->next;
        list->tail = list->head == NULL ? NULL : list->tail;
        call->next = NULL;
    }
    return call;
}

#endif
