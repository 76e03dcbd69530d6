/* The frame of records, and reading files of them. Of a message only the step is read,
 * and what it is. */
#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "metrics/event.h"
#include "metrics/event_frame.h"

#include <string.h>

void event_put_u32(uint32_t value, uint8_t bytes[4])
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

void event_put_u64(uint64_t value, uint8_t bytes[8])
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_u64(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* A sum that stands beside what it is of, masked, since a sum over both is easily 0. */
static void put_sum(const void *of, size_t n, uint8_t bytes[4])
{
    const uint32_t crc = crc32c(of, n);
    event_put_u32((crc >> 15 | crc << 17) + UINT32_C(0xa282ead8), bytes);
}

static bool has_sum(const void *of, size_t n, const uint8_t bytes[4])
{
    uint8_t expected[4];
    put_sum(of, n, expected);
    return memcmp(expected, bytes, sizeof expected) == 0;
}

void event_frame(const void *message, size_t n, uint8_t head[EVENT_HEAD_SIZE],
                 uint8_t tail[EVENT_TAIL_SIZE])
{
    event_put_u64(n, head);
    put_sum(head, 8, head + 8);
    put_sum(message, n, tail);
}

size_t event_record(const uint8_t *bytes, size_t n, const uint8_t **message,
                    size_t *n_message)
{
    const size_t around = EVENT_HEAD_SIZE + EVENT_TAIL_SIZE;
    if (n < around || !has_sum(bytes, 8, bytes + 8))
        return 0;
    const uint64_t length = get_u64(bytes);
    if (length > n - around)
        return 0;
    *message = bytes + EVENT_HEAD_SIZE;
    *n_message = (size_t)length;
    if (!has_sum(*message, *n_message, *message + *n_message))
        return 0;
    return around + *n_message;
}

/* What is left of a message. */
struct rest {
    const uint8_t *at;
    size_t n;
};

static bool take_varint(struct rest *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->n > 0; shift += 7) {
        const uint8_t byte = *rest->at++;
        rest->n--;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

static bool skip(struct rest *rest, uint64_t n)
{
    if (n > rest->n)
        return false;
    rest->at += n;
    rest->n -= (size_t)n;
    return true;
}

/* Passes a field's value over; *value: of a varint, or the length of bytes. */
static bool take_value(struct rest *rest, uint64_t key, uint64_t *value)
{
    switch (key & 7) {
    case EVENT_VARINT:
        return take_varint(rest, value);
    case EVENT_64_BITS:
        return skip(rest, 8);
    case EVENT_BYTES:
        return take_varint(rest, value) && skip(rest, *value);
    case EVENT_32_BITS:
        return skip(rest, 4);
    default:
        return false;
    }
}

struct outline {
    uint64_t step; /* 0 where the message has none */
    bool is_summary, is_start;
};

/* False where it is no Event. */
static bool read_event(struct rest rest, struct outline *event)
{
    *event = (struct outline){.step = 0};
    while (rest.n > 0) {
        uint64_t key, value = 0;
        if (!take_varint(&rest, &key) || !take_value(&rest, key, &value))
            return false;
        if (key == (2 << 3 | EVENT_VARINT))
            event->step = value;
        event->is_summary |= key == (5 << 3 | EVENT_BYTES);
        event->is_start |= key == (7 << 3 | EVENT_BYTES);
    }
    return true;
}

/* A start has the step that comes next. */
static bool counts(const struct outline *event, uint64_t step)
{
    return event->step <= step || (event->is_start && event->step - 1 == step);
}

convoy_status event_copy_earlier(const char *path, uint64_t step, FILE *stream,
                                 struct event_kept *kept)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0, length;
    struct rest message;
    *kept = (struct event_kept){.is_all = true};
    TRY(file_read_all(path, &text, &n));
    const uint8_t *at = (const uint8_t *)text;
    while ((length = event_record(at, n, &message.at, &message.n)) > 0) {
        struct outline event;
        if (read_event(message, &event) && counts(&event, step)) {
            fwrite(at, 1, length, stream);
            kept->n_summaries += event.is_summary;
        } else {
            kept->is_all = false;
        }
        at += length;
        n -= length;
    }
    if (n > 0)
        kept->is_all = false;
cleanup:
    mem_free(text);
    return status;
}
