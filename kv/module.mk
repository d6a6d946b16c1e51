KV_GLUE := kv/lease.c kv/lease_renew.c kv/lease_table.c kv/service.c kv/service_apply.c kv/service_forward.c kv/service_members.c \
  kv/service_read.c kv/service_submit.c kv/service_upkeep.c
KV_AUTH := kv/auth.c kv/auth_cache.c kv/auth_token.c
KV_WATCH := kv/watch.c kv/watch_index.c kv/watch_read.c kv/watch_send.c kv/watch_stream.c
LIB_glue += $(KV_AUTH) $(KV_GLUE) $(KV_WATCH) raft/store_mem.c raft/store_mem_image.c
STORE_DISK_SRC := raft/env_lmdb.c raft/env_lmdb_image.c raft/env_lmdb_image_work.c raft/env_lmdb_txn.c raft/store_thread.c \
  raft/wal_format.c raft/wal_io.c raft/wal_log.c raft/wal_recover.c raft/wal_rows.c raft/wal_segment.c raft/wal_store.c raft/wal_txn.c
LIB_store += $(STORE_DISK_SRC)
KV_TEST_SUPPORT := tests/unit/kv_support.c tests/support/panic.c
TESTS += kv_core_test
TEST_kv_core_test := tests/unit/kv_core_test.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/store_mem_image.c $(STORE_DISK_SRC)
TLIBS_kv_core_test := cores base
TPKG_kv_core_test := lmdb
TESTS += kv_core_state_test
TEST_kv_core_state_test := tests/unit/kv_core_state_test.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/store_mem_image.c $(STORE_DISK_SRC)
TLIBS_kv_core_state_test := cores base
TPKG_kv_core_state_test := lmdb
TESTS += kv_diff_test
TEST_kv_diff_test := tests/unit/kv_diff_test.c tests/unit/kv_model.c tests/unit/kv_random.c $(KV_TEST_SUPPORT) \
  raft/store_mem.c raft/store_mem_image.c $(STORE_DISK_SRC)
TLIBS_kv_diff_test := wire cores base
TPKG_kv_diff_test := lmdb libprotobuf-c
TESTS += kv_wire_test
TEST_kv_wire_test := tests/unit/kv_wire_test.c tests/unit/kv_model.c tests/unit/kv_random.c tests/support/panic.c
TLIBS_kv_wire_test := wire cores base
TPKG_kv_wire_test := libprotobuf-c
TESTS += store_test
TEST_store_test := tests/unit/store_test.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/store_mem_image.c $(STORE_DISK_SRC)
TLIBS_store_test := cores base
TPKG_store_test := lmdb
TESTS += kv_lease_test
TEST_kv_lease_test = tests/unit/kv_lease_test.c tests/unit/kv_world.c tests/support/panic.c $(KV_GLUE) $(RAFT_GLUE) \
  raft/store_mem.c raft/store_mem_image.c
TLIBS_kv_lease_test := wire cores base
TPKG_kv_lease_test := libprotobuf-c
TESTS += kv_service_test
TEST_kv_service_test = tests/unit/kv_service_test.c tests/unit/kv_world.c tests/support/panic.c $(KV_GLUE) $(RAFT_GLUE) raft/store_mem.c raft/store_mem_image.c
TLIBS_kv_service_test := wire cores base
TPKG_kv_service_test := libprotobuf-c
BINARIES += storeload
BIN_storeload := tests/bench/storeload.c $(STORE_DISK_SRC)
LIBS_storeload := cores base
PKG_storeload := lmdb
LDL_storeload := -lpthread
TESTS += kv_watch_test
TEST_kv_watch_test = tests/unit/kv_watch_test.c tests/unit/kv_watch_rig.c $(KV_TEST_SUPPORT) $(KV_WATCH) raft/store_mem.c raft/store_mem_image.c $(STORE_DISK_SRC)
TLIBS_kv_watch_test := check wire cores base
TPKG_kv_watch_test := lmdb libprotobuf-c
