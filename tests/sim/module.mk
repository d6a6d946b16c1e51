SIM_SRC += tests/sim/agent.c tests/sim/disk.c tests/sim/faults.c tests/sim/faults_db.c tests/sim/guard.c \
  tests/sim/kv_load.c tests/sim/main.c tests/sim/members.c tests/sim/net.c tests/sim/nodes.c tests/sim/pg.c \
  tests/sim/pg_commit.c tests/sim/pg_order.c tests/sim/pg_stream.c tests/sim/pg_wal.c tests/sim/sql_load.c \
  tests/sim/trace.c tests/sim/truth_db.c tests/sim/truth_raft.c tests/sim/world.c
