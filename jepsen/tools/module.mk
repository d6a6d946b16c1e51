BINARIES += jepsen-check
BIN_jepsen-check := jepsen/tools/check_main.c jepsen/tools/judge_kinds.c jepsen/tools/judge_load.c jepsen/tools/judge_picture.c
LIBS_jepsen-check := check base
