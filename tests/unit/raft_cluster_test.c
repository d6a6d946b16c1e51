/* SPDX-License-Identifier: Apache-2.0 */
/* A whole group of nodes from a seed (raft_group.h). After every millisecond the rules that span
 * nodes are checked from outside: one leader a term, one vote a term, log matching, leader
 * completeness, equal state machines, nothing committed that is not durable on a majority of the
 * configuration in force, reads that see every write acknowledged before. RAFT_SEEDS=n runs more,
 * RAFT_DUMP=1 shows the nodes when a rule breaks.
 */
#include "tests/unit/raft_group.h"

/* --- rules that span nodes --- */

/* Is entry (index, term) durable here, itself or in the state? A crashed host's stores hold what
 * was committed. */
static bool is_durable_at(struct host *h, uint64_t index, uint64_t term)
{
    struct msg_raft_entry entry;
    struct log_store_state state;
    struct raft_node_status s = {0};
    if (h->is_up) {
        raft_node_status(h->node, &s);
        if (s.is_started) {
            const struct raft_core *core = raft_node_core(h->node);
            return s.persisted_index >= index &&
                   (index < raft_core_first_index(core) || raft_core_log_term(core, index) == term);
        }
    }
    if (log_store_get(store_mem_txn(h->log), index, &entry) == 0) {
        return entry.term == term;
    }
    return log_store_load_state(store_mem_txn(h->store), &state) == 0 &&
           state.applied_index >= index;
}

static bool is_on_majority(struct world *w, const struct raft_core *core, uint64_t index,
                           uint64_t term)
{
    size_t durable = 0;
    size_t voters = 0;
    for (size_t n = 0; n < core->configuration.count; n++) {
        const struct raft_member *member = &core->configuration.members[n];
        if (!member->is_learner) {
            voters++;
            durable += is_durable_at(&w->hosts[member->id - 1], index, term);
        }
    }
    return durable >= voters / 2 + 1;
}

static void check_committed(struct world *w, struct host *h, const struct raft_core *core)
{
    uint64_t commit = raft_core_commit(core);
    uint64_t first = raft_core_first_index(core);
    for (uint64_t i = h->committed_checked + 1; i <= commit && i < ENTRIES_MAX; i++) {
        uint64_t term = raft_core_log_term(core, i);
        if (i < first) {
            continue; /* of an image */
        }
        if (w->committed_term[i] != 0 && w->committed_term[i] != term) {
            violate(w, "R3: committed entries differ");
        }
        if (w->committed_term[i] == 0) {
            if (!is_on_majority(w, core, i, term)) {
                violate(w, "R7: committed without being durable on a majority");
            }
            w->committed_term[i] = term;
            w->committed_last = i > w->committed_last ? i : w->committed_last;
        }
    }
    uint64_t term = raft_core_term(core);
    bool is_leader = raft_core_role(core) == RAFT_LEADER;
    if (is_leader && h->led_term == term && commit > h->commit_seen &&
        raft_core_log_term(core, commit) != term) {
        violate(w, "R4: a leader commits by counting an entry of an older term");
    }
    h->led_term = is_leader ? term : 0;
    h->committed_checked = commit;
    if (commit < h->commit_seen) {
        violate(w, "R6: the commit index goes back");
    }
    h->commit_seen = commit;
}

static void check_leader_rules(struct world *w, struct host *h, const struct raft_core *core)
{
    uint64_t term = raft_core_term(core);
    if (raft_core_role(core) != RAFT_LEADER || term >= TERMS_MAX) {
        return;
    }
    if (w->leader_of[term] != 0 && w->leader_of[term] != h->number + 1) {
        violate(w, "R1: two leaders in one term");
    }
    if (w->leader_of[term] == 0) {
        w->leader_of[term] = h->number + 1;
        for (uint64_t i = raft_core_first_index(core); i <= w->committed_last; i++) {
            if (w->committed_term[i] != 0 && w->committed_term[i] <= term &&
                raft_core_log_term(core, i) != w->committed_term[i] && term > w->leader_term_max) {
                violate(w, "R4: a leader lacks a committed entry");
            }
        }
    }
    w->leader_term_max = term > w->leader_term_max ? term : w->leader_term_max;
}

static void check_matching(struct world *w, const struct raft_core *a, const struct raft_core *b)
{
    uint64_t last = raft_core_last_index(a);
    uint64_t first = raft_core_first_index(a);
    last = raft_core_last_index(b) < last ? raft_core_last_index(b) : last;
    first = raft_core_first_index(b) > first ? raft_core_first_index(b) : first;
    bool must_agree = false;
    for (uint64_t i = last; i >= first; i--) {
        bool agrees = raft_core_log_term(a, i) == raft_core_log_term(b, i);
        if (must_agree && !agrees) {
            violate(w, "R3: logs agree at an entry and differ before it");
        }
        must_agree = must_agree || agrees;
    }
}

static void check_confirms(struct world *w, const struct host *h)
{
    for (size_t i = 0; i < BASE_COUNT_OF(h->confirms); i++) {
        if (h->confirms[i].floor_term == UINT64_MAX) {
            violate(w, "R9: a deposed leader was confirmed");
        }
    }
}

static bool is_started(const struct host *h)
{
    struct raft_node_status s = {0};
    if (h->is_up) {
        raft_node_status(h->node, &s);
    }
    return s.is_started;
}

/* The newest leader first: who only heard of a commit may have another configuration. */
static void check_leader_commits(struct world *w)
{
    struct host *newest = NULL;
    for (size_t i = 0; i < w->count; i++) {
        struct host *h = &w->hosts[i];
        if (is_started(h) && raft_core_role(raft_node_core(h->node)) == RAFT_LEADER &&
            (newest == NULL || raft_core_term(raft_node_core(h->node)) >
                                   raft_core_term(raft_node_core(newest->node)))) {
            newest = h;
        }
    }
    if (newest != NULL) {
        check_committed(w, newest, raft_node_core(newest->node));
    }
}

static void check_rules(struct world *w)
{
    check_leader_commits(w);
    for (size_t i = 0; i < w->count; i++) {
        struct host *h = &w->hosts[i];
        struct raft_node_status s;
        if (!h->is_up) {
            continue;
        }
        raft_node_status(h->node, &s);
        if (!s.is_started) {
            continue;
        }
        const struct raft_core *core = raft_node_core(h->node);
        if (raft_core_check(core) != NULL) {
            violate(w, raft_core_check(core));
        }
        check_committed(w, h, core);
        check_leader_rules(w, h, core);
        check_confirms(w, h);
        if (s.first_index > 1) {
            w->compacted_count++;
        }
        if (s.applied_index > s.commit_index) {
            violate(w, "applied beyond the commit index");
        }
    }
    for (size_t i = 0; i < w->count && w->now_ms % 64 == 0; i++) {
        for (size_t j = 0; j < i; j++) {
            if (is_started(&w->hosts[i]) && is_started(&w->hosts[j])) {
                check_matching(w, raft_node_core(w->hosts[i].node),
                               raft_node_core(w->hosts[j].node));
            }
        }
    }
}

static void step(struct world *w)
{
    w->now_ms++;
    if (w->has_faults) {
        do_faults(w);
    }
    if (chance(w, 300000)) {
        ask(w); /* first, so that what is committed is judged by the configuration it was by */
    }
    deliver(w);
    for (size_t i = 0; i < w->count; i++) {
        struct host *h = &w->hosts[i];
        if (!h->is_up) {
            continue;
        }
        run_disk(h);
        if (raft_node_deadline(h->node).us <= clock_now(h).us) {
            raft_node_tick(h->node);
        }
    }
    check_rules(w);
}

static void end_faults(struct world *w)
{
    w->has_faults = w->has_changes = false;
    w->loss_ppm = w->duplicate_ppm = w->slow_ppm = 0;
    heal_net(w);
    for (size_t i = 0; i < w->count; i++) {
        w->hosts[i].hang_until_ms = 0;
        if (!w->hosts[i].is_up) {
            boot(&w->hosts[i]);
        }
    }
}

/* Every member of the newest configuration has what the most advanced one has. */
static void check_converged(struct world *w)
{
    uint64_t applied = 0;
    const struct raft_configuration *members = NULL;
    for (size_t i = 0; i < w->count; i++) {
        struct raft_node_status s;
        raft_node_status(w->hosts[i].node, &s);
        if (s.applied_index > applied) {
            applied = s.applied_index;
            members = raft_node_configuration(w->hosts[i].node);
        }
    }
    for (size_t i = 0; members != NULL && i < members->count; i++) {
        struct raft_node_status s;
        raft_node_status(w->hosts[members->members[i].id - 1].node, &s);
        if (s.applied_index + 100 < applied || s.leader_id == 0) {
            violate(w, "R15: a node did not catch up after healing");
        }
    }
}

static uint64_t total_acked, total_read, total_confirmed, total_crashes;
static uint64_t total_changes, total_transfers, total_restored, total_compacted;

static void dump(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct raft_node_status s = {0};
        if (w->hosts[i].is_up) {
            raft_node_status(w->hosts[i].node, &s);
        }
        const struct raft_core *core = raft_node_core(w->hosts[i].node);
        (void)fprintf(stderr,
                      "  %zu: %s%s role %d term %llu leader %llu log %llu..%llu "
                      "persisted %llu commit %llu applied %llu%s members@%llu:",
                      i + 1, w->hosts[i].is_up ? "up" : "down", s.is_started ? "" : " loading",
                      (int)s.role, (unsigned long long)s.term, (unsigned long long)s.leader_id,
                      (unsigned long long)s.first_index, (unsigned long long)s.last_index,
                      (unsigned long long)s.persisted_index, (unsigned long long)s.commit_index,
                      (unsigned long long)s.applied_index,
                      s.is_started && core->is_installing ? " installing" : "",
                      s.is_started ? (unsigned long long)core->configuration.index : 0ULL);
        for (size_t m = 0; s.is_started && m < core->peer_count; m++) {
            const struct raft_peer *peer = &core->peers[m];
            (void)fprintf(stderr, " %llu%s", (unsigned long long)peer->id,
                          peer->is_learner ? "l" : "");
            if (s.role == RAFT_LEADER) {
                (void)fprintf(stderr, "(%d match %llu next %llu%s)", (int)peer->state,
                              (unsigned long long)peer->match, (unsigned long long)peer->next,
                              peer->is_probe_sent ? " asked" : "");
            }
        }
        (void)fprintf(stderr, "\n");
    }
}

/* The first broken rule of this seed, or NULL. */
static const char *run_seed(uint64_t seed, size_t count, int64_t fault_ms, bool has_changes)
{
    struct world *w = world_make(seed, count, has_changes);
    while (w->now_ms < fault_ms && w->broken == NULL) {
        step(w);
    }
    end_faults(w);
    while (w->now_ms < fault_ms + 2000 && w->broken == NULL) {
        step(w);
    }
    uint64_t acked = w->acked_count;
    while (w->now_ms < fault_ms + 4000 && w->broken == NULL) {
        step(w);
    }
    if (w->broken == NULL && w->acked_count < acked + 10) {
        violate(w, "R15: nothing commits after healing");
    }
    if (w->broken == NULL) {
        check_converged(w);
    }
    total_acked += w->acked_count;
    total_read += w->read_count;
    total_confirmed += w->confirm_count;
    total_crashes += w->crash_count;
    total_changes += w->change_count;
    total_transfers += w->transfer_count;
    total_restored += w->restored_count;
    total_compacted += w->compacted_count;
    const char *broken = w->broken;
    if (broken != NULL && getenv("RAFT_DUMP") != NULL) {
        dump(w);
    }
    world_free(w);
    return broken;
}

static void run_many(uint64_t first, uint64_t seeds, size_t count, int64_t fault_ms,
                     bool has_changes)
{
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        const char *broken = run_seed(seed, count, fault_ms, has_changes);
        if (broken != NULL) {
            (void)fprintf(stderr, "seed %llu, %zu nodes: %s\n", (unsigned long long)seed, count,
                          broken);
        }
        assert_null(broken);
    }
}

static uint64_t seeds_wanted(uint64_t usual)
{
    const char *text = getenv("RAFT_SEEDS");
    uint64_t seeds = usual;
    if (text != NULL && slice_to_u64(slice_from_text(text), &seeds) != 0) {
        seeds = usual;
    }
    return seeds;
}

static void test_three_nodes_under_faults(void **state)
{
    (void)state;
    run_many(1, seeds_wanted(120), 3, 6000, false);
    assert_true(total_acked > 1000 && total_read > 1000 && total_confirmed > 1000 &&
                total_crashes > 100);
}

static void test_five_nodes_under_faults(void **state)
{
    (void)state;
    run_many(5001, seeds_wanted(60), 5, 6000, false);
}

static void test_one_node_under_crashes(void **state)
{
    (void)state;
    run_many(9001, seeds_wanted(60), 1, 4000, false);
}

static void test_members_change_under_faults(void **state)
{
    (void)state;
    total_changes = total_transfers = total_restored = total_compacted = 0;
    run_many(20001, seeds_wanted(100), 3, 6000, true);
    run_many(30001, seeds_wanted(30), 5, 6000, true);
    run_many(40001, seeds_wanted(30), 1, 6000, true);
    if (seeds_wanted(100) >= 100) { /* fewer may well see nothing of it */
        assert_true(total_changes > 100 && total_transfers > 20);
        assert_true(total_restored > 20 && total_compacted > 1000);
    }
}

/* The leader that has applied the first entry of its term, or NULL. */
static struct host *leader_of(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct raft_node_status s;
        raft_node_status(w->hosts[i].node, &s);
        if (s.role == RAFT_LEADER && s.has_applied_own_term) {
            return &w->hosts[i];
        }
    }
    return NULL;
}

/* Without faults, and with a leader. */
static struct world *calm_world(uint64_t seed, size_t count, struct host **ret_leader)
{
    struct world *w = world_make(seed, count, false);
    struct host *leader = NULL;
    end_faults(w);
    while (leader == NULL) {
        step(w);
        assert_true(w->now_ms < 3000);
        leader = leader_of(w);
    }
    *ret_leader = leader;
    return w;
}

/* Five seconds without its own disk: it goes on leading, confirming and committing through the
 * others. */
static void test_leader_with_a_hanging_disk_keeps_leading(void **state)
{
    (void)state;
    struct host *leader = NULL;
    struct world *w = calm_world(3, 3, &leader);
    struct raft_node_status before, after;
    struct confirm_slot slot = {.confirm.done = confirm_done};
    raft_node_status(leader->node, &before);
    leader->hang_until_ms = w->now_ms + 5000;
    while (w->now_ms + 10 < leader->hang_until_ms) {
        if (!slot.is_busy) {
            slot.is_busy = raft_node_confirm(leader->node, &slot.confirm) == 0;
            assert_true(slot.is_busy);
            w->confirm_count++;
        }
        step(w);
        assert_null(w->broken);
    }
    raft_node_status(leader->node, &after);
    assert_int_equal(after.role, RAFT_LEADER);
    assert_true(after.term == before.term);
    assert_true(after.commit_index > before.commit_index + 50);
    assert_true(w->confirm_count > 500);
    for (int i = 0; i < 500; i++) {
        step(w);
    }
    raft_node_status(leader->node, &after);
    assert_true(after.applied_index > before.applied_index + 50);
    assert_true(after.term == before.term);
    assert_null(w->broken);
    world_free(w);
}

/* R14: a node that was cut off for long comes back without an election. */
static bool is_group_disturbed(uint64_t seed)
{
    struct host *leader = NULL;
    struct world *w = calm_world(seed, 3, &leader);
    size_t away = (leader->number + 1) % 3;
    struct raft_node_status before, after;
    raft_node_status(leader->node, &before);
    for (size_t i = 0; i < 3; i++) {
        w->is_cut[i][away] = w->is_cut[away][i] = i != away;
    }
    for (int i = 0; i < 3000; i++) {
        step(w);
    }
    heal_net(w);
    for (int i = 0; i < 1000; i++) {
        step(w);
    }
    raft_node_status(leader->node, &after);
    check_converged(w);
    assert_null(w->broken);
    world_free(w);
    return after.role != RAFT_LEADER || after.term != before.term;
}

static void test_a_healed_node_disturbs_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_false(is_group_disturbed(seed));
    }
}

/* A node is gone, or goes in the middle of an image for it: the leader's log is cut all the same.
 */
static uint64_t log_behind_commit(const struct host *leader)
{
    const struct raft_core *core = raft_node_core(leader->node);
    return raft_core_commit(core) - raft_core_first_index(core);
}

static void cut_off(struct world *w, size_t one, int ms)
{
    for (size_t i = 0; i < w->count; i++) {
        w->is_cut[i][one] = w->is_cut[one][i] = i != one;
    }
    for (int i = 0; i < ms; i++) {
        step(w);
    }
}

static bool is_sent_an_image(const struct host *leader, size_t to)
{
    const struct raft_core *core = raft_node_core(leader->node);
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (core->peers[i].id == to + 1) {
            return core->peers[i].state == RAFT_PEER_SNAPSHOT;
        }
    }
    return false;
}

static void test_the_log_does_not_wait_for_who_is_away(void **state)
{
    (void)state;
    struct host *leader = NULL;
    struct world *w = calm_world(7, 3, &leader);
    w->log_keep = 20;
    for (size_t i = 0; i < w->count; i++) {
        crash(&w->hosts[i]);
        boot(&w->hosts[i]);
    }
    for (leader = NULL; leader == NULL; leader = leader_of(w)) {
        step(w);
    }
    size_t away = (leader->number + 1) % 3;
    cut_off(w, away, 5000);
    assert_in_range(log_behind_commit(leader), 0, 80);
    heal_net(w);
    for (int i = 0; i < 2000 && !is_sent_an_image(leader, away); i++) {
        step(w);
    }
    assert_true(is_sent_an_image(leader, away));
    cut_off(w, away, 6000);
    assert_in_range(log_behind_commit(leader), 0, 80);
    heal_net(w);
    for (int i = 0; i < 3000; i++) {
        step(w);
    }
    assert_true(w->restored_count > 0);
    check_converged(w);
    assert_null(w->broken);
    world_free(w);
}

/* Time from the death of a leader to the first entry of the next one. */
static void test_failover_is_fast(void **state)
{
    (void)state;
    int64_t worst_ms = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct host *leader = NULL;
        struct world *w = calm_world(seed, 3, &leader);
        crash(leader);
        int64_t since = w->now_ms;
        struct host *next = NULL;
        while (next == NULL) {
            step(w);
            for (size_t i = 0; i < 3; i++) {
                struct raft_node_status s;
                if (w->hosts[i].is_up) {
                    raft_node_status(w->hosts[i].node, &s);
                    next = s.has_applied_own_term ? &w->hosts[i] : next;
                }
            }
            assert_true(w->now_ms - since < 3000);
        }
        worst_ms = w->now_ms - since > worst_ms ? w->now_ms - since : worst_ms;
        assert_null(w->broken);
        world_free(w);
    }
    assert_true(worst_ms < 1500);
}

#ifdef QUORATE_CANARIES
static bool is_one_of(const char *broken, const char *rules)
{
    for (; *rules != 0; rules += strcspn(rules, " ") + (strchr(rules, ' ') != NULL)) {
        if (strncmp(broken, rules, strcspn(rules, " ")) == 0 &&
            broken[strcspn(rules, " ")] == ':') {
            return true;
        }
    }
    return false;
}

/* By one of these rules, whichever sees it first. */
static void expect_caught(const char *name, const char *rules)
{
    bool is_caught = false;
    assert_true(base_canary_select(name));
    for (uint64_t seed = 1; seed < 600 && !is_caught; seed++) {
        const char *broken = run_seed(seed, seed % 2 == 0 ? 5 : 3, 6000, seed % 3 != 0);
        is_caught = broken != NULL && is_one_of(broken, rules);
        if (is_caught) {
            (void)fprintf(stderr, "%s: seed %llu: %s\n", name, (unsigned long long)seed, broken);
        }
    }
    assert_true(base_canary_select(""));
    assert_true(is_caught);
}

static void test_planted_bugs_are_caught(void **state)
{
    (void)state;
    expect_caught("vote-not-persisted", "R2");
    expect_caught("ack-before-flush", "R7");
    expect_caught("read-without-confirmation", "R9");
    expect_caught("commit-older-term", "R3 R4 R5 R7");
    expect_caught("skip-log-matching", "R3 R4 R5");
    expect_caught("read-index-over-leader-change", "R9");
    expect_caught("quorum-of-old-configuration", "R7 R3 R4 R5");
    assert_true(base_canary_select("no-pre-vote"));
    bool is_caught = false;
    for (uint64_t seed = 1; seed <= 20 && !is_caught; seed++) {
        is_caught = is_group_disturbed(seed);
    }
    assert_true(base_canary_select(""));
    assert_true(is_caught);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader_with_a_hanging_disk_keeps_leading),
        cmocka_unit_test(test_a_healed_node_disturbs_nobody),
        cmocka_unit_test(test_the_log_does_not_wait_for_who_is_away),
        cmocka_unit_test(test_failover_is_fast),
        cmocka_unit_test(test_one_node_under_crashes),
        cmocka_unit_test(test_three_nodes_under_faults),
        cmocka_unit_test(test_five_nodes_under_faults),
        cmocka_unit_test(test_members_change_under_faults),
#ifdef QUORATE_CANARIES
        cmocka_unit_test(test_planted_bugs_are_caught),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
