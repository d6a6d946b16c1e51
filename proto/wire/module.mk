LIB_wire += proto/wire/arena.c
