/* SPDX-License-Identifier: Apache-2.0 */
/* The delegated cgroup: Documentation/admin-guide/cgroup-v2.rst of the kernel. */
#include "agents/guard/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agents/guard/proc.h"

/* Takes one line of mountinfo(5) apart; true when it is the cgroup2 mount whose root is our
 * namespace's. */
static bool mount_take(char *line, char *ret_path, size_t cap)
{
    const char *type = strstr(line, " - cgroup2 ");
    char *root = NULL, *point = NULL;
    if (type == NULL) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        char *field = strsep(&line, " ");
        root = i == 3 ? field : root;
        point = i == 4 ? field : point;
    }
    if (root == NULL || point == NULL || strcmp(root, "/") != 0) {
        return false;
    }
    int len = snprintf(ret_path, cap, "%s", point);
    return len > 0 && (size_t)len < cap;
}

/* Line by line without stdio streams: a heap would be locked into memory for ever. Lines too long
 * for the buffer are passed over. */
static int mount_find(char *ret_path, size_t cap)
{
    char text[2048];
    size_t filled = 0;
    ssize_t got = 0;
    bool is_found = false;
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !is_found && (got = read(fd, text + filled, sizeof(text) - 1 - filled)) > 0) {
        char *line = text;
        filled += (size_t)got;
        text[filled] = '\0';
        for (char *end = NULL; !is_found && (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            is_found = mount_take(line, ret_path, cap);
        }
        filled = filled == sizeof(text) - 1 && line == text ? 0 : filled - (size_t)(line - text);
        memmove(text, line, filled);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_found ? 0 : BASE_E_UNSUPPORTED;
}

/* Directory of our own process in the cgroup2 hierarchy: the line "0::/path". */
static int own_directory(char *ret_path, size_t cap)
{
    char mount[GUARD_PATH_MAX / 2], text[1024];
    int rc = mount_find(mount, sizeof(mount));
    if (rc == 0) {
        rc = proc_file_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
    }
    if (rc != 0) {
        return rc;
    }
    const char *own = strstr(text, "0::/");
    if (own == NULL || strstr(own, "/..") != NULL) {
        return BASE_E_UNSUPPORTED;
    }
    own += own[4] == '\n' || own[4] == '\0' ? 4 : 3; /* the root's "/" adds nothing */
    int len = snprintf(ret_path, cap, "%s%.*s", mount, (int)strcspn(own, "\n"), own);
    return len > 0 && (size_t)len < cap ? 0 : BASE_E_TOOBIG;
}

static int files_open(struct guard_cgroup *cg)
{
    int dir = open(cg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return BASE_E_DENIED;
    }
    cg->procs_fd = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    cg->freeze_fd = openat(dir, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
    cg->kill_fd = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    cg->events_fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
    (void)close(dir);
    cg->is_open = true;
    if (cg->procs_fd < 0 || cg->freeze_fd < 0 || cg->kill_fd < 0 || cg->events_fd < 0) {
        guard_cgroup_close(cg);
        return BASE_E_DENIED;
    }
    return 0;
}

int guard_cgroup_open(struct guard_cgroup *cg, const char *where, const char *name)
{
    char parent[GUARD_PATH_MAX];
    struct statfs fs;
    *cg = (struct guard_cgroup){.procs_fd = -1, .freeze_fd = -1, .kill_fd = -1, .events_fd = -1};
    if (strcmp(where, "none") == 0) {
        return BASE_E_UNSUPPORTED;
    }
    int rc = 0;
    if (strcmp(where, "auto") == 0) {
        rc = own_directory(parent, sizeof(parent));
    } else {
        int len = snprintf(parent, sizeof(parent), "%s", where);
        rc = len > 0 && (size_t)len < sizeof(parent) ? 0 : BASE_E_TOOBIG;
    }
    if (rc != 0) {
        return rc;
    }
    if (statfs(parent, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
        return BASE_E_UNSUPPORTED;
    }
    int len = snprintf(cg->path, sizeof(cg->path), "%s/quorate-%s", parent, name);
    if (len <= 0 || (size_t)len >= sizeof(cg->path)) {
        return BASE_E_TOOBIG;
    }
    if (mkdir(cg->path, 0755) != 0 && errno != EEXIST) {
        return BASE_E_DENIED;
    }
    return files_open(cg);
}

void guard_cgroup_close(struct guard_cgroup *cg)
{
    int fds[] = {cg->procs_fd, cg->freeze_fd, cg->kill_fd, cg->events_fd};
    if (!cg->is_open) {
        return;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    /* Fails while anything is inside, as it should; the last one may be on its way out. */
    for (int tries = 0; rmdir(cg->path) != 0 && errno == EBUSY && tries < 20; tries++) {
        (void)usleep(2000);
    }
    cg->is_open = false;
}

static bool one_write(int fd, const char *text)
{
    return pwrite(fd, text, 1, 0) == 1;
}

bool guard_cgroup_freeze(struct guard_cgroup *cg, bool is_frozen)
{
    return one_write(cg->freeze_fd, is_frozen ? "1" : "0");
}

bool guard_cgroup_kill(struct guard_cgroup *cg)
{
    return one_write(cg->kill_fd, "1");
}

void guard_cgroup_events(struct guard_cgroup *cg, bool *ret_is_populated, bool *ret_is_frozen)
{
    char text[128];
    ssize_t got = pread(cg->events_fd, text, sizeof(text) - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    bool is_removed = got < 0 && errno == ENODEV; /* only an empty one can be */
    *ret_is_populated = !is_removed && strstr(text, "populated 0") == NULL;
    *ret_is_frozen = strstr(text, "frozen 1") != NULL;
}
