/* SPDX-License-Identifier: Apache-2.0 */
/* Fences by a program; see fence.h. */
#include "arbiter/quorated/fence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/quorated/program.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

/* One for each cluster, and those of epochs that have passed since: each ends by itself. */
#define FENCES_MAX (4 * ARB_CLUSTERS_MAX)
#define PATH_BYTES 512
#define EXIT_IS_OFF 2 /* of `status`, as of fence agents */

enum step { STEP_OFF, STEP_STATUS };

struct fence {
    struct quorated_fences *owner;
    bool is_used;
    struct arb_fence_job job;
    enum step step;
    struct quorated_program *program; /* NULL: none runs */
    struct io_timer at_once;          /* when there is nothing to run */
};

struct quorated_fences {
    struct quorated_fences_options options;
    struct fence list[FENCES_MAX];
};

static void step_begin(struct fence *f);

static void end(struct fence *f, bool is_off, const char *text)
{
    const struct quorated_fences_options *o = &f->owner->options;
    struct arb_fence_job job = f->job;
    io_timer_stop(&f->at_once);
    f->is_used = false; /* another one may begin from what follows */
    o->ended(o->user, &job, is_off, text);
}

static void run_ended(void *user, const struct quorated_ended *how)
{
    struct fence *f = user;
    char text[QUORATED_PROGRAM_WHY_MAX];
    f->program = NULL;
    if (!how->is_begun) {
        end(f, false, how->why);
        return;
    }
    int wanted = f->step == STEP_OFF ? 0 : EXIT_IS_OFF;
    bool is_good = how->status == wanted && how->signal_number == 0;
    if (is_good && f->step == STEP_OFF && !CANARY(FENCE_BELIEVED)) {
        f->step = STEP_STATUS;
        step_begin(f);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s %s: %s %lld", f->job.command,
                   f->step == STEP_OFF ? "off" : "status",
                   how->is_late              ? "took too long, signal"
                   : how->signal_number != 0 ? "signal"
                                             : "exit",
                   how->signal_number != 0 ? (long long)how->signal_number
                                           : (long long)how->status);
    end(f, is_good, text);
}

static void not_begun(void *ctx)
{
    struct fence *f = ctx;
    end(f, false, f->job.command[0] == '\0' ? "no fence.command is set" : "not enough memory");
}

static int spawn(struct fence *f)
{
    char path[PATH_BYTES];
    char variables[5][BASE_TEXT_MAX + 32];
    char *environment[6] = {variables[0], variables[1], variables[2],
                            variables[3], variables[4], NULL};
    char off[] = "off";
    char status[] = "status";
    char *arguments[] = {path, f->step == STEP_OFF ? off : status, NULL};
    const struct quorated_program_run run = {
        .loop = f->owner->options.loop,
        .path = path,
        .arguments = arguments,
        .environment = environment,
        .timeout_us = (int64_t)f->job.timeout_ms * BASE_US_PER_MS,
        .user = f,
        .ended = run_ended,
    };
    (void)snprintf(path, sizeof(path), "%s/%s", f->owner->options.dir, f->job.command);
    (void)snprintf(variables[0], sizeof(variables[0]), QUORATED_PROGRAM_PATH);
    (void)snprintf(variables[1], sizeof(variables[1]), "QUORATE_CLUSTER=%s", f->job.cluster.text);
    (void)snprintf(variables[2], sizeof(variables[2]), "QUORATE_MEMBER=%s", f->job.member.text);
    (void)snprintf(variables[3], sizeof(variables[3]), "QUORATE_HOST=%s", f->job.host.text);
    (void)snprintf(variables[4], sizeof(variables[4]), "QUORATE_EPOCH=%llu",
                   (unsigned long long)f->job.epoch);
    return quorated_program_start(&run, &f->program);
}

static void step_begin(struct fence *f)
{
    if (f->job.command[0] == '\0' || spawn(f) != 0) {
        io_timer_start_in_us(&f->at_once, 0); /* never from inside quorated_fence */
    }
}

void quorated_fence(struct quorated_fences *fences, const struct arb_fence_job *job)
{
    struct fence *f = NULL;
    for (size_t i = 0; i < FENCES_MAX; i++) {
        struct fence *at = &fences->list[i];
        if (at->is_used && at->job.epoch == job->epoch &&
            base_name_equal(&at->job.cluster, &job->cluster)) {
            return; /* asked for by a former leadership of this node: its end is told */
        }
        f = f == NULL && !at->is_used ? at : f;
    }
    BASE_ASSERT(f != NULL);
    f->owner = fences;
    f->is_used = true;
    f->job = *job;
    f->step = STEP_OFF;
    io_timer_init(&f->at_once, fences->options.loop, not_begun, f);
    step_begin(f);
}

int quorated_fences_new(const struct quorated_fences_options *options, struct quorated_fences **ret)
{
    struct quorated_fences *fences = calloc(1, sizeof(*fences));
    if (fences == NULL) {
        return BASE_E_NOMEM;
    }
    fences->options = *options;
    *ret = fences;
    return 0;
}

struct quorated_fences *quorated_fences_free(struct quorated_fences *fences)
{
    for (size_t i = 0; fences != NULL && i < FENCES_MAX; i++) {
        struct fence *f = &fences->list[i];
        if (!f->is_used) {
            continue;
        }
        io_timer_stop(&f->at_once);
        f->program = quorated_program_kill(f->program);
    }
    free(fences);
    return NULL;
}
