/* What a rank finds out of itself, its host and its job, as facts (survey.h). Local,
 * all of it; what cannot be found out is left out. */
#ifndef DOCTOR_FACTS_H
#define DOCTOR_FACTS_H

#include <convoy/doctor.h>

#include "comm/cores.h"

#include <stdint.h>
#include <stdio.h>

/* Versions, processor, instruction set, limits, environment. */
void facts_of_host(FILE *facts);

/* The cores that the rank shares, and the speed of all of them at once, for a second.
 */
void facts_of_cores(FILE *facts, const struct cores *cores);

/* The recipe's plan of memory, its packs and weights, or the pack that options name,
 * $TMPDIR, the current folder.
 * One rank of a host does it for all. */
void facts_of_training(FILE *facts, const convoy_doctor_options *options, int ranks,
                       const struct cores *cores);

/* The file system that path is on: kind is "memory", "shared", "local" or "unknown". */
void facts_of_file_system(FILE *facts, const char *name, const char *path);

/* What is left on it, of space and of files, and how much there is: nothing of a
 * file system that cannot be written. What the quota of a user leaves is seen where the
 * file system's own numbers tell it. */
void facts_of_room(FILE *facts, const char *name, const char *path);

/* Whether the file can be read, and its size. */
void facts_of_weights(FILE *facts, const char *path);

/* What scontrol tells of the job and its batch script; nothing outside of a job. Before
 * MPI starts: it starts processes. */
void facts_of_job(FILE *facts);

/* Whether this process is the first of those that the launcher started, as far as the
 * environment tells. */
bool facts_is_first_process(void);

#endif
