/* SPDX-License-Identifier: Apache-2.0 */
/* A process tree that is hard to stop, for the tests of the guard. usage: guard-tree COUNTERS MODE
 *
 * Every process counts in a slot of a shared file as long as it runs. Modes: `busy` (workers, a
 * worker's child, one that ignores all signals and computes, one that has left by double fork and
 * setsid), `storm` (the same and two chains in which each process forks its successor and ends),
 * `threads` (leader gone, a thread goes on), `exit` (ends at once with 7). SIGINT ends the root
 * with 3, SIGUSR1 counts in slot 1. With COUNTERS.lock the root writes its pid to a file
 * `postmaster.pid` in its working directory. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/integration/guard/counters.h"

static struct counters *counters;

static void count_for_ever(useconds_t pause_us)
{
    uint32_t slot = atomic_fetch_add(&counters->claimed, 1) % COUNTERS_MAX;
    for (;;) {
        atomic_fetch_add(&counters->slots[slot], 1);
        if (pause_us > 0) {
            (void)usleep(pause_us);
        }
    }
}

static void on_int(int number)
{
    (void)number;
    _exit(3);
}

static void on_usr1(int number)
{
    (void)number;
    atomic_fetch_add(&counters->slots[COUNTER_USR1], 1);
}

static void worker_start(int children)
{
    if (fork() == 0) {
        for (int i = 0; i < children; i++) {
            if (fork() == 0) {
                count_for_ever(1000);
            }
        }
        count_for_ever(1000);
    }
}

static void stubborn_start(void)
{
    if (fork() == 0) {
        for (int number = 1; number < 32; number++) {
            (void)signal(number, SIG_IGN);
        }
        (void)!nice(10);
        count_for_ever(0);
    }
}

static void daemon_start(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        (void)setsid();
        if (fork() == 0) {
            (void)!chdir("/");
            count_for_ever(1000);
        }
        _exit(0);
    }
}

/* Each process forks its successor and ends: none lives long enough to be looked at twice. */
static void storm_start(void)
{
    if (fork() != 0) {
        return;
    }
    (void)setsid();
    for (;;) {
        atomic_fetch_add(&counters->slots[COUNTER_STORM], 1);
        (void)usleep(300);
        pid_t next = fork();
        if (next > 0) {
            _exit(0);
        }
    }
}

static void *thread_run(void *arg)
{
    (void)arg;
    count_for_ever(1000);
    return NULL;
}

static void leader_leave(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_run, NULL) == 0) {
        pthread_exit(NULL);
    }
}

static void pid_file_write(void)
{
    char text[32];
    int fd = open("postmaster.pid", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (fd >= 0) {
        (void)!write(fd, text, (size_t)len);
        (void)close(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    if (strcmp(argv[2], "exit") == 0) {
        return 7;
    }
    int fd = open(argv[1], O_RDWR);
    counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || counters == MAP_FAILED) {
        return 2;
    }
    if (argc > 3 && chdir(argv[3]) == 0) {
        pid_file_write();
    }
    (void)signal(SIGINT, on_int);
    (void)signal(SIGUSR1, on_usr1);
    worker_start(1);
    worker_start(0);
    stubborn_start();
    daemon_start();
    if (strcmp(argv[2], "storm") == 0) {
        storm_start();
        storm_start();
    }
    if (strcmp(argv[2], "threads") == 0) {
        leader_leave();
    }
    count_for_ever(1000);
    return 0;
}
