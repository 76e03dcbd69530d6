/* Walking through a JPEG file (ITU-T T.81, annex B): SOI, segments with their lengths,
 * a scan, EOI. Within a scan's data a byte ff is followed by 00 or is a marker, so a
 * search for ff finds its end. This takes a fiftieth of the time that decoding takes.
 */
#include "packing/jpeg_outline.h"

#include <string.h>

enum {
    MARKER = 0xff,
    SOF0 = 0xc0, /* baseline */
    SOF1 = 0xc1, /* extended sequential, Huffman */
    DHT = 0xc4,
    RST0 = 0xd0,
    RST7 = 0xd7,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DRI = 0xdd,
    APP0 = 0xe0,
    APP15 = 0xef,
    COM = 0xfe
};

struct outline {
    const uint8_t *bytes;
    size_t n, at;
    int n_components; /* 0: no SOF yet */
    bool restarts;
};

/* A segment before the scan that is of no consequence here, or whose faults are found
 * when decoding begins. */
static bool is_harmless(int marker)
{
    return marker == DHT || marker == DQT || marker == DRI || marker == COM ||
           (marker >= APP0 && marker <= APP15);
}

/* Takes the segment with this marker; at is behind the marker, then behind the segment.
 * false: no plain file. */
static bool take_segment(struct outline *o, int marker)
{
    if (o->n - o->at < 2)
        return false;
    const uint8_t *data = o->bytes + o->at + 2;
    const size_t n = (size_t)o->bytes[o->at] << 8 | o->bytes[o->at + 1];
    if (n < 2 || n > o->n - o->at)
        return false;
    o->at += n;
    if (marker == SOF0 || marker == SOF1) {
        const bool is_first = o->n_components == 0;
        o->n_components = n >= 8 ? data[5] : 0;
        return is_first && o->n_components > 0;
    }
    if (marker == DRI && n == 4)
        o->restarts = data[0] != 0 || data[1] != 0;
    if (marker == SOS)
        return n >= 3 && o->n_components > 0 && data[0] == o->n_components;
    return is_harmless(marker);
}

/* Goes through the scan's data; true where EOI follows it. */
static bool take_scan(struct outline *o)
{
    int next = RST0;
    for (;;) {
        const uint8_t *found = memchr(o->bytes + o->at, MARKER, o->n - o->at);
        if (!found || found + 1 == o->bytes + o->n)
            return false;
        o->at = (size_t)(found - o->bytes) + 2;
        if (found[1] == 0)
            continue;
        if (found[1] == EOI)
            return true;
        if (!o->restarts || found[1] != next)
            return false;
        next = next == RST7 ? RST0 : next + 1;
    }
}

bool jpeg_outline_is_plain(const uint8_t *bytes, size_t n)
{
    struct outline o = {.bytes = bytes, .n = n, .at = 2};
    while (o.at + 2 <= n && bytes[o.at] == MARKER) {
        const int marker = bytes[o.at + 1];
        o.at += 2;
        if (!take_segment(&o, marker))
            return false;
        if (marker == SOS)
            return take_scan(&o);
    }
    return false;
}
