/* The frame around a record of an event file, and the types of a message's fields: what
 * writing and reading share. */
#ifndef METRICS_EVENT_FRAME_H
#define METRICS_EVENT_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { EVENT_HEAD_SIZE = 12, EVENT_TAIL_SIZE = 4 };

/* A field's type, in the lowest three bits of its key. */
enum event_wire {
    EVENT_VARINT = 0,
    EVENT_64_BITS = 1,
    EVENT_BYTES = 2,
    EVENT_32_BITS = 5
};

/* Little endian. */
void event_put_u32(uint32_t value, uint8_t bytes[4]);
void event_put_u64(uint64_t value, uint8_t bytes[8]);

/* What stands before and behind a message of n bytes. */
void event_frame(const void *message, size_t n, uint8_t head[EVENT_HEAD_SIZE],
                 uint8_t tail[EVENT_TAIL_SIZE]);

/* The length of the first record of n bytes, frame included; 0: they begin with none
 * that is whole. *message and *n_message are what it holds. */
size_t event_record(const uint8_t *bytes, size_t n, const uint8_t **message,
                    size_t *n_message);

#endif
