/* SPDX-License-Identifier: Apache-2.0 */
/* Forks, runs, and hears of the outcome through a pipe. */
#include "tests/sim/attempt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/canary.h"
#include "tests/sim/run.h"

#define SECONDS_MAX 60

static struct world world;

static _Noreturn void run(const struct plan *plan, const char *canary, int out)
{
    struct attempt a;
    memset(&a, 0, sizeof(a));
    (void)alarm(SECONDS_MAX);
    if (!base_canary_select(canary)) {
        _exit(2);
    }
    if (run_plan(&world, plan, false) != 0) {
        (void)snprintf(a.invariant, sizeof(a.invariant), "%s", world.failure_name);
        (void)snprintf(a.text, sizeof(a.text), "%s", world.failure_text);
        a.at_us = world.now_us;
    }
    _exit(write(out, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 2);
}

void attempt(const struct plan *plan, const char *canary, struct attempt *ret)
{
    int ends[2];
    memset(ret, 0, sizeof(*ret));
    (void)fflush(NULL);
    if (pipe(ends) != 0) {
        perror("sim: pipe");
        exit(2);
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        run(plan, canary, ends[1]);
    }
    (void)close(ends[1]);
    if (pid < 0 || read(ends[0], ret, sizeof(*ret)) != (ssize_t)sizeof(*ret)) {
        memset(ret, 0, sizeof(*ret));
        (void)snprintf(ret->invariant, sizeof(ret->invariant), "crashed");
    }
    (void)close(ends[0]);
    (void)waitpid(pid, NULL, 0);
}
