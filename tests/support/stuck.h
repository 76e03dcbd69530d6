/* Ends a test that gets nowhere, and says where each of its threads is.
 *
 * Patience is counted by a thread of its own, second by second: what the clock leaps
 * while the whole machine stands still counts as one. The main thread is asked by a
 * signal for its callers. Others block signals: where one waits in the kernel, /proc
 * says how deep its stack is, and what looks like a return address there is printed,
 * so some of these lines are left over from earlier calls. Offsets are for addr2line;
 * of the program's own code its answer is printed, where there is one. */
#ifndef SUPPORT_STUCK_H
#define SUPPORT_STUCK_H

#include <dirent.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { STUCK_CALLERS = 48 };

static struct stuck {
    char what[160]; /* this rank is at */
    int rank;
    atomic_int left_s;
    int patience_s;
    double since_s;
    pthread_t main;
    void *callers[STUCK_CALLERS]; /* of the main thread */
    atomic_int n_callers;
} stuck;

static inline double stuck_clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One write a line: other ranks write, too. */
static inline void stuck_tell(const char *who, const char *text)
{
    char line[512];
    const int n =
        snprintf(line, sizeof line, "rank %d: %s: %s\n", stuck.rank, who, text);
    const size_t most = sizeof line - 1;
    (void)!write(STDERR_FILENO, line, n < 0 ? 0 : (size_t)n < most ? (size_t)n : most);
}

/* Function and line of the program's own code, as binutils knows them, if they do. */
static inline void stuck_own(uintptr_t offset, char text[160])
{
    char command[96];
    snprintf(command, sizeof command, "addr2line -fspe /proc/%ld/exe 0x%lx 2>&-",
             (long)getpid(), (unsigned long)offset);
    FILE *pipe = popen(command, "r");
    if (!pipe || !fgets(text, 160, pipe))
        text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (pipe)
        pclose(pipe);
}

/* false where the address is in nothing that is loaded. */
static inline bool stuck_tell_address(const char *who, uintptr_t address)
{
    char text[384], own[160] = "";
    Dl_info info, here;
    /* A call that does not return is the last of its function: it is the byte before
     * that belongs to the caller. */
    if (!dladdr((void *)(address - 1), &info) || !info.dli_fname)
        return false;
    const uintptr_t offset = address - (uintptr_t)info.dli_fbase;
    const char *slash = strrchr(info.dli_fname, '/');
    if (dladdr((void *)&stuck, &here) && here.dli_fbase == info.dli_fbase)
        stuck_own(offset - 1, own);
    snprintf(text, sizeof text, "  %s (%s+0x%lx)",
             *own             ? own
             : info.dli_sname ? info.dli_sname
                              : "?",
             slash ? slash + 1 : info.dli_fname, (unsigned long)offset);
    stuck_tell(who, text);
    return true;
}

/* Of this process, where it may not be mapped. */
static inline size_t stuck_read(uintptr_t from, void *to, size_t n)
{
    const struct iovec local = {to, n}, remote = {(void *)from, n};
    const ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    return got > 0 ? (size_t)got : 0;
}

/* Whether a call stands before the address. */
static inline bool stuck_returns_to(uintptr_t address)
{
#ifdef __x86_64__
    unsigned char code[6]; /* call: E8 rel32, or FF with 2 in the middle of ModRM */
    if (address < 4096 || stuck_read(address - 6, code, 6) < 6)
        return false;
    if (code[1] == 0xe8)
        return true;
    for (int i = 0; i < 5; i++)
        if (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2)
            return true;
    return false;
#else
    return address >= 4096;
#endif
}

static inline void stuck_tell_stack(const char *who, uintptr_t top)
{
    enum { WORDS = 512, PIECES = 16, MOST = 24 };
    uintptr_t words[WORDS];
    int n_told = 0;
    for (int i = 0; i < PIECES; i++) {
        const size_t n = stuck_read(top, words, sizeof words) / sizeof *words;
        for (size_t w = 0; w < n && n_told < MOST; w++)
            n_told += stuck_returns_to(words[w]) && stuck_tell_address(who, words[w]);
        if (n < WORDS)
            return;
        top += sizeof words;
    }
}

/* The first line of /proc/FOLDER/THREAD/NAME; "" where it is not to be had. */
static inline void stuck_file(const char *folder, const char *thread, const char *name,
                              char text[256])
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%s/%.16s/%s", folder, thread, name);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(text, 256, file))
        text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
}

static inline void stuck_tell_thread(const char *thread)
{
    char who[64], name[256], call[256], stat[256], text[384];
    unsigned long top = 0;
    stuck_file("self/task", thread, "comm", name);
    stuck_file("self/task", thread, "syscall", call);
    stuck_file("self/task", thread, "stat", stat);
    const char *state = strrchr(stat, ')');
    snprintf(who, sizeof who, "thread %.16s %.16s", thread, name);
    snprintf(text, sizeof text, "state %.1s, system call %.250s",
             state && state[1] ? state + 2 : "?", call);
    stuck_tell(who, text);
    /* Number, six arguments, stack pointer; or "running". The main thread is asked. */
    if (atol(thread) != getpid() &&
        sscanf(call, "%*d %*x %*x %*x %*x %*x %*x %lx", &top) == 1)
        stuck_tell_stack(who, top);
}

static inline void stuck_on_signal(int number)
{
    (void)number;
    // NOLINTNEXTLINE(bugprone-signal-handler): stuck_begin has loaded what it needs
    stuck.n_callers = backtrace(stuck.callers, STUCK_CALLERS);
    for (;;)
        pause(); /* it is the other's to end the process */
}

/* Which may be in the midst of anything: so the other thread prints. */
static inline void stuck_tell_main(void)
{
    pthread_kill(stuck.main, SIGUSR1);
    for (int i = 0; i < 20 && stuck.n_callers == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    if (stuck.n_callers == 0)
        stuck_tell("main thread", "does not answer");
    for (int i = 0; i < stuck.n_callers; i++)
        stuck_tell_address("main thread", (uintptr_t)stuck.callers[i]);
}

/* Whether it is the machine that is slow: what share of the last 10, 60 and 300 s some
 * process waited for it. */
static inline void stuck_tell_machine(void)
{
    static const char *const kinds[] = {"cpu", "io", "memory"};
    char text[256];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        stuck_file("", "pressure", kinds[i], text);
        if (*text)
            stuck_tell(kinds[i], text);
    }
}

static inline void stuck_tell_all(void)
{
    char text[160];
    snprintf(text, sizeof text,
             "hangs: no end after %.0f s, of which it lived through %d; %.2f s of "
             "processor time since its start",
             stuck_clock_s(CLOCK_MONOTONIC) - stuck.since_s, stuck.patience_s,
             stuck_clock_s(CLOCK_PROCESS_CPUTIME_ID));
    stuck_tell(stuck.what, text);
    stuck_tell_machine();
    DIR *threads = opendir("/proc/self/task");
    for (const struct dirent *entry; threads && (entry = readdir(threads));)
        if (atol(entry->d_name) != gettid() && entry->d_name[0] != '.')
            stuck_tell_thread(entry->d_name);
    if (threads)
        closedir(threads);
    stuck_tell_main();
}

static inline void *stuck_watch(void *unused)
{
    do
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    while (atomic_fetch_sub(&stuck.left_s, 1) > 1);
    stuck_tell_all();
    /* The launcher ends the other ranks with this one: they are to have told, too. */
    sleep(5);
    _exit(1);
    return unused;
}

/* From now on, stuck_at is to be called each patience_s seconds at least. By the main
 * thread; rank is for the text. Not 0: cannot. */
static inline int stuck_begin(int rank, int patience_s)
{
    pthread_t thread;
    sigset_t all, before;
    stuck.rank = rank;
    stuck.patience_s = patience_s;
    stuck.left_s = patience_s;
    stuck.since_s = stuck_clock_s(CLOCK_MONOTONIC);
    stuck.main = pthread_self();
    signal(SIGUSR1, stuck_on_signal);
    backtrace((void *[1]){NULL}, 1);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread, NULL, stuck_watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error || pthread_detach(thread);
}

/* What is begun now has its own patience. */
static inline void stuck_at(const char *what)
{
    snprintf(stuck.what, sizeof stuck.what, "%s", what);
    stuck.since_s = stuck_clock_s(CLOCK_MONOTONIC);
    stuck.left_s = stuck.patience_s;
}

#endif
