LIB_cores += kv/core/apply.c kv/core/check.c kv/core/mvcc.c kv/core/range.c kv/core/rows.c kv/core/txn.c kv/core/view.c
