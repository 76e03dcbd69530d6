/* The loops for this machine give the bits of those in plain C, whatever the taps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/resize_loops.h"

#include "base/memory.h"

#include <string.h>

enum { N_OUT = 37, PADDED = 40, MAX_TAPS = 12, N_IN = 60, ROW = 160 };

static uint32_t state = 1;

static int draw(int n)
{
    state = state * 1664525 + 1013904223;
    return (int)((state >> 8) % (uint32_t)n);
}

/* Weights that add up to 1, the first taken by chance. */
static void fill_weights(int16_t *weights, int n_taps)
{
    int rest = 1 << WEIGHT_BITS;
    for (int j = 0; j < n_taps; j++) {
        int weight = j == n_taps - 1 ? rest : draw(rest + 1);
        weights[j] = (int16_t)weight;
        rest -= weight;
    }
}

static void rows_are_the_same(void **unused)
{
    (void)unused;
    static uint8_t from[2][3 * N_IN + READ_BEYOND], to[2][2][ROW];
    static int32_t start[PADDED];
    static int16_t weights[PADDED * (MAX_TAPS + 1)];
    for (size_t i = 0; i < 2 * sizeof from[0]; i++)
        from[i % 2][i / 2] = (uint8_t)draw(256);
    for (int n_taps = 1; n_taps <= MAX_TAPS; n_taps++) {
        struct axis axis = {N_OUT, n_taps, (n_taps + 1) / 2, start, weights, NULL, 0};
        memset(weights, 0, sizeof weights);
        for (int i = 0; i < PADDED; i++) {
            start[i] = 7 + draw(N_IN - n_taps + 1);
            fill_weights(weights + (size_t)i * 2 * (size_t)axis.n_pairs, n_taps);
        }
        const struct resize_loops *loops[2] = {resize_loops_plain(),
                                               resize_loops_here()};
        for (int channels = 1; channels <= 3; channels += 2) {
            for (int l = 0; l < 2; l++) {
                struct row_pair rows = {{from[0], from[1]}, {to[l][0], to[l][1]}};
                memset(to[l], 0, sizeof to[l]);
                (channels == 3 ? loops[l]->rows_of_3 : loops[l]->rows_of_1)(&axis, 7,
                                                                            &rows);
            }
            for (int r = 0; r < 2; r++)
                for (int i = 0; i < N_OUT; i++)
                    for (int c = 0; c < channels; c++) {
                        int at = (channels == 3 ? RING_PIXEL : 1) * i + c;
                        assert_int_equal(to[0][r][at], to[1][r][at]);
                    }
        }
    }
}

static void mixtures_are_the_same(void **unused)
{
    (void)unused;
    static uint8_t rows[MAX_TAPS][ROW], to[2][ROW];
    const uint8_t *pointers[MAX_TAPS];
    int16_t weights[MAX_TAPS];
    for (int j = 0; j < MAX_TAPS; j++) {
        pointers[j] = rows[j];
        for (int x = 0; x < ROW; x++)
            rows[j][x] = (uint8_t)(draw(4) ? draw(256) : 255);
    }
    for (int n_pairs = 1; n_pairs <= MAX_TAPS / 2; n_pairs++) {
        fill_weights(weights, 2 * n_pairs);
        resize_loops_plain()->mix(pointers, weights, n_pairs, ROW, to[0]);
        resize_loops_here()->mix(pointers, weights, n_pairs, ROW, to[1]);
        assert_memory_equal(to[0], to[1], ROW);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_same),
        cmocka_unit_test(mixtures_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
