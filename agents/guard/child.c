/* SPDX-License-Identifier: Apache-2.0 */
/* The child between fork and exec. */
#include "agents/guard/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/guard/proc.h"

/* The child does no disk I/O before it answers, apart from opening its log file. */
#define ANSWER_TIMEOUT_MS 5000

enum answer { ANSWER_READY = 'R', ANSWER_CGROUP = 'C', ANSWER_OTHER = 'E' };

const char *guard_mark_of(const struct guard_options *options)
{
    return options->data_dir != NULL ? options->data_dir : options->state_dir;
}

static void signals_reset(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    for (int number = 1; number < 32; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool output_redirect(const struct guard_options *o)
{
    int fd = o->log_fd;
    if (o->log != NULL) {
        fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd >= 0 && o->has_user && fchown(fd, o->uid, o->gid) != 0) {
            return false;
        }
    } else if (fd < 0) {
        return true;
    }
    return fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0;
}

static bool user_become(const struct guard_options *o)
{
    gid_t groups[GUARD_GROUPS_MAX] = {o->gid};
    size_t count = 1;
    for (; count <= o->groups_count && count < GUARD_GROUPS_MAX; count++) {
        groups[count] = o->groups[count - 1];
    }
    if (!o->has_user || (geteuid() == o->uid && geteuid() != 0)) {
        return true;
    }
    return setgroups(count, groups) == 0 && setresgid(o->gid, o->gid, o->gid) == 0 &&
           setresuid(o->uid, o->uid, o->uid) == 0;
}

/* In the child. The parent-death signal comes last: a change of credentials would clear it, and the
 * check of the parent after it closes the gap in which the guard may have died. */
static enum answer child_prepare(const struct guard_options *o, int procs_fd, int oom_score,
                                 pid_t guard)
{
    char text[16];
    (void)setsid();
    signals_reset();
    if (procs_fd >= 0 && write(procs_fd, "0", 1) != 1) {
        return ANSWER_CGROUP;
    }
    (void)snprintf(text, sizeof(text), "%d", oom_score);
    (void)!proc_file_write(AT_FDCWD, "/proc/self/oom_score_adj", text);
    if (!output_redirect(o) || setenv(GUARD_MARK, guard_mark_of(o), 1) != 0 || !user_become(o) ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != guard) {
        return ANSWER_OTHER;
    }
    return ANSWER_READY;
}

_Noreturn static void child_run(const struct guard_options *o, int procs_fd, int oom_score,
                                pid_t guard, int answer_fd)
{
    enum answer answer = child_prepare(o, procs_fd, oom_score, guard);
    char byte = (char)answer;
    if (write(answer_fd, &byte, 1) != 1 || answer != ANSWER_READY) {
        (void)dprintf(STDERR_FILENO, "quorate-guard: cannot prepare %s: %s\n", o->command[0],
                      strerror(errno));
        _exit(126);
    }
    (void)close(answer_fd);
    (void)execvp(o->command[0], o->command);
    (void)dprintf(STDERR_FILENO, "quorate-guard: cannot run %s: %s\n", o->command[0],
                  strerror(errno));
    _exit(127);
}

static char answer_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte = 0;
    while (poll(&p, 1, ANSWER_TIMEOUT_MS) < 0 && errno == EINTR) {
    }
    if ((p.revents & POLLIN) == 0 || read(fd, &byte, 1) != 1) {
        byte = 0;
    }
    return byte;
}

int child_start(const struct guard_options *options, int cgroup_procs_fd, int oom_score,
                int32_t *ret_pid)
{
    int pipe_fds[2];
    pid_t guard = getpid();
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return BASE_E_NOMEM;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pipe_fds[0]);
        child_run(options, cgroup_procs_fd, oom_score, guard, pipe_fds[1]);
    }
    (void)close(pipe_fds[1]);
    char answer = pid > 0 ? answer_wait(pipe_fds[0]) : 0;
    (void)close(pipe_fds[0]);
    if (pid < 0) {
        return BASE_E_NOMEM;
    }
    if (answer == ANSWER_READY) {
        *ret_pid = pid;
        return 0;
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return answer == ANSWER_CGROUP ? BASE_E_DENIED : BASE_E_IO;
}
