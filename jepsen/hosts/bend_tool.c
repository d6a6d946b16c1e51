/* SPDX-License-Identifier: Apache-2.0 */
/* jepsen-bend PAGE VERB [VALUE]: changes one rule of a host's page, or prints its counters.
 *
 * Run in the host's time namespace, whose real clocks it reads past the preloaded library. One
 * writer at a time: it holds a lock on the page. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "jepsen/hosts/bend.h"

static const char usage[] =
    "usage: jepsen-bend PAGE VERB [VALUE]\n"
    "  init                   an empty page\n"
    "  wall US                the wall clock is so much ahead (or behind: negative)\n"
    "  rate PPM               monotonic clocks run faster or slower; -1000000: they stand\n"
    "  suspend US             BOOTTIME goes ahead, MONOTONIC does not, as after a suspend\n"
    "  slow-sync US           each flush waits\n"
    "  sync-error ERRNO       each flush fails\n"
    "  sync-lies 0|1          each flush says yes and does nothing\n"
    "  write-error ERRNO      each write fails\n"
    "  device NUMBER          the disk: st_dev of the host's filesystem\n"
    "  counts                 how often: readings of the wall and of other clocks, flushes\n"
    "                         that were slow, failed, lied, writes that failed\n";

static int64_t clock_ns(enum bend_clock c)
{
    struct timespec ts = {0};
    (void)syscall(SYS_clock_gettime, c == BEND_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* From now on the clocks go on from what they show now. */
static void rebase(struct bend_rules *r)
{
    for (int c = 0; c < BEND_CLOCKS; c++) {
        int64_t real = clock_ns((enum bend_clock)c);
        int64_t ppm = 1000000 + r->rate_ppm;
        r->base_bent_ns[c] =
            r->clocks_bent ? r->base_bent_ns[c] +
                                 (int64_t)((__int128)(real - r->base_real_ns[c]) * ppm / 1000000)
                           : real;
        r->base_real_ns[c] = real;
    }
    r->clocks_bent = 1;
}

static int change(struct bend_rules *r, const char *verb, int64_t value)
{
    if (strcmp(verb, "wall") == 0) {
        r->wall_offset_us = value;
    } else if (strcmp(verb, "rate") == 0) {
        rebase(r);
        r->rate_ppm = value < BEND_PPM_STOPPED ? BEND_PPM_STOPPED : (int32_t)value;
    } else if (strcmp(verb, "suspend") == 0) {
        rebase(r);
        r->base_bent_ns[BEND_BOOTTIME] += value * 1000;
    } else if (strcmp(verb, "slow-sync") == 0) {
        r->sync_delay_us = (int32_t)value;
    } else if (strcmp(verb, "sync-error") == 0) {
        r->sync_error = (int32_t)value;
    } else if (strcmp(verb, "sync-lies") == 0) {
        r->sync_lies = (int32_t)value;
    } else if (strcmp(verb, "write-error") == 0) {
        r->write_error = (int32_t)value;
    } else if (strcmp(verb, "device") == 0) {
        r->device = (uint64_t)value;
    } else {
        return -1;
    }
    return 0;
}

static struct bend_page *open_page(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fchmod(fd, 0666) != 0 || flock(fd, LOCK_EX) != 0 ||
        ftruncate(fd, sizeof(struct bend_page)) != 0) {
        return NULL;
    }
    void *at = mmap(NULL, sizeof(struct bend_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at; /* the descriptor and its lock are kept until the end */
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs(usage, stderr);
        return 2;
    }
    struct bend_page *page = open_page(argv[1]);
    if (page == NULL) {
        (void)fprintf(stderr, "jepsen-bend: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    if (strcmp(argv[2], "init") == 0) {
        page->magic = BEND_MAGIC;
        return 0;
    }
    if (strcmp(argv[2], "counts") == 0) {
        for (int i = 0; i < BEND_COUNTS; i++) {
            (void)printf("%llu%c", atomic_load(&page->counts[i]), i + 1 < BEND_COUNTS ? ' ' : '\n');
        }
        return 0;
    }
    struct bend_rules rules = page->rules;
    if (argc < 4 || change(&rules, argv[2], strtoll(argv[3], NULL, 0)) != 0) {
        (void)fputs(usage, stderr);
        return 2;
    }
    atomic_fetch_add(&page->version, 1);
    page->rules = rules;
    atomic_fetch_add(&page->version, 1);
    return 0;
}
