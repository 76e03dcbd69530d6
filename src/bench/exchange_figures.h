/* The arithmetic of bench exchange. No MPI, no memory. */
#ifndef BENCH_EXCHANGE_FIGURES_H
#define BENCH_EXCHANGE_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* The bytes after these, at least 1, on the way to most: four times as many, most
 * itself at the end, then 0. */
uint64_t figures_next_size(uint64_t bytes, uint64_t most);

/* Bytes a second that the slowest link of a rank has to carry for a sum of so many
 * bytes over ranks: 2 (ranks - 1) / ranks bytes, in seconds > 0. */
double figures_bus_bandwidth(uint64_t bytes, int ranks, double seconds);

/* How many rounds fit the time budget_s if one takes round_s: within [least, most]. */
int figures_rounds(double round_s, double budget_s, int least, int most);

/* Sorts values [n], n >= 1; the middle one, of two the lower. */
double figures_median(double *values, int n);

#endif
