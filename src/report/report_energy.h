/* The energy of a run: what it read itself, else what Slurm's accounts say of its jobs.
 * Local, all of it. */
#ifndef REPORT_REPORT_ENERGY_H
#define REPORT_REPORT_ENERGY_H

#include <stdbool.h>

struct report_energy {
    double joules;
    double seconds;  /* in which it was taken; 0: not known */
    int nodes;       /* likewise, of so many */
    char source[64]; /* "RAPL", "sacct, job 123" */
};

/* Of the run in folder. false: it is not known, whatever the reason. *asks: whether
 * sacct may still be asked; becomes false where it is missing or does not answer, which
 * may have taken ten seconds. */
bool report_energy_read(const char *folder, bool *asks, struct report_energy *energy);

#endif
