/* SPDX-License-Identifier: Apache-2.0 */
/* See member.h. One thread stands for the loop: it polls the wake descriptors and reaps servers. */
#include "tests/integration/pg/member.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/process.h"
#include "agents/shell/child.h"
#include "base/name.h"
#include "tests/support/cm.h"

static struct member *members[TEST_MEMBERS_MAX];

/* --- the little guard --- */

static void guard_signal(void *ctx, int signal_number)
{
    struct member *m = ctx;
    if (m->pid > 0 && !m->loses_signals) {
        kill(m->pid, signal_number);
    }
}

static void reap(struct member *m)
{
    int status = 0;
    if (m->pid <= 0 || waitpid(m->pid, &status, WNOHANG) != m->pid) {
        return;
    }
    assert_int_equal(pg_processes_kill(m->settings.data_dir.text, 5 * BASE_US_PER_S), 0);
    m->pid = 0;
    m->guard.tree = GUARD_TREE_GONE;
    m->guard.root_pid = 0;
    m->guard.exit_status = status;
    pg_db_port(m->db).guard_changed(m->db, &m->guard);
}

void member_start(struct member *m)
{
    struct pg_path program;
    struct pg_path log;
    assert_int_equal(m->pid, 0);
    assert_int_equal(pg_path_join(m->settings.bin_dir.text, "postgres", &program), 0);
    assert_int_equal(pg_path_suffix(m->settings.data_dir.text, ".log", &log), 0);
    char mark[128];
    (void)snprintf(mark, sizeof(mark), "quorate.member=%s", m->settings.member.text);
    m->pid = fork();
    assert_true(m->pid >= 0);
    if (m->pid == 0) {
        int fd = open(log.text, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(program.text, "postgres", "-D", m->settings.data_dir.text, "-c", mark, (char *)NULL);
        _exit(127);
    }
    m->guard.tree = GUARD_TREE_RUNNING;
    m->guard.root_pid = m->pid;
    m->guard.starts++;
    pg_db_port(m->db).guard_changed(m->db, &m->guard);
}

static bool is_gone(const struct member *m)
{
    return m->pid == 0;
}

void member_stop(struct member *m, int signal_number)
{
    if (m->pid <= 0) {
        return;
    }
    if (signal_number == SIGKILL) {
        (void)!pg_processes_kill(m->settings.data_dir.text, 5 * BASE_US_PER_S);
    }
    kill(m->pid, signal_number);
    assert_true(members_run(is_gone, m, 20 * BASE_US_PER_S));
}

/* --- port --- */

static void wake(void *ctx)
{
    struct member *m = ctx;
    uint64_t one = 1;
    (void)!write(m->wake_fd, &one, sizeof(one));
}

static void on_done(void *ctx, const struct db_done *done)
{
    struct member *m = ctx;
    if (done->kind != DB_ORDER_CANCEL) {
        m->done = *done;
        m->has_done = true;
    }
}

static void on_view(void *ctx, const struct db_view *view)
{
    struct member *m = ctx;
    m->view = *view;
    m->views++;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void make_directory(const char *base, const char *name, struct pg_path *ret)
{
    assert_int_equal(pg_path_join(base, name, ret), 0);
    assert_int_equal(mkdir(ret->text, 0700), 0);
}

static void fill_settings(struct pg_settings *s, const char *base, const char *name)
{
    struct pg_path own;
    memset(s, 0, sizeof(*s));
    assert_int_equal(base_name_from_text("test", &s->cluster), 0);
    assert_int_equal(base_name_from_text(name, &s->member), 0);
    make_directory(base, name, &own);
    make_directory(own.text, "run", &s->socket_dir);
    make_directory(own.text, "state", &s->state_dir);
    assert_int_equal(pg_path_join(own.text, "data", &s->data_dir), 0);
    (void)snprintf(s->bin_dir.text, sizeof(s->bin_dir.text), "%s", "/usr/lib/postgresql/15/bin");
    s->listen = base_text_from(SLICE_LIT("127.0.0.1"));
    s->port = free_port();
    (void)snprintf(s->os_user, sizeof(s->os_user), "%s", getpwuid(geteuid())->pw_name);
    (void)snprintf(s->password_replication, sizeof(s->password_replication), "repl:pass\\word'1");
    (void)snprintf(s->password_rewind, sizeof(s->password_rewind), "rewind-password");
    s->segment_mb = 1;
    assert_int_equal(pg_settings_add_parameter(s, "shared_buffers", "16MB"), 0);
    assert_int_equal(pg_settings_add_parameter(s, "max_connections", "40"), 0);
    assert_int_equal(pg_settings_add_parameter(s, "wal_keep_size", "64MB"), 0);
    assert_int_equal(pg_settings_add_parameter(s, "autovacuum", "off"), 0);
    assert_int_equal(pg_settings_write_pgpass(s), 0);
    assert_int_equal(pg_config_open(s), 0);
}

static void open_port(struct member *m)
{
    struct pg_db_options options = {.settings = &m->settings,
                                    .guard = {.ctx = m, .signal = guard_signal},
                                    .interval_us = 50 * BASE_US_PER_MS,
                                    .wake = wake,
                                    .wake_ctx = m,
                                    .events = {.ctx = m, .done = on_done, .view = on_view}};
    assert_int_equal(pg_db_open(&options, &m->db), 0);
    pg_db_port(m->db).guard_changed(m->db, &m->guard);
}

void member_open(struct member *m, const char *base, const char *name)
{
    memset(m, 0, sizeof(*m));
    fill_settings(&m->settings, base, name);
    m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(m->wake_fd >= 0);
    open_port(m);
    for (unsigned i = 0; i < TEST_MEMBERS_MAX; i++) {
        if (members[i] == NULL) {
            members[i] = m;
            return;
        }
    }
    fail_msg("too many members");
}

void member_close(struct member *m)
{
    if (m->db == NULL) {
        return;
    }
    member_stop(m, SIGKILL);
    m->db = pg_db_close(m->db);
    pg_config_close(&m->settings);
    close(m->wake_fd);
    for (unsigned i = 0; i < TEST_MEMBERS_MAX; i++) {
        members[i] = members[i] == m ? NULL : members[i];
    }
}

void member_reopen(struct member *m)
{
    m->db = pg_db_close(m->db);
    pg_config_close(&m->settings);
    assert_int_equal(pg_config_open(&m->settings), 0);
    open_port(m);
}

/* --- running --- */

static void serve(int timeout_ms)
{
    struct pollfd fds[TEST_MEMBERS_MAX];
    for (unsigned i = 0; i < TEST_MEMBERS_MAX; i++) {
        fds[i] =
            (struct pollfd){.fd = members[i] == NULL ? -1 : members[i]->wake_fd, .events = POLLIN};
    }
    (void)poll(fds, TEST_MEMBERS_MAX, timeout_ms);
    for (unsigned i = 0; i < TEST_MEMBERS_MAX; i++) {
        uint64_t ignored = 0;
        if (members[i] == NULL) {
            continue;
        }
        (void)!read(members[i]->wake_fd, &ignored, sizeof(ignored));
        reap(members[i]);
        pg_db_poll(members[i]->db);
    }
}

bool members_run(bool (*until)(const struct member *m), const struct member *m, int64_t limit_us)
{
    struct base_mono deadline = base_mono_add_us(pg_now(), limit_us);
    while (!until(m)) {
        if (base_mono_before(deadline, pg_now())) {
            return false;
        }
        serve(5);
    }
    return true;
}

static bool has_done(const struct member *m)
{
    return m->has_done;
}

bool member_wait_done(struct member *m, int64_t limit_us)
{
    return members_run(has_done, m, limit_us);
}

void member_send(struct member *m, enum db_order_kind kind, const struct db_order *details)
{
    static const struct db_order none;
    struct db_order order = details == NULL ? none : *details;
    order.kind = kind;
    order.id = ++m->ids;
    order.timeout_us = order.timeout_us == 0 ? 30 * BASE_US_PER_S : order.timeout_us;
    m->has_done = kind == DB_ORDER_CANCEL ? m->has_done : false;
    struct db_port port = pg_db_port(m->db);
    port.order(port.ctx, &order);
}

static bool is_view_later(const struct member *m)
{
    return m->view.orders_done >= m->ids;
}

struct db_done member_order(struct member *m, enum db_order_kind kind,
                            const struct db_order *details)
{
    struct base_mono began = pg_now();
    member_send(m, kind, details);
    assert_true(member_wait_done(m, 60 * BASE_US_PER_S));
    printf("  %s: order %d: status %d in %lld us: %s\n", m->settings.member.text, (int)kind,
           m->done.status, (long long)base_mono_diff_us(pg_now(), began), m->done.text.text);
    struct db_done done = m->done;
    assert_true(members_run(is_view_later, m, 20 * BASE_US_PER_S));
    return done;
}

struct db_order order_upstream(const struct member *upstream)
{
    struct db_order order;
    memset(&order, 0, sizeof(order));
    order.upstream_member = upstream->settings.member;
    order.upstream_host = base_text_from(SLICE_LIT("127.0.0.1"));
    order.upstream_port = upstream->settings.port;
    return order;
}

struct db_order order_sync(const char *a, const char *b, uint8_t count)
{
    struct db_order order;
    memset(&order, 0, sizeof(order));
    if (a != NULL) {
        assert_int_equal(base_name_from_text(a, &order.sync_names.names[order.sync_names.count++]),
                         0);
    }
    if (b != NULL) {
        assert_int_equal(base_name_from_text(b, &order.sync_names.names[order.sync_names.count++]),
                         0);
    }
    order.sync_count = count;
    return order;
}

const char *member_sql(struct member *m, const char *text)
{
    static char field[512];
    struct pg_sql sql = {.cancel_fd = -1};
    struct pg_sql_rows rows;
    struct base_text why = {{0}};
    struct base_mono deadline = base_mono_add_us(pg_now(), 10 * BASE_US_PER_S);
    int status = pg_sql_open_local(&sql, &m->settings, PG_ROLE_SUPERUSER, "test", deadline, &why);
    if (status == 0) {
        status = pg_sql_run(&sql, text, deadline, &rows, &why);
    }
    if (status != 0) {
        fail_msg("%s on %s: %s", text, m->settings.member.text, why.text);
    }
    field[0] = '\0';
    if (rows.count > 0 && PQntuples(rows.results[0]) > 0) {
        (void)snprintf(field, sizeof(field), "%s", pg_sql_text(rows.results[0], 0, 0));
    }
    pg_sql_free(&rows);
    pg_sql_close(&sql);
    return field;
}
