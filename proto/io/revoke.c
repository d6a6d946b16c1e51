/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of revoked certificates; see revoke.h. */
#include "proto/io/revoke.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct io_revoked {
    unsigned references;
    uint64_t generation;
    X509_CRL *list; /* NULL: nobody */
};

struct io_revoked *io_revoked_new(void)
{
    struct io_revoked *revoked = calloc(1, sizeof(*revoked));
    if (revoked != NULL) {
        revoked->references = 1;
    }
    return revoked;
}

struct io_revoked *io_revoked_drop(struct io_revoked *revoked)
{
    if (revoked != NULL && --revoked->references == 0) {
        X509_CRL_free(revoked->list);
        free(revoked);
    }
    return NULL;
}

/* --- reading --- */

static X509_CRL *read_list(const char *file, struct io_why *why)
{
    FILE *in = fopen(file, "re");
    if (in == NULL) {
        io_why_set(why, "cannot read %s: %s", file, strerror(errno));
        return NULL;
    }
    X509_CRL *list = PEM_read_X509_CRL(in, NULL, NULL, NULL);
    (void)fclose(in);
    if (list == NULL) {
        io_why_set(why, "%s is no list of revoked certificates in PEM; kv cert revoke makes one",
                   file);
        ERR_clear_error();
    }
    return list;
}

/* Signed by any certificate of the file. */
static bool is_signed(X509_CRL *list, const char *ca_file)
{
    FILE *in = fopen(ca_file, "re");
    X509 *authority = NULL;
    bool is_good = false;
    while (in != NULL && !is_good && (authority = PEM_read_X509(in, NULL, NULL, NULL)) != NULL) {
        is_good = X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1;
        X509_free(authority);
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    ERR_clear_error();
    return is_good;
}

int io_revoked_load(struct io_revoked *revoked, const char *file, const char *ca_file,
                    struct io_why *why)
{
    X509_CRL *list = read_list(file, why);
    if (list == NULL) {
        return BASE_E_INVALID;
    }
    if (!is_signed(list, ca_file)) {
        io_why_set(why, "%s is not signed by the authority in %s", file, ca_file);
        X509_CRL_free(list);
        return BASE_E_DENIED;
    }
    X509_CRL_free(revoked->list);
    revoked->list = list;
    revoked->generation++;
    return 0;
}

bool io_revoked_has(const struct io_revoked *revoked, const X509 *certificate)
{
    X509_REVOKED *found = NULL;
    union { /* OpenSSL only reads it */
        const X509 *in;
        X509 *out;
    } u = {.in = certificate};
    return revoked != NULL && revoked->list != NULL && certificate != NULL &&
           X509_CRL_get0_by_cert(revoked->list, &found, u.out) == 1;
}

uint64_t io_revoked_generation(const struct io_revoked *revoked)
{
    return revoked->generation;
}

/* --- on a connection --- */

static void released(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                     void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    (void)io_revoked_drop(pointer);
}

static int index_of_list(void)
{
    static int index = -1; /* made once, kept as long as the process */
    if (index < 0) {
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, released);
    }
    return index;
}

void io_revoked_attach(struct io_revoked *revoked, SSL *ssl)
{
    if (revoked != NULL && SSL_set_ex_data(ssl, index_of_list(), revoked) == 1) {
        revoked->references++;
    }
}

const struct io_revoked *io_revoked_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, index_of_list());
}
