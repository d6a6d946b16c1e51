# Edges of the programs: configuration, command line, daemon.
LIB_io += proto/io/config_quorum.c proto/io/node_id.c proto/io/config.c proto/io/config_print.c proto/io/config_value.c proto/io/config_yaml.c proto/io/daemon.c proto/io/fault.c \
  proto/io/panic.c proto/io/table.c
TESTS += io_log_test
TEST_io_log_test := tests/unit/io_log_test.c tests/support/panic.c
TLIBS_io_log_test := io base
TPKG_io_log_test := libuv openssl libnghttp2
TESTS += io_config_test
TEST_io_config_test := tests/unit/io_config_test.c tests/support/panic.c
TLIBS_io_config_test := io base
TPKG_io_config_test := libuv openssl libnghttp2 yaml-0.1
