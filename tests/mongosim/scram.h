/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of SCRAM-SHA-1 and SCRAM-SHA-256 as MongoDB speaks it (RFC 5802, RFC 7677;
 * SCRAM-SHA-1 over the digest of "user:mongo:password").
 */
#ifndef QUORATE_TESTS_MONGOSIM_SCRAM_H
#define QUORATE_TESTS_MONGOSIM_SCRAM_H

#include <stdbool.h>
#include <stddef.h>

#define SCRAM_TEXT_MAX 511

enum scram_kind { SCRAM_SHA_1, SCRAM_SHA_256 };

struct scram {
    enum scram_kind kind;
    int step; /* 0: nothing said yet, 1: challenge sent, 2: proof accepted, 3: over */
    char user[64];
    char first_bare[SCRAM_TEXT_MAX + 1]; /* the client's first message without its header */
    char server_first[SCRAM_TEXT_MAX + 1];
    char nonce[128];
};

/* The client's first message. False: malformed. On success `scram->user` is whom to look up, and
 * `ret` what to answer. */
bool scram_first(struct scram *scram, enum scram_kind kind, const char *message, char *ret,
                 size_t cap);
/* The client's proof, by the password that it should know. False: wrong. `ret`: our own proof. */
bool scram_final(struct scram *scram, const char *password, const char *message, char *ret,
                 size_t cap);

#endif
