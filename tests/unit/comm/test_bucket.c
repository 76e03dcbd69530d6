/* Cutting a vector into buckets, and a bucket into parts. */
#include "comm/bucket.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static const size_t lengths[] = {1, 15, 16, 17, 100, 1000, 1003, 4096};
static const size_t sizes[] = {1, 16, 17, 48, 160, 1000, 1008, 5000, SIZE_MAX};

enum {
    N_LENGTHS = sizeof lengths / sizeof *lengths,
    N_SIZES = sizeof sizes / sizeof *sizes
};

static void for_all(void (*check)(const struct buckets *buckets))
{
    for (int i = 0; i < N_LENGTHS; i++)
        for (int k = 0; k < N_SIZES; k++) {
            const struct buckets buckets = buckets_cut(lengths[i], sizes[k]);
            check(&buckets);
        }
}

/* From the end on, without gaps, each at a line of the cache, none too long. */
static void check_cover(const struct buckets *buckets)
{
    size_t end = buckets->n;
    for (int b = 0; b < buckets->count; b++) {
        const struct extent span = buckets_extent(buckets, b);
        assert_int_equal(span.end, end);
        assert_int_equal(span.begin % 16, 0);
        assert_true(span.begin < span.end);
        assert_true(span.end - span.begin <= buckets->most);
        end = span.begin;
    }
    assert_int_equal(end, 0);
    assert_int_equal(buckets->most % 16, 0);
}

static void buckets_are_the_whole_vector_from_its_end(void **state)
{
    (void)state;
    for_all(check_cover);
}

static void check_counts(const struct buckets *buckets)
{
    for (size_t from = 0; from <= buckets->n; from++) {
        const int whole = buckets_from(buckets, from),
                  needed = buckets_to(buckets, from);
        if (whole > 0)
            assert_true(buckets_extent(buckets, whole - 1).begin >= from);
        if (whole < buckets->count)
            assert_true(buckets_extent(buckets, whole).begin < from);
        if (from < buckets->n) {
            assert_true(buckets_extent(buckets, needed - 1).begin <= from);
            assert_true(buckets_extent(buckets, needed - 1).end > from);
        }
    }
}

static void what_is_final_and_what_is_needed_are_counted(void **state)
{
    (void)state;
    for_all(check_counts);
    const struct buckets buckets = buckets_cut(100, 48);
    assert_int_equal(buckets_from(&buckets, SIZE_MAX), 0);
    assert_int_equal(buckets_to(&buckets, SIZE_MAX), 0);
}

/* What is final last comes last, from the body's end on. */
static void check_last(size_t n, size_t n_last, size_t most)
{
    const struct buckets all = buckets_cut_last(n, n_last, most);
    const struct buckets body = buckets_cut(n - n_last, all.most);
    size_t at = n - n_last;
    assert_true(all.count > body.count);
    for (int b = 0; b < all.count; b++) {
        const struct extent extent = buckets_extent(&all, b);
        assert_true(extent.end - extent.begin <= all.most);
        if (b < body.count) {
            assert_int_equal(extent.begin, buckets_extent(&body, b).begin);
            assert_int_equal(extent.end, buckets_extent(&body, b).end);
        } else {
            assert_int_equal(extent.begin, at);
            at = extent.end;
        }
    }
    assert_int_equal(at, n);
    assert_int_equal(buckets_from(&all, 0), body.count);
    assert_int_equal(buckets_to(&all, 0), body.count);
}

static void what_is_final_last_is_behind_the_body(void **state)
{
    (void)state;
    check_last(160 + 5, 5, 48);
    check_last(160 + 100, 100, 48);
    check_last(16 + 1000, 1000, 5000);
}

static void a_vector_of_nothing_is_one_empty_bucket(void **state)
{
    (void)state;
    const struct buckets buckets = buckets_cut(0, 100);
    assert_int_equal(buckets.count, 1);
    assert_int_equal(buckets_extent(&buckets, 0).begin, 0);
    assert_int_equal(buckets_extent(&buckets, 0).end, 0);
}

static void parts_are_the_whole_span_in_lines(void **state)
{
    (void)state;
    for (int size = 1; size < 40; size++)
        for (int i = 0; i < N_LENGTHS; i++) {
            const struct extent whole = {32, 32 + lengths[i]};
            size_t at = whole.begin, shortest = SIZE_MAX, longest = 0;
            for (int q = 0; q < size; q++) {
                const struct extent part = extent_part(whole, q, size);
                const size_t n = part.end - part.begin;
                assert_int_equal(part.begin, at);
                at = part.end;
                shortest = n < shortest ? n : shortest;
                longest = n > longest ? n : longest;
            }
            assert_int_equal(at, whole.end);
            assert_true(longest - shortest <= 31);
        }
}

static void automatic_buckets_give_every_rank_long_messages(void **state)
{
    (void)state;
    for (int size = 1; size < 10000; size += 1 + size / 3) {
        const size_t n = bucket_auto_n(size);
        assert_int_equal(n % 16, 0);
        assert_true(n / (size_t)size >= 1 << 14);
        assert_true(n / (size_t)size <= INT32_MAX / sizeof(float));
    }
}

static int flights_of(size_t n, size_t most)
{
    const struct buckets buckets = buckets_cut(n, most);
    return buckets.flights;
}

static void few_long_buckets_are_under_way_at_a_time(void **state)
{
    (void)state;
    const size_t mib = 1 << 18, vector = 4096 * mib;
    assert_int_equal(flights_of(vector, bucket_auto_n(1)), BUCKET_FLIGHTS);
    assert_int_equal(flights_of(vector, 4 * mib), BUCKET_FLIGHTS);
    assert_int_equal(flights_of(vector, 8 * mib), 4);
    assert_int_equal(flights_of(vector, 16 * mib), 3);
    assert_int_equal(flights_of(vector, 2048 * mib), 2);
    assert_int_equal(flights_of(5 * mib, mib), 5);
    assert_int_equal(flights_of(0, mib), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_the_whole_vector_from_its_end),
        cmocka_unit_test(what_is_final_and_what_is_needed_are_counted),
        cmocka_unit_test(what_is_final_last_is_behind_the_body),
        cmocka_unit_test(a_vector_of_nothing_is_one_empty_bucket),
        cmocka_unit_test(parts_are_the_whole_span_in_lines),
        cmocka_unit_test(automatic_buckets_give_every_rank_long_messages),
        cmocka_unit_test(few_long_buckets_are_under_way_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
