/* SPDX-License-Identifier: Apache-2.0 */
/* What of root's power an agent keeps for its virtual IP: two capabilities, in this process alone.
 * capabilities(7): without inheritable and ambient sets, no program that is executed has them. */
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agents/vip/vip.h"

#define WANTED ((1u << CAP_NET_ADMIN) | (1u << CAP_NET_RAW))

static bool is_kept; /* from root, which has all of them */

void vip_capabilities_keep(void)
{
    is_kept = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0;
}

int vip_capabilities_settle(struct io_why *why)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    memset(sets, 0, sizeof(sets));
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_NET_ADMIN, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_NET_RAW, 0, 0);
    if (syscall(SYS_capget, &head, sets) != 0 || (sets[0].permitted & WANTED) != WANTED) {
        io_why_set(why,
                   "a virtual IP needs CAP_NET_ADMIN and CAP_NET_RAW: start the agent as root, or "
                   "let its unit have AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW");
        return BASE_E_DENIED;
    }
    if (is_kept) {
        sets[0].permitted = WANTED;
        sets[1].permitted = 0;
        sets[0].inheritable = sets[1].inheritable = 0;
        sets[1].effective = 0;
        sets[0].effective = 0;
    }
    sets[0].effective |= WANTED;
    sets[0].inheritable &= ~WANTED;
    return syscall(SYS_capset, &head, sets) == 0 ? 0 : BASE_E_DENIED;
}
