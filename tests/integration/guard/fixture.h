/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the guard share: a directory, a guard in it and its tree, whoever counts there,
 * and the talk with the guard. A fixture kills only what it started: processes whose command line
 * names its own temporary directory. */
#ifndef QUORATE_TESTS_INTEGRATION_GUARD_FIXTURE_H
#define QUORATE_TESTS_INTEGRATION_GUARD_FIXTURE_H

#include "tests/support/cm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agents/guard/client.h"
#include "tests/integration/guard/counters.h"

#define MARGIN_US INT64_C(400000)
#define WAIT_MS 5000

extern const char *guard_program;
extern const char *tree_program;
extern const char *cgroup_where; /* of the tests that run now */

struct fixture {
    char directory[32];
    char socket[96];
    char state[96];
    char data[96];
    char file[96];
    struct counters *counters;
    char *command[8];
    struct guard_client client;
    struct guard_answer last;
    pid_t guard;
    pid_t twin;
    const char *watchdog; /* mode; NULL: none */
    char device[96];
};

extern struct fixture *the_fixture;

int64_t now_us(void);
void nap_ms(int ms);
bool text_read(const char *path, char *text, size_t cap, size_t *ret_len);
char state_of(pid_t pid, pid_t *ret_parent);
bool is_alive(pid_t pid);
/* Living processes of the fixture that run the tree program; signals them. */
int tree_each(const struct fixture *f, int signal_number);
bool tree_is_gone_within(const struct fixture *f, int ms);
bool ends_within(pid_t pid, int ms);
uint64_t count_sum(const struct fixture *f);
bool nobody_counts(const struct fixture *f);
bool everybody_counts(const struct fixture *f, int processes);
bool answer_next(struct fixture *f, int ms);
/* Sends and waits for the answer to this very command; returns the guard's result. */
int ask(struct fixture *f, struct guard_command command);
int ask_arm(struct fixture *f, uint64_t epoch, int ahead_ms, int freeze_max_ms);
int ask_plain(struct fixture *f, enum guard_frame_type type);
bool tree_becomes(struct fixture *f, enum guard_tree tree, int ms);
void client_connect(struct fixture *f);
struct guard_spawn spawn_of(struct fixture *f);
void guard_begin(struct fixture *f, int32_t adopt);
void root_begin(struct fixture *f);
struct fixture *fixture_make(const char *mode);
struct fixture *fixture_run(const char *mode);
/* Runs after every test, also one that failed half way. */
int fixture_end(void **state);

/* The programs: as the environment says, else those of the build that this test lies in. */
void programs_find(void);

/* The tests with a watchdog; the number that failed. */
int watchdog_tests(void);

#endif
