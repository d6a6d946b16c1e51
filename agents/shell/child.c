/* SPDX-License-Identifier: Apache-2.0 */
/* Running helper programs: see child.h. Between fork and exec only async-signal-safe calls, since
 * the agent has threads. The parent polls the output pipe, the child's pidfd and the cancel
 * descriptor. */
#include "agents/shell/child.h"

#include "base/name.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agents/shell/files.h"

struct run {
    const struct pg_child *child;
    struct pg_child_result *result;
    pid_t pid;
    int pidfd;
    int out_fd;
    int in_fd;
    size_t line_len;
    char line[PG_CHILD_LINE_MAX];
};

struct base_mono pg_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (struct base_mono){(int64_t)ts.tv_sec * BASE_US_PER_S + ts.tv_nsec / 1000};
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static bool is_error_line(const char *line)
{
    return strstr(line, "error:") != NULL || strstr(line, "ERROR:") != NULL ||
           strstr(line, "FATAL:") != NULL || strstr(line, "PANIC:") != NULL;
}

static void line_end(struct run *run)
{
    struct pg_child_result *result = run->result;
    run->line[run->line_len] = '\0';
    if (run->line_len == 0) {
        return;
    }
    memcpy(result->last_line, run->line, run->line_len + 1);
    if (result->error_line[0] == '\0' && is_error_line(run->line)) {
        memcpy(result->error_line, run->line, run->line_len + 1);
    }
    run->line_len = 0;
    if (run->child->line != NULL) {
        run->child->line(run->child->ctx, run->line);
    }
}

static void take_output(struct run *run, const char *bytes, size_t len)
{
    struct pg_child_result *result = run->result;
    size_t room = sizeof(result->head) - 1 - result->head_len;
    size_t kept = len < room ? len : room;
    memcpy(result->head + result->head_len, bytes, kept);
    result->head_len += kept;
    result->head[result->head_len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            line_end(run);
        } else if (run->line_len + 1 < sizeof(run->line)) {
            run->line[run->line_len++] = bytes[i];
        }
    }
}

/* Reads what is there. False at the end of the output. */
static bool drain(struct run *run)
{
    char bytes[2048];
    for (;;) {
        ssize_t got = read(run->out_fd, bytes, sizeof(bytes));
        if (got > 0) {
            take_output(run, bytes, (size_t)got);
        } else if (got == 0) {
            return false;
        } else if (errno != EINTR) {
            return errno == EAGAIN;
        }
    }
}

_Noreturn static void exec_child(const struct pg_child *child, const char *const *env, int in_fd,
                                 int out_fd)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0) {
        _exit(126);
    }
    if (child->lock_fd >= 0 && fcntl(child->lock_fd, F_SETFD, 0) != 0) {
        _exit(126);
    }
    execve(child->argv[0], (char *const *)(uintptr_t)child->argv, (char *const *)(uintptr_t)env);
    static const char text[] = "error: cannot execute the helper program\n";
    (void)!write(2, text, sizeof(text) - 1);
    _exit(127);
}

static int spawn(struct run *run)
{
    const char *env[PG_CHILD_ENVIRONMENT_MAX + 4] = {
        "LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "TZ=UTC"};
    const char *const *further = run->child->environment;
    int in_pipe[2];
    int out_pipe[2];
    for (size_t i = 0; further != NULL && further[i] != NULL && i < PG_CHILD_ENVIRONMENT_MAX; i++) {
        env[3 + i] = further[i];
    }
    if (pipe2(in_pipe, O_CLOEXEC) != 0) {
        return pg_errno_code(errno);
    }
    if (pipe2(out_pipe, O_CLOEXEC) != 0) {
        close(in_pipe[0]);
        close(in_pipe[1]);
        return BASE_E_NOMEM;
    }
    run->pid = fork();
    if (run->pid == 0) {
        exec_child(run->child, env, in_pipe[0], out_pipe[1]);
    }
    int status = run->pid < 0 ? BASE_E_NOMEM : 0;
    close(in_pipe[0]);
    close(out_pipe[1]);
    run->in_fd = in_pipe[1];
    run->out_fd = out_pipe[0];
    if (status == 0) {
        setpgid(run->pid, run->pid); /* whichever of the two comes first */
        run->pidfd = pidfd_open(run->pid, 0);
        fcntl(run->out_fd, F_SETFL, O_NONBLOCK);
        fcntl(run->in_fd, F_SETFL, O_NONBLOCK);
    }
    return status;
}

static void feed(struct run *run)
{
    /* The input is smaller than a pipe, so one write takes it. SIGPIPE is ignored by the program.
     */
    if (run->child->input.len > 0) {
        (void)!write(run->in_fd, run->child->input.data, run->child->input.len);
    }
    close_fd(&run->in_fd);
}

static int wait_ms(struct base_mono deadline)
{
    int64_t left = base_mono_diff_us(deadline, pg_now());
    if (left <= 0) {
        return 0;
    }
    return left > 60 * BASE_US_PER_S ? 60000 : (int)(left / 1000 + 1);
}

/* Until the child is a zombie, canceled or late. Its pid stays ours until it is reaped below. */
static int watch(struct run *run)
{
    for (;;) {
        struct pollfd fds[3] = {{.fd = run->out_fd, .events = POLLIN},
                                {.fd = run->pidfd, .events = POLLIN},
                                {.fd = run->child->cancel_fd, .events = POLLIN}};
        int left = wait_ms(run->child->deadline);
        if (poll(fds, 3, left) < 0 && errno != EINTR) {
            return BASE_E_IO;
        }
        if (run->out_fd >= 0 && fds[0].revents != 0 && !drain(run)) {
            close_fd(&run->out_fd);
        }
        if (fds[1].revents != 0) {
            return 0;
        }
        if (fds[2].revents != 0) {
            return BASE_E_CANCELED;
        }
        if (left == 0) {
            return BASE_E_TIMEOUT;
        }
    }
}

static void reap(struct run *run)
{
    /* Also after a normal end: no process of the group stays behind. */
    (void)kill(-run->pid, SIGKILL);
    (void)kill(run->pid, SIGKILL);
    while (waitpid(run->pid, &run->result->wait_status, 0) < 0 && errno == EINTR) {
    }
    if (run->out_fd >= 0) {
        (void)drain(run);
    }
    line_end(run);
}

int pg_child_run(const struct pg_child *child, struct pg_child_result *result)
{
    memset(result, 0, sizeof(*result));
    struct run run = {.child = child, .result = result, .pidfd = -1, .out_fd = -1, .in_fd = -1};
    int status = spawn(&run);
    if (status == 0) {
        feed(&run);
        status = run.pidfd >= 0 ? watch(&run) : BASE_E_NOMEM;
        reap(&run);
    }
    close_fd(&run.pidfd);
    close_fd(&run.out_fd);
    close_fd(&run.in_fd);
    if (status != 0) {
        return status;
    }
    return WIFEXITED(result->wait_status) && WEXITSTATUS(result->wait_status) == 0 ? 0
                                                                                   : BASE_E_STATE;
}

void pg_child_reason(const struct pg_child_result *result, struct base_text *ret)
{
    char text[64];
    const char *chosen = result->error_line[0] != '\0' ? result->error_line : result->last_line;
    if (chosen[0] == '\0') {
        bool is_signal = WIFSIGNALED(result->wait_status);
        int number = is_signal ? WTERMSIG(result->wait_status) : WEXITSTATUS(result->wait_status);
        (void)snprintf(text, sizeof(text), "%s %d", is_signal ? "killed by signal" : "exit code",
                       number);
        chosen = text;
    }
    *ret = base_text_from(slice_from_text(chosen));
}
