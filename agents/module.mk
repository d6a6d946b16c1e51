LIB_glue += agents/driver.c
