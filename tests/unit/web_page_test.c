/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the status page's parts: what comes from outside is escaped, every state has its
 * level and its word, the topology of members that lie ends, steps of a failover add up, and who
 * may look. */
#include "tests/support/cm.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiter/web/access.h"
#include "arbiter/web/page.h"
#include "base/name.h"

#define EVIL "<script>alert(\"1\")</script>&'"
#define NOW_US INT64_C(1800000000000000)

static char *text_of(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

/* Takes the text out of `out`. */
static char *taken(struct web_out *out)
{
    assert_false(out->is_failed);
    char *text = malloc(out->bytes.len + 1);
    assert_non_null(text);
    if (out->bytes.len > 0) {
        memcpy(text, out->bytes.data, out->bytes.len);
    }
    text[out->bytes.len] = '\0';
    web_out_free(out);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

struct scene {
    Quorate__V1__DatabaseCluster cluster;
    Quorate__V1__DatabaseMember members[3];
    Quorate__V1__DatabaseMember *list[3];
    struct web_cluster shown;
};

static void scene_make(struct scene *s)
{
    static const char *const names[] = {"pg1", "pg2", "pg3"};
    memset(s, 0, sizeof(*s));
    quorate__v1__database_cluster__init(&s->cluster);
    for (size_t i = 0; i < 3; i++) {
        Quorate__V1__DatabaseMember *m = &s->members[i];
        quorate__v1__database_member__init(m);
        m->name = text_of(names[i]);
        m->host = text_of("10.0.0.1");
        m->db_port = 5432;
        m->role = text_of(i == 0 ? "primary" : "quorum");
        m->state = text_of(i == 0 ? "running" : "streaming");
        m->upstream = text_of(i == 0 ? "" : "pg1");
        m->is_up = true;
        s->list[i] = m;
    }
    s->cluster.name = text_of("pg-main");
    s->cluster.engine = text_of("postgresql");
    s->cluster.state = text_of("healthy");
    s->cluster.primary = text_of("pg1");
    s->cluster.sync = text_of("any 1");
    s->cluster.epoch = 3;
    s->cluster.ttl_ms = 2000;
    s->cluster.n_members = 3;
    s->cluster.members = s->list;
    s->shown = (struct web_cluster){.message = &s->cluster, .is_leader = true, .now_us = NOW_US};
}

static char *cluster_of(const struct scene *s)
{
    struct web_out out = {.is_failed = false};
    web_part_cluster(&out, &s->shown);
    return taken(&out);
}

static void test_escaped(void **state)
{
    struct scene s;
    struct web_out out = {.is_failed = false};
    Quorate__V1__DatabaseEvent event;
    Quorate__V1__DatabaseEvent *events[] = {&event};
    (void)state;
    scene_make(&s);
    s.members[1].name = text_of(EVIL);
    s.members[1].note = text_of(EVIL);
    s.members[1].host = text_of(EVIL);
    s.members[1].state = text_of(EVIL);
    s.members[2].upstream = text_of(EVIL);
    s.cluster.waiting_for = text_of(EVIL);
    s.cluster.loss = text_of(EVIL);
    s.cluster.sync = text_of(EVIL);
    char *text = cluster_of(&s);
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(&quot;1&quot;)"));
    free(text);

    quorate__v1__database_event__init(&event);
    event.event = text_of(EVIL);
    event.text = text_of(EVIL);
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:[{s:s, s:s}]}", "kind", EVIL, "to", EVIL, "from",
                  "x", "reason", EVIL, "epoch", 4, "notes", "text", EVIL, "event", "x");
    json_t *const entries[] = {entry};
    s.shown.events = events;
    s.shown.events_count = 1;
    s.shown.entries = entries;
    s.shown.entries_count = 1;
    web_part_story(&out, &s.shown);
    text = taken(&out);
    assert_null(strstr(text, "<script"));
    free(text);
    json_decref(entry);
}

static void test_numbers_and_control_characters(void **state)
{
    char memory[WEB_CELL_MAX];
    struct web_out out = {.is_failed = false};
    (void)state;
    web_text(&out, "a\tb\nc\x7f");
    char *text = taken(&out);
    assert_string_equal(text, "a b c ");
    free(text);
    assert_string_equal(web_age(0, NOW_US, memory), "-");
    assert_string_equal(web_age(NOW_US + 1, NOW_US, memory), "0 s");
    assert_string_equal(web_age(NOW_US - 61 * BASE_US_PER_S, NOW_US, memory), "1 min");
    assert_string_equal(web_age(NOW_US - 3661 * BASE_US_PER_S, NOW_US, memory), "1 h 01 min");
    assert_string_equal(web_age(NOW_US - 90061 * BASE_US_PER_S, NOW_US, memory), "1 d 01:01");
    assert_string_equal(web_bytes(16384, memory), "16 kB");
    assert_string_equal(web_bytes(UINT64_MAX, memory), "16777215 TB");
    web_time(&out, NOW_US);
    text = taken(&out);
    assert_string_equal(text,
                        "<time datetime=\"2027-01-15T08:00:00Z\">2027-01-15 08:00:00Z</time>");
    free(text);
}

/* A state is a word, in the text and as data. */
static void test_states(void **state)
{
    static const struct {
        const char *state;
        bool is_paused;
        enum web_level level;
    } rows[] = {{"healthy", false, WEB_GOOD},        {"healthy", true, WEB_WATCH},
                {"degraded", false, WEB_WATCH},      {"no primary", false, WEB_BAD},
                {"unconfirmed", false, WEB_BAD},     {"switchover", false, WEB_WATCH},
                {"bootstrapping", false, WEB_WATCH}, {"planned", false, WEB_IDLE},
                {"a word to come", false, WEB_WATCH}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct scene s;
        char wanted[64];
        scene_make(&s);
        s.cluster.state = text_of(rows[i].state);
        s.cluster.is_paused = rows[i].is_paused;
        assert_int_equal(web_cluster_level(&s.cluster), rows[i].level);
        char *text = cluster_of(&s);
        (void)snprintf(wanted, sizeof(wanted), "data-state=\"%s\"", rows[i].state);
        assert_non_null(strstr(text, wanted));
        (void)snprintf(wanted, sizeof(wanted), "<span class=\"word\">%s", rows[i].state);
        assert_non_null(strstr(text, wanted));
        free(text);
    }
}

static void test_topology(void **state)
{
    struct scene s;
    (void)state;
    scene_make(&s);
    s.members[2].upstream = text_of("pg2");
    char *text = cluster_of(&s);
    const char *first = strstr(text, "aria-label=\"On its own\"");
    const char *second = strstr(text, "aria-label=\"Receives from the primary\"");
    const char *third = strstr(text, "aria-label=\"Receives from a standby\"");
    assert_non_null(first);
    assert_true(first < second && second < third);
    assert_int_equal(count_of(text, "class=\"chip"), 3);
    free(text);
    /* Two that say they receive from each other: it ends, and nobody is left out. */
    s.members[1].upstream = text_of("pg3");
    text = cluster_of(&s);
    assert_int_equal(count_of(text, "class=\"chip"), 3);
    assert_int_equal(count_of(text, "data-member="), 3);
    free(text);
}

static void test_lease_and_notes(void **state)
{
    struct scene s;
    (void)state;
    scene_make(&s);
    char *text = cluster_of(&s);
    assert_non_null(strstr(text, "not running"));
    free(text);
    s.members[0].lease_left_us = 1700000;
    s.cluster.waiting_for = text_of("failover waits: 1 of 2 votes");
    s.cluster.is_unarmed = false;
    text = cluster_of(&s);
    assert_non_null(strstr(text, "1.7 s left of 2.0 s"));
    assert_non_null(strstr(text, "<p class=\"note\">failover waits: 1 of 2 votes</p>"));
    free(text);
    s.cluster.is_unarmed = true;
    text = cluster_of(&s);
    assert_non_null(strstr(text, "without an end, since a pause"));
    free(text);
}

static void test_galera(void **state)
{
    struct scene s;
    Quorate__V1__DatabaseGalera galera;
    Quorate__V1__DatabaseGaleraMember of[3];
    Quorate__V1__DatabaseGaleraNode node;
    Quorate__V1__DatabaseGaleraNode *view[] = {&node};
    (void)state;
    scene_make(&s);
    quorate__v1__database_galera__init(&galera);
    quorate__v1__database_galera_node__init(&node);
    node.name = text_of("db1");
    galera.view = view;
    galera.n_view = 1;
    galera.high_water = 77;
    s.cluster.galera = &galera;
    for (size_t i = 0; i < 3; i++) {
        quorate__v1__database_galera_member__init(&of[i]);
        of[i].is_primary = i < 2;
        of[i].seqno = 70 + (int64_t)i;
        s.members[i].galera = &of[i];
        s.members[i].upstream = text_of("");
        s.members[i].state = text_of(i == 2 ? "nonprim" : "synced");
    }
    of[1].is_flow_paused = true;
    assert_int_equal(web_member_level(&s.members[0]), WEB_GOOD);
    assert_int_equal(web_member_level(&s.members[1]), WEB_WATCH);
    assert_int_equal(web_member_level(&s.members[2]), WEB_BAD);
    char *text = cluster_of(&s);
    assert_non_null(strstr(text, "<dt>Writer</dt>"));
    assert_non_null(strstr(text, "1 member: db1"));
    assert_non_null(strstr(text, "at least 77"));
    assert_non_null(strstr(text, "aria-label=\"In the writer&#39;s group\""));
    assert_non_null(strstr(text, "flow control holds the cluster"));
    assert_non_null(strstr(text, "data-label=\"Position\">71</td>"));
    assert_null(strstr(text, "data-label=\"Lag\""));
    assert_non_null(strstr(text, "</b> writer"));
    assert_null(strstr(text, " behind"));
    assert_null(strstr(text, "timeline"));
    free(text);
}

static void test_steps(void **state)
{
    struct scene s;
    struct web_out out = {.is_failed = false};
    (void)state;
    scene_make(&s);
    json_t *entry = json_loads(
        "{\"epoch\":4,\"kind\":\"failover\",\"from\":\"pg1\",\"to\":\"pg2\",\"reason\":"
        "\"the lease ran out\",\"since_wall_us\":1800000000000000,\"times_us\":{"
        "\"detection\":500000,\"lease\":1250000,\"vote\":-1,\"commit\":3000,\"open\":0}}",
        0, NULL);
    json_t *const entries[] = {entry};
    s.shown.entries = entries;
    s.shown.entries_count = 1;
    web_part_story(&out, &s.shown);
    char *text = taken(&out);
    assert_non_null(strstr(text, "from pg1 to pg2, epoch 4"));
    assert_non_null(strstr(text, ": 1.75 s; the lease ran out"));
    assert_non_null(strstr(text, "<b>1.250 s</b> until the old right was over"));
    assert_null(strstr(text, "until the votes were there")); /* not known */
    assert_int_equal(count_of(text, "<rect"), 3);
    assert_non_null(strstr(text, "<b>0.000 s</b> until the new one was open"));
    free(text);
    json_decref(entry);
}

static void quorum_make(struct web_quorum *q)
{
    static const char *const names[] = {"a", "b", "c"};
    memset(q, 0, sizeof(*q));
    q->now_us = NOW_US;
    q->since_us = NOW_US - 5 * BASE_US_PER_S;
    q->term = 7;
    q->has_leader = q->is_leader = true;
    q->nodes_count = 3;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(base_name_from_text(names[i], &q->nodes[i].name), 0);
        q->nodes[i].is_up = true;
        q->nodes[i].is_self = q->nodes[i].is_leader = i == 0;
        q->nodes[i].behind = -1;
    }
    q->name = q->nodes[0].name;
}

static char *headline_of(const struct web_quorum *q, const struct web_summary *s)
{
    struct web_out out = {.is_failed = false};
    web_put_headline(&out, q, s);
    return taken(&out);
}

static void expect_headline(const struct web_quorum *q, const struct web_summary *s,
                            const char *wanted)
{
    char *text = headline_of(q, s);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_headline(void **state)
{
    struct web_quorum q;
    struct web_summary summary = {.worst = ""};
    struct scene s;
    (void)state;
    quorum_make(&q);
    expect_headline(&q, &summary, "The quorum is well; no database cluster yet");
    scene_make(&s);
    web_summary_add(&summary, &s.cluster);
    expect_headline(&q, &summary, "All well: 1 database cluster");
    s.cluster.state = text_of("degraded");
    web_summary_add(&summary, &s.cluster);
    expect_headline(&q, &summary, "pg-main: degraded");
    s.cluster.name = text_of("other");
    s.cluster.state = text_of("no primary");
    web_summary_add(&summary, &s.cluster); /* the worst comes first */
    expect_headline(&q, &summary, "other: no primary, and 1 more");
    const struct web_summary none = {.worst = ""};
    q.certificate_end_us = NOW_US + 1;
    expect_headline(&q, &none, "The certificate of a ends soon");
    q.has_no_space = true;
    expect_headline(&q, &none, "The store is over its quota");
    q.nodes[2].is_up = false;
    expect_headline(&q, &none, "Quorum: 2 of 3 nodes");
    q.is_corrupt = true;
    expect_headline(&q, &none, "The store is marked as damaged");
    q.is_corrupt = false;
    q.has_leader = false;
    expect_headline(&q, &summary, "No quorum: nothing can be decided");
    assert_int_equal(web_quorum_level(&q), WEB_BAD);
}

static void test_quorum(void **state)
{
    struct web_quorum q;
    struct web_out out = {.is_failed = false};
    (void)state;
    quorum_make(&q);
    assert_int_equal(web_quorum_level(&q), WEB_GOOD);
    q.nodes[2].is_up = false;
    assert_int_equal(web_quorum_level(&q), WEB_WATCH);
    web_part_quorum(&out, &q);
    char *text = taken(&out);
    assert_non_null(strstr(text, "a leads in term 7, since 5 s. 2 of 3 nodes are reached"));
    assert_non_null(
        strstr(text, "data-node=\"c\" data-part=\"follower\" data-state=\"not reached\""));
    free(text);
    q.nodes[2].is_up = true;
    q.certificate_end_us = NOW_US + 86400 * BASE_US_PER_S;
    assert_int_equal(web_quorum_level(&q), WEB_WATCH);
    q.certificate_end_us = NOW_US + 100 * 86400 * BASE_US_PER_S;
    assert_int_equal(web_quorum_level(&q), WEB_GOOD);
}

/* --- who may look --- */

static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        bool is_good;
    } rows[] = {
        {"", true},          {"localhost", true},           {"localhost:2381", true},
        {"127.0.0.1", true}, {"127.0.0.1:2381", true},      {"[::1]:2381", true},
        {"evil.org", false}, {"localhost.evil.org", false}, {"127.0.0.1.evil.org:2381", false}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        assert_int_equal(web_access_is_host(slice_from_text(rows[i].host)), rows[i].is_good);
    }
}

static int read_file(struct web_access *access, const char *text, mode_t mode)
{
    char path[] = "/tmp/quorate-web-test-XXXXXX";
    struct io_why why = {""};
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(file, mode), 0);
    (void)close(file);
    memset(access, 0, sizeof(*access));
    int rc = web_access_read(access, path, &why);
    (void)unlink(path);
    return rc;
}

static void test_passwords(void **state)
{
    struct web_access access;
    (void)state;
    assert_int_equal(read_file(&access, "# people\nme:secret\n\nyou:other:one\n", 0600), 0);
    assert_int_equal(access.count, 2);
    assert_true(web_access_is_known(&access, SLICE_LIT("me:secret")));
    assert_true(web_access_is_known(&access, SLICE_LIT("you:other:one")));
    assert_false(web_access_is_known(&access, SLICE_LIT("me:secret ")));
    assert_false(web_access_is_known(&access, SLICE_LIT("# people")));
    assert_false(web_access_is_known(&access, SLICE_EMPTY));
    assert_int_equal(read_file(&access, "me:secret\n", 0640), BASE_E_DENIED);
    assert_int_equal(read_file(&access, "me\n", 0600), BASE_E_INVALID);
    assert_int_equal(read_file(&access, "me:\n", 0600), BASE_E_INVALID);
    struct io_why why = {""};
    assert_int_equal(web_access_read(&access, "/nonexistent/file", &why), BASE_E_IO);
}

/* A file that has changed is read again, not at once, and not when it is bad. */
static void test_other_passwords(void **state)
{
    char path[] = "/tmp/quorate-web-test-XXXXXX";
    struct web_access access = {.count = 0};
    struct io_why why = {""};
    struct base_mono now = {WEB_LOOK_US};
    int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    assert_int_equal(write(file, "me:old\n", 7), 7);
    assert_int_equal(web_access_read(&access, path, &why), 0);
    assert_false(web_access_refresh(&access, path, now));
    assert_int_equal(write(file, "me:new\n", 7), 7);
    now.us += WEB_LOOK_US - 1;
    assert_false(web_access_refresh(&access, path, now));
    assert_false(web_access_is_known(&access, SLICE_LIT("me:new")));
    now.us += 1;
    assert_true(web_access_refresh(&access, path, now));
    assert_true(web_access_is_known(&access, SLICE_LIT("me:new")));
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, "rubbish\n", 8, 0), 8);
    now.us += WEB_LOOK_US;
    assert_false(web_access_refresh(&access, path, now));
    assert_true(web_access_is_known(&access, SLICE_LIT("me:old")));
    (void)unlink(path);
    now.us += WEB_LOOK_US;
    assert_false(web_access_refresh(&access, path, now));
    assert_true(web_access_is_known(&access, SLICE_LIT("me:new")));
    (void)close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_numbers_and_control_characters),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_topology),
        cmocka_unit_test(test_galera),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_lease_and_notes),
        cmocka_unit_test(test_headline),
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_other_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
