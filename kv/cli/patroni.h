/* SPDX-License-Identifier: Apache-2.0 */
/* Patroni's settings as `kv import-patroni` understands them: one row for each key of its
 * documentation (patroni_keys.c), and what is made of it (patroni_take.c). A key that no row knows
 * is told as such, never passed over. One thread. */
#ifndef QUORATE_KV_CLI_PATRONI_H
#define QUORATE_KV_CLI_PATRONI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "kv/cli/flat.h"

/* What became of a key. */
enum patroni_fate {
    PATRONI_TAKEN,   /* stands in what was written */
    PATRONI_RENAMED, /* has another name or place with us, and was not taken by itself */
    PATRONI_NONE,    /* has no counterpart, or needs none */
};
const char *patroni_fate_text(enum patroni_fate fate);

/* What is being written. Keys of the agent's file are kept as a JSON object of sections. */
struct patroni_import {
    const struct flat_file *file;
    json_t *agent;    /* {"cluster": {"name": ...}, "member": ..., ...} */
    json_t *document; /* the cluster's configuration document */
    json_t *secrets;  /* role: password */
};

struct patroni_row {
    const char *pattern; /* of a path; a "*" stands for one word, a last "**" for all that follow */
    enum patroni_fate fate;
    const char *ours; /* our name; NULL: none */
    const char *text; /* for people; may be NULL */
    /* Takes the value. False: it cannot be taken so, and the row's text says what to do. NULL:
     * nothing is taken. */
    bool (*take)(struct patroni_import *import, const struct patroni_row *row,
                 const struct flat_leaf *leaf);
};

/* The row of a path; NULL: none. */
const struct patroni_row *patroni_row_of(const char *path);
const struct patroni_row *patroni_rows(size_t *ret_count);

/* --- takers, named in the table (patroni_take.c) --- */
#define PATRONI_TAKER(name) \
    bool patroni_take_##name(struct patroni_import *import, const struct patroni_row *row, \
                             const struct flat_leaf *leaf)
PATRONI_TAKER(text);      /* ours is a key of the agent's file */
PATRONI_TAKER(name);      /* ... and the value is made a name of ours */
PATRONI_TAKER(list);      /* ... and the value one of a list */
PATRONI_TAKER(parameter); /* a setting of the server, of this member */
PATRONI_TAKER(listen);    /* postgresql.listen with its port */
PATRONI_TAKER(connect);   /* postgresql.connect_address */
PATRONI_TAKER(http);      /* restapi.listen */
PATRONI_TAKER(level);     /* log.level */
PATRONI_TAKER(watchdog);  /* watchdog.mode */
PATRONI_TAKER(priority);  /* tags.failover_priority */
PATRONI_TAKER(socket);    /* unix_socket_directories */
PATRONI_TAKER(secret);    /* ours is the role */
PATRONI_TAKER(superuser); /* its name can be no other */
PATRONI_TAKER(doc_bool);  /* ours is a key of the document */
PATRONI_TAKER(doc_number);
PATRONI_TAKER(doc_text);
PATRONI_TAKER(doc_seconds);
PATRONI_TAKER(doc_line);      /* ... and the value one of a list */
PATRONI_TAKER(doc_parameter); /* a setting of the server, of all members */
PATRONI_TAKER(doc_slot);
PATRONI_TAKER(doc_sync);
PATRONI_TAKER(doc_start_timeout);

/* Sets "a.b" of a nested object. */
void patroni_put(json_t *object, const char *path, json_t *value);
/* A name of ours: a-z 0-9 _ -, beginning with a letter or digit. */
void patroni_name_of(const char *text, char *ret, size_t cap);
/* The agent's file in YAML. */
void patroni_print_agent(const json_t *agent, FILE *out);

#endif
