/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, frames on the way, the ring: see switch.h. */
#include "jepsen/wire/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define READ_AT_ONCE 64

static int64_t clock_us(clockid_t id)
{
    struct timespec ts = {0};
    (void)clock_gettime(id, &ts);
    return ts.tv_sec * BASE_US_PER_S + ts.tv_nsec / 1000;
}

int wire_switch_open(struct wire_switch *sw, uint64_t seed)
{
    *sw = (struct wire_switch){.seed = seed};
    sw->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sw->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    for (unsigned from = 0; from < WIRE_PORTS; from++) {
        for (unsigned to = 0; to < WIRE_PORTS; to++) {
            sw->links[from][to] = wire_link_make(seed, from, to);
        }
    }
    return sw->epoll_fd >= 0 && sw->timer_fd >= 0 ? 0 : BASE_E_IO;
}

void wire_switch_close(struct wire_switch *sw)
{
    for (size_t i = 0; i < sw->ports_len; i++) {
        (void)close(sw->ports[i].fd);
    }
    for (size_t i = 0; i < sw->heap_len; i++) {
        free(sw->heap[i]);
    }
    free(sw->heap);
    (void)close(sw->epoll_fd);
    (void)close(sw->timer_fd);
}

/* --- devices */
static int make_tap(const uint8_t mac[6])
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    struct ifreq request = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    struct ifreq address = {.ifr_name = "eth0", .ifr_hwaddr = {.sa_family = 1}};
    memcpy(address.ifr_hwaddr.sa_data, mac, 6);
    if (ioctl(fd, TUNSETIFF, &request) != 0 || ioctl(fd, SIOCSIFHWADDR, &address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* In the namespace of that file; this process comes back to its own. */
static int make_tap_in(const char *netns, const uint8_t mac[6])
{
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int other = open(netns, O_RDONLY | O_CLOEXEC);
    int fd = -1;
    if (own >= 0 && other >= 0 && setns(other, CLONE_NEWNET) == 0) {
        fd = make_tap(mac);
        int problem = errno;
        if (setns(own, CLONE_NEWNET) != 0) {
            perror("jepsen-wire: back to my own network namespace");
            abort(); /* anything else would happen in the wrong place */
        }
        errno = problem;
    }
    int problem = errno;
    (void)close(own);
    (void)close(other);
    errno = problem;
    return fd;
}

int wire_switch_add(struct wire_switch *sw, const char *name, const char *netns,
                    const uint8_t mac[6])
{
    if (sw->ports_len == WIRE_PORTS || strlen(name) >= sizeof(sw->ports[0].name) ||
        wire_switch_find(sw, name) >= 0) {
        return BASE_E_INVALID;
    }
    struct wire_port *port = &sw->ports[sw->ports_len];
    *port = (struct wire_port){.fd = make_tap_in(netns, mac)};
    if (port->fd < 0) {
        (void)fprintf(stderr, "jepsen-wire: eth0 in %s: %s\n", netns, strerror(errno));
        return BASE_E_IO;
    }
    memcpy(port->name, name, strlen(name) + 1);
    memcpy(port->mac, mac, 6);
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = sw->ports_len}};
    if (epoll_ctl(sw->epoll_fd, EPOLL_CTL_ADD, port->fd, &event) != 0) {
        (void)close(port->fd);
        return BASE_E_IO;
    }
    sw->ports_len++;
    return 0;
}

int wire_switch_carrier(struct wire_switch *sw, unsigned port, bool is_on)
{
    int carrier = is_on ? 1 : 0;
    sw->ports[port].is_out = !is_on;
    return ioctl(sw->ports[port].fd, TUNSETCARRIER, &carrier) == 0 ? 0 : BASE_E_IO;
}

int wire_switch_find(const struct wire_switch *sw, const char *name)
{
    for (size_t i = 0; i < sw->ports_len; i++) {
        if (strcmp(sw->ports[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* --- frames on the way: a binary heap */
static bool leaves_before(const struct wire_flight *a, const struct wire_flight *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void swap_flights(struct wire_flight **a, struct wire_flight **b)
{
    struct wire_flight *t = *a;
    *a = *b;
    *b = t;
}

static void push_flight(struct wire_switch *sw, struct wire_flight *flight)
{
    if (sw->heap_len == sw->heap_cap) {
        sw->heap_cap = sw->heap_cap == 0 ? 256 : sw->heap_cap * 2;
        sw->heap = realloc(sw->heap, sw->heap_cap * sizeof(*sw->heap));
        if (sw->heap == NULL) {
            abort();
        }
    }
    size_t at = sw->heap_len++;
    sw->heap[at] = flight;
    while (at > 0 && leaves_before(sw->heap[at], sw->heap[(at - 1) / 2])) {
        swap_flights(&sw->heap[at], &sw->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct wire_flight *pop_flight(struct wire_switch *sw)
{
    struct wire_flight *first = sw->heap[0];
    sw->heap[0] = sw->heap[--sw->heap_len];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sw->heap_len; child++) {
            least = leaves_before(sw->heap[child], sw->heap[least]) ? child : least;
        }
        if (least == at) {
            return first;
        }
        swap_flights(&sw->heap[at], &sw->heap[least]);
        at = least;
    }
}

static void send_copy(struct wire_switch *sw, struct wire_link *link, unsigned to,
                      const uint8_t *frame, size_t len, const struct wire_copy *copy)
{
    struct wire_flight *flight = malloc(sizeof(*flight) + len);
    if (flight == NULL) {
        abort();
    }
    flight->at_us = copy->at_us;
    flight->number = sw->next_number++;
    flight->to = to;
    flight->len = len;
    memcpy(flight->bytes, frame, len);
    if (copy->is_corrupt &&
        wire_frame_corrupt(flight->bytes, len, link->rules.corrupt_port, copy->dice)) {
        link->counts[WIRE_CORRUPTED]++;
    }
    push_flight(sw, flight);
}

static bool is_port_cut(const struct wire_switch *sw, unsigned from, unsigned to,
                        const uint8_t *frame, size_t len)
{
    for (size_t i = 0; i < sw->cuts_len; i++) {
        const struct wire_cut_port *cut = &sw->cuts[i];
        if (cut->from == from && cut->to == to && wire_frame_has_port(frame, len, cut->port)) {
            return true;
        }
    }
    return false;
}

static void keep(struct wire_switch *sw, const uint8_t *frame, size_t len)
{
    struct wire_kept *kept = &sw->kept[sw->kept_total++ % WIRE_RING];
    kept->at_us = clock_us(CLOCK_REALTIME);
    kept->len = (uint32_t)len;
    memcpy(kept->bytes, frame, len < WIRE_KEPT ? len : WIRE_KEPT);
}

static void forward(struct wire_switch *sw, unsigned from, unsigned to, const uint8_t *frame,
                    size_t len)
{
    struct wire_link *link = &sw->links[from][to];
    if (sw->ports[from].is_out || sw->ports[to].is_out || is_port_cut(sw, from, to, frame, len)) {
        link->counts[WIRE_CUT]++;
        return;
    }
    struct wire_fate fate;
    wire_link_pass(link, len, clock_us(CLOCK_MONOTONIC), &fate);
    for (size_t i = 0; i < fate.copies; i++) {
        send_copy(sw, link, to, frame, len, &fate.copy[i]);
    }
}

void wire_switch_read(struct wire_switch *sw, unsigned port)
{
    uint8_t frame[WIRE_FRAME_MAX];
    for (int i = 0; i < READ_AT_ONCE; i++) {
        ssize_t len = read(sw->ports[port].fd, frame, sizeof(frame));
        if (len < 14) {
            return;
        }
        keep(sw, frame, (size_t)len);
        bool is_group = (frame[0] & 1) != 0;
        for (unsigned to = 0; to < sw->ports_len; to++) {
            if (to != port && (is_group || memcmp(frame, sw->ports[to].mac, 6) == 0)) {
                forward(sw, port, to, frame, (size_t)len);
            }
        }
    }
}

void wire_switch_write(struct wire_switch *sw)
{
    int64_t now_us = clock_us(CLOCK_MONOTONIC);
    while (sw->heap_len > 0 && sw->heap[0]->at_us <= now_us) {
        struct wire_flight *flight = pop_flight(sw);
        /* A host that takes no frames loses them, as it would on a cable. */
        ssize_t put = write(sw->ports[flight->to].fd, flight->bytes, flight->len);
        (void)put;
        free(flight);
    }
    struct itimerspec its = {0};
    if (sw->heap_len > 0) {
        its.it_value.tv_sec = sw->heap[0]->at_us / BASE_US_PER_S;
        its.it_value.tv_nsec = sw->heap[0]->at_us % BASE_US_PER_S * 1000;
    }
    (void)timerfd_settime(sw->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* --- pcap: a header of 24 bytes, then 16 bytes before each frame, in this machine's byte order */
int wire_switch_dump(const struct wire_switch *sw, FILE *out)
{
    const uint32_t header[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, WIRE_FRAME_MAX, 1};
    (void)fwrite(header, sizeof(header), 1, out);
    uint64_t first = sw->kept_total > WIRE_RING ? sw->kept_total - WIRE_RING : 0;
    for (uint64_t i = first; i < sw->kept_total; i++) {
        const struct wire_kept *kept = &sw->kept[i % WIRE_RING];
        uint32_t len = kept->len < WIRE_KEPT ? kept->len : WIRE_KEPT;
        const uint32_t record[4] = {(uint32_t)(kept->at_us / BASE_US_PER_S),
                                    (uint32_t)(kept->at_us % BASE_US_PER_S), len, kept->len};
        (void)fwrite(record, sizeof(record), 1, out);
        (void)fwrite(kept->bytes, len, 1, out);
    }
    return ferror(out) ? BASE_E_IO : 0;
}
