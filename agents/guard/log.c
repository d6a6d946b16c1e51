/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of guard and twin. */
#include "agents/guard/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES 400

void guard_log(const char *level, const char *format, ...)
{
    char line[LINE_BYTES];
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    int len = snprintf(line, sizeof(line), "lvl=%s mod=guard pid=%d ", level, (int)getpid());
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
    va_end(args);
    size_t total = (size_t)len + (more > 0 ? (size_t)more : 0);
    total = total > sizeof(line) - 2 ? sizeof(line) - 2 : total;
    line[total++] = '\n';
    if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0) {
        (void)!write(STDERR_FILENO, line, total);
    }
}
