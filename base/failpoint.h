/* SPDX-License-Identifier: Apache-2.0 */
/* Named points at which a test can make a program fail: FAILPOINT(ID) is 0 in every build but the
 * `canary` variant, where it is what the hook says: 0, or the error with which the operation at
 * this point shall fail. The hook may also wait or end the process. Any thread. The shell that has
 * an environment sets the hook (arbiter/quorated/failpoints.h).
 *
 * The table is all there is: a point that is not in it does not compile, and `make lint` finds rows
 * that no code passes. */
#ifndef QUORATE_BASE_FAILPOINT_H
#define QUORATE_BASE_FAILPOINT_H

#include "base/slice.h"

/* clang-format off */
/*   id, name, where it stands */
#define BASE_FAILPOINTS(X) \
    X(LOG_STATE, "log.state", "term and vote go into the log's store") \
    X(LOG_WRITE, "log.write", "entries go into the log's store") \
    X(LOG_PWRITE, "log.pwrite", "a batch is written to its file") \
    X(LOG_FLUSH, "log.flush", "the batch is flushed") \
    X(LOG_FLUSHED, "log.flushed", "the batch was flushed") \
    X(LOG_WRITTEN, "log.written", "the node hears that entries are durable") \
    X(APPLY_ENTRY, "apply.entry", "one entry is applied") \
    X(APPLY_MEMBERS, "apply.members", "a configuration is applied") \
    X(APPLY_END, "apply.end", "the applied index goes into the store") \
    X(STATE_COMMIT, "state.commit", "the state store commits") \
    X(STATE_COMMITTED, "state.committed", "the state store has committed") \
    X(SEND, "send", "a message of Raft goes out") \
    X(SNAPSHOT_MAKE, "snapshot.make", "an image is asked of the store") \
    X(SNAPSHOT_READ, "snapshot.read", "a piece of it was read") \
    X(SNAPSHOT_SEND, "snapshot.send", "a piece of it goes out") \
    X(SNAPSHOT_BEGIN, "snapshot.begin", "the first piece of an image has come") \
    X(SNAPSHOT_WRITTEN, "snapshot.written", "a piece of it was written") \
    X(IMAGE_INTENT, "image.intent", "the log notes what is going to be installed") \
    X(SNAPSHOT_INSTALL, "snapshot.install", "the image takes the store's place") \
    X(SNAPSHOT_INSTALLED, "snapshot.installed", "it has taken it") \
    X(IMAGE_RESET, "image.reset", "the log begins anew behind it") \
    X(JOIN_ASK, "join.ask", "a node without an id asks the others who it is") \
    X(MEMBERS_PUBLISH, "members.publish", "a node tells its name and addresses") \
    X(MEMBERS_CHANGE, "members.change", "a change of members is handed to Raft")
/* clang-format on */

enum base_failpoint {
#define X(id, name, where) BASE_FAILPOINT_##id,
    BASE_FAILPOINTS(X)
#undef X
        BASE_FAILPOINT_COUNT
};

/* The name by which people know a point. */
const char *base_failpoint_name(enum base_failpoint point);
/* The point of that name; false: there is none. */
bool base_failpoint_find(struct slice name, enum base_failpoint *ret);

#ifdef QUORATE_CANARIES
typedef int base_failpoint_fn(enum base_failpoint point);
/* NULL: none. Before any thread is started. */
void base_failpoint_set(base_failpoint_fn *hook);
int base_failpoint(enum base_failpoint point);
#define FAILPOINT(id) base_failpoint(BASE_FAILPOINT_##id)
#else
#define FAILPOINT(id) (0 * (int)BASE_FAILPOINT_##id)
#endif

#endif
