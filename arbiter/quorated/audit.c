/* SPDX-License-Identifier: Apache-2.0 */
/* Who ordered what; see audit.h. */
#include "arbiter/quorated/audit.h"

#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "kv/api/gateway.h"
#include "proto/io/log.h"
#include "proto/io/loop.h"

/* --- limits --- */

static uint64_t mark_of(const struct io_identity *who)
{
    char text[IO_IDENTITY_TEXT_MAX];
    uint64_t mark = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *c = io_identity_text(who, text, sizeof(text)); *c != '\0'; c++) {
        mark = (mark ^ (uint8_t)*c) * UINT64_C(1099511628211);
    }
    return mark | 1;
}

/* Of this identity, else a free one, else that of whoever was quiet for longest. */
static size_t place_of(const struct quorated_audit *audit, uint64_t who)
{
    size_t best = 0;
    for (size_t i = 0; i < AUDIT_WHO_MAX; i++) {
        if (audit->limits[i].who == who) {
            return i;
        }
        if (audit->limits[i].since.us < audit->limits[best].since.us) {
            best = i;
        }
    }
    return best;
}

bool quorated_audit_may(struct quorated_audit *audit, const struct rpc_call *call,
                        struct base_mono now)
{
    if (call->method->access != RPC_ADMIN || !call->method->is_by_role || call->who == NULL) {
        return true;
    }
    uint64_t who = mark_of(call->who);
    size_t at = place_of(audit, who);
    if (audit->limits[at].who != who) {
        audit->limits[at].who = who;
        audit->limits[at].used = 0;
        audit->limits[at].since = now;
    }
    int64_t passed_us = base_mono_diff_us(now, audit->limits[at].since);
    uint64_t given = (uint64_t)(passed_us > 0 ? passed_us : 0) * AUDIT_RATE_PER_S / 1000000u;
    if (given > 0) {
        uint32_t used = audit->limits[at].used;
        audit->limits[at].used = used > given ? used - (uint32_t)given : 0;
        audit->limits[at].since = now;
    }
    if (audit->limits[at].used >= AUDIT_BURST) {
        return false;
    }
    audit->limits[at].used++;
    return true;
}

/* --- what is written --- */

/* Names of things and switches: nothing that may be secret, nothing that is long. */
static bool is_shown(const char *name)
{
    static const char *const names[] = {
        "cluster", "member", "to",        "primary",    "dead",         "kind",
        "force",   "resume", "undrain",   "at_wall_us", "name",         "user",
        "role",    "ID",     "isLearner", "expect",     "pending_only", "check_only"};
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static uint64_t number_of(const ProtobufCFieldDescriptor *field, const void *member)
{
    bool is_wide = field->type == PROTOBUF_C_TYPE_UINT64 || field->type == PROTOBUF_C_TYPE_INT64;
    bool is_narrow = field->type == PROTOBUF_C_TYPE_UINT32 ||
                     field->type == PROTOBUF_C_TYPE_INT32 || field->type == PROTOBUF_C_TYPE_BOOL;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (is_wide) {
        memcpy(&wide, member, sizeof(wide));
    } else if (is_narrow) {
        memcpy(&narrow, member, sizeof(narrow));
    }
    return is_wide ? wide : narrow;
}

static void put_field(struct buf *out, const ProtobufCFieldDescriptor *field, const void *member)
{
    uint64_t number = number_of(field, member);
    const char *text = NULL;
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        memcpy(&text, member, sizeof(text));
    }
    if (number == 0 && (text == NULL || text[0] == '\0')) {
        return;
    }
    buf_put_text(out, out->len > 0 ? " " : "");
    buf_put_text(out, field->name);
    buf_put_u8(out, '=');
    if (text != NULL) {
        buf_put_text(out, text);
    } else {
        buf_put_dec(out, number);
    }
}

void quorated_audit_request(const char *path, struct slice message, struct buf *out)
{
    const ProtobufCMethodDescriptor *method = gateway_method(path);
    ProtobufCMessage *request =
        method == NULL ? NULL
                       : protobuf_c_message_unpack(method->input, NULL, message.len, message.data);
    if (request == NULL) {
        return;
    }
    for (unsigned i = 0; i < method->input->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &method->input->fields[i];
        if (field->label != PROTOBUF_C_LABEL_REPEATED && is_shown(field->name)) {
            put_field(out, field, (const uint8_t *)request + field->offset);
        }
    }
    protobuf_c_message_free_unpacked(request, NULL);
}

void quorated_audit_ended(const struct rpc_call *call, struct slice message,
                          enum io_grpc_status status)
{
    bool is_order = call->method->access == RPC_ADMIN;
    bool is_denied = status == IO_GRPC_PERMISSION_DENIED;
    char who[IO_IDENTITY_TEXT_MAX];
    uint8_t memory[AUDIT_REQUEST_MAX];
    struct buf request = buf_over(memory, sizeof(memory));
    if (!is_order && !is_denied) {
        return;
    }
    if (is_order) {
        quorated_audit_request(call->method->path, message, &request);
    }
    const struct io_field fields[] = {
        {.key = ""},
        io_text("who",
                call->who == NULL ? "nobody" : io_identity_text(call->who, who, sizeof(who))),
        io_text("method", call->method->path),
        io_bytes("request", buf_slice(&request)),
        io_text("answer", rpc_status_name(status)),
        io_text("over", call->is_gateway ? "json" : "grpc"),
    };
    static struct io_log_site denied; /* whoever has no right must not fill the log */
    io_log_write(is_order && !is_denied ? NULL : &denied, IO_LEVEL_NOTICE, "audit", "control",
                 fields, BASE_COUNT_OF(fields));
}
