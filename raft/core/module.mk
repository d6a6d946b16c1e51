LIB_cores += raft/core/change.c raft/core/check.c raft/core/core.c raft/core/election.c raft/core/follower.c raft/core/image.c raft/core/leader.c \
  raft/core/log.c raft/core/members.c raft/core/progress.c raft/core/quorum.c raft/core/read.c raft/core/transfer.c raft/core/write.c
RAFT_CORE := $(filter raft/core/%,$(LIB_cores))
TESTS += raft_core_test
TEST_raft_core_test := tests/unit/raft_core_test.c tests/support/panic.c $(RAFT_CORE)
TLIBS_raft_core_test := base
TESTS += raft_replication_test
TEST_raft_replication_test := tests/unit/raft_replication_test.c tests/support/panic.c $(RAFT_CORE)
TLIBS_raft_replication_test := base
TESTS += raft_image_test
TEST_raft_image_test := tests/unit/raft_image_test.c tests/support/panic.c $(RAFT_CORE)
TLIBS_raft_image_test := base
TESTS += raft_change_test
TEST_raft_change_test := tests/unit/raft_change_test.c tests/support/panic.c $(RAFT_CORE)
TLIBS_raft_change_test := base
