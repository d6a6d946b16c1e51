/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of chaosload: who loads, what is kept of it, who judges.
 *
 * One process loads all nodes of a quorum while somebody else breaks them. Every client has a
 * thread and a connection of its own; what they did and heard stays in memory until the end. Times
 * are microseconds of io_now(), one clock for all. Shared tables are behind `lock`.
 */
#ifndef QUORATE_JEPSEN_WORKLOADS_LOAD_H
#define QUORATE_JEPSEN_WORKLOADS_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/rand.h"
#include "jepsen/check/history.h"
#include "jepsen/check/watch.h"
#include "proto/io/grpc_client.h"
#include "proto/io/loop.h"
#include "proto/wire/kv.h"

#define CALL_MS 1500
#define OPS_MAX 2000000u
#define PHASE_OPS 160u /* so many operations, then other keys: keeps the search small */
#define PHASE_KEYS 4u
#define KEYS_MAX (OPS_MAX / PHASE_OPS * PHASE_KEYS)
#define STALES_MAX 1000000u
#define LEASES_MAX 50000u
#define ASKED_MAX 100000u
#define KEY_BYTES 24
#define LISTS_MAX 20000u
#define ELEMENTS_MAX 100000u
#define LOCKS 4u

/* Prefixes: of linearizability, of leases, lists, elements of the set, locks; the last key of all.
 */
#define PREFIX_KV "g/"
#define PREFIX_LEASE "l/"
#define PREFIX_LIST "a/"
#define PREFIX_SET "s/"
#define PREFIX_LOCK "k/"
#define KEY_END "z/end"

#define PATH_RANGE "/etcdserverpb.KV/Range"
#define PATH_PUT "/etcdserverpb.KV/Put"
#define PATH_TXN "/etcdserverpb.KV/Txn"

enum outcome { OUTCOME_OK, OUTCOME_REFUSED, OUTCOME_UNKNOWN };

/* One operation of any client as the clock sees it. */
struct counted {
    int64_t call_us, return_us;
    enum outcome outcome;
    bool is_write;
};

/* Files of the run's folder, by what is in them. */
enum load_file { FILE_REGISTER, FILE_SET, FILE_APPEND, FILE_LOCK, FILE_OPS, FILES };

/* One serializable or historic read: what it saw must have been there at `revision`. */
struct stale {
    uint32_t key;
    int64_t revision; /* asked for, or that of the header */
    int64_t value;    /* 0 absent */
    int64_t mod_revision;
    int64_t return_us;
};

/* A lease with its two keys, PREFIX_LEASE "NUMBER/a" and "/b". */
struct lease {
    int64_t id;
    int64_t
        deadline_us;    /* it must live until then: last acknowledged renewal's call, and the TTL */
    bool may_have_keys; /* the put was sent */
    bool has_keys;      /* and acknowledged */
    bool is_revoked;    /* asked for, whatever the answer */
};

/* A compaction that was asked for. */
struct asked {
    int64_t at_us;
    int64_t revision; /* the highest asked for until then */
};

/* One event as a watcher heard it. Values are numbers; of another text, a number made of it. */
struct heard {
    char key[KEY_BYTES];
    int64_t value;
    int64_t create_revision, mod_revision, version;
    int64_t prev_value, prev_mod_revision;
    bool is_delete, has_prev;
};

/* One response: `count` events from `first` on. */
struct response {
    int64_t at_us;
    int64_t revision;
    int64_t compact_revision;
    size_t first, count;
    bool is_created, is_canceled;
};

/* One watch from its request to its end; the responses are `first` to `first + count`. */
struct session {
    int64_t start;
    size_t first, count;
};

/* All keys as one node told them at the end. */
struct final_read {
    int64_t revision;
    struct heard *pairs;
    size_t count, cap;
};

struct load;
struct watcher {
    struct load *load;
    pthread_t thread;
    struct base_rand rand;
    int number;
    bool is_pinned; /* to one node; else it goes on to the next */
    bool is_all;    /* all keys; else those of PREFIX_KV, without deletes, without previous pairs */
    struct heard *events;
    size_t events_count, events_cap;
    struct response *responses;
    size_t responses_count, responses_cap;
    struct session *sessions;
    size_t sessions_count, sessions_cap;
    int64_t next;     /* where the next session begins; 0: nothing heard yet */
    int64_t heard_to; /* everything up to here has come */
    uint64_t cancels;
};

#define CLIENTS_MAX 64
struct load {
    struct io_grpc_client_options client;
    int clients, watchers, lessees, setters, listers, lockers;
    int clock_error_ppm;                          /* so much may the clocks of the nodes be wrong */
    int compact_ms;                               /* between compactions; 0: none */
    bool is_stale, is_tokenless, has_wrong_times; /* shown able to fail: README.md */
    const char *netns;                            /* hosts whose networks the callers live in */
    double seconds;
    uint64_t seed;
    int op_us;       /* mean pause between the operations of one client */
    const char *out; /* folder */
    FILE *files[FILES];
    struct counted *counted;
    size_t counted_count;
    uint64_t by_outcome[3];
    atomic_bool is_stopping; /* no further operations */
    atomic_bool is_over;     /* watchers too */
    pthread_mutex_t lock;
    struct chk_history history;
    int64_t next_value;
    struct stale *stales;
    size_t stales_count;
    struct lease *leases;
    size_t leases_count;
    struct asked *asked;
    size_t asked_count;
    uint64_t compactions, compactions_refused;
    uint64_t lost;        /* acknowledged writes that never happened */
    uint64_t unsettled;   /* operations on keys whose outcome nobody knows even at the end */
    int64_t lists_ops;    /* transactions begun on lists; the keys follow from it */
    int64_t next_element; /* of lists */
    _Atomic int64_t set_next;
    int64_t lock_tokens[LOCKS]; /* highest that each guarded resource has seen */
    struct final_read finals[IO_GRPC_ENDPOINTS_MAX];
    _Atomic int64_t newest; /* revision */
    _Atomic int64_t compacted;
    _Atomic uint64_t term_first, term_last;
    atomic_int violations;
    struct watcher watcher[CLIENTS_MAX];
};

/* --- calls.c --- */
_Noreturn void load_give_up(const char *what, const char *why);
void load_nap_us(int64_t us);
/* Prints the finding and counts it. */
void load_violation(struct load *load, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `list` with room for one more item of `size`. */
void *load_room(void *list, size_t count, size_t *cap, size_t size);
/* Value of a pair as a number: itself, or one made of its text. */
int64_t load_number(struct slice value);
void load_keep_pair(const struct kv_pair *pair, struct heard *ret);
/* One line into a file of the run's folder, if there is one. */
void load_line(struct load *load, enum load_file file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Counts an operation that has just returned. */
void load_count(struct load *load, int64_t call_us, enum outcome outcome, bool is_write);
void load_enter_host(const struct load *load, uint64_t stream);
/* What each response tells about the whole quorum. */
void load_note(struct load *load, const struct kv_header *header);

/* One blocking caller, with the memory for one response. */
struct caller {
    struct load *load;
    uint32_t number;
    struct io_grpc_client *client;
    size_t endpoint;
    struct base_arena arena;
    struct io_grpc_answer answer;
    struct kv_response response;
    struct base_rand rand;
};
struct caller load_caller(struct load *load, uint64_t stream);
void load_caller_free(struct caller *c);
/* Sends `request` and waits for the answer. OK: c->response is valid until the next call. REFUSED:
 * surely without effect; the text is in c->answer.message. Goes to another node after a failure. */
enum outcome load_call(struct caller *c, const struct kv_request *request, const char *path);

/* --- who loads; threads --- */
void *load_kv_client(void *caller);
void *load_compactor(void *caller);
void *load_lessee(void *caller);
void *load_setter(void *caller);
void *load_lister(void *caller);
void *load_locker(void *caller);
void *load_watcher(void *watcher);

/* --- judge.c: after everybody has ended --- */
void load_judge(struct load *load, int64_t last_revision);

#endif
