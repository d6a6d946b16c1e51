/* SPDX-License-Identifier: Apache-2.0 */
/* Sweep, mode alone: one node carries out the scenario; see sweep.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/crash/scenario.h"
#include "tests/crash/sweep.h"

/* The first run: what the state is after each step. */
bool sweep_alone_prepare(struct sweep *s)
{
    struct daemon *d = &s->daemons[0];
    s->views = calloc(SCENARIO_STEPS + 1, DAEMON_TEXT);
    BASE_ASSERT(s->views != NULL);
    sweep_arm(s, d->directory, SHIM_WRITE, 0, NULL);
    d->page = s->page_path;
    daemon_start(d);
    if (!daemon_wait_ready(d, SWEEP_READY_MS) || !daemon_view(d, s->views[0])) {
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
    daemon_run("rm", "-rf", "--", d->directory);
    return is_good;
}

/* As much of the scenario as goes; how many steps were acknowledged. */
static size_t carry_out(struct sweep *s)
{
    struct daemon *d = &s->daemons[0];
    size_t step = 0;
    daemon_start(d);
    if (!daemon_wait_ready(d, SWEEP_READY_MS)) {
        return 0;
    }
    while (step < SCENARIO_STEPS && scenario_step(d, step, s->page)) {
        step++;
    }
    if (step == SCENARIO_STEPS && daemon_is_up(d)) {
        (void)kill(d->pid, SIGTERM);
        (void)daemon_wait_end(d, SWEEP_END_MS);
    }
    return step;
}

static bool comes_back(struct sweep *s, const struct sweep_fault *fault, size_t steps)
{
    struct daemon *d = &s->daemons[0];
    char view[DAEMON_TEXT];
    char text[64];
    (void)snprintf(text, sizeof(text), "%zu steps were acknowledged", steps);
    d->page = NULL;
    daemon_start(d);
    if (!daemon_wait_ready(d, SWEEP_READY_MS) || !daemon_view(d, view)) {
        sweep_bad_point(s, d, fault, "starts-again", text);
        daemon_kill(d);
        return false;
    }
    size_t next = steps < SCENARIO_STEPS ? steps + 1 : steps;
    bool is_good = strcmp(view, s->views[steps]) == 0 || strcmp(view, s->views[next]) == 0;
    if (!is_good) {
        sweep_bad_point(s, d, fault, "acknowledged-is-durable", text);
        printf("  now: %s\n  was: %s\n", view, s->views[steps]);
    }
    is_good = daemon_stop(d) && is_good;
    return is_good;
}

/* False: there is no such operation. */
bool sweep_alone_point(struct sweep *s, enum shim_class operation, uint64_t at,
                       const struct sweep_fault *fault)
{
    struct daemon *d = &s->daemons[0];
    sweep_arm(s, d->directory, operation, at, fault);
    d->page = s->page_path;
    size_t steps = carry_out(s);
    bool is_hit = s->page->was_hit;
    if (is_hit) {
        sweep_note_point(s, fault);
        (void)sweep_has_ended_well(s, d, fault);
        (void)comes_back(s, fault, steps);
        s->undone += s->page->undone;
    }
    daemon_kill(d);
    daemon_run("rm", "-rf", "--", d->directory);
    (void)unlink(d->log);
    return is_hit;
}
