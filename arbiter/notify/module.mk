TESTS += notify_told_test
TEST_notify_told_test := tests/unit/notify_told_test.c arbiter/notify/told.c tests/support/panic.c
TLIBS_notify_told_test := base
TESTS += notify_post_test
TEST_notify_post_test := tests/unit/notify_post_test.c arbiter/notify/post.c tests/support/panic.c
TLIBS_notify_post_test := io base
TPKG_notify_post_test := libuv openssl libnghttp2 yaml-0.1
TLDL_notify_post_test := -lpthread
