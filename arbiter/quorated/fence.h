/* SPDX-License-Identifier: Apache-2.0 */
/* Fences: powers a host off by a program of this node's own, and asks again whether it is off.
 *
 * The program is named in the cluster's configuration document and lies in one directory of this
 * node (quorum.fence_dir), so that nobody who may write documents can run anything else here. It is
 * run twice, as fence agents are: `PROGRAM off` must exit 0, then `PROGRAM status` must exit 2
 * ("off"; 0 is "on"). Its environment is PATH, QUORATE_CLUSTER, QUORATE_MEMBER, QUORATE_HOST and
 * QUORATE_EPOCH, its output goes to this process's log. A run that takes too long is killed with
 * its process group. Loop thread only.
 */
#ifndef QUORATE_ARBITER_QUORATED_FENCE_H
#define QUORATE_ARBITER_QUORATED_FENCE_H

#include "arbiter/driver.h"
#include "proto/io/loop.h"

struct quorated_fences;

struct quorated_fences_options {
    struct io_loop *loop;
    const char *dir; /* lives as long as this */
    void *user;
    /* Once for every quorated_fence; `text` says how it went. */
    void (*ended)(void *user, const struct arb_fence_job *job, bool is_off, const char *text);
};

/* BASE_E_NOMEM. */
MUST_CHECK int quorated_fences_new(const struct quorated_fences_options *options,
                                   struct quorated_fences **ret);
/* Begins one; `ended` is told later, never from here. */
void quorated_fence(struct quorated_fences *fences, const struct arb_fence_job *job);
/* Programs that run are killed, nobody is told. Before the loop is freed. NULL is fine. Returns
 * NULL. */
struct quorated_fences *quorated_fences_free(struct quorated_fences *fences);

#endif
