/* JPEG files that our encoder does not make, by libjpeg itself, and noisy pictures to
 * put into them. */
#ifndef TESTS_IMAGE_JPEG_FILE_H
#define TESTS_IMAGE_JPEG_FILE_H

#include "support/picture.h"

#include <stdio.h>

#include <jpeglib.h>

struct jpeg_style {
    J_COLOR_SPACE in, stored;
    int h, v;         /* sampling factors of the first component; 0: libjpeg's */
    int restart_rows; /* MCU rows from restart marker to restart marker; 0: none */
    int quality;      /* 0: 100 */
    bool progressive, without_tables;
    bool unfinished; /* progressive, and only the first scan: averages of 8 x 8 */
};

/* The file's bytes; free() them. */
static inline unsigned char *jpeg_file_make(const struct image *image,
                                            struct jpeg_style style, unsigned long *n)
{
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct info = {.err = jpeg_std_error(&errors)};
    unsigned char *bytes = NULL;
    *n = 0;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, n);
    info.image_width = (JDIMENSION)image->width;
    info.image_height = (JDIMENSION)image->height;
    info.input_components = image->channels;
    info.in_color_space = style.in;
    jpeg_set_defaults(&info);
    jpeg_set_colorspace(&info, style.stored);
    jpeg_set_quality(&info, style.quality ? style.quality : 100, TRUE);
    if (style.h) {
        info.comp_info[0].h_samp_factor = style.h;
        info.comp_info[0].v_samp_factor = style.v;
    }
    info.restart_in_rows = style.restart_rows;
    if (style.progressive || style.unfinished)
        jpeg_simple_progression(&info);
    if (style.unfinished)
        info.num_scans = 1;
    if (style.without_tables)
        jpeg_suppress_tables(&info, TRUE);
    jpeg_start_compress(&info, style.without_tables ? FALSE : TRUE);
    size_t stride = (size_t)image->width * (size_t)image->channels;
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = &image->pixels[info.next_scanline * stride];
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    return bytes;
}

/* The next of a fixed sequence of numbers, below n. */
static inline int draw(uint32_t *state, int n)
{
    *state = *state * 1664525 + 1013904223;
    return (int)((uint64_t)(*state >> 8) * (uint64_t)n >> 24);
}

/* A picture with structure at every scale: noise on slopes and stripes. */
static inline struct image rough_picture(int width, int height, int channels, int noise)
{
    struct image image = picture_make(width, height, channels, 1);
    uint32_t state = (uint32_t)(width * 1000 + height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                uint8_t *value = &image.pixels[(y * width + x) * channels + c];
                int stripes = (x / 9 + y / (5 + c)) % 2 * 40;
                *value = (uint8_t)(*value + stripes + draw(&state, noise + 1));
            }
    return image;
}

#endif
