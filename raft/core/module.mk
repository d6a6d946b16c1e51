LIB_cores += raft/core/check.c raft/core/core.c raft/core/election.c raft/core/follower.c raft/core/leader.c \
  raft/core/log.c raft/core/progress.c raft/core/quorum.c raft/core/read.c raft/core/write.c
