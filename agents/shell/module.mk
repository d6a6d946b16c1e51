AGENT_SHELL_SRC := agents/shell/agent_config.c agents/shell/failsafe.c agents/shell/guard_link.c agents/shell/health.c agents/shell/runtime.c \
  agents/shell/state_file.c
BINARIES += quorate-agent-postgresql
BIN_quorate-agent-postgresql = agents/postgresql/main_agent.c agents/postgresql/engine.c $(PG_DB_SRC) $(AGENT_SHELL_SRC)
LIBS_quorate-agent-postgresql := glue io wire cores base
PKG_quorate-agent-postgresql := libuv openssl libnghttp2 yaml-0.1 libprotobuf-c libpq
LDL_quorate-agent-postgresql := -lpthread
