/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: true time, an event heap, processes with a clock each, links, and the end of
 * a run.
 *
 * Everything that happens is an event at a moment of true time; between events nothing moves. An
 * event belongs to a process: it waits while the process is paused and is dropped when the life
 * that made it is over. All randomness comes from streams of one seed, one stream per source, so
 * that taking a fault away moves nothing else. A violated invariant ends the run at once through
 * world_fail and never returns.
 */
#ifndef QUORATE_TESTS_SIM_WORLD_H
#define QUORATE_TESTS_SIM_WORLD_H

#include <setjmp.h>

#include "base/rand.h"
#include "base/slice.h"
#include "base/types.h"
#include "proto/port_clock.h"
#include "tests/sim/setup.h"
#include "tests/sim/tally.h"
#include "tests/sim/trace_kinds.h"

#define MS BASE_US_PER_MS
#define SECOND BASE_US_PER_S

#define NODES_MAX 7
#define MEMBERS_MAX 9 /* of all database clusters together */
#define KV_CLIENTS_MAX 6
#define SQL_CLIENTS_MAX 3
/* Addresses on the network: quorum nodes, then agents, then database hosts' own traffic, then
 * clients. */
#define ADDRESS_NODE 0
#define ADDRESS_AGENT (ADDRESS_NODE + NODES_MAX)
#define ADDRESS_DB (ADDRESS_AGENT + MEMBERS_MAX)
#define ADDRESS_KV_CLIENT (ADDRESS_DB + MEMBERS_MAX)
#define ADDRESS_SQL_CLIENT (ADDRESS_KV_CLIENT + KV_CLIENTS_MAX)
#define ADDRESSES (ADDRESS_SQL_CLIENT + SQL_CLIENTS_MAX)

/* Streams of random numbers; each has room for a million sources. */
enum stream {
    STREAM_SETUP = 1,
    STREAM_FAULTS,
    STREAM_LINK,
    STREAM_DISK,
    STREAM_NODE,
    STREAM_AGENT,
    STREAM_DB,
    STREAM_KV_CLIENT,
    STREAM_SQL_CLIENT,
    STREAM_ARBITER,
    STREAM_OPERATOR,
    STREAM_CHORES,
    STREAM_WATCH,
    STREAM_RESTORE,
    STREAM_READER,
    STREAM_PEOPLE,
    STREAM_WEIGHT, /* by kind of fault: whether this seed has it */
    STREAM_STRIKE, /* by number of a fault on the schedule */
    STREAM_LUCK,   /* by node: bad luck at named points */
    STREAM_ADMIN,  /* by cluster; of its switch from 50, of members' tags from 100 on */
    STREAM_GALERA, /* by member of a Galera cluster; of its clients from MEMBERS_MAX on */
    STREAM_LOCKS,
    STREAM_MONGODB, /* likewise of a MongoDB set; of its operators from 100 on */
};

struct trace_record {
    int64_t at_us;
    enum trace_kind kind;
    uint64_t value[4];
};
#define TRACE_RING 1024 /* loud ones */
#define BITES_MAX 1024

/* Who has stopped a process; it runs on when nobody does. */
enum stopped_by { STOPPED_BY_FAULT = 1, STOPPED_BY_GUARD = 2 };

/* A thing that runs on a host and can be stopped: quorum node, agent, guard, database, client. */
struct process {
    uint64_t life; /* grows with each start and stop; an event of an older life is dropped */
    bool is_up;
    unsigned stopped;      /* bits of enum stopped_by; events wait until it is 0 */
    uint64_t pause_number; /* the last pause; an older one's end means nothing */
    struct host_clock *clock;
};

/* Clock of a host: local = offset + true + true * rate_ppm / 10^6. */
struct host_clock {
    struct world *world;
    int64_t offset_us;
    int64_t rate_ppm;
    int64_t stood_us;       /* how long it stood still so far */
    int64_t standing_since; /* true time since when it stands; 0: it runs */
    int64_t wall_offset_us; /* somebody set the clock */
};

struct event;
typedef void event_fn(void *ctx, uint64_t number, struct slice bytes);

struct world {
    uint64_t seed;
    bool is_tracing;
    int64_t now_us;
    uint64_t sequence;
    uint64_t event_number;
    struct event **heap;
    size_t heap_count, heap_cap;
    struct event *free_events;
    struct event **parked; /* waiting for a stopped process */
    size_t parked_count, parked_cap;
    struct trace_record ring[TRACE_RING];
    uint64_t trace_count;
    struct trace_record bites[BITES_MAX]; /* faults that bit, and the number on the schedule */
    unsigned bite_numbers[BITES_MAX];
    size_t bites_count;
    unsigned striking; /* number of the fault that strikes now; 0: none */
    uint64_t trace_hash;
    int64_t hash_until_us; /* hash_before is that of all steps before this moment */
    uint64_t hash_before;
    struct setup setup;
    struct tally tally;
    const struct process *running; /* whose event is handled; NULL: the world's own */
    struct luck *luck;
    struct net *net;
    struct faults *faults;
    struct nodes *nodes;
    struct kv_load *kv_load;
    struct members *members;
    struct sql_load *sql_load;
    struct truth *truth;
    struct oper *oper;
    struct chores *chores;
    struct lockers *lockers;
    struct watchers *watchers;
    struct watch_conns *watch_conns;
    struct restore *restore;
    struct readers *readers;
    struct people *people;
    struct admins *admins;
    struct galera *galera;
    struct wsrep_load *wsrep_load;
    struct truth_gal *truth_gal;
    struct mongo_world *mongo;
    struct mongo_load *mongo_load;
    struct truth_mongo *truth_mongo;
    struct rescue *rescue;
    struct elsewhere *elsewhere;
    jmp_buf failed;
    const char *failure_name;
    char failure_text[512];
};

/* --- events --- */
/* Calls fn(ctx, number, bytes) at `at_us`, not before; `bytes` is copied. process may be NULL: the
 * world's own. */
void world_at(struct world *w, int64_t at_us, const struct process *process, event_fn *fn,
              void *ctx);
void world_at_with(struct world *w, int64_t at_us, struct process const *process, event_fn *fn,
                   void *ctx, uint64_t number, struct slice bytes);
/* Runs until nothing is left or the end of the setup is reached. */
void world_run(struct world *w);
void world_free_events(struct world *w);

/* --- processes and clocks --- */
void process_start(struct process *p);
void process_stop(struct process *p);
void process_freeze(struct process *p, enum stopped_by by);
void process_thaw(struct world *w, struct process *p, enum stopped_by by);
/* A fault: stopped for that long. */
void process_pause(struct world *w, struct process *p, int64_t for_us);
struct base_mono clock_now(const struct host_clock *c);
/* True time at which the host's clock shows `local` (or later), not before now. */
int64_t clock_true_us(const struct host_clock *c, struct base_mono local);
struct clock_port clock_port_of(struct host_clock *c);
/* The host's clock stands still from now on, as on a stopped virtual machine; and runs on. */
void clock_stop(struct host_clock *c);
void clock_go_on(struct host_clock *c);

/* --- randomness --- */
struct base_rand seed_stream(uint64_t seed, enum stream stream, uint64_t source);
struct base_rand world_stream(const struct world *w, enum stream stream, uint64_t source);
int64_t draw(struct base_rand *r, int64_t low, int64_t high);
bool chance(struct base_rand *r, uint32_t ppm);

/* --- trace and failure --- */
void trace(struct world *w, enum trace_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
void trace_print(const struct trace_record *r);
/* The last steps that are about that (bits of enum trace_loudness). */
void trace_print_last(const struct world *w, size_t count, unsigned about);
/* A line of a program's own log; shown with --trace, not part of the hash. */
void trace_text(const struct world *w, unsigned address, const char *text);
/* How a place on the network is called: q1, pg2's agent, client 3. */
void trace_address(unsigned address, char *ret, size_t size);
/* From this member on hosts are those of a Galera cluster; of a MongoDB set. */
void trace_galera_from(unsigned member);
void trace_mongodb_from(unsigned member);
/* What a fault did, in words. */
void trace_fault_text(const struct trace_record *r, char *ret, size_t size);
/* Ends the run: the invariant `name` does not hold. printf format. */
_Noreturn void world_fail(struct world *w, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- memory: the simulator stops when there is none --- */
void *must_alloc(size_t count, size_t size);
void *must_grow(void *old, size_t *cap, size_t count, size_t size);

#endif
