/* SPDX-License-Identifier: Apache-2.0 */
/* Linux watchdog devices: Documentation/watchdog/watchdog-api.rst of the kernel. */
#include "agents/guard/watchdog_device.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

int watchdog_device_open(const char *path, int64_t *timeout_us)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    int seconds = (int)(*timeout_us / BASE_US_PER_S);
    seconds = seconds < 1 ? 1 : seconds;
    if (fd < 0) {
        return -1;
    }
    /* The driver writes back what it took; one that cannot be set still tells what it has. */
    if (ioctl(fd, WDIOC_SETTIMEOUT, &seconds) == 0 || ioctl(fd, WDIOC_GETTIMEOUT, &seconds) == 0) {
        *timeout_us = seconds * BASE_US_PER_S;
    }
    return fd;
}

bool watchdog_device_feed(int fd)
{
    return write(fd, "", 1) == 1; /* any byte but 'V' */
}

void watchdog_device_close(int fd)
{
    (void)!write(fd, "V", 1);
    (void)close(fd);
}
