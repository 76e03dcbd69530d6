/* Which build of convoy this is. */
#ifndef BASE_BUILD_H
#define BASE_BUILD_H

enum { BUILD_ID_SIZE = 65 };

/* The build id, in hex, of the program or library that this function is in: the same
 * for the same build only, so an old copy shows even where its version is the same.
 * "" where the linker made none. Local. */
void build_id(char out[BUILD_ID_SIZE]);

#endif
