/* Which process on which host a temporary file or a lock belongs to, and whether that
 * process still runs. */
#ifndef BASE_OWNER_H
#define BASE_OWNER_H

#include <stdbool.h>
#include <stdint.h>

enum { OWNER_HOST_SIZE = 65, OWNER_SIZE = OWNER_HOST_SIZE + 24 };

/* This host's name, without anything that a file's name cannot hold. */
void owner_host(char out[OWNER_HOST_SIZE]);

/* This process: "HOST-PROCESS", for names of files. */
void owner_name(char out[OWNER_SIZE]);

/* Whether owner, as owner_name gives it (or a bare number of a process of this host),
 * is this process or one that has ended. false where it cannot be known: another
 * host's.
 */
bool owner_is_done(const char *owner);

/* When a process of this host began, in ticks since the host did; 0: there is none, or
 * it has ended and only waits to be collected. With its number, that is a process. */
uint64_t owner_born(long process);

/* Whether a process of this host is there, but stopped: by a signal, or a debugger. */
bool owner_is_stopped(long process);

/* The namespace of this process's number, "" where that is not known: numbers of two
 * namespaces say nothing of each other. */
void owner_space(char out[OWNER_HOST_SIZE]);

#endif
