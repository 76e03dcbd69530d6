/* Figures as convoy info writes them. */
#ifndef CLI_INFO_TEXT_H
#define CLI_INFO_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct info_text {
    char text[72];
};

/* 25557032 as "25,557,032". */
struct info_text info_grouped(int64_t value);

/* "40 bytes", "3.9 KiB" or "3.1 MiB". */
struct info_text info_size(int64_t bytes);

/* "4.09 G" of multiply-adds. */
struct info_text info_work(int64_t n);

/* "[64, 112, 112]", or "[1000]" if flat. */
struct info_text info_shape(const int64_t shape[3], bool flat);

#endif
