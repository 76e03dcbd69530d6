/* A picture to try things on: a landscape that is computed, with smooth parts, fine
 * texture, straight edges and round ones, as a photograph has. No MPI. */
#ifndef CONVOY_SCENE_H
#define CONVOY_SCENE_H

#include <convoy/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CONVOY_SCENE_MIN_SIDE = 32, CONVOY_SCENE_MAX_SIDE = 4096 };

/* Draws the scene, width x height pixels, RGB, and writes it to path as a PNG: the old
 * file or the whole new one. The same size gives the same pixels. Local. Errors:
 * ARGUMENT (a side that is less or more than the above), IO, MEMORY. */
convoy_status convoy_scene_save(const char *path, int width, int height);

#ifdef __cplusplus
}
#endif

#endif
