/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the quorum node's settings: what is accepted and with which values, what is refused
 * and with which words. No file but the certificates' names is needed, nothing listens. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arbiter/quorated/settings.h"
#include "proto/io/config_quorum.h"

#define ARGS_MAX 16
#define LOCAL_NODES \
    "--initial-cluster=a=http://127.0.0.1:2380,b=http://127.0.0.1:2390,c=127.0.0.1:2400"

static char directory[] = "/tmp/quorate-settings-XXXXXX";
static char file[64]; /* a readable file, in place of certificates */
static char errors[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    (void)snprintf(file, sizeof(file), "%s/file", directory);
    (void)snprintf(errors, sizeof(errors), "%s/errors", directory);
    FILE *made = fopen(file, "we");
    return made == NULL ? -1 : fclose(made);
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(file);
    (void)unlink(errors);
    return rmdir(directory);
}

struct flags {
    const char *list[ARGS_MAX]; /* up to the first NULL */
};

/* Reads with stderr in a file, so that the words of a refusal can be looked at. */
static int read_flags(const struct flags *flags, struct quorated_settings *ret,
                      struct io_config **ret_config)
{
    char *argv[ARGS_MAX + 2] = {strdup("quorated")};
    int argc = 1;
    for (size_t i = 0; i < ARGS_MAX && flags->list[i] != NULL; i++) {
        argv[argc++] = strdup(flags->list[i]);
    }
    (void)fflush(stderr);
    int kept = dup(STDERR_FILENO);
    assert_non_null(freopen(errors, "w", stderr));
    int rc = quorated_settings_read(argc, argv, ret, ret_config);
    (void)fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    return rc;
}

#define FLAGS(...) (&(const struct flags){{__VA_ARGS__}})

static void expect_good(const struct flags *flags, struct quorated_settings *ret)
{
    struct io_config *config = NULL;
    assert_int_equal(read_flags(flags, ret, &config), -1);
    (void)io_config_free(config); /* texts of *ret are gone; numbers and addresses stay */
}

static void expect_refused(const struct flags *flags, const char *wanted)
{
    struct quorated_settings settings;
    struct io_config *config = NULL;
    char text[2048] = "";
    assert_int_equal(read_flags(flags, &settings, &config), 2);
    FILE *in = fopen(errors, "re");
    assert_non_null(in);
    size_t len = fread(text, 1, sizeof(text) - 1, in);
    (void)fclose(in);
    text[len] = '\0';
    if (strstr(text, wanted) == NULL || strncmp(text, "quorated: ", 10) != 0) {
        fail_msg("'%s' is not in: %s", wanted, text);
    }
    assert_ptr_equal(strchr(text, '\n'), text + len - 1); /* one line */
}

static void test_names_of_etcd(void **state)
{
    (void)state;
    struct quorated_settings s;
    expect_good(
        FLAGS("--name=b", LOCAL_NODES, "--insecure", "--data-dir", "/nowhere",
              "--listen-client-urls=http://127.0.0.1:2389", "--listen-peer-urls=http://[::1]:2390",
              "--initial-advertise-peer-urls=http://127.0.0.1:2390", "--initial-cluster-state=new",
              "--initial-cluster-token=t", "--listen-metrics-urls=off", "--heartbeat-interval=100",
              "--election-timeout=1000", "--quota-backend-bytes=600000"),
        &s);
    assert_string_equal(s.name.text, "b");
    assert_string_equal(s.token.text, "t");
    assert_int_equal(s.client_listen.port, 2389);
    assert_string_equal(s.peer_listen.host, "::1");
    assert_false(s.has_metrics);
    assert_int_equal(s.heartbeat_ms, 100);
    assert_int_equal(s.election_min_ms, 1000);
    assert_int_equal(s.election_max_ms, 2000);
    assert_int_equal(s.quota_bytes, 600000);
    assert_int_equal(s.nodes_count, 3);
    assert_true(s.node_id != 0 && s.node_id == s.nodes[1].node_id);
    assert_string_equal(s.node_urls[2], "http://127.0.0.1:2400");
}

static void test_defaults_and_ids(void **state)
{
    (void)state;
    struct quorated_settings a;
    struct quorated_settings other;
    expect_good(FLAGS("--name=a", LOCAL_NODES, "--insecure"), &a);
    assert_int_equal(a.client_listen.port, QUORATED_CLIENT_PORT);
    assert_int_equal(a.peer_listen.port, IO_QUORUM_PEER_PORT);
    assert_int_equal(a.metrics_listen.port, QUORATED_METRICS_PORT);
    assert_int_equal(a.heartbeat_ms, 50);
    assert_int_equal(a.election_min_ms, 250);
    expect_good(FLAGS("--name=a", LOCAL_NODES, "--insecure", "--quorum.token=other"), &other);
    assert_true(a.cluster_id != other.cluster_id && a.node_id != other.node_id);
}

static void test_client_urls(void **state)
{
    (void)state;
    struct quorated_settings s;
    struct io_config *config = NULL;
    assert_int_equal(read_flags(FLAGS("--name=a", LOCAL_NODES, "--insecure",
                                      "--advertise-client-urls=http://x:1",
                                      "--quorum.clients=a=http://y:1,b=http://127.0.0.1:2389"),
                                &s, &config),
                     -1);
    assert_string_equal(s.client_urls[0], "http://x:1"); /* our own word wins */
    assert_string_equal(s.client_urls[1], "http://127.0.0.1:2389");
    assert_null(s.client_urls[2]);
    (void)io_config_free(config);
    expect_refused(FLAGS("--name=a", LOCAL_NODES, "--insecure", "--quorum.clients=d=http://x:1"),
                   "'d' is not one of quorum.nodes");
    expect_refused(FLAGS("--name=a", LOCAL_NODES, "--insecure", "--quorum.clients=b=x:1"),
                   "say http://x:1");
}

static void test_tls(void **state)
{
    (void)state;
    struct quorated_settings s;
    char ca[128];
    char cert[128];
    char key[128];
    char peer[128];
    (void)snprintf(ca, sizeof(ca), "--trusted-ca-file=%s", file);
    (void)snprintf(cert, sizeof(cert), "--cert-file=%s", file);
    (void)snprintf(key, sizeof(key), "--key-file=%s", file);
    (void)snprintf(peer, sizeof(peer), "--peer-cert-file=%s", file);
    expect_good(FLAGS("--name=a", LOCAL_NODES, ca, cert, key), &s);
    assert_string_equal(s.node_urls[2], "https://127.0.0.1:2400");
    expect_good(FLAGS("--name=a", LOCAL_NODES, ca, cert, key, peer, "--client-cert-auth",
                      "--peer-client-cert-auth=true"),
                &s);
    expect_refused(FLAGS("--name=a", LOCAL_NODES, ca, cert, key, "--peer-cert-file=/other"),
                   "has another value by --cert-file");
    expect_refused(FLAGS("--name=a", LOCAL_NODES, ca, cert, key, "--client-cert-auth=no"),
                   "always asked for");
    expect_refused(
        FLAGS("--name=a", LOCAL_NODES, ca, cert, key, "--listen-client-urls=http://127.0.0.1:2379"),
        "http:// was asked for, but TLS is on");
    expect_refused(FLAGS("--name=a", LOCAL_NODES, ca, cert, "--key-file=/not/there"),
                   "cannot read '/not/there'");
    expect_refused(FLAGS("--name=a", LOCAL_NODES, ca, cert), "key 'tls.key': not set");
}

static void test_without_tls_on_loopback_only(void **state)
{
    (void)state;
    static const char words[] = "without TLS only loopback addresses may be used";
    expect_refused(FLAGS("--name=a", "--initial-cluster=a=10.0.0.1:2380", "--insecure"), words);
    expect_refused(FLAGS("--name=a", LOCAL_NODES, "--insecure", "--client.listen=0.0.0.0:2379"),
                   words);
    expect_refused(FLAGS("--name=a", LOCAL_NODES, "--insecure", "--peer.listen=*:2380"), words);
    expect_refused(FLAGS("--name=a", LOCAL_NODES, "--insecure", "--metrics.listen=10.0.0.1:2381"),
                   "beyond loopback the metrics port has TLS only");
    expect_refused(
        FLAGS("--name=a", LOCAL_NODES, "--insecure", "--listen-client-urls=https://127.0.0.1:2379"),
        "'insecure: yes' turns TLS off");
}

static void test_bad_nodes(void **state)
{
    (void)state;
    expect_refused(FLAGS("--insecure", "--name=a"), "key 'quorum.nodes' is not set");
    expect_refused(FLAGS("--insecure", LOCAL_NODES), "key 'name' is not set");
    expect_refused(FLAGS("--insecure", "--name=z", LOCAL_NODES), "'z' is not one of quorum.nodes");
    expect_refused(FLAGS("--insecure", "--name=A", LOCAL_NODES), "is not a name");
    expect_refused(FLAGS("--insecure", "--name=a", "--quorum.nodes=a=h:1,b=h:2"),
                   "2 nodes; allowed: 1, 3 or 5");
    expect_refused(FLAGS("--insecure", "--name=a", "--quorum.nodes=a=h:1,a=h:2,b=h:3"),
                   "stands twice");
    expect_refused(FLAGS("--insecure", "--name=a", "--quorum.nodes=a=h:99999"),
                   "is not an address");
    expect_refused(FLAGS("--insecure", "--name=a", "--quorum.nodes=a"), "is not name=value");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES,
                         "--initial-advertise-peer-urls=http://127.0.0.1:9"),
                   "quorum.nodes has 127.0.0.1:2380");
}

/* A node that joins may know any of the others; one that starts a quorum must know all of it. */
static void test_joining(void **state)
{
    (void)state;
    struct quorated_settings settings;
    expect_good(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--initial-cluster-state=existing"),
                &settings);
    assert_true(settings.is_joining);
    const char *two = "--initial-cluster=a=127.0.0.1:2380,b=127.0.0.1:2390";
    expect_good(FLAGS("--insecure", "--name=a", two, "--initial-cluster-state=existing"),
                &settings);
    expect_refused(FLAGS("--insecure", "--name=a", two), "2 nodes; allowed: 1, 3 or 5");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--initial-cluster-state=old"),
                   "new|existing");
}

static void test_compaction_and_limits(void **state)
{
    (void)state;
    struct quorated_settings s;
    expect_good(FLAGS("--insecure", "--name=a", LOCAL_NODES), &s);
    assert_int_equal(s.compaction_period_us, 3600 * BASE_US_PER_S);
    assert_int_equal(s.log_entries, 5000);
    assert_int_equal(s.request_bytes_max, 1536 << 10);
    expect_good(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--auto-compaction-retention=0"), &s);
    assert_int_equal(s.compaction_period_us, 0);
    expect_good(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--auto-compaction-retention=2"), &s);
    assert_int_equal(s.compaction_period_us, 7200 * BASE_US_PER_S);
    expect_good(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--auto-compaction-mode=revision",
                      "--auto-compaction-retention=77", "--snapshot-count=100",
                      "--max-request-bytes=65536", "--force-new-cluster"),
                &s);
    assert_int_equal(s.compaction_revisions, 77);
    assert_int_equal(s.compaction_period_us, 0);
    assert_int_equal(s.log_entries, 100);
    assert_int_equal(s.request_bytes_max, 65536);
    assert_true(s.is_forced_new);
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--auto-compaction-retention=soon"),
                   "is not a duration");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--auto-compaction-mode=revision",
                         "--auto-compaction-retention=1h"),
                   "is not a number of revisions");
}

static void test_numbers_that_do_not_fit(void **state)
{
    (void)state;
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--raft.election=100ms"),
                   "at least three times raft.heartbeat");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--raft.heartbeat=1ms"),
                   "out of range; allowed: 5ms to 5s");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--store.map_size=512MiB"),
                   "must leave a tenth of store.map_size free");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--log.level=loud"),
                   "allowed: error|warn|notice|info|debug");
    expect_refused(FLAGS("--insecure", "--name=a", LOCAL_NODES, "--snapshot-count=1"),
                   "quorum.snapshot_count");
    expect_refused(FLAGS("--config", "/not/there.yml"), "cannot read /not/there.yml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_etcd),
        cmocka_unit_test(test_defaults_and_ids),
        cmocka_unit_test(test_client_urls),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_without_tls_on_loopback_only),
        cmocka_unit_test(test_bad_nodes),
        cmocka_unit_test(test_joining),
        cmocka_unit_test(test_compaction_and_limits),
        cmocka_unit_test(test_numbers_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
