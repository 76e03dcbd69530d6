/* All exchange algorithms. EXCHANGE(name) stands for `exchange_<name>` in
 * src/comm/exchange_<name>.c. The first is the one that `auto` takes. */
EXCHANGE(direct)
EXCHANGE(two_level)
EXCHANGE(native)
