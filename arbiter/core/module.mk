LIB_cores += arbiter/core/candidate.c arbiter/core/confirm.c arbiter/core/decide.c arbiter/core/fence.c \
  arbiter/core/lease.c arbiter/core/member.c arbiter/core/names.c arbiter/core/note.c arbiter/core/order.c \
  arbiter/core/pause.c arbiter/core/record.c arbiter/core/request.c arbiter/core/settings.c arbiter/core/step.c \
  arbiter/core/switchover.c arbiter/core/sync.c arbiter/core/syncset.c arbiter/core/takeover.c arbiter/core/task.c \
  arbiter/core/view.c arbiter/core/vote.c
