/* SPDX-License-Identifier: Apache-2.0 */
/* Authority and certificates with OpenSSL 3. Blocking; for the command line only. */
#include "kv/cli/cert_make.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/name.h"

static void x509_free(X509 **certificate)
{
    X509_free(*certificate);
}
static void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
static void file_close(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file);
    }
}
static void bio_free(BIO **bio)
{
    (void)BIO_free(*bio);
}
static void names_free(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}
#define CLEANUP(f) __attribute__((cleanup(f)))

static const char *const role_names[CERT_ROLE_COUNT] = {
    [CERT_ROLE_NODE] = "node",   [CERT_ROLE_AGENT] = "agent",   [CERT_ROLE_MEMBER] = "member",
    [CERT_ROLE_ADMIN] = "admin", [CERT_ROLE_VIEWER] = "viewer",
};

bool cert_role_from_text(const char *text, enum cert_role *ret)
{
    for (int i = 0; i < CERT_ROLE_COUNT; i++) {
        if (strcmp(text, role_names[i]) == 0) {
            *ret = (enum cert_role)i;
            return true;
        }
    }
    return false;
}

__attribute__((format(printf, 3, 4))) static int fail(char error[CERT_ERROR_MAX], int code,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error, CERT_ERROR_MAX, format, arguments);
    va_end(arguments);
    return code;
}

static int fail_openssl(char error[CERT_ERROR_MAX], const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    return fail(error, BASE_E_TLS, "%s: %s", what, reason == NULL ? "OpenSSL failed" : reason);
}

/* Opens a file that must not exist yet. */
static int open_new(const char *path, mode_t mode, FILE **ret, char error[CERT_ERROR_MAX])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        int code = errno == EEXIST ? BASE_E_EXISTS : BASE_E_IO;
        return fail(error, code, "%s: %s%s", path, strerror(errno),
                    errno == EEXIST ? " (remove it, or take another directory)" : "");
    }
    *ret = fdopen(fd, "w");
    if (*ret == NULL) {
        (void)close(fd);
        return fail(error, BASE_E_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int flush_file(FILE *file, const char *path, char error[CERT_ERROR_MAX])
{
    if (fflush(file) != 0 || fsync(fileno(file)) != 0) {
        return fail(error, BASE_E_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int write_key(const char *path, EVP_PKEY *key, char error[CERT_ERROR_MAX])
{
    CLEANUP(file_close) FILE *file = NULL;
    int rc = open_new(path, 0600, &file, error);
    if (rc != 0) {
        return rc;
    }
    if (PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return fail_openssl(error, path);
    }
    return flush_file(file, path, error);
}

static int write_certificate(const char *path, X509 *certificate, char error[CERT_ERROR_MAX])
{
    CLEANUP(file_close) FILE *file = NULL;
    int rc = open_new(path, 0644, &file, error);
    if (rc != 0) {
        return rc;
    }
    if (PEM_write_X509(file, certificate) != 1) {
        return fail_openssl(error, path);
    }
    return flush_file(file, path, error);
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    bytes[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool is_set =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return is_set;
}

static bool set_name(X509_NAME *name, const char *common_name, const char *unit)
{
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Quorate",
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_UTF8, (const unsigned char *)unit, -1,
                                      -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

/* Version, serial, validity and key; five minutes back for clocks that are not quite equal. */
static bool set_basics(X509 *certificate, EVP_PKEY *key, int days)
{
    long start = days < 0 ? (long)(days - 1) * 86400 : -300;
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), start) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * 86400) != NULL &&
           X509_set_pubkey(certificate, key) == 1;
}

static void time_text(const ASN1_TIME *when, char *ret, size_t size)
{
    CLEANUP(bio_free) BIO *bio = BIO_new(BIO_s_mem());
    ret[0] = '\0';
    if (bio != NULL && ASN1_TIME_print_ex(bio, when, ASN1_DTFLGS_ISO8601) == 1) {
        int len = BIO_read(bio, ret, (int)size - 1);
        ret[len < 0 ? 0 : len] = '\0';
    }
}

static void append_host(struct cert_info *info, const char *host)
{
    size_t used = strlen(info->hosts);
    (void)snprintf(info->hosts + used, sizeof(info->hosts) - used, "%s%s", used == 0 ? "" : ",",
                   host);
}

static void describe_name(struct cert_info *info, const GENERAL_NAME *name)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (name->type == GEN_URI) {
        (void)snprintf(info->uri, sizeof(info->uri), "%s",
                       (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier));
    } else if (name->type == GEN_DNS) {
        append_host(info, (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
        int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
        if (inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), host, sizeof(host)) !=
            NULL) {
            append_host(info, host);
        }
    }
}

static void describe(X509 *certificate, struct cert_info *ret)
{
    int days = 0;
    int seconds = 0;
    (void)X509_NAME_oneline(X509_get_subject_name(certificate), ret->subject,
                            (int)sizeof(ret->subject));
    (void)X509_NAME_oneline(X509_get_issuer_name(certificate), ret->issuer,
                            (int)sizeof(ret->issuer));
    time_text(X509_get0_notBefore(certificate), ret->not_before, sizeof(ret->not_before));
    time_text(X509_get0_notAfter(certificate), ret->not_after, sizeof(ret->not_after));
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) == 1) {
        ret->days_left = seconds < 0 && days == 0 ? -1 : days;
    }
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = serial == NULL ? NULL : BN_bn2hex(serial);
    (void)snprintf(ret->serial, sizeof(ret->serial), "%s", hex == NULL ? "" : hex);
    OPENSSL_free(hex);
    BN_free(serial);
    CLEANUP(names_free)
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        describe_name(ret, sk_GENERAL_NAME_value(names, i));
    }
}

static bool make_path(char *ret, size_t size, const char *directory, const char *file)
{
    int len = snprintf(ret, size, "%s/%s", directory, file);
    return len > 0 && (size_t)len < size;
}

static int write_pair(struct cert_info *info, EVP_PKEY *key, X509 *certificate,
                      char error[CERT_ERROR_MAX])
{
    int rc = write_key(info->key_path, key, error);
    if (rc != 0) {
        return rc;
    }
    rc = write_certificate(info->certificate_path, certificate, error);
    if (rc != 0) {
        (void)unlink(info->key_path);
    }
    return rc;
}

int cert_authority_make(const char *directory, const char *name, int days, struct cert_info *ret,
                        char error[CERT_ERROR_MAX])
{
    struct cert_info info = {0};
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return fail(error, BASE_E_IO, "%s: %s", directory, strerror(errno));
    }
    if (!make_path(info.key_path, sizeof(info.key_path), directory, "ca.key") ||
        !make_path(info.certificate_path, sizeof(info.certificate_path), directory, "ca.crt")) {
        return fail(error, BASE_E_INVALID, "%s: path is too long", directory);
    }
    CLEANUP(key_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(x509_free) X509 *certificate = X509_new();
    if (key == NULL || certificate == NULL ||
        !set_basics(certificate, key, days == 0 ? CERT_DAYS_AUTHORITY : days) ||
        !set_name(X509_get_subject_name(certificate), name, "authority") ||
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1 ||
        !add_extension(certificate, certificate, NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(certificate, certificate, NID_subject_key_identifier, "hash") ||
        X509_sign(certificate, key, EVP_sha256()) == 0) {
        return fail_openssl(error, "making the authority");
    }
    int rc = write_pair(&info, key, certificate, error);
    if (rc == 0) {
        describe(certificate, &info);
        *ret = info;
    }
    return rc;
}

static int read_certificate(const char *path, X509 **ret, char error[CERT_ERROR_MAX])
{
    CLEANUP(file_close) FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail(error, BASE_E_NOTFOUND, "%s: %s", path, strerror(errno));
    }
    *ret = PEM_read_X509(file, NULL, NULL, NULL);
    return *ret != NULL ? 0 : fail(error, BASE_E_INVALID, "%s: no PEM certificate in it", path);
}

static int read_key(const char *path, EVP_PKEY **ret, char error[CERT_ERROR_MAX])
{
    CLEANUP(file_close) FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail(error, BASE_E_NOTFOUND, "%s: %s", path, strerror(errno));
    }
    *ret = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    return *ret != NULL ? 0 : fail(error, BASE_E_INVALID, "%s: no PEM key in it", path);
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* "URI:quorate://...,DNS:...,IP:..." for X509V3_EXT_conf_nid; hosts were checked before. */
static bool alternative_names(const struct cert_spec *spec, char *ret, size_t size)
{
    int len = 0;
    bool has_cluster = spec->role == CERT_ROLE_AGENT || spec->role == CERT_ROLE_MEMBER;
    len = snprintf(ret, size, "URI:quorate://%s/%s%s%s", role_names[spec->role],
                   has_cluster ? spec->cluster : "", has_cluster ? "/" : "", spec->name);
    for (size_t i = 0; i < spec->hosts_count && len > 0 && (size_t)len < size; i++) {
        len += snprintf(ret + len, size - (size_t)len, ",%s:%s",
                        is_address(spec->hosts[i]) ? "IP" : "DNS", spec->hosts[i]);
    }
    return len > 0 && (size_t)len < size;
}

/* An address, or a name; what has a comma or a colon in it could bring a second identity along. */
static bool is_host(const char *host)
{
    size_t len = strlen(host);
    return is_address(host) ||
           (len > 0 && len <= 253 &&
            strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*") ==
                len);
}

static int check_spec(const struct cert_spec *spec, char error[CERT_ERROR_MAX])
{
    struct base_name name;
    bool has_cluster = spec->role == CERT_ROLE_AGENT || spec->role == CERT_ROLE_MEMBER;
    if (spec->name == NULL || base_name_from_text(spec->name, &name) != 0) {
        return fail(error, BASE_E_INVALID,
                    "name '%s': want 1 to 63 of a-z 0-9 - _, a letter or digit first",
                    spec->name == NULL ? "" : spec->name);
    }
    if (has_cluster && (spec->cluster == NULL || base_name_from_text(spec->cluster, &name) != 0)) {
        return fail(error, BASE_E_INVALID, "role %s needs --cluster NAME (a-z 0-9 - _)",
                    role_names[spec->role]);
    }
    if (!has_cluster && spec->cluster != NULL) {
        return fail(error, BASE_E_INVALID, "role %s belongs to no cluster: leave --cluster out",
                    role_names[spec->role]);
    }
    if (spec->role == CERT_ROLE_NODE && spec->hosts_count == 0) {
        return fail(error, BASE_E_INVALID,
                    "role node needs --host with each name and address that others connect to");
    }
    for (size_t i = 0; i < spec->hosts_count; i++) {
        if (!is_host(spec->hosts[i])) {
            return fail(error, BASE_E_INVALID, "host '%s' is no name and no address",
                        spec->hosts[i]);
        }
    }
    return 0;
}

static bool fill_leaf(X509 *certificate, X509 *authority, EVP_PKEY *key,
                      const struct cert_spec *spec)
{
    char names[8192];
    return alternative_names(spec, names, sizeof(names)) &&
           set_basics(certificate, key, spec->days == 0 ? CERT_DAYS_LEAF : spec->days) &&
           set_name(X509_get_subject_name(certificate), spec->name, role_names[spec->role]) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(authority)) == 1 &&
           add_extension(certificate, authority, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, authority, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, authority, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, authority, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, authority, NID_authority_key_identifier, "keyid") &&
           add_extension(certificate, authority, NID_subject_alt_name, names);
}

static int leaf_paths(const struct cert_spec *spec, struct cert_info *info,
                      char error[CERT_ERROR_MAX])
{
    const char *cluster = spec->cluster == NULL ? "" : spec->cluster;
    const char *dash = spec->cluster == NULL ? "" : "-";
    int a = snprintf(info->certificate_path, sizeof(info->certificate_path), "%s/%s-%s%s%s.crt",
                     spec->directory, role_names[spec->role], cluster, dash, spec->name);
    int b = snprintf(info->key_path, sizeof(info->key_path), "%s/%s-%s%s%s.key", spec->directory,
                     role_names[spec->role], cluster, dash, spec->name);
    if (a < 0 || b < 0 || (size_t)a >= sizeof(info->certificate_path)) {
        return fail(error, BASE_E_INVALID, "%s: path is too long", spec->directory);
    }
    return 0;
}

static int read_authority(const char *directory, X509 **ret_certificate, EVP_PKEY **ret_key,
                          char error[CERT_ERROR_MAX])
{
    char path[1024];
    if (!make_path(path, sizeof(path), directory, "ca.crt")) {
        return fail(error, BASE_E_INVALID, "%s: path is too long", directory);
    }
    int rc = read_certificate(path, ret_certificate, error);
    if (rc != 0) {
        size_t used = strlen(error);
        (void)snprintf(error + used, CERT_ERROR_MAX - used,
                       "; make an authority first: kv cert ca --dir %s", directory);
        return rc;
    }
    (void)make_path(path, sizeof(path), directory, "ca.key");
    rc = read_key(path, ret_key, error);
    if (rc == 0 && X509_check_private_key(*ret_certificate, *ret_key) != 1) {
        rc = fail(error, BASE_E_INVALID, "%s does not belong to ca.crt beside it", path);
    }
    return rc;
}

int cert_issue(const struct cert_spec *spec, struct cert_info *ret, char error[CERT_ERROR_MAX])
{
    struct cert_info info = {0};
    CLEANUP(x509_free) X509 *authority = NULL;
    CLEANUP(key_free) EVP_PKEY *authority_key = NULL;
    int rc = check_spec(spec, error);
    rc = rc != 0 ? rc : leaf_paths(spec, &info, error);
    rc = rc != 0 ? rc : read_authority(spec->directory, &authority, &authority_key, error);
    if (rc != 0) {
        return rc;
    }
    CLEANUP(key_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(x509_free) X509 *certificate = X509_new();
    if (key == NULL || certificate == NULL || !fill_leaf(certificate, authority, key, spec) ||
        X509_sign(certificate, authority_key, EVP_sha256()) == 0) {
        return fail_openssl(error, "issuing the certificate");
    }
    rc = write_pair(&info, key, certificate, error);
    if (rc == 0) {
        describe(certificate, &info);
        *ret = info;
    }
    return rc;
}

int cert_show(const char *path, struct cert_info *ret, char error[CERT_ERROR_MAX])
{
    struct cert_info info = {0};
    CLEANUP(x509_free) X509 *certificate = NULL;
    int rc = read_certificate(path, &certificate, error);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(info.certificate_path, sizeof(info.certificate_path), "%s", path);
    describe(certificate, &info);
    *ret = info;
    return 0;
}

int cert_check_signed(const char *path, const char *ca_path, char error[CERT_ERROR_MAX])
{
    CLEANUP(x509_free) X509 *certificate = NULL;
    CLEANUP(x509_free) X509 *authority = NULL;
    int rc = read_certificate(path, &certificate, error);
    rc = rc != 0 ? rc : read_certificate(ca_path, &authority, error);
    if (rc != 0) {
        return rc;
    }
    if (X509_check_issued(authority, certificate) != X509_V_OK ||
        X509_verify(certificate, X509_get0_pubkey(authority)) != 1) {
        ERR_clear_error();
        return fail(error, BASE_E_DENIED, "%s was not signed by %s", path, ca_path);
    }
    return 0;
}
