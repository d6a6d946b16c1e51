/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of people and tools: who gave which, and the answer, one line of the log each (mod=audit
 * ev=control), and a limit of how many one certificate may give. Orders are the calls that need an
 * admin's certificate; what is refused for want of a role is told too. Of a request only names and
 * switches are written, never documents, keys or passwords. Loop thread. */
#ifndef QUORATE_ARBITER_QUORATED_AUDIT_H
#define QUORATE_ARBITER_QUORATED_AUDIT_H

#include "kv/api/rpc.h"

#define AUDIT_WHO_MAX 64       /* certificates that are counted apart */
#define AUDIT_BURST 100        /* orders to databases at once */
#define AUDIT_RATE_PER_S 20    /* and from then on */
#define AUDIT_REQUEST_MAX 512u /* bytes of what is written of a request */

struct quorated_audit {
    struct {
        uint64_t who; /* mark of the identity; 0: free */
        uint32_t used;
        struct base_mono since;
    } limits[AUDIT_WHO_MAX];
};

/* For rpc_registry_options: false when this certificate has given too many orders to databases. */
bool quorated_audit_may(struct quorated_audit *audit, const struct rpc_call *call,
                        struct base_mono now);
void quorated_audit_ended(const struct rpc_call *call, struct slice message,
                          enum io_grpc_status status);
/* "cluster=main to=pg2 force=yes" of a request; fields that may be written, in their order. */
void quorated_audit_request(const char *path, struct slice message, struct buf *out);

#endif
