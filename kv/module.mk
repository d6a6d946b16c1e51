KV_GLUE := kv/service.c kv/service_apply.c kv/service_read.c
LIB_glue += $(KV_GLUE) raft/store_mem.c
LIB_store += raft/env_lmdb.c
