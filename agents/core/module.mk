LIB_cores += agents/core/disk_mongodb.c agents/core/engine.c agents/core/mongodb_act.c agents/core/mongodb_facts.c \
  agents/core/mongodb_ladder.c agents/core/mongodb_orders.c agents/core/mongodb_report.c agents/core/mongodb_rules.c \
  agents/core/mongodb_sight.c agents/core/mongodb_table.c agents/core/mongodb_tasks.c
LIB_cores += agents/core/disk_galera.c agents/core/galera_act.c agents/core/galera_facts.c agents/core/galera_report.c \
  agents/core/galera_role.c agents/core/galera_sight.c agents/core/galera_start.c agents/core/galera_table.c \
  agents/core/galera_tasks.c
LIB_cores += agents/core/act_holder.c agents/core/act_standby.c agents/core/detect.c agents/core/disk.c \
  agents/core/effects.c \
  agents/core/facts.c agents/core/failsafe.c agents/core/lease.c agents/core/orders.c agents/core/pause.c \
  agents/core/report.c agents/core/sight.c agents/core/step.c agents/core/table.c agents/core/tasks.c agents/core/upstream.c
TESTS += agt_mongodb_test
TEST_agt_mongodb_test := tests/unit/agt_mongodb_test.c tests/unit/mongodb_member.c tests/support/panic.c
TLIBS_agt_mongodb_test := glue wire cores base
TPKG_agt_mongodb_test := libprotobuf-c
TESTS += agt_mongodb_order_test
TEST_agt_mongodb_order_test := tests/unit/agt_mongodb_order_test.c tests/unit/mongodb_member.c tests/support/panic.c
TLIBS_agt_mongodb_order_test := glue wire cores base
TPKG_agt_mongodb_order_test := libprotobuf-c
TESTS += agt_mongodb_random_test
TEST_agt_mongodb_random_test := tests/unit/agt_mongodb_random_test.c tests/unit/mongodb_member.c tests/support/panic.c
TLIBS_agt_mongodb_random_test := glue wire cores base
TPKG_agt_mongodb_random_test := libprotobuf-c
