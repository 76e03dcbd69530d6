/* CRC-32C (Castagnoli), of formats that have it: event files, TFRecord. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of n bytes; 0 of none. */
uint32_t crc32c(const void *bytes, size_t n);

#endif
