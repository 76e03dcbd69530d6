/* Kernels that lectures on convolution begin with, by name:
 *   identity  leaves the image as it is
 *   edge1     the mixed second derivative, d^2 / dx dy, which sees diagonal edges
 *   edge2     Laplace's operator with four neighbours, edge3 with eight
 *   sharpen   the image less edge2
 *   box       the mean of nine pixels */
#include <convoy/convolve.h>

#include "base/file.h"
#include "see/planes.h"

#include <stdio.h>
#include <string.h>

#define NINTH (1.0F / 9)

static const struct {
    const char *name;
    float values[9]; /* [3, 3] */
} kernels[] = {
    {"identity", {0, 0, 0, 0, 1, 0, 0, 0, 0}},
    {"edge1", {1, 0, -1, 0, 0, 0, -1, 0, 1}},
    {"edge2", {0, 1, 0, 1, -4, 1, 0, 1, 0}},
    {"edge3", {-1, -1, -1, -1, 8, -1, -1, -1, -1}},
    {"sharpen", {0, -1, 0, -1, 5, -1, 0, -1, 0}},
    {"box", {NINTH, NINTH, NINTH, NINTH, NINTH, NINTH, NINTH, NINTH, NINTH}},
};

enum { N_KERNELS = sizeof kernels / sizeof *kernels, SIDE = 3 };

const char *convoy_kernel_name(int i)
{
    return i >= 0 && i < N_KERNELS ? kernels[i].name : NULL;
}

static convoy_status fail_unknown(const char *name)
{
    char names[128] = "";
    for (int i = 0; i < N_KERNELS; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                 kernels[i].name);
    }
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "there is no kernel '%s', and no file of that name; kernels are %s",
                name, names);
}

convoy_status convoy_kernel_read(const char *name, convoy_planes *kernel)
{
    for (int i = 0; i < N_KERNELS; i++) {
        if (strcmp(kernels[i].name, name) != 0)
            continue;
        const convoy_status status = planes_make(1, SIDE, SIDE, kernel);
        if (status == CONVOY_OK)
            memcpy(kernel->values, kernels[i].values, sizeof kernels[i].values);
        return status;
    }
    return file_exists(name) ? convoy_matrix_read(name, kernel) : fail_unknown(name);
}
