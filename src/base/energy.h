/* The energy that the processors' packages of this machine take, as the kernel tells it
 * from their own counters (RAPL, Linux's powercap interface): of the whole machine,
 * whoever uses it. Many sites let only root read it. Local; one thread. */
#ifndef BASE_ENERGY_H
#define BASE_ENERGY_H

#include <stdbool.h>
#include <stdint.h>

enum { ENERGY_MAX_PACKAGES = 32 };

/* The counters count up to some range and begin anew. */
struct energy_package {
    int fd;
    uint64_t range_uj, last_uj;
};

/* Begin with energy_begin. */
struct energy {
    struct energy_package packages[ENERGY_MAX_PACKAGES];
    int n;            /* 0: nothing can be read here, or not any more */
    double joules;    /* since energy_begin, up to: */
    double sampled_s; /* the last energy_sample (clock_now_s) */
};

/* Opens the counters. folder: NULL for the machine's own, /sys/class/powercap. Whether
 * there is anything to read, n says; it is no failure if there is not. */
void energy_begin(struct energy *energy, const char *folder);

/* Adds what was taken since the last sample. Counters of busy packages begin anew every
 * ten minutes or so, which shows as long as it is not twice between samples. */
void energy_sample(struct energy *energy);

/* Closes the counters. Takes {0}. */
void energy_end(struct energy *energy);

#endif
