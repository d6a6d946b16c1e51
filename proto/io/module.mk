# SPDX-License-Identifier: Apache-2.0
LIB_io += proto/io/address.c proto/io/bytes.c proto/io/connect.c proto/io/grpc.c proto/io/grpc_channel.c proto/io/grpc_client.c proto/io/grpc_conn.c proto/io/grpc_stream.c \
  proto/io/h2.c proto/io/h2_http.c proto/io/headers.c proto/io/http1.c proto/io/http1_parse.c \
  proto/io/http_text.c proto/io/identity.c proto/io/json_patch.c proto/io/link.c proto/io/link_conn.c proto/io/link_frame.c \
  proto/io/link_hello.c proto/io/listen.c \
  proto/io/log.c proto/io/loop.c proto/io/revoke.c proto/io/server.c proto/io/stream.c proto/io/stream_tls.c proto/io/timer.c proto/io/tls.c \
  proto/io/work.c

PKGS_io_test := libuv openssl libnghttp2 yaml-0.1
define io_test
TESTS += io_$(1)_test
TEST_io_$(1)_test := tests/unit/io_$(1)_test.c tests/unit/io_test_support.c tests/support/panic.c
TLIBS_io_$(1)_test := io base
TPKG_io_$(1)_test := $(PKGS_io_test)
endef
$(foreach test,loop stream link http grpc grpc_channel grpc_hostile grpc_stream,$(eval $(call io_test,$(test))))
