/* One record to one normalised sample. */
#ifndef LOAD_SAMPLE_H
#define LOAD_SAMPLE_H

#include "load/augment.h"
#include "load/loader.h"
#include "image/image_reader.h"

/* What is the same for every sample; read by all threads. */
struct sample_rules {
    const convoy_pack *pack; /* NULL: image files that are in none */
    bool raw;
    int record[3]; /* raw: channels, height, width of each record */
    int shape[3];  /* channels, height, width of a sample */
    struct augment augment;
    bool evaluate;
    int resize; /* image files: shorter side before the crop */
    uint64_t seed;
    float mean[3], std[3];
    bool jittered;       /* training with ColorJitter */
    bool trivial;        /* training with TrivialAugmentWide */
    float table[3][256]; /* the value of a pixel value, a channel: normalised; with
                            jittered in [0, 1] */
};

/* Values of a sample. */
size_t sample_values(const struct sample_rules *rules);

/* A thread's own memory; start with {0}. */
struct sample_buffers {
    void *record;
    size_t capacity; /* of record, in bytes */
    struct image_reader *reader;
    struct image interleaved; /* a raw record */
    struct image_scratch *scratch;
    void *planes; /* u8, of two samples */
    size_t planes_capacity;
};

/* pack may be NULL: then only sample_make_file is to be called. Errors: ARGUMENT (the
 * pack's records cannot become samples of this shape). */
convoy_status sample_rules_init(const convoy_pack *pack,
                                const struct loader_options *options,
                                struct sample_rules *rules);

/* The rules of each of a loader's sizes, rules: [n_crops], or [1] without crops.
 * Errors: as sample_rules_init. */
convoy_status sample_rules_of_all(const convoy_pack *pack,
                                  const struct loader_options *options,
                                  struct sample_rules *rules);

convoy_status sample_buffers_init(struct sample_buffers *buffers);
void sample_buffers_fini(struct sample_buffers *buffers);

/* Writes the sample of a record that has been read as it looks in epoch, images:
 * [c, h, w]. sample: as of augment_stream. Any number of threads at once, each with its
 * own buffers. Errors: those of image_reader_crop; the text names pack and record. */
convoy_status sample_make_of(const struct sample_rules *rules,
                             struct sample_buffers *buffers, uint64_t epoch,
                             uint64_t sample, const struct pack_record *read,
                             float *images);

/* Reads record and writes its sample as it looks in epoch, images: [c, h, w]. Any
 * number of threads at once, each with its own buffers. Errors: those of pack_read and
 * sample_make_of. */
convoy_status sample_make(const struct sample_rules *rules,
                          struct sample_buffers *buffers, uint64_t epoch,
                          uint64_t record, float *images, int32_t *label);

/* The sample that evaluation makes of the n bytes of an image file, in a pack or not:
 * decoded to the channels of the sample, Resize, CenterCrop, normalised. images:
 * [c, h, w]. Any number of threads at once, each with its own buffers. Errors: those of
 * image_reader_crop. */
convoy_status sample_make_file(const struct sample_rules *rules,
                               struct sample_buffers *buffers, const uint8_t *bytes,
                               size_t n, float *images);

#endif
