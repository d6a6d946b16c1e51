/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's loop. Each round: the time first, then exits, then the tree, and the socket last. */
#include "agents/guard/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/guard/adopt.h"
#include "agents/guard/child.h"
#include "agents/guard/leftovers.h"
#include "agents/guard/log.h"
#include "agents/guard/proc.h"
#include "agents/guard/watchdog.h"

/* Looks at a tree that is being frozen or killed: often at first, less often when it takes long. */
#define TREE_POLL_FAST_US 300
#define TREE_POLL_US 2000
#define TREE_POLL_SLOW_US 50000
/* Turns under a lease, by which pauses of this process are seen. */
#define TURN_US 100000

enum {
    FD_TIMER,
    FD_SIGNAL,
    FD_TWIN,
    FD_ADOPTED,
    FD_SERVER,
    FD_COUNT = FD_SERVER + 1 + GUARD_CLIENTS_MAX
};

static void step_plain(struct guard *g, enum guard_event_kind kind, int32_t number)
{
    struct guard_event ev = {.kind = kind, .now = proc_now(), .number = number};
    (void)guard_step(g, &ev);
}

static void word_publish(struct guard *g)
{
    struct twin_word word = {.root = g->tree->root,
                             .is_adopted = g->tree->is_adopted,
                             .root_start = g->tree->root_start,
                             .due = guard_core_due(&g->core),
                             .margin_us = g->core.status.margin_us,
                             .has_watchdog = g->watchdog.fd >= 0};
    twin_publish(&g->link, &word);
}

/* By cgroup first, by signals when it does not take the child. */
static int root_start(struct guard *g, int32_t *ret_pid)
{
    struct guard_processes *tree = g->tree;
    tree_prepare_start(tree);
    int rc = BASE_E_DENIED;
    if (tree->use_cgroup) {
        rc = child_start(g->options, tree->cgroup->procs_fd, g->oom_score, ret_pid);
    }
    if (rc == BASE_E_DENIED) {
        tree->use_cgroup = false;
        rc = child_start(g->options, -1, g->oom_score, ret_pid);
    }
    g->core.status.is_cgroup = tree->use_cgroup;
    return rc;
}

static struct guard_event effect_start(struct guard *g)
{
    int32_t pid = 0;
    int rc = root_start(g, &pid);
    if (rc != 0) {
        guard_log("error", "ev=start_failed command=%s error=\"%s\"", g->options->command[0],
                  base_error_text(rc));
        return (struct guard_event){
            .kind = GUARD_EV_START_FAILED, .now = proc_now(), .number = 126 << 8};
    }
    g->tree->root = pid;
    leftovers_remember(g->options, pid);
    return (struct guard_event){.kind = GUARD_EV_STARTED, .now = proc_now(), .number = pid};
}

/* What an effect answers with at once; kind 0 when nothing. */
static struct guard_event effect_do(struct guard *g, const struct guard_effect *effect)
{
    struct guard_event answer = {0};
    switch (effect->kind) {
    case GUARD_FX_START:
        return effect_start(g);
    case GUARD_FX_FREEZE:
        tree_freeze_begin(g->tree);
        break;
    case GUARD_FX_THAW:
        tree_thaw(g->tree);
        break;
    case GUARD_FX_KILL:
        tree_kill_begin(g->tree);
        break;
    case GUARD_FX_SIGNAL:
        tree_root_signal(g->tree, effect->number);
        break;
    case GUARD_FX_STATUS:
        g->is_push_due = true;
        break;
    case GUARD_FX_EXIT:
        g->is_done = true;
        break;
    }
    return answer;
}

static bool is_tree_work(enum guard_tree tree)
{
    return tree == GUARD_TREE_FREEZING || tree == GUARD_TREE_KILLING ||
           tree == GUARD_TREE_ROOT_EXITED;
}

static void change_note(struct guard *g, enum guard_tree was)
{
    const struct guard_status *st = &g->core.status;
    if (st->tree == was) {
        return;
    }
    if (is_tree_work(st->tree)) {
        g->work_began = st->changed;
        g->poll_at = st->changed;
    }
    guard_log("notice",
              "ev=tree tree=\"%s\" was=\"%s\" root=%d epoch=%llu freeze_us=%lld status=%d",
              guard_tree_text(st->tree), guard_tree_text(was), (int)st->root_pid,
              (unsigned long long)st->epoch, (long long)st->freeze_us, (int)st->exit_status);
}

int guard_step(struct guard *guard, const struct guard_event *event)
{
    struct guard_event ev = *event;
    int result = 0;
    for (bool is_first = true; ev.kind != 0; is_first = false) {
        struct guard_effects fx;
        struct guard_event answer = {0};
        enum guard_tree was = guard->core.status.tree;
        int rc = guard_core_step(&guard->core, &ev, &fx);
        result = is_first ? rc : result;
        word_publish(
            guard); /* before the deeds: what is owed must be known if we are stopped now */
        for (int i = 0; i < fx.count; i++) {
            struct guard_event a = effect_do(guard, &fx.list[i]);
            answer = a.kind != 0 ? a : answer;
        }
        change_note(guard, was);
        ev = answer;
    }
    return result;
}

/* True when no child is left, which for a subreaper means: no descendant. */
static bool children_reap(struct guard *g)
{
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == g->tree->root && !g->tree->is_adopted) {
            g->tree->root = 0;
            step_plain(g, GUARD_EV_ROOT_EXIT, status);
        }
    }
    return pid < 0 && errno == ECHILD;
}

static void tree_work_poll(struct guard *g)
{
    enum guard_tree tree = g->core.status.tree;
    if (tree == GUARD_TREE_FREEZING) {
        if (tree_freeze_poll(g->tree)) {
            step_plain(g, GUARD_EV_TREE_STOPPED, 0);
        }
    } else if (tree_kill_poll(g->tree) && children_reap(g) && guard_adopted_rest_kill(g)) {
        g->tree->root = 0;
        g->tree->is_adopted = false;
        step_plain(g, GUARD_EV_TREE_EMPTY, 0);
    }
}

static void tree_work(struct guard *g)
{
    if (!is_tree_work(g->core.status.tree) || base_mono_before(proc_now(), g->poll_at)) {
        return;
    }
    tree_work_poll(g);
    struct base_mono now = proc_now();
    int64_t took = base_mono_diff_us(now, g->work_began);
    int64_t pause = took < 20000    ? TREE_POLL_FAST_US
                    : took < 500000 ? TREE_POLL_US
                                    : TREE_POLL_SLOW_US;
    g->poll_at = base_mono_add_us(now, pause);
}

static int command_upgrade(struct guard *g)
{
    const struct guard_status *st = &g->core.status;
    if (is_tree_work(st->tree) || st->tree == GUARD_TREE_FROZEN || g->core.is_ending) {
        return BASE_E_STATE;
    }
    if (st->tree == GUARD_TREE_RUNNING && st->is_armed &&
        base_mono_diff_us(st->deadline, proc_now()) < st->margin_us) {
        return BASE_E_BUSY; /* too near to the deadline to be away */
    }
    return guard_upgrade(g);
}

static int command_do(void *ctx, const struct guard_command *command)
{
    static const enum guard_event_kind kinds[GUARD_FRAME_TYPES] = {
        [GUARD_FRAME_START] = GUARD_EV_START,
        [GUARD_FRAME_ARM] = GUARD_EV_ARM,
        [GUARD_FRAME_DISARM] = GUARD_EV_DISARM,
        [GUARD_FRAME_SIGNAL] = GUARD_EV_SIGNAL,
        [GUARD_FRAME_KILL] = GUARD_EV_KILL,
        [GUARD_FRAME_HAND_BACK] = GUARD_EV_HAND_BACK,
        [GUARD_FRAME_EPOCH_SEEN] = GUARD_EV_EPOCH_SEEN,
        [GUARD_FRAME_FREEZE] = GUARD_EV_FREEZE,
        [GUARD_FRAME_END] = GUARD_EV_TERMINATE,
    };
    struct guard *g = ctx;
    if (command->type == GUARD_FRAME_UPGRADE) {
        return command_upgrade(g);
    }
    if (command->type == GUARD_FRAME_ADOPT) {
        return guard_adopt(g, command->pid, command->start);
    }
    if (command->type == GUARD_FRAME_RELEASE) {
        return guard_adopt_release(g);
    }
    if (command->type == GUARD_FRAME_ARM) {
        int rc = guard_watchdog_prepare(g, command->deadline);
        if (rc != 0) {
            return rc;
        }
    }
    struct guard_event ev = {.kind = kinds[command->type],
                             .now = proc_now(),
                             .epoch = command->epoch,
                             .deadline = command->deadline,
                             .freeze_max_us = command->freeze_max_us,
                             .margin_us = command->margin_us,
                             .soft_us = command->soft_us,
                             .number = command->signal_number};
    return guard_step(g, &ev);
}

static void signals_take(struct guard *g)
{
    struct signalfd_siginfo info;
    while (read(g->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM) {
            guard_log("notice", "ev=terminate from=%d", (int)info.ssi_pid);
            step_plain(g, GUARD_EV_TERMINATE, 0);
        } else if (info.ssi_signo == SIGUSR2) {
            int rc = command_upgrade(g);
            guard_log("error", "ev=upgrade_refused error=\"%s\"", base_error_text(rc));
        }
    }
}

static bool is_serving(const struct guard *g)
{
    return g->core.status.tree == GUARD_TREE_RUNNING && g->core.status.is_armed;
}

/* How late this turn is: while there is a lease to guard, one is asked for often enough. */
static void pause_measure(struct guard *g)
{
    struct guard_status *st = &g->core.status;
    struct base_mono now = proc_now();
    int64_t late = base_mono_diff_us(now, g->turn_due);
    if (g->turn_due.us != INT64_MAX && is_serving(g) && late > st->pause_worst_us) {
        st->pause_worst_us = late;
        st->pause_left_us = base_mono_diff_us(st->deadline, now);
    }
}

static void timer_arm(struct guard *g)
{
    struct base_mono at = guard_core_wake(&g->core);
    if (is_tree_work(g->core.status.tree)) {
        at = base_mono_min(at, g->poll_at);
    }
    at = base_mono_min(at, guard_watchdog_wake(g));
    if (is_serving(g)) {
        at = base_mono_min(at, base_mono_add_us(proc_now(), TURN_US));
    }
    struct itimerspec its = {0};
    if (at.us != INT64_MAX) {
        at.us = at.us < 1 ? 1 : at.us;
        its.it_value.tv_sec = at.us / BASE_US_PER_S;
        its.it_value.tv_nsec = at.us % BASE_US_PER_S * 1000;
    }
    g->turn_due = at;
    (void)timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* At most once a second, and after all that matters in this round. */
static void memory_measure(struct guard *g)
{
    struct base_mono now = proc_now();
    if (base_mono_diff_us(now, g->measured) > BASE_US_PER_S) {
        g->measured = now;
        g->core.status.private_kb = proc_private_kb();
    }
}

static void round_do(struct guard *g)
{
    struct pollfd fds[FD_COUNT] = {[FD_TIMER] = {.fd = g->timer_fd, .events = POLLIN},
                                   [FD_SIGNAL] = {.fd = g->signal_fd, .events = POLLIN},
                                   [FD_TWIN] = {.fd = g->twin_fd, .events = POLLIN},
                                   [FD_ADOPTED] = {.fd = g->adopted_fd, .events = POLLIN}};
    server_poll_fill(&g->server, fds + FD_SERVER);
    timer_arm(g);
    (void)poll(fds, FD_COUNT, g->is_push_due ? 0 : -1);
    uint64_t drop = 0;
    (void)!read(g->timer_fd, &drop, sizeof(drop));
    pause_measure(g);
    step_plain(g, GUARD_EV_TIME, 0);
    (void)children_reap(g);
    if (g->twin_fd >= 0 && fds[FD_TWIN].revents != 0) {
        (void)close(g->twin_fd);
        g->twin_fd = -1;
        guard_log("error", "ev=twin_lost, killing the tree");
        step_plain(g, GUARD_EV_TWIN_LOST, 0);
    }
    if (g->adopted_fd >= 0 && fds[FD_ADOPTED].revents != 0) {
        guard_adopted_exit(g);
    }
    signals_take(g);
    tree_work(g);
    g->is_push_due = server_work(&g->server, fds + FD_SERVER, command_do, g) || g->is_push_due;
    guard_watchdog_work(g);
    if (g->is_push_due) {
        g->is_push_due = false;
        memory_measure(g);
        server_push(&g->server, &g->core.status, g->upgrades);
    }
}

void guard_run(struct guard *guard)
{
    while (!guard->is_done) {
        round_do(guard);
    }
    guard_watchdog_end(guard);
    word_publish(guard);
    server_push(&guard->server, &guard->core.status, guard->upgrades);
    (void)unlink(guard->options->socket);
    guard_log("notice", "ev=end tree=gone");
}

static int descriptors_open(struct guard *g)
{
    sigset_t set;
    struct sigaction child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
    (void)sigaction(SIGCHLD, &child, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGUSR2);
    g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    g->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    g->twin_fd = pidfd_open(getppid(), 0);
    g->adopted_fd = -1;
    g->watchdog.fd = -1;
    g->turn_due = BASE_MONO_NEVER;
    g->poll_at = BASE_MONO_NEVER;
    return g->signal_fd < 0 || g->timer_fd < 0 || g->twin_fd < 0 ? BASE_E_NOMEM : 0;
}

int guard_open(struct guard *guard, int32_t twin)
{
    uint64_t instance = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != twin ||
        descriptors_open(guard) != 0 ||
        getrandom(&instance, sizeof(instance), 0) != sizeof(instance)) {
        return BASE_E_IO;
    }
    guard_core_init(&guard->core, instance | 1u, guard->options->margin_us, proc_now());
    guard_protect(&guard->core.status);
    guard->core.status.private_kb = proc_private_kb();
    guard->core.status.has_twin = true;
    guard->core.status.is_cgroup = guard->tree->cgroup->is_open;
    guard->core.status.watchdog = guard->options->watchdog_mode == GUARD_WATCHDOG_NONE
                                      ? GUARD_WATCHDOG_OFF
                                      : GUARD_WATCHDOG_IDLE;
    guard->tree->base = getpid();
    int rc = server_open(&guard->server, guard->options->socket);
    if (rc == 0 && guard->options->adopt > 0) {
        rc = guard_adopt(guard, guard->options->adopt, 0);
    }
    return rc;
}

int guard_resume_finish(struct guard *guard)
{
    if (descriptors_open(guard) != 0) {
        return BASE_E_IO;
    }
    guard_protect(&guard->core.status);
    guard->core.status.private_kb = proc_private_kb();
    guard->tree->base = getpid();
    guard->core.status.pause_worst_us = 0;
    guard->core.status.pause_left_us = 0;
    /* The device has been counting since the former image was replaced. */
    if (guard->core.status.watchdog == GUARD_WATCHDOG_FED ||
        guard->core.status.watchdog == GUARD_WATCHDOG_HUNGRY) {
        guard_watchdog_resume(guard);
    }
    word_publish(guard);
    guard_adopted_reopen(guard);
    guard->is_push_due = true;
    return 0;
}
