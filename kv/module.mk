KV_GLUE := kv/service.c kv/service_apply.c kv/service_read.c
LIB_glue += $(KV_GLUE) raft/store_mem.c
LIB_store += raft/env_lmdb.c
KV_TEST_SUPPORT := tests/unit/kv_support.c tests/support/panic.c
TESTS += kv_core_test
TEST_kv_core_test := tests/unit/kv_core_test.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/env_lmdb.c
TLIBS_kv_core_test := cores base
TPKG_kv_core_test := lmdb
TESTS += kv_diff_test
TEST_kv_diff_test := tests/unit/kv_diff_test.c tests/unit/kv_model.c tests/unit/kv_random.c $(KV_TEST_SUPPORT) \
  raft/store_mem.c raft/env_lmdb.c
TLIBS_kv_diff_test := wire cores base
TPKG_kv_diff_test := lmdb libprotobuf-c
TESTS += kv_wire_test
TEST_kv_wire_test := tests/unit/kv_wire_test.c tests/unit/kv_model.c tests/unit/kv_random.c tests/support/panic.c
TLIBS_kv_wire_test := wire cores base
TPKG_kv_wire_test := libprotobuf-c
