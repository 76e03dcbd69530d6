/* Buckets: a vector cut into ranges from its end, which is final first. */
#ifndef COMM_BUCKET_H
#define COMM_BUCKET_H

#include <stddef.h>

/* Elements [begin, end). */
struct extent {
    size_t begin, end;
};

/* Buckets 0, 1, … of a vector [n]: from the end of its body to its beginning, and then
 * what lies behind the body, which is final last. */
struct buckets {
    size_t n, body; /* body: a multiple of 16, or n */
    size_t most; /* floats of a bucket: a multiple of 16, so that each begins on a line
                    of the cache */
    int count;   /* at least 1 */
    int flights; /* of them are to be under way at a time, at most BUCKET_FLIGHTS */
};

/* Enough to keep a network busy while ranks wait for each other or for a processor. */
enum { BUCKET_FLIGHTS = 8 };

/* Of a vector that is all body; most is rounded up. */
struct buckets buckets_cut(size_t n, size_t most);

/* The same with n_last floats behind the body. */
struct buckets buckets_cut_last(size_t n, size_t n_last, size_t most);

/* Empty only where the body is. 0 <= b < count. */
struct extent buckets_extent(const struct buckets *buckets, int b);

/* How many of the body's buckets, from the first on, lie entirely at from and later. */
int buckets_from(const struct buckets *buckets, size_t from);

/* How many of the body's buckets are needed for all of it that lies at from and later.
 */
int buckets_to(const struct buckets *buckets, size_t from);

/* The q-th of size parts of a span that begins on a line, equal but for a line; parts
 * may be empty. */
struct extent extent_part(struct extent whole, int q, int size);

/* Floats that serve an exchange among so many ranks: enough for long messages, few
 * enough to start early. */
size_t bucket_auto_n(int size);

#endif
