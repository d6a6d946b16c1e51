/* SPDX-License-Identifier: Apache-2.0 */
/* The story of a failure, for a reader who does not know the source. */
#include "tests/sim/story.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/lockers.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_gal.h"
#include "tests/sim/truth_lease.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/truth_ops.h"

#define STEPS 50
#define FAULTS_TOLD 12

enum about {
    RAFT = TRACE_ALWAYS,
    STORE = TRACE_ALWAYS | TRACE_STORE | TRACE_LEASES,
    LEASES = TRACE_ALWAYS | TRACE_LEASES,
    DATABASES = TRACE_ALWAYS | TRACE_DATABASES,
    ALL = TRACE_ALWAYS | TRACE_STORE | TRACE_LEASES | TRACE_DATABASES,
};

static const struct rule {
    const char *invariant;
    enum about about;
    const char *rule;
} rules[] = {
    {INVARIANT_ONE_LEADER, RAFT, "At most one quorum node leads in a term."},
    {INVARIANT_ONE_VOTE, RAFT,
     "A node votes for one candidate a term, also when it has restarted."},
    {INVARIANT_LOG_MATCHING, RAFT, "Logs that agree at one entry agree at all before it."},
    {INVARIANT_STATE_MACHINE, RAFT, "Every node applies the same entries in the same order."},
    {INVARIANT_QUORUM, RAFT, "What is committed is durable on a majority of the voters in force."},
    {INVARIANT_ONE_CHANGE, RAFT, "One change of members is under way at a time."},
    {INVARIANT_IMAGE, RAFT, "The state after an image equals the state after all its entries."},
    {INVARIANT_LINEARIZABLE, STORE,
     "Every answer of the store fits one order of all operations that "
     "agrees with real time."},
    {INVARIANT_ONE_WRITER, DATABASES, "At most one database can acknowledge commits at any time."},
    {INVARIANT_EPOCH_AFTER_LEASE, DATABASES,
     "A new epoch begins when the holder before it has handed back or "
     "its lease has run out."},
    {INVARIANT_EPOCHS_GROW, DATABASES, "Epochs only grow, and nobody obeys an older one."},
    {INVARIANT_NO_LOST_COMMIT, DATABASES,
     "A commit that a client was told is safe is in every later "
     "primary."},
    {INVARIANT_BEST_CANDIDATE, DATABASES,
     "Who is promoted was in the recorded set and had the highest "
     "position of those that voted."},
    {INVARIANT_SYNC_SET, DATABASES,
     "The standbys that a commit waits for fit the recorded voters."},
    {INVARIANT_CALM, DATABASES, "Without a fault nothing fails over."},
    {INVARIANT_LIVENESS, ALL, "When all faults are over, everything works again in time."},
    {INVARIANT_HANDBACK, DATABASES,
     "A lease is handed back when no process of the database is left."},
    {INVARIANT_REWIND, DATABASES, "A database whose history differs is rewound before it follows."},
    {INVARIANT_TIMELINE, DATABASES, "A promotion gets the timeline that was reserved for it."},
    {INVARIANT_NO_CRASH, ALL, "No assertion of the product fails, whatever arrives."},
    {INVARIANT_STARTS, RAFT, "A node starts from whatever its disk held at a crash."},
    {INVARIANT_ENOUGH, ALL, "Enough happens in a run for it to prove something."},
    {INVARIANT_KEPT, RAFT, "The log forgets only what the state holds durably."},
    {INVARIANT_OWN_TERM, RAFT, "A leader commits by counting only entries of its own term."},
    {INVARIANT_PRE_VOTE, RAFT,
     "Who asks for votes was told before that a majority would give them."},
    {INVARIANT_REVISIONS, STORE, "Each change of the store makes its revision one higher."},
    {INVARIANT_APPLIED_ONCE, STORE, "A request has its effect once."},
    {INVARIANT_LEASE_EARLY, LEASES, "A lease ends no sooner than the client was told."},
    {INVARIANT_LEASE_KEYS, LEASES, "Keys vanish together with their lease."},
    {INVARIANT_LEASE_RENEWAL, LEASES,
     "A lease that is told to live lives; one told to be gone is gone."},
    {INVARIANT_LEASE_RENEWER, LEASES, "Who renews a lease still led when it was asked."},
    {INVARIANT_LOCK_TURN, LEASES,
     "Who is told that a lock is his has his key there, and nobody came before him."},
    {INVARIANT_LOCK_ONE, LEASES, "Two clients never have one lock under promised leases."},
    {INVARIANT_LEASE_END, LEASES, "A lease that nobody renews ends, in time."},
    {INVARIANT_LOSS, DATABASES,
     "An asynchronous failover loses no more of what was known than its "
     "limit."},
    {INVARIANT_COPY, DATABASES,
     "A voter whose directory is lost copies the holder, and nobody who may have less."},
    {INVARIANT_VOTE_FINAL, DATABASES, "Who votes receives no more."},
    {INVARIANT_PROMISE, DATABASES, "Who has voted streams from nobody until its attempt is over."},
    {INVARIANT_CONFIRMED, DATABASES,
     "Who comes into the synchronous set has streamed past the opening "
     "of the epoch."},
    {INVARIANT_FENCED, DATABASES,
     "By its own clock no database writes longer than the margin past "
     "its deadline."},
    {INVARIANT_UNDER_LEASE, DATABASES, "Nobody is promoted without a lease for it."},
    {INVARIANT_HAND_OVER, DATABASES,
     "After an orderly stop the next holder has all that the former one "
     "wrote."},
    {INVARIANT_ONE_GUARD, DATABASES, "An epoch is used by one guard of one member."},
    {INVARIANT_GATE, DATABASES,
     "A primary that crashed lets clients in when enough others have "
     "what they see."},
    {INVARIANT_UNCONFIRMED, DATABASES,
     "The record of a restored quorum rests until an operator confirms it."},
    {INVARIANT_DURABLE, RAFT, "What a node says is durable is on its disk."},
    {INVARIANT_HEARD, RAFT, "A node counts acknowledgements and votes of its own term only."},
    {INVARIANT_ELECTED, RAFT, "Who leads was voted for by a majority."},
    {INVARIANT_FORWARD, RAFT, "Terms and what is committed never go back."},
    {INVARIANT_NO_CUT, RAFT, "What is committed is never cut from a log."},
    {INVARIANT_IMAGE_FORWARD, RAFT, "An image takes a node forward, never back."},
    {INVARIANT_ROUND, RAFT, "A leader is confirmed by answers of a majority to that round."},
    {INVARIANT_HANDED_OVER, RAFT, "Leadership is handed over to a node that has all of the log."},
    {INVARIANT_VERSIONS, STORE, "Each change of a key makes its version one higher, from 1."},
    {INVARIANT_PAST, STORE,
     "A read of an old revision gives what was there then, or says that it "
     "is compacted."},
    {INVARIANT_FULL, STORE, "A full store refuses what adds, and serves all else."},
    {INVARIANT_TOKEN, STORE, "A login that was told is known to every node, or waited for."},
    {INVARIANT_PERMITTED, STORE, "Nothing is changed without a permission in force at that entry."},
    {INVARIANT_GRANT_ROUND, ALL,
     "A grant rests on a round that began after the report that it answers had come."},
    {INVARIANT_GRANT_READY, ALL, "A new leader grants when it has applied an entry of its term."},
    {INVARIANT_DEADLINE, DATABASES,
     "A deadline counts from the sending of the report that the grant answers."},
    {INVARIANT_WAITS, DATABASES,
     "A leader waits for ttl and drift from its election and its last grant."},
    {INVARIANT_HANDBACK_FINAL, DATABASES, "A guard is never armed for what it has handed back."},
    {INVARIANT_FLOOR_EPOCH, DATABASES,
     "A choice by votes sets the floor's epoch, and a return keeps it."},
    {INVARIANT_WATCH, STORE,
     "A watch hears of every change, once and in order, or that it was ended."},
    {INVARIANT_GALERA_COMPONENT, DATABASES,
     "Two Primary components never accept rows, unless an operator has made one of them."},
    {INVARIANT_GALERA_GRANT, DATABASES, "A generation has one bootstrap, granted by one entry."},
    {INVARIANT_GALERA_BOOTSTRAP, DATABASES,
     "A member bootstraps when the record grants that to it, and then alone."},
    {INVARIANT_GALERA_HIGHEST, DATABASES,
     "Nobody bootstraps while another member of the same history has more, or a newer history."},
    {INVARIANT_GALERA_LOST, DATABASES,
     "An acknowledged row is at every later writer, unless nobody has it any more, or an operator "
     "gave it up."},
    {INVARIANT_GALERA_WRITER, DATABASES,
     "A server accepts writes, and /writer says 200, under a lease for that epoch only."},
    {INVARIANT_GALERA_ROUTED, DATABASES, "/writer says 200 at one member at a time."},
    {INVARIANT_GALERA_STALE, DATABASES,
     "Where /reader says 200, every row acknowledged 4 s ago is visible."},
    {INVARIANT_GALERA_SAME_ROWS, DATABASES,
     "Members of one component have the same rows, however they joined it."},
    {INVARIANT_GALERA_NIL, DATABASES, "A Primary component has a history with a name."},
    {INVARIANT_GALERA_POSITION, DATABASES,
     "A server with data starts with its own, proven position, or takes everything anew."},
    {INVARIANT_PAUSE, DATABASES, "In a pause nobody promotes, fences or starts anything."},
    {INVARIANT_PAUSED_RIGHT, DATABASES,
     "The right of a holder that was disarmed by a pause ends by its own word, a fence, or an "
     "operator's."},
    {INVARIANT_FENCED_EPOCH, DATABASES,
     "A host is fenced when the log says so, and its epoch is granted no more from then on."},
    {INVARIANT_FENCE_REQUIRED, DATABASES,
     "Where a fence is required, nobody takes over before it has succeeded."},
    {INVARIANT_DRAINED, DATABASES, "A drained member is not chosen."},
    {INVARIANT_TASK, DATABASES,
     "An order to a member ends by that member's word, or is cancelled."},
    {INVARIANT_REINIT, DATABASES,
     "A copy is thrown away when no commit counts on its member any more."},
    {INVARIANT_FAILSAFE, DATABASES,
     "Without a quorum a holder goes on by its members' word; one that was not asked does not "
     "follow it."},
    {INVARIANT_FAILSAFE_GRANT, DATABASES,
     "Who has granted a holder without a quorum more time neither votes nor takes over before that "
     "is over."},
    {INVARIANT_RETIRES, DATABASES, "A holder that has crashed three times hands its role on."},
    {INVARIANT_STANDBY_CLUSTER, DATABASES,
     "In a standby cluster nobody lets clients write: the service is another site's."},
    {INVARIANT_MONGODB_FORCED, DATABASES,
     "A configuration is forced once for a token that a person was given."},
    {INVARIANT_MONGODB_EPOCH, DATABASES,
     "An order to a MongoDB set begins an epoch of its own, and nobody acts on another's."},
    {INVARIANT_MONGODB_KILL, DATABASES, "No mongod is killed unless its settings allow that."},
    {INVARIANT_MONGODB_MINORITY, DATABASES,
     "Nothing is changed from where no majority of the set is seen."},
    {INVARIANT_MONGODB_TOUCHED, DATABASES, "A healthy set is let be."},
    {INVARIANT_MONGODB_FROZEN, DATABASES, "A member is kept from elections for a bounded time."},
    {INVARIANT_MONGODB_INITIATE, DATABASES, "A set is initiated once."},
    {INVARIANT_MONGODB_LOST, DATABASES,
     "A write that a majority acknowledged is at every later primary, unless a person gave it up."},
    {INVARIANT_MONGODB_ONE_ORDER, DATABASES, "One order to a set is open at a time."},
    {INVARIANT_MONGODB_PRIMARY, DATABASES,
     "/primary says 200 by the mongod's own, fresh word, at one member of a term."},
    {INVARIANT_MONGODB_STEPS, DATABASES,
     "A member gets its vote first and its priority in a later configuration."},
    {INVARIANT_MONGODB_DEAD, DATABASES,
     "A vote is taken away when neither the primary nor the quorum hears of its member."},
    {INVARIANT_MONGODB_DONE, DATABASES, "An order that is said to be done is done."},
    {INVARIANT_MONGODB_BARRED, DATABASES, "A member that is to stay down stays down."},
    {INVARIANT_MONGODB_TERM, DATABASES, "A term has one primary."},
};

static struct rule rule_of(const char *invariant)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].invariant, invariant) == 0) {
            return rules[i];
        }
    }
    return (struct rule){invariant, ALL, invariant};
}

/* ", WHAT PREFIX1 to PREFIX7" or ", WHAT PREFIX1"; nothing for none. */
static void print_range(const char *what, const char *prefix, unsigned from, unsigned count)
{
    if (count > 1) {
        printf("; %s %s%u to %s%u", what, prefix, from, prefix, from + count - 1);
    } else if (count == 1) {
        printf("; %s %s%u", what, prefix, from);
    }
}

static void print_world(const struct world *w)
{
    const struct setup *s = &w->setup;
    printf("the world");
    print_range("quorum nodes", "q", 1, s->nodes);
    if (s->slots > s->nodes) {
        printf(" (members come and go, up to q%u)", s->slots);
    }
    print_range("clients of the store", "", 0, s->kv_clients);
    for (unsigned i = 0; s->has_databases && i < s->clusters; i++) {
        print_range("database hosts, each with an agent and a guard,", "pg",
                    s->databases[i].first + 1, s->databases[i].members);
    }
    print_range("hosts with MariaDB Galera, each with an agent and a guard,", "md", s->members + 1,
                s->galera_members);
    print_range("hosts with mongod, each with an agent and a guard,", "mg", s->members + 1,
                s->mongodb_members);
    print_range("clients of the databases", "", 0, s->has_databases ? s->sql_clients : 0);
    printf("\n");
}

static void print_faults(const struct world *w)
{
    size_t from = w->bites_count > FAULTS_TOLD ? w->bites_count - FAULTS_TOLD : 0;
    printf("%zu faults had an effect%s:\n", w->bites_count, from > 0 ? "; the last ones" : "");
    for (size_t i = from; i < w->bites_count; i++) {
        trace_print(&w->bites[i]);
    }
}

void story_print(const struct world *w)
{
    print_world(w);
    print_faults(w);
    printf("the last steps:\n");
    struct rule rule = rule_of(w->failure_name);
    trace_print_last(w, STEPS, rule.about);
    printf("the rule: %s\n", rule.rule);
    printf("seen:     %s\n", w->failure_text);
}
