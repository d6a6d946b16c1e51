/* SPDX-License-Identifier: Apache-2.0 */
/* Sweep, mode restore: `kv snapshot restore` ends in the middle; see sweep.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/types.h"
#include "tests/crash/scenario.h"
#include "tests/crash/sweep.h"

/* Of the image, where the command works, and what a node that was restored shows. */
static char image[256], place[256], golden[DAEMON_TEXT];

/* Runs kv with its words in the daemon's log; the wait status. */
static int run_kv(const struct sweep *s, const struct daemon *d, char *const *arguments,
                  bool is_struck)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    BASE_ASSERT(pid >= 0);
    if (pid == 0) {
        int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
            _exit(126);
        }
        if (is_struck) {
            (void)setenv(SHIM_ENVIRONMENT, s->page_path, 1);
            (void)setenv("LD_PRELOAD", d->shim, 1);
        }
        (void)alarm(60);
        (void)execv(s->kv, arguments);
        _exit(127);
    }
    BASE_ASSERT(waitpid(pid, &status, 0) == pid);
    return status;
}

static int restore(const struct sweep *s, const struct daemon *d, bool is_struck)
{
    static char program[] = "kv", one[] = "snapshot", two[] = "restore", dir[] = "--data-dir",
                name[] = "--name", nodes[] = "--initial-cluster";
    char members[200];
    const char *equals = strchr(d->nodes, '=');
    char own_name[8];
    char directory[256];
    (void)snprintf(own_name, sizeof(own_name), "%s", d->name);
    (void)snprintf(directory, sizeof(directory), "%s", d->directory);
    (void)snprintf(members, sizeof(members), "%s=http://%s", d->name, equals + 1);
    char *arguments[] = {program, one,      two,   image,   dir, directory,
                         name,    own_name, nodes, members, NULL};
    return run_kv(s, d, arguments, is_struck);
}

static bool save_image(const struct sweep *s, const struct daemon *d)
{
    static char program[] = "kv", option[] = "--endpoints", one[] = "snapshot", two[] = "save";
    char api[32];
    (void)snprintf(api, sizeof(api), "%s", d->api);
    char *arguments[] = {program, option, api, one, two, image, NULL};
    return run_kv(s, d, arguments, false) == 0;
}

/* A node on the directory shows what a restored one shows. */
static bool shows(struct daemon *d, char view[DAEMON_TEXT])
{
    d->page = NULL;
    daemon_start(d);
    bool is_good = daemon_wait_ready(d, SWEEP_READY_MS) && daemon_view(d, view);
    return daemon_stop(d) && is_good;
}

bool sweep_restore_prepare(struct sweep *s)
{
    struct daemon *d = &s->daemons[0];
    (void)snprintf(image, sizeof(image), "%s/image", s->top);
    daemon_start(d);
    bool is_good = daemon_wait_ready(d, SWEEP_READY_MS);
    for (size_t i = 0; is_good && i < SCENARIO_STEPS; i++) {
        is_good = scenario_step(d, i, NULL);
    }
    is_good = is_good && save_image(s, d) && daemon_stop(d);
    (void)snprintf(place, sizeof(place), "%s/place", s->top);
    (void)snprintf(d->directory, sizeof(d->directory), "%s/place/d1", s->top);
    is_good = is_good && mkdir(place, 0700) == 0 && restore(s, d, false) == 0 && shows(d, golden);
    char words[300];
    daemon_last_words(d, words, sizeof(words));
    if (!is_good) {
        printf("FAILED setup: no image is restored without a fault; last words: %s\n", words);
    }
    return is_good;
}

static void judge(struct sweep *s, struct daemon *d, const struct sweep_fault *fault, int status)
{
    static char view[DAEMON_TEXT];
    bool is_killed = sweep_is_killing(fault);
    bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool is_there = access(d->directory, F_OK) == 0;
    if (!is_killed && WIFSIGNALED(status)) {
        sweep_bad_point(s, d, fault, "no-crash", strsignal(WTERMSIG(status)));
    } else if (!is_killed && is_done && !is_there) {
        sweep_bad_point(s, d, fault, "says-why", "it says that all went well");
    }
    if (!is_there && restore(s, d, false) != 0) {
        sweep_bad_point(s, d, fault, "can-be-repeated", "the command fails when given again");
    } else if (!shows(d, view) || strcmp(view, golden) != 0) {
        sweep_bad_point(s, d, fault, "whole-or-not-at-all",
                        is_there ? "there was a directory" : "there was none");
    }
}

bool sweep_restore_point(struct sweep *s, enum shim_class operation, uint64_t at,
                         const struct sweep_fault *fault)
{
    struct daemon *d = &s->daemons[0];
    daemon_run("rm", "-rf", "--", place);
    BASE_ASSERT(mkdir(place, 0700) == 0);
    (void)unlink(d->log);
    sweep_arm(s, place, operation, at, fault);
    int status = restore(s, d, true);
    bool is_hit = s->page->was_hit;
    if (is_hit) {
        sweep_note_point(s, fault);
        judge(s, d, fault, status);
        s->undone += s->page->undone;
    }
    daemon_kill(d);
    return is_hit;
}
