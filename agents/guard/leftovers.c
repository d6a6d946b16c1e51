/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and killing the processes of a former instance. */
#include "agents/guard/leftovers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/guard/child.h"
#include "agents/guard/log.h"
#include "agents/guard/proc.h"

#define TIMEOUT_US (INT64_C(15) * BASE_US_PER_S)
#define REAPED_WAIT_US (INT64_C(5) * BASE_US_PER_S)
#define ROOT_FILE "guard.root"

struct search {
    const struct guard_options *options;
    struct guard_processes *tree;
    struct stat directory;
    bool has_directory;
    char program[GUARD_PATH_MAX]; /* real path of the command */
    char mark[GUARD_PATH_MAX + 32];
    int found;
    int killed;
};

static void path_make(char *path, size_t cap, int32_t pid, const char *name)
{
    (void)snprintf(path, cap, "/proc/%d/%s", (int)pid, name);
}

/* Looks for one whole NAME=VALUE among the NUL-separated entries, however long the environment is.
 */
static bool is_marked(int32_t pid, const char *mark)
{
    char path[64], piece[1024];
    path_make(path, sizeof(path), pid, "environ");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t matched = 0, len = strlen(mark);
    bool may_match = true, is_found = false;
    ssize_t got = 0;
    while (fd >= 0 && !is_found && (got = read(fd, piece, sizeof(piece))) > 0) {
        for (ssize_t i = 0; i < got && !is_found; i++) {
            if (piece[i] == '\0') {
                is_found = may_match && matched == len;
                matched = 0;
                may_match = true;
            } else {
                may_match = may_match && matched < len && piece[i] == mark[matched];
                matched++;
            }
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_found;
}

static bool is_in_directory(const struct search *s, int32_t pid)
{
    char path[64];
    struct stat cwd;
    path_make(path, sizeof(path), pid, "cwd");
    return s->has_directory && stat(path, &cwd) == 0 && cwd.st_dev == s->directory.st_dev &&
           cwd.st_ino == s->directory.st_ino;
}

/* A program replaced by an upgrade shows " (deleted)" behind its path. */
static bool is_program(const struct search *s, int32_t pid)
{
    char path[64], exe[GUARD_PATH_MAX];
    path_make(path, sizeof(path), pid, "exe");
    ssize_t len = readlink(path, exe, sizeof(exe) - 1);
    exe[len > 0 ? len : 0] = '\0';
    char *deleted = strstr(exe, " (deleted)");
    if (deleted != NULL) {
        *deleted = '\0';
    }
    return s->program[0] != '\0' && strcmp(exe, s->program) == 0;
}

static bool is_leftover(const struct search *s, int32_t pid)
{
    struct proc_stat stat = {0};
    if (pid == getpid() || pid == getppid() || proc_stat_read(pid, &stat) != 0 ||
        stat.state == 'Z' || stat.state == 'X') {
        return false;
    }
    return is_marked(pid, s->mark) || (is_in_directory(s, pid) && is_program(s, pid));
}

/* Stops it and what it has started, kills all of them, waits until they are dead. */
static void subtree_kill(struct guard_processes *tree, int32_t pid)
{
    struct guard_cgroup *cgroup = tree->cgroup;
    tree_init(tree, pid, cgroup);
    if (!tree_adopt(tree, pid)) {
        return;
    }
    struct base_mono limit = base_mono_add_us(proc_now(), TIMEOUT_US / 3);
    tree_kill_begin(tree);
    while (!tree_kill_poll(tree) && base_mono_before(proc_now(), limit)) {
        (void)usleep(500);
    }
}

static void process_consider(void *ctx, int32_t pid)
{
    struct search *s = ctx;
    if (is_leftover(s, pid)) {
        s->found++;
        guard_log("warn", "ev=leftover_killed killed_pid=%d", (int)pid);
        subtree_kill(s->tree, pid);
        s->killed++;
    }
}

static void root_line(int32_t pid, char *text, size_t cap)
{
    char boot[64] = "";
    struct proc_stat stat = {0};
    if (proc_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) != 0 ||
        proc_stat_read(pid, &stat) != 0) {
        boot[0] = '\0';
    }
    (void)snprintf(text, cap, "%d %llu %s", (int)pid, (unsigned long long)stat.start, boot);
}

static bool is_remembered(const struct guard_options *o, int32_t pid)
{
    char path[GUARD_PATH_MAX], text[160], now[160];
    (void)snprintf(path, sizeof(path), "%s/%s", o->state_dir != NULL ? o->state_dir : "",
                   ROOT_FILE);
    root_line(pid, now, sizeof(now));
    return o->state_dir != NULL && proc_file_read(AT_FDCWD, path, text, sizeof(text)) == 0 &&
           strcmp(text, now) == 0;
}

void leftovers_remember(const struct guard_options *options, int32_t root)
{
    char path[GUARD_PATH_MAX], text[160];
    (void)snprintf(path, sizeof(path), "%s/%s", options->state_dir, ROOT_FILE);
    root_line(root, text, sizeof(text));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        (void)close(fd);
    }
}

void leftovers_forget(const struct guard_options *options)
{
    char path[GUARD_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", options->state_dir, ROOT_FILE);
    (void)unlink(path);
}

/* PostgreSQL's lock file: its first line is the server's pid. 0 when there is none. */
static int32_t lock_file_read(const struct search *s)
{
    char path[GUARD_PATH_MAX], text[64];
    (void)snprintf(path, sizeof(path), "%s/postmaster.pid", s->options->data_dir);
    if (proc_file_read(AT_FDCWD, path, text, sizeof(text)) != 0) {
        return 0;
    }
    long pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT32_MAX ? (int32_t)pid : 0;
}

/* A dead server that its new parent has not reaped yet still answers kill(pid, 0), and PostgreSQL
 * would take the directory for locked. */
static void reaped_wait(const struct search *s)
{
    int32_t pid = s->has_directory ? lock_file_read(s) : 0;
    struct base_mono limit = base_mono_add_us(proc_now(), REAPED_WAIT_US);
    struct proc_stat now = {0};
    while (pid > 0 && proc_stat_read(pid, &now) == 0 && now.state == 'Z' &&
           base_mono_before(proc_now(), limit)) {
        (void)usleep(2000);
    }
}

/* The command as the system would find it, links resolved; empty when it cannot be found. */
static void program_find(const struct guard_options *o, char *ret, size_t cap)
{
    char path[GUARD_PATH_MAX], real[PATH_MAX];
    const char *list = getenv("PATH");
    const char *name = o->command != NULL ? o->command[0] : "";
    ret[0] = '\0';
    if (strchr(name, '/') != NULL) {
        list = "";
    }
    while (list != NULL && name[0] != '\0' && ret[0] == '\0') {
        size_t len = strcspn(list, ":");
        (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)len, list, len > 0 ? "/" : "", name);
        if (realpath(path, real) != NULL && access(real, X_OK) == 0) {
            (void)snprintf(ret, cap, "%.*s", (int)cap - 1, real);
        }
        list = list[len] == ':' ? list + len + 1 : NULL;
    }
}

static struct search search_make(const struct guard_options *options, struct guard_processes *tree)
{
    struct search s = {.options = options, .tree = tree};
    s.has_directory = options->data_dir != NULL && stat(options->data_dir, &s.directory) == 0;
    (void)snprintf(s.mark, sizeof(s.mark), "%s=%s", GUARD_MARK, guard_mark_of(options));
    program_find(options, s.program, sizeof(s.program));
    return s;
}

/* Kills what is found until nothing is. */
static int search_kill(struct search *s)
{
    struct base_mono limit = base_mono_add_us(proc_now(), TIMEOUT_US);
    do {
        s->found = 0;
        proc_each(process_consider, s);
    } while (s->found > 0 && base_mono_before(proc_now(), limit));
    return s->found == 0 ? 0 : BASE_E_TIMEOUT;
}

int leftovers_kill(const struct guard_options *options, struct guard_processes *tree,
                   int *ret_killed, int32_t *ret_foreign)
{
    struct search s = search_make(options, tree);
    *ret_killed = 0;
    int32_t owner = s.has_directory ? lock_file_read(&s) : 0;
    if (owner > 0 && is_in_directory(&s, owner) && !is_remembered(options, owner) &&
        !is_marked(owner, s.mark)) {
        *ret_foreign = owner;
        return BASE_E_CONFLICT;
    }
    int rc = search_kill(&s);
    *ret_killed = s.killed;
    reaped_wait(&s);
    return rc;
}

int leftovers_kill_all(const struct guard_options *options, struct guard_processes *tree)
{
    struct search s = search_make(options, tree);
    return search_kill(&s);
}

bool leftovers_is_server(const struct guard_options *options, int32_t pid)
{
    struct search s = search_make(options, NULL);
    return is_in_directory(&s, pid) && is_program(&s, pid);
}
