LIB_io += proto/io/address.c proto/io/bytes.c proto/io/connect.c proto/io/identity.c \
  proto/io/link.c proto/io/link_frame.c proto/io/listen.c proto/io/log.c proto/io/loop.c proto/io/stream.c proto/io/timer.c proto/io/tls.c proto/io/work.c

PKGS_io_test := libuv openssl libnghttp2 yaml-0.1
define io_test
TESTS += io_$(1)_test
TEST_io_$(1)_test := tests/unit/io_$(1)_test.c tests/unit/io_test_support.c tests/support/panic.c
TLIBS_io_$(1)_test := io base
TPKG_io_$(1)_test := $(PKGS_io_test)
TLDL_io_$(1)_test := -lhttp_parser
endef
$(foreach test,loop stream link,$(eval $(call io_test,$(test))))
