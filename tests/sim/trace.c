/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a run: numbers while it runs (cheap, and hashed), words only when somebody reads them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/port_db.h"
#include "base/failpoint.h"
#include "proto/msg/mongodb.h"
#include "proto/port_net.h"
#include "tests/sim/world.h"

static const struct kind {
    enum trace_loudness loudness;
    const char *text;
} kinds[TRACE_KIND_COUNT] = {
#define TRACE_ROW(id, loudness, text) [TRACE_##id] = {TRACE_##loudness, text},
    TRACE_KINDS(TRACE_ROW)
#undef TRACE_ROW
};

static const struct fault_row {
    const char *name;
    bool is_of_host; /* whom it meets is a database host, else an address */
} faults[FAULT_KIND_COUNT] = {
#define GROUP_NODE false
#define GROUP_DATABASE true
#define GROUP_STANDSTILL true
#define FAULT_ROW(id, name, group, floor, fn) [FAULT_##id] = {name, GROUP_##group},
    FAULT_KINDS_DRAWN(FAULT_ROW)
#undef FAULT_ROW
#define FAULT_ROW(id, name, floor) [FAULT_##id] = {name, false},
        FAULT_KINDS_OTHER(FAULT_ROW)
#undef FAULT_ROW
#define FAULT_ROW(id, name, floor, fn) [FAULT_##id] = {name, true},
            FAULT_KINDS_GALERA(FAULT_ROW)
#undef FAULT_ROW
                [FAULT_GALERA_TAIL_LOST] = {"galera-tail-lost", true},
#define FAULT_ROW(id, name, floor, fn) [FAULT_##id] = {name, true},
    FAULT_KINDS_HOSTS(FAULT_ROW) FAULT_KINDS_MONGODB(FAULT_ROW)
#undef FAULT_ROW
        [FAULT_WATCHDOG_RESET] = {"watchdog-reset", true},
};

/* --- recording --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

void trace(struct world *w, enum trace_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const struct trace_record r = {w->now_us, kind, {a, b, c, d}};
    if (kinds[kind].loudness != TRACE_QUIET) {
        w->ring[w->trace_count++ % TRACE_RING] = r;
    }
    uint64_t hash = mix(w->trace_hash, (uint64_t)r.at_us);
    hash = mix(hash, (uint64_t)kind);
    for (size_t i = 0; i < 4; i++) {
        hash = mix(hash, r.value[i]);
    }
    w->trace_hash = hash;
    w->hash_before = w->now_us < w->hash_until_us ? hash : w->hash_before;
    if (w->is_tracing) {
        trace_print(&r);
    }
}

/* --- words --- */

/* The first host of the Galera cluster: from there on they are called otherwise. */
static unsigned galera_first = MEMBERS_MAX;

static unsigned mongodb_first = MEMBERS_MAX;

void trace_mongodb_from(unsigned member)
{
    mongodb_first = member;
}

void trace_galera_from(unsigned member)
{
    galera_first = member;
}

static const char *engine_of(unsigned member)
{
    return member >= mongodb_first ? "mg" : member < galera_first ? "pg" : "md";
}

void trace_address(unsigned address, char *ret, size_t size)
{
    if (address < ADDRESS_AGENT) {
        (void)snprintf(ret, size, "q%u", address - ADDRESS_NODE + 1);
    } else if (address < ADDRESS_DB) {
        (void)snprintf(ret, size, "%s%u's agent", engine_of(address - ADDRESS_AGENT),
                       address - ADDRESS_AGENT + 1);
    } else if (address < ADDRESS_KV_CLIENT) {
        (void)snprintf(ret, size, "%s%u", engine_of(address - ADDRESS_DB),
                       address - ADDRESS_DB + 1);
    } else if (address < ADDRESS_SQL_CLIENT) {
        (void)snprintf(ret, size, "client %u", address - ADDRESS_KV_CLIENT);
    } else {
        (void)snprintf(ret, size, "SQL client %u", address - ADDRESS_SQL_CLIENT);
    }
}

static void frame_text(uint64_t type, char *ret, size_t size)
{
    static const struct {
        uint64_t type;
        const char *name;
    } names[] = {{NET_FRAME_RAFT, "a Raft message"},
                 {NET_FRAME_REPORT, "a report"},
                 {NET_FRAME_ORDER, "an order"},
                 {NET_FRAME_KV, "a write passed on"},
                 {200, "a request"},
                 {201, "an answer"},
                 {210, "a standby's wish to stream"},
                 {211, "its acceptance"},
                 {212, "its refusal"},
                 {213, "WAL"},
                 {214, "a standby's position"},
                 {220, "a write"},
                 {221, "the answer to a write"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].type == type) {
            (void)snprintf(ret, size, "%s", names[i].name);
            return;
        }
    }
    (void)snprintf(ret, size, "a frame of type %" PRIu64, type);
}

static void hosts_text(uint64_t bits, char *ret, size_t size)
{
    size_t used = 0;
    (void)snprintf(ret, size, "nobody");
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        if ((bits >> i & 1) != 0 && used < size) {
            used += (size_t)snprintf(ret + used, size - used, "%s%s%u", used > 0 ? " " : "",
                                     engine_of(i), i + 1);
        }
    }
}

static void other_text(const struct trace_record *r, char *ret, size_t size)
{
    if (r->value[0] >= FAULT_LUCK_FAIL && r->value[0] <= FAULT_LUCK_CRASH) {
        (void)snprintf(ret, size, " at %s", base_failpoint_name((enum base_failpoint)r->value[2]));
        return;
    }
    bool is_node = r->value[0] == FAULT_NODE_CUT || r->value[0] == FAULT_NODE_CUT_ONE_WAY;
    if (is_node || r->value[0] == FAULT_SPLIT) {
        (void)snprintf(ret, size, " %s q%" PRIu64, is_node ? "from" : "with", r->value[2] + 1);
    } else {
        ret[0] = '\0';
    }
}

static void listed(const char *const *names, size_t count, const char *what, uint64_t value,
                   char *ret, size_t size)
{
    if (value < count && names[value] != NULL) {
        (void)snprintf(ret, size, "%s", names[value]);
    } else {
        (void)snprintf(ret, size, "%s %" PRIu64, what, value);
    }
}

static void command_text(uint64_t kind, char *ret, size_t size)
{
    static const char *const names[] = {
        [DB_ORDER_MONGODB_WIPE] = "the order to move the data aside",
        [DB_ORDER_MONGODB_INITIATE] = "replSetInitiate",
        [DB_ORDER_MONGODB_RECONFIG] = "replSetReconfig",
        [DB_ORDER_MONGODB_CONCERN] = "setDefaultRWConcern",
        [DB_ORDER_MONGODB_STEP_DOWN] = "replSetStepDown",
        [DB_ORDER_MONGODB_STEP_UP] = "replSetStepUp",
        [DB_ORDER_MONGODB_FREEZE] = "replSetFreeze",
        [DB_ORDER_MONGODB_SHUTDOWN] = "shutdown",
    };
    listed(names, sizeof(names) / sizeof(names[0]), "order", kind, ret, size);
}

static void set_order_text(uint64_t kind, char *ret, size_t size)
{
    static const char *const names[] = {
        [MSG_MONGODB_ORDER_NONE] = "to do nothing",
        [MSG_MONGODB_ORDER_INITIATE] = "to initiate the set",
        [MSG_MONGODB_ORDER_ADD] = "to add a member",
        [MSG_MONGODB_ORDER_VOTE] = "to give a vote",
        [MSG_MONGODB_ORDER_PRIORITY] = "to set a priority",
        [MSG_MONGODB_ORDER_UNVOTE] = "to take a vote away",
        [MSG_MONGODB_ORDER_REMOVE] = "to remove a member",
        [MSG_MONGODB_ORDER_SWITCHOVER] = "to switch over",
        [MSG_MONGODB_ORDER_STEP_DOWN] = "to step down",
        [MSG_MONGODB_ORDER_KILL] = "to kill a mongod",
        [MSG_MONGODB_ORDER_RESYNC] = "to make a copy anew",
        [MSG_MONGODB_ORDER_RESTART] = "to restart a mongod",
        [MSG_MONGODB_ORDER_CONCERN] = "to set the default write concern",
        [MSG_MONGODB_ORDER_FORCE] = "to force a configuration",
        [MSG_MONGODB_ORDER_TIMEOUTS] = "to set the election timeout",
    };
    listed(names, sizeof(names) / sizeof(names[0]), "of kind", kind, ret, size);
}

/* Behind "ELECTED" and the like the term; behind "is" the state. */
static void mongod_text(const struct trace_record *r, uint64_t value, char *ret, size_t size)
{
    static const char *const states[] = {" STARTUP", " PRIMARY",  " SECONDARY", " RECOVERING",
                                         NULL,       " STARTUP2", " UNKNOWN",   " ARBITER",
                                         " DOWN",    " ROLLBACK", " REMOVED"};
    if (r->value[1] == 10) {
        listed(states, sizeof(states) / sizeof(states[0]), " in state", value, ret, size);
    } else if (r->value[1] <= 4) {
        (void)snprintf(ret, size, ", term %" PRIu64, value);
    } else if (r->value[1] == 5) {
        (void)snprintf(ret, size, " %" PRIu64 " entries", value);
    } else {
        ret[0] = '\0';
    }
}

/* One value of a step, as its type letter says. */
static void value_text(const struct trace_record *r, char type, uint64_t value, char *ret,
                       size_t size)
{
    bool is_fault = value < FAULT_KIND_COUNT;
    bool is_host = r->value[0] < FAULT_KIND_COUNT && faults[r->value[0]].is_of_host;
    switch (type) {
    case 'q':
        (void)snprintf(ret, size, "q%" PRIu64, value + 1);
        break;
    case 'c':
        command_text(value, ret, size);
        break;
    case 'd':
        set_order_text(value, ret, size);
        break;
    case 't':
        mongod_text(r, value, ret, size);
        break;
    case 'm':
        if (value < MEMBERS_MAX) {
            (void)snprintf(ret, size, "%s%" PRIu64, engine_of((unsigned)value), value + 1);
        } else {
            (void)snprintf(ret, size, "nobody");
        }
        break;
    case 'a':
        trace_address((unsigned)value, ret, size);
        break;
    case 'w':
        trace_address(is_host ? ADDRESS_DB + (unsigned)value : (unsigned)value, ret, size);
        break;
    case 'o':
        other_text(r, ret, size);
        break;
    case 'k':
        (void)snprintf(ret, size, "%s", is_fault ? faults[value].name : "?");
        break;
    case 'f':
        frame_text(value, ret, size);
        break;
    case 's':
        hosts_text(value, ret, size);
        break;
    case 'u':
        ret[0] = '\0';
        if (value != 0) {
            (void)snprintf(ret, size, ", for %.3f s", (double)value / 1e6);
        }
        break;
    case 'x':
        (void)snprintf(ret, size, "%" PRIx64, value);
        break;
    case 'i':
        (void)snprintf(ret, size, "%" PRId64, (int64_t)value);
        break;
    case 'e':
        (void)snprintf(ret, size, "%s", value == 0 ? "done" : base_error_text((int)(int64_t)value));
        break;
    default:
        (void)snprintf(ret, size, "%" PRIu64, value);
        break;
    }
}

/* The word for a value: `alternatives` ends with a brace. */
static void word_text(const char *alternatives, uint64_t value, char *ret, size_t size)
{
    const char *at = alternatives;
    for (; value > 0 && *at != '}'; at++) {
        value -= *at == '|';
    }
    (void)snprintf(ret, size, "%.*s", (int)strcspn(at, "|}"), at);
}

static void record_text(const struct trace_record *r, char *ret, size_t size)
{
    size_t used = 0;
    for (const char *at = kinds[r->kind].text; *at != '\0' && used + 1 < size;) {
        char piece[96];
        if (*at != '{') {
            ret[used++] = *at++;
            continue;
        }
        if (at[2] == '?') {
            word_text(at + 3, r->value[at[1] - '0'], piece, sizeof(piece));
        } else {
            value_text(r, at[1], r->value[at[2] - '0'], piece, sizeof(piece));
        }
        at = strchr(at, '}') + 1;
        int added = snprintf(ret + used, size - used, "%s", piece);
        used += (size_t)added < size - used ? (size_t)added : size - used - 1;
    }
    ret[used] = '\0';
}

void trace_fault_text(const struct trace_record *r, char *ret, size_t size)
{
    record_text(r, ret, size);
}

void trace_print(const struct trace_record *r)
{
    char text[512];
    record_text(r, text, sizeof(text));
    printf("%10.3f s  %s\n", (double)r->at_us / 1e6, text);
}

/* --- the last steps --- */

static const struct trace_record *at(const struct world *w, uint64_t number)
{
    return &w->ring[number % TRACE_RING];
}

/* Many of these in a row say little, unless the story is about them. */
static bool is_routine(const struct trace_record *r, unsigned about)
{
    bool is_of_store = r->kind == TRACE_KV_CALL || r->kind == TRACE_KV_END ||
                       r->kind == TRACE_LEASE || r->kind == TRACE_PROMISE || r->kind == TRACE_LOCK;
    return r->kind == TRACE_ACK || (is_of_store && (about & TRACE_DATABASES) != 0);
}

static bool is_told(const struct trace_record *r, unsigned about)
{
    return (kinds[r->kind].loudness & about) != 0;
}

/* The first of the last `count` lines, where routine steps in a row count as three. */
static uint64_t first_told(const struct world *w, size_t count, unsigned about)
{
    uint64_t end = w->trace_count, have = end < TRACE_RING ? end : TRACE_RING, from = end;
    size_t routine = 0;
    while (count > 0 && from > end - have) {
        const struct trace_record *r = at(w, --from);
        if (is_told(r, about)) {
            routine = is_routine(r, about) ? routine + 1 : 0;
            count -= routine <= 3;
        }
    }
    return from;
}

/* Prints the first and the last of some routine steps in a row; `last` may be the first. */
static void print_routine(const struct trace_record *last, size_t count)
{
    if (count > 2) {
        printf("%14s%zu more like it\n", "", count - 2);
    }
    if (count > 1) {
        trace_print(last);
    }
}

void trace_print_last(const struct world *w, size_t count, unsigned about)
{
    const struct trace_record *last = NULL; /* of the routine steps at hand */
    size_t row = 0;
    for (uint64_t i = first_told(w, count, about); i < w->trace_count; i++) {
        const struct trace_record *r = at(w, i);
        if (!is_told(r, about)) {
            continue;
        }
        if (row > 0 && is_routine(r, about)) {
            row++;
        } else {
            print_routine(last, row);
            trace_print(r);
            row = is_routine(r, about) ? 1 : 0;
        }
        last = r;
    }
    print_routine(last, row);
}

void trace_text(const struct world *w, unsigned address, const char *text)
{
    if (w->is_tracing) {
        char name[32];
        trace_address(address, name, sizeof(name));
        printf("%10.3f s  %s says: %s\n", (double)w->now_us / 1e6, name, text);
    }
}
