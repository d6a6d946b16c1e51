/* SPDX-License-Identifier: Apache-2.0 */
/* See netlink.h. */
#include "agents/vip/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/slice.h"

static size_t address_bytes(const struct vip_address *a)
{
    return a->family == AF_INET ? 4 : 16;
}

int vip_address_parse(const char *text, struct vip_address *ret)
{
    char host[INET6_ADDRSTRLEN + 1] = "";
    struct vip_address address = {.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    uint64_t prefix = address_bytes(&address) * 8;
    if (len == 0 || len >= sizeof(host)) {
        return BASE_E_INVALID;
    }
    memcpy(host, text, len);
    if (slash != NULL && (slice_to_u64(slice_from_text(slash + 1), &prefix) != 0 || prefix == 0 ||
                          prefix > address_bytes(&address) * 8)) {
        return BASE_E_INVALID;
    }
    if (inet_pton(address.family, host, address.bytes) != 1) {
        return BASE_E_INVALID;
    }
    address.prefix = (uint8_t)prefix;
    *ret = address;
    return 0;
}

static int code_of(int number)
{
    switch (number) {
    case EPERM:
    case EACCES:
        return BASE_E_DENIED;
    case ENODEV:
    case ENXIO:
        return BASE_E_NOTFOUND;
    default:
        return BASE_E_IO;
    }
}

/* --- rtnetlink --- */

struct request {
    struct nlmsghdr head;
    struct ifaddrmsg address;
    uint8_t attributes[128];
};

static void attribute_add(struct request *r, uint16_t type, const void *data, size_t len)
{
    struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)r + NLMSG_ALIGN(r->head.nlmsg_len));
    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(len);
    memcpy(RTA_DATA(a), data, len);
    r->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* Sends and waits for the kernel's word: 0 or errno. */
static int talk(const struct request *r)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        uint8_t rest[sizeof(struct request)];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return errno;
    }
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int rc = EIO;
    if (sendto(fd, r, r->head.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
        rc = errno;
    } else {
        ssize_t got = recv(fd, &answer, sizeof(answer), 0);
        if (got >= (ssize_t)(sizeof(answer.head) + sizeof(answer.error.error)) &&
            answer.head.nlmsg_type == NLMSG_ERROR) {
            rc = -answer.error.error;
        }
    }
    (void)close(fd);
    return rc;
}

static int request_make(const char *interface, const struct vip_address *address, uint16_t type,
                        uint16_t flags, struct request *ret)
{
    unsigned index = if_nametoindex(interface);
    if (index == 0) {
        return BASE_E_NOTFOUND;
    }
    memset(ret, 0, sizeof(*ret));
    ret->head.nlmsg_len = NLMSG_LENGTH(sizeof(ret->address));
    ret->head.nlmsg_type = type;
    ret->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    ret->address.ifa_family = (uint8_t)address->family;
    ret->address.ifa_prefixlen = address->prefix;
    ret->address.ifa_index = index;
    attribute_add(ret, IFA_LOCAL, address->bytes, address_bytes(address));
    attribute_add(ret, IFA_ADDRESS, address->bytes, address_bytes(address));
    return 0;
}

int vip_netlink_set(const char *interface, const struct vip_address *address, uint32_t valid_s)
{
    struct request r;
    int rc = request_make(interface, address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &r);
    if (rc != 0) {
        return rc;
    }
    /* Not preferred: what this host sends by itself keeps its own address. */
    const struct ifa_cacheinfo times = {.ifa_prefered = address->family == AF_INET ? valid_s : 0,
                                        .ifa_valid = valid_s};
    const uint32_t flags = address->family == AF_INET6 ? IFA_F_NODAD : 0;
    attribute_add(&r, IFA_CACHEINFO, &times, sizeof(times));
    attribute_add(&r, IFA_FLAGS, &flags, sizeof(flags));
    int number = talk(&r);
    return number == 0 ? 0 : code_of(number);
}

int vip_netlink_remove(const char *interface, const struct vip_address *address)
{
    struct request r;
    int rc = request_make(interface, address, RTM_DELADDR, 0, &r);
    if (rc != 0) {
        return rc;
    }
    int number = talk(&r);
    return number == 0 || number == EADDRNOTAVAIL ? 0 : code_of(number);
}

bool vip_netlink_has(const char *interface, const struct vip_address *address)
{
    struct ifaddrs *list = NULL;
    bool is_there = false;
    if (getifaddrs(&list) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = list; i != NULL && !is_there; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != address->family ||
            strcmp(i->ifa_name, interface) != 0) {
            continue;
        }
        const void *bytes =
            address->family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr
                : (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)
                      ->sin6_addr;
        is_there = memcmp(bytes, address->bytes, address_bytes(address)) == 0;
    }
    freeifaddrs(list);
    return is_there;
}

/* --- telling the neighbours --- */

static int hardware_address(const char *interface, uint8_t mac[static 6], bool *ret_has)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return code_of(errno);
    }
    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    int rc = ioctl(fd, SIOCGIFHWADDR, &request) == 0 ? 0 : code_of(errno);
    (void)close(fd);
    *ret_has = rc == 0 && request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    return rc;
}

/* RFC 5227: an announcement is a request for the own address; switches and hosts learn from it. */
static int announce_four(const char *interface, const struct vip_address *address,
                         const uint8_t mac[static 6])
{
    struct {
        struct arphdr head;
        uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
    } __attribute__((packed)) arp = {.head = {.ar_hrd = htons(ARPHRD_ETHER),
                                              .ar_pro = htons(ETH_P_IP),
                                              .ar_hln = 6,
                                              .ar_pln = 4,
                                              .ar_op = htons(ARPOP_REQUEST)}};
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = (int)if_nametoindex(interface),
                             .sll_halen = 6,
                             .sll_addr = {255, 255, 255, 255, 255, 255}};
    memcpy(arp.sender_mac, mac, 6);
    memcpy(arp.sender_ip, address->bytes, 4);
    memcpy(arp.target_ip, address->bytes, 4);
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
    if (fd < 0) {
        return code_of(errno);
    }
    int rc = sendto(fd, &arp, sizeof(arp), 0, (const struct sockaddr *)&to, sizeof(to)) < 0
                 ? code_of(errno)
                 : 0;
    (void)close(fd);
    return rc;
}

static int announce_six(const char *interface, const struct vip_address *address,
                        const uint8_t mac[static 6])
{
    struct {
        struct nd_neighbor_advert head;
        struct nd_opt_hdr option;
        uint8_t mac[6];
    } advert = {.head.nd_na_hdr = {.icmp6_type = ND_NEIGHBOR_ADVERT},
                .option = {.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1}};
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = if_nametoindex(interface)};
    const int hops = 255; /* RFC 4861: nothing that was routed is believed */
    const int index = (int)if_nametoindex(interface);
    advert.head.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
    memcpy(&advert.head.nd_na_target, address->bytes, 16);
    memcpy(advert.mac, mac, 6);
    (void)inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
    int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    if (fd < 0) {
        return code_of(errno);
    }
    int rc = 0;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) != 0 ||
        setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) != 0 ||
        sendto(fd, &advert, sizeof(advert), 0, (const struct sockaddr *)&to, sizeof(to)) < 0) {
        rc = code_of(errno);
    }
    (void)close(fd);
    return rc;
}

int vip_netlink_announce(const char *interface, const struct vip_address *address)
{
    uint8_t mac[6];
    bool has_mac = false;
    int rc = hardware_address(interface, mac, &has_mac);
    if (rc != 0 || !has_mac) {
        return rc; /* loopback and tunnels have no neighbours to tell */
    }
    return address->family == AF_INET ? announce_four(interface, address, mac)
                                      : announce_six(interface, address, mac);
}
