/* What is right and wrong with a job before it trains: what `convoy doctor` does. */
#ifndef CONVOY_DOCTOR_H
#define CONVOY_DOCTOR_H

#include <convoy/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum convoy_level {
    CONVOY_LEVEL_OK,
    CONVOY_LEVEL_LOOK, /* works, but slower or less safe than it could be */
    CONVOY_LEVEL_WRONG /* will fail, or is not what was meant */
} convoy_level;

/* "OK", "look" or "wrong". */
const char *convoy_level_name(convoy_level level);

typedef struct convoy_finding {
    convoy_level level;
    const char *check; /* what was looked at: a word of docs/troubleshooting.md */
    char text[768];    /* what was found, and on which hosts */
    char fix[512];     /* what mends it; "" for OK */
} convoy_finding;

typedef struct convoy_doctor_options {
    const char *recipe;           /* a training that this job is for; may be NULL */
    const char *const *overrides; /* [n_overrides] of the recipe, "key.path=value" */
    int n_overrides;
    const char *pack; /* a pack, where there is no recipe; may be NULL */
} convoy_doctor_options;

typedef struct convoy_doctor convoy_doctor;

/* Looks at what has to be looked at before MPI starts: asks scontrol of the job, for
 * some seconds at most. Local; before convoy_world_create. options, and what it points
 * to, stays the caller's, and as it is. *doctor is new; free with
 * convoy_doctor_destroy. Errors: MEMORY. */
convoy_status convoy_doctor_create(const convoy_doctor_options *options,
                                   convoy_doctor **doctor);
void convoy_doctor_destroy(convoy_doctor *doctor);

/* A line to print before MPI starts, where it can hardly start; NULL: none. Local. */
const char *convoy_doctor_warning(const convoy_doctor *doctor);

/* Looks at all ranks, their hosts, files and network; some seconds. Collective; ranks
 * may run different versions of convoy. What is wrong with the job is no error: see the
 * verdict. Errors: MEMORY, LIBRARY. */
convoy_status convoy_doctor_examine(convoy_doctor *doctor, convoy_world *world);

/* The worst of what was found, the same on all ranks. Local. */
convoy_level convoy_doctor_verdict(const convoy_doctor *doctor);

/* What was found, of which there are *n, one check after another: on rank 0; on the
 * others, and where several processes each take themselves for rank 0 on all but one of
 * them, there are none. Borrowed. Local. */
const convoy_finding *convoy_doctor_findings(const convoy_doctor *doctor, int *n);

#ifdef __cplusplus
}
#endif
#endif
