/* SPDX-License-Identifier: Apache-2.0 */
/* Crash images and errors of a quorum node's two stores.
 *
 *   crash images [--seed N] [--images N] [--ms N]    power failures at every flush
 *   crash errors [--seed N] [--points N] [--ms N]    EIO and ENOSPC at one write or flush
 *
 * Prints what was done and one line FAILED RULE: ... for each image that breaks a rule (at most 5),
 * and exits with 1 then. Files go to a directory below TMPDIR, else /dev/shm, else /tmp; those of a
 * bad image stay. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/canary.h"
#include "tests/crash/image.h"
#include "tests/crash/inspect.h"

#define BAD_MAX 5u

struct setup {
    uint64_t seed;
    uint64_t images; /* 0: as many as the mode thinks fit */
    uint64_t points;
    int64_t ms;
    char top[128];
    bool is_quiet;
};

struct tally {
    uint64_t images, dirty, points, stopped, bad;
    uint64_t left_out;
};

static struct story *story;

/* --- directories --- */

static void make_directory(const char *path)
{
    char wal[256];
    (void)snprintf(wal, sizeof(wal), "%s/wal", path);
    BASE_ASSERT(mkdir(path, 0700) == 0 && mkdir(wal, 0700) == 0);
}

static void remove_directory(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
}

/* --- one image --- */

/* In a process of its own: an abort of what reads the files is a finding too. */
static bool check_image(const char *directory, const struct promise *promise, char *ret_text)
{
    int ends[2];
    BASE_ASSERT(pipe(ends) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    BASE_ASSERT(pid >= 0);
    if (pid == 0) {
        char text[GROUP_TEXT_MAX] = "";
        (void)alarm(60);
        bool is_good = inspect_image(directory, story, promise, text);
        (void)!write(ends[1], text, strlen(text));
        _exit(is_good ? 0 : 1);
    }
    (void)close(ends[1]);
    ssize_t len = read(ends[0], ret_text, GROUP_TEXT_MAX - 1);
    ret_text[len > 0 ? len : 0] = 0;
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) {
        (void)snprintf(ret_text, GROUP_TEXT_MAX, "no-crash: ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0 && ret_text[0] == 0) {
        (void)snprintf(ret_text, GROUP_TEXT_MAX, "no-crash: ended with status %d",
                       WEXITSTATUS(status));
    }
    return status == 0;
}

static void try_image(const struct setup *setup, struct tally *t, struct image_disk *disk,
                      size_t at, size_t promises, struct base_rand *rand)
{
    static const struct promise nothing;
    char directory[256];
    char text[GROUP_TEXT_MAX];
    uint64_t number = t->images++;
    enum image_mood mood = (enum image_mood)(number % IMAGE_MOODS);
    uint64_t piece = number / IMAGE_MOODS % 2 == 0 ? 512 : 4096;
    (void)snprintf(directory, sizeof(directory), "%s/image-%" PRIu64, setup->top, number);
    make_directory(directory);
    t->dirty += image_disk_is_dirty(disk);
    t->left_out += image_disk_write(disk, directory, mood, piece, rand);
    const struct promise *promise = promises == 0 ? &nothing : &story->promises[promises - 1];
    if (check_image(directory, promise, text)) {
        remove_directory(directory);
        return;
    }
    t->bad++;
    printf("FAILED %s; seed %" PRIu64 ", cut at %zu of %zu, mood %d, pieces of %" PRIu64
           ", files in %s\n",
           text, setup->seed, at, record_count(), (int)mood, piece, directory);
    (void)fflush(stdout);
}

static bool is_cut_point(const struct record *r)
{
    return r->type == RECORD_SYNC || r->type == RECORD_SYNC_DIRECTORY || r->type == RECORD_RENAME ||
           (r->type == RECORD_WRITE && r->is_durable);
}

#define FIRST_POINTS UINT64_C(30)

/* How many images are due by the n-th of `points`: every mood at each of the first, where the files
 * are made; the others spread evenly. */
static uint64_t due(uint64_t images, uint64_t n, uint64_t points)
{
    uint64_t first = (n < FIRST_POINTS ? n : FIRST_POINTS) * IMAGE_MOODS;
    uint64_t rest = images > FIRST_POINTS * IMAGE_MOODS ? images - FIRST_POINTS * IMAGE_MOODS : 0;
    return first + rest * n / points;
}

/* Images before every flush, as many as there are, and just behind what was promised. */
static void enumerate(const struct setup *setup, struct tally *t)
{
    struct base_rand rand = base_rand_make(setup->seed, 2);
    struct image_disk *disk = image_disk_new();
    size_t promises = 0;
    uint64_t points = 0;
    uint64_t seen = 0;
    for (size_t i = 0; i < record_count(); i++) {
        points += is_cut_point(record_at(i)) || record_at(i)->type == RECORD_MARK;
    }
    for (size_t i = 0; i < record_count() && t->bad < BAD_MAX; i++) {
        const struct record *r = record_at(i);
        bool is_mark = r->type == RECORD_MARK;
        if (is_mark) {
            promises = (size_t)r->offset + 1;
        }
        if (is_mark || is_cut_point(r)) {
            seen++;
            while (t->images < due(setup->images, seen, points) && t->bad < BAD_MAX) {
                try_image(setup, t, disk, i, promises, &rand);
            }
        }
        image_disk_apply(disk, r);
    }
    t->points += points;
    image_disk_free(disk);
}

/* --- the two modes --- */

static bool run_story(const struct setup *setup, const char *directory,
                      const struct record_failure *failure)
{
    memset(story, 0, sizeof(*story));
    make_directory(directory);
    record_start(directory);
    if (failure != NULL) {
        record_fail(failure);
    }
    struct group_options options = {.seed = setup->seed, .ms = setup->ms, .directory = directory};
    group_run(&options, story);
    if (story->broken[0] != 0) {
        printf("FAILED %s; seed %" PRIu64 "\n", story->broken, setup->seed);
    }
    return story->broken[0] == 0;
}

static int images(const struct setup *setup)
{
    struct tally t = {0};
    char directory[256];
    (void)snprintf(directory, sizeof(directory), "%s/run", setup->top);
    if (!run_story(setup, directory, NULL)) {
        return 1;
    }
    if (story->halted != 0) {
        printf("FAILED no-error: node 1 stopped: %s %s\n", base_error_text(story->halted),
               story->fatal);
        return 1;
    }
    printf("run: %" PRIu64 " entries, %" PRIu64 " acknowledged, %zu promises, %" PRIu64
           " taken back, %" PRIu64 " truncations, %" PRIu64 " images installed, %" PRIu64
           " member changes, %" PRIu64 " leaderships, %" PRIu64 " restarts, %" PRIu64
           " writes, %" PRIu64 " flushes\n",
           story->committed, story->acked, story->promise_count, story->taken_back,
           story->truncations, story->images, story->changes, story->leads, story->restarts,
           story->writes, story->syncs);
    (void)fflush(stdout);
    enumerate(setup, &t);
    printf("crash images: %" PRIu64 " (%" PRIu64 " with something not flushed, %" PRIu64
           " pieces left out), %" PRIu64 " bad\n",
           t.images, t.dirty, t.left_out, t.bad);
    bool has_happened = story->truncations > 0 && story->images > 0 && story->changes > 0 &&
                        story->restarts > 0 && story->acked > 100 && t.dirty * 2 > t.images;
    if (t.bad == 0 && !has_happened) {
        printf("FAILED coverage: too little happened in this run\n");
    }
    return t.bad == 0 && has_happened ? 0 : 1;
}

/* Temporary files of images: a node can do without them. */
static bool may_go_on(const char *name)
{
    return strncmp(name, "image-", 6) == 0 || strcmp(name, "store.new") == 0;
}

static void check_after_error(const struct setup *setup, struct tally *t, struct base_rand *rand)
{
    struct image_disk *disk = image_disk_new();
    for (size_t i = 0; i < record_count(); i++) {
        image_disk_apply(disk, record_at(i));
    }
    for (int i = 0; i < 4 && t->bad < BAD_MAX; i++) {
        try_image(setup, t, disk, record_count(), story->promise_count, rand);
    }
    image_disk_free(disk);
}

static void one_error(const struct setup *setup, struct tally *t, const struct record_failure *f)
{
    char directory[256];
    struct base_rand rand = base_rand_make(setup->seed, 3 + f->n);
    (void)snprintf(directory, sizeof(directory), "%s/run-%" PRIu64, setup->top, t->points++);
    if (!run_story(setup, directory, f)) {
        t->bad++;
        return;
    }
    struct record_failure failed = record_failed();
    t->stopped += story->halted != 0;
    if (failed.has_begun && story->halted == 0 && !may_go_on(failed.name)) {
        t->bad++;
        printf("FAILED stops-at-error: %s number %" PRIu64 " on '%s' failed, node 1 went on\n",
               f->is_sync ? "flush" : "write", f->n, failed.name);
    }
    if (story->halted != 0 && story->fatal[0] == 0) {
        t->bad++;
        printf("FAILED says-why: node 1 stopped without a word\n");
    }
    if (failed.has_begun && !setup->is_quiet && t->points % 16 == 1) {
        printf("  %s %" PRIu64 " on '%s' (%s): %s\n", f->is_sync ? "flush" : "write", f->n,
               failed.name, strerror(f->error), story->fatal[0] != 0 ? story->fatal : "went on");
    }
    check_after_error(setup, t, &rand);
    remove_directory(directory);
}

static int errors(const struct setup *setup)
{
    struct tally t = {0};
    struct base_rand rand = base_rand_make(setup->seed, 9);
    char directory[256];
    (void)snprintf(directory, sizeof(directory), "%s/run", setup->top);
    if (!run_story(setup, directory, NULL)) {
        return 1;
    }
    uint64_t writes = story->writes;
    uint64_t syncs = story->syncs;
    for (uint64_t i = 0; i < setup->points && t.bad < BAD_MAX; i++) {
        bool is_sync = i % 2 == 0;
        uint64_t max = is_sync ? syncs : writes;
        uint64_t n = i < 60 ? i / 2 + 1 : base_rand_between(&rand, 31, max > 31 ? max : 31);
        struct record_failure f = {
            .is_sync = is_sync, .n = n, .error = i / 2 % 2 == 0 ? EIO : ENOSPC};
        one_error(setup, &t, &f);
    }
    printf("errors: %" PRIu64 " points of %" PRIu64 " writes and %" PRIu64
           " flushes, node 1 stopped "
           "at %" PRIu64 ", %" PRIu64 " images after them, %" PRIu64 " bad\n",
           t.points, writes, syncs, t.stopped, t.images, t.bad);
    return t.bad == 0 && t.stopped > 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: crash images|errors [--seed N] [--images N] [--points N] "
                          "[--ms N] [--quiet]\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct setup *setup)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},   {"images", required_argument, NULL, 'i'},
        {"points", required_argument, NULL, 'p'}, {"ms", required_argument, NULL, 'm'},
        {"quiet", no_argument, NULL, 'q'},        {NULL, 0, NULL, 0}};
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t number = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;
        switch (c) {
        case 's':
            setup->seed = number;
            break;
        case 'i':
            setup->images = number;
            break;
        case 'p':
            setup->points = number;
            break;
        case 'm':
            setup->ms = (int64_t)number;
            break;
        case 'q':
            setup->is_quiet = true;
            break;
        default:
            return false;
        }
    }
    return optind + 1 == argc;
}

int main(int argc, char **argv)
{
    struct setup setup = {.seed = 1, .images = 300, .points = 40, .ms = 0};
    if (!read_options(argc, argv, &setup) || !base_canary_select(getenv("QUORATE_CANARY"))) {
        return usage();
    }
    bool is_errors = strcmp(argv[optind], "errors") == 0;
    if (!is_errors && strcmp(argv[optind], "images") != 0) {
        return usage();
    }
    setup.ms = setup.ms != 0 ? setup.ms : is_errors ? 1500 : 12000;
    const char *base = getenv("TMPDIR");
    if (base == NULL) {
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    }
    (void)snprintf(setup.top, sizeof(setup.top), "%s/quorate-crash-XXXXXX", base);
    story = calloc(1, sizeof(*story));
    BASE_ASSERT(story != NULL && mkdtemp(setup.top) != NULL);
    int rc = is_errors ? errors(&setup) : images(&setup);
    free(story);
    if (rc == 0) {
        remove_directory(setup.top);
    }
    return rc;
}
