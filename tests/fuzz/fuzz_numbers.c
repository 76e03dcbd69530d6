/* Matrices of numbers as `convoy convolve` reads them; what was read reads back the
 * same after it was written. */
#include "fuzz/fuzz.h"

#include <convoy/convolve.h>

#include <string.h>

static size_t bytes_of(const convoy_planes *m)
{
    return (size_t)m->rows * (size_t)m->columns * sizeof *m->values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    convoy_planes matrix = {0}, again = {0};
    const char *path = fuzz_file("input.csv", data, size);
    if (convoy_matrix_read(path, &matrix) != CONVOY_OK)
        return 0;
    fuzz_expect(matrix.n == 1 && matrix.rows > 0 && matrix.columns > 0, "no matrix");
    fuzz_look(matrix.values, bytes_of(&matrix));
    if (convoy_planes_write(&matrix, path, false) == CONVOY_OK) {
        fuzz_expect(convoy_matrix_read(path, &again) == CONVOY_OK, "not read again");
        fuzz_expect(again.rows == matrix.rows && again.columns == matrix.columns &&
                        memcmp(again.values, matrix.values, bytes_of(&matrix)) == 0,
                    "another matrix");
    }
    convoy_planes_free(&matrix);
    convoy_planes_free(&again);
    return 0;
}
