/* SPDX-License-Identifier: Apache-2.0 */
/* A server's TLS context from the files that mongod's options name (hub.h). */
#include <openssl/err.h>
#include <stdio.h>

#include "tests/mongosim/hub.h"

static void why_of(const char *what, const char *path, char *ret)
{
    char text[128];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    snprintf(ret, 256, "%s %.80s: %s", what, path, text);
    ERR_clear_error();
}

SSL_CTX *tls_server(const char *cert_key, const char *ca, bool is_optional, char *ret_why)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        abort();
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"mongosim", 8);
    if (SSL_CTX_use_certificate_chain_file(context, cert_key) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, cert_key, SSL_FILETYPE_PEM) != 1) {
        why_of("certificateKeyFile", cert_key, ret_why);
        SSL_CTX_free(context);
        return NULL;
    }
    if (ca != NULL) {
        if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1) {
            why_of("CAFile", ca, ret_why);
            SSL_CTX_free(context);
            return NULL;
        }
        /* As mongod: with a CA every client shows a certificate, unless it is said otherwise. */
        SSL_CTX_set_verify(
            context, SSL_VERIFY_PEER | (is_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), NULL);
    }
    return context;
}
