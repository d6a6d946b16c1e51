BINARIES += jepsen-check
BIN_jepsen-check := jepsen/tools/check_main.c jepsen/tools/judge_kinds.c jepsen/tools/judge_load.c jepsen/tools/judge_picture.c
LIBS_jepsen-check := check base
BINARIES += jepsen-history
BIN_jepsen-history := jepsen/tools/make.c jepsen/tools/make_main.c
LIBS_jepsen-history := check base
