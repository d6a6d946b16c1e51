/* SPDX-License-Identifier: Apache-2.0 */
/* The list of revoked certificates (RFC 5280, section 5); see cert_revoke.h. */
#include "kv/cli/cert_revoke.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define PATH_BYTES 1024
#define SECONDS_PER_DAY 86400L

/* What is open while a list is made. */
struct work {
    X509 *authority, *certificate;
    EVP_PKEY *key;
    X509_CRL *list;
};

static void work_free(struct work *w)
{
    X509_free(w->authority);
    X509_free(w->certificate);
    EVP_PKEY_free(w->key);
    X509_CRL_free(w->list);
    ERR_clear_error();
}

static int fail(char error[CERT_ERROR_MAX], int status, const char *what, const char *path)
{
    (void)snprintf(error, CERT_ERROR_MAX, "%.400s: %.100s", path, what);
    return status;
}

static void path_in(char path[PATH_BYTES], const char *directory, const char *name)
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", directory, name);
}

static X509 *read_certificate(const char *path)
{
    FILE *in = fopen(path, "re");
    X509 *certificate = in == NULL ? NULL : PEM_read_X509(in, NULL, NULL, NULL);
    if (in != NULL) {
        (void)fclose(in);
    }
    return certificate;
}

static int read_all(struct work *w, const char *directory, const char *file,
                    char error[CERT_ERROR_MAX])
{
    char path[PATH_BYTES];
    path_in(path, directory, "ca.crt");
    w->authority = read_certificate(path);
    if (w->authority == NULL) {
        return fail(error, BASE_E_IO, "cannot read the authority's certificate", path);
    }
    path_in(path, directory, "ca.key");
    FILE *in = fopen(path, "re");
    w->key = in == NULL ? NULL : PEM_read_PrivateKey(in, NULL, NULL, NULL);
    if (in != NULL) {
        (void)fclose(in);
    }
    if (w->key == NULL) {
        return fail(error, BASE_E_IO, "cannot read the authority's key", path);
    }
    w->certificate = read_certificate(file);
    if (w->certificate == NULL) {
        return fail(error, BASE_E_IO, "cannot read the certificate", file);
    }
    if (X509_verify(w->certificate, w->key) != 1) {
        return fail(error, BASE_E_DENIED, "was not signed by the authority in --dir", file);
    }
    return 0;
}

/* The list that is there, or a new one. */
static int open_list(struct work *w, const char *path, char error[CERT_ERROR_MAX])
{
    FILE *in = fopen(path, "re");
    if (in == NULL && errno == ENOENT) {
        w->list = X509_CRL_new();
        return w->list != NULL && X509_CRL_set_version(w->list, X509_CRL_VERSION_2) == 1 &&
                       X509_CRL_set_issuer_name(w->list, X509_get_subject_name(w->authority)) == 1
                   ? 0
                   : BASE_E_NOMEM;
    }
    w->list = in == NULL ? NULL : PEM_read_X509_CRL(in, NULL, NULL, NULL);
    if (in != NULL) {
        (void)fclose(in);
    }
    if (w->list == NULL) {
        return fail(error, BASE_E_INVALID, "is no list of revoked certificates", path);
    }
    if (X509_CRL_verify(w->list, w->key) != 1) {
        return fail(error, BASE_E_DENIED, "was not signed by the authority in --dir", path);
    }
    return 0;
}

static int add(struct work *w, const char *file, char error[CERT_ERROR_MAX])
{
    X509_REVOKED *entry = NULL;
    ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL));
    ASN1_TIME *later = ASN1_TIME_set(NULL, time(NULL) + CERT_DAYS_LIST * SECONDS_PER_DAY);
    int rc = 0;
    if (X509_CRL_get0_by_cert(w->list, &entry, w->certificate) == 1) {
        rc = fail(error, BASE_E_EXISTS, "is revoked already", file);
    } else if ((entry = X509_REVOKED_new()) == NULL || now == NULL || later == NULL ||
               X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(w->certificate)) != 1 ||
               X509_REVOKED_set_revocationDate(entry, now) != 1 ||
               X509_CRL_add0_revoked(w->list, entry) != 1) {
        X509_REVOKED_free(entry);
        rc = fail(error, BASE_E_NOMEM, "cannot be put on the list", file);
    } else if (X509_CRL_set1_lastUpdate(w->list, now) != 1 ||
               X509_CRL_set1_nextUpdate(w->list, later) != 1 || X509_CRL_sort(w->list) != 1 ||
               X509_CRL_sign(w->list, w->key, EVP_sha256()) <= 0) {
        rc = fail(error, BASE_E_INVALID, "the list cannot be signed", file);
    }
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    return rc;
}

/* Whole or not at all: readers look at it every few seconds. */
static int write_list(X509_CRL *list, const char *path, char error[CERT_ERROR_MAX])
{
    char temporary[PATH_BYTES + 8];
    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *out = fopen(temporary, "we");
    bool is_good = out != NULL && PEM_write_X509_CRL(out, list) == 1 && fflush(out) == 0 &&
                   fsync(fileno(out)) == 0 && fchmod(fileno(out), 0644) == 0;
    if (out != NULL) {
        is_good = fclose(out) == 0 && is_good;
    }
    if (!is_good || rename(temporary, path) != 0) {
        (void)unlink(temporary);
        return fail(error, BASE_E_IO, strerror(errno), path);
    }
    return 0;
}

int cert_revoke(const char *directory, const char *file, struct cert_info *ret,
                char error[CERT_ERROR_MAX])
{
    struct work w = {0};
    char path[PATH_BYTES];
    path_in(path, directory, CERT_LIST_NAME);
    int rc = read_all(&w, directory, file, error);
    rc = rc != 0 ? rc : open_list(&w, path, error);
    rc = rc != 0 ? rc : add(&w, file, error);
    rc = rc != 0 ? rc : write_list(w.list, path, error);
    work_free(&w);
    return rc != 0 ? rc : cert_show(file, ret, error);
}
