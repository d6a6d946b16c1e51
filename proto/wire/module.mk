LIB_wire += proto/wire/arena.c
LIB_wire += proto/wire/agent.c
PROTOS += proto/schema/agent.proto
LIB_wire += proto/wire/kv.c proto/wire/pb.c
LIB_cores += proto/msg/kv_errors.c
PROTOS += proto/schema/command.proto proto/schema/health.proto proto/schema/kv.proto proto/schema/mvccpb.proto
