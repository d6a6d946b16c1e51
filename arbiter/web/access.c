/* SPDX-License-Identifier: Apache-2.0 */
/* Who may look; see access.h. */
#include "arbiter/web/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "proto/io/log.h"

#define LINE_MAX_BYTES 512

static bool digest_of(struct slice text, uint8_t ret[WEB_DIGEST_BYTES])
{
    unsigned len = 0;
    return EVP_Digest(text.data, text.len, ret, &len, EVP_sha256(), NULL) == 1 &&
           len == WEB_DIGEST_BYTES;
}

/* --- the file --- */

static int add_line(struct web_access *access, const char *line, const char *file, size_t number,
                    struct io_why *why)
{
    size_t len = strcspn(line, "\r\n");
    const char *colon = memchr(line, ':', len);
    if (len == 0 || line[0] == '#') {
        return 0;
    }
    if (colon == NULL || colon == line || colon == line + len - 1) {
        io_why_set(why, "%s, line %zu: not name:password", file, number);
        return BASE_E_INVALID;
    }
    if (access->count == WEB_PASSWORDS_MAX) {
        io_why_set(why, "%s: more than %d passwords", file, WEB_PASSWORDS_MAX);
        return BASE_E_INVALID;
    }
    return digest_of(slice_from(line, len), access->digests[access->count++]) ? 0 : BASE_E_INVALID;
}

static int read_lines(struct web_access *access, FILE *in, const char *file, struct io_why *why)
{
    char line[LINE_MAX_BYTES];
    int rc = 0;
    for (size_t number = 1; rc == 0 && fgets(line, sizeof(line), in) != NULL; number++) {
        rc = add_line(access, line, file, number, why);
    }
    OPENSSL_cleanse(line, sizeof(line));
    return rc;
}

int web_access_read(struct web_access *access, const char *file, struct io_why *why)
{
    struct stat info;
    struct web_access next = {.count = 0};
    FILE *in = fopen(file, "re");
    if (in == NULL || fstat(fileno(in), &info) != 0) {
        io_why_set(why, "cannot read %s: %s", file, strerror(errno));
        if (in != NULL) {
            (void)fclose(in);
        }
        return BASE_E_IO;
    }
    int rc = 0;
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        io_why_set(why, "%s may be read by others; chmod 600 %s", file, file);
        rc = BASE_E_DENIED;
    }
    rc = rc != 0 ? rc : read_lines(&next, in, file, why);
    (void)fclose(in);
    access->seen = info;
    if (rc == 0) {
        access->count = next.count;
        memcpy(access->digests, next.digests, sizeof(access->digests));
    }
    return rc;
}

static bool is_as_seen(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool web_access_refresh(struct web_access *access, const char *file, struct base_mono now)
{
    struct io_why why = {""};
    struct stat info;
    if (file[0] == '\0' || base_mono_diff_us(now, access->looked_at) < WEB_LOOK_US) {
        return false;
    }
    access->looked_at = now;
    if (stat(file, &info) != 0 || is_as_seen(&info, &access->seen)) {
        return false; /* gone for a moment: the passwords that were read stay */
    }
    int rc = web_access_read(access, file, &why);
    if (rc != 0) {
        access->seen = info; /* told once */
        IO_LOG_WARN("web", "reload_failed", io_err(rc), io_text("why", why.text),
                    io_text("next", "the passwords that were read before stay in force"));
        return false;
    }
    IO_LOG_NOTICE("web", "reloaded", io_text("file", file), io_u64("passwords", access->count));
    return true;
}

/* --- looking --- */

bool web_access_is_host(struct slice host)
{
    size_t len = 0;
    bool is_address = true;
    if (host.len == 0 || host.data[0] == '[') {
        return true;
    }
    for (; len < host.len && host.data[len] != ':'; len++) {
        uint8_t c = host.data[len];
        is_address = is_address && ((c >= '0' && c <= '9') || c == '.');
    }
    return is_address || slice_equal(slice_from(host.data, len), SLICE_LIT("localhost"));
}

bool web_access_is_known(const struct web_access *access, struct slice credentials)
{
    uint8_t digest[WEB_DIGEST_BYTES];
    bool is_known = false;
    if (!digest_of(credentials, digest)) {
        return false;
    }
    for (size_t i = 0; i < access->count; i++) { /* all of them: no time tells which */
        is_known |= CRYPTO_memcmp(digest, access->digests[i], sizeof(digest)) == 0;
    }
    return is_known;
}

/* "Basic dXNlcjpwYXNz" */
static bool has_password(const struct web_access *access, struct slice header)
{
    uint8_t decoded[LINE_MAX_BYTES];
    struct slice text = slice_skip(header, SLICE_LIT("Basic ").len);
    if (!slice_has_prefix(header, SLICE_LIT("Basic ")) || text.len == 0 || text.len % 4 != 0 ||
        text.len > sizeof(decoded) / 4 * 4) {
        return false;
    }
    int len = EVP_DecodeBlock(decoded, text.data, (int)text.len);
    for (size_t i = text.len; len > 0 && i-- > 0 && text.data[i] == '=';) {
        len--; /* EVP_DecodeBlock counts padding as zero bytes */
    }
    bool is_known = len > 0 && web_access_is_known(access, slice_from(decoded, (size_t)len));
    OPENSSL_cleanse(decoded, sizeof(decoded));
    return is_known;
}

static enum web_verdict look_password(struct web_access *access, struct slice header,
                                      struct base_mono now)
{
    if (access->count == 0) {
        return WEB_MAY_NOT;
    }
    if (header.len == 0) {
        return WEB_ASK;
    }
    if (base_mono_diff_us(now, access->wrong_since) > WEB_WRONG_US) {
        access->wrong = 0;
        access->wrong_since = now;
    }
    if (access->wrong >= WEB_WRONG_MAX) {
        return WEB_SLOW_DOWN;
    }
    if (has_password(access, header)) {
        return WEB_MAY;
    }
    access->wrong++;
    return WEB_ASK;
}

enum web_verdict web_access_look(struct web_access *access, const struct io_http_exchange *exchange,
                                 const struct io_http_request *request, struct base_mono now)
{
    if (!request->is_tls) {
        return web_access_is_host(io_http_header(exchange, "host")) ? WEB_MAY : WEB_WRONG_HOST;
    }
    enum net_role role = request->identity->net.role;
    if (access->is_public || role == NET_ROLE_ADMIN || role == NET_ROLE_VIEWER) {
        return WEB_MAY;
    }
    return look_password(access, io_http_header(exchange, "authorization"), now);
}

void web_access_refuse(struct io_http_exchange *exchange, enum web_verdict verdict)
{
    static const struct {
        int status;
        const char *text;
    } answers[] = {
        [WEB_MAY_NOT] = {403, "Forbidden: this page is for certificates of role viewer or admin "
                              "(kv cert issue --role viewer --name NAME), for who stands in "
                              "status_password_file, or for all with status_public: yes\n"},
        [WEB_ASK] = {401, "Unauthorized: a name and password of status_password_file, or a "
                          "certificate of role viewer or admin\n"},
        [WEB_SLOW_DOWN] = {429, "Too many wrong passwords: try again in some seconds\n"},
        [WEB_WRONG_HOST] = {403, "Forbidden: without TLS this page is found under an address or "
                                 "localhost only\n"},
    };
    if (verdict == WEB_ASK) {
        io_http_add_header(exchange, "WWW-Authenticate",
                           "Basic realm=\"quorate\", charset=\"UTF-8\"");
    }
    io_http_add_header(exchange, "Cache-Control", "no-store");
    io_http_reply(exchange, answers[verdict].status, "text/plain; charset=utf-8",
                  slice_from_text(answers[verdict].text));
}
