/* SPDX-License-Identifier: Apache-2.0 */
/* The switch between hosts: one TAP device in each host's network namespace, one link for each
 * ordered pair.
 *
 * One process holds all devices, reads frames, lets link.h decide and writes them when their time
 * has come. Frames are kept in memory only as long as they are on the way; the latest ones are also
 * kept in a ring for a pcap file. One thread; functions return BASE_E_* and have told standard
 * error why. */
#ifndef QUORATE_JEPSEN_WIRE_SWITCH_H
#define QUORATE_JEPSEN_WIRE_SWITCH_H

#include <stdio.h>

#include "jepsen/wire/frame.h"
#include "jepsen/wire/link.h"

#define WIRE_PORTS 24
#define WIRE_CUT_PORTS 256 /* cuts of one TCP port of a link */
#define WIRE_RING 4096
#define WIRE_KEPT 160 /* bytes of a frame in the ring */

struct wire_port {
    char name[16];
    uint8_t mac[6];
    int fd;
    bool is_out; /* its cable: the kernel tells the host, and nothing passes */
};

struct wire_flight { /* a frame on the way */
    int64_t at_us;
    uint64_t number; /* frames of the same microsecond keep their order */
    unsigned to;
    size_t len;
    uint8_t bytes[];
};

struct wire_cut_port {
    unsigned from, to;
    uint32_t port;
};

struct wire_kept {
    int64_t at_us; /* wall clock, as pcap has it */
    uint32_t len;
    uint8_t bytes[WIRE_KEPT];
};

struct wire_switch {
    uint64_t seed;
    int epoll_fd;
    int timer_fd;
    size_t ports_len;
    struct wire_port ports[WIRE_PORTS];
    struct wire_link links[WIRE_PORTS][WIRE_PORTS]; /* [from][to] */
    size_t cuts_len;
    struct wire_cut_port cuts[WIRE_CUT_PORTS];
    size_t heap_len, heap_cap;
    struct wire_flight **heap; /* the earliest first */
    uint64_t next_number;
    uint64_t kept_total;
    struct wire_kept kept[WIRE_RING];
};

int wire_switch_open(struct wire_switch *sw, uint64_t seed);
void wire_switch_close(struct wire_switch *sw);
/* A device `eth0` with that address in the network namespace of that file. */
int wire_switch_add(struct wire_switch *sw, const char *name, const char *netns,
                    const uint8_t mac[6]);
/* The host's cable is in or out. */
int wire_switch_carrier(struct wire_switch *sw, unsigned port, bool is_on);
/* The port of that name, or -1. */
int wire_switch_find(const struct wire_switch *sw, const char *name);
/* A frame of `port` is there. */
void wire_switch_read(struct wire_switch *sw, unsigned port);
/* Writes what is due, and sets the timer for what comes next. */
void wire_switch_write(struct wire_switch *sw);
/* The latest frames that came in as a pcap file. */
int wire_switch_dump(const struct wire_switch *sw, FILE *out);

/* One line of the control socket; the answer is text that ends with a line of "ok" or "error: ...".
 */
void wire_control(struct wire_switch *sw, char *line, FILE *answer, bool *ret_quit);

#endif
