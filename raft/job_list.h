/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of store jobs, linked through the field that raft/port_store.h leaves to the port. First
 * in, first out; owns nothing. Used by store_thread.c and store_mem.c; not locked, its user is. */
#ifndef QUORATE_RAFT_JOB_LIST_H
#define QUORATE_RAFT_JOB_LIST_H

#include "raft/port_store.h"

struct job_list {
    struct store_job *head, *tail;
    size_t count;
};

static inline void job_list_push(struct job_list *list, struct store_job *job)
{
    job->next = NULL;
    if (list->tail == NULL) {
        list->head = job;
    } else {
        list->tail->next = job;
    }
    list->tail = job;
    list->count++;
}

/* The oldest job, or NULL. */
static inline struct store_job *job_list_pop(struct job_list *list)
{
    struct store_job *job = list->head;
    if (job != NULL) {
        list->head = job->next;
        list->tail = list->head == NULL ? NULL : list->tail;
        list->count--;
        job->next = NULL;
    }
    return job;
}

#endif
