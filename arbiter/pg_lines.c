/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of pg_hba.conf and pg_ident.conf, looked at before they reach a server: one that cannot be
 * read keeps a server from starting. As the manual's chapter on client authentication has it. */
#include "arbiter/settings_pg.h"

#include <string.h>

#define TOKENS_MAX 24

struct tokens {
    unsigned count;
    struct slice list[TOKENS_MAX];
    const char *fault;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* End of the token that begins at `at`; NULL: a quote is not closed. Quotes may stand within. */
static const char *token_end(const char *at)
{
    bool is_quoted = false;
    while (*at != '\0' && (is_quoted || (!is_blank(*at) && *at != '#'))) {
        is_quoted = is_quoted != (*at == '"');
        at++;
    }
    return is_quoted ? NULL : at;
}

/* A comma with blanks around it goes on with the same field. */
static const char *field_end(const char *at)
{
    for (;;) {
        const char *end = token_end(at);
        if (end == NULL) {
            return NULL;
        }
        const char *next = end;
        while (is_blank(*next)) {
            next++;
        }
        if ((end > at && end[-1] == ',' && *next != '\0' && *next != '#') || *next == ',') {
            at = next;
            continue;
        }
        return end;
    }
}

static struct tokens split(const char *line)
{
    struct tokens t = {.count = 0, .fault = NULL};
    const char *at = line;
    for (;;) {
        while (is_blank(*at)) {
            at++;
        }
        if (*at == '\0' || *at == '#') {
            break;
        }
        const char *end = field_end(at);
        if (end == NULL || t.count == TOKENS_MAX) {
            t.fault = end == NULL ? "a quote is not closed" : "too many fields";
            return t;
        }
        t.list[t.count++] = slice_from(at, (size_t)(end - at));
        at = end;
    }
    size_t len = strlen(line);
    if (len > 0 && line[len - 1] == '\\') {
        t.fault = "a line does not go on in the next one";
    }
    return t;
}

static bool is_one_of(struct slice token, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (slice_equal(token, slice_from_text(*words))) {
            return true;
        }
    }
    return false;
}

/* "10.0.0.1", "::1": digits, dots and colons alone, so that a mask must follow in a field of its
 * own. */
static bool is_bare_address(struct slice token)
{
    bool has_dot = false;
    bool has_colon = false;
    for (size_t i = 0; i < token.len; i++) {
        char c = (char)token.data[i];
        has_dot = has_dot || c == '.';
        has_colon = has_colon || c == ':';
        if (c == '\0' || strchr("0123456789abcdefABCDEF.:", c) == NULL) {
            return false;
        }
    }
    bool is_digit = token.len > 0 && token.data[0] >= '0' && token.data[0] <= '9';
    return has_colon || (has_dot && is_digit);
}

static const char *options_fault(const struct tokens *t, unsigned from)
{
    for (unsigned i = from; i < t->count; i++) {
        const uint8_t *equals = memchr(t->list[i].data, '=', t->list[i].len);
        if (equals == NULL || equals == t->list[i].data) {
            return "behind the method stand options NAME=VALUE";
        }
    }
    return NULL;
}

const char *arb_pg_hba_fault(const char *line)
{
    static const char *const hosts[] = {"host",       "hostssl",      "hostnossl",
                                        "hostgssenc", "hostnogssenc", NULL};
    static const char *const methods[] = {
        "trust", "reject", "scram-sha-256", "md5", "password", "gss", "ident",
        "ldap",  "radius", "cert",          "pam", "bsd",      NULL};
    static const char *const local_methods[] = {"trust", "reject", "scram-sha-256", "md5",
                                                "peer",  "ident",  "password",      "ldap",
                                                "pam",   "radius", "bsd",           NULL};
    struct tokens t = split(line);
    if (t.fault != NULL || t.count == 0) {
        return t.fault;
    }
    bool is_local = slice_equal(t.list[0], SLICE_LIT("local"));
    if (!is_local && !is_one_of(t.list[0], hosts)) {
        return "a line begins with local, host, hostssl, hostnossl, hostgssenc or hostnogssenc";
    }
    unsigned method = is_local ? 3 : 4;
    if (!is_local && t.count > 4 && is_bare_address(t.list[3]) && is_bare_address(t.list[4])) {
        method = 5;
    } else if (!is_local && t.count > 3 && is_bare_address(t.list[3])) {
        return "an address needs a mask: ADDRESS/BITS";
    }
    if (t.count <= method) {
        return is_local ? "a line is: local DATABASE USER METHOD"
                        : "a line is: host DATABASE USER ADDRESS METHOD";
    }
    if (!is_one_of(t.list[method], is_local ? local_methods : methods)) {
        return "no such authentication method for this kind of line";
    }
    return options_fault(&t, method + 1);
}

const char *arb_pg_ident_fault(const char *line)
{
    struct tokens t = split(line);
    if (t.fault != NULL || t.count == 0) {
        return t.fault;
    }
    if (t.count != 3) {
        return "a line is: MAP SYSTEM-USER DATABASE-USER";
    }
    return slice_equal(t.list[0], SLICE_LIT(ARB_PG_MAP)) ? "the map " ARB_PG_MAP " is ours" : NULL;
}
