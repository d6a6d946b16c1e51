/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that `kv setup` writes, and the archive of a host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kv/cli/setup.h"
#include "kv/cli/tar.h"

#define PATH_BYTES 1200
#define FILE_BYTES_MAX 65536u
#define GALERA_GROUP_PORT 4567

static const char *text_of(const struct setup_plan *plan, enum setup_key key)
{
    return io_config_text(plan->config, key);
}

static int port_of(const struct setup_plan *plan, enum setup_key key)
{
    return (int)io_config_int(plan->config, key);
}

/* host:port, with brackets around what has colons. */
static void print_address(const char *address, int port, FILE *out)
{
    bool is_v6 = strchr(address, ':') != NULL;
    (void)fprintf(out, "%s%s%s:%d", is_v6 ? "[" : "", address, is_v6 ? "]" : "", port);
}

/* {a: "before10.0.0.1:port", ...} of all quorum nodes. */
static void print_nodes(const struct setup_plan *plan, const char *before, int port, FILE *out)
{
    const char *comma = "";
    (void)fputc('{', out);
    for (size_t i = 0; i < plan->hosts_count; i++) {
        const struct setup_host *host = &plan->hosts[i];
        if (host->has_node) {
            (void)fprintf(out, "%s%s: \"%s", comma, host->name.text, before);
            print_address(host->address, port, out);
            (void)fputc('"', out);
            comma = ", ";
        }
    }
    (void)fputs("}\n", out);
}

static void print_peers(const struct setup_plan *plan, FILE *out)
{
    (void)fputs("quorum:\n  nodes: ", out);
    print_nodes(plan, "", port_of(plan, SETUP_KEY_PEER_PORT), out);
}

static void print_tls(const struct setup_plan *plan, const char *name, FILE *out)
{
    const char *etc = text_of(plan, SETUP_KEY_ETC);
    (void)fprintf(out, "tls:\n  ca: %s/tls/ca.crt\n  cert: %s/tls/%s.crt\n  key: %s/tls/%s.key\n",
                  etc, etc, name, etc, name);
}

void setup_print_node(const struct setup_plan *plan, const struct setup_host *host, FILE *out)
{
    char name[96];
    (void)snprintf(name, sizeof(name), "node-%s", host->name.text);
    (void)fprintf(out,
                  "# Quorum node %s, written by kv setup. All keys: quorated --sample-config\n"
                  "name: %s\ndata_dir: %s/quorum\n",
                  host->name.text, host->name.text, text_of(plan, SETUP_KEY_STATE));
    print_peers(plan, out);
    (void)fputs("  clients: ", out);
    print_nodes(plan, "https://", port_of(plan, SETUP_KEY_CLIENT_PORT), out);
    (void)fputs("client:\n  listen: \"", out);
    print_address(host->address, port_of(plan, SETUP_KEY_CLIENT_PORT), out);
    (void)fputs("\"\n", out);
    print_tls(plan, name, out);
}

static void print_hba(const struct setup_plan *plan, FILE *out)
{
    size_t count = 0;
    const char *const *list = io_config_list(plan->config, SETUP_KEY_CLIENTS, &count);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(out, "%s    - \"hostssl all all %s scram-sha-256\"\n",
                      i == 0 ? "  hba:\n" : "", list[i]);
    }
}

/* What all sections have: where the database lies, and how its members know each other. */
static void print_common(const struct setup_plan *plan, const struct setup_host *host, FILE *out)
{
    const char *cluster = text_of(plan, SETUP_KEY_CLUSTER);
    const char *etc = text_of(plan, SETUP_KEY_ETC);
    (void)fprintf(out, "  data_dir: %s\n  port: %d\n", plan->data_dir, plan->port);
    if (!host->is_arbiter) {
        (void)fprintf(out, "  password_file: %s\n", plan->passwords);
    }
    (void)fprintf(out, "  tls_cert: %s/tls/member-%s-%s.crt\n  tls_key: %s/tls/member-%s-%s.key\n",
                  etc, cluster, host->name.text, etc, cluster, host->name.text);
}

/* The same list on all members. */
static void print_members(const struct setup_plan *plan, int port, FILE *out)
{
    const char *begin = "  members: {";
    for (size_t i = 0; i < plan->hosts_count; i++) {
        if (plan->hosts[i].has_member) {
            (void)fprintf(out, "%s%s: \"", begin, plan->hosts[i].name.text);
            print_address(plan->hosts[i].address, port, out);
            (void)fputc('"', out);
            begin = ", ";
        }
    }
    (void)fputs("}\n", out);
}

static void print_postgresql(const struct setup_plan *plan, const struct setup_host *host,
                             FILE *out)
{
    (void)fprintf(out, "postgresql:\n  bin_dir: %s\n", text_of(plan, SETUP_KEY_BIN_DIR));
    print_common(plan, host, out);
    print_hba(plan, out);
}

static void print_galera(const struct setup_plan *plan, const struct setup_host *host, FILE *out)
{
    (void)fputs("galera:\n", out);
    print_common(plan, host, out);
    print_members(plan, GALERA_GROUP_PORT, out);
}

static void print_mongodb(const struct setup_plan *plan, const struct setup_host *host, FILE *out)
{
    (void)fprintf(out, "mongodb:\n%s", host->is_arbiter ? "  role: arbiter\n" : "");
    print_common(plan, host, out);
    (void)fprintf(out, "  key_file: %s\n", plan->key_file);
    print_members(plan, plan->port, out);
}

const struct setup_engine setup_engines[] = {
    {"postgresql",
     "quorate-agent-postgresql",
     "postgresql",
     "postgres",
     5432,
     NULL,
     false,
     {"replication", "rewind", NULL},
     print_postgresql},
    {"galera",
     "quorate-agent-galera",
     "mariadb",
     "mysql",
     3306,
     "/var/lib/mysql-",
     false,
     {"check", "agent", "sst", NULL},
     print_galera},
    {"mongodb",
     "quorate-agent-mongodb",
     "mongod",
     "mongodb",
     27017,
     "/var/lib/mongodb-",
     true,
     {"ha_read", "ha_act", NULL},
     print_mongodb},
};
const size_t setup_engines_count = BASE_COUNT_OF(setup_engines);

/* What an engine does not have is not said. */
static void print_seed(const struct setup_plan *plan, FILE *out)
{
    (void)fprintf(out, "cluster:\n  name: %s\n", text_of(plan, SETUP_KEY_CLUSTER));
    if (plan->engine == &setup_engines[0]) {
        (void)fprintf(out, "  sync: \"%s\"\n  profile: %s\n", text_of(plan, SETUP_KEY_SYNC),
                      text_of(plan, SETUP_KEY_PROFILE));
    }
}

void setup_print_agent(const struct setup_plan *plan, const struct setup_host *host, FILE *out)
{
    const char *cluster = text_of(plan, SETUP_KEY_CLUSTER);
    char name[192];
    (void)snprintf(name, sizeof(name), "agent-%s-%s", cluster, host->name.text);
    (void)fprintf(out,
                  "# Member %s of cluster %s, written by kv setup. All keys:\n"
                  "# %s --sample-config\n",
                  host->name.text, cluster, plan->engine->agent);
    print_seed(plan, out);
    (void)fprintf(out, "member: %s\nadvertise: \"%s\"\nuser: %s\n", host->name.text, host->address,
                  plan->user);
    print_peers(plan, out);
    (void)fputs("  api: ", out);
    print_nodes(plan, "https://", port_of(plan, SETUP_KEY_CLIENT_PORT), out);
    print_tls(plan, name, out);
    (void)fprintf(out, "http:\n  listen: 0.0.0.0:%d\nstate_dir: %s/%s\nrun_dir: %s\n",
                  port_of(plan, SETUP_KEY_HTTP_PORT), text_of(plan, SETUP_KEY_STATE), cluster,
                  text_of(plan, SETUP_KEY_RUN));
    plan->engine->print(plan, host, out);
}

void setup_print_node_unit(const struct setup_plan *plan, FILE *out)
{
    (void)fprintf(out, "# Written by kv setup.\n[Unit]\nRequiresMountsFor=%s/quorum\n",
                  text_of(plan, SETUP_KEY_STATE));
}

void setup_print_agent_unit(const struct setup_plan *plan, FILE *out)
{
    (void)fprintf(out, "# Written by kv setup.\n[Unit]\nRequiresMountsFor=%s %s/%s\n",
                  plan->data_dir, text_of(plan, SETUP_KEY_STATE), text_of(plan, SETUP_KEY_CLUSTER));
}

void setup_print_kv(const struct setup_plan *plan, const char *dir, FILE *out)
{
    const char *admin = text_of(plan, SETUP_KEY_ADMIN);
    const char *begin = "[";
    (void)fputs("# ~/.config/quorate/kv.yml, written by kv setup.\nendpoints: ", out);
    for (size_t i = 0; i < plan->hosts_count; i++) {
        if (plan->hosts[i].has_node) {
            (void)fprintf(out, "%s\"https://", begin);
            print_address(plan->hosts[i].address, port_of(plan, SETUP_KEY_CLIENT_PORT), out);
            (void)fputc('"', out);
            begin = ", ";
        }
    }
    (void)fprintf(out, "]\ncacert: %s/ca.crt\ncert: %s/admin-%s.crt\nkey: %s/admin-%s.key\n", dir,
                  dir, admin, dir, admin);
}

const char *setup_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* --- what to do --- */

static void print_steps_of(const struct setup_plan *plan, const struct setup_host *host,
                           const char *out_dir, FILE *out)
{
    const char *name = host->name.text;
    const char *cluster = text_of(plan, SETUP_KEY_CLUSTER);
    (void)fprintf(out,
                  "%s (%s)\n"
                  "  scp %s/%s.tar root@%s:      # from here\n"
                  "  tar -xpf %s.tar -C / && rm %s.tar\n",
                  name, host->address, out_dir, name, host->address, name, name);
    if (host->has_member) {
        (void)fprintf(out, "  systemctl disable --now %s\n", plan->engine->service);
    }
    if (host->has_member && plan->engine->data_root != NULL) {
        (void)fprintf(out, "  [ -d %s ] || install -d -o %s -m 700 %s\n", plan->data_dir,
                      plan->user, plan->data_dir);
    }
    (void)fprintf(out, "  systemctl daemon-reload && kv doctor\n");
    if (host->has_node) {
        (void)fputs("  systemctl enable quorated && systemctl restart quorated\n", out);
    }
    if (host->has_member) {
        (void)fprintf(out, "  systemctl enable --now %s@%s\n", plan->engine->agent, cluster);
    }
}

/* MongoDB stores no user before there is a set, and no member is taken in before there are users.
 */
static void print_users(const struct setup_plan *plan, const char *out_dir, FILE *out)
{
    (void)fprintf(out,
                  "on the host whose member is primary by then: the users that the agents log in "
                  "with, after a first one of your own\n"
                  "  %s --config %s/agent-%s.yml --print-roles\n"
                  "                                 # into mongosh there; passwords: %s/%s\n"
                  "here\n",
                  plan->engine->agent, text_of(plan, SETUP_KEY_ETC),
                  text_of(plan, SETUP_KEY_CLUSTER), out_dir, setup_file_name(plan->passwords));
}

void setup_print_steps(const struct setup_plan *plan, const char *out_dir, FILE *out)
{
    (void)fputs("On each host, as root, with Quorate's packages installed; the first member that "
                "starts makes the database, the others copy it:\n\n",
                out);
    for (size_t i = 0; i < plan->hosts_count; i++) {
        print_steps_of(plan, &plan->hosts[i], out_dir, out);
        (void)fputc('\n', out);
    }
    const char *cluster = text_of(plan, SETUP_KEY_CLUSTER);
    (void)fprintf(out,
                  "here\n"
                  "  mkdir -p ~/.config/quorate && cp %s/kv.yml ~/.config/quorate/\n"
                  "  kv status && kv db show %s\n",
                  out_dir, cluster);
    if (plan->engine->has_key) {
        print_users(plan, out_dir, out);
    }
    (void)fprintf(out,
                  "  kv db %s %s               # how applications get to it\n\n"
                  "%s/tls/ca.key signs every certificate: keep it away from the hosts, and safe.\n",
                  plan->engine->has_key ? "dsn" : "haproxy", cluster, out_dir);
}

/* --- the archive --- */

struct archive {
    const struct setup_plan *plan;
    const struct setup_host *host;
    const char *out_dir;
    FILE *out;
    struct io_why *why;
};

static int add(const struct archive *a, const char *path, unsigned mode, const char *owner,
               struct slice content)
{
    const struct tar_entry entry = {path[0] == '/' ? path + 1 : path, mode, owner, content};
    int rc = tar_add(a->out, &entry);
    if (rc != 0) {
        io_why_set(a->why, "%s: %s", path, base_error_text(rc));
    }
    return rc;
}

/* What `print` writes becomes a file of root's that all may read. */
static int add_text(const struct archive *a, const char *path,
                    void (*print)(const struct archive *a, FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (memory == NULL) {
        io_why_set(a->why, "out of memory");
        return BASE_E_NOMEM;
    }
    print(a, memory);
    int rc = fclose(memory) == 0 ? add(a, path, 0644, "root", slice_from(text, len)) : BASE_E_NOMEM;
    free(text);
    return rc;
}

static void node(const struct archive *a, FILE *out)
{
    setup_print_node(a->plan, a->host, out);
}
static void agent(const struct archive *a, FILE *out)
{
    setup_print_agent(a->plan, a->host, out);
}
static void node_unit(const struct archive *a, FILE *out)
{
    setup_print_node_unit(a->plan, out);
}
static void agent_unit(const struct archive *a, FILE *out)
{
    setup_print_agent_unit(a->plan, out);
}

/* A file of out_dir, as it is. */
static int add_file(const struct archive *a, const char *from, const char *to, unsigned mode,
                    const char *owner)
{
    char path[PATH_BYTES];
    char *text = malloc(FILE_BYTES_MAX);
    (void)snprintf(path, sizeof(path), "%s/%s", a->out_dir, from);
    FILE *in = text == NULL ? NULL : fopen(path, "re");
    if (in == NULL) {
        io_why_set(a->why, "%s: %s", path, strerror(errno));
        free(text);
        return BASE_E_NOTFOUND;
    }
    size_t len = fread(text, 1, FILE_BYTES_MAX, in);
    int rc = ferror(in) != 0 ? BASE_E_IO : add(a, to, mode, owner, slice_from(text, len));
    (void)fclose(in);
    explicit_bzero(text, FILE_BYTES_MAX);
    free(text);
    return rc;
}

/* Certificate and key of a role; the key is its user's alone. */
static int add_pair(const struct archive *a, const char *name, const char *owner)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    const char *etc = text_of(a->plan, SETUP_KEY_ETC);
    (void)snprintf(from, sizeof(from), "tls/%s.crt", name);
    (void)snprintf(to, sizeof(to), "%s/tls/%s.crt", etc, name);
    int rc = add_file(a, from, to, 0644, "root");
    (void)snprintf(from, sizeof(from), "tls/%s.key", name);
    (void)snprintf(to, sizeof(to), "%s/tls/%s.key", etc, name);
    return rc != 0 ? rc : add_file(a, from, to, 0600, owner);
}

static int add_node(const struct archive *a)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/quorated.yml", text_of(a->plan, SETUP_KEY_ETC));
    int rc = add_text(a, path, node);
    rc = rc != 0 ? rc : add_text(a, "etc/systemd/system/quorated.service.d/setup.conf", node_unit);
    (void)snprintf(path, sizeof(path), "node-%s", a->host->name.text);
    return rc != 0 ? rc : add_pair(a, path, text_of(a->plan, SETUP_KEY_NODE_USER));
}

static int add_member(const struct archive *a)
{
    char path[PATH_BYTES];
    const char *cluster = text_of(a->plan, SETUP_KEY_CLUSTER);
    const char *user = a->plan->user;
    const char *etc = text_of(a->plan, SETUP_KEY_ETC);
    (void)snprintf(path, sizeof(path), "%s/agent-%s.yml", etc, cluster);
    int rc = add_text(a, path, agent);
    (void)snprintf(path, sizeof(path), "etc/systemd/system/%s@%s.service.d/setup.conf",
                   a->plan->engine->agent, cluster);
    rc = rc != 0 ? rc : add_text(a, path, agent_unit);
    if (!a->host->is_arbiter) {
        rc = rc != 0
                 ? rc
                 : add_file(a, setup_file_name(a->plan->passwords), a->plan->passwords, 0600, user);
    }
    if (a->plan->engine->has_key) {
        rc = rc != 0
                 ? rc
                 : add_file(a, setup_file_name(a->plan->key_file), a->plan->key_file, 0600, user);
    }
    (void)snprintf(path, sizeof(path), "agent-%s-%s", cluster, a->host->name.text);
    rc = rc != 0 ? rc : add_pair(a, path, user);
    (void)snprintf(path, sizeof(path), "member-%s-%s", cluster, a->host->name.text);
    return rc != 0 ? rc : add_pair(a, path, user);
}

int setup_write_archive(const struct setup_plan *plan, const struct setup_host *host,
                        const char *out_dir, FILE *out, struct io_why *why)
{
    const struct archive a = {plan, host, out_dir, out, why};
    char path[PATH_BYTES];
    const char *etc = text_of(plan, SETUP_KEY_ETC);
    (void)snprintf(path, sizeof(path), "%s/tls/", etc);
    int rc = add(&a, path, 0755, "root", SLICE_EMPTY);
    (void)snprintf(path, sizeof(path), "%s/tls/ca.crt", etc);
    rc = rc != 0 ? rc : add_file(&a, "tls/ca.crt", path, 0644, "root");
    rc = rc == 0 && host->has_node ? add_node(&a) : rc;
    rc = rc == 0 && host->has_member ? add_member(&a) : rc;
    return rc != 0 ? rc : tar_end(out);
}
