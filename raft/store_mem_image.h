/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the store in memory; store_mem.c calls these, nobody else. */
#ifndef QUORATE_RAFT_STORE_MEM_IMAGE_H
#define QUORATE_RAFT_STORE_MEM_IMAGE_H

#include "raft/store_mem.h"

struct store_mem_images;

struct store_mem_images *store_mem_images_create(struct store_mem *mem);
struct store_mem_images *store_mem_images_destroy(struct store_mem_images *images);
/* Forgets everything. */
void store_mem_images_crash(struct store_mem_images *images);
/* Delivers completions that are ready at this moment; how many. */
size_t store_mem_images_complete(struct store_mem_images *images);

/* store_mem.c: the images of a store. */
struct store_mem_images *store_mem_images_of(struct store_mem *mem);
/* Its error, once it has failed. */
int store_mem_failed(const struct store_mem *mem);
/* A change outside of any job failed: the store is broken. */
void store_mem_break(struct store_mem *mem, int error);

#endif
