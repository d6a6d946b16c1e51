/* SPDX-License-Identifier: Apache-2.0 */
/* Crash points and errors of the real quorated: one run for each of its writes, flushes and changes
 * of names.
 *
 *   sweep alone  --quorated FILE --shim FILE [--first N] [--step N] [--all|--only FAULT] [--tell]
 *   sweep image  ...
 *   sweep restore --kv FILE ...
 *
 * alone: one node carries out the scenario (scenario.h). At operation N it is killed, killed in the
 * middle of the write, loses power, gets an I/O error, or a disk that is full from then on. Without
 * the shim it starts again, and holds all that was acknowledged, and at most one request more.
 *
 * image: a follower of three that is far behind gets an image, while the leader needs it for every
 * write; the same faults strike it there. Then the leader stays away, and the other two have to
 * know what it has acknowledged.
 *
 * restore: `kv snapshot restore` of an image is struck. Either there is a directory, and a node
 * starts on it with all that the image holds, or there is none, and the command can be given again.
 *
 * --first and --step: every how many-th operation, so that several sweeps share the work. --all:
 * all faults at each operation, else they take turns. --only: this one. --tell: a line for each
 * point. Prints one line FAILED for each bad point (at most 5), a line of sums, and exits with 1
 * after a failure. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/types.h"
#include "tests/crash/sweep.h"

static const char *const class_names[SHIM_CLASSES] = {"write", "flush", "name"};
static const struct sweep_fault faults[] = {
    {"killed", SHIM_KILL, 0}, {"torn", SHIM_TORN, 0},         {"power lost", SHIM_LOSE, 0},
    {"EIO", SHIM_ERROR, EIO}, {"ENOSPC", SHIM_ERROR, ENOSPC}, {"full", SHIM_FULL, 0}};

/* --- files --- */

static void make_page(struct sweep *s)
{
    (void)snprintf(s->page_path, sizeof(s->page_path), "%s/page", s->top);
    int fd = open(s->page_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    BASE_ASSERT(fd >= 0 && ftruncate(fd, sizeof(*s->page)) == 0);
    void *at = mmap(NULL, sizeof(*s->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    BASE_ASSERT(at != MAP_FAILED);
    s->page = at;
    (void)close(fd);
}

void sweep_arm(struct sweep *s, const char *top, enum shim_class operation, uint64_t at,
               const struct sweep_fault *fault)
{
    *s->page = (struct shim_page){.operation = operation, .at = at};
    (void)snprintf(s->page->top, sizeof(s->page->top), "%s", top);
    if (fault != NULL) {
        s->page->action = fault->action;
        s->page->error = fault->error;
    }
}

/* --- verdicts --- */

bool sweep_is_killing(const struct sweep_fault *fault)
{
    return fault->action == SHIM_KILL || fault->action == SHIM_TORN || fault->action == SHIM_LOSE;
}

/* What a node can do without: images on their way, a file made ready before it is needed. */
static bool may_go_on(const struct sweep *s)
{
    const char *name = s->page->name;
    return strncmp(name, "image-", 6) == 0 || strcmp(name, "store.new") == 0 || name[0] == 0;
}

void sweep_bad_point(struct sweep *s, const struct daemon *d, const struct sweep_fault *fault,
                     const char *what, const char *more)
{
    char words[300];
    daemon_last_words(d, words, sizeof(words));
    s->bad++;
    printf("FAILED %s: %s at %s %" PRIu64 " on '%s'; %s; last words: %s\n", what, fault->name,
           class_names[s->page->operation], s->page->at, s->page->name, more, words);
    (void)fflush(stdout);
}

bool sweep_has_ended_well(struct sweep *s, struct daemon *d, const struct sweep_fault *fault)
{
    bool is_killed = sweep_is_killing(fault);
    char words[300];
    if (!is_killed && may_go_on(s)) {
        s->went_on += daemon_is_up(d);
        (void)daemon_stop(d);
    } else if (!daemon_wait_end(d, SWEEP_END_MS)) {
        sweep_bad_point(s, d, fault, "stops-at-error", "the process goes on");
        daemon_kill(d);
        return false;
    }
    if (WIFSIGNALED(d->status) && !(is_killed && WTERMSIG(d->status) == SIGKILL)) {
        sweep_bad_point(s, d, fault, "no-crash", strsignal(WTERMSIG(d->status)));
        return false;
    }
    daemon_last_words(d, words, sizeof(words));
    bool must_stop = !is_killed && !may_go_on(s);
    if (must_stop && WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0) {
        sweep_bad_point(s, d, fault, "stops-at-error", "it ends as if nothing had happened");
        return false;
    }
    if (must_stop && strcmp(words, "nothing") == 0) {
        sweep_bad_point(s, d, fault, "says-why", "not a word");
        return false;
    }
    s->stopped++;
    return true;
}

void sweep_note_point(struct sweep *s, const struct sweep_fault *fault)
{
    const char *name = s->page->name;
    s->points++;
    s->hits[s->page->operation]++;
    if (s->is_told) {
        printf("  %s at %s %" PRIu64 " on '%s'\n", fault->name, class_names[s->page->operation],
               s->page->at, name);
    }
}

/* --- all points --- */

static const struct mode {
    const char *name, *what;
    size_t daemons;
    unsigned snapshot_count;
    bool (*prepare)(struct sweep *s);
    sweep_point_fn *point;
} modes[] = {
    {"alone", "of a node alone", 1, 5000, sweep_alone_prepare, sweep_alone_point},
    {"image", "of a follower", 3, 10, sweep_image_prepare, sweep_image_point},
    {"restore", "of a restore", 1, 5000, sweep_restore_prepare, sweep_restore_point},
};

/* A fault that fits: only a write can be torn. */
static bool fits(enum shim_class operation, const struct sweep_fault *fault)
{
    return (fault->action != SHIM_TORN && fault->action != SHIM_FULL) || operation == SHIM_WRITE;
}

static void sweep_class(struct sweep *s, enum shim_class operation, sweep_point_fn *point)
{
    unsigned missed = 0;
    for (uint64_t at = s->first; missed < 2 && s->bad < SWEEP_BAD_MAX; at += s->step) {
        bool was_hit = false;
        for (size_t i = 0; i < BASE_COUNT_OF(faults) && s->bad < SWEEP_BAD_MAX; i++) {
            bool is_turn = s->is_all || (at / s->step) % BASE_COUNT_OF(faults) == i;
            if (s->only != NULL ? strcmp(s->only, faults[i].name) == 0 : is_turn) {
                const struct sweep_fault *fault =
                    fits(operation, &faults[i]) ? &faults[i] : &faults[2];
                was_hit = point(s, operation, at, fault) || was_hit;
            }
        }
        missed = was_hit ? 0 : missed + 1; /* how many there are differs a little */
    }
}

static int sweep_all(struct sweep *s, const struct mode *mode)
{
    daemon_plan(s->daemons, mode->daemons, s->top);
    make_page(s);
    for (size_t i = 0; i < mode->daemons; i++) {
        s->daemons[i].snapshot_count = mode->snapshot_count;
    }
    if (!mode->prepare(s)) {
        return 1;
    }
    for (size_t c = 0; c < SHIM_CLASSES; c++) {
        sweep_class(s, (enum shim_class)c, mode->point);
    }
    printf("crash points %s: %" PRIu64 " (%" PRIu64 " writes, %" PRIu64 " flushes, %" PRIu64
           " names), %" PRIu64 " pieces taken back, %" PRIu64 " went on without a temporary file, "
           "%" PRIu64 " bad\n",
           mode->what, s->points, s->hits[SHIM_WRITE], s->hits[SHIM_SYNC], s->hits[SHIM_NAME],
           s->undone, s->went_on, s->bad);
    return s->bad == 0 && s->points > 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fprintf(
        stderr,
        "usage: sweep alone|image|restore --quorated FILE --shim FILE [--kv FILE] [--first N] "
        "[--step N] [--all|--only FAULT] [--tell]\n");
    return 2;
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(modes); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return &modes[i];
        }
    }
    return NULL;
}

/* Options into *s; false: one is bad. */
static bool read_options(int argc, char **argv, struct sweep *s, const char **ret_program,
                         const char **ret_shim)
{
    static const struct option options[] = {{"quorated", required_argument, NULL, 'q'},
                                            {"shim", required_argument, NULL, 's'},
                                            {"kv", required_argument, NULL, 'k'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"step", required_argument, NULL, 'n'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"tell", no_argument, NULL, 't'},
                                            {"only", required_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'q':
            *ret_program = realpath(optarg, NULL);
            break;
        case 's':
            *ret_shim = realpath(optarg, NULL);
            break;
        case 'k':
            s->kv = realpath(optarg, NULL);
            break;
        case 'f':
            s->first = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            s->step = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            s->is_all = true;
            break;
        case 'o':
            s->only = optarg;
            break;
        case 't':
            s->is_told = true;
            break;
        default:
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sweep *s = calloc(1, sizeof(*s));
    const char *program = NULL;
    const char *shim = NULL;
    BASE_ASSERT(s != NULL);
    s->first = s->step = 1;
    if (!read_options(argc, argv, s, &program, &shim)) {
        return usage();
    }
    const struct mode *mode = optind + 1 == argc ? find_mode(argv[optind]) : NULL;
    bool needs_kv = mode != NULL && mode->point == sweep_restore_point;
    if (program == NULL || shim == NULL || s->first == 0 || s->step == 0 || mode == NULL ||
        (needs_kv && s->kv == NULL)) {
        return usage();
    }
    for (size_t i = 0; i < DAEMONS_MAX; i++) {
        s->daemons[i].program = program;
        s->daemons[i].shim = shim;
    }
    daemon_place(s->top, sizeof(s->top), "sweep");
    int rc = sweep_all(s, mode);
    daemon_run("rm", "-rf", "--", s->top);
    return rc;
}
