/* SPDX-License-Identifier: Apache-2.0 */
/* Galera's own files: grastate.dat, gvwstate.dat, and the line that --wsrep-recover prints.
 *
 * grastate.dat: uuid, seqno and safe_to_bootstrap of the data as they were left; seqno is -1 while
 * the server runs and after a crash. gvwstate.dat: the last view, by uuids of connections. Pure:
 * bytes in, facts out; nothing in them is believed beyond its form.
 */
#ifndef QUORATE_AGENTS_GALERA_GRASTATE_H
#define QUORATE_AGENTS_GALERA_GRASTATE_H

#include "base/slice.h"
#include "proto/msg/galera.h"

struct gal_grastate {
    struct msg_galera_position position;
    bool is_safe_to_bootstrap;
};

/* "8bcf4a34-aedb-14e5-bcc3-d3e36277729f"; INVALID. */
MUST_CHECK int gal_uuid_parse(struct slice text, uint8_t ret[static 16]);
void gal_uuid_put(const uint8_t uuid[static 16], struct buf *b);
bool gal_uuid_is_nil(const uint8_t uuid[static 16]);

/* "UUID:SEQNO", seqno -1 or more; INVALID. */
MUST_CHECK int gal_position_parse(struct slice text, struct msg_galera_position *ret);
void gal_position_put(const struct msg_galera_position *position, struct buf *b);

/* INVALID: empty, without a uuid or a seqno, or a line that cannot be read. */
MUST_CHECK int gal_grastate_parse(struct slice text, struct gal_grastate *ret);
void gal_grastate_put(const struct gal_grastate *state, struct buf *b);

/* Number of members of the last view; INVALID. */
MUST_CHECK int gal_gvwstate_parse(struct slice text, unsigned *ret_members);

/* A line of the server's output: true when it tells the recovered position. */
bool gal_recovered_parse(struct slice line, struct msg_galera_position *ret);

/* What a server that does not start finds wrong with its data. A disk that is full or away, and
 * files that it may not open, are no damage: the operating system's reasons stand beside. */
struct gal_damage {
    struct base_text first; /* what InnoDB says first; empty: nothing */
    bool is_of_system;
};
/* A line of its output. */
void gal_damage_note(struct gal_damage *damage, struct slice line);
bool gal_is_damaged(const struct gal_damage *damage);

#endif
