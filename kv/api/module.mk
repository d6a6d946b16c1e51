# The API of a quorum node, on top of kv/service.
KV_API := kv/api/api.c kv/api/auth.c kv/api/cluster.c kv/api/gateway.c kv/api/health.c kv/api/json_read.c kv/api/json_scan.c kv/api/json_write.c \
  kv/api/kv.c kv/api/lease.c kv/api/maintenance.c kv/api/password.c kv/api/rpc.c kv/api/rpc_grpc.c kv/api/watch.c
BIN_quorated += $(KV_API)
LDL_quorated += -lcrypt
