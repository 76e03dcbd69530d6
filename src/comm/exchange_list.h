/* All exchange algorithms. EXCHANGE(name) stands for `exchange_<name>` in
 * src/comm/exchange_<name>.c. The first also stands
 * for what `auto` may choose, where that is not known yet: those need as many vectors.
 */
EXCHANGE(direct)
EXCHANGE(two_level)
EXCHANGE(native)
