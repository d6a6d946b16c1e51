LIB_cores += agents/core/act_holder.c agents/core/act_standby.c agents/core/disk.c agents/core/effects.c \
  agents/core/facts.c agents/core/lease.c agents/core/report.c agents/core/step.c agents/core/table.c
