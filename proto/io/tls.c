/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts from files, their renewal, and texts for failed handshakes. See tls.h.
 *
 * One SSL_CTX serves both directions (server or client is chosen per connection). No session cache,
 * no tickets, buffers released when idle: a quiet connection costs little memory. Never logs or
 * prints keys.
 */
#include "proto/io/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/assert.h"
#include "base/name.h"
#include "proto/io/log.h"
#include "proto/io/revoke.h"

#define RELOAD_US (5 * BASE_US_PER_S)
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define FILES 4 /* certificate, key, authorities, revoked ones */

struct file {
    char *path; /* NULL: none */
    struct stat seen;
};

struct io_tls {
    struct file files[FILES];
    enum io_tls_verify verify;
    bool has_http2;
    SSL_CTX *ctx;
    struct io_revoked *revoked; /* shared with the connections */
    struct io_identity own;
    struct io_timer timer;
};
enum { FILE_CERT, FILE_KEY, FILE_CA, FILE_CRL };

/* The handshake that fails tells io_tls_why, on the same thread, what was wrong with which
 * certificate. */
static _Thread_local struct io_why verify_why;

static void describe_time(const ASN1_TIME *time, char *memory, size_t cap)
{
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1 ||
        strftime(memory, cap, "%F %T UTC", &parts) == 0) {
        memory[0] = '\0';
    }
}

static void name_cn(X509_NAME *name, char *memory, size_t cap)
{
    if (name == NULL || X509_NAME_get_text_by_NID(name, NID_commonName, memory, (int)cap) < 0) {
        memory[0] = '\0';
    }
}

static void describe_failure(X509 *cert, int error)
{
    char subject[80] = "";
    char issuer[80] = "";
    char when[40] = "";
    if (cert != NULL) {
        name_cn(X509_get_subject_name(cert), subject, sizeof(subject));
        name_cn(X509_get_issuer_name(cert), issuer, sizeof(issuer));
    }
    if (error == X509_V_ERR_CERT_HAS_EXPIRED) {
        describe_time(X509_get0_notAfter(cert), when, sizeof(when));
        io_why_set(&verify_why,
                   "certificate '%s' of the other side has expired (%s); issue a new one", subject,
                   when);
    } else if (error == X509_V_ERR_CERT_NOT_YET_VALID) {
        describe_time(X509_get0_notBefore(cert), when, sizeof(when));
        io_why_set(&verify_why,
                   "certificate '%s' of the other side is not valid before %s; check the clocks",
                   subject, when);
    } else if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
               error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
               error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
               error == X509_V_ERR_CERT_SIGNATURE_FAILURE ||
               error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE) {
        io_why_set(
            &verify_why,
            "certificate '%s' of the other side is from a foreign authority ('%s'); both sides "
            "need certificates of the same authority",
            subject, issuer);
    } else if (error == X509_V_ERR_CERT_REVOKED) {
        io_why_set(&verify_why,
                   "certificate '%s' of the other side has been revoked; issue a new one", subject);
    } else if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        io_why_set(&verify_why,
                   "certificate '%s' of the other side does not name the address we connected to; "
                   "issue it with --host",
                   subject);
    } else {
        io_why_set(&verify_why, "certificate '%s' of the other side was refused: %s", subject,
                   X509_verify_cert_error_string(error));
    }
}

static bool is_revoked(X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    return ssl != NULL && X509_STORE_CTX_get_error_depth(store) == 0 &&
           io_revoked_has(io_revoked_of(ssl), X509_STORE_CTX_get_current_cert(store));
}

static int verified(int is_ok, X509_STORE_CTX *store)
{
    if (is_ok == 1 && is_revoked(store)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
        is_ok = 0;
    }
    if (is_ok != 1) {
        describe_failure(X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get_error(store));
    }
    return is_ok;
}

static const char *last_openssl_text(void)
{
    unsigned long code = ERR_peek_last_error();
    if (ERR_SYSTEM_ERROR(code)) {
        return strerror((int)ERR_GET_REASON(code));
    }
    const char *reason = ERR_reason_error_string(code);
    return reason != NULL ? reason : "unknown error";
}

static int cannot_use(const char *what, const char *path, struct io_why *why)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        io_why_set(why, "cannot read %s file %s: %s", what, path, strerror(errno));
        ERR_clear_error();
        return BASE_E_IO;
    }
    io_why_set(why, "cannot use %s file %s: %s", what, path, last_openssl_text());
    ERR_clear_error();
    return BASE_E_TLS;
}

/* ALPN on the server: the first of `list` that the client offers, else none at all. */
static int choose(struct slice list, const unsigned char **ret, unsigned char *ret_len,
                  struct slice offered)
{
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, ret_len, list.data, (unsigned)list.len, offered.data,
                              (unsigned)offered.len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int choose_http2(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                        const unsigned char *in, unsigned in_len, void *ctx)
{
    (void)ssl;
    (void)ctx;
    return choose(SLICE_LIT("\x02h2\x08http/1.1"), ret, ret_len, slice_from(in, in_len));
}

static int choose_http1(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                        const unsigned char *in, unsigned in_len, void *ctx)
{
    (void)ssl;
    (void)ctx;
    return choose(SLICE_LIT("\x08http/1.1"), ret, ret_len, slice_from(in, in_len));
}

static void set_basics(const struct io_tls *tls, SSL_CTX *ctx)
{
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    BASE_ASSERT(SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12) == 1);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_alpn_select_cb(ctx, tls->has_http2 ? choose_http2 : choose_http1, NULL);
}

static int check_dates(const X509 *cert, const char *path, struct io_why *why)
{
    char when[40];
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        describe_time(X509_get0_notAfter(cert), when, sizeof(when));
        io_why_set(why, "certificate file %s has expired (%s); issue a new one", path, when);
        return BASE_E_TLS;
    }
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        describe_time(X509_get0_notBefore(cert), when, sizeof(when));
        io_why_set(why, "certificate file %s is not valid before %s; check the clock", path, when);
        return BASE_E_TLS;
    }
    return 0;
}

static int load_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct io_why *why)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
        return cannot_use("certificate", cert_file, why);
    }
    int status = check_dates(SSL_CTX_get0_certificate(ctx), cert_file, why);
    if (status != 0) {
        return status;
    }
    if (key_file == NULL) {
        io_why_set(why, "certificate file %s needs a key file", cert_file);
        return BASE_E_INVALID;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1) {
        if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH) {
            io_why_set(why, "key file %s does not belong to certificate file %s", key_file,
                       cert_file);
            ERR_clear_error();
            return BASE_E_TLS;
        }
        return cannot_use("key", key_file, why);
    }
    return 0;
}

static struct io_identity certificate_identity(X509 *cert)
{
    struct io_identity identity = {.has_certificate = true};
    char text[BASE_TEXT_MAX + 1];
    unsigned found = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
            struct slice bytes =
                slice_from(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
            found += io_identity_from_uri(bytes, &identity) == 0;
        }
    }
    GENERAL_NAMES_free(names);
    if (found != 1) {
        identity = (struct io_identity){.net.role = NET_ROLE_NONE};
    }
    name_cn(X509_get_subject_name(cert), text, sizeof(text));
    identity.common_name = base_text_from(slice_from_text(text));
    identity.has_certificate = true;
    return identity;
}

static int load_ctx(const struct io_tls *tls, SSL_CTX **ret, struct io_why *why)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL) {
        io_why_set(why, "cannot make a TLS context: %s", last_openssl_text());
        return BASE_E_NOMEM;
    }
    int status = 0;
    set_basics(tls, ctx);
    if (tls->files[FILE_CERT].path != NULL) {
        status = load_pair(ctx, tls->files[FILE_CERT].path, tls->files[FILE_KEY].path, why);
    }
    const char *ca_file = tls->files[FILE_CA].path;
    if (status == 0 && ca_file != NULL && SSL_CTX_load_verify_file(ctx, ca_file) != 1) {
        status = cannot_use("authority", ca_file, why);
    }
    if (status == 0 && ca_file == NULL && tls->verify != IO_TLS_VERIFY_NONE) {
        io_why_set(why, "a file of trusted authorities is needed to check certificates");
        status = BASE_E_INVALID;
    }
    if (status != 0) {
        SSL_CTX_free(ctx);
        return status;
    }
    *ret = ctx;
    return 0;
}

static void look_at_files(const struct io_tls *tls, struct stat ret[FILES])
{
    for (int i = 0; i < FILES; i++) {
        memset(&ret[i], 0, sizeof(ret[i]));
        if (tls->files[i].path != NULL && stat(tls->files[i].path, &ret[i]) != 0) {
            memset(&ret[i], 0, sizeof(ret[i]));
        }
    }
}

static int load(struct io_tls *tls, const struct stat seen[FILES], struct io_why *why)
{
    SSL_CTX *ctx = NULL;
    int status = load_ctx(tls, &ctx, why);
    if (status == 0 && tls->files[FILE_CRL].path != NULL) {
        status =
            io_revoked_load(tls->revoked, tls->files[FILE_CRL].path, tls->files[FILE_CA].path, why);
    }
    if (status != 0) {
        SSL_CTX_free(ctx);
        return status;
    }
    SSL_CTX_free(tls->ctx);
    tls->ctx = ctx;
    X509 *own = SSL_CTX_get0_certificate(ctx);
    tls->own = own != NULL ? certificate_identity(own) : (struct io_identity){0};
    for (int i = 0; i < FILES; i++) {
        tls->files[i].seen = seen[i];
    }
    return 0;
}

static char *copy_path(const char *path)
{
    return path != NULL && path[0] != '\0' ? strdup(path) : NULL;
}

int io_tls_new(const struct io_tls_options *options, struct io_tls **ret, struct io_why *why)
{
    struct stat seen[FILES];
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    struct io_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return BASE_E_NOMEM;
    }
    tls->verify = options->verify;
    tls->has_http2 = options->has_http2;
    tls->files[FILE_CERT].path = copy_path(options->cert_file);
    tls->files[FILE_KEY].path = copy_path(options->key_file);
    tls->files[FILE_CA].path = copy_path(options->ca_file);
    tls->files[FILE_CRL].path = options->ca_file != NULL ? copy_path(options->revoked_file) : NULL;
    tls->revoked = io_revoked_new();
    look_at_files(tls, seen);
    int status = load(tls, seen, why);
    if (status != 0) {
        (void)io_tls_free(tls);
        return status;
    }
    *ret = tls;
    return 0;
}

struct io_tls *io_tls_free(struct io_tls *tls)
{
    if (tls == NULL) {
        return NULL;
    }
    if (tls->timer.loop != NULL) {
        io_timer_stop(&tls->timer);
    }
    SSL_CTX_free(tls->ctx);
    tls->revoked = io_revoked_drop(tls->revoked);
    for (int i = 0; i < FILES; i++) {
        free(tls->files[i].path);
    }
    free(tls);
    return NULL;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int io_tls_reload(struct io_tls *tls, struct io_why *why)
{
    struct stat seen[FILES];
    bool is_same = true;
    look_at_files(tls, seen);
    for (int i = 0; i < FILES; i++) {
        is_same = is_same && is_same_file(&seen[i], &tls->files[i].seen);
    }
    if (is_same) {
        return 0;
    }
    int status = load(tls, seen, why);
    return status == 0 ? 1 : status;
}

static void watch_fired(void *ctx)
{
    struct io_tls *tls = ctx;
    struct io_why why;
    int status = io_tls_reload(tls, &why);
    if (status < 0) {
        IO_LOG_WARN("tls", "reload_failed", io_err(status), io_text("why", why.text),
                    io_text("next", "the old files stay in force"));
    } else if (status > 0) {
        IO_LOG_NOTICE("tls", "reloaded", io_text("file", tls->files[FILE_CERT].path));
    }
    io_timer_start_in_us(&tls->timer, RELOAD_US);
}

void io_tls_watch(struct io_tls *tls, struct io_loop *loop)
{
    io_timer_init(&tls->timer, loop, watch_fired, tls);
    io_timer_start_in_us(&tls->timer, RELOAD_US);
}

struct io_identity io_tls_own_identity(const struct io_tls *tls)
{
    return tls->own;
}

int64_t io_tls_own_end_us(const struct io_tls *tls)
{
    struct tm parts;
    const X509 *own = SSL_CTX_get0_certificate(tls->ctx);
    if (own == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(own), &parts) != 1) {
        return 0;
    }
    return (int64_t)timegm(&parts) * BASE_US_PER_S;
}

SSL *io_tls_accept_ssl(struct io_tls *tls)
{
    static const int modes[] = {
        [IO_TLS_VERIFY_NONE] = SSL_VERIFY_NONE,
        [IO_TLS_VERIFY_OPTIONAL] = SSL_VERIFY_PEER,
        [IO_TLS_VERIFY_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    SSL *ssl = SSL_new(tls->ctx);
    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
        io_revoked_attach(tls->revoked, ssl);
        SSL_set_verify(ssl, modes[tls->verify], verified);
    }
    return ssl;
}

static bool set_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct io_address address = {.port = 1};
    memcpy(address.host, host, strlen(host) < BASE_TEXT_MAX ? strlen(host) : BASE_TEXT_MAX);
    if (io_address_is_numeric(&address)) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    }
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, address.host) == 1;
}

SSL *io_tls_connect_ssl(struct io_tls *tls, const char *verify_host, bool wants_http2)
{
    static const unsigned char http2[] = {2, 'h', '2'};
    SSL *ssl = SSL_new(tls->ctx);
    if (ssl == NULL) {
        return NULL;
    }
    SSL_set_connect_state(ssl);
    io_revoked_attach(tls->revoked, ssl);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, verified);
    if ((wants_http2 && SSL_set_alpn_protos(ssl, http2, sizeof(http2)) != 0) ||
        (verify_host != NULL && !set_host(ssl, verify_host))) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

struct io_identity io_tls_identity(const SSL *ssl)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        return (struct io_identity){.net.role = NET_ROLE_NONE};
    }
    return certificate_identity(cert);
}

/* What the other side's alert means; NULL: nothing special. */
static const char *alert_text(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the other side refuses our certificate: it has expired";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        return "the other side refuses our certificate: it was revoked";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "the other side refuses our certificate: it is from a foreign authority";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the other side wants a certificate that we did not show, or no common cipher";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return "the other side refuses our certificate: wrong kind or wrong name";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "the other side shows no certificate; one of our authority is required";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_UNEXPECTED_MESSAGE:
        return "the other side does not speak TLS";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "the other side wants a TLS version below 1.2";
    default:
        return NULL;
    }
}

void io_tls_why(const SSL *ssl, struct io_why *why)
{
    unsigned long code = ERR_peek_error();
    const char *text = alert_text(ERR_GET_REASON(code));
    if (SSL_get_verify_result(ssl) != X509_V_OK && verify_why.text[0] != '\0') {
        io_why_set(why, "%s", verify_why.text);
    } else if (text != NULL) {
        io_why_set(why, "%s", text);
    } else if (code == 0) {
        io_why_set(why, "the other side closed the connection during the TLS handshake");
    } else {
        io_why_set(why, "TLS failure: %s", last_openssl_text());
    }
    verify_why.text[0] = '\0';
    ERR_clear_error();
}
