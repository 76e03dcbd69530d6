/* Checks: pure functions of what ranks told. */
#ifndef DOCTOR_CHECK_H
#define DOCTOR_CHECK_H

#include <convoy/doctor.h>

#include "doctor/survey.h"

/* What was found. */
struct findings {
    convoy_finding *items; /* [n]; free with mem_free */
    size_t capacity;       /* in bytes */
    int n;
    const char *check;    /* the one that runs */
    convoy_status status; /* MEMORY once one could not be kept */
};

/* Adds one of the check that runs. fix: "" for OK. */
void check_found(struct findings *findings, convoy_level level, const char *fix,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A check finds one thing at least, or nothing where it does not apply. */
struct check {
    const char *name;
    void (*run)(const struct survey *survey, struct findings *findings);
};

/* Runs one of the checks, or all for NULL. */
void checks_run(const char *name, const struct survey *survey,
                struct findings *findings);

/* The tables, each ending in {NULL, NULL}. */
extern const struct check checks_of_launch[], checks_of_cores[], checks_of_programs[],
    checks_of_machines[], checks_of_data[], checks_of_slurm[];

/* "1 rank", "2 ranks". */
#define COUNT "%d %s%s"
#define COUNTED(n, noun, plural) (n), (noun), (n) == 1 ? "" : (plural)

/* "40 MiB" or "3.2 GiB". */
struct check_amount {
    char text[32];
};
struct check_amount check_amount(double bytes);

#endif
