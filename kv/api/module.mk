# The API of a quorum node, on top of kv/service.
KV_API := kv/api/api.c kv/api/auth.c kv/api/cluster.c kv/api/election.c kv/api/gateway.c kv/api/health.c kv/api/hold.c kv/api/json_read.c kv/api/json_scan.c kv/api/json_write.c \
  kv/api/kv.c kv/api/lease.c kv/api/lock.c kv/api/maintenance.c kv/api/password.c kv/api/recipe.c kv/api/rpc.c kv/api/rpc_grpc.c kv/api/rpc_paths.c kv/api/rpc_run.c kv/api/watch.c
BIN_quorated += $(KV_API)
LDL_quorated += -lcrypt
TESTS += kv_gateway_test
TEST_kv_gateway_test := tests/unit/kv_gateway_test.c kv/api/json_read.c kv/api/json_scan.c kv/api/json_write.c \
  proto/io/bytes.c tests/support/panic.c
TLIBS_kv_gateway_test := wire base
TPKG_kv_gateway_test := libprotobuf-c
TESTS += kv_api_auth_test
TEST_kv_api_auth_test := tests/unit/kv_api_auth_test.c kv/api/auth.c kv/api/rpc.c kv/api/rpc_paths.c kv/api/rpc_run.c kv/api/hold.c tests/support/panic.c
TLIBS_kv_api_auth_test := wire cores base
TPKG_kv_api_auth_test := libprotobuf-c
TESTS += kv_rpc_test
TEST_kv_rpc_test := tests/unit/kv_rpc_test.c kv/api/cluster.c kv/api/kv.c kv/api/lease.c kv/api/maintenance.c kv/api/rpc.c kv/api/rpc_paths.c kv/api/rpc_run.c kv/api/hold.c tests/support/panic.c
TLIBS_kv_rpc_test := wire cores base
TPKG_kv_rpc_test := libprotobuf-c openssl
TESTS += kv_lock_test
TEST_kv_lock_test = tests/unit/kv_lock_test.c tests/unit/kv_world.c tests/support/panic.c kv/api/election.c kv/api/lock.c \
  kv/api/recipe.c kv/api/rpc.c kv/api/rpc_paths.c kv/api/rpc_run.c kv/api/hold.c
TLIBS_kv_lock_test := glue io wire cores base
TPKG_kv_lock_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
TLDL_kv_lock_test := -lpthread
TESTS += kv_password_test
TEST_kv_password_test := tests/unit/kv_password_test.c kv/api/password.c tests/support/panic.c
TLIBS_kv_password_test := base
TPKG_kv_password_test := openssl
TLDL_kv_password_test := -lcrypt
