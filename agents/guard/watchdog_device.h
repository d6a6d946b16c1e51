/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a watchdog device. Whatever takes bytes serves as one (a FIFO in the tests):
 * a device that knows no ioctl keeps the timeout it was asked for. */
#ifndef QUORATE_AGENTS_GUARD_WATCHDOG_DEVICE_H
#define QUORATE_AGENTS_GUARD_WATCHDOG_DEVICE_H

#include "base/types.h"

/* Opens it, which starts it, and sets its timeout, whole seconds rounded down and 1 s at least;
 * *timeout_us is what it says then. -1: cannot be opened. */
int watchdog_device_open(const char *path, int64_t *timeout_us);
bool watchdog_device_feed(int fd);
/* Stops it (magic close) and closes. A driver with `nowayout` goes on counting all the same. */
void watchdog_device_close(int fd);

#endif
