BINARIES += sqlload sqlprobe
BIN_sqlload := jepsen/sql/load.c jepsen/sql/append.c jepsen/sql/bank.c jepsen/sql/set.c jepsen/sql/session.c
PKG_sqlload := libpq
LDL_sqlload := -lpthread
BIN_sqlprobe := jepsen/sql/probe.c jepsen/sql/session.c
PKG_sqlprobe := libpq
LDL_sqlprobe := -lpthread
