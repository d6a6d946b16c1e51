PG_DB_SRC := agents/postgresql/child.c agents/postgresql/conf.c agents/postgresql/control.c agents/postgresql/db.c \
  agents/postgresql/files.c agents/postgresql/order_make.c agents/postgresql/order_rewind.c agents/postgresql/order_run.c \
  agents/postgresql/order_sync.c \
  agents/postgresql/probe.c agents/postgresql/process.c agents/postgresql/settings.c agents/postgresql/slot_keep.c \
  agents/postgresql/sql.c
PG_UNIT_SRC := agents/postgresql/child.c agents/postgresql/conf.c agents/postgresql/control.c agents/postgresql/files.c \
  agents/postgresql/settings.c tests/support/panic.c
TESTS += pg_control_test pg_conf_test
TEST_pg_control_test := tests/unit/pg_control_test.c $(PG_UNIT_SRC)
TLIBS_pg_control_test := base
TEST_pg_conf_test := tests/unit/pg_conf_test.c $(PG_UNIT_SRC)
TLIBS_pg_conf_test := base

# On a real PostgreSQL, so no unit test: `make pg-test` names it itself.
TEST_pg_db_test := tests/integration/pg/pg_db_test.c tests/integration/pg/member.c $(PG_DB_SRC) tests/support/panic.c
TLIBS_pg_db_test := base
TPKG_pg_db_test := libpq
CHECK_STEPS += pg-test
.PHONY: pg-test
pg-test: ## The PostgreSQL port against a real PostgreSQL 15
	@$(MAKE) --no-print-directory TESTS=pg_db_test tests $(B)/bin/quorate-agent-postgresql $(B)/bin/quorate-guard
	@bash tests/integration/pg/run.sh $(B) pg_db_test
	@bash tests/integration/pg/bad_input.sh $(B)
EXTRA_SRC += $(TEST_pg_db_test)
