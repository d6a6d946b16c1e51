/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for processes in a data directory: see process.h. Reads /proc; kills only what stands in
 * the directory and is a postgres. */
#include "agents/postgresql/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/shell/child.h"
#include "agents/shell/files.h"
#include "base/name.h"

static int pid_of(const char *name)
{
    uint64_t value = 0;
    if (slice_to_u64(slice_from_text(name), &value) != 0 || value > INT32_MAX) {
        return 0;
    }
    return (int)value;
}

static bool stands_in(int pid, const char *directory)
{
    char path[64];
    char target[PG_PATH_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
    ssize_t len = readlink(path, target, sizeof(target) - 1);
    if (len <= 0) {
        return false;
    }
    target[len] = '\0';
    return strcmp(target, directory) == 0;
}

static bool is_postgres(int pid)
{
    char path[64];
    char name[32];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    return pg_file_read(path, name, sizeof(name), &len) == 0 && strncmp(name, "postgres", 8) == 0;
}

static bool carries_mark(int pid)
{
    char path[64];
    char line[8192];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    if (pg_file_read(path, line, sizeof(line), &len) != 0) {
        return false;
    }
    static const char mark[] = "quorate.member=";
    return memmem(line, len, mark, sizeof(mark) - 1) != NULL;
}

static int postmaster_pid(const char *data_dir)
{
    struct pg_path path;
    char text[512];
    size_t len = 0;
    if (pg_path_join(data_dir, "postmaster.pid", &path) != 0 ||
        pg_file_read(path.text, text, sizeof(text), &len) != 0) {
        return 0;
    }
    text[strcspn(text, "\n")] = '\0';
    return pid_of(text);
}

int pg_processes_find(const char *data_dir, struct pg_processes *ret)
{
    char directory[PATH_MAX];
    memset(ret, 0, sizeof(*ret));
    if (realpath(data_dir, directory) == NULL) {
        return errno == ENOENT ? 0 : pg_errno_code(errno);
    }
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return pg_errno_code(errno);
    }
    int postmaster = postmaster_pid(data_dir);
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        int pid = pid_of(entry->d_name);
        if (pid <= 0 || !stands_in(pid, directory) || !is_postgres(pid)) {
            continue;
        }
        if (pid == postmaster) {
            ret->postmaster = pid;
            ret->is_ours = carries_mark(pid);
        }
        if (ret->count < PG_PROCESSES_MAX) {
            ret->pids[ret->count++] = pid;
        }
    }
    closedir(proc);
    return 0;
}

int pg_processes_kill(const char *data_dir, int64_t limit_us)
{
    struct base_mono deadline = base_mono_add_us(pg_now(), limit_us);
    struct pg_processes *found = malloc(sizeof(*found));
    int status = found == NULL ? BASE_E_NOMEM : pg_processes_find(data_dir, found);
    if (status == 0 && found->postmaster > 0) {
        (void)kill(found->postmaster, SIGSTOP); /* so that it makes no new ones meanwhile */
    }
    while (status == 0 && found->count > 0) {
        for (uint32_t i = 0; i < found->count; i++) {
            (void)kill(found->pids[i], SIGKILL);
        }
        (void)usleep(2000);
        status = base_mono_before(deadline, pg_now()) ? BASE_E_TIMEOUT
                                                      : pg_processes_find(data_dir, found);
    }
    free(found);
    return status;
}

static int bind_one(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno == EAFNOSUPPORT ? 0 : pg_errno_code(errno);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    /* Without listen() two sockets with SO_REUSEADDR can share a port, so listen as well. */
    bool is_free = bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 1) == 0;
    int number = is_free ? 0 : errno;
    close(fd);
    if (number == EADDRINUSE) {
        return BASE_E_EXISTS;
    }
    return number == EADDRNOTAVAIL ? BASE_E_NOTFOUND : pg_errno_code(number);
}

static int check_address(const char *name, uint16_t port)
{
    char service[8];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    (void)snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, service, &hints, &list) != 0) {
        return BASE_E_NOTFOUND;
    }
    int status = 0;
    for (const struct addrinfo *one = list; one != NULL && status == 0; one = one->ai_next) {
        status = bind_one(one);
    }
    freeaddrinfo(list);
    return status;
}

int pg_port_check(const char *listen_text, uint16_t port, struct base_text *ret_address)
{
    char text[BASE_TEXT_MAX + 1];
    int status = 0;
    (void)snprintf(text, sizeof(text), "%s", listen_text);
    char *rest = text;
    for (char *one = strsep(&rest, ", "); one != NULL && status == 0; one = strsep(&rest, ", ")) {
        if (one[0] == '\0') {
            continue;
        }
        status = check_address(one, port);
        if (status != 0) {
            *ret_address = base_text_from(slice_from_text(one));
        }
    }
    return status;
}
