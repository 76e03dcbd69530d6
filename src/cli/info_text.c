/* Figures as convoy info writes them: whole numbers in groups of three digits, sizes
 * and work with a unit, shapes in brackets. */
#include "cli/info_text.h"

#include <inttypes.h>
#include <stdio.h>

struct info_text info_grouped(int64_t value)
{
    struct info_text number = {0};
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%" PRId64, value);
    char *to = number.text;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    return number;
}

struct info_text info_size(int64_t bytes)
{
    struct info_text number;
    const double kib = (double)bytes / 1024.0;
    if (bytes < 1024)
        snprintf(number.text, sizeof number.text, "%" PRId64 " bytes", bytes);
    else if (kib < 1024.0)
        snprintf(number.text, sizeof number.text, "%.1f KiB", kib);
    else
        snprintf(number.text, sizeof number.text, "%.1f MiB", kib / 1024.0);
    return number;
}

struct info_text info_work(int64_t n)
{
    struct info_text number;
    if (n >= 100000000)
        snprintf(number.text, sizeof number.text, "%.2f G", (double)n * 1e-9);
    else
        snprintf(number.text, sizeof number.text, "%.2f M", (double)n * 1e-6);
    return number;
}

struct info_text info_shape(const int64_t shape[3], bool flat)
{
    struct info_text text;
    if (flat)
        snprintf(text.text, sizeof text.text, "[%" PRId64 "]", shape[0]);
    else
        snprintf(text.text, sizeof text.text, "[%" PRId64 ", %" PRId64 ", %" PRId64 "]",
                 shape[0], shape[1], shape[2]);
    return text;
}
