/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /proc: states, parents and children of processes, without malloc and without stdio
 * streams.
 *
 * Everything read here is old when it returns; callers must be right all the same (see tree.c). A
 * process counts as stopped only when each of its threads is (a leader alone proves nothing, and a
 * leader that has ended may leave threads that run).
 */
#ifndef QUORATE_AGENTS_GUARD_PROC_H
#define QUORATE_AGENTS_GUARD_PROC_H

#include "base/error.h"
#include "base/types.h"

struct proc_stat {
    char state; /* of the leader: R S D T t Z X ... */
    int32_t parent;
    int32_t threads;
    uint64_t start; /* clock ticks since boot: with the pid it names a process for ever */
};

struct proc_look {
    struct proc_stat stat;
    bool is_stopped; /* every thread stopped, zombie or dead */
    bool is_dead;    /* a zombie without living threads */
};

typedef void (*proc_child_fn)(void *ctx, int32_t pid);

/* CLOCK_BOOTTIME now. */
struct base_mono proc_now(void);
/* BASE_E_NOTFOUND: no such process. */
MUST_CHECK int proc_stat_read(int32_t pid, struct proc_stat *ret);
/* Looks at all threads, then calls on_child (may be NULL) for each child of each of them, in this
 * order, so that the children of a process seen stopped are complete. BASE_E_NOTFOUND when it
 * vanished meanwhile. */
MUST_CHECK int proc_look_at(int32_t pid, proc_child_fn on_child, void *ctx, struct proc_look *ret);
/* Private memory of this process in kB, 0 when it cannot be read. Nobody else may look: we are not
 * dumpable. */
uint32_t proc_private_kb(void);
/* Calls fn for every process of the machine. */
void proc_each(proc_child_fn fn, void *ctx);
/* False on a kernel without the lists of children: nothing can be frozen or killed by signals then.
 */
bool proc_has_children_lists(void);
/* Reads a whole small file into text, NUL-terminated; BASE_E_IO or BASE_E_NOTFOUND. */
MUST_CHECK int proc_file_read(int dir_fd, const char *path, char *text, size_t cap);
/* Writes a short text into an existing file. BASE_E_DENIED or BASE_E_IO. */
MUST_CHECK int proc_file_write(int dir_fd, const char *path, const char *text);

#endif
