/* SPDX-License-Identifier: Apache-2.0 */
/* Before an agent runs: see start.h. */
#include "agents/shell/start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/core/disk.h"
#include "agents/guard/client.h"
#include "agents/shell/files.h"

#define GROUPS_MAX 64
#define SOCKET_BYTES 104 /* a Unix socket's address has 108 at most, unix(7) */

/* While we may: a directory below /run or /var/lib for the user who is to use it. */
static int make_directory(const char *path, const struct passwd *user, struct io_why *why)
{
    if (path == NULL || mkdir(path, 0750) != 0) {
        return 0; /* it is there, or the check that follows says what is wrong */
    }
    if (chown(path, user->pw_uid, user->pw_gid) != 0) {
        io_why_set(why, "cannot give %s to user %s: %s", path, user->pw_name, strerror(errno));
        return BASE_E_IO;
    }
    return 0;
}

/* The directory of sockets that systemd's unit uses belongs to root and a group of its own, which
 * the unit adds (SupplementaryGroups); who is started by hand gets it here. */
static int join_group_of(const char *run_dir)
{
    struct stat st;
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX - 1, groups);
    bool is_shared_dir = stat(run_dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0 &&
                         (st.st_mode & (S_ISVTX | S_IWGRP)) == (S_ISVTX | S_IWGRP);
    if (count < 0 || !is_shared_dir) {
        return 0;
    }
    groups[count] = st.st_gid;
    return setgroups((size_t)count + 1, groups);
}

static int become(const struct passwd *user, const char *run_dir, struct io_why *why)
{
    if (initgroups(user->pw_name, user->pw_gid) != 0 || join_group_of(run_dir) != 0 ||
        setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0 ||
        setenv("HOME", user->pw_dir, 1) != 0 || setenv("USER", user->pw_name, 1) != 0) {
        io_why_set(why, "cannot become user %s: %s", user->pw_name, strerror(errno));
        return BASE_E_DENIED;
    }
    return 0;
}

int agent_become_user(const struct io_config *config, const struct agent_settings *common,
                      const char *data_dir, struct io_why *why)
{
    if (geteuid() != 0) {
        return 0;
    }
    const char *name = io_config_text(config, AGENT_KEY_USER);
    const struct passwd *user = getpwnam(name);
    if (user == NULL || user->pw_uid == 0) {
        io_config_why(config, AGENT_KEY_USER, why, "'%s' is %s", name,
                      user == NULL ? "not a user of this host" : "root; name another user");
        return BASE_E_NOTFOUND;
    }
    int rc = make_directory(common->run_dir, user, why);
    rc = rc != 0 ? rc : make_directory(common->state_dir, user, why);
    rc = rc != 0 ? rc : make_directory(data_dir, user, why);
    if (rc == 0 && common->vip.count > 0) {
        vip_capabilities_keep();
    }
    return rc != 0 ? rc : become(user, common->run_dir, why);
}

int agent_find_guard(const struct io_config *config, char ret_path[static AGENT_PATH_BYTES],
                     struct io_why *why)
{
    const char *set = io_config_text(config, AGENT_KEY_GUARD);
    if (set[0] != '\0') {
        (void)snprintf(ret_path, AGENT_PATH_BYTES, "%s", set);
    } else {
        char self[AGENT_PATH_BYTES - 32];
        ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        self[len < 0 ? 0 : len] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        (void)snprintf(ret_path, AGENT_PATH_BYTES, "%s/quorate-guard", self);
    }
    if (access(ret_path, X_OK) != 0) {
        io_config_why(config, AGENT_KEY_GUARD, why, "no program at %s", ret_path);
        return BASE_E_NOTFOUND;
    }
    return 0;
}

int agent_guard_socket(const struct agent_settings *common, char ret_path[static AGENT_PATH_BYTES],
                       struct io_why *why)
{
    int len = snprintf(ret_path, AGENT_PATH_BYTES, "%s/%s.%s.guard", common->run_dir,
                       common->core.cluster.text, common->core.member.text);
    if (len >= SOCKET_BYTES) {
        io_why_set(why, "run_dir '%s' is too long for a Unix socket", common->run_dir);
        return BASE_E_RANGE;
    }
    return 0;
}

static bool is_shared(const char *path, const struct stat *st)
{
    return st->st_uid == 0 && (st->st_mode & (S_ISVTX | S_IWOTH)) == S_ISVTX &&
           access(path, W_OK) == 0;
}

int agent_check_directory(const char *path, struct io_why *why)
{
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        io_why_set(why, "cannot make %s: %s", path, strerror(errno));
        return BASE_E_IO;
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        io_why_set(why, "%s is not a directory that can be used", path);
        return BASE_E_INVALID;
    }
    if (st.st_uid != geteuid() && !is_shared(path, &st)) {
        const struct passwd *owner = getpwuid(st.st_uid);
        io_why_set(why,
                   "%s belongs to user %s (uid %u), but agent and database run as uid %u; chown it "
                   "or set 'user'",
                   path, owner == NULL ? "unknown" : owner->pw_name, st.st_uid, geteuid());
        return BASE_E_DENIED;
    }
    return 0;
}

int agent_find_user(struct agent_settings *common, struct io_why *why)
{
    const struct passwd *user = getpwuid(geteuid());
    if (user == NULL || user->pw_uid == 0) {
        io_why_set(why, "%s",
                   user == NULL ? "this user has no name"
                                : "the database does not run as root; set 'user'");
        return BASE_E_DENIED;
    }
    (void)snprintf(common->os_user, sizeof(common->os_user), "%s", user->pw_name);
    return 0;
}

int agent_check_files(const struct agent_settings *common, const char *const *files, size_t count,
                      struct io_why *why)
{
    for (size_t i = 0; i < count; i++) {
        if (files[i][0] != '\0' && access(files[i], R_OK) != 0) {
            io_why_set(why, "cannot read %s as user %s: %s", files[i], common->os_user,
                       strerror(errno));
            return BASE_E_NOTFOUND;
        }
    }
    return 0;
}

bool agent_take_word(int *argc, char **argv, const char *word)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], word) != 0) {
            argv[kept++] = argv[i];
        }
    }
    bool is_there = kept < *argc;
    argv[kept] = NULL;
    *argc = kept;
    return is_there;
}

/* --- a server that was there before us --- */

/* A small file of the state directory, without its end where it is longer. NOTFOUND, IO. */
static int read_state(const char *state_dir, const char *name, char *memory, size_t cap,
                      size_t *ret_len)
{
    char path[AGENT_PATH_BYTES];
    int len = snprintf(path, sizeof(path), "%s/%s", state_dir, name);
    int fd = len < (int)sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return len < (int)sizeof(path) && errno == ENOENT ? BASE_E_NOTFOUND : BASE_E_IO;
    }
    ssize_t got = read(fd, memory, cap);
    (void)close(fd);
    *ret_len = got < 0 ? 0 : (size_t)got;
    return got < 0 ? BASE_E_IO : 0;
}

bool agent_has_guard(const char *socket)
{
    struct guard_client client;
    guard_client_init(&client);
    bool has_guard = guard_client_connect(&client, socket, true) == 0;
    guard_client_close(&client);
    return has_guard;
}

bool agent_has_state(const char *state_dir)
{
    struct pg_path state;
    return pg_path_join(state_dir, "agent.state", &state) == 0 && pg_file_exists(state.text);
}

bool agent_was_led(const char *state_dir)
{
    static struct agt_disk disk; /* one thread, before any loop */
    char bytes[AGT_DISK_BYTES_MAX];
    size_t len = 0;
    int rc = read_state(state_dir, "agent.state", bytes, sizeof(bytes), &len);
    if (rc == BASE_E_NOTFOUND) {
        return false;
    }
    return rc != 0 || agt_disk_decode(slice_from(bytes, len), &disk) != 0 || disk.epoch_seen > 0;
}

bool agent_is_guards_root(const char *state_dir, int32_t pid)
{
    char text[160];
    size_t len = 0;
    if (!agent_was_led(state_dir) ||
        read_state(state_dir, "guard.root", text, sizeof(text) - 1, &len) != 0) {
        return false;
    }
    text[len] = '\0';
    return strtol(text, NULL, 10) == pid;
}
