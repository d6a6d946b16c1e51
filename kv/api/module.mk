# Part of the quorum node's program, not of an archive: it meets proto/io and kv/service.
API_SRC := kv/api/etcd_grpc.c
