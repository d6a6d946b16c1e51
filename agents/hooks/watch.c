/* SPDX-License-Identifier: Apache-2.0 */
/* Which hooks are due: what was told last against what is seen now. */
#include "agents/hooks/hooks.h"

#include "base/name.h"

const char *hook_name(enum hook_kind kind)
{
#define HOOK_NAME(id, name, when) name,
    static const char *const names[] = {HOOKS(HOOK_NAME)};
#undef HOOK_NAME
    return names[kind];
}

bool hooks_has(const struct hooks_settings *settings, enum hook_kind kind)
{
    return settings->commands[kind][0] != '\0';
}

bool hooks_has_any(const struct hooks_settings *settings)
{
    for (int kind = 0; kind < HOOK_COUNT; kind++) {
        if (hooks_has(settings, (enum hook_kind)kind)) {
            return true;
        }
    }
    return false;
}

const char *hooks_role_text(enum hooks_role role)
{
    switch (role) {
    case HOOKS_ROLE_REPLICA:
        return "replica";
    case HOOKS_ROLE_PRIMARY:
        return "primary";
    case HOOKS_ROLE_STANDBY_LEADER:
        return "standby_leader";
    case HOOKS_ROLE_UNKNOWN:
        break;
    }
    return "unknown";
}

static size_t watch_process(struct hooks_watch *w, const struct hooks_facts *f, enum hook_kind *ret)
{
    size_t count = 0;
    if (!w->has_seen && !f->is_gone) { /* it ran before this agent did: nothing was started */
        w->was_running = true;
        w->starts = f->starts;
    }
    bool is_other = w->was_running && f->starts != w->starts;
    if (w->was_running && (f->is_gone || is_other)) {
        w->was_running = false;
        ret[count++] = HOOK_STOP;
    }
    bool is_up = f->is_answering && f->role != HOOKS_ROLE_UNKNOWN; /* a primary: once it is open */
    if (is_up && !w->was_running) {
        bool is_same = w->role_started != HOOKS_ROLE_UNKNOWN && w->role_started == f->role;
        ret[count++] = is_same ? HOOK_RESTART : HOOK_START;
        w->was_running = true;
        w->starts = f->starts;
    }
    if (is_up) {
        w->role_started = f->role;
    }
    return count;
}

static bool is_primary_told(const struct hooks_watch *w, const struct hooks_facts *f)
{
    return w->has_primary && w->primary_epoch == f->epoch &&
           base_name_equal(&w->primary, &f->primary) && w->primary_port == f->primary_port &&
           slice_equal(base_text_slice(&w->primary_host), base_text_slice(&f->primary_host));
}

size_t hooks_watch_step(struct hooks_watch *watch, const struct hooks_facts *facts,
                        enum hook_kind ret[static HOOKS_EVENTS_MAX])
{
    if (!facts->is_known) {
        return 0;
    }
    size_t count = watch_process(watch, facts, ret);
    watch->has_seen = true;
    if (facts->role != HOOKS_ROLE_UNKNOWN && facts->role != watch->role) {
        watch->role = facts->role;
        ret[count++] = HOOK_ROLE_CHANGE;
    }
    if (!base_name_is_empty(&facts->primary) && !is_primary_told(watch, facts)) {
        watch->has_primary = true;
        watch->primary_epoch = facts->epoch;
        watch->primary = facts->primary;
        watch->primary_host = facts->primary_host;
        watch->primary_port = facts->primary_port;
        ret[count++] = HOOK_PRIMARY_CHANGE;
    }
    return count;
}
