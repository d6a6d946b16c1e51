/* SPDX-License-Identifier: Apache-2.0 */
/* The server around the model (set.h): nodes that listen, connections, commands.
 *
 * One hub holds the model of one replica set and answers for all of its nodes. A node's port is
 * opened either by the hub itself (--node NAME=HOST:PORT), or by a process of its own that an
 * agent starts as its mongod (node.c): that process hands each accepted socket over to the hub and
 * gives a sign of life every 50 ms. One thread, one libuv loop. Model time runs `speed` times as
 * fast as the clock.
 */
#ifndef QUORATE_TESTS_MONGOSIM_HUB_H
#define QUORATE_TESTS_MONGOSIM_HUB_H

#include <bson/bson.h>
#include <openssl/ssl.h>
#include <uv.h>

#include "tests/mongosim/bytes.h"
#include "tests/mongosim/scram.h"
#include "tests/mongosim/set.h"
#include "tests/mongosim/wire.h"

#define HUB_USERS_MAX 16
#define HUB_PATH_MAX 255

/* What a user may do, and what a command asks for. */
enum hub_right {
    RIGHT_NONE = 0,
    RIGHT_LOGIN = 1,          /* any user */
    RIGHT_MONITOR = 1 << 1,   /* clusterMonitor */
    RIGHT_CONFIGURE = 1 << 2, /* replSetConfigure */
    RIGHT_STATE = 1 << 3,     /* replSetStateChange */
    RIGHT_SHUTDOWN = 1 << 4,
    RIGHT_CONCERN = 1 << 5, /* setDefaultRWConcern */
    RIGHT_READ = 1 << 6,    /* any collection */
    RIGHT_WRITE = 1 << 7,
    RIGHT_OPLOG = 1 << 8,  /* read local.oplog.rs */
    RIGHT_CANARY = 1 << 9, /* write collections of the database "quorate" */
    RIGHT_ROOT = 1 << 10,
};

struct hub_user {
    char name[128], password[64]; /* without a password: a certificate's subject */
    unsigned rights;              /* of enum hub_right */
};

/* Faults of the wire, per node; those of the set are the model's. */
struct hub_faults {
    unsigned slow_ms; /* each answer is that late */
    unsigned half;    /* so many answers end in the middle, and the connection with them */
    unsigned garbage; /* so many answers are not BSON */
    unsigned wild;    /* ... nor is the length that says where it ends */
    unsigned huge;    /* so many answers announce a length beyond all limits */
    unsigned wrong;   /* so many answers have fields of wrong types */
    unsigned mute;    /* so many commands get no answer for ever (hello is answered) */
    bool is_lying;    /* says that it is a writable primary of the term below */
    uint64_t lie_term;
    bool is_back;    /* tells of the past: the hello and status that it had at `back_at` */
    int64_t back_us; /* all dates are so much earlier */
    uint16_t wire_min, wire_max; /* told instead of the release's; 0: not */
    bool is_no_login;            /* every login fails */
    unsigned codes;              /* so many commands of that name are answered with the code; */
    int code;                    /* 0: they are done, and the connection is cut unanswered */
    char code_of[32];
};

struct hub;

struct hub_node {
    struct hub *hub;
    unsigned index; /* in the model */
    char host[MSET_HOST_MAX + 1];
    uint16_t port;
    uv_tcp_t listener; /* of nodes inside the hub */
    bool is_listening;
    struct hub_link *link; /* its process; NULL: inside the hub, or not running */
    bool is_auth;          /* clients must log in */
    bool is_arbiter_kept;  /* it was an arbiter when it was last up: it stores no users */
    bool is_tls_required;
    SSL_CTX *tls; /* NULL: plain text only */
    char data_dir[HUB_PATH_MAX + 1];
    uint64_t rollbacks_written;
    struct hub_faults faults;
    struct mset_hello past; /* is_back */
};

/* One document as some write left it; entry `value` of the model is its place plus one. */
struct hub_write {
    char ns[128];
    bson_t *document; /* its _id alone when it was deleted; NULL: the collection was dropped */
    bool is_deleted;
};

struct hub {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_pipe_t control; /* faults, truth (control.c) */
    uv_pipe_t nodes;   /* processes of nodes (link.c) */
    char socket[HUB_PATH_MAX + 1];
    struct mset *set;
    uint64_t started_ns;
    unsigned speed;
    const struct mset_profile *profile;
    int64_t wall_us; /* at the start */
    unsigned nodes_count;
    struct hub_node node[MSET_NODES_MAX];
    unsigned users_count;
    struct hub_user users[HUB_USERS_MAX];
    struct hub_write *writes;
    size_t writes_count, writes_cap;
    struct conn *conns;
    struct hub_link *links;
    uint64_t last_tag;
    uint64_t commands; /* answered */
    FILE *log;         /* of commands, for tests; NULL: none */
};

/* --- hub.c --- */
/* Model time now: carries out what is due, answers what has become ready, sets the timer. */
void hub_pump(struct hub *hub);
struct hub_node *hub_node_by_port(struct hub *hub, unsigned port);
/* By index or host or port, as the control port names it; NULL. */
struct hub_node *hub_node_named(struct hub *hub, const char *name);
/* A new node; NULL: no room. */
struct hub_node *hub_node_add(struct hub *hub, const char *host, uint16_t port);
const struct hub_user *hub_user(const struct hub *hub, const char *name);
/* "NAME PASSWORD RIGHT,RIGHT..."; false: no room, or an unknown right. */
bool hub_user_add(struct hub *hub, const char *name, const char *password, const char *rights);
/* The wall clock as the model counts it, for dates. */
int64_t hub_wall_us(const struct hub *hub);
/* Its directory gets a rollback's files (what the model has counted). */
void hub_rollback_files(struct hub_node *node);

/* --- tls.c --- */
/* Server context from PEM files; `ret_why` (256 bytes). NULL on failure. */
SSL_CTX *tls_server(const char *cert_key, const char *ca, bool is_optional, char *ret_why);

/* --- conn.c --- */
struct cmd;
/* Takes over an accepted stream (uv_tcp_t allocated by malloc, initialised, connected). */
void conn_start(struct hub_node *node, uv_tcp_t *stream);
/* Ends all connections of a node (its process is gone). */
void conn_close_all(struct hub_node *node);
/* After the model has moved: gives replies out, wakes waiting hellos and paused requests. */
void conn_reply(struct hub *hub, const struct mset_reply *reply);
void conn_wake_all(struct hub *hub);
/* Moment of the model at which some waiting hello ends; MSET_NEVER. */
int64_t conn_next(const struct hub *hub);

/* --- link.c: processes of nodes --- */
struct hub_link;
bool link_listen(struct hub *hub, const char *path);
/* Ends the process: status of an orderly end, or below 0: as after SIGKILL. */
void link_end(struct hub_node *node, int status);
/* Processes that gave no sign of life stand still. */
void link_watch(struct hub *hub);

/* --- control.c --- */
bool control_listen(struct hub *hub, const char *path);
/* One line of the control port; the answer goes to `ret`. */
void control_run(struct hub *hub, const char *line, char *ret, size_t cap);

/* --- data.c: documents --- */
/* Keeps what a write leaves; returns the value of its entry. Takes `document`. */
uint64_t data_put(struct hub *hub, const char *ns, bson_t *document, bool is_deleted);
struct data_rows {
    const bson_t **rows;
    size_t count, cap;
};
/* Documents of a collection as this node has them, in the order of their first write. */
void data_rows(const struct hub *hub, unsigned node, const char *ns, struct data_rows *ret);
void data_rows_free(struct data_rows *rows);
bool data_matches(const bson_t *document, const bson_t *filter);
/* The document after an update ($set, $inc, $unset, $setOnInsert, $currentDate, or a replacement);
 * `before` NULL: an upsert by `filter`. NULL: an operator that is not known. */
bson_t *data_updated(const bson_t *before, const bson_t *filter, const bson_t *update,
                     int64_t wall_us);
/* Names of collections that a node has documents of, each once; "db.name" in `ret`. */
size_t data_collections(const struct hub *hub, unsigned node, char ret[][128], size_t cap);

#endif
