/* Clocks, in seconds. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Wall time that never runs backwards. */
double clock_now_s(void);

/* CPU time of the calling thread: what a busy machine distorts least. */
double clock_thread_s(void);

/* CPU time of all threads of the process together. */
double clock_process_s(void);

/* Since 1970, UTC: what other programs put in their files. It may be set. */
double clock_utc_s(void);

/* "2026-01-31T23:59:59Z" */
void clock_utc(char text[21]);

#endif
