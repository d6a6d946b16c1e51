KV_GLUE := kv/lease.c kv/lease_renew.c kv/lease_table.c kv/service.c kv/service_apply.c kv/service_calls.c kv/service_forward.c kv/service_members.c \
  kv/service_read.c kv/service_submit.c kv/service_upkeep.c
KV_AUTH := kv/auth.c kv/auth_cache.c kv/auth_token.c
KV_WATCH := kv/watch.c kv/watch_index.c kv/watch_read.c kv/watch_send.c kv/watch_stream.c
LIB_glue += $(KV_AUTH) $(KV_GLUE) $(KV_WATCH) raft/store_mem.c raft/store_mem_image.c
STORE_DISK_SRC := raft/env_lmdb.c raft/env_lmdb_image.c raft/env_lmdb_image_work.c raft/env_lmdb_map.c raft/env_lmdb_txn.c raft/store_thread.c \
  raft/wal_format.c raft/wal_io.c raft/wal_log.c raft/wal_recover.c raft/wal_rows.c raft/wal_segment.c raft/wal_store.c raft/wal_txn.c
LIB_store += $(STORE_DISK_SRC) kv/offline/image.c kv/offline/offline.c
STORE_MEM_SRC := raft/store_mem.c raft/store_mem_image.c
KV_TEST_SUPPORT := tests/unit/kv_support.c tests/support/panic.c

# Of kv/core and the stores: all kinds of stores.
define kv_store_test
TESTS += $(1)_test
TEST_$(1)_test := tests/unit/$(1)_test.c $(KV_TEST_SUPPORT) $(STORE_MEM_SRC) $(STORE_DISK_SRC)
TLIBS_$(1)_test := cores base
TPKG_$(1)_test := lmdb
endef
$(foreach test,kv_auth_core kv_core kv_core_state kv_core_txn snapshot store store_damage store_kill store_lazy,$(eval $(call kv_store_test,$(test))))

# Three whole nodes in one process.
define kv_world_test
TESTS += $(1)_test
TEST_$(1)_test = tests/unit/$(1)_test.c tests/unit/kv_world.c tests/support/panic.c $$(KV_GLUE) $$(RAFT_GLUE) $$(STORE_MEM_SRC)
TLIBS_$(1)_test := wire cores base
TPKG_$(1)_test := libprotobuf-c
endef
$(foreach test,kv_lease kv_service kv_ways,$(eval $(call kv_world_test,$(test))))

TESTS += kv_auth_walk_test
TEST_kv_auth_walk_test := tests/unit/kv_auth_walk_test.c tests/support/panic.c
TLIBS_kv_auth_walk_test := cores base
TESTS += kv_members_test
TEST_kv_members_test := tests/unit/kv_members_test.c kv/service_calls.c kv/service_members.c tests/support/panic.c
TLIBS_kv_members_test := wire cores base
TPKG_kv_members_test := libprotobuf-c
TESTS += kv_diff_test
TEST_kv_diff_test := tests/unit/kv_diff_test.c tests/unit/kv_model.c tests/unit/kv_random.c $(KV_TEST_SUPPORT) \
  $(STORE_MEM_SRC) $(STORE_DISK_SRC)
TLIBS_kv_diff_test := wire cores base
TPKG_kv_diff_test := lmdb libprotobuf-c
TESTS += kv_wire_test
TEST_kv_wire_test := tests/unit/kv_wire_test.c tests/unit/kv_model.c tests/unit/kv_random.c tests/support/panic.c
TLIBS_kv_wire_test := wire cores base
TPKG_kv_wire_test := libprotobuf-c
BINARIES += storeload
BIN_storeload := tests/bench/storeload.c $(STORE_DISK_SRC)
LIBS_storeload := cores base
PKG_storeload := lmdb
LDL_storeload := -lpthread
TESTS += kv_watch_test
TEST_kv_watch_test = tests/unit/kv_watch_test.c tests/unit/kv_watch_rig.c $(KV_TEST_SUPPORT) $(KV_WATCH) $(STORE_MEM_SRC) $(STORE_DISK_SRC)
TLIBS_kv_watch_test := check wire cores base
TPKG_kv_watch_test := lmdb libprotobuf-c
TESTS += kv_watch_random_test
TEST_kv_watch_random_test = tests/unit/kv_watch_random_test.c $(filter-out tests/unit/kv_watch_test.c,$(TEST_kv_watch_test))
TLIBS_kv_watch_random_test := check wire cores base
TPKG_kv_watch_random_test := lmdb libprotobuf-c
