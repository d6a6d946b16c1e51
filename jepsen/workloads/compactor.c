/* SPDX-License-Identifier: Apache-2.0 */
/* Who compacts: five times a second, never beyond what one watcher of everything has heard, and now
 * and then to a revision that must be refused.
 */
#include "jepsen/workloads/load.h"

/* The newest revision that some watcher of everything has heard: so the list of all changes will
 * have no gap, while all the other watchers lose theirs. */
static int64_t newest_heard(struct load *load)
{
    int64_t newest = 0;
    pthread_mutex_lock(&load->lock);
    for (int i = 0; i < load->watchers; i++) {
        const struct watcher *w = &load->watcher[i];
        newest = w->is_all && w->heard_to > newest ? w->heard_to : newest;
    }
    pthread_mutex_unlock(&load->lock);
    return newest;
}

/* Valid ones, and some of the past or the future, which must be refused. */
static void compact(struct caller *c)
{
    struct load *load = c->load;
    int64_t newest = newest_heard(load);
    uint64_t what = base_rand_between(&c->rand, 0, 9);
    int64_t revision = what == 0
                           ? newest + 1000000 + (int64_t)base_rand_between(&c->rand, 0, 1000000)
                       : what == 1 ? (int64_t)base_rand_between(&c->rand, 1, 100)
                       : what < 4  ? newest - (int64_t)base_rand_between(&c->rand, 0, 10)
                                   : newest - (int64_t)base_rand_between(&c->rand, 0, 100);
    struct kv_request request = {
        .kind = KV_KIND_COMPACT,
        .compact = {.revision = revision > 0 ? revision : 1,
                    .is_physical = base_rand_between(&c->rand, 0, 3) == 0}};
    pthread_mutex_lock(&load->lock);
    if (load->asked_count < ASKED_MAX && what != 0) {
        int64_t before = load->asked_count == 0 ? 0 : load->asked[load->asked_count - 1].revision;
        load->asked[load->asked_count++] =
            (struct asked){.at_us = io_now().us, .revision = before > revision ? before : revision};
    }
    pthread_mutex_unlock(&load->lock);
    enum outcome outcome = load_call(c, &request, "/etcdserverpb.KV/Compact");
    load->compactions += outcome == OUTCOME_OK;
    load->compactions_refused += outcome == OUTCOME_REFUSED;
    if (outcome == OUTCOME_OK && what == 0) {
        load_violation(load, "a compaction to the future revision %lld was accepted",
                       (long long)revision);
    }
    if (outcome == OUTCOME_OK && revision > atomic_load(&load->compacted)) {
        atomic_store(&load->compacted, revision);
    }
}

void *load_compactor(void *caller)
{
    struct caller *c = caller;
    load_enter_host(c->load, c->number);
    while (c->load->compact_ms > 0 && !atomic_load(&c->load->is_stopping)) {
        load_nap_us((int64_t)c->load->compact_ms * 1000);
        compact(c);
    }
    return NULL;
}
