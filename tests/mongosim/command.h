/* SPDX-License-Identifier: Apache-2.0 */
/* One command at work, and the table of those that are known.
 *
 * A handler fills `reply` and returns CMD_REPLY, or begins something that the model answers later
 * (CMD_WAIT, after cmd_begin), or closes the connection. command.c runs them and checks rights;
 * cmd_hello.c, cmd_login.c, cmd_status.c, cmd_config.c, cmd_data.c, cmd_info.c hold the handlers.
 */
#ifndef QUORATE_TESTS_MONGOSIM_COMMAND_H
#define QUORATE_TESTS_MONGOSIM_COMMAND_H

#include "tests/mongosim/hub.h"

enum cmd_outcome {
    CMD_REPLY,
    CMD_WAIT,  /* the model answers, or (hello) a change or the limit is waited for */
    CMD_CLOSE, /* the connection ends without an answer */
};

struct cmd_spec;

struct cmd {
    struct hub *hub;
    struct hub_node *node;
    struct conn *conn;
    struct wire_request *request;
    const bson_t *body;
    const char *name; /* as sent */
    const struct cmd_spec *spec;
    bson_t reply;
    uint64_t tag;               /* of what the model has at work; 0: nothing */
    int64_t until;              /* hello that waits: its limit, of model time */
    uint64_t counter;           /* ... and what the client knows already */
    bool is_exhaust;            /* ... and it goes on for ever */
    unsigned done;              /* writes: documents that are done ... */
    unsigned matched, modified; /* ... and how many they were */
    bson_t upserted;            /* of update: array */
    bool has_upserted;
};

struct cmd_spec {
    const char *name;
    unsigned right;
    enum cmd_outcome (*run)(struct cmd *c);
    /* The model has answered; NULL: code and text are the answer. */
    enum cmd_outcome (*finish)(struct cmd *c, const struct mset_reply *reply);
};

/* What a connection knows of its user; conn.c keeps it. */
struct session {
    char user[128];
    char database[64];
    unsigned rights;
    struct scram scram;
    bool is_scram_open;
    char subject[256]; /* of the client's certificate; empty: none */
    int32_t number;
    int32_t conversation;
};
struct session *conn_session(struct conn *conn);

/* --- command.c --- */
enum cmd_outcome cmd_run(struct cmd *c);
enum cmd_outcome cmd_finished(struct cmd *c, const struct mset_reply *reply);
/* {ok: 0, errmsg, code, codeName} as the whole answer. */
enum cmd_outcome cmd_fail(struct cmd *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum cmd_outcome cmd_ok(struct cmd *c); /* appends ok: 1 */
const char *cmd_code_name(int code);
/* Hands it to the model; the answer comes to `finish`. */
enum cmd_outcome cmd_begin(struct cmd *c, struct mset_command *command);
bool cmd_is_allowed(const struct cmd *c, unsigned right);
/* Values of the body; the default when missing. Numbers of any type. */
int64_t cmd_int(const bson_t *doc, const char *key, int64_t otherwise);
bool cmd_bool(const bson_t *doc, const char *key, bool otherwise);
const char *cmd_text(const bson_t *doc, const char *key);           /* NULL: missing */
bool cmd_document(const bson_t *doc, const char *key, bson_t *ret); /* also arrays; static */

/* Parts of answers that several have. */
void put_optime(bson_t *to, const char *key, const struct mset_optime *optime, bool has_term);
void put_date(bson_t *to, const char *key, int64_t wall_us);
void put_oid(bson_t *to, const char *key, const uint8_t id[12]);

enum cmd_outcome cmd_hello(struct cmd *c);
/* topologyVersion, where the release has it. */
void cmd_topology(struct cmd *c, bson_t *to);
void cmd_hello_fill(struct cmd *c, bson_t *to, bool is_embedded);
enum cmd_outcome cmd_sasl_start(struct cmd *c);
enum cmd_outcome cmd_sasl_continue(struct cmd *c);
enum cmd_outcome cmd_authenticate(struct cmd *c);
enum cmd_outcome cmd_nonce(struct cmd *c); /* of clients older than SCRAM; leads to no login */
enum cmd_outcome cmd_logout(struct cmd *c);
enum cmd_outcome cmd_connection_status(struct cmd *c);
void cmd_speculative(struct cmd *c, bson_t *to);
void cmd_mechanisms(struct cmd *c, bson_t *to);
enum cmd_outcome cmd_status(struct cmd *c);
enum cmd_outcome cmd_server_status(struct cmd *c);
enum cmd_outcome cmd_get_config(struct cmd *c);
enum cmd_outcome cmd_initiate(struct cmd *c);
enum cmd_outcome cmd_reconfig(struct cmd *c);
enum cmd_outcome cmd_step_down(struct cmd *c);
enum cmd_outcome cmd_freeze(struct cmd *c);
enum cmd_outcome cmd_step_up(struct cmd *c);
enum cmd_outcome cmd_abort_catch_up(struct cmd *c);
enum cmd_outcome cmd_maintenance(struct cmd *c);
enum cmd_outcome cmd_set_concern(struct cmd *c);
enum cmd_outcome cmd_set_concern_done(struct cmd *c, const struct mset_reply *reply);
enum cmd_outcome cmd_get_concern(struct cmd *c);
enum cmd_outcome cmd_shutdown(struct cmd *c);
enum cmd_outcome cmd_insert(struct cmd *c);
enum cmd_outcome cmd_update(struct cmd *c);
enum cmd_outcome cmd_delete(struct cmd *c);
enum cmd_outcome cmd_drop(struct cmd *c);
enum cmd_outcome cmd_written(struct cmd *c, const struct mset_reply *reply);
enum cmd_outcome cmd_find(struct cmd *c);
enum cmd_outcome cmd_get_more(struct cmd *c);
enum cmd_outcome cmd_count(struct cmd *c);
enum cmd_outcome cmd_aggregate(struct cmd *c);
enum cmd_outcome cmd_build_info(struct cmd *c);
enum cmd_outcome cmd_list_databases(struct cmd *c);
enum cmd_outcome cmd_list_collections(struct cmd *c);
enum cmd_outcome cmd_get_parameter(struct cmd *c);
enum cmd_outcome cmd_host_info(struct cmd *c);
enum cmd_outcome cmd_stats(struct cmd *c);
enum cmd_outcome cmd_top(struct cmd *c);
enum cmd_outcome cmd_options(struct cmd *c);
enum cmd_outcome cmd_log(struct cmd *c);

#endif
