BINARIES += sqlload sqlprobe
SQL_LOAD_SRC := $(foreach f,load append bank set register history,jepsen/sql/$(f).c)
BIN_sqlload := $(SQL_LOAD_SRC) jepsen/sql/session.c
PKG_sqlload := libpq
LDL_sqlload := -lpthread
BIN_sqlprobe := jepsen/sql/probe.c jepsen/sql/history.c jepsen/sql/session.c
PKG_sqlprobe := libpq
LDL_sqlprobe := -lpthread
