LIB_cores += arbiter/core/candidate.c arbiter/core/confirm.c arbiter/core/decide.c arbiter/core/fence.c \
  arbiter/core/lease.c arbiter/core/member.c arbiter/core/names.c arbiter/core/note.c arbiter/core/order.c \
  arbiter/core/pause.c arbiter/core/record.c arbiter/core/request.c arbiter/core/settings.c arbiter/core/step.c \
  arbiter/core/switchover.c arbiter/core/sync.c arbiter/core/syncset.c arbiter/core/takeover.c arbiter/core/task.c \
  arbiter/core/view.c arbiter/core/vote.c arbiter/core/engine.c arbiter/core/galera.c \
  arbiter/core/galera_confirm.c arbiter/core/galera_found.c arbiter/core/galera_order.c arbiter/core/galera_recover.c \
  arbiter/core/galera_donor.c arbiter/core/galera_grant.c arbiter/core/galera_rules.c arbiter/core/galera_source.c arbiter/core/galera_turn.c
LIB_cores += arbiter/core/mongodb.c arbiter/core/mongodb_force.c arbiter/core/mongodb_found.c \
  arbiter/core/mongodb_merge.c arbiter/core/mongodb_order.c arbiter/core/mongodb_plan.c \
  arbiter/core/mongodb_request.c arbiter/core/mongodb_rules.c arbiter/core/mongodb_sight.c \
  arbiter/core/mongodb_step.c arbiter/core/mongodb_task.c arbiter/core/mongodb_watch.c
TESTS += arb_settings_test arb_pause_test arb_task_test arb_policy_test
TEST_arb_settings_test := tests/unit/arb_settings_test.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_arb_settings_test := cores base
TEST_arb_pause_test := tests/unit/arb_pause_test.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_arb_pause_test := cores base
TEST_arb_task_test := tests/unit/arb_task_test.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_arb_task_test := cores base
TEST_arb_policy_test := tests/unit/arb_policy_test.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_arb_policy_test := cores base
TESTS += galera_rules_test galera_core_test galera_turn_test
TEST_galera_rules_test := tests/unit/galera_rules_test.c tests/support/panic.c
TLIBS_galera_rules_test := cores base
TEST_galera_core_test := tests/unit/galera_core_test.c tests/unit/galera_scene.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_galera_core_test := cores base
TEST_galera_turn_test := tests/unit/galera_turn_test.c tests/unit/galera_scene.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_galera_turn_test := cores base
TESTS += mongodb_core_test mongodb_force_test mongodb_rules_test mongodb_task_test
TEST_mongodb_core_test := tests/unit/mongodb_core_test.c tests/unit/mongodb_scene.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_mongodb_core_test := cores base
TEST_mongodb_task_test := tests/unit/mongodb_task_test.c tests/unit/mongodb_scene.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_mongodb_task_test := cores base
TEST_mongodb_force_test := tests/unit/mongodb_force_test.c tests/unit/mongodb_scene.c tests/unit/arb_scene.c tests/support/panic.c
TLIBS_mongodb_force_test := cores base
TEST_mongodb_rules_test := tests/unit/mongodb_rules_test.c tests/support/panic.c
TLIBS_mongodb_rules_test := cores base
