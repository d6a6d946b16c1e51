RAFT_GLUE := raft/entry_ring.c raft/node.c raft/node_apply.c raft/node_effects.c raft/node_image.c raft/node_jobs.c \
  raft/node_load.c raft/node_queue.c raft/node_snapshot.c
LIB_glue += $(RAFT_GLUE)
LIB_cores += raft/log_store.c raft/snapshot_format.c
TESTS += raft_cluster_test
TEST_raft_cluster_test := tests/unit/raft_cluster_test.c tests/support/panic.c $(RAFT_GLUE) raft/store_mem.c raft/store_mem_image.c
TLIBS_raft_cluster_test := wire cores base
TPKG_raft_cluster_test := libprotobuf-c
TESTS += raft_node_test
TEST_raft_node_test := tests/unit/raft_node_test.c tests/support/panic.c $(RAFT_GLUE) raft/store_mem.c raft/store_mem_image.c
TLIBS_raft_node_test := wire cores base
TPKG_raft_node_test := libprotobuf-c
