# Listed here once they exist.
LIB_io +=
