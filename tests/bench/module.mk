BINARIES += pgload
BIN_pgload := tests/bench/pgload.c
PKG_pgload := libpq
LDL_pgload := -lpthread
