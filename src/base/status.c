/* The record of the calling thread's last failure. Thread-local, so loader and exchange
 * threads fail without a lock; status_save and status_restore carry a failure over to
 * the thread that reports it. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct failure last;

/* The path below the source tree: builds in different places say the same. */
static const char *short_path(const char *file)
{
    const char *src = strstr(file, "src/");
    return src ? src : file;
}

convoy_status status_fail(convoy_status code, const char *file, int line,
                          const char *format, ...)
{
    char text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    last.status = code;
    last.is_agreed = false;
    memcpy(last.text, text, sizeof text);
    snprintf(last.where, sizeof last.where, "%s:%d", short_path(file), line);
    return code;
}

convoy_status status_prefix(convoy_status code, const char *format, ...)
{
    char text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", last.text);
    memcpy(last.text, text, sizeof text);
    last.status = code;
    return code;
}

void status_save(convoy_status code, struct failure *failure)
{
    *failure = last;
    failure->status = code;
}

convoy_status status_restore(const struct failure *failure)
{
    last = *failure;
    return failure->status;
}

void status_set_agreed(void)
{
    last.is_agreed = true;
}

bool convoy_status_agreed(void)
{
    return last.is_agreed;
}

const char *convoy_status_text(void)
{
    return last.text;
}

const char *convoy_status_where(void)
{
    return last.where;
}

void convoy_status_clear(void)
{
    memset(&last, 0, sizeof last);
}
