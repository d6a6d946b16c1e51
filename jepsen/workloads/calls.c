/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the load: each goes to one node, waits, and tells what is known of its effect; and what
 * all who load share.
 *
 * A caller may live in the network namespace of a host, so that it suffers that host's cuts.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "jepsen/workloads/load.h"

#define RESPONSE_BYTES ((size_t)8 << 20)

_Noreturn void load_give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "chaosload: %s: %s\n", what, why);
    exit(2);
}

void load_nap_us(int64_t us)
{
    const struct timespec t = {us / 1000000, (us % 1000000) * 1000};
    (void)nanosleep(&t, NULL);
}

void load_violation(struct load *load, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (atomic_fetch_add(&load->violations, 1) < 20) {
        (void)fprintf(stderr, "chaosload: VIOLATION: %s\n", text);
    }
}

void *load_room(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return list;
    }
    *cap = *cap == 0 ? 1024 : *cap * 2;
    void *bigger = reallocarray(list, *cap, size);
    if (bigger == NULL) {
        load_give_up("memory", "none left");
    }
    return bigger;
}

static void raise_to(_Atomic int64_t *at, int64_t value)
{
    int64_t had = atomic_load(at);
    while (value > had && !atomic_compare_exchange_weak(at, &had, value)) {
    }
}

void load_note(struct load *load, const struct kv_header *header)
{
    uint64_t none = 0;
    raise_to(&load->newest, header->revision);
    if (header->raft_term != 0) {
        (void)atomic_compare_exchange_strong(&load->term_first, &none, header->raft_term);
    }
    if (header->raft_term > atomic_load(&load->term_last)) {
        atomic_store(&load->term_last, header->raft_term);
    }
}

int64_t load_number(struct slice value)
{
    uint64_t number = 0;
    if (value.len <= 10 && slice_to_u64(value, &number) == 0) {
        return (int64_t)number;
    }
    number = UINT64_C(14695981039346656037); /* a list: any number that its text alone decides */
    for (size_t i = 0; i < value.len; i++) {
        number = (number ^ value.data[i]) * UINT64_C(1099511628211);
    }
    return (int64_t)(number >> 2);
}

void load_keep_pair(const struct kv_pair *pair, struct heard *ret)
{
    *ret = (struct heard){.value = load_number(pair->value),
                          .create_revision = pair->create_revision,
                          .mod_revision = pair->mod_revision,
                          .version = pair->version};
    size_t len = pair->key.len < KEY_BYTES - 1 ? pair->key.len : KEY_BYTES - 1;
    memcpy(ret->key, pair->key.data, len);
}

void load_line(struct load *load, enum load_file file, const char *format, ...)
{
    va_list args;
    if (load->files[file] == NULL) {
        return;
    }
    va_start(args, format);
    pthread_mutex_lock(&load->lock);
    (void)vfprintf(load->files[file], format, args);
    pthread_mutex_unlock(&load->lock);
    va_end(args);
}

void load_count(struct load *load, int64_t call_us, enum outcome outcome, bool is_write)
{
    pthread_mutex_lock(&load->lock);
    if (load->counted_count == OPS_MAX) {
        load_give_up("operations", "too many, load less");
    }
    load->counted[load->counted_count++] = (struct counted){
        .call_us = call_us, .return_us = io_now().us, .outcome = outcome, .is_write = is_write};
    load->by_outcome[outcome]++;
    pthread_mutex_unlock(&load->lock);
}

/* From now on the calling thread is in the network of host number `stream` of `netns`. */
void load_enter_host(const struct load *load, uint64_t stream)
{
    char path[128];
    const char *name = load->netns;
    size_t len = 0, count = 1;
    if (name == NULL) {
        return;
    }
    for (const char *c = name; *c != 0; c++) {
        count += *c == ',';
    }
    for (uint64_t skip = stream % count; skip > 0; skip--) {
        name = strchr(name, ',') + 1;
    }
    len = strcspn(name, ",");
    (void)snprintf(path, sizeof(path), "/run/netns/%.*s", (int)len, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
        load_give_up(path, "cannot be entered");
    }
    (void)close(fd);
}

/* --- calls --- */

struct caller load_caller(struct load *load, uint64_t stream)
{
    struct io_why why = {""};
    struct caller c = {
        .load = load, .number = (uint32_t)stream, .rand = base_rand_make(load->seed, stream)};
    void *memory = malloc(RESPONSE_BYTES);
    if (memory == NULL || io_grpc_client_new(&load->client, &c.client, &why) != 0) {
        load_give_up("client", why.text);
    }
    c.arena = base_arena_over(memory, RESPONSE_BYTES);
    c.endpoint = stream % io_grpc_client_endpoints(c.client);
    io_grpc_client_pin(c.client, c.endpoint);
    return c;
}

void load_caller_free(struct caller *c)
{
    io_grpc_answer_free(&c->answer);
    (void)io_grpc_client_free(c->client);
    free(c->arena.memory);
}

static void elsewhere(struct caller *c)
{
    c->endpoint = (c->endpoint + 1) % io_grpc_client_endpoints(c->client);
    io_grpc_client_pin(c->client, c->endpoint);
    load_nap_us((int64_t)base_rand_between(&c->rand, 2000, 20000));
}

/* A refusal that leaves no doubt: all others may come after the entry was proposed. */
static bool is_refusal(const struct io_grpc_answer *answer)
{
    static const enum kv_error sure[] = {KV_E_NO_LEADER, KV_E_TOO_MANY_REQUESTS,
                                         KV_E_LEASE_NOT_FOUND, KV_E_COMPACTED,
                                         KV_E_FUTURE_REVISION};
    for (size_t i = 0; i < sizeof(sure) / sizeof(sure[0]); i++) {
        if (strcmp(answer->message.text, kv_error_text(sure[i])) == 0) {
            return true;
        }
    }
    return false;
}

enum outcome load_call(struct caller *c, const struct kv_request *request, const char *path)
{
    uint8_t memory[8192];
    struct buf out = buf_over(memory, sizeof(memory));
    struct io_why why = {""};
    io_grpc_answer_free(&c->answer);
    c->answer = (struct io_grpc_answer){0};
    base_arena_reset(&c->arena);
    if (kv_wire_encode_request(request, &out) != 0) {
        load_give_up("request", "does not fit");
    }
    int rc = io_grpc_call(c->client, path, buf_slice(&out), CALL_MS, &c->answer, &why);
    if (rc != 0) {
        c->answer = (struct io_grpc_answer){0};
        elsewhere(c);
        return rc == BASE_E_UNREACHABLE ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
    }
    if (c->answer.status != IO_GRPC_OK) {
        bool is_sure = is_refusal(&c->answer);
        if (c->answer.status != IO_GRPC_NOT_FOUND && c->answer.status != IO_GRPC_OUT_OF_RANGE) {
            elsewhere(c);
        }
        return is_sure ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
    }
    if (kv_wire_decode_response((enum kv_kind)request->kind,
                                slice_from(c->answer.data, c->answer.len), &c->arena,
                                &c->response) != 0) {
        load_give_up(path, "malformed response");
    }
    return OUTCOME_OK;
}
