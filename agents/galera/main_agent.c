/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-galera: reads the configuration, drops root, and runs the agent. --print-sql prints
 * the accounts that it needs, ready to paste; --dry-run what would be started. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/galera/arbitrator.h"
#include "agents/galera/conf.h"
#include "agents/galera/dir.h"
#include "agents/galera/engine.h"
#include "base/canary.h"
#include "proto/io/daemon.h"

#define PROGRAM "quorate-agent-galera"
#define PATH_BYTES 1024
#define SQL_BYTES 8192
#define ALL_KEYS(X) AGENT_KEYS(X) GAL_KEYS(X)

static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == GAL_KEY_COUNT, "numbers and rows of keys must agree");

static const struct io_config_spec spec = {
    .program = PROGRAM,
    .summary = "Agent of one MariaDB Galera member: reports health and carries out orders\n"
               "  --print-sql  print the accounts that it needs, as SQL\n"
               "  --dry-run    print what would be started\n"
               "  --arbitrator keep a Galera arbitrator (garbd) running; has keys of its own",
    .keys = keys,
    .keys_count = GAL_KEY_COUNT,
};

static int fail(const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s\n", PROGRAM, why->text);
    return -1;
}

/* While we may: a directory below /run or /var/lib for the user who is to use it. */
static int make_directory(const char *path, const struct passwd *user)
{
    struct io_why why = {""};
    if (mkdir(path, 0750) != 0) {
        return 0; /* it is there, or the check that follows says what is wrong */
    }
    if (chown(path, user->pw_uid, user->pw_gid) != 0) {
        io_why_set(&why, "cannot give %s to user %s: %s", path, user->pw_name, strerror(errno));
        return fail(&why);
    }
    return 0;
}

/* MariaDB does not run as root, and neither do we. */
static int drop_root(const struct io_config *config, const struct agent_settings *common)
{
    struct io_why why = {""};
    const char *name = io_config_text(config, GAL_KEY_USER);
    if (geteuid() != 0) {
        return 0;
    }
    const struct passwd *user = getpwnam(name);
    if (user == NULL || user->pw_uid == 0) {
        io_config_why(config, GAL_KEY_USER, &why, "'%s' is %s", name,
                      user == NULL ? "not a user of this host" : "root; name another user");
        return fail(&why);
    }
    if (make_directory(common->run_dir, user) != 0 ||
        make_directory(common->state_dir, user) != 0 ||
        make_directory(io_config_text(config, GAL_KEY_DATA_DIR), user) != 0) {
        return -1;
    }
    if (common->vip.count > 0) {
        vip_capabilities_keep();
    }
    if (initgroups(name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        io_why_set(&why, "cannot become user %s: %s", name, strerror(errno));
        return fail(&why);
    }
    return setenv("HOME", user->pw_dir, 1) == 0 && setenv("USER", name, 1) == 0 ? 0 : -1;
}

/* The guard beside this program, unless the configuration says otherwise. */
static int find_guard(const struct io_config *config, char path[static PATH_BYTES])
{
    struct io_why why = {""};
    const char *set = io_config_text(config, GAL_KEY_GUARD);
    if (set[0] != '\0') {
        (void)snprintf(path, PATH_BYTES, "%s", set);
    } else {
        char self[PATH_BYTES - 32];
        ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        self[len < 0 ? 0 : len] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        (void)snprintf(path, PATH_BYTES, "%s/quorate-guard", self);
    }
    if (access(path, X_OK) != 0) {
        io_config_why(config, GAL_KEY_GUARD, &why, "no program at %s", path);
        return fail(&why);
    }
    return 0;
}

struct paths {
    char guard[PATH_BYTES];
    char socket[PATH_BYTES];
    char defaults[PATH_BYTES];
    char log[PATH_BYTES];
    char guard_log[PATH_BYTES];
    char *command[3];
};

static int fill_paths(struct paths *p, const struct agent_settings *common,
                      struct gal_settings *settings)
{
    struct io_why why = {""};
    int len = snprintf(p->socket, sizeof(p->socket), "%s/%s.%s.guard", common->run_dir,
                       common->core.cluster.text, common->core.member.text);
    (void)snprintf(p->defaults, sizeof(p->defaults), "--defaults-file=%s", settings->conf.text);
    (void)snprintf(p->log, sizeof(p->log), "%s/mariadb.log", common->state_dir);
    (void)snprintf(p->guard_log, sizeof(p->guard_log), "%s/guard.log", common->state_dir);
    if (len >= 104) {
        io_why_set(&why, "run_dir '%s' is too long for a Unix socket", common->run_dir);
        return fail(&why);
    }
    char *const words[] = {settings->server.text, p->defaults, NULL};
    memcpy(p->command, words, sizeof(words));
    return 0;
}

/* Everything that is refused before the guard is asked: a server that is not ours in the directory,
 * data that nobody has said may be taken over. */
static int check_data(const struct agent_settings *common, const struct gal_settings *s,
                      const struct paths *p)
{
    struct io_why why = {""};
    struct pg_path state;
    struct gal_look look;
    struct guard_client client;
    guard_client_init(&client);
    bool has_guard = guard_client_connect(&client, p->socket, true) == 0;
    guard_client_close(&client);
    gal_dir_look(s, false, &look);
    if (!has_guard && look.is_locked) {
        io_why_set(&why,
                   "a server that Quorate did not start runs in %s; stop it first (its service "
                   "must be disabled, too: systemctl disable --now mariadb)",
                   s->data_dir.text);
        return fail(&why);
    }
    bool is_ours =
        pg_path_join(common->state_dir, "agent.state", &state) == 0 && pg_file_exists(state.text);
    if (!is_ours && !gal_dir_is_empty(s) && !s->may_adopt) {
        io_why_set(&why,
                   "%s holds data that Quorate did not make; 'cluster.adopt: yes' takes them over, "
                   "an empty directory is filled by a state transfer",
                   s->data_dir.text);
        return fail(&why);
    }
    return 0;
}

static int check(const struct io_config *config, struct io_why *why)
{
    struct agent_settings common;
    static struct gal_settings settings;
    int rc = agent_settings_read(config, &common, why);
    return rc != 0 ? rc : gal_engine_settings(config, &common, &settings, why);
}

static int print_sql(const struct gal_settings *settings)
{
    static char text[SQL_BYTES];
    struct buf b = buf_over(text, sizeof(text) - 1);
    gal_accounts_put(settings, false, &b);
    (void)buf_terminate(&b);
    (void)printf("-- On one member, as its administrator. PASSWORD: as in the password file.\n%s",
                 text);
    return 0;
}

/* --dry-run: what would be started, and what is there. */
static int print_plan(const struct paths *p, const struct gal_settings *s)
{
    struct gal_look look;
    gal_dir_look(s, true, &look);
    (void)printf("guard: %s --socket %s\nserver: %s %s\n", p->guard, p->socket, p->command[0],
                 p->command[1]);
    if (!look.has_directory) {
        (void)printf("data directory: empty: made by the founder, filled by a state transfer on "
                     "others\n");
    } else {
        (void)printf("data directory: %llu MB, seqno %lld%s%s\n",
                     (unsigned long long)(look.data_bytes >> 20), (long long)look.saved.seqno,
                     look.saved.seqno < 0 ? " (to be recovered)" : "",
                     look.is_transfer_broken ? ", a state transfer was cut off" : "");
    }
    return 0;
}

static int run(const struct io_config *config, struct agent_settings *common,
               struct gal_settings *settings, bool is_dry_run)
{
    static struct paths paths;
    struct gal_engine engine = {.settings = settings,
                                .interval_us =
                                    (int64_t)common->core.seed_heartbeat_ms * BASE_US_PER_MS};
    if (find_guard(config, paths.guard) != 0 || fill_paths(&paths, common, settings) != 0 ||
        check_data(common, settings, &paths) != 0) {
        return 1;
    }
    if (is_dry_run) {
        return print_plan(&paths, settings);
    }
    common->core.db_port = settings->advertise_port;
    const struct agent_options options = {
        .program = PROGRAM,
        .settings = common,
        .guard = {.program = paths.guard,
                  .socket = paths.socket,
                  .state_dir = common->state_dir,
                  .data_dir = settings->data_dir.text,
                  .cgroup = io_config_text(config, GAL_KEY_CGROUP),
                  .log = paths.log,
                  .guard_log = paths.guard_log,
                  .command = paths.command},
        .engine = gal_engine_port(&engine),
    };
    return agent_run(&options);
}

/* Takes a word of our own out of the arguments. */
static bool take_word(int *argc, char **argv, const char *word)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], word) != 0) {
            argv[kept++] = argv[i];
        }
    }
    bool is_there = kept < *argc;
    argv[kept] = NULL;
    *argc = kept;
    return is_there;
}

/* Exit status: 2 for what the configuration or this host does not allow. */
static int start(const struct io_config *config, bool is_dry_run, struct agent_settings *common,
                 struct gal_settings *settings)
{
    struct io_why why = {""};
    int rc = agent_settings_read(config, common, &why);
    rc = rc != 0 ? rc : gal_engine_settings(config, common, settings, &why);
    if (rc == 0 && drop_root(config, common) != 0) {
        return 1;
    }
    rc = rc == 0 && common->vip.count > 0 ? vip_capabilities_settle(&why) : rc;
    rc = rc != 0 ? rc : gal_engine_check_host(config, common, settings, &why);
    if (rc != 0) {
        (void)fail(&why);
        return 2;
    }
    io_log_set_level(common->log_level);
    io_log_set_node(common->core.member.text);
    return run(config, common, settings, is_dry_run);
}

static int print_only(const struct io_config *config, struct agent_settings *common,
                      struct gal_settings *settings)
{
    struct io_why why = {""};
    int rc = agent_settings_read(config, common, &why);
    rc = rc != 0 ? rc : gal_engine_settings(config, common, settings, &why);
    if (rc != 0) {
        (void)fail(&why);
        return 2;
    }
    return print_sql(settings);
}

int main(int argc, char **argv)
{
    static struct gal_settings settings;
    struct agent_settings common;
    struct io_config *config = NULL;
    io_daemon_small_memory();
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    (void)umask(0077);
    if (take_word(&argc, argv, "--arbitrator")) {
        return gal_arbitrator_main(argc, argv);
    }
    bool is_dry_run = take_word(&argc, argv, "--dry-run");
    bool is_sql = take_word(&argc, argv, "--print-sql");
    int rc = io_config_main(&spec, argc, argv, check, &config);
    if (rc >= 0) {
        return rc;
    }
    rc = is_sql ? print_only(config, &common, &settings)
                : start(config, is_dry_run, &common, &settings);
    explicit_bzero(&settings, sizeof(settings));
    config = io_config_free(config);
    return rc;
}
