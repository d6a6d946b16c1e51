/* SPDX-License-Identifier: Apache-2.0 */
/* The edges of a daemon; see daemon.h. systemd's notification protocol: sd_notify(3), a datagram to
 * the socket named by NOTIFY_SOCKET, so that no library is needed. */
#include "proto/io/daemon.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify_socket(struct sockaddr_un *address, socklen_t *len)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof(address->sun_path)) {
        return -1;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, strlen(path));
    if (path[0] == '@') {
        address->sun_path[0] = '\0'; /* abstract name */
    }
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void io_daemon_notify(const char *state)
{
    struct sockaddr_un address;
    socklen_t len = 0;
    int fd = notify_socket(&address, &len);
    if (fd >= 0) {
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
        (void)close(fd);
    }
}

/* One watchdog per process; the timer lives as long as the loop. */
static struct {
    struct io_timer timer;
    int64_t period_us;
} watchdog;

static void watchdog_fire(void *ctx)
{
    (void)ctx;
    io_daemon_notify("WATCHDOG=1");
    io_timer_start_in_us(&watchdog.timer, watchdog.period_us);
}

void io_daemon_watchdog(struct io_loop *loop)
{
    const char *text = getenv("WATCHDOG_USEC");
    long long us = text == NULL ? 0 : strtoll(text, NULL, 10);
    if (us > 0) {
        watchdog.period_us = us / 3;
        io_timer_init(&watchdog.timer, loop, watchdog_fire, NULL);
        watchdog_fire(NULL);
    }
}

int io_daemon_lock(const char *path, struct io_why *why)
{
    char text[32] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        io_why_set(why, "cannot open lock file %s: %s", path, strerror(errno));
        return errno == EACCES || errno == EPERM ? BASE_E_DENIED : BASE_E_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t got = read(fd, text, sizeof(text) - 1);
        text[got < 0 ? 0 : got] = '\0';
        text[strcspn(text, "\n")] = '\0';
        io_why_set(why, "another process (pid %s) holds %s; stop it first", text, path);
        (void)close(fd);
        return BASE_E_EXISTS;
    }
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)len) != len) {
        io_why_set(why, "cannot write lock file %s: %s", path, strerror(errno));
        (void)close(fd);
        return BASE_E_IO;
    }
    return 0; /* the descriptor stays open on purpose: closing it would give the lock up */
}

const char *io_daemon_version(const char *program, char *memory, size_t cap)
{
    char id[64];
    (void)io_build_id(id, sizeof(id));
    (void)snprintf(memory, cap, "%s %s (%s%s%.12s)", program, QUORATE_VERSION, QUORATE_VARIANT,
                   id[0] == '\0' ? "" : ", ", id);
    return memory;
}

struct build_id {
    const uint8_t *bytes;
    size_t len;
};

/* Walks the notes of one segment for NT_GNU_BUILD_ID. */
static void search_notes(const uint8_t *notes, size_t size, struct build_id *ret)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes, sizeof(note));
        size_t name_len = (note.n_namesz + 3u) & ~3u;
        size_t total = sizeof(note) + name_len + ((note.n_descsz + 3u) & ~3u);
        if (total > size) {
            return;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + sizeof(note), "GNU", 4) == 0) {
            *ret = (struct build_id){notes + sizeof(note) + name_len, note.n_descsz};
            return;
        }
        notes += total;
        size -= total;
    }
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct build_id *id = ctx;
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum && id->bytes == NULL; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE) {
            union {
                uintptr_t number;
                const uint8_t *bytes;
            } at = {.number = (uintptr_t)(info->dlpi_addr + segment->p_vaddr)};
            search_notes(at.bytes, segment->p_memsz, id);
        }
    }
    return 1; /* the program itself comes first; no other object is of interest */
}

const char *io_build_id(char *memory, size_t cap)
{
    struct build_id id = {0};
    (void)dl_iterate_phdr(visit_object, &id);
    if (cap > 0) {
        memory[0] = '\0';
    }
    for (size_t i = 0; i < id.len && 2 * i + 3 <= cap; i++) {
        (void)snprintf(memory + 2 * i, 3, "%02x", id.bytes[i]);
    }
    return memory;
}

bool io_daemon_lock_memory(void)
{
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

void io_daemon_small_memory(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
}
