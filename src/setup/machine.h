/* What of the program and its machine decides the bits of a result. */
#ifndef SETUP_MACHINE_H
#define SETUP_MACHINE_H

enum { MACHINE_FACTS_SIZE = 512 };

/* As facts for convoy_world_same: version and build of convoy, version of oneDNN, the
 * instruction sets that our loops and oneDNN's kernels use. Local. */
void machine_facts(char out[MACHINE_FACTS_SIZE]);

#endif
