/* SPDX-License-Identifier: Apache-2.0 */
/* kv doctor: the host itself: cgroups, watchdog, disk, and how punctual it is. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "kv/cli/doctor.h"

#define FLUSHES 50
#define FLUSHES_LEAST 5
#define FLUSH_LIMIT_US 3000000 /* of all of them: a slow disk is known before */
#define FLUSH_BYTES 8192
#define FLUSH_SLOW_US 20000 /* median: each commit and each vote waits for one */
#define FLUSH_BAD_US 200000
#define SPACE_LOW (UINT64_C(1) << 30)
#define SPACE_NONE (UINT64_C(64) << 20)
#define TTL_FREEZER_US 1000000 /* below it only the cgroup freezer is quick enough */

static int64_t now_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t ttl_of(const struct doctor_config *c)
{
    bool is_fast = strcmp(doctor_text(c, "cluster.profile", "default"), "fast") == 0;
    return doctor_us(c, "cluster.ttl", is_fast ? "600ms" : "2s");
}

static int64_t shortest_ttl(const struct doctor *d)
{
    int64_t shortest = 2000000;
    for (size_t i = 0; i < d->configs_count; i++) {
        int64_t ttl = d->configs[i].is_node ? shortest : ttl_of(&d->configs[i]);
        shortest = ttl > 0 && ttl < shortest ? ttl : shortest;
    }
    return shortest;
}

/* --- cgroup --- */

static bool find_cgroup2(char *ret, size_t cap)
{
    char line[1024];
    bool is_found = false;
    FILE *in = fopen("/proc/self/mounts", "re");
    while (in != NULL && !is_found && fgets(line, sizeof(line), in) != NULL) {
        char place[512];
        char kind[64];
        is_found = sscanf(line, "%*s %511s %63s", place, kind) == 2 && strcmp(kind, "cgroup2") == 0;
        if (is_found) {
            (void)snprintf(ret, cap, "%s", place);
        }
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return is_found;
}

static bool has_file(const char *directory, const char *name)
{
    char path[DOCTOR_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* A group of our own, made and removed again; only root may. */
static bool try_freezer(const char *mount, bool *ret_is_tried)
{
    char path[DOCTOR_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/quorate-doctor-%d", mount, (int)getpid());
    *ret_is_tried = mkdir(path, 0755) == 0;
    if (!*ret_is_tried) {
        return false;
    }
    bool is_good = has_file(path, "cgroup.freeze") && has_file(path, "cgroup.kill");
    (void)rmdir(path);
    return is_good;
}

static void check_delegated(struct doctor *d, const struct doctor_config *c, const char *mount,
                            bool is_needed)
{
    const char *set = doctor_text(c, "guard.cgroup", "auto");
    bool is_tried = false;
    if (set[0] == '/') {
        bool is_usable = has_file(set, "cgroup.procs") && has_file(set, "cgroup.freeze");
        doctor_say(d, is_usable ? DOCTOR_OK : DOCTOR_FAIL,
                   is_usable ? NULL : "name a delegated cgroup v2 directory, or say auto",
                   "guard.cgroup %s%s", set, is_usable ? "" : " has no cgroup.freeze");
        return;
    }
    bool is_good = strcmp(set, "none") != 0 && mount[0] != '\0' && try_freezer(mount, &is_tried);
    if (is_good) {
        doctor_say(d, DOCTOR_OK, NULL, "cgroup v2 in %s freezes and kills", mount);
    } else if (strcmp(set, "none") != 0 && mount[0] != '\0' && !is_tried) {
        doctor_say(d, DOCTOR_SKIP, NULL, "cgroup v2 in %s: only root can try the freezer", mount);
    } else {
        doctor_say(d, is_needed ? DOCTOR_FAIL : DOCTOR_WARN,
                   "mount cgroup v2 (Debian does) and start the agent by its unit, Delegate=yes; a "
                   "ttl below 1s needs it",
                   "no cgroup v2 with a freezer: the guard stops the database by signals, which "
                   "takes longer");
    }
}

void doctor_check_cgroup(struct doctor *d)
{
    char mount[512] = "";
    (void)find_cgroup2(mount, sizeof(mount));
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        if (!c->is_node) {
            check_delegated(d, c, mount, ttl_of(c) < TTL_FREEZER_US);
        }
    }
}

/* --- watchdog --- */

void doctor_check_watchdog(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        const char *mode = doctor_text(c, "watchdog.mode", "off");
        const char *device = doctor_text(c, "watchdog.device", "/dev/watchdog");
        bool is_required = strcmp(mode, "require") == 0;
        if (c->is_node || strcmp(mode, "off") == 0) {
            continue;
        }
        if (access(device, W_OK) != 0) {
            doctor_say(
                d, is_required ? DOCTOR_FAIL : DOCTOR_WARN,
                "modprobe softdog or the host's driver, and let the agent's user write to it",
                "watchdog %s: %s", device, strerror(errno));
        } else {
            doctor_say(d, DOCTOR_OK, NULL, "watchdog %s", device);
        }
    }
}

/* --- disk --- */

/* The directory, or the nearest one above that is there. */
static void existing(const char *path, char *ret, size_t cap)
{
    (void)snprintf(ret, cap, "%s", path);
    while (access(ret, F_OK) != 0 && strlen(ret) > 1) {
        char *slash = strrchr(ret, '/');
        *(slash == NULL || slash == ret ? ret + 1 : slash) = '\0';
    }
}

static void directory_of(const struct doctor_config *c, char *ret, size_t cap)
{
    const char *path =
        c->is_node ? doctor_text(c, "data_dir", "/") : doctor_engine_text(c, "data_dir", "/");
    existing(path, ret, cap);
}

void doctor_check_space(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        char path[DOCTOR_PATH_MAX];
        struct statvfs vfs;
        directory_of(&d->configs[i], path, sizeof(path));
        if (statvfs(path, &vfs) != 0) {
            doctor_say(d, DOCTOR_WARN, "look at the file system", "%s: %s", path, strerror(errno));
            continue;
        }
        uint64_t bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
        uint64_t all = (uint64_t)vfs.f_blocks * vfs.f_frsize;
        bool is_low = bytes < SPACE_LOW || bytes < all / 20;
        doctor_say(d,
                   bytes < SPACE_NONE ? DOCTOR_FAIL
                   : is_low           ? DOCTOR_WARN
                                      : DOCTOR_OK,
                   is_low ? "make room: a full disk ends the role of a primary, and a node" : NULL,
                   "%s: %" PRIu64 " MB free", path, bytes >> 20);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Times of writes that are flushed one by one, sorted. */
static int flush_times(const char *directory, int64_t times[static FLUSHES], size_t *ret_count)
{
    static const char bytes[FLUSH_BYTES];
    char path[DOCTOR_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/.quorate-doctor-%d", directory, (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    (void)unlink(path);
    int rc = 0;
    size_t i = 0;
    int64_t until = now_us() + FLUSH_LIMIT_US;
    for (; i < FLUSHES && rc == 0 && (i < FLUSHES_LEAST || now_us() < until); i++) {
        int64_t began = now_us();
        bool is_done = pwrite(fd, bytes, sizeof(bytes), (off_t)(i * sizeof(bytes))) ==
                           (ssize_t)sizeof(bytes) &&
                       fdatasync(fd) == 0;
        rc = is_done ? 0 : errno;
        times[i] = now_us() - began;
    }
    (void)close(fd);
    qsort(times, i, sizeof(times[0]), compare);
    *ret_count = i;
    return rc;
}

/* "<1ms 41, <4ms 7, <16ms 2" */
static void histogram(const int64_t *times, size_t count, char *ret, size_t cap)
{
    static const int64_t bounds_ms[] = {1, 4, 16, 64, 256, INT64_MAX / 1000};
    size_t at = 0;
    size_t used = 0;
    ret[0] = '\0';
    for (size_t b = 0; b < BASE_COUNT_OF(bounds_ms); b++) {
        size_t from = at;
        while (at < count && times[at] < bounds_ms[b] * 1000) {
            at++;
        }
        if (at > from && used < cap) {
            bool is_last = b + 1 == BASE_COUNT_OF(bounds_ms);
            used += (size_t)snprintf(ret + used, cap - used, "%s%s%" PRId64 "ms %zu",
                                     from == 0 ? "" : ", ", is_last ? ">=" : "<",
                                     is_last ? bounds_ms[b - 1] : bounds_ms[b], at - from);
        }
    }
}

void doctor_check_flush(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        char path[DOCTOR_PATH_MAX];
        char shape[160];
        int64_t times[FLUSHES] = {0};
        size_t count = 0;
        directory_of(&d->configs[i], path, sizeof(path));
        int number = flush_times(path, times, &count);
        if (number == EACCES || number == EROFS) {
            doctor_say(d, DOCTOR_SKIP, NULL, "%s: this user cannot write there: %s", path,
                       strerror(number));
            continue;
        }
        if (number != 0) {
            doctor_say(d, DOCTOR_FAIL, "look at the disk", "%s: %s", path, strerror(number));
            continue;
        }
        int64_t median = times[count / 2];
        histogram(times, count, shape, sizeof(shape));
        doctor_say(d,
                   median > FLUSH_BAD_US    ? DOCTOR_FAIL
                   : median > FLUSH_SLOW_US ? DOCTOR_WARN
                                            : DOCTOR_OK,
                   median > FLUSH_SLOW_US
                       ? "a disk that flushes quicker: each commit and each vote waits for one"
                       : NULL,
                   "%s: %zu flushes, median %.1f ms, worst %.1f ms (%s)", path, count,
                   (double)median / 1000, (double)times[count - 1] / 1000, shape);
    }
}

/* --- pauses --- */

/* By how much a sleep of 1 ms was longer at worst. */
static int64_t worst_pause(unsigned seconds)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    int64_t until = now_us() + (int64_t)seconds * 1000000;
    int64_t worst = 0;
    for (int64_t began = now_us(); began < until;) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        int64_t now = now_us();
        worst = now - began - 1000 > worst ? now - began - 1000 : worst;
        began = now;
    }
    return worst;
}

void doctor_check_pauses(struct doctor *d)
{
    if (d->seconds == 0) {
        return;
    }
    int64_t ttl = shortest_ttl(d);
    int64_t margin = ttl / 10;
    int64_t worst = worst_pause(d->seconds);
    doctor_say(d,
               worst > ttl / 2      ? DOCTOR_FAIL
               : worst > margin / 2 ? DOCTOR_WARN
                                    : DOCTOR_OK,
               worst > margin / 2 ? "a host with less steal time, or a longer cluster.ttl: a pause "
                                    "of the host counts against the lease"
                                  : NULL,
               "the worst pause of this host in %u s was %.1f ms (lease %.1f s, margin %.0f ms)",
               d->seconds, (double)worst / 1000, (double)ttl / 1000000, (double)margin / 1000);
}
