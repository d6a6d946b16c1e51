/* SPDX-License-Identifier: Apache-2.0 */
/* See http_seen.h. */
#include "agents/http_seen.h"

#include <string.h>

#include "base/name.h"

void agt_http_seen_pause(struct agt_http_seen *seen, int64_t late_us)
{
#define BOUND(us, text) us,
    static const int64_t bounds[] = {AGT_HTTP_PAUSES(BOUND)};
#undef BOUND
    int64_t late = late_us > 0 ? late_us : 0;
    size_t i = 0;
    while (late > bounds[i]) {
        i++;
    }
    seen->pauses[i]++;
    seen->pauses_count++;
    seen->pauses_sum_us += late;
}

const struct agt_http_epoch *agt_http_seen_epoch(const struct agt_http_seen *seen, uint64_t epoch)
{
    for (size_t i = seen->epochs_count; i > 0; i--) {
        if (seen->epochs[i - 1].epoch == epoch) {
            return &seen->epochs[i - 1];
        }
    }
    return NULL;
}

void agt_http_seen_record(struct agt_http_seen *seen, const struct msg_record *record)
{
    uint64_t last = seen->epochs_count == 0 ? 0 : seen->epochs[seen->epochs_count - 1].epoch;
    if (record->epoch <= last) {
        return;
    }
    if (seen->epochs_count == AGT_HTTP_EPOCHS_MAX) {
        memmove(&seen->epochs[0], &seen->epochs[1],
                (AGT_HTTP_EPOCHS_MAX - 1) * sizeof(seen->epochs[0]));
        seen->epochs_count--;
    }
    seen->epochs[seen->epochs_count++] = (struct agt_http_epoch){
        .epoch = record->epoch, .holder = record->holder, .since_wall_us = record->since_wall_us};
}

void agt_http_seen_config(struct agt_http_seen *seen, uint64_t revision, struct slice text)
{
    if (text.len > sizeof(seen->config)) {
        return;
    }
    memcpy(seen->config, text.data, text.len);
    seen->config_len = (uint32_t)text.len;
    seen->config_revision = revision;
}
