/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of sqlload and galeraload: each a thread with a session of its own and one kind of work.
 */
#ifndef QUORATE_JEPSEN_SQL_LOAD_H
#define QUORATE_JEPSEN_SQL_LOAD_H

#include "jepsen/sql/sql.h"

#define LOAD_CLIENTS_MAX 32
#define LOAD_OPS_MAX (1 << 16) /* bytes of the operations of one transaction */

struct load_client;

/* One transaction: calls it, writes it to the history, returns how it ended. */
typedef enum sql_end (*load_step)(struct load_client *client);

/* What a kind of work does at the start and at the end. */
struct load_kind {
    const char *name;
    const char *schema;  /* statements; done once by --prepare; NULL: the engine's lists */
    const char *field;   /* of its history; NULL txn */
    const char *opening; /* what its history begins with, or NULL */
    load_step step;
    load_step final; /* reads all, once everything is healed; until it is OK */
};

struct load_client {
    const struct load_kind *kind;
    struct sql_history *history;
    struct sql_session session;
    pthread_t thread;
    uint64_t random;
    int64_t process; /* changes after an unknown outcome: the old one may still be at it */
    int64_t counts[3];
    int64_t conflicts;
    int64_t pause_us;
    int64_t final_next; /* how far the last read has come */
    char ops[LOAD_OPS_MAX];
    size_t ops_len;
};

extern const struct load_kind load_append;
extern const struct load_kind load_bank;
extern const struct load_kind load_set;
extern const struct load_kind load_register;

/* The set's first value, over ten: for a load beside what earlier ones have left. */
void load_set_first(int64_t value);

/* A number below LIMIT. */
uint64_t load_draw(struct load_client *client, uint64_t limit);
/* Adds to the operations of the transaction, with a comma in between. */
__attribute__((format(printf, 2, 3))) void load_op(struct load_client *client, const char *format,
                                                   ...);
/* Ends a transaction: writes its line. */
enum sql_end load_end(struct load_client *client, enum sql_end end, int64_t call_us);
/* Gives up a transaction whose statement before the commit ended with END: it has surely no effect.
 */
enum sql_end load_give_up(struct load_client *client, enum sql_end end, int64_t call_us);

#endif
