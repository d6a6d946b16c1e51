AGENT_SHELL_SRC := agents/shell/agent_config.c agents/shell/agent_main.c agents/shell/failsafe.c agents/shell/guard_link.c agents/shell/health.c agents/shell/runtime.c \
  agents/shell/start.c agents/shell/state_file.c
BINARIES += quorate-agent-postgresql
BIN_quorate-agent-postgresql = agents/postgresql/main_agent.c agents/postgresql/engine.c agents/postgresql/settings_life.c $(PG_DB_SRC) $(AGENT_SHELL_SRC)
LIBS_quorate-agent-postgresql := glue io wire cores base
PKG_quorate-agent-postgresql := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c libpq
LDL_quorate-agent-postgresql := -lpthread
TESTS += failsafe_client_test
TEST_failsafe_client_test := tests/unit/failsafe_client_test.c tests/unit/io_test_support.c agents/shell/failsafe.c \
  tests/support/panic.c
TLIBS_failsafe_client_test := io base
TPKG_failsafe_client_test := libuv openssl libnghttp2 yaml-0.1
TESTS += guard_link_test
TEST_guard_link_test := tests/unit/guard_link_test.c tests/unit/io_test_support.c agents/shell/guard_link.c tests/support/panic.c
TLIBS_guard_link_test := io wire cores base
TPKG_guard_link_test := libuv openssl libnghttp2 yaml-0.1
TESTS += agent_settings_test
TEST_agent_settings_test := tests/unit/agent_settings_test.c agents/shell/agent_config.c tests/support/panic.c
TLIBS_agent_settings_test := glue io wire cores base
TPKG_agent_settings_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
