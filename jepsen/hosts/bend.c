/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into what runs on a host: its clocks and its disk answer as the host's page says
 * (bend.h).
 *
 * The programs under test are the ones that are shipped: nothing in them knows of this. Bent are
 * readings of the wall and of the monotonic clocks, absolute timers and waits, flushes and writes
 * of regular files on the host's disk. Not bent: relative timeouts (poll, sleep), static programs,
 * what a program asks the kernel for without libc. A process without a page is left alone. Absolute
 * timers also wake their owner ten times a second, since the rate may change while they run: a
 * timer that comes early must be looked at again.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "jepsen/hosts/bend.h"

#define NS_PER_S INT64_C(1000000000)
#define TIMERS 4096
#define WAKE_NS (NS_PER_S / 10)

static struct bend_page *page;
static int8_t timer_clock[TIMERS]; /* of a timerfd, by descriptor: enum bend_clock + 1 */

/* The function that ours stands before. */
#define NEXT(name) \
    static __typeof__(name) *next; \
    if (next == NULL) { \
        *(void **)&next = dlsym(RTLD_NEXT, #name); \
    }

__attribute__((constructor)) static void find_page(void)
{
    struct stat st;
    char path[64];
    if (stat("/proc/self/ns/time", &st) != 0) {
        return;
    }
    (void)snprintf(path, sizeof(path), BEND_DIRECTORY "/%lu", (unsigned long)st.st_ino);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof(struct bend_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at != MAP_FAILED && ((struct bend_page *)at)->magic == BEND_MAGIC) {
        page = at;
    }
}

static bool rules_now(struct bend_rules *ret_rules)
{
    if (page == NULL) {
        return false;
    }
    for (;;) {
        unsigned before = atomic_load_explicit(&page->version, memory_order_acquire);
        *ret_rules = page->rules;
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 &&
            atomic_load_explicit(&page->version, memory_order_relaxed) == before) {
            return true;
        }
    }
}

static void count(enum bend_count what)
{
    (void)atomic_fetch_add_explicit(&page->counts[what], 1, memory_order_relaxed);
}

/* --- clocks */
static int64_t ns_of(const struct timespec *ts)
{
    return ts->tv_sec * NS_PER_S + ts->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    ns = ns > 0 ? ns : 0;
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static int64_t scaled(int64_t ns, int64_t numerator, int64_t denominator)
{
    return (int64_t)((__int128)ns * numerator / denominator);
}

static int64_t bent_of(const struct bend_rules *r, enum bend_clock c, int64_t real)
{
    return r->base_bent_ns[c] + scaled(real - r->base_real_ns[c], 1000000 + r->rate_ppm, 1000000);
}

/* When the bent clock will show that; never if it stands. */
static int64_t real_of(const struct bend_rules *r, enum bend_clock c, int64_t bent)
{
    if (r->rate_ppm <= BEND_PPM_STOPPED) {
        return bent <= r->base_bent_ns[c] ? r->base_real_ns[c] : INT64_MAX / 2;
    }
    return r->base_real_ns[c] + scaled(bent - r->base_bent_ns[c], 1000000, 1000000 + r->rate_ppm);
}

static int clock_of(clockid_t id)
{
    switch (id) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
        return BEND_MONOTONIC;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return BEND_BOOTTIME;
    default:
        return -1;
    }
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    NEXT(clock_gettime);
    int rc = next(id, ts);
    struct bend_rules r;
    if (rc != 0 || !rules_now(&r)) {
        return rc;
    }
    int c = clock_of(id);
    if (c >= 0 && r.clocks_bent) {
        *ts = timespec_of(bent_of(&r, (enum bend_clock)c, ns_of(ts)));
        count(BEND_CLOCK_READS);
    } else if (r.wall_offset_us != 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        *ts = timespec_of(ns_of(ts) + r.wall_offset_us * 1000);
        count(BEND_WALL_READS);
    }
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    (void)zone;
    struct timespec ts;
    int rc = clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
    return rc;
}

time_t time(time_t *ret_time)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    if (ret_time != NULL) {
        *ret_time = ts.tv_sec;
    }
    return ts.tv_sec;
}

int timerfd_create(int clock, int flags)
{
    NEXT(timerfd_create);
    int fd = next(clock, flags);
    if (fd >= 0 && fd < TIMERS) {
        timer_clock[fd] = (int8_t)(clock_of(clock) + 1);
    }
    return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    NEXT(timerfd_settime);
    struct bend_rules r;
    int64_t bent = ns_of(&value->it_value);
    int c = fd >= 0 && fd < TIMERS ? timer_clock[fd] - 1 : -1;
    if (c < 0 || (flags & TFD_TIMER_ABSTIME) == 0 || bent == 0 || !rules_now(&r)) {
        return next(fd, flags, value, old);
    }
    struct timespec now = {0};
    (void)syscall(SYS_clock_gettime, c == BEND_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now);
    int64_t real = r.clocks_bent ? real_of(&r, (enum bend_clock)c, bent) : bent;
    int64_t wake = ns_of(&now) + WAKE_NS;
    struct itimerspec its = *value;
    its.it_value = timespec_of(real < wake ? (real > 1 ? real : 1) : wake);
    if (ns_of(&its.it_interval) == 0) {
        its.it_interval = timespec_of(WAKE_NS);
    }
    return next(fd, flags, &its, old);
}

/* A wait until an absolute time: small numbers are the monotonic clock's, large ones the wall's. */
static struct timespec deadline_of(const struct timespec *until)
{
    struct bend_rules r;
    int64_t ns = ns_of(until);
    if (!rules_now(&r)) {
        return *until;
    }
    if (until->tv_sec > 1000000000) {
        return timespec_of(ns - r.wall_offset_us * 1000);
    }
    return timespec_of(r.clocks_bent ? real_of(&r, BEND_MONOTONIC, ns) : ns);
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    NEXT(pthread_cond_timedwait);
    struct timespec real = deadline_of(until);
    return next(cond, mutex, &real);
}

/* --- disk */
static bool is_on_disk(const struct bend_rules *r, int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_dev == r->device;
}

/* Status of a flush that is not to be done, or 1 when it is. */
static int flush_rule(int fd)
{
    struct bend_rules r;
    if (!rules_now(&r) || (r.sync_delay_us == 0 && r.sync_error == 0 && r.sync_lies == 0) ||
        !is_on_disk(&r, fd)) {
        return 1;
    }
    if (r.sync_delay_us > 0) {
        struct timespec nap = timespec_of(r.sync_delay_us * INT64_C(1000));
        (void)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nap, NULL);
        count(BEND_SYNCS_SLOW);
    }
    if (r.sync_error != 0) {
        count(BEND_SYNCS_FAILED);
        errno = r.sync_error;
        return -1;
    }
    if (r.sync_lies) {
        count(BEND_SYNCS_LIED);
        return 0;
    }
    return 1;
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    int rule = flush_rule(fd);
    return rule == 1 ? next(fd) : rule;
}

int fsync(int fd)
{
    NEXT(fsync);
    int rule = flush_rule(fd);
    return rule == 1 ? next(fd) : rule;
}

static bool write_fails(int fd)
{
    struct bend_rules r;
    if (page == NULL || page->rules.write_error == 0 || !rules_now(&r) || r.write_error == 0 ||
        !is_on_disk(&r, fd)) {
        return false;
    }
    count(BEND_WRITES_FAILED);
    errno = r.write_error;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    NEXT(write);
    return write_fails(fd) ? -1 : next(fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    NEXT(pwrite);
    return write_fails(fd) ? -1 : next(fd, bytes, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
    NEXT(pwritev);
    return write_fails(fd) ? -1 : next(fd, parts, n, offset);
}

int ftruncate(int fd, off_t length)
{
    NEXT(ftruncate);
    return write_fails(fd) ? -1 : next(fd, length);
}

/* Returns the error itself, as posix_fallocate does. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
    NEXT(posix_fallocate);
    return write_fails(fd) ? errno : next(fd, offset, length);
}
