/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text, and the one-line error texts. Any thread; no sockets, no name resolution. */
#include "proto/io/address.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void io_why_set(struct io_why *why, const char *format, ...)
{
    if (why == NULL) {
        return;
    }
    char text[sizeof(why->text)]; /* the arguments may point into why itself */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
    memcpy(why->text, text, sizeof(text));
}

static bool take_prefix(struct slice *text, struct slice prefix)
{
    if (!slice_has_prefix(*text, prefix)) {
        return false;
    }
    *text = slice_skip(*text, prefix.len);
    return true;
}

static enum io_scheme take_scheme(struct slice *text)
{
    if (take_prefix(text, SLICE_LIT("http://"))) {
        return IO_SCHEME_HTTP;
    }
    return take_prefix(text, SLICE_LIT("https://")) ? IO_SCHEME_HTTPS : IO_SCHEME_NONE;
}

/* Cuts HOST[:PORT] into two; ret_port is empty when there is none. */
static int split_port(struct slice text, struct slice *ret_host, struct slice *ret_port)
{
    const uint8_t *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
    if (text.len > 0 && text.data[0] == '[') {
        const uint8_t *end = memchr(text.data, ']', text.len);
        if (end == NULL) {
            return BASE_E_INVALID;
        }
        size_t inside = (size_t)(end - text.data) - 1;
        struct slice rest = slice_skip(text, inside + 2);
        if (rest.len > 0 && rest.data[0] != ':') {
            return BASE_E_INVALID;
        }
        *ret_host = slice_from(text.data + 1, inside);
        *ret_port = slice_skip(rest, 1);
        return rest.len == 1 ? BASE_E_INVALID : 0;
    }
    if (colon == NULL ||
        memchr(colon + 1, ':', text.len - (size_t)(colon + 1 - text.data)) != NULL) {
        *ret_host = text; /* no port, or a bare IPv6 address */
        *ret_port = SLICE_EMPTY;
        return 0;
    }
    *ret_host = slice_from(text.data, (size_t)(colon - text.data));
    *ret_port = slice_skip(text, ret_host->len + 1);
    return ret_port->len == 0 ? BASE_E_INVALID : 0;
}

static bool is_host_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '%';
}

static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_byte(host.data[i])) {
            return false;
        }
    }
    char text[BASE_TEXT_MAX + 1] = "";
    if (host.len > BASE_TEXT_MAX) {
        return false;
    }
    if (host.len > 0 && memchr(host.data, ':', host.len) != NULL) {
        memcpy(text, host.data, host.len);
        char *scope = strchr(text, '%');
        struct in6_addr address;
        if (scope != NULL) {
            *scope = '\0';
        }
        return inet_pton(AF_INET6, text, &address) == 1;
    }
    return true;
}

/* HOST[:PORT] without scheme; false when it is malformed. */
static bool parse_host_port(struct slice text, uint16_t default_port, struct io_address *ret)
{
    struct slice host;
    struct slice port;
    uint64_t number = default_port;
    if (split_port(text, &host, &port) != 0) {
        return false;
    }
    if (slice_equal(host, SLICE_LIT("*"))) {
        host = SLICE_EMPTY;
    }
    if (!is_host(host) || (port.len == 0 && default_port == 0)) {
        return false;
    }
    if (port.len > 0 && (slice_to_u64(port, &number) != 0 || number > UINT16_MAX)) {
        return false;
    }
    if (host.len > 0) {
        memcpy(ret->host, host.data, host.len);
    }
    ret->port = (uint16_t)number;
    return true;
}

int io_address_parse(struct slice text, uint16_t default_port, struct io_address *ret,
                     struct io_why *why)
{
    struct io_address address = {.port = 0};
    struct slice rest = text;
    address.scheme = take_scheme(&rest);
    if (rest.len > 0 && rest.data[rest.len - 1] == '/') {
        rest.len--;
    }
    if (!parse_host_port(rest, default_port, &address)) {
        io_why_set(why, "'%.*s' is not an address; allowed: HOST:PORT, [IPv6]:PORT%s",
                   (int)(text.len < 200 ? text.len : 200),
                   text.len > 0 ? (const char *)text.data : "", default_port != 0 ? ", HOST" : "");
        return BASE_E_INVALID;
    }
    *ret = address;
    return 0;
}

const char *io_address_text(const struct io_address *address, char *memory, size_t cap)
{
    const char *host = address->host[0] != '\0' ? address->host : "*";
    bool is_six = strchr(host, ':') != NULL;
    (void)snprintf(memory, cap, "%s%s%s:%u", is_six ? "[" : "", host, is_six ? "]" : "",
                   (unsigned)address->port);
    return memory;
}

bool io_address_is_loopback(const struct io_address *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (strcmp(address->host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, address->host, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, address->host, &six) != 1) {
        return false;
    }
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

bool io_address_is_numeric(const struct io_address *address)
{
    struct in6_addr six;
    struct in_addr four;
    return inet_pton(AF_INET, address->host, &four) == 1 ||
           inet_pton(AF_INET6, address->host, &six) == 1 || strchr(address->host, '%') != NULL;
}
