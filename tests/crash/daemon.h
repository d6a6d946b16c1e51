/* SPDX-License-Identifier: Apache-2.0 */
/* A real quorated on loopback as a child of a sweep: started with or without the shim, asked over
 * the JSON gateway, awaited. It dies with the sweep. */
#ifndef QUORATE_TESTS_CRASH_DAEMON_H
#define QUORATE_TESTS_CRASH_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DAEMON_TEXT 32768u
#define DAEMONS_MAX 3u

struct daemon {
    const char *program; /* quorated */
    const char *shim;    /* the library */
    const char *page;    /* of the shim; NULL: without */
    char directory[256]; /* data_dir */
    char log[256];
    char name[8];
    char nodes[128]; /* quorum.nodes */
    char api[32];    /* host:port */
    unsigned snapshot_count;
    pid_t pid;  /* 0: not running */
    int status; /* of waitpid, once it has ended */
};

/* A fresh directory for all of it: below TMPDIR, else in /dev/shm, else in /tmp. */
void daemon_place(char *ret, size_t cap, const char *what);
/* Names d1 ... and free ports for `count` nodes of one quorum, directories below `top`. */
void daemon_plan(struct daemon *list, size_t count, const char *top);
void daemon_start(struct daemon *d);
/* Whether it runs; notes how it ended. */
bool daemon_is_up(struct daemon *d);
/* False: it still runs after that time. */
bool daemon_wait_end(struct daemon *d, int wait_ms);
void daemon_kill(struct daemon *d);
/* SIGTERM, then the end; SIGKILL after 20 s, and false. */
bool daemon_stop(struct daemon *d);
/* The HTTP status, 0 without an answer; the body without term and
 * member id, cut at cap. */
int daemon_ask(const struct daemon *d, const char *path, const char *json, char *ret_body,
               size_t cap);
/* Until a linearizable read succeeds. False: it ended, or wait_ms passed. */
bool daemon_wait_ready(struct daemon *d, int wait_ms);
/* Everything that a client can see, as text to compare. False: no answer. */
bool daemon_view(const struct daemon *d, char ret[DAEMON_TEXT]);
/* Milliseconds of a clock for deadlines; a short pause between two looks. */
int64_t daemon_now_ms(void);
void daemon_pause(void);
/* A program with up to three arguments; it has to succeed. */
void daemon_run(const char *program, const char *a, const char *b, const char *c);
/* The last line of the log that is an error, or what is there. */
void daemon_last_words(const struct daemon *d, char *ret, size_t cap);

#endif
