/* SPDX-License-Identifier: Apache-2.0 */
/* kv doctor: configurations, certificates, permissions, versions. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kv/cli/cert_make.h"
#include "kv/cli/doctor.h"
#include "proto/io/tls.h"

#define OUTPUT_BYTES 4096
#define DAYS_SOON 30

/* --- configuration --- */

void doctor_check_configuration(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        struct doctor_config *c = &d->configs[i];
        char program[DOCTOR_PATH_MAX];
        char output[OUTPUT_BYTES];
        char check[] = "--check-config";
        char config[] = "--config";
        char *argv[] = {program, check, config, c->path, NULL};
        doctor_program(c->program, program, sizeof(program));
        int status = doctor_run(argv, output, sizeof(output));
        if (status == 0) {
            doctor_say(d, DOCTOR_OK, NULL, "%s", c->path);
        } else if (status < 0) {
            doctor_say(d, DOCTOR_FAIL, "install Quorate's packages on this host",
                       "%s: no program %s", c->path, c->program);
        } else {
            doctor_say(d, DOCTOR_FAIL, "mend the file; the daemon does not start with it", "%s",
                       output);
        }
    }
}

/* --- certificates --- */

/* Is the host among the names of the certificate? */
static bool names_host(const struct cert_info *info, const char *host)
{
    size_t len = strlen(host);
    for (const char *at = info->hosts; *at != '\0';) {
        size_t word = strcspn(at, ",");
        if (word == len && strncmp(at, host, len) == 0) {
            return true;
        }
        at += word + (at[word] == ',' ? 1 : 0);
    }
    return false;
}

static void say_days(struct doctor *d, const char *path, long days)
{
    if (days < 0) {
        doctor_say(d, DOCTOR_FAIL,
                   "issue it anew (kv cert issue); the file is read again by itself",
                   "%s has expired", path);
    } else if (days < DAYS_SOON) {
        doctor_say(d, DOCTOR_WARN,
                   "issue it anew (kv cert issue); the file is read again by itself",
                   "%s ends in %ld days", path, days);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "%s: %ld days left", path, days);
    }
}

/* `role`: beginning of the identity that it must name; `host`: what others connect to, or NULL. */
static void check_pair(struct doctor *d, const char *ca, const char *cert, const char *key,
                       const char *role, const char *host)
{
    struct cert_info info;
    char error[CERT_ERROR_MAX];
    struct io_why why = {""};
    struct io_tls *tls = NULL;
    const struct io_tls_options options = {
        .cert_file = cert, .key_file = key, .ca_file = ca, .verify = IO_TLS_VERIFY_REQUIRED};
    if (cert_show(cert, &info, error) != 0) {
        doctor_say(d, DOCTOR_FAIL, "kv cert issue writes it", "%s", error);
        return;
    }
    if (info.days_left >= 0 && io_tls_new(&options, &tls, &why) != 0) {
        doctor_say(d, DOCTOR_FAIL, "put certificate and key of one kv cert issue there", "%s",
                   why.text);
        return;
    }
    tls = io_tls_free(tls);
    if (strncmp(info.uri, role, strlen(role)) != 0) {
        doctor_say(d, DOCTOR_FAIL, "kv cert issue with the right role, cluster and name",
                   "%s is for %.200s, not for %s...", cert, info.uri, role);
    } else if (cert_check_signed(cert, ca, error) != 0) {
        doctor_say(d, DOCTOR_FAIL,
                   "one authority signs for all hosts: copy its ca.crt, or issue anew", "%s",
                   error);
    } else if (host != NULL && !names_host(&info, host)) {
        doctor_say(d, DOCTOR_FAIL, "kv cert issue --host ADDRESS,NAME",
                   "%s does not name %s, where others connect to (names: %.150s)", cert, host,
                   info.hosts);
    } else {
        say_days(d, cert, info.days_left);
    }
}

static void check_authority(struct doctor *d, const char *ca)
{
    struct cert_info info;
    char error[CERT_ERROR_MAX];
    if (cert_show(ca, &info, error) != 0) {
        doctor_say(d, DOCTOR_FAIL, "copy ca.crt of the authority there", "%s", error);
    } else {
        say_days(d, ca, info.days_left);
    }
}

void doctor_check_certificates(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        const char *ca = doctor_text(c, "tls.ca", NULL);
        const char *cert = doctor_text(c, "tls.cert", NULL);
        const char *key = doctor_text(c, "tls.key", NULL);
        const char *member = doctor_engine_text(c, "tls_cert", NULL);
        char role[256];
        if (ca == NULL || cert == NULL || key == NULL) {
            doctor_say(d, DOCTOR_WARN, "set tls.ca, tls.cert and tls.key",
                       "%s: no TLS, which serves on loopback only", c->path);
            continue;
        }
        check_authority(d, ca);
        if (c->is_node) {
            (void)snprintf(role, sizeof(role), "quorate://node/%s", doctor_text(c, "name", ""));
        } else {
            (void)snprintf(role, sizeof(role), "quorate://agent/%s/%s",
                           doctor_text(c, "cluster.name", ""), doctor_text(c, "member", ""));
        }
        check_pair(d, ca, cert, key, role, NULL);
        if (member != NULL) {
            check_pair(d, ca, member, doctor_engine_text(c, "tls_key", ""), "quorate://member/",
                       doctor_text(c, "advertise", NULL));
        }
    }
}

/* --- permissions --- */

static void check_secret(struct doctor *d, const struct doctor_config *c, const char *path)
{
    struct stat st;
    uid_t uid = 0;
    const char *user = NULL;
    char mend[DOCTOR_PATH_MAX + 128];
    if (path == NULL) {
        return;
    }
    bool has_user = doctor_user(c, &uid, &user);
    (void)snprintf(mend, sizeof(mend), "chown %s %s && chmod 600 %s", user, path, path);
    if (stat(path, &st) != 0) {
        doctor_say(d, DOCTOR_FAIL, "kv setup and kv cert issue write it", "%s: %s", path,
                   strerror(errno));
    } else if ((st.st_mode & 077) != 0) {
        doctor_say(d, DOCTOR_FAIL, mend, "%s can be read by others (mode %04o)", path,
                   st.st_mode & 07777);
    } else if (has_user && st.st_uid != uid) {
        doctor_say(d, DOCTOR_FAIL, mend, "%s belongs to uid %u, and is read by user %s", path,
                   st.st_uid, user);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "%s", path);
    }
}

/* A unit runs its agent as the database's user from the beginning: may that one make it? */
static void check_parent(struct doctor *d, const struct doctor_config *c, const char *path)
{
    struct stat st = {0};
    uid_t uid = 0;
    const char *user = NULL;
    char parent[DOCTOR_PATH_MAX];
    char mend[DOCTOR_PATH_MAX + 128];
    (void)snprintf(parent, sizeof(parent), "%s", path == NULL ? "" : path);
    for (char *slash = strrchr(parent, '/'); slash != NULL; slash = strrchr(parent, '/')) {
        slash[slash == parent ? 1 : 0] = '\0';
        if (stat(parent, &st) == 0 || slash == parent) {
            break;
        }
    }
    if (parent[0] != '/' || access(path, F_OK) == 0 || !doctor_user(c, &uid, &user) ||
        st.st_uid == uid || (st.st_mode & 002) != 0) {
        return;
    }
    (void)snprintf(mend, sizeof(mend), "install -d -o %s -m 700 %s", user, path);
    doctor_say(d, DOCTOR_FAIL, mend, "%s is not there, and user %s may not make it in %s", path,
               user, parent);
}

static void check_directory(struct doctor *d, const struct doctor_config *c, const char *path)
{
    struct stat st;
    uid_t uid = 0;
    const char *user = NULL;
    char mend[DOCTOR_PATH_MAX + 128];
    if (path == NULL || stat(path, &st) != 0) {
        return; /* made at the first start */
    }
    bool has_user = doctor_user(c, &uid, &user);
    (void)snprintf(mend, sizeof(mend), "chown %s %s && chmod 700 %s", user, path, path);
    if (!S_ISDIR(st.st_mode)) {
        doctor_say(d, DOCTOR_FAIL, "name a directory", "%s is none", path);
    } else if (has_user && st.st_uid != uid) {
        doctor_say(d, DOCTOR_FAIL, mend, "%s belongs to uid %u, and user %s works in it", path,
                   st.st_uid, user);
    } else if ((st.st_mode & 027) != 0) {
        doctor_say(d, DOCTOR_WARN, mend, "%s is open to others (mode %04o)", path,
                   st.st_mode & 07777);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "%s", path);
    }
}

void doctor_check_permissions(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        struct stat st;
        uid_t uid = 0;
        const char *user = NULL;
        if (!doctor_user(c, &uid, &user)) {
            doctor_say(d, DOCTOR_FAIL, "install the database's packages, or set 'user'",
                       "%s: user %s does not exist on this host", c->path, user);
            continue;
        }
        if (stat(c->path, &st) == 0 && (st.st_mode & 022) != 0) {
            doctor_say(d, DOCTOR_FAIL, "chmod 644", "%s can be changed by others (mode %04o)",
                       c->path, st.st_mode & 07777);
        }
        check_secret(d, c, doctor_text(c, "tls.key", NULL));
        check_secret(d, c, doctor_engine_text(c, "tls_key", NULL));
        check_secret(d, c, doctor_engine_text(c, "password_file", NULL));
        check_secret(d, c, doctor_engine_text(c, "key_file", NULL));
        check_parent(d, c, doctor_engine_text(c, "data_dir", NULL));
        check_directory(d, c, doctor_engine_text(c, "data_dir", NULL));
        check_directory(d, c, doctor_text(c, "data_dir", NULL));
    }
}

/* --- versions --- */

static void check_program(struct doctor *d, const char *name)
{
    char program[DOCTOR_PATH_MAX];
    char output[OUTPUT_BYTES];
    char version[] = "--version";
    char *argv[] = {program, version, NULL};
    doctor_program(name, program, sizeof(program));
    if (doctor_run(argv, output, sizeof(output)) != 0) {
        doctor_say(d, DOCTOR_FAIL, "install Quorate's packages on this host", "no program %s",
                   name);
        return;
    }
    output[strcspn(output, "\n")] = '\0';
    if (strstr(output, QUORATE_VERSION) == NULL) {
        doctor_say(d, DOCTOR_WARN, "install one version of all programs", "%s, and kv is %s",
                   output, QUORATE_VERSION);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "%.200s", output);
    }
}

void doctor_check_versions(struct doctor *d)
{
    for (size_t i = 0; i < d->configs_count; i++) {
        const struct doctor_config *c = &d->configs[i];
        check_program(d, c->program);
        if (c->engine != NULL) {
            c->engine->versions(d, c);
        }
    }
    if (doctor_has_agent(d)) {
        check_program(d, "quorate-guard");
    }
}
