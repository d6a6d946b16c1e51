# What the assembler puts into assets.o.
$(B)/arbiter/web/assets.o: arbiter/web/status.css arbiter/web/status.js
TESTS += web_page_test
TEST_web_page_test := tests/unit/web_page_test.c arbiter/web/access.c arbiter/web/html.c arbiter/web/page.c arbiter/web/page_cluster.c arbiter/web/page_members.c \
  arbiter/web/page_story.c arbiter/api/entry.c tests/support/panic.c
TLIBS_web_page_test := wire io base
TPKG_web_page_test := libuv openssl libnghttp2 jansson libprotobuf-c
TLDL_web_page_test := -lpthread
