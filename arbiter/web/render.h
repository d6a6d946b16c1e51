/* SPDX-License-Identifier: Apache-2.0 */
/* One moment of the status page: all its parts, or all of it as JSON. Loop thread. */
#ifndef QUORATE_ARBITER_WEB_RENDER_H
#define QUORATE_ARBITER_WEB_RENDER_H

#include "arbiter/web/history.h"
#include "arbiter/web/page.h"

#define WEB_ID_MAX 72
#define WEB_PARTS_MAX (2 + 2 * ARB_CLUSTERS_MAX)

struct web_render {
    struct web_quorum quorum; /* set by the caller */
    struct web_summary summary;
    uint64_t shape; /* of the ids of the parts, in their order */
    size_t count;
    struct web_render_part {
        char id[WEB_ID_MAX];
        uint64_t mark; /* of its text */
        struct web_out html;
    } parts[WEB_PARTS_MAX]; /* the headline first, then the quorum, then clusters */
};

/* BASE_E_NOMEM; release with web_render_free in both cases. */
MUST_CHECK int web_render_fill(struct web_render *render, const struct arb_driver *driver,
                               const struct web_history *history);
/* The document. */
void web_render_document(const struct web_render *render, struct web_out *out);
void web_render_free(struct web_render *render);

/* Everything as data: clusters as `kv db list -o json` prints them. NULL without memory. */
char *web_render_json(const struct web_quorum *quorum, const struct arb_driver *driver,
                      const struct web_history *history);

#endif
