/* The outline of a JPEG file: its segments, without decoding what is in them. */
#ifndef PACKING_JPEG_OUTLINE_H
#define PACKING_JPEG_OUTLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the file is headers, one Huffman-coded scan of all components in sequence
 * (restart markers where and in the order they should be), and an end. What comes after
 * the end does not count. */
bool jpeg_outline_is_plain(const uint8_t *bytes, size_t n);

#endif
