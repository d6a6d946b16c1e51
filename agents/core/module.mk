LIB_cores += agents/core/act_holder.c agents/core/act_standby.c agents/core/detect.c agents/core/disk.c \
  agents/core/effects.c \
  agents/core/facts.c agents/core/failsafe.c agents/core/lease.c agents/core/orders.c agents/core/pause.c \
  agents/core/report.c agents/core/sight.c agents/core/step.c agents/core/table.c agents/core/tasks.c agents/core/upstream.c
