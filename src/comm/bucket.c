/* The arithmetic of buckets. Gradients become final from the last layer to the first,
 * which is from the end of the arena to its beginning: so the first bucket is the
 * vector's end, and the last one takes what is left, which is the shortest and so the
 * soonest exchanged when nothing is left to compute beside it. */
#include "comm/bucket.h"

#include "base/memory.h"

enum {
    LINE = MEM_ALIGNMENT / (int)sizeof(float),
    AUTO_N = 1 << 19,   /* 2 MiB */
    SEGMENT_N = 1 << 14 /* at least, of each rank */
};

/* Long buckets are few at a time, since each needs room for other ranks' values. */
enum { LEAST_FLIGHTS = 3, FLIGHTS_N = 1 << 23 /* 32 MiB */ };

static int count_flights(const struct buckets *b)
{
    const size_t n = FLIGHTS_N / b->most;
    const int most = b->count < BUCKET_FLIGHTS ? b->count : BUCKET_FLIGHTS;
    const int least = most < LEAST_FLIGHTS ? most : LEAST_FLIGHTS;
    return n >= (size_t)most ? most : (int)n > least ? (int)n : least;
}

/* Floats of the body, with the rest of its last line. */
static size_t body_lines(const struct buckets *buckets)
{
    return mem_round_up_floats(buckets->body > 0 ? buckets->body : 1);
}

static int n_in_body(const struct buckets *buckets)
{
    return (int)((body_lines(buckets) + buckets->most - 1) / buckets->most);
}

struct buckets buckets_cut_last(size_t n, size_t n_last, size_t most)
{
    struct buckets b = {.n = n, .body = n - n_last};
    const size_t all = mem_round_up_floats(n > 0 ? n : 1);
    b.most = most < all ? mem_round_up_floats(most > 0 ? most : 1) : all;
    b.count = n_in_body(&b) + (int)((n_last + b.most - 1) / b.most);
    b.flights = count_flights(&b);
    return b;
}

struct buckets buckets_cut(size_t n, size_t most)
{
    return buckets_cut_last(n, 0, most);
}

struct extent buckets_extent(const struct buckets *buckets, int b)
{
    const int in_body = n_in_body(buckets);
    if (b >= in_body) {
        const size_t begin = buckets->body + (size_t)(b - in_body) * buckets->most;
        const size_t rest = buckets->n - begin;
        return (struct extent){begin,
                               begin + (rest < buckets->most ? rest : buckets->most)};
    }
    const size_t left = body_lines(buckets) - (size_t)b * buckets->most;
    const size_t end = left < buckets->body ? left : buckets->body;
    return (struct extent){left > buckets->most ? left - buckets->most : 0, end};
}

int buckets_from(const struct buckets *buckets, size_t from)
{
    const size_t all = body_lines(buckets);
    if (from == 0)
        return n_in_body(buckets);
    return from < all ? (int)((all - from) / buckets->most) : 0;
}

int buckets_to(const struct buckets *buckets, size_t from)
{
    const size_t all = body_lines(buckets);
    return from < all ? (int)((all - from + buckets->most - 1) / buckets->most) : 0;
}

struct extent extent_part(struct extent whole, int q, int size)
{
    const size_t lines = (whole.end - whole.begin + LINE - 1) / LINE;
    size_t begin = whole.begin + lines * (size_t)q / (size_t)size * LINE;
    size_t end = whole.begin + lines * (size_t)(q + 1) / (size_t)size * LINE;
    end = end < whole.end ? end : whole.end; /* the last line may be a part of one */
    begin = begin < end ? begin : end;
    return (struct extent){begin, end};
}

size_t bucket_auto_n(int size)
{
    const size_t n = (size_t)size * SEGMENT_N;
    return n > AUTO_N ? n : AUTO_N;
}
