/* SPDX-License-Identifier: Apache-2.0 */
/* The newest entries of each cluster's history, for the status page: read from this node's own
 * store when the cluster's record has changed, one read at a time, also while there is no quorum.
 * In the steady state nothing is read. Never touched by what decides. Loop thread. */
#ifndef QUORATE_ARBITER_WEB_HISTORY_H
#define QUORATE_ARBITER_WEB_HISTORY_H

#include <jansson.h>

#include "arbiter/driver.h"

#define WEB_HISTORY_MAX 6 /* entries of a cluster */

struct web_history;

/* BASE_E_NOMEM. */
MUST_CHECK int web_history_new(const struct arb_driver *driver, struct kv_service *service,
                               struct web_history **ret);
/* Begins to read what is out of date, if anything; called while somebody looks. */
void web_history_refresh(struct web_history *history);
/* Entries of a cluster, the newest first; valid until the loop goes on. False: not read yet. */
bool web_history_of(const struct web_history *history, const struct base_name *cluster,
                    json_t *const **ret, size_t *ret_count);
/* After the service is closed. NULL is fine. Returns NULL. */
struct web_history *web_history_free(struct web_history *history);

#endif
