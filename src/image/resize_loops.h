/* The inner loops of resizing, for the best instructions of this machine. All variants
 * give the same bits. */
#ifndef IMAGE_RESIZE_LOOPS_H
#define IMAGE_RESIZE_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum {
    WEIGHT_BITS = 14,
    RING_PIXEL = 4,  /* bytes of a pixel of three channels in a resized row */
    ROW_UNIT = 32,   /* resized rows are multiples of this, in bytes */
    OUT_UNIT = 4,    /* axes are planned for multiples of this, in pixels */
    READ_BEYOND = 16 /* bytes that may be read behind a row of the source */
};

/* The filter of one axis. Output pixel i is the sum over j < n_taps of weights[i, j]
 * times pixel start[i] + j of the input, 2^-WEIGHT_BITS. */
struct axis {
    int n_out, n_taps;
    int n_pairs;      /* of weights; an odd one more is 0 */
    int32_t *start;   /* [n_out rounded up] */
    int16_t *weights; /* [n_out rounded up, 2 n_pairs], at least 0 */
    void *memory;
    size_t capacity;
};

/* Two rows that are resized together. from: [n_in, channels], from the input pixel
 * `left` on; to: [n_out, 1 or RING_PIXEL], of ROW_UNIT bytes or a multiple */
struct row_pair {
    const uint8_t *from[2];
    uint8_t *to[2];
};

struct resize_loops {
    void (*rows_of_1)(const struct axis *axis, int left, const struct row_pair *rows);
    void (*rows_of_3)(const struct axis *axis, int left, const struct row_pair *rows);
    /* to[x] = sum over j < 2 n_pairs of weights[j] * rows[j][x]; n: multiple of
     * ROW_UNIT */
    void (*mix)(const uint8_t *const *rows, const int16_t *weights, int n_pairs,
                size_t n, uint8_t *to);
};

const struct resize_loops *resize_loops_here(void);

/* Those in plain C, for any machine. */
const struct resize_loops *resize_loops_plain(void);

#endif
