/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB's error codes that we know what to do with, one table; any other one is a failure of the
 * order as it is. https://github.com/mongodb/mongo/blob/master/docs (error codes), names as the
 * server has them. Pure.
 */
#ifndef QUORATE_AGENTS_MONGODB_CODES_H
#define QUORATE_AGENTS_MONGODB_CODES_H

#include "base/error.h"
#include "base/types.h"

/* clang-format off */
/* code, name, status, what is done next */
#define MDB_CODES(X) \
    X(2, BadValue, INVALID, "the server refuses what it is told; its text says why") \
    X(13, Unauthorized, DENIED, "a right is missing: make the roles that --print-roles prints") \
    X(18, AuthenticationFailed, DENIED, \
      "make the users that --print-roles prints, with the passwords of the file") \
    X(20, IllegalOperation, STATE, "not on such a server") \
    X(23, AlreadyInitialized, STATE, "it has a configuration: never initiated again") \
    X(26, NamespaceNotFound, NOTFOUND, \
      "not there yet: a node that was never initiated has no oplog") \
    X(50, MaxTimeMSExpired, TIMEOUT, \
      "the server gave up within its limit; the order may be given again") \
    X(59, CommandNotFound, UNSUPPORTED, "an older release: asked in the older way, or left out") \
    X(64, WriteConcernFailed, TIMEOUT, "written, not confirmed in time") \
    X(72, InvalidOptions, INVALID, "the server refuses the options") \
    X(74, NodeNotFound, UNREACHABLE, \
      "a member of the configuration does not answer under its name") \
    X(76, NoReplicationEnabled, STATE, "mongod was started without replication.replSetName") \
    X(79, UnknownReplWriteConcern, INVALID, "no such write concern in this configuration") \
    X(91, ShutdownInProgress, CLOSED, "it is going down: asked again after its start") \
    X(93, InvalidReplicaSetConfig, STATE, \
      "it is not in its own configuration (removed), or the new one is refused") \
    X(94, NotYetInitialized, STATE, "no configuration yet: waits for INITIATE, or to be added") \
    X(95, NotSecondary, STATE, "the order is for a secondary") \
    X(96, OperationFailed, STATE, "refused; the server's text says why") \
    X(100, UnsatisfiableWriteConcern, STATE, "more members are asked for than there are") \
    X(103, NewReplicaSetConfigurationIncompatible, CONFLICT, \
      "somebody else changed the configuration, or the change is not one step: planned anew") \
    X(104, NodeNotElectable, STATE, "this node may not be primary in the new configuration") \
    X(106, OplogOperationUnsupported, STATE, \
      "an operation of its oplog cannot be applied: resync") \
    X(108, ReplicaSetNotFound, STATE, "another set's name") \
    X(109, ConfigurationInProgress, BUSY, "another change is under way: asked again") \
    X(117, ConflictingOperationInProgress, BUSY, \
      "an election or step-down is under way: asked again") \
    X(120, OplogStartMissing, STATE, "rolls back, or is too stale") \
    X(123, NotAReplicaSet, STATE, "mongod was started without replication.replSetName") \
    X(125, CommandFailed, STATE, "refused; the server's text says why") \
    X(127, UnrecoverableRollbackError, CORRUPT, \
      "the rollback cannot be done: only a resync helps") \
    X(189, PrimarySteppedDown, CLOSED, "stepped down: hello tells who is primary") \
    X(262, ExceededTimeLimit, TIMEOUT, \
      "no electable secondary caught up in time: the primary stays") \
    X(279, ClientDisconnect, CLOSED, "the connection was cut") \
    X(308, CurrentConfigNotCommittedYet, BUSY, \
      "the present configuration is not on a majority yet: asked again") \
    X(10107, NotWritablePrimary, STATE, "the order is for the primary") \
    X(11600, InterruptedAtShutdown, CLOSED, "it is going down: asked again after its start") \
    X(11601, Interrupted, CANCELED, "somebody killed the operation") \
    X(11602, InterruptedDueToReplStateChange, CLOSED, \
      "its role changed meanwhile: hello tells what it is now") \
    X(13435, NotPrimaryNoSecondaryOk, STATE, "neither primary nor readable") \
    X(13436, NotPrimaryOrSecondary, STATE, "starting, recovering or removed") \
    X(14031, OutOfDiskSpace, NOSPACE, "its disk is full")
/* clang-format on */

struct mdb_code {
    int32_t code;
    int status; /* BASE_E_* */
    const char *name;
    const char *next; /* what is done, for people */
};

/* NULL: not in the table. Static. */
const struct mdb_code *mdb_code_find(int32_t code);
/* BASE_E_*; STATE for what is not in the table, 0 for 0. */
int mdb_code_status(int32_t code);
/* "NotSecondary"; "error" for what is not in the table. Static. */
const char *mdb_code_name(int32_t code);
size_t mdb_codes_count(void);
const struct mdb_code *mdb_code_at(size_t index);

#endif
