/* SPDX-License-Identifier: Apache-2.0 */
/* The shared page, and the twin's loop. */
#include "agents/guard/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/guard/log.h"
#include "agents/guard/proc.h"
#include "base/assert.h"

#define PAGE_MAGIC 0x70677571u
#define PAGE_VERSION 1u
/* A guard stopped in the middle of a write leaves the page odd: then the last word read stands. */
#define READ_TRIES 100
#define KILL_POLL_US 1000
#define OVERDUE_POLL_US 20000
#define CALM_POLL_US 1000000

int twin_link_attach(struct twin_link *link, int page_fd, int wake_fd)
{
    void *memory =
        mmap(NULL, sizeof(struct guard_page), PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    if (memory == MAP_FAILED) {
        return BASE_E_NOMEM;
    }
    *link = (struct twin_link){
        .page = memory, .page_fd = page_fd, .wake_fd = wake_fd, .said = {.due = BASE_MONO_NEVER}};
    return link->page->magic == PAGE_MAGIC && link->page->version == PAGE_VERSION
               ? 0
               : BASE_E_UNSUPPORTED;
}

int twin_link_make(struct twin_link *link)
{
    const struct guard_page fresh = {
        .magic = PAGE_MAGIC, .version = PAGE_VERSION, .due_us = INT64_MAX};
    int page_fd = memfd_create("quorate-guard", MFD_CLOEXEC);
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (page_fd < 0 || wake_fd < 0 || write(page_fd, &fresh, sizeof(fresh)) != sizeof(fresh)) {
        return BASE_E_NOMEM;
    }
    return twin_link_attach(link, page_fd, wake_fd);
}

void twin_publish(struct twin_link *link, const struct twin_word *word)
{
    struct guard_page *page = link->page;
    const struct twin_word was = link->said;
    uint32_t sequence = atomic_load_explicit(&page->sequence, memory_order_relaxed) | 1u;
    atomic_store_explicit(&page->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&page->root, word->root, memory_order_relaxed);
    atomic_store_explicit(&page->is_adopted, word->is_adopted, memory_order_relaxed);
    atomic_store_explicit(&page->has_watchdog, word->has_watchdog, memory_order_relaxed);
    atomic_store_explicit(&page->root_start, word->root_start, memory_order_relaxed);
    atomic_store_explicit(&page->due_us, word->due.us, memory_order_relaxed);
    atomic_store_explicit(&page->margin_us, word->margin_us, memory_order_relaxed);
    atomic_store_explicit(&page->sequence, sequence + 1, memory_order_release);
    link->said = *word;
    if (base_mono_before(word->due, was.due) || word->root != was.root ||
        word->margin_us < was.margin_us) {
        uint64_t one = 1;
        (void)!write(link->wake_fd, &one, sizeof(one));
    }
}

bool twin_has_watchdog(const struct twin_link *link)
{
    return atomic_load_explicit(&link->page->has_watchdog, memory_order_relaxed) != 0;
}

/* Leaves *ret as it is when the page stays in the middle of a write. */
static void word_read(const struct guard_page *page, struct twin_word *ret)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&page->sequence, memory_order_acquire);
        struct twin_word w = {
            .root = atomic_load_explicit(&page->root, memory_order_relaxed),
            .is_adopted = atomic_load_explicit(&page->is_adopted, memory_order_relaxed) != 0,
            .root_start = atomic_load_explicit(&page->root_start, memory_order_relaxed),
            .due = {atomic_load_explicit(&page->due_us, memory_order_relaxed)},
            .margin_us = atomic_load_explicit(&page->margin_us, memory_order_relaxed),
        };
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&page->sequence, memory_order_relaxed);
        if (before == after && (before & 1u) == 0) {
            *ret = w;
            return;
        }
    }
}

static void tree_take(struct guard_processes *tree, const struct twin_word *word, int32_t base)
{
    tree->base = base;
    tree->root = word->root;
    tree->is_adopted = word->is_adopted;
    tree->root_start = word->root_start;
    tree->use_cgroup = tree->cgroup->is_open;
}

struct twin {
    struct twin_link *link;
    struct guard_processes *tree;
    struct twin_word word;
    int32_t guard;
    int guard_fd;
    int timer_fd;
    int signal_fd;
    bool is_killing; /* the guard lives and is overdue */
};

static void timer_set(int fd, struct base_mono at)
{
    struct itimerspec its = {
        .it_value = {.tv_sec = at.us / BASE_US_PER_S, .tv_nsec = at.us % BASE_US_PER_S * 1000}};
    if (its.it_value.tv_sec <= 0 && its.it_value.tv_nsec <= 0) {
        its.it_value.tv_nsec = 1;
    }
    (void)timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* The guard is there but has not kept its word: kill in its place. It will find the tree dead. */
static struct base_mono overdue_work(struct twin *t, struct base_mono now)
{
    struct base_mono limit = base_mono_add_us(t->word.due, t->word.margin_us / 2);
    if (base_mono_before(now, limit)) {
        t->is_killing = false;
        return base_mono_min(limit, base_mono_add_us(now, CALM_POLL_US));
    }
    tree_take(t->tree, &t->word, t->guard);
    if (!t->is_killing) {
        t->is_killing = true;
        tree_kill_begin(t->tree);
        bool is_empty = tree_kill_poll(t->tree);
        guard_log("error", "ev=twin_kills root=%d overdue_us=%lld empty=%d", (int)t->word.root,
                  (long long)base_mono_diff_us(now, t->word.due), (int)is_empty);
        return base_mono_add_us(now, KILL_POLL_US);
    }
    return base_mono_add_us(now, tree_kill_poll(t->tree) ? OVERDUE_POLL_US : KILL_POLL_US);
}

/* Everything that the dead guard left is ours now. Returns the guard's wait status. */
static int inherit_and_kill(struct twin *t)
{
    int guard_status = 0, status = 0;
    tree_take(t->tree, &t->word, getpid());
    tree_kill_begin(t->tree);
    for (bool is_empty = false; !is_empty;) {
        pid_t pid = 0;
        is_empty = tree_kill_poll(t->tree);
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            guard_status = pid == t->guard ? status : guard_status;
            t->tree->root = pid == t->tree->root && !t->tree->is_adopted ? 0 : t->tree->root;
        }
        is_empty = is_empty && pid < 0 && errno == ECHILD;
        if (!is_empty) {
            (void)usleep(KILL_POLL_US);
        }
    }
    return guard_status;
}

static void signals_take(struct twin *t)
{
    struct signalfd_siginfo info;
    while (read(t->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM) {
            (void)kill(t->guard, SIGTERM);
        }
    }
}

/* Orphans of a dead guard only: while it lives nothing but the guard is our child. */
static bool is_guard_dead(const struct twin *t)
{
    struct pollfd p = {.fd = t->guard_fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static int descriptors_open(struct twin *t)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    t->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return t->signal_fd < 0 || t->timer_fd < 0 ? BASE_E_NOMEM : 0;
}

int twin_run(struct twin_link *link, int32_t guard, int guard_fd, struct guard_processes *tree)
{
    struct twin t = {.link = link,
                     .tree = tree,
                     .guard = guard,
                     .guard_fd = guard_fd,
                     .word = {.due = BASE_MONO_NEVER}};
    if (descriptors_open(&t) != 0) {
        (void)kill(guard, SIGTERM); /* it ends in order, and we still inherit below */
    }
    while (!is_guard_dead(&t)) {
        uint64_t drop = 0;
        word_read(link->page, &t.word);
        timer_set(t.timer_fd, overdue_work(&t, proc_now()));
        struct pollfd fds[] = {{.fd = guard_fd, .events = POLLIN},
                               {.fd = link->wake_fd, .events = POLLIN},
                               {.fd = t.timer_fd, .events = POLLIN},
                               {.fd = t.signal_fd, .events = POLLIN}};
        (void)poll(fds, BASE_COUNT_OF(fds), -1);
        (void)!read(link->wake_fd, &drop, sizeof(drop));
        (void)!read(t.timer_fd, &drop, sizeof(drop));
        signals_take(&t);
    }
    word_read(link->page, &t.word);
    int status = inherit_and_kill(&t);
    bool is_orderly = WIFEXITED(status);
    guard_log(is_orderly ? "notice" : "error", "ev=guard_ended status=%d tree=gone", status);
    return is_orderly ? WEXITSTATUS(status) : 1;
}
