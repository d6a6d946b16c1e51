LIB_cores += arbiter/core/confirm.c arbiter/core/decide.c arbiter/core/lease.c arbiter/core/names.c arbiter/core/note.c \
  arbiter/core/order.c arbiter/core/record.c arbiter/core/request.c arbiter/core/step.c arbiter/core/sync.c \
  arbiter/core/syncset.c arbiter/core/view.c arbiter/core/vote.c
