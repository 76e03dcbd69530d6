/* Small packs for the loader's tests, made by the real packer from generated files.
 * Every function fails the running test where something goes wrong. */
#ifndef TESTS_LOAD_FIXTURE_H
#define TESTS_LOAD_FIXTURE_H

#include "image/image.h"
#include "load/loader.h"

enum { FIXTURE_CLASSES = 10 };

struct fixture {
    char folder[256]; /* temporary, removed by fixture_close */
    char path[512];   /* of the pack */
    convoy_pack *pack;
    int n, height, width; /* records of fixture_raw */
    uint8_t *pixels;      /* [n, height, width] */
};

/* A raw pack of n records of 1 x height x width, from an IDX file. Pixels are noise but
 * the first two of a record, which hold its number (low byte first); its label is
 * fixture_label. */
void fixture_raw(struct fixture *fixture, int n, int height, int width);

int32_t fixture_label(uint64_t record);

/* A pack of n PNG files of one class, in order, of RGB images. */
void fixture_png(struct fixture *fixture, const struct image *images, int n);

/* A new RGB image of noise; free with image_free. */
struct image fixture_noise(int height, int width, uint64_t seed);

/* Changes one byte of a raw record within the pack, and opens the pack again. */
void fixture_corrupt(struct fixture *fixture, int record);

void fixture_close(struct fixture *fixture);

/* Options that fit the pack of fixture_raw: one rank, samples as large as the records,
 * values v / 255, no augmentation. */
struct loader_options fixture_options(const struct fixture *fixture, int microbatch,
                                      int n_microbatches);

/* The record that row of batch was made of; options without augmentation. */
uint64_t fixture_record(const struct loader_options *options, const struct batch *batch,
                        int row);

#endif
