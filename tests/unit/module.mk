TESTS += base_test
TEST_base_test := tests/unit/base_test.c tests/support/panic.c
TLIBS_base_test := base
TESTS += snapshot_test
TEST_snapshot_test = tests/unit/snapshot_test.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/store_mem_image.c $(STORE_DISK_SRC)
TLIBS_snapshot_test := cores base
TPKG_snapshot_test := lmdb
TESTS += wal_test
TEST_wal_test = tests/unit/wal_test.c tests/unit/wal_disk.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/store_mem_image.c \
  $(STORE_DISK_SRC)
TLIBS_wal_test := cores base
TPKG_wal_test := lmdb
TESTS += snapshot_restore_test
TEST_snapshot_restore_test = tests/unit/snapshot_restore_test.c $(KV_TEST_SUPPORT) raft/store_mem.c raft/store_mem_image.c
TLIBS_snapshot_restore_test := store io wire cores base
TPKG_snapshot_restore_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c lmdb
