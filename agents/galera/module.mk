GAL_DB_SRC := agents/galera/conf.c agents/galera/db.c agents/galera/dir.c agents/galera/grastate.c agents/galera/orders.c \
  agents/galera/probe.c agents/galera/setup.c agents/galera/status.c agents/shell/child.c agents/shell/files.c
BINARIES += quorate-agent-galera
BIN_quorate-agent-galera = agents/galera/main_agent.c agents/galera/adopt.c agents/galera/arbitrator.c agents/galera/engine.c agents/galera/host.c agents/galera/mysql.c agents/shell/passwords.c \
  $(GAL_DB_SRC) $(AGENT_SHELL_SRC)
LIBS_quorate-agent-galera := glue io wire cores base
PKG_quorate-agent-galera := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c libmariadb
LDL_quorate-agent-galera := -lpthread
# libmariadb switches stacks below it.
$(B)/agents/galera/mysql.o: CFLAGS += -fno-sanitize=all
$(B)/agents/galera/mysql.o: CPPFLAGS += $(shell pkg-config --cflags-only-I libmariadb 2>/dev/null)
TESTS += gal_files_test
TEST_gal_files_test := tests/unit/gal_files_test.c agents/galera/adopt.c agents/galera/conf.c agents/galera/grastate.c agents/galera/status.c tests/support/panic.c
TLIBS_gal_files_test := base
TESTS += agt_galera_test
TEST_agt_galera_test := tests/unit/agt_galera_test.c tests/unit/agt_galera_scene.c tests/support/panic.c
TLIBS_agt_galera_test := glue wire cores base
TPKG_agt_galera_test := libprotobuf-c
TESTS += agt_galera_adopted_test
TEST_agt_galera_adopted_test := tests/unit/agt_galera_adopted_test.c tests/unit/agt_galera_scene.c tests/support/panic.c
TLIBS_agt_galera_adopted_test := glue wire cores base
TPKG_agt_galera_adopted_test := libprotobuf-c
TESTS += agt_galera_told_test
TEST_agt_galera_told_test := tests/unit/agt_galera_told_test.c tests/unit/agt_galera_scene.c tests/support/panic.c
TLIBS_agt_galera_told_test := glue wire cores base
TPKG_agt_galera_told_test := libprotobuf-c
TESTS += agt_galera_role_test
TEST_agt_galera_role_test := tests/unit/agt_galera_role_test.c tests/unit/agt_galera_scene.c tests/support/panic.c
TLIBS_agt_galera_role_test := glue wire cores base
TPKG_agt_galera_role_test := libprotobuf-c
TESTS += gal_db_test
TEST_gal_db_test := tests/unit/gal_db_test.c $(GAL_DB_SRC) tests/support/panic.c
TLIBS_gal_db_test := io base
TPKG_gal_db_test := libuv openssl libnghttp2 yaml-0.1
TLDL_gal_db_test := -lpthread
