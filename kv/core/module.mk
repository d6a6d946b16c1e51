LIB_cores += kv/core/alarm.c kv/core/apply.c kv/core/auth.c kv/core/check.c kv/core/compact.c kv/core/hash.c kv/core/lease.c kv/core/mvcc.c kv/core/range.c kv/core/rows.c kv/core/txn.c kv/core/view.c
