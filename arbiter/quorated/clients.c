/* SPDX-License-Identifier: Apache-2.0 */
/* Watches, users, locks and elections of a quorum node; see clients.h. */
#include "arbiter/quorated/clients.h"

#include "kv/api/watch.h"

static void auth_known(void *ctx)
{
    const struct quorated_clients *clients = ctx;
    rpc_walk_again(clients->registry);
}

static uint64_t auth_applied(void *ctx)
{
    const struct quorated_clients *clients = ctx;
    return kv_service_applied_index(clients->service);
}

static void watch_header(void *ctx, struct kv_header *ret)
{
    const struct quorated_clients *clients = ctx;
    kv_service_header(clients->service, ret);
}

int quorated_clients_open(struct quorated_clients *clients,
                          const struct quorated_clients_options *options)
{
    const struct kv_watch_options watch = {
        .store = options->store, .ctx = clients, .header = watch_header, .seed = options->seed};
    const struct kv_auth_options auth = {
        .store = options->store, .ctx = clients, .known = auth_known, .applied = auth_applied};
    clients->service = options->service;
    clients->registry = options->registry;
    int rc = kv_watch_open(&watch, &clients->hub);
    rc = rc != 0 ? rc : api_watch_register(options->registry, clients->hub);
    rc = rc != 0 ? rc : kv_auth_open(&auth, &clients->auth);
    if (rc != 0) {
        return rc;
    }
    kv_auth_tick(clients->auth, io_now());
    const struct api_auth_options users = {options->registry, options->service, clients->auth,
                                           options->loop};
    const struct recipes_options recipes = {options->registry, options->service, clients->hub,
                                            clients->auth, options->loop};
    rc = api_auth_new(&users, &clients->users);
    return rc != 0 ? rc : recipes_new(&recipes, &clients->recipes);
}

void quorated_clients_revised(struct quorated_clients *clients, int64_t revision)
{
    if (clients->hub != NULL) {
        kv_watch_revised(clients->hub, revision);
    }
}

void quorated_clients_auth_changed(struct quorated_clients *clients,
                                   const struct kv_auth_event *event)
{
    if (clients->auth != NULL) {
        kv_auth_changed(clients->auth, event);
    }
}

void quorated_clients_restored(struct quorated_clients *clients)
{
    if (clients->hub != NULL) {
        kv_watch_restored(clients->hub);
    }
    if (clients->auth != NULL) {
        kv_auth_restored(clients->auth);
    }
}

void quorated_clients_tick(struct quorated_clients *clients, struct base_mono now)
{
    kv_watch_tick(clients->hub, now);
    kv_auth_tick(clients->auth, now);
}

void quorated_clients_close(struct quorated_clients *clients)
{
    clients->users = api_auth_free(clients->users);
    clients->recipes = recipes_free(clients->recipes);
    kv_watch_close(clients->hub);
    kv_auth_close(clients->auth);
    clients->hub = NULL;
    clients->auth = NULL;
}
