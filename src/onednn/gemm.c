/* C = A B of squares that a core's cache holds. */
#include "onednn/gemm.h"

#include "base/clock.h"
#include "base/memory.h"
#include "onednn/engine.h"

enum { SIDE = 256 };

/* room: [3, SIDE, SIDE], A, B and C. */
static convoy_status multiply(float *room)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)SIDE * SIDE;
    TRY_DNNL(dnnl_sgemm('N', 'N', SIDE, SIDE, SIDE, 1, room, SIDE, room + n, SIDE, 0,
                        room + 2 * n, SIDE));
cleanup:
    return status;
}

convoy_status dnn_gemm_speed(double seconds, double *flop_a_s)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)SIDE * SIDE;
    float *room = NULL;
    int done = 0;
    TRY(mem_alloc_array(3 * n, sizeof *room, (void **)&room));
    for (size_t i = 0; i < 2 * n; i++)
        room[i] = 1.0F / (float)(i % SIDE + 1);
    TRY(multiply(room)); /* makes the kernel */
    const double since_s = clock_now_s();
    double now_s = since_s;
    for (; done == 0 || now_s < since_s + seconds; done++) {
        TRY(multiply(room));
        now_s = clock_now_s();
    }
    *flop_a_s = 2.0 * SIDE * (double)n * done / (now_s - since_s);
cleanup:
    mem_free(room);
    return status;
}
