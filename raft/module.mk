LIB_glue += raft/entry_ring.c raft/log_store.c raft/node.c raft/node_effects.c raft/node_jobs.c raft/node_queue.c
