/* SPDX-License-Identifier: Apache-2.0 */
/* Crash points and errors of the real quorated: one run for each of its writes, flushes and changes
 * of names.
 *
 *   sweep alone  --quorated FILE --shim FILE [--first N] [--step N] [--all|--only FAULT] [--tell]
 *   sweep image  ...
 *
 * alone: one node carries out the scenario (scenario.h). At operation N it is killed, killed in the
 * middle of the write, loses power, gets an I/O error, or a disk that is full from then on. Without
 * the shim it starts again, and holds all that was acknowledged, and at most one request more.
 *
 * image: a follower of three that is far behind gets an image, while the leader needs it for every
 * write; the same faults strike it there. Then the leader stays away, and the other two have to
 * know what it has acknowledged.
 *
 * --first and --step: every how many-th operation, so that several sweeps share the work. --all:
 * all faults at each operation, else they take turns. --only: this one. --tell: a line for each
 * point. Prints one line FAILED for each bad point (at most 5), a line of sums, and exits with 1
 * after a failure. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/types.h"
#include "tests/crash/scenario.h"
#include "tests/crash/shim.h"

#define BAD_MAX 5u
#define READY_MS 30000
#define END_MS 20000
#define BEHIND 60u /* entries that the follower lacks */
#define ASKED 6u   /* writes that need it */

struct sweep {
    struct daemon daemons[DAEMONS_MAX];
    char top[200];
    char page_path[256];
    struct shim_page *page;
    uint64_t first, step;
    bool is_all, is_told;
    const char *only;           /* name of the one fault; NULL: all take turns */
    char (*views)[DAEMON_TEXT]; /* alone: after each step; [0]: of the empty store */
    uint64_t points, of_images, bad, hits[SHIM_CLASSES], stopped, went_on, undone;
};

static const char *const class_names[SHIM_CLASSES] = {"write", "flush", "name"};
static const struct fault {
    const char *name;
    enum shim_action action;
    int error;
} faults[] = {{"killed", SHIM_KILL, 0},       {"torn", SHIM_TORN, 0},
              {"power lost", SHIM_LOSE, 0},   {"EIO", SHIM_ERROR, EIO},
              {"ENOSPC", SHIM_ERROR, ENOSPC}, {"full", SHIM_FULL, 0}};

/* --- files --- */

static void run(const char *program, const char *a, const char *b, const char *c)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    BASE_ASSERT(pid >= 0);
    if (pid == 0) {
        (void)execlp(program, program, a, b, c, (char *)NULL);
        _exit(127);
    }
    BASE_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
}

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

/* Arms the shim of one daemon; without a fault it only counts. */
static void arm(struct sweep *s, struct daemon *d, enum shim_class operation, uint64_t at,
                const struct fault *fault)
{
    *s->page = (struct shim_page){.operation = operation, .at = at};
    (void)snprintf(s->page->top, sizeof(s->page->top), "%s", d->directory);
    if (fault != NULL) {
        s->page->action = fault->action;
        s->page->error = fault->error;
    }
    d->page = s->page_path;
}

/* --- verdicts --- */

/* What a node can do without: images on their way, a file made ready before it is needed. */
static bool may_go_on(const struct sweep *s)
{
    const char *name = s->page->name;
    return strncmp(name, "image-", 6) == 0 || strcmp(name, "store.new") == 0 || name[0] == 0;
}

static void bad_point(struct sweep *s, const struct daemon *d, const struct fault *fault,
                      const char *what, const char *more)
{
    char words[300];
    daemon_last_words(d, words, sizeof(words));
    s->bad++;
    printf("FAILED %s: %s at %s %" PRIu64 " on '%s'; %s; last words: %s\n", what, fault->name,
           class_names[s->page->operation], s->page->at, s->page->name, more, words);
    (void)fflush(stdout);
}

/* After a fault that was to stop it: it has ended, and not by a signal of its own. */
static bool has_ended_well(struct sweep *s, struct daemon *d, const struct fault *fault)
{
    bool is_killed =
        fault->action == SHIM_KILL || fault->action == SHIM_TORN || fault->action == SHIM_LOSE;
    char words[300];
    if (!is_killed && may_go_on(s)) {
        s->went_on += daemon_is_up(d);
        (void)daemon_stop(d);
    } else if (!daemon_wait_end(d, END_MS)) {
        bad_point(s, d, fault, "stops-at-error", "the process goes on");
        daemon_kill(d);
        return false;
    }
    if (WIFSIGNALED(d->status) && !(is_killed && WTERMSIG(d->status) == SIGKILL)) {
        bad_point(s, d, fault, "no-crash", strsignal(WTERMSIG(d->status)));
        return false;
    }
    daemon_last_words(d, words, sizeof(words));
    bool must_stop = !is_killed && !may_go_on(s);
    if (must_stop && WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0) {
        bad_point(s, d, fault, "stops-at-error", "it ends as if nothing had happened");
        return false;
    }
    if (must_stop && strcmp(words, "nothing") == 0) {
        bad_point(s, d, fault, "says-why", "not a word");
        return false;
    }
    s->stopped++;
    return true;
}

/* --- one node --- */

/* The first run: what the state is after each step. */
static bool write_down(struct sweep *s)
{
    struct daemon *d = &s->daemons[0];
    s->views = calloc(SCENARIO_STEPS + 1, DAEMON_TEXT);
    BASE_ASSERT(s->views != NULL);
    arm(s, d, SHIM_WRITE, 0, NULL);
    daemon_start(d);
    if (!daemon_wait_ready(d, READY_MS) || !daemon_view(d, s->views[0])) {
        printf("FAILED setup: the node does not start\n");
        return false;
    }
    for (size_t i = 0; i < SCENARIO_STEPS; i++) {
        if (!scenario_step(d, i, NULL) || !daemon_view(d, s->views[i + 1])) {
            printf("FAILED setup: step %zu of the scenario without a fault\n", i);
            return false;
        }
    }
    bool is_good = daemon_stop(d) && WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0;
    run("rm", "-rf", "--", d->directory);
    return is_good;
}

/* As much of the scenario as goes; how many steps were acknowledged. */
static size_t carry_out(struct sweep *s)
{
    struct daemon *d = &s->daemons[0];
    size_t step = 0;
    daemon_start(d);
    if (!daemon_wait_ready(d, READY_MS)) {
        return 0;
    }
    while (step < SCENARIO_STEPS && scenario_step(d, step, s->page)) {
        step++;
    }
    if (step == SCENARIO_STEPS && daemon_is_up(d)) {
        (void)kill(d->pid, SIGTERM);
        (void)daemon_wait_end(d, END_MS);
    }
    return step;
}

static bool comes_back(struct sweep *s, const struct fault *fault, size_t steps)
{
    struct daemon *d = &s->daemons[0];
    char view[DAEMON_TEXT];
    char text[64];
    (void)snprintf(text, sizeof(text), "%zu steps were acknowledged", steps);
    d->page = NULL;
    daemon_start(d);
    if (!daemon_wait_ready(d, READY_MS) || !daemon_view(d, view)) {
        bad_point(s, d, fault, "starts-again", text);
        daemon_kill(d);
        return false;
    }
    size_t next = steps < SCENARIO_STEPS ? steps + 1 : steps;
    bool is_good = strcmp(view, s->views[steps]) == 0 || strcmp(view, s->views[next]) == 0;
    if (!is_good) {
        bad_point(s, d, fault, "acknowledged-is-durable", text);
        printf("  now: %s\n  was: %s\n", view, s->views[steps]);
    }
    is_good = daemon_stop(d) && is_good;
    return is_good;
}

/* Counts a point that was hit. */
static void note_point(struct sweep *s, const struct fault *fault)
{
    const char *name = s->page->name;
    s->points++;
    s->hits[s->page->operation]++;
    s->of_images += strncmp(name, "image-", 6) == 0 || strncmp(name, "store.", 6) == 0;
    if (s->is_told) {
        printf("  %s at %s %" PRIu64 " on '%s'\n", fault->name, class_names[s->page->operation],
               s->page->at, name);
    }
}

/* False: there is no such operation. */
static bool one_point(struct sweep *s, enum shim_class operation, uint64_t at,
                      const struct fault *fault)
{
    struct daemon *d = &s->daemons[0];
    arm(s, d, operation, at, fault);
    size_t steps = carry_out(s);
    bool is_hit = s->page->was_hit;
    if (is_hit) {
        note_point(s, fault);
        (void)has_ended_well(s, d, fault);
        (void)comes_back(s, fault, steps);
        s->undone += s->page->undone;
    }
    daemon_kill(d);
    run("rm", "-rf", "--", d->directory);
    (void)unlink(d->log);
    return is_hit;
}

/* --- a follower that gets an image --- */

static bool put_number(const struct daemon *d, const char *prefix, size_t n)
{
    char key[32];
    char body[512];
    (void)snprintf(key, sizeof(key), "%s-%zu", prefix, n);
    scenario_put(key, "of some length, so that an image has more than one block", body,
                 sizeof(body));
    return daemon_ask(d, "/v3/kv/put", body, NULL, 0) == 200;
}

/* Three nodes; the third one stays behind, and the others forget what it lacks. */
static bool prepare(struct sweep *s)
{
    struct daemon *d = s->daemons;
    bool is_good = true;
    for (size_t i = 0; i < 3; i++) {
        daemon_start(&d[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        is_good = is_good && daemon_wait_ready(&d[i], READY_MS);
    }
    for (size_t n = 0; is_good && n < BEHIND; n++) {
        is_good = put_number(&d[0], "early", n);
    }
    is_good = is_good && daemon_wait_ready(&d[2], READY_MS) && daemon_stop(&d[2]);
    is_good = is_good && daemon_wait_ready(&d[0], READY_MS);
    for (size_t n = 0; is_good && n < BEHIND; n++) {
        is_good = put_number(&d[0], "late", n);
    }
    is_good = is_good && daemon_stop(&d[1]) && daemon_stop(&d[0]);
    for (size_t i = 0; i < 3 && is_good; i++) {
        char kept[300];
        (void)snprintf(kept, sizeof(kept), "%s.kept", d[i].directory);
        is_good = rename(d[i].directory, kept) == 0;
    }
    printf("%s", is_good ? "" : "FAILED setup: three nodes do not come about\n");
    return is_good;
}

static void put_back(struct sweep *s)
{
    for (size_t i = 0; i < 3; i++) {
        char kept[300];
        struct daemon *d = &s->daemons[i];
        daemon_kill(d);
        d->page = NULL;
        (void)unlink(d->log);
        (void)snprintf(kept, sizeof(kept), "%s.kept", d->directory);
        run("rm", "-rf", "--", d->directory);
        run("cp", "-a", kept, d->directory);
    }
}

/* The leader and the follower alone: each write that is acknowledged is on both. */
static size_t write_with_follower(struct sweep *s)
{
    struct daemon *d = s->daemons;
    size_t acked = 0;
    daemon_start(&d[0]);
    daemon_start(&d[2]);
    int64_t end = daemon_now_ms() + READY_MS;
    while (daemon_now_ms() < end && daemon_is_up(&d[2]) &&
           daemon_ask(&d[0], "/v3/kv/range", "{\"key\":\"AA==\"}", NULL, 0) != 200) {
        daemon_pause();
    }
    while (acked < ASKED && daemon_is_up(&d[2]) && put_number(&d[0], "asked", acked)) {
        acked++;
    }
    return acked;
}

/* The first leader stays away; the two others hold every write, and the same. */
static bool others_know(struct sweep *s, const struct fault *fault, size_t acked)
{
    struct daemon *d = s->daemons;
    static char views[2][DAEMON_TEXT];
    char text[64];
    (void)snprintf(text, sizeof(text), "%zu writes were acknowledged", acked);
    daemon_kill(&d[0]);
    d[2].page = NULL;
    daemon_start(&d[1]);
    daemon_start(&d[2]);
    if (!daemon_wait_ready(&d[2], READY_MS) || !daemon_wait_ready(&d[1], READY_MS)) {
        bad_point(s, &d[2], fault, "starts-again", text);
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        (void)daemon_ask(&d[i + 1], "/v3/kv/range",
                         "{\"key\":\"AA==\",\"range_end\":\"AA==\",\"keys_only\":true}", views[i],
                         sizeof(views[i]));
    }
    for (size_t n = 0; n < acked; n++) {
        char key[32];
        char word[64];
        (void)snprintf(key, sizeof(key), "asked-%zu", n);
        scenario_base64(key, word, sizeof(word));
        if (strstr(views[1], word) == NULL) {
            bad_point(s, &d[2], fault, "acknowledged-is-durable", key);
            return false;
        }
    }
    if (strcmp(views[0], views[1]) != 0) {
        bad_point(s, &d[2], fault, "equal-states", text);
        return false;
    }
    return true;
}

static bool one_image_point(struct sweep *s, enum shim_class operation, uint64_t at,
                            const struct fault *fault)
{
    struct daemon *d = s->daemons;
    put_back(s);
    arm(s, &d[2], operation, at, fault);
    size_t acked = write_with_follower(s);
    bool is_hit = s->page->was_hit;
    if (is_hit) {
        note_point(s, fault);
        (void)has_ended_well(s, &d[2], fault);
        (void)others_know(s, fault, acked);
        s->undone += s->page->undone;
    }
    for (size_t i = 0; i < 3; i++) {
        daemon_kill(&d[i]);
    }
    return is_hit;
}

/* --- all points --- */

typedef bool point_fn(struct sweep *s, enum shim_class operation, uint64_t at,
                      const struct fault *fault);

/* A fault that fits: only a write can be torn. */
static bool fits(enum shim_class operation, const struct fault *fault)
{
    return (fault->action != SHIM_TORN && fault->action != SHIM_FULL) || operation == SHIM_WRITE;
}

static void sweep_class(struct sweep *s, enum shim_class operation, point_fn *point)
{
    unsigned missed = 0;
    for (uint64_t at = s->first; missed < 2 && s->bad < BAD_MAX; at += s->step) {
        bool was_hit = false;
        for (size_t i = 0; i < BASE_COUNT_OF(faults) && s->bad < BAD_MAX; i++) {
            bool is_turn = s->is_all || (at / s->step) % BASE_COUNT_OF(faults) == i;
            if (s->only != NULL ? strcmp(s->only, faults[i].name) == 0 : is_turn) {
                const struct fault *fault = fits(operation, &faults[i]) ? &faults[i] : &faults[2];
                was_hit = point(s, operation, at, fault) || was_hit;
            }
        }
        missed = was_hit ? 0 : missed + 1; /* how many there are differs a little */
    }
}

static int sweep_all(struct sweep *s, bool is_image)
{
    size_t count = is_image ? 3 : 1;
    daemon_plan(s->daemons, count, s->top);
    make_page(s);
    for (size_t i = 0; i < count; i++) {
        s->daemons[i].snapshot_count = is_image ? 10 : 5000;
    }
    if (!(is_image ? prepare(s) : write_down(s))) {
        return 1;
    }
    for (size_t c = 0; c < SHIM_CLASSES; c++) {
        sweep_class(s, (enum shim_class)c, is_image ? one_image_point : one_point);
    }
    printf("crash points %s: %" PRIu64 " (%" PRIu64 " writes, %" PRIu64 " flushes, %" PRIu64
           " names), %" PRIu64 " pieces taken back, %" PRIu64 " went on without a temporary file, "
           "%" PRIu64 " bad\n",
           is_image ? "of a follower" : "of a node alone", s->points, s->hits[SHIM_WRITE],
           s->hits[SHIM_SYNC], s->hits[SHIM_NAME], s->undone, s->went_on, s->bad);
    return s->bad == 0 && s->points > 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: sweep alone|image --quorated FILE --shim FILE [--first N] "
                          "[--step N] [--all|--only FAULT] [--tell]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quorated", required_argument, NULL, 'q'},
                                            {"shim", required_argument, NULL, 's'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"step", required_argument, NULL, 'n'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"tell", no_argument, NULL, 't'},
                                            {"only", required_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    struct sweep *s = calloc(1, sizeof(*s));
    const char *program = NULL;
    const char *shim = NULL;
    int c = 0;
    BASE_ASSERT(s != NULL);
    s->first = s->step = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'q':
            program = realpath(optarg, NULL);
            break;
        case 's':
            shim = realpath(optarg, NULL);
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
            return usage();
        }
    }
    bool is_image = optind + 1 == argc && strcmp(argv[optind], "image") == 0;
    bool is_alone = optind + 1 == argc && strcmp(argv[optind], "alone") == 0;
    if (program == NULL || shim == NULL || s->first == 0 || s->step == 0 || is_image == is_alone) {
        return usage();
    }
    for (size_t i = 0; i < DAEMONS_MAX; i++) {
        s->daemons[i].program = program;
        s->daemons[i].shim = shim;
    }
    (void)snprintf(s->top, sizeof(s->top), "%s/quorate-sweep-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    BASE_ASSERT(mkdtemp(s->top) != NULL);
    int rc = sweep_all(s, is_image);
    run("rm", "-rf", "--", s->top);
    return rc;
}
