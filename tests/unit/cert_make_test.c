/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the certificates that `kv cert` makes: identity and hosts of each role, lifetimes,
 * file modes, that nothing is overwritten, and the words of each refusal. What was written is read
 * again with OpenSSL itself. */
#include "tests/support/cm.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "kv/cli/cert_make.h"

static char directory[64];
static char error[CERT_ERROR_MAX];

/* Each test has a directory of its own. */
static int setup(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/quorate-cert-XXXXXX");
    error[0] = '\0';
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    DIR *dir = opendir(directory);
    char path[400];
    for (struct dirent *entry = NULL; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            (void)unlink(path);
        }
    }
    (void)closedir(dir);
    return rmdir(directory);
}

static void path_of(const char *file, char path[static 400])
{
    (void)snprintf(path, 400, "%s/%s", directory, file);
}

static unsigned mode_of(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return about.st_mode & 07777;
}

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(certificate);
    return certificate;
}

static void make_authority(void)
{
    struct cert_info info;
    assert_int_equal(cert_authority_make(directory, "Test", 0, &info, error), 0);
}

static struct cert_spec spec_of(enum cert_role role, const char *cluster, const char *name)
{
    return (struct cert_spec){
        .role = role, .directory = directory, .cluster = cluster, .name = name};
}

static void expect_error(int got, int wanted, const char *words)
{
    assert_int_equal(got, wanted);
    if (strstr(error, words) == NULL || strchr(error, '\n') != NULL) {
        fail_msg("'%s' is not in, or more than a line: %s", words, error);
    }
}

static void test_authority(void **state)
{
    (void)state;
    struct cert_info info;
    char path[400];
    mode_t before = umask(0);
    assert_int_equal(cert_authority_make(directory, "My house", 0, &info, error), 0);
    (void)umask(before);
    path_of("ca.key", path);
    assert_string_equal(info.key_path, path);
    assert_int_equal(mode_of(path), 0600);
    path_of("ca.crt", path);
    assert_string_equal(info.certificate_path, path);
    assert_int_equal(mode_of(path), 0644);
    assert_true(info.days_left >= CERT_DAYS_AUTHORITY - 1);
    assert_non_null(strstr(info.subject, "CN=My house"));
    X509 *certificate = read_certificate(path);
    assert_int_equal(X509_check_ca(certificate), 1);
    X509_free(certificate);
}

static void test_makes_its_directory_for_the_owner_alone(void **state)
{
    (void)state;
    struct cert_info info;
    char path[400];
    char file[420];
    path_of("tls", path);
    mode_t before = umask(0);
    assert_int_equal(cert_authority_make(path, "x", 0, &info, error), 0);
    (void)umask(before);
    assert_int_equal(mode_of(path), 0700);
    (void)snprintf(file, sizeof(file), "%s/ca.crt", path);
    assert_int_equal(unlink(file), 0);
    (void)snprintf(file, sizeof(file), "%s/ca.key", path);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(path), 0);
}

static void check_role(enum cert_role role, const char *cluster, const char *uri, const char *file)
{
    struct cert_info made;
    struct cert_info shown;
    char path[400];
    struct cert_spec spec = spec_of(role, cluster, "m1");
    if (role == CERT_ROLE_NODE) {
        spec.hosts[spec.hosts_count++] = "10.0.0.1";
        spec.hosts[spec.hosts_count++] = "m1.example";
        spec.hosts[spec.hosts_count++] = "fd00::1";
    }
    assert_int_equal(cert_issue(&spec, &made, error), 0);
    assert_string_equal(made.uri, uri);
    assert_string_equal(made.hosts, role == CERT_ROLE_NODE ? "10.0.0.1,m1.example,fd00::1" : "");
    (void)snprintf(path, sizeof(path), "%s/%s.crt", directory, file);
    assert_string_equal(made.certificate_path, path);
    assert_int_equal(mode_of(path), 0644);
    assert_int_equal(mode_of(made.key_path), 0600);
    assert_int_equal(cert_show(path, &shown, error), 0);
    assert_string_equal(shown.uri, uri);
    assert_string_equal(shown.serial, made.serial);
    assert_non_null(strstr(shown.subject, "CN=m1"));
    assert_true(shown.days_left >= CERT_DAYS_LEAF - 1 && shown.days_left <= CERT_DAYS_LEAF);
}

static void test_every_role_is_bound_to_its_uri(void **state)
{
    (void)state;
    make_authority();
    check_role(CERT_ROLE_NODE, NULL, "quorate://node/m1", "node-m1");
    check_role(CERT_ROLE_AGENT, "pg", "quorate://agent/pg/m1", "agent-pg-m1");
    check_role(CERT_ROLE_MEMBER, "pg", "quorate://member/pg/m1", "member-pg-m1");
    check_role(CERT_ROLE_ADMIN, NULL, "quorate://admin/m1", "admin-m1");
    check_role(CERT_ROLE_VIEWER, NULL, "quorate://viewer/m1", "viewer-m1");
    enum cert_role role = CERT_ROLE_COUNT;
    assert_true(cert_role_from_text("viewer", &role));
    assert_int_equal(role, CERT_ROLE_VIEWER);
    assert_false(cert_role_from_text("Viewer", &role));
    assert_false(cert_role_from_text("", &role));
}

/* The chain holds, the key fits, and the leaf can sign nothing. */
static void test_leaf_is_signed_and_is_no_authority(void **state)
{
    (void)state;
    struct cert_info info;
    char path[400];
    make_authority();
    struct cert_spec spec = spec_of(CERT_ROLE_ADMIN, NULL, "me");
    assert_int_equal(cert_issue(&spec, &info, error), 0);
    X509 *leaf = read_certificate(info.certificate_path);
    path_of("ca.crt", path);
    X509 *authority = read_certificate(path);
    EVP_PKEY *signer = X509_get0_pubkey(authority);
    assert_int_equal(X509_verify(leaf, signer), 1);
    assert_int_equal(X509_check_issued(authority, leaf), X509_V_OK);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_true((X509_get_key_usage(leaf) & KU_KEY_CERT_SIGN) == 0);
    FILE *file = fopen(info.key_path, "re");
    assert_non_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_int_equal(X509_check_private_key(leaf, key), 1);
    EVP_PKEY_free(key);
    X509_free(authority);
    X509_free(leaf);
}

static void test_lifetimes(void **state)
{
    (void)state;
    struct cert_info info;
    make_authority();
    struct cert_spec spec = spec_of(CERT_ROLE_ADMIN, NULL, "short");
    spec.days = 3;
    assert_int_equal(cert_issue(&spec, &info, error), 0);
    assert_true(info.days_left == 2 || info.days_left == 3);
    spec = spec_of(CERT_ROLE_ADMIN, NULL, "gone");
    spec.days = -2;
    assert_int_equal(cert_issue(&spec, &info, error), 0);
    assert_true(info.days_left < 0);
    X509 *certificate = read_certificate(info.certificate_path);
    assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(certificate)), -1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(certificate)), -1);
    X509_free(certificate);
}

static void read_text(const char *path, char text[static 4096])
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(text, 1, 4095, file);
    (void)fclose(file);
    text[len] = '\0';
}

static void test_nothing_is_overwritten(void **state)
{
    (void)state;
    struct cert_info info;
    struct cert_info again = {0};
    char before[4096];
    char after[4096];
    char path[400];
    make_authority();
    path_of("ca.key", path);
    read_text(path, before);
    expect_error(cert_authority_make(directory, "Other", 0, &again, error), BASE_E_EXISTS,
                 "ca.key: File exists");
    read_text(path, after);
    assert_string_equal(before, after);

    struct cert_spec spec = spec_of(CERT_ROLE_ADMIN, NULL, "me");
    assert_int_equal(cert_issue(&spec, &info, error), 0);
    read_text(info.key_path, before);
    expect_error(cert_issue(&spec, &again, error), BASE_E_EXISTS, "admin-me.key: File exists");
    read_text(info.key_path, after);
    assert_string_equal(before, after);
    assert_string_equal(again.certificate_path, ""); /* outputs stay untouched */

    /* Only the certificate is there: its key must not be left behind alone. */
    assert_int_equal(unlink(info.key_path), 0);
    expect_error(cert_issue(&spec, &again, error), BASE_E_EXISTS, "admin-me.crt: File exists");
    assert_int_not_equal(access(info.key_path, F_OK), 0);
}

static void expect_refused(struct cert_spec spec, const char *words)
{
    struct cert_info info = {0};
    expect_error(cert_issue(&spec, &info, error), BASE_E_INVALID, words);
    assert_string_equal(info.certificate_path, "");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    make_authority();
    expect_refused(spec_of(CERT_ROLE_ADMIN, NULL, NULL), "name ''");
    expect_refused(spec_of(CERT_ROLE_ADMIN, NULL, "Me"), "name 'Me'");
    expect_refused(spec_of(CERT_ROLE_ADMIN, NULL, "../up"), "name '../up'");
    expect_refused(spec_of(CERT_ROLE_ADMIN, "pg", "me"), "leave --cluster out");
    expect_refused(spec_of(CERT_ROLE_AGENT, NULL, "pg1"), "role agent needs --cluster");
    expect_refused(spec_of(CERT_ROLE_AGENT, "p/g", "pg1"), "role agent needs --cluster");
    expect_refused(spec_of(CERT_ROLE_NODE, NULL, "a"), "role node needs --host");
    struct cert_spec spec = spec_of(CERT_ROLE_NODE, NULL, "a");
    spec.hosts[spec.hosts_count++] = "a,URI:quorate://admin/me"; /* no second identity */
    expect_refused(spec, "is no name and no address");
    spec.hosts[0] = "";
    expect_refused(spec, "host '' is no name");
    spec.hosts[0] = "a:b"; /* neither a name nor IPv6 */
    expect_refused(spec, "host 'a:b' is no name");
}

static void test_missing_and_broken_files(void **state)
{
    (void)state;
    struct cert_info info;
    char path[400];
    struct cert_spec spec = spec_of(CERT_ROLE_ADMIN, NULL, "me");
    expect_error(cert_issue(&spec, &info, error), BASE_E_NOTFOUND,
                 "make an authority first: kv cert ca --dir");
    path_of("ca.crt", path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("not a certificate\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    expect_error(cert_show(path, &info, error), BASE_E_INVALID, "no PEM certificate in it");
    expect_error(cert_issue(&spec, &info, error), BASE_E_INVALID, "no PEM certificate in it");
    path_of("none", path);
    expect_error(cert_show(path, &info, error), BASE_E_NOTFOUND, "No such file");
    expect_error(cert_authority_make("/nowhere/at/all", "x", 0, &info, error), BASE_E_IO,
                 "/nowhere/at/all");
}

/* A key of another authority would make certificates that nobody accepts. */
static void test_key_of_another_authority(void **state)
{
    (void)state;
    struct cert_info info;
    char path[400];
    char kept[400];
    make_authority();
    path_of("ca.key", path);
    assert_int_equal(unlink(path), 0);
    path_of("ca.crt", path);
    path_of("kept.crt", kept);
    assert_int_equal(rename(path, kept), 0);
    make_authority();
    assert_int_equal(rename(kept, path), 0);
    struct cert_spec spec = spec_of(CERT_ROLE_ADMIN, NULL, "me");
    expect_error(cert_issue(&spec, &info, error), BASE_E_INVALID, "does not belong to");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_authority),
        CASE(test_makes_its_directory_for_the_owner_alone),
        CASE(test_every_role_is_bound_to_its_uri),
        CASE(test_leaf_is_signed_and_is_no_authority),
        CASE(test_lifetimes),
        CASE(test_nothing_is_overwritten),
        CASE(test_what_is_refused),
        CASE(test_missing_and_broken_files),
        CASE(test_key_of_another_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
