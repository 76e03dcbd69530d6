/* A record is
 *
 *     u64 n | u32 masked CRC-32C of these 8 bytes | message [n] | u32 its masked
 * CRC-32C
 *
 * little endian, the mask being rotr(crc, 15) + 0xa282ead8: the frame of TFRecord. A
 * message of Protocol Buffers is its fields, each a key (number · 8 + type) and a
 * value:
 *
 *     Event   {1 wall_time f64, 2 step, 3 file_version text, 5 Summary, 7 SessionLog}
 *     Summary {1 Value, repeated}        SessionLog {1 status: 1 is START}
 *     Value   {1 tag text, 2 simple_value f32, 4 Image}
 *     Image   {1 height, 2 width, 3 colorspace (1 grey, 3 RGB), 4 PNG}
 */
#include "metrics/event.h"

#include "base/memory.h"
#include "metrics/event_frame.h"

#include <string.h>

/* A message, or a part of one, that grows. */
struct message {
    void *bytes;
    size_t n, capacity;
    convoy_status status; /* once memory was missing, the message is none */
};

static void add(struct message *m, const void *bytes, size_t n)
{
    if (m->status == CONVOY_OK)
        m->status = mem_reserve(&m->bytes, &m->capacity, m->n + n);
    if (m->status != CONVOY_OK || n == 0)
        return;
    memcpy((uint8_t *)m->bytes + m->n, bytes, n);
    m->n += n;
}

static void add_varint(struct message *m, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; value > 127; value >>= 7)
        bytes[n++] = (uint8_t)(value & 127) | 128;
    bytes[n++] = (uint8_t)value;
    add(m, bytes, n);
}

static void add_key(struct message *m, unsigned field, enum event_wire type)
{
    add_varint(m, field << 3 | (unsigned)type);
}

static void add_count(struct message *m, unsigned field, uint64_t value)
{
    add_key(m, field, EVENT_VARINT);
    add_varint(m, value);
}

static void add_f64(struct message *m, unsigned field, double value)
{
    uint64_t bits;
    uint8_t bytes[8];
    memcpy(&bits, &value, sizeof bits);
    event_put_u64(bits, bytes);
    add_key(m, field, EVENT_64_BITS);
    add(m, bytes, sizeof bytes);
}

static void add_f32(struct message *m, unsigned field, float value)
{
    uint32_t bits;
    uint8_t bytes[4];
    memcpy(&bits, &value, sizeof bits);
    event_put_u32(bits, bytes);
    add_key(m, field, EVENT_32_BITS);
    add(m, bytes, sizeof bytes);
}

static void add_bytes(struct message *m, unsigned field, const void *bytes, size_t n)
{
    add_key(m, field, EVENT_BYTES);
    add_varint(m, n);
    add(m, bytes, n);
}

static void add_text(struct message *m, unsigned field, const char *text)
{
    add_bytes(m, field, text, strlen(text));
}

/* Empties inner for its next use. */
static void add_message(struct message *m, unsigned field, struct message *inner)
{
    if (m->status == CONVOY_OK)
        m->status = inner->status;
    add_bytes(m, field, inner->bytes, inner->n);
    inner->n = 0;
}

static void begin_event(struct message *event, struct event_moment moment)
{
    add_f64(event, 1, moment.time_s);
    add_count(event, 2, moment.step);
}

/* Writes the event, and frees it. */
static convoy_status end_event(struct message *event, FILE *stream)
{
    uint8_t head[EVENT_HEAD_SIZE], tail[EVENT_TAIL_SIZE];
    if (event->status == CONVOY_OK) {
        event_frame(event->bytes, event->n, head, tail);
        fwrite(head, 1, sizeof head, stream);
        fwrite(event->bytes, 1, event->n, stream);
        fwrite(tail, 1, sizeof tail, stream);
    }
    mem_free(event->bytes);
    return event->status;
}

convoy_status event_write_version(FILE *stream, double time_s)
{
    struct message event = {.n = 0};
    begin_event(&event, (struct event_moment){.time_s = time_s});
    add_text(&event, 3, "brain.Event:2");
    return end_event(&event, stream);
}

/* A restart drops what has its step or a later one. */
convoy_status event_write_start(FILE *stream, struct event_moment moment)
{
    struct message event = {.n = 0}, session = {.n = 0};
    moment.step++;
    begin_event(&event, moment);
    add_count(&session, 1, 1);
    add_message(&event, 7, &session);
    mem_free(session.bytes);
    return end_event(&event, stream);
}

convoy_status event_write_scalars(FILE *stream, struct event_moment moment,
                                  const struct event_scalar *scalars, int n)
{
    struct message event = {.n = 0}, summary = {.n = 0}, value = {.n = 0};
    begin_event(&event, moment);
    for (int i = 0; i < n; i++) {
        add_text(&value, 1, scalars[i].tag);
        add_f32(&value, 2, (float)scalars[i].value);
        add_message(&summary, 1, &value);
    }
    add_message(&event, 5, &summary);
    mem_free(value.bytes);
    mem_free(summary.bytes);
    return end_event(&event, stream);
}

convoy_status event_write_image(FILE *stream, struct event_moment moment,
                                const struct event_image *image)
{
    struct message event = {.n = 0}, summary = {.n = 0}, value = {.n = 0},
                   picture = {.n = 0};
    begin_event(&event, moment);
    add_count(&picture, 1, (uint64_t)image->height);
    add_count(&picture, 2, (uint64_t)image->width);
    add_count(&picture, 3, (uint64_t)image->channels);
    add_bytes(&picture, 4, image->png, image->n);
    add_text(&value, 1, image->tag);
    add_message(&value, 4, &picture);
    add_message(&summary, 1, &value);
    add_message(&event, 5, &summary);
    mem_free(picture.bytes);
    mem_free(value.bytes);
    mem_free(summary.bytes);
    return end_event(&event, stream);
}
