PG_DB_SRC := agents/postgresql/adopt.c agents/postgresql/adopt_running.c agents/postgresql/archive.c agents/shell/child.c agents/postgresql/conf.c \
  agents/postgresql/conf_hba.c agents/postgresql/config.c \
  agents/postgresql/control.c agents/postgresql/db.c agents/postgresql/order_config.c agents/postgresql/pending.c \
  agents/postgresql/probe_write.c agents/postgresql/slot_logical.c agents/postgresql/slot_mirror.c agents/postgresql/watch.c \
  agents/shell/files.c agents/shell/passwords.c agents/postgresql/helper.c agents/postgresql/layout.c agents/postgresql/order_clone.c \
  agents/postgresql/order_init.c agents/postgresql/order_make.c agents/postgresql/order_rewind.c agents/postgresql/order_run.c \
  agents/postgresql/order_sync.c \
  agents/postgresql/probe.c agents/postgresql/process.c agents/postgresql/roles.c agents/postgresql/settings.c agents/postgresql/slot_keep.c \
  agents/postgresql/sql.c agents/postgresql/standbys.c agents/postgresql/tablespace.c
PG_UNIT_SRC := agents/shell/child.c agents/postgresql/conf.c agents/postgresql/conf_hba.c agents/postgresql/config.c \
  agents/postgresql/control.c agents/shell/files.c agents/shell/passwords.c \
  agents/postgresql/layout.c agents/postgresql/settings.c tests/support/panic.c
TESTS += pg_control_test pg_conf_test pg_layout_test
TEST_pg_control_test := tests/unit/pg_control_test.c $(PG_UNIT_SRC)
TLIBS_pg_control_test := glue base
TPKG_pg_control_test := jansson
TEST_pg_layout_test := tests/unit/pg_layout_test.c agents/postgresql/adopt.c agents/postgresql/process.c agents/postgresql/roles.c $(PG_UNIT_SRC)
TLIBS_pg_layout_test := glue base
TPKG_pg_layout_test := jansson
TEST_pg_conf_test := tests/unit/pg_conf_test.c $(PG_UNIT_SRC)
TLIBS_pg_conf_test := glue base
TPKG_pg_conf_test := jansson
TESTS += pg_config_test
TEST_pg_config_test := tests/unit/pg_config_test.c $(PG_UNIT_SRC)
TLIBS_pg_config_test := glue base
TPKG_pg_config_test := jansson
TESTS += arb_settings_pg_test
TEST_arb_settings_pg_test := tests/unit/arb_settings_pg_test.c tests/support/panic.c
TLIBS_arb_settings_pg_test := glue base
TPKG_arb_settings_pg_test := jansson

# On a real PostgreSQL, so no unit test: `make pg-test` names it itself.
TEST_pg_db_test := tests/integration/pg/pg_db_test.c tests/integration/pg/member.c tests/integration/pg/steps.c $(PG_DB_SRC) tests/support/panic.c
TLIBS_pg_db_test := glue cores base
TPKG_pg_db_test := libpq jansson
TEST_pg_watch_test := tests/integration/pg/pg_watch_test.c tests/integration/pg/member.c tests/integration/pg/steps.c $(PG_DB_SRC) tests/support/panic.c
TLIBS_pg_watch_test := glue cores base
TPKG_pg_watch_test := libpq jansson
TEST_pg_life_test := tests/integration/pg/pg_life_test.c tests/integration/pg/member.c tests/integration/pg/steps.c $(PG_DB_SRC) tests/support/panic.c
TLIBS_pg_life_test := glue cores base
TPKG_pg_life_test := libpq jansson
CHECK_STEPS += pg-test
.PHONY: pg-test
pg-test: ## The PostgreSQL port against a real PostgreSQL 15
	@$(MAKE) --no-print-directory TESTS="pg_db_test pg_life_test pg_watch_test" tests $(B)/bin/quorate-agent-postgresql $(B)/bin/quorate-guard
	@bash tests/integration/pg/run.sh $(B) pg_db_test pg_life_test pg_watch_test
	@bash tests/integration/pg/bad_input.sh $(B)
EXTRA_SRC += $(TEST_pg_db_test) $(TEST_pg_life_test) $(TEST_pg_watch_test)
