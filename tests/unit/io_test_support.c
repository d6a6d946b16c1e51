/* SPDX-License-Identifier: Apache-2.0 */
/* Support of the tests of proto/io. See the header. */
#include "tests/unit/io_test_support.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"

#define CAS_MAX 4
#define FILES_MAX 64

static char folder[200];
static char files[FILES_MAX][256];
static size_t files_count;
static struct {
    char name[32];
    EVP_PKEY *key;
    X509 *cert;
} cas[CAS_MAX];
static size_t cas_count;
static long serial = 1;

void run_until(struct io_loop *loop, const bool *flag)
{
    struct base_mono end = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    while (!*flag) {
        if (!base_mono_before(io_now(), end)) {
            fail_msg("the awaited event did not come within 10 s");
        }
        io_loop_run_once(loop, end);
    }
}

void run_for(struct io_loop *loop, int64_t us)
{
    struct base_mono end = base_mono_add_us(io_now(), us);
    while (base_mono_before(io_now(), end)) {
        io_loop_run_once(loop, end);
    }
}

void test_folder_make(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%s/quorate-io-test-XXXXXX",
                   base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
}

void test_folder_remove(void)
{
    for (size_t i = 0; i < files_count; i++) {
        (void)unlink(files[i]);
    }
    files_count = 0;
    for (size_t i = 0; i < cas_count; i++) {
        EVP_PKEY_free(cas[i].key);
        X509_free(cas[i].cert);
    }
    cas_count = 0;
    (void)rmdir(folder);
}

const char *test_path(const char *name)
{
    static char paths[8][256];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    for (size_t i = 0; i < files_count; i++) {
        if (strcmp(files[i], path) == 0) {
            return path;
        }
    }
    assert_true(files_count < FILES_MAX);
    memcpy(files[files_count++], path, sizeof(paths[0]));
    return path;
}

void test_write_file(const char *name, const char *text)
{
    FILE *file = fopen(test_path(name), "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_cert(const char *cn, EVP_PKEY *key, int days)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    (void)X509_set_version(cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), days < 0 ? -86400 * 30 : -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
    X509_NAME *name = X509_get_subject_name(cert);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
                                     0);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    return cert;
}

static void write_cert(const char *name, X509 *cert)
{
    char file_name[64];
    (void)snprintf(file_name, sizeof(file_name), "%s.pem", name);
    FILE *file = fopen(test_path(file_name), "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    (void)fclose(file);
}

void test_ca_make(const char *name)
{
    assert_true(cas_count < CAS_MAX);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(name, key, 10);
    (void)X509_set_issuer_name(cert, X509_get_subject_name(cert));
    add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, cert, NID_subject_key_identifier, "hash");
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    write_cert(name, cert);
    (void)snprintf(cas[cas_count].name, sizeof(cas[0].name), "%s", name);
    cas[cas_count].key = key;
    cas[cas_count++].cert = cert;
}

void test_cert_make(const char *ca, const char *name, const char *uri, int days)
{
    char text[256];
    size_t number = 0;
    while (number < cas_count && strcmp(cas[number].name, ca) != 0) {
        number++;
    }
    assert_true(number < cas_count);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(name, key, days);
    (void)X509_set_issuer_name(cert, X509_get_subject_name(cas[number].cert));
    (void)snprintf(text, sizeof(text), "%s%s%sDNS:localhost,IP:127.0.0.1,IP:::1",
                   uri != NULL ? "URI:" : "", uri != NULL ? uri : "", uri != NULL ? "," : "");
    add_extension(cert, cas[number].cert, NID_subject_alt_name, text);
    add_extension(cert, cas[number].cert, NID_ext_key_usage, "serverAuth,clientAuth");
    assert_true(X509_sign(cert, cas[number].key, EVP_sha256()) > 0);
    write_cert(name, cert);
    (void)snprintf(text, sizeof(text), "%s.key", name);
    FILE *file = fopen(test_path(text), "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

struct io_tls *test_tls(const char *ca, const char *name, enum io_tls_verify verify)
{
    char cert_name[64];
    char key_name[64];
    char ca_name[64];
    struct io_tls *tls = NULL;
    struct io_why why = {""};
    (void)snprintf(cert_name, sizeof(cert_name), "%s.pem", name);
    (void)snprintf(key_name, sizeof(key_name), "%s.key", name);
    (void)snprintf(ca_name, sizeof(ca_name), "%s.pem", ca);
    const struct io_tls_options options = {
        .cert_file = test_path(cert_name),
        .key_file = test_path(key_name),
        .ca_file = test_path(ca_name),
        .verify = verify,
        .has_http2 = true,
    };
    int status = io_tls_new(&options, &tls, &why);
    if (status != 0) {
        fail_msg("io_tls_new: %s", why.text);
    }
    return tls;
}

struct io_address test_loopback(uint16_t port)
{
    return (struct io_address){.host = "127.0.0.1", .port = port};
}
