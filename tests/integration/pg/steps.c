/* SPDX-License-Identifier: Apache-2.0 */
/* See steps.h. */
#include "tests/integration/pg/steps.h"

#include <string.h>

#include "agents/shell/child.h"
#include "tests/support/cm.h"

static const char *wanted_upstream;

bool is_primary(const struct member *m)
{
    return m->view.is_answering && !m->view.is_in_recovery;
}

bool is_standby(const struct member *m)
{
    return m->view.is_answering && m->view.is_in_recovery;
}

static bool is_following(const struct member *m)
{
    return is_standby(m) && m->view.is_receiving &&
           strcmp(m->view.receiving_from.text, wanted_upstream) == 0;
}

bool is_stopped_seen(const struct member *m)
{
    return !m->view.is_process && m->view.has_directory && m->view.system_id != 0;
}

bool has_two_streaming(const struct member *m)
{
    return m->view.standbys_count == 2 && m->view.standbys[0].is_streaming &&
           m->view.standbys[1].is_streaming;
}

void wait_following(struct member *m, const char *upstream)
{
    wanted_upstream = upstream;
    if (!members_run(is_following, m, 15 * BASE_US_PER_S)) {
        fail_msg("%s does not follow %s: answering %d receiver %d receiving %d from %s: %s",
                 m->settings.member.text, upstream, m->view.is_answering, m->view.has_receiver,
                 m->view.is_receiving, m->view.receiving_from.text, m->view.note.text);
    }
}

void order_ok(struct member *m, enum db_order_kind kind, const struct db_order *details)
{
    struct db_done done = member_order(m, kind, details);
    if (done.status != 0) {
        fail_msg("%s: order %d: %d %s", m->settings.member.text, (int)kind, done.status,
                 done.text.text);
    }
}

void start_primary(struct member *m)
{
    member_start(m);
    assert_true(members_run(is_primary, m, 15 * BASE_US_PER_S));
}

void start_standby(struct member *m)
{
    member_start(m);
    assert_true(members_run(is_standby, m, 15 * BASE_US_PER_S));
}

bool has_lost_its_receiver(const struct member *m)
{
    return is_standby(m) && !m->view.is_receiving;
}

static uint64_t wanted_views;

static bool has_views(const struct member *m)
{
    return m->views >= wanted_views;
}

void wait_views(const struct member *m, uint64_t count)
{
    wanted_views = count;
    assert_true(members_run(has_views, m, 10 * BASE_US_PER_S));
}
