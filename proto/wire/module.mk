LIB_wire += proto/wire/arena.c
LIB_wire += proto/wire/agent.c proto/wire/agent_galera.c proto/wire/agent_mongodb.c proto/wire/agent_order.c proto/wire/agent_record.c proto/wire/agent_report.c
PROTOS += proto/schema/agent.proto
LIB_wire += proto/wire/etcd.c proto/wire/kv.c proto/wire/pb.c
LIB_cores += proto/msg/kv_errors.c
PROTOS += proto/schema/authpb.proto proto/schema/command.proto proto/schema/election.proto proto/schema/health.proto \
  proto/schema/kv.proto proto/schema/lock.proto proto/schema/mvccpb.proto
LIB_wire += proto/wire/raft.c
PROTOS += proto/schema/raft.proto
PROTOS += proto/schema/databases.proto
TESTS += raft_wire_test
TEST_raft_wire_test := tests/unit/raft_wire_test.c tests/support/panic.c
TLIBS_raft_wire_test := wire base
TPKG_raft_wire_test := libprotobuf-c
TESTS += kv_wire_all_test
TEST_kv_wire_all_test := tests/unit/kv_wire_all_test.c tests/support/panic.c
TLIBS_kv_wire_all_test := wire cores base
TPKG_kv_wire_all_test := libprotobuf-c
