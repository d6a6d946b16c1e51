# What the assembler puts into assets.o.
$(B)/arbiter/web/assets.o: arbiter/web/status.css arbiter/web/status.js
