/* SPDX-License-Identifier: Apache-2.0 */
/* Who a certificate names: SAN URIs of the form quorate://ROLE/NAME or
 * quorate://ROLE/CLUSTER/MEMBER. No I/O. */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "proto/io/tls.h"

static const struct {
    enum net_role role;
    const char *name;
    bool has_cluster;
} roles[] = {
    {NET_ROLE_NODE, "node", false},     {NET_ROLE_AGENT, "agent", true},
    {NET_ROLE_MEMBER, "member", true},  {NET_ROLE_ADMIN, "admin", false},
    {NET_ROLE_VIEWER, "viewer", false},
};

const char *io_role_name(enum net_role role)
{
    for (size_t i = 0; i < BASE_COUNT_OF(roles); i++) {
        if (roles[i].role == role) {
            return roles[i].name;
        }
    }
    return "nobody";
}

/* Takes the text up to the next '/' (or all of it). */
static struct slice take_part(struct slice *text)
{
    const uint8_t *slash = text->len > 0 ? memchr(text->data, '/', text->len) : NULL;
    struct slice part = *text;
    if (slash == NULL) {
        *text = SLICE_EMPTY;
        return part;
    }
    part.len = (size_t)(slash - text->data);
    *text = slice_skip(*text, part.len + 1);
    if (text->len == 0) {
        part.len = 0; /* a slash at the end is not allowed: make the name empty, thus invalid */
    }
    return part;
}

static int fill(struct slice rest, size_t row, struct io_identity *identity)
{
    identity->net.role = roles[row].role;
    if (!roles[row].has_cluster) {
        return base_name_from(rest, &identity->name);
    }
    struct slice cluster = take_part(&rest);
    int status = base_name_from(cluster, &identity->net.cluster);
    if (status == 0) {
        status = base_name_from(rest, &identity->net.member);
    }
    identity->name = identity->net.member;
    return status;
}

int io_identity_from_uri(struct slice uri, struct io_identity *ret)
{
    struct slice scheme = SLICE_LIT("quorate://");
    if (!slice_has_prefix(uri, scheme)) {
        return BASE_E_INVALID;
    }
    struct slice rest = slice_skip(uri, scheme.len);
    struct slice role = take_part(&rest);
    for (size_t i = 0; i < BASE_COUNT_OF(roles); i++) {
        if (slice_equal(role, slice_from_text(roles[i].name))) {
            struct io_identity identity = {.has_certificate = false};
            if (fill(rest, i, &identity) != 0) {
                return BASE_E_INVALID;
            }
            *ret = identity;
            return 0;
        }
    }
    return BASE_E_INVALID;
}

const char *io_identity_text(const struct io_identity *identity, char *memory, size_t cap)
{
    const char *role = io_role_name(identity->net.role);
    if (identity->net.role == NET_ROLE_NONE) {
        (void)snprintf(memory, cap, "nobody");
    } else if (!base_name_is_empty(&identity->net.cluster)) {
        (void)snprintf(memory, cap, "%s %s/%s", role, identity->net.cluster.text,
                       identity->net.member.text);
    } else {
        (void)snprintf(memory, cap, "%s %s", role, identity->name.text);
    }
    return memory;
}
