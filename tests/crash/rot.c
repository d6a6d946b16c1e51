/* SPDX-License-Identifier: Apache-2.0 */
/* Damage done to the files of a real quorated while it is down: bits, sectors and pages of the
 * log's files and of the state's, and files that were cut.
 *
 *   rot --quorated FILE [--points N] [--seed N]
 *
 * The node either starts and shows what it showed before, or refuses or ends with words. Damage in
 * the log that goes unnoticed is a failure; in the state's file, whose pages LMDB does not check,
 * it is counted. Ending by a signal is a failure unless a line says what that means. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/rand.h"
#include "base/types.h"
#include "tests/crash/scenario.h"

#define READY_MS 30000
#define BAD_MAX 5u

enum region { REGION_BATCH, REGION_BEHIND, REGION_STATE, REGIONS };
static const char *const region_names[REGIONS] = {"the log's batches", "the log behind its end",
                                                  "the state"};
static const char *const files[REGIONS] = {"wal/wal-0000000000000001.seg",
                                           "wal/wal-0000000000000001.seg", "store.mdb"};
enum damage {
    DAMAGE_BIT,
    DAMAGE_BYTE,
    DAMAGE_SECTOR_ZERO,
    DAMAGE_PAGE_RANDOM,
    DAMAGE_CUT,
    DAMAGES
};
static const char *const damage_names[DAMAGES] = {"a bit", "a byte", "a sector of zeros",
                                                  "a page of noise", "cut"};

struct rot {
    struct daemon d;
    char top[200], kept[256], before[DAEMON_TEXT];
    struct base_rand rand;
    uint64_t log_bytes; /* of batches */
    uint64_t seen[REGIONS], refused[REGIONS], harmless[REGIONS], silent[REGIONS], bad;
};

static int open_of(const struct rot *r, enum region region)
{
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/%s", r->d.directory, files[region]);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    BASE_ASSERT(fd >= 0);
    return fd;
}

/* Behind the last byte that is not zero. */
static uint64_t used_of(int fd)
{
    uint8_t sector[512];
    uint64_t used = 0;
    for (off_t at = 0; pread(fd, sector, sizeof(sector), at) == (ssize_t)sizeof(sector);
         at += 512) {
        for (size_t i = 0; i < sizeof(sector); i++) {
            used = sector[i] != 0 ? (uint64_t)at + 512 : used;
        }
    }
    return used;
}

/* One node with some history, down in order. */
static bool prepare(struct rot *r)
{
    struct daemon *d = &r->d;
    daemon_start(d);
    bool is_good = daemon_wait_ready(d, READY_MS);
    for (size_t i = 0; is_good && i < SCENARIO_STEPS; i++) {
        is_good = scenario_step(d, i, NULL);
    }
    is_good = is_good && daemon_view(d, r->before) && daemon_stop(d);
    (void)snprintf(r->kept, sizeof(r->kept), "%s/kept", r->top);
    is_good = is_good && rename(d->directory, r->kept) == 0;
    if (is_good) {
        daemon_run("cp", "-a", r->kept, d->directory);
        int fd = open_of(r, REGION_BATCH);
        r->log_bytes = used_of(fd);
        (void)close(fd);
    }
    printf("%s", is_good ? "" : "FAILED setup: the node does not carry out the scenario\n");
    return is_good;
}

/* Says what was done. */
static void harm(struct rot *r, enum region region, enum damage damage, char *ret, size_t cap)
{
    uint8_t bytes[4096];
    struct stat is;
    int fd = open_of(r, region);
    BASE_ASSERT(fstat(fd, &is) == 0);
    uint64_t from = region == REGION_BEHIND ? r->log_bytes + 4096 : 0;
    uint64_t to = region == REGION_BATCH ? r->log_bytes : (uint64_t)is.st_size;
    uint64_t at = base_rand_between(&r->rand, from, to - 1);
    size_t len = damage <= DAMAGE_BYTE ? 1 : damage == DAMAGE_SECTOR_ZERO ? 512 : sizeof(bytes);
    at = len > 1 ? at / len * len : at;
    (void)snprintf(ret, cap, "%s at %" PRIu64 " of %" PRIu64 " in %s", damage_names[damage], at, to,
                   files[region]);
    if (damage == DAMAGE_CUT) {
        BASE_ASSERT(ftruncate(fd, (off_t)at) == 0);
        (void)close(fd);
        return;
    }
    BASE_ASSERT(pread(fd, bytes, len, (off_t)at) >= 0);
    for (size_t i = 0; i < len; i++) {
        uint8_t noise = (uint8_t)base_rand_between(&r->rand, 1, 255);
        uint8_t bit = (uint8_t)(1u << noise % 8);
        bytes[i] = damage == DAMAGE_BIT           ? (uint8_t)(bytes[i] ^ bit)
                   : damage == DAMAGE_SECTOR_ZERO ? 0
                                                  : (uint8_t)(bytes[i] ^ noise);
    }
    BASE_ASSERT(pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
    (void)close(fd);
}

static void bad(struct rot *r, const char *rule, const char *what)
{
    char words[300];
    daemon_last_words(&r->d, words, sizeof(words));
    r->bad++;
    printf("FAILED %s: %s; last words: %s; status %#x\n", rule, what, words, (unsigned)r->d.status);
    (void)fflush(stdout);
}

/* How it ended: with words and, after a signal, with a line about that signal. */
static void judge_end(struct rot *r, enum region region, const char *what)
{
    char words[300];
    daemon_last_words(&r->d, words, sizeof(words));
    r->refused[region]++;
    if (strcmp(words, "nothing") == 0) {
        bad(r, "says-why", what);
    } else if (WIFSIGNALED(r->d.status) && strstr(words, "mod=fault") == NULL &&
               strstr(words, "ev=state_damaged") == NULL) {
        bad(r, "no-crash", what);
    }
}

static void judge(struct rot *r, enum region region, const char *what)
{
    static char now[DAEMON_TEXT];
    struct daemon *d = &r->d;
    daemon_start(d);
    bool is_seen = daemon_wait_ready(d, READY_MS) && daemon_view(d, now);
    if (!is_seen && !daemon_wait_end(d, READY_MS)) {
        bad(r, "starts-or-refuses", what);
        daemon_kill(d);
        return;
    }
    if (!is_seen) {
        judge_end(r, region, what);
        return;
    }
    bool is_same = strcmp(now, r->before) == 0;
    bool is_written = scenario_step(d, 43, NULL);
    bool is_stopped = daemon_stop(d);
    if (!is_same) {
        r->silent[region]++;
    } else if (is_written && is_stopped && WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0) {
        r->harmless[region]++;
    } else {
        judge_end(r, region, what);
    }
    if (!is_same && region != REGION_STATE) {
        bad(r, "damage-of-the-log-is-seen", what);
    }
}

static int sweep(struct rot *r, uint64_t points)
{
    char what[200];
    daemon_plan(&r->d, 1, r->top);
    if (!prepare(r)) {
        return 1;
    }
    for (uint64_t i = 0; i < points && r->bad < BAD_MAX; i++) {
        enum region region = (enum region)(i % 4 < 2     ? REGION_BATCH
                                           : i % 4 == 2  ? REGION_STATE
                                           : i % 16 == 3 ? REGION_BEHIND
                                                         : REGION_STATE);
        daemon_run("rm", "-rf", "--", r->d.directory);
        daemon_run("cp", "-a", r->kept, r->d.directory);
        (void)unlink(r->d.log);
        harm(r, region, (enum damage)(i / 4 % DAMAGES), what, sizeof(what));
        r->seen[region]++;
        judge(r, region, what);
        daemon_kill(&r->d);
    }
    for (size_t i = 0; i < REGIONS; i++) {
        printf("rot in %s: %" PRIu64 ", %" PRIu64 " told, %" PRIu64 " without effect, %" PRIu64
               " unnoticed\n",
               region_names[i], r->seen[i], r->refused[i], r->harmless[i], r->silent[i]);
    }
    return r->bad == 0 && r->refused[REGION_BATCH] > 0 && r->refused[REGION_STATE] > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quorated", required_argument, NULL, 'q'},
                                            {"points", required_argument, NULL, 'p'},
                                            {"seed", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    struct rot *r = calloc(1, sizeof(*r));
    uint64_t points = 60;
    uint64_t seed = 1;
    int c = 0;
    BASE_ASSERT(r != NULL);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'q') {
            r->d.program = realpath(optarg, NULL);
        } else if (c == 'p') {
            points = strtoull(optarg, NULL, 10);
        } else if (c == 's') {
            seed = strtoull(optarg, NULL, 10);
        }
    }
    if (r->d.program == NULL || optind != argc) {
        (void)fprintf(stderr, "usage: rot --quorated FILE [--points N] [--seed N]\n");
        return 2;
    }
    r->rand = base_rand_make(seed, 1);
    daemon_place(r->top, sizeof(r->top), "rot");
    int rc = sweep(r, points);
    daemon_run("rm", "-rf", "--", r->top);
    return rc;
}
