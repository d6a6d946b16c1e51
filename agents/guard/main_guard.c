/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-guard: the process that is started becomes the twin, its child the guard.
 *
 * Order: lock, leftovers of a former instance, cgroup, shared page, fork. Memory of both is static:
 * nothing is allocated once it runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/guard/client.h"
#include "agents/guard/guard.h"
#include "agents/guard/leftovers.h"
#include "agents/guard/log.h"
#include "agents/guard/proc.h"
#include "agents/guard/watchdog.h"
#include "base/assert.h"
#include "base/canary.h"

/* Exit codes of the command line (interfaces.md). */
enum { EXIT_USAGE = 2, EXIT_REFUSED = 4, EXIT_INTERNAL = 5 };

#define REALTIME_PRIORITY 10
#define RELEASE_WAIT_US (INT64_C(5) * BASE_US_PER_S)
#define CGROUP_EMPTY_WAIT_US (INT64_C(10) * BASE_US_PER_S)

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static struct guard_cgroup the_cgroup;
static struct guard_processes the_tree;
static struct guard the_guard;
static struct guard_options the_options;

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    guard_log("error", "ev=panic at=%s:%d expression=\"%s\"", file, line, expression);
    _exit(EXIT_INTERNAL); /* our death kills the tree */
}

static int complain(int exit_code, const char *what, int error)
{
    (void)dprintf(STDERR_FILENO, "quorate-guard: %s: %s\n", what, base_error_text(error));
    return exit_code;
}

void guard_protect(struct guard_status *ret_status)
{
    struct sched_param param = {.sched_priority = REALTIME_PRIORITY};
    /* Under a sanitizer the shadow memory is terabytes. */
    ret_status->is_memory_locked = !IS_SANITIZED && mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
    ret_status->is_realtime = sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)prctl(PR_SET_TIMERSLACK, 1);
    if (proc_file_write(AT_FDCWD, "/proc/self/oom_score_adj", "-1000") != 0) {
        (void)!proc_file_write(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
    }
    (void)prctl(PR_SET_DUMPABLE, 0); /* last: it takes our own files of /proc away from us */
}

static int oom_score_read(void)
{
    char text[16];
    return proc_file_read(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text)) == 0
               ? (int)strtol(text, NULL, 10)
               : 0;
}

/* Signals are taken from a descriptor only; a terminal or a broken pipe must not end us. */
static void signals_block(void)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGABRT);
    (void)sigdelset(&all, SIGSEGV);
    (void)sigdelset(&all, SIGBUS);
    (void)sigdelset(&all, SIGFPE);
    (void)sigdelset(&all, SIGILL);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
}

static void descriptors_close(const struct guard_options *o)
{
    int keep[2] = {o->log_fd < o->ready_fd ? o->log_fd : o->ready_fd,
                   o->log_fd < o->ready_fd ? o->ready_fd : o->log_fd};
    unsigned from = 3;
    for (int i = 0; i < 2; i++) {
        if (keep[i] < (int)from) {
            continue;
        }
        if (keep[i] > (int)from) {
            (void)close_range(from, (unsigned)keep[i] - 1, 0);
        }
        (void)fcntl(keep[i], F_SETFD, FD_CLOEXEC);
        from = (unsigned)keep[i] + 1;
    }
    (void)close_range(from, ~0u, 0);
}

/* Leaves the agent's session, terminal, directory and open files. */
static void detach(const struct guard_options *o)
{
    (void)setsid();
    descriptors_close(o);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)close(null);
    }
    if (fcntl(STDERR_FILENO, F_GETFD) < 0) {
        (void)dup2(STDIN_FILENO, STDERR_FILENO);
    }
    if (o->log != NULL || o->log_fd >= 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0) {
        (void)dup2(STDIN_FILENO, STDOUT_FILENO);
    }
    (void)!chdir("/");
}

/* "/run/quorate/pg.a.guard" -> "pg.a.guard": one name for one guard of this host. */
static const char *cgroup_name(const char *socket)
{
    const char *slash = strrchr(socket, '/');
    return slash == NULL ? socket : slash + 1;
}

/* The cgroup may still hold what a former instance left. */
static int cgroup_prepare(const struct guard_options *o)
{
    bool is_populated = true, is_frozen = false;
    if (guard_cgroup_open(&the_cgroup, o->cgroup, cgroup_name(o->socket)) != 0) {
        return 0; /* signals then; the status says so */
    }
    struct base_mono limit = base_mono_add_us(proc_now(), CGROUP_EMPTY_WAIT_US);
    for (;;) {
        guard_cgroup_events(&the_cgroup, &is_populated, &is_frozen);
        if (!is_populated) {
            return guard_cgroup_freeze(&the_cgroup, false) ? 0 : BASE_E_IO;
        }
        (void)guard_cgroup_kill(&the_cgroup);
        if (base_mono_before(limit, proc_now())) {
            return BASE_E_TIMEOUT;
        }
        (void)usleep(1000);
    }
}

static int leftovers_clear(const struct guard_options *o)
{
    int killed = 0;
    int32_t foreign = 0;
    int rc = leftovers_kill(o, &the_tree, &killed, &foreign);
    if (rc == BASE_E_CONFLICT) {
        (void)dprintf(STDERR_FILENO,
                      "quorate-guard: a server that this guard did not start runs in %s (pid %d)\n",
                      o->data_dir, (int)foreign);
        return EXIT_REFUSED;
    }
    if (rc != 0) {
        return complain(EXIT_REFUSED, "processes of a former guard do not end", rc);
    }
    if (o->is_kill_leftovers) {
        (void)printf("%d killed\n", killed);
        (void)fflush(stdout);
    }
    return 0;
}

/* The lock proves that no guard of this socket lives, so that whatever runs there is a leftover. */
static int former_clear(struct guard *g, const struct guard_options *o)
{
    int rc = server_lock(o->socket, &g->lock_fd);
    if (rc != 0) {
        (void)dprintf(STDERR_FILENO, "quorate-guard: %s.lock: %s\n", o->socket,
                      rc == BASE_E_BUSY ? "another guard serves this socket" : strerror(errno));
        return EXIT_REFUSED;
    }
    rc = cgroup_prepare(o);
    if (rc != 0) {
        return complain(EXIT_REFUSED, "processes of a former guard do not end", rc);
    }
    return o->adopt == 0 && leftovers_clear(o) != 0 ? EXIT_REFUSED : 0;
}

/* Everything that can fail with a text, before there are two of us. */
static int prepare(struct guard *g, const struct guard_options *o)
{
    if (mkdir(o->state_dir, 0700) != 0 && errno != EEXIST) {
        return complain(EXIT_REFUSED, "cannot make the state directory", BASE_E_IO);
    }
    if (former_clear(g, o) != 0) {
        return EXIT_REFUSED;
    }
    if (!the_cgroup.is_open && !proc_has_children_lists()) {
        return complain(EXIT_REFUSED, "neither a cgroup nor /proc/PID/task/TID/children",
                        BASE_E_UNSUPPORTED);
    }
    tree_init(&the_tree, 0, &the_cgroup);
    return twin_link_make(&g->link) == 0 ? 0 : complain(EXIT_INTERNAL, "shared page", BASE_E_NOMEM);
}

_Noreturn static void guard_main(struct guard *g, int32_t twin)
{
    (void)prctl(PR_SET_NAME, "quorate-guard");
    int rc = twin > 0 ? guard_open(g, twin) : guard_resume(g);
    if (rc != 0) {
        _exit(complain(EXIT_REFUSED, "cannot begin", rc));
    }
    const struct guard_status *st = &g->core.status;
    guard_log("notice",
              "ev=begin instance=%llx twin=%d cgroup=%s realtime=%d locked=%d upgrades=%u",
              (unsigned long long)st->instance, (int)getppid(),
              the_cgroup.is_open ? the_cgroup.path : "none", st->is_realtime, st->is_memory_locked,
              g->upgrades);
    if (g->options->ready_fd >= 0 && twin > 0) {
        (void)!write(g->options->ready_fd, "R", 1);
        (void)close(g->options->ready_fd);
    }
    guard_run(g);
    if (g->twin_fd < 0) {
        guard_cgroup_close(&the_cgroup); /* else the twin does, after its last look */
    }
    _exit(0);
}

static int twin_main(struct guard *g, int32_t guard)
{
    struct guard_status ignored = {0};
    int guard_fd = pidfd_open(guard, 0);
    if (g->options->ready_fd >= 0) {
        (void)close(g->options->ready_fd);
    }
    (void)prctl(PR_SET_NAME, "quorate-twin");
    guard_protect(&ignored);
    if (guard_fd < 0) {
        (void)kill(guard, SIGTERM);
        return EXIT_INTERNAL;
    }
    int rc = twin_run(&g->link, guard, guard_fd, &the_tree);
    if (twin_has_watchdog(&g->link)) {
        guard_watchdog_inherit(g->options);
    }
    guard_cgroup_close(&the_cgroup);
    return rc;
}

static void program_remember(struct guard *g)
{
    ssize_t len = readlink("/proc/self/exe", g->program, sizeof(g->program) - 1);
    g->program[len > 0 ? len : 0] = '\0';
    char *deleted = strstr(g->program, " (deleted)");
    if (deleted != NULL) {
        *deleted = '\0';
    }
}

static int resume_main(struct guard *g)
{
    if (guard_cgroup_open(&the_cgroup, g->options->cgroup, cgroup_name(g->options->socket)) != 0) {
        the_cgroup.is_open = false;
    }
    tree_init(&the_tree, 0, &the_cgroup);
    guard_main(g, 0);
}

/* --release: asks the guard that serves the socket, and waits until it has ended. */
static int release_main(const struct guard_options *o)
{
    struct guard_client client;
    struct guard_answer answer = {0};
    uint64_t cookie = 0;
    guard_client_init(&client);
    int rc = guard_client_connect(&client, o->socket, false);
    rc = rc != 0 ? rc
                 : guard_client_send(&client, &(struct guard_command){.type = GUARD_FRAME_RELEASE},
                                     &cookie);
    struct base_mono limit = base_mono_add_us(proc_now(), RELEASE_WAIT_US);
    bool is_answered = false;
    while (rc == 0 || rc == BASE_E_BUSY) {
        struct pollfd p = {.fd = client.fd, .events = POLLIN};
        (void)poll(&p, 1, 100);
        rc = guard_client_read(&client, &answer);
        is_answered = is_answered || (rc == 0 && answer.cookie == cookie);
        if (is_answered && answer.result != 0) {
            rc = answer.result;
        } else if (base_mono_before(limit, proc_now())) {
            rc = BASE_E_TIMEOUT;
        }
    }
    guard_client_close(&client);
    if (rc == BASE_E_CLOSED && is_answered) {
        (void)printf("released\n");
        return 0;
    }
    return complain(EXIT_REFUSED,
                    rc == BASE_E_STATE
                        ? "the database is not adopted, or its lease runs: pause the cluster and "
                          "stop the agent first (what the guard has started cannot be released)"
                        : o->socket,
                    rc);
}

int main(int argc, char **argv)
{
    struct guard *g = &the_guard;
    int rc = guard_options_parse(argc, argv, &the_options);
    if (rc != 0) {
        return rc == BASE_E_CANCELED ? 0 : EXIT_USAGE;
    }
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    if (the_options.is_release) {
        return release_main(&the_options);
    }
    g->options = &the_options;
    g->tree = &the_tree;
    program_remember(g);
    signals_block();
    if (the_options.resume_fd >= 0) {
        return resume_main(g);
    }
    if (the_options.is_kill_leftovers) {
        rc = former_clear(g, &the_options);
        guard_cgroup_close(&the_cgroup);
        return rc;
    }
    detach(&the_options);
    g->oom_score = oom_score_read();
    rc = prepare(g, &the_options);
    if (rc != 0) {
        return rc;
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER,
                1); /* before the fork: the guard must not be able to end without heirs */
    pid_t twin = getpid();
    pid_t guard = fork();
    if (guard == 0) {
        guard_main(g, twin);
    }
    if (guard < 0) {
        return complain(EXIT_INTERNAL, "cannot fork", BASE_E_NOMEM);
    }
    _exit(twin_main(g, guard));
}
