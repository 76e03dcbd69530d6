/* Weighted sums of u8 in 32-bit integers: plain C for any machine, and AVX2.
 *
 * AVX2 multiplies pairs of 16-bit integers and adds the two products in one
 * instruction (pmaddwd), so taps are taken two at a time. Across a row, the pixels of
 * two rows lie in the two halves of a register: weights and offsets are read once for
 * both. Sums stay below 2^22 + 2^13 and weights are not negative and add up to
 * 2^WEIGHT_BITS, so nothing needs clamping. */
#include "image/resize_loops.h"

#include <string.h>

enum { HALF = 1 << (WEIGHT_BITS - 1) };

static void row_of_1(const struct axis *axis, int left, const uint8_t *from,
                     uint8_t *to)
{
    const int16_t *weights = axis->weights;
    const size_t n_weights = 2 * (size_t)axis->n_pairs;
    for (int i = 0; i < axis->n_out; i++, weights += n_weights) {
        const uint8_t *pixel = from + (axis->start[i] - left);
        int32_t sum = HALF;
        for (int j = 0; j < axis->n_taps; j++)
            sum += pixel[j] * weights[j];
        to[i] = (uint8_t)(sum >> WEIGHT_BITS);
    }
}

static void rows_of_1(const struct axis *axis, int left, const struct row_pair *rows)
{
    for (int i = 0; i < 2; i++)
        row_of_1(axis, left, rows->from[i], rows->to[i]);
}

static void row_of_3(const struct axis *axis, int left, const uint8_t *from,
                     uint8_t *to)
{
    const int16_t *weights = axis->weights;
    const size_t n_weights = 2 * (size_t)axis->n_pairs;
    for (int i = 0; i < axis->n_out; i++, weights += n_weights) {
        const uint8_t *pixel = from + 3 * (ptrdiff_t)(axis->start[i] - left);
        int32_t r = HALF, g = HALF, b = HALF;
        for (int j = 0; j < axis->n_taps; j++, pixel += 3) {
            r += pixel[0] * weights[j];
            g += pixel[1] * weights[j];
            b += pixel[2] * weights[j];
        }
        to[0] = (uint8_t)(r >> WEIGHT_BITS);
        to[1] = (uint8_t)(g >> WEIGHT_BITS);
        to[2] = (uint8_t)(b >> WEIGHT_BITS);
        to += RING_PIXEL;
    }
}

static void rows_of_3(const struct axis *axis, int left, const struct row_pair *rows)
{
    for (int i = 0; i < 2; i++)
        row_of_3(axis, left, rows->from[i], rows->to[i]);
}

static void mix(const uint8_t *const *rows, const int16_t *weights, int n_pairs,
                size_t n, uint8_t *to)
{
    for (size_t x = 0; x < n; x += ROW_UNIT) {
        int32_t sums[ROW_UNIT];
        for (int k = 0; k < ROW_UNIT; k++)
            sums[k] = HALF;
        for (int j = 0; j < 2 * n_pairs; j++)
            for (int k = 0; k < ROW_UNIT; k++)
                sums[k] += rows[j][x + (size_t)k] * weights[j];
        for (int k = 0; k < ROW_UNIT; k++)
            to[x + (size_t)k] = (uint8_t)(sums[k] >> WEIGHT_BITS);
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE_AVX2 static inline __attribute__((always_inline, target("avx2")))

/* Both weights of a pair, for all pixels. */
INLINE_AVX2 __m256i pair_of(const int16_t *weights)
{
    int32_t both;
    memcpy(&both, weights, sizeof both);
    return _mm256_set1_epi32(both);
}

/* 16 bytes of each of two rows. */
INLINE_AVX2 __m256i load_both(const uint8_t *a, const uint8_t *b)
{
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)a);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)b);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* One pixel of both rows, four sums a row: red, green, blue, nothing. */
INLINE_AVX2 __m256i pixel_of_3(const uint8_t *a, const uint8_t *b,
                               const int16_t *weights, int n_pairs)
{
    /* r0 r1, g0 g1, b0 b1, 0 0 as 16-bit integers, from RGB pixels 0 and 1, 2 and 3 */
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    __m256i sum = _mm256_set1_epi32(HALF);
    for (int j = 0; j < n_pairs; j += 2, a += 12, b += 12, weights += 4) {
        __m256i four = load_both(a, b);
        __m256i two = _mm256_shuffle_epi8(four, first);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(two, pair_of(weights)));
        if (j + 1 == n_pairs)
            break;
        two = _mm256_shuffle_epi8(four, second);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(two, pair_of(weights + 2)));
    }
    return _mm256_srai_epi32(sum, WEIGHT_BITS);
}

INLINE_AVX2 void rows_of_3_with(const struct axis *axis, int left,
                                const struct row_pair *rows, int n_pairs)
{
    const int16_t *weights = axis->weights;
    uint8_t *to = rows->to[0], *below = rows->to[1];
    for (int i = 0; i < axis->n_out; i += OUT_UNIT) {
        __m256i pixels[OUT_UNIT];
        for (int k = 0; k < OUT_UNIT; k++, weights += 2 * (size_t)n_pairs) {
            ptrdiff_t at = 3 * (ptrdiff_t)(axis->start[i + k] - left);
            pixels[k] =
                pixel_of_3(rows->from[0] + at, rows->from[1] + at, weights, n_pairs);
        }
        __m256i four = _mm256_packus_epi16(_mm256_packs_epi32(pixels[0], pixels[1]),
                                           _mm256_packs_epi32(pixels[2], pixels[3]));
        _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(four));
        _mm_storeu_si128((__m128i *)(void *)below, _mm256_extracti128_si256(four, 1));
        to += sizeof(__m128i);
        below += sizeof(__m128i);
    }
}

/* With the usual numbers of taps known, their loops vanish. */
AVX2 static void rows_of_3_avx2(const struct axis *axis, int left,
                                const struct row_pair *rows)
{
    switch (axis->n_pairs) {
    case 1:
        rows_of_3_with(axis, left, rows, 1);
        break;
    case 2:
        rows_of_3_with(axis, left, rows, 2);
        break;
    case 3:
        rows_of_3_with(axis, left, rows, 3);
        break;
    default:
        rows_of_3_with(axis, left, rows, axis->n_pairs);
    }
}

/* Adds 8 pixels times a pair of weights; ab: a0 b0 a1 b1 … in both halves. */
INLINE_AVX2 void mix_pair(__m256i ab, __m256i weights, __m256i sums[2])
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_unpacklo_epi8(ab, zero), high = _mm256_unpackhi_epi8(ab, zero);
    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, weights));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, weights));
}

AVX2 static void mix_avx2(const uint8_t *const *rows, const int16_t *weights,
                          int n_pairs, size_t n, uint8_t *to)
{
    const __m256i half = _mm256_set1_epi32(HALF);
    for (size_t x = 0; x < n; x += ROW_UNIT) {
        __m256i sums[4] = {half, half, half, half};
        for (size_t j = 0; j < 2 * (size_t)n_pairs; j += 2) {
            __m256i pair = pair_of(weights + j);
            const void *row = rows[j] + x, *below = rows[j + 1] + x;
            __m256i a = _mm256_loadu_si256(row), b = _mm256_loadu_si256(below);
            mix_pair(_mm256_unpacklo_epi8(a, b), pair, sums);
            mix_pair(_mm256_unpackhi_epi8(a, b), pair, sums + 2);
        }
        for (int k = 0; k < 4; k++)
            sums[k] = _mm256_srai_epi32(sums[k], WEIGHT_BITS);
        __m256i mixed = _mm256_packus_epi16(_mm256_packs_epi32(sums[0], sums[1]),
                                            _mm256_packs_epi32(sums[2], sums[3]));
        _mm256_storeu_si256((__m256i *)(void *)(to + x), mixed);
    }
}

#define HAS_AVX2 __builtin_cpu_supports("avx2")
#else
#define rows_of_3_avx2 rows_of_3
#define mix_avx2 mix
#define HAS_AVX2 0
#endif

static const struct resize_loops plain_loops = {rows_of_1, rows_of_3, mix};
static const struct resize_loops avx2_loops = {rows_of_1, rows_of_3_avx2, mix_avx2};

const struct resize_loops *resize_loops_here(void)
{
    return HAS_AVX2 ? &avx2_loops : &plain_loops;
}

const struct resize_loops *resize_loops_plain(void)
{
    return &plain_loops;
}
