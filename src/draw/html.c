/* Escapes are those of the HTML standard for text and for attributes in double quotes.
 * UTF-8 is checked as RFC 3629 has it: no surrogates, nothing too long, at most
 * U+10FFFF.
 */
#include "draw/html.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { PRINT_SIZE = 1024 };

/* Bytes of the character at text; 0: they are no UTF-8. */
static size_t utf8_length(const unsigned char *text)
{
    const unsigned char c = text[0];
    if (c < 0x80)
        return 1;
    const size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80) /* a 0 at the end, too, is none */
            return 0;
    if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) ||
        (c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f))
        return 0;
    return n;
}

static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

void html_text(FILE *stream, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (at && *at) {
        const char *escape = escape_of(*at);
        const size_t n = utf8_length(at);
        if (escape || n == 0)
            fputs(escape ? escape : "\xef\xbf\xbd", stream);
        else
            fwrite(at, 1, n, stream);
        at += n > 0 ? n : 1;
    }
}

void html_print(FILE *stream, const char *format, ...)
{
    char text[PRINT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    html_text(stream, text);
}

void html_data_uri(FILE *stream, const char *type, const void *bytes, size_t n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes;
    fprintf(stream, "data:%s;base64,", type);
    for (size_t i = 0; i < n; i += 3) {
        const unsigned b = i + 1 < n ? at[i + 1] : 0, c = i + 2 < n ? at[i + 2] : 0;
        const unsigned group = (unsigned)at[i] << 16 | b << 8 | c;
        fputc(digits[group >> 18], stream);
        fputc(digits[group >> 12 & 63], stream);
        fputc(i + 1 < n ? digits[group >> 6 & 63] : '=', stream);
        fputc(i + 2 < n ? digits[group & 63] : '=', stream);
    }
}

/* Commas between groups of three of the digits in text, in front of a point. */
static const char *group_digits(const char *text, char out[HTML_NUMBER_SIZE])
{
    const size_t sign = text[0] == '-';
    const size_t n = strcspn(text + sign, ".");
    size_t length = 0;
    for (size_t i = 0; text[i] && length + 2 < HTML_NUMBER_SIZE; i++) {
        const size_t digit = i - sign; /* of those in front of the point */
        if (i > sign && digit < n && (n - digit) % 3 == 0)
            out[length++] = ',';
        out[length++] = text[i];
    }
    out[length] = '\0';
    return out;
}

static const char *unknown(char out[HTML_NUMBER_SIZE])
{
    snprintf(out, HTML_NUMBER_SIZE, "\xe2\x80\x93");
    return out;
}

const char *html_number(double value, char out[HTML_NUMBER_SIZE])
{
    char text[32];
    const double size = fabs(value);
    if (!isfinite(value))
        return unknown(out);
    if (size >= 1e12 || (size > 0 && size < 1e-3)) {
        snprintf(out, HTML_NUMBER_SIZE, "%.3g", value);
        return out;
    }
    const int decimals = value == 0 || size >= 99.95 ? 0
                         : size >= 9.995             ? 1
                         : size >= 0.9995            ? 2
                         : size >= 0.09995           ? 3
                                                     : 4;
    snprintf(text, sizeof text, "%.*f", decimals, value);
    return group_digits(text, out);
}

const char *html_count(uint64_t value, char out[HTML_NUMBER_SIZE])
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return group_digits(text, out);
}

const char *html_seconds(double value, char out[HTML_NUMBER_SIZE])
{
    char number[HTML_NUMBER_SIZE];
    if (!isfinite(value))
        return unknown(out);
    if (value > 0 && value < 1e-6)
        snprintf(out, HTML_NUMBER_SIZE, "< 1\u00a0\u00b5s");
    else if (fabs(value) < 0.9995e-3)
        snprintf(out, HTML_NUMBER_SIZE, "%s\u00a0\u00b5s",
                 html_number(value * 1e6, number));
    else if (fabs(value) < 0.9995)
        snprintf(out, HTML_NUMBER_SIZE, "%s\u00a0ms", html_number(value * 1e3, number));
    else if (fabs(value) < 99.5)
        snprintf(out, HTML_NUMBER_SIZE, "%s\u00a0s", html_number(value, number));
    else if (fabs(value) < 3570)
        snprintf(out, HTML_NUMBER_SIZE, "%.0f\u00a0min %02.0f\u00a0s",
                 floor(round(value) / 60), fmod(round(value), 60));
    else if (fabs(value) < 48 * 3600.0)
        snprintf(out, HTML_NUMBER_SIZE, "%.0f\u00a0h %02.0f\u00a0min",
                 floor(round(value / 60) / 60), fmod(round(value / 60), 60));
    else
        snprintf(out, HTML_NUMBER_SIZE, "%s\u00a0d",
                 html_number(value / 86400, number));
    return out;
}

const char *html_bytes(double value, char out[HTML_NUMBER_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    char number[HTML_NUMBER_SIZE];
    size_t unit = 0;
    if (!isfinite(value))
        return unknown(out);
    for (; value >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    snprintf(out, HTML_NUMBER_SIZE, "%s\u00a0%s", html_number(value, number),
             units[unit]);
    return out;
}

const char *html_percent(double share, char out[HTML_NUMBER_SIZE])
{
    if (!isfinite(share))
        return unknown(out);
    const int decimals = fabs(share) < 0.9995 && fabs(share) >= 0.00005 ? 1 : 0;
    snprintf(out, HTML_NUMBER_SIZE, "%.*f\u00a0%%", decimals, 100 * share);
    return out;
}
