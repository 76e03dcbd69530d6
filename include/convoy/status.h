/* Results of convoy's functions.
 *
 * Every function that can fail returns a convoy_status. On failure the text that
 * explains it (what was found, what was expected, what to do) is kept for the calling
 * thread until that thread's next failure. The library never prints, exits or aborts.
 *
 * Threads: one thread at a time may be in convoy, whichever it is, since HDF5 and MPI
 * allow no more; but any number may be at once in functions whose header says so, such
 * as the reading of an open pack. Training, evaluating, predicting and measuring
 * compute on threads that convoy starts for it; their number is said in options or
 * recipe, never by the environment, and they are pinned to processors that the calling
 * thread may use. What only prepares, and packing and checking packs, uses the calling
 * thread's OpenMP team. OpenMP's settings and the binding of the calling thread are
 * left as they are.
 */
#ifndef CONVOY_STATUS_H
#define CONVOY_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum convoy_status {
    CONVOY_OK = 0,
    CONVOY_ERROR_ARGUMENT,    /* a value that the caller gave cannot be used */
    CONVOY_ERROR_MEMORY,      /* out of memory */
    CONVOY_ERROR_IO,          /* the operating system refused a file or folder */
    CONVOY_ERROR_FORMAT,      /* a file does not hold what it should */
    CONVOY_ERROR_UNSUPPORTED, /* legal, but not on this machine or in this version */
    CONVOY_ERROR_LIBRARY,     /* oneDNN, MPI or HDF5 failed; the text says which */
    CONVOY_ERROR_ELSEWHERE,   /* another rank failed and reports it; say nothing */
    CONVOY_STOPPED            /* stopped by a signal, after saving */
} convoy_status;

/* The text of the calling thread's last failure; "" if none. Local. Borrowed until the
 * thread's next failure. */
const char *convoy_status_text(void);

/* Source file and line ("src/pack/pack.c:120") of the calling thread's last failure.
 * Local. Borrowed until the thread's next failure. Any number of threads at once, as
 * for the other two. */
const char *convoy_status_where(void);

/* Whether every rank of the job knows of the calling thread's last failure and failed
 * with it (convoy_world_agree). Local.
 *
 * The one rule for programs of several ranks: when a collective function fails and this
 * is false, the other ranks may wait for this one for ever, so the failure is fatal.
 * Tell it, then end the job with convoy_world_abort. CONVOY_STOPPED is never fatal. */
bool convoy_status_agreed(void);

/* Forgets the calling thread's last failure. Local. */
void convoy_status_clear(void);

#ifdef __cplusplus
}
#endif
#endif
