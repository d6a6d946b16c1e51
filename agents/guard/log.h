/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr, after the deed and never at its expense: a reader that does not read costs
 * the line, not the guard's time. */
#ifndef QUORATE_AGENTS_GUARD_LOG_H
#define QUORATE_AGENTS_GUARD_LOG_H

/* "lvl=LEVEL mod=guard pid=N " and the text; cut at 400 bytes, dropped when stderr would block. */
__attribute__((format(printf, 2, 3))) void guard_log(const char *level, const char *format, ...);

#endif
