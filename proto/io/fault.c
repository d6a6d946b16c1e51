/* SPDX-License-Identifier: Apache-2.0 */
/* Memory faults of a daemon: one line that says what it means and what to do, then the end as it
 * would have been (core dump, exit by the signal).
 *
 * The stores' files are mapped or were written by a library that believes what it reads: a disk
 * that cannot be read, or a file that somebody has cut, is SIGBUS; damage in LMDB's pages, which
 * have no checksums, may be either signal. Only async-signal-safe calls are made here. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/io/daemon.h"

static char sigbus_line[512];
static char sigsegv_line[512];

static void fault(int number, siginfo_t *info, void *context)
{
    const char *line = number == SIGBUS ? sigbus_line : sigsegv_line;
    (void)info;
    (void)context;
    (void)!write(STDERR_FILENO, line, strlen(line));
    (void)raise(number); /* SA_RESETHAND: the default now */
}

void io_daemon_catch_faults(const char *files, const char *cure)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    char id[64];
    struct sigaction action = {.sa_sigaction = fault,
                               .sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER};
    (void)io_build_id(id, sizeof(id));
    (void)snprintf(sigbus_line, sizeof(sigbus_line),
                   "lvl=error mod=fault ev=file_unreadable signal=SIGBUS version=%s build=%s "
                   "why=\"a mapped file cannot be read: the disk fails, or %s was cut\" "
                   "next=\"the process stops; look at the kernel's log; %s\"\n",
                   QUORATE_VERSION, id, files, cure);
    (void)snprintf(sigsegv_line, sizeof(sigsegv_line),
                   "lvl=error mod=fault ev=memory_fault signal=SIGSEGV version=%s build=%s "
                   "why=\"%s is damaged, or this is a bug\" "
                   "next=\"the process stops; if it does so again at the next start: %s\"\n",
                   QUORATE_VERSION, id, files, cure);
    (void)sigaction(SIGBUS, &action, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
#else
    (void)fault; /* the sanitizer reports by itself */
    (void)files;
    (void)cure;
    (void)sigbus_line;
    (void)sigsegv_line;
#endif
}
