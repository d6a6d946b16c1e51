/* SPDX-License-Identifier: Apache-2.0 */
/* Standbys and their last words: see standbys.h. */
#include "agents/postgresql/standbys.h"

#include <string.h>

#include "agents/shell/child.h"
#include "base/name.h"

#define STATUS_S_MAX 2147483
#define SILENT_US_MIN (2 * BASE_US_PER_S)

int64_t pg_standby_silent_us(struct pg_standby_words *words, const struct base_name *member,
                             uint64_t reply_us, struct base_mono now)
{
    size_t at = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(words->list); i++) {
        if (base_name_equal(&words->list[i].member, member)) {
            at = i;
            break;
        }
        if (base_mono_before(words->list[i].changed, words->list[at].changed)) {
            at = i; /* whoever has been silent for longest makes room */
        }
    }
    if (!base_name_equal(&words->list[at].member, member) || words->list[at].reply_us != reply_us) {
        words->list[at].member = *member;
        words->list[at].reply_us = reply_us;
        words->list[at].changed = now;
    }
    return base_mono_diff_us(now, words->list[at].changed);
}

/* Twice the interval of a standby's words; whatever the answer claims, within the server's own
 * bounds. */
static int64_t silence_limit_us(int64_t status_s)
{
    int64_t seconds = status_s < STATUS_S_MAX ? status_s : STATUS_S_MAX;
    int64_t limit = seconds > 0 ? 2 * seconds * BASE_US_PER_S : 0;
    return limit > SILENT_US_MIN ? limit : SILENT_US_MIN;
}

void pg_standbys_fill(struct pg_standby_words *words, const PGresult *r, int64_t status_s,
                      struct db_view *view)
{
    int64_t limit = silence_limit_us(status_s);
    for (int row = 0; row < PQntuples(r) && view->standbys_count < MSG_MEMBERS_MAX; row++) {
        struct msg_standby *s = &view->standbys[view->standbys_count];
        memset(s, 0, sizeof(*s));
        if (base_name_from(slice_from_text(pg_sql_text(r, row, 0)), &s->member) != 0 ||
            (view->standbys_count > 0 && base_name_equal(&s->member, &s[-1].member))) {
            continue;
        }
        uint64_t reply_us = pg_sql_u64(r, row, 3);
        bool is_silent =
            status_s > 0 && pg_standby_silent_us(words, &s->member, reply_us, pg_now()) > limit;
        s->is_streaming = strcmp(pg_sql_text(r, row, 1), "streaming") == 0 && !is_silent;
        s->flush_lsn = pg_sql_lsn(r, row, 2);
        view->standbys_count++;
    }
}
