/* SPDX-License-Identifier: Apache-2.0 */
/* An address on an interface, by rtnetlink(7): put there with a lifetime, taken away, looked for,
 * told to the neighbours (gratuitous ARP; unsolicited neighbour advertisement, RFC 4861 7.2.6).
 *
 * Needs CAP_NET_ADMIN, for telling CAP_NET_RAW. Blocks for as long as the kernel's lock over the
 * interfaces is held by others: worker threads only. No program is called.
 */
#ifndef QUORATE_AGENTS_VIP_NETLINK_H
#define QUORATE_AGENTS_VIP_NETLINK_H

#include <netinet/in.h>

#include "base/error.h"
#include "base/types.h"

struct vip_address {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
    uint8_t prefix;
};

/* "10.0.0.5/24", "fd00::5/64"; without a length: the whole address. INVALID. */
MUST_CHECK int vip_address_parse(const char *text, struct vip_address *ret);

/* Adds the address or sets its lifetime anew (UINT32_MAX: no end). NOTFOUND: no such interface;
 * DENIED: no CAP_NET_ADMIN; IO. */
MUST_CHECK int vip_netlink_set(const char *interface, const struct vip_address *address,
                               uint32_t valid_s);
/* Takes it away; one that is not there is no error. */
MUST_CHECK int vip_netlink_remove(const char *interface, const struct vip_address *address);
bool vip_netlink_has(const char *interface, const struct vip_address *address);
/* One announcement. */
MUST_CHECK int vip_netlink_announce(const char *interface, const struct vip_address *address);

#endif
