LIB_base += base/canary.c base/crc32c.c base/error.c base/failpoint.c base/mark.c base/metric.c base/name.c base/rand.c base/slice.c
