/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual IP against the kernel, in a network namespace of the test's own: a pair of
 * interfaces, an address that comes, is told to the neighbour, ends by itself, and goes. Needs root
 * and ip(8). */
#include "tests/support/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agents/vip/vip.h"
#include "base/lease_math.h"
#include "base/name.h"
#include "proto/io/log.h"

static bool has_namespace;

static int make_namespace(void **state)
{
    (void)state;
    io_log_set_level(IO_LEVEL_ERROR);
    has_namespace = geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
                    system("ip link add v0 type veth peer name v1 2>/dev/null && ip link set v0 up "
                           "&& ip link set v1 up && ip link set lo up") == 0;
    return 0;
}

static struct vip_address address(const char *text)
{
    struct vip_address a;
    assert_int_equal(vip_address_parse(text, &a), 0);
    return a;
}

/* A socket that sees every frame that arrives at v1. */
static int neighbour(void)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex("v1")};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* A frame within 5 s that holds these bytes at that place. */
static bool hears(int fd, size_t offset, const uint8_t *bytes, size_t len)
{
    uint8_t frame[2048];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 5000) == 1) {
        ssize_t got = recv(fd, frame, sizeof(frame), 0);
        if (got >= (ssize_t)(offset + len) && memcmp(frame + offset, bytes, len) == 0) {
            return true;
        }
    }
    return false;
}

static void test_comes_and_goes(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.77.0.5/24", "fd77::5/64", "10.77.0.6"};
    if (!has_namespace) {
        skip();
    }
    for (size_t i = 0; i < BASE_COUNT_OF(texts); i++) {
        struct vip_address a = address(texts[i]);
        assert_false(vip_netlink_has("v0", &a));
        assert_int_equal(vip_netlink_remove("v0", &a), 0); /* none there */
        assert_int_equal(vip_netlink_set("v0", &a, 60), 0);
        assert_true(vip_netlink_has("v0", &a));
        assert_false(vip_netlink_has("v1", &a));
        assert_int_equal(vip_netlink_set("v0", &a, VIP_FOREVER_S), 0); /* renewed */
        assert_int_equal(vip_netlink_set("v0", &a, 60), 0);
        assert_true(vip_netlink_has("v0", &a));
        assert_int_equal(vip_netlink_remove("v0", &a), 0);
        assert_false(vip_netlink_has("v0", &a));
    }
    struct vip_address a = address(texts[0]);
    assert_int_equal(vip_netlink_set("nowhere", &a, 60), BASE_E_NOTFOUND);
}

static void test_neighbours_hear_of_it(void **state)
{
    (void)state;
    if (!has_namespace) {
        skip();
    }
    struct vip_address four = address("10.77.0.5/24");
    struct vip_address six = address("fd77::5/64");
    int fd = neighbour();
    assert_int_equal(vip_netlink_set("v0", &four, 60), 0);
    assert_int_equal(vip_netlink_set("v0", &six, 60), 0);
    assert_int_equal(vip_netlink_announce("v0", &four), 0);
    /* Ethernet 14 bytes; in ARP: operation at 6, sender's address at 14, target's at 24. */
    const uint8_t arp[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};
    assert_true(hears(fd, 12, arp, sizeof(arp)));
    assert_int_equal(vip_netlink_announce("v0", &four), 0);
    assert_true(hears(fd, 14 + 14, four.bytes, 4));
    assert_int_equal(vip_netlink_announce("v0", &four), 0);
    assert_true(hears(fd, 14 + 24, four.bytes, 4));
    /* The IPv6 side of v0 must have finished with its own link-local address. */
    int rc = BASE_E_IO;
    for (int i = 0; i < 100 && rc != 0; i++) {
        rc = vip_netlink_announce("v0", &six);
        (void)nanosleep(&(struct timespec){.tv_nsec = rc != 0 ? 50000000 : 0}, NULL);
    }
    assert_int_equal(rc, 0);
    /* IPv6 header 40 bytes: hop limit at 7; then type 136, the target at 8. */
    assert_true(hears(fd, 14 + 40 + 8, six.bytes, 16));
    (void)close(fd);
    assert_int_equal(vip_netlink_remove("v0", &four), 0);
    assert_int_equal(vip_netlink_remove("v0", &six), 0);
}

/* Nobody renews it: the kernel takes it away, no later than the plan reckons with. */
static void test_ends_without_us(void **state)
{
    (void)state;
    if (!has_namespace) {
        skip();
    }
    static const char *const texts[] = {"10.77.0.5/24", "fd77::5/64"};
    for (size_t i = 0; i < BASE_COUNT_OF(texts); i++) {
        struct vip_address a = address(texts[i]);
        struct base_mono began = io_now();
        assert_int_equal(vip_netlink_set("v0", &a, 1), 0);
        while (vip_netlink_has("v0", &a) &&
               base_mono_diff_us(io_now(), began) < 10 * BASE_US_PER_S) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        assert_false(vip_netlink_has("v0", &a));
        int64_t lasted = base_mono_diff_us(io_now(), began);
        print_message("%s: lasted %lld ms of 1000\n", texts[i], (long long)lasted / 1000);
    }
}

/* The whole of it, under an agent that serves and then does not. */
static void test_follows_the_right(void **state)
{
    (void)state;
    static struct vip vip;
    static struct vip_settings settings;
    static struct agt agent;
    struct io_loop *loop = NULL;
    if (!has_namespace) {
        skip();
    }
    (void)snprintf(settings.interface, sizeof(settings.interface), "v0");
    assert_int_equal(vip_settings_add(&settings, "10.77.0.5/24"), 0);
    assert_int_equal(vip_settings_add(&settings, "fd77::5/64"), 0);
    assert_int_equal(vip_netlink_set("v0", &settings.addresses[0], 60), 0); /* left over */
    assert_int_equal(io_loop_new(&loop), 0);
    assert_int_equal(vip_open(&vip, loop, &settings), 0);
    vip_look(&vip, &agent);
    for (int i = 0; i < 200 && vip_netlink_has("v0", &settings.addresses[0]); i++) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), 20 * BASE_US_PER_MS));
    }
    assert_false(vip_netlink_has("v0", &settings.addresses[0]));
    vip_close(&vip);
    loop = io_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_neighbours_hear_of_it),
        cmocka_unit_test(test_ends_without_us),
        cmocka_unit_test(test_follows_the_right),
    };
    return cmocka_run_group_tests(tests, make_namespace, NULL);
}
