# Which lines of build/bench/failover.trials count for the figures of gaps: complete ones, nothing lost, and with a gap that a change of
# the primary can make (the floor is 160 ms): with less no write was held up, since somebody else served meanwhile.
def is_valid: .gap_us != null and .lost == 0 and .gap_us >= 50000;
# Writes came back, whatever else became of the cluster.
def has_ended: .invalid == null and .gap_us != null and .gap_us >= 50000;
# A peer that answers a fault with a broken cluster or with lost rows has answered it: its gap is shown apart.
def is_made: if .system | startswith("patroni") then has_ended else is_valid end;
