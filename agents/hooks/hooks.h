/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: an operator's commands at the turning points of a member's life.
 *
 * A table of kinds; what was seen (struct hooks_facts) is turned into hooks to run by a pure
 * function (watch.c), they run one after the other as children of the agent (run.c), and the two
 * that something waits for sit between the agent's core and the engine (port.c). No hook can delay
 * a fence: the guard knows nothing of them, and the core goes on taking grants, orders and time in
 * while one runs. Loop thread only, but for the children.
 */
#ifndef QUORATE_AGENTS_HOOKS_HOOKS_H
#define QUORATE_AGENTS_HOOKS_HOOKS_H

#include "base/error.h"
#include "base/types.h"

/*  id, name as in the configuration and for the command, when */
#define HOOKS(X) \
    X(START, "on_start", "the database has started and answers") \
    X(RESTART, "on_restart", "likewise, in the role that it had before") \
    X(STOP, "on_stop", "every process of the database has ended") \
    X(RELOAD, "on_reload", "settings have been put into force in a running server") \
    X(ROLE_CHANGE, "on_role_change", "the role is another one, or is known for the first time") \
    X(PRIMARY_CHANGE, "on_primary_change", \
      "another member is open for writes now, or is known to be for the first time") \
    X(PRE_PROMOTE, "pre_promote", \
      "in front of a promotion, which another exit status than 0 stops") \
    X(BEFORE_STOP, "before_stop", \
      "a primary hands over: behind its checkpoint, in front of the stop")

#define HOOK_ENUM(id, name, when) HOOK_##id,
enum hook_kind { HOOKS(HOOK_ENUM) HOOK_COUNT };

#define HOOK_COMMAND_MAX 512
#define HOOKS_TIMEOUT_DEFAULT_US (10 * BASE_US_PER_S)

/* From the agent's file; commands are empty where there is none. */
struct hooks_settings {
    char commands[HOOK_COUNT][HOOK_COMMAND_MAX];
    int64_t timeout_us; /* then the whole process group is killed; 0: the default */
};

const char *hook_name(enum hook_kind kind);
bool hooks_has(const struct hooks_settings *settings, enum hook_kind kind);
bool hooks_has_any(const struct hooks_settings *settings);

enum hooks_role {
    HOOKS_ROLE_UNKNOWN,
    HOOKS_ROLE_REPLICA,
    HOOKS_ROLE_PRIMARY,
    HOOKS_ROLE_STANDBY_LEADER
};
const char *hooks_role_text(enum hooks_role role); /* "primary"; "unknown" */

/* --- watch.c: what follows from what is seen; pure --- */

struct hooks_facts {
    bool is_known;     /* guard and database have spoken */
    bool is_answering; /* a process runs and answers */
    bool is_gone;      /* none is left */
    uint32_t starts;   /* roots started by this guard */
    enum hooks_role role;
    uint64_t epoch; /* of the record in force */
    /* Who is open for writes, as the last order says; empty: nobody is known to be. */
    struct base_name primary;
    struct base_text primary_host;
    uint16_t primary_port;
};

struct hooks_watch {
    bool has_seen;
    bool was_running;
    uint32_t starts;
    enum hooks_role role;         /* last one told */
    enum hooks_role role_started; /* when it was last seen running */
    bool has_primary;
    uint64_t primary_epoch; /* last one told */
    struct base_name primary;
    struct base_text primary_host;
    uint16_t primary_port;
};

#define HOOKS_EVENTS_MAX 4
/* Which hooks are due, in order; the facts are remembered. */
size_t hooks_watch_step(struct hooks_watch *watch, const struct hooks_facts *facts,
                        enum hook_kind ret[static HOOKS_EVENTS_MAX]);

#endif
