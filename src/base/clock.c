/* POSIX clocks. */
#include "base/clock.h"

#include <time.h>

static double read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_now_s(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double clock_thread_s(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double clock_process_s(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double clock_utc_s(void)
{
    return read_clock(CLOCK_REALTIME);
}

void clock_utc(char text[21])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
