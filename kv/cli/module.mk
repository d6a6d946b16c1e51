BINARIES += kv
BIN_kv := kv/cli/main_kv.c kv/cli/cli.c kv/cli/cli_args.c kv/cli/cli_call.c kv/cli/cmd_keys.c kv/cli/cmd_txn.c kv/cli/cmd_quorum.c kv/cli/cmd_db_config.c \
  kv/cli/cmd_db_drill.c kv/cli/cmd_db_order.c kv/cli/cmd_db_force.c kv/cli/cmd_db_route.c kv/cli/cmd_db_show.c kv/cli/cmd_db_story.c kv/cli/cmd_db_task.c \
  kv/cli/db.c kv/cli/db_config.c kv/cli/db_json.c kv/cli/db_mongodb.c kv/cli/db_json_mongodb.c kv/cli/db_print.c \
  kv/cli/cmd_auth.c kv/cli/cmd_cert.c kv/cli/cmd_debug.c kv/cli/cmd_snapshot.c kv/cli/cert_make.c kv/cli/cert_revoke.c \
  kv/cli/cmd_lease.c kv/cli/cmd_lock.c kv/cli/cmd_maintain.c kv/cli/cmd_member.c kv/cli/cmd_perf.c kv/cli/cmd_save.c \
  kv/cli/cmd_watch.c kv/cli/completion.c kv/cli/keeper.c \
  kv/cli/cmd_setup.c kv/cli/setup.c kv/cli/setup_files.c kv/cli/tar.c \
  kv/cli/cmd_doctor.c kv/cli/doctor_engines.c kv/cli/doctor_files.c kv/cli/doctor_units.c kv/cli/doctor_host.c kv/cli/doctor_net.c \
  kv/cli/cmd_import.c kv/cli/patroni_keys.c kv/cli/patroni_take.c kv/cli/flat.c
LDL_kv := -lpthread
LIBS_kv := store io wire cores base
PKG_kv := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c lmdb
TESTS += cert_make_test
TEST_cert_make_test := tests/unit/cert_make_test.c kv/cli/cert_make.c tests/support/panic.c
TLIBS_cert_make_test := base
TPKG_cert_make_test := openssl
TESTS += patroni_test
TEST_patroni_test := tests/unit/patroni_test.c kv/cli/flat.c kv/cli/patroni_keys.c kv/cli/patroni_take.c tests/support/panic.c
TLIBS_patroni_test := io wire cores base
TPKG_patroni_test := libuv openssl libnghttp2 yaml-0.1 jansson libprotobuf-c
