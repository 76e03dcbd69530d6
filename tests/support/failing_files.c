/* To be preloaded (LD_PRELOAD): on one thread of the process some calls fail, as on a
 * disk that is full or a server that does not answer, or find no memory.
 *
 *     CONVOY_TEST_FAULTS   the calls: "write,fsync,close,rename,symlink,unlink,open,
 *                          malloc" (write: pwrite too; malloc: its kin too, where
 *                          the program itself calls it: HDF5 crashes without memory)
 *     CONVOY_TEST_EVERY    one of so many fails; which ones, CONVOY_TEST_SEED decides
 *     CONVOY_TEST_THREAD   the thread's name
 *     CONVOY_TEST_WHILE    a file: no call fails where it is missing. May be left out
 *     CONVOY_TEST_MOUNTED  on all threads, renames from life-N to checkpoints/ fail as
 * from one mount to another
 *
 * Of writes, some come to a part of what was asked for before they fail. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static atomic_uint_least64_t n_calls;

static bool is_thread(void)
{
    char name[16] = "";
    const char *wanted = getenv("CONVOY_TEST_THREAD");
    return wanted && prctl(PR_GET_NAME, name) == 0 && strcmp(name, wanted) == 0;
}

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 1;
}

/* 0: the call is made; else a random number. */
static uint64_t fault(const char *call)
{
    const char *calls = getenv("CONVOY_TEST_FAULTS"), *during;
    if (!calls || !strstr(calls, call) || !is_thread())
        return 0;
    during = getenv("CONVOY_TEST_WHILE");
    if (during && syscall(SYS_access, during, F_OK) != 0)
        return 0;
    const uint64_t drawn =
        mixed(mixed(number("CONVOY_TEST_SEED")) + atomic_fetch_add(&n_calls, 1));
    return drawn % number("CONVOY_TEST_EVERY") == 0 ? drawn | 1 : 0;
}

static int fail(int why)
{
    errno = why;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    const uint64_t drawn = fault("write");
    if (drawn & 256 && n > 1)
        n /= 2;
    else if (drawn)
        return fail(ENOSPC);
    return syscall(SYS_write, fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    const uint64_t drawn = fault("write");
    if (drawn & 256 && n > 1)
        n /= 2;
    else if (drawn)
        return fail(ENOSPC);
    return syscall(SYS_pwrite64, fd, bytes, n, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
    return pwrite(fd, bytes, n, offset);
}

int ftruncate(int fd, off_t n)
{
    return fault("write") ? fail(ENOSPC) : (int)syscall(SYS_ftruncate, fd, n);
}

int ftruncate64(int fd, off_t n)
{
    return ftruncate(fd, n);
}

int fsync(int fd)
{
    return fault("fsync") ? fail(EIO) : (int)syscall(SYS_fsync, fd);
}

int close(int fd)
{
    const int result = (int)syscall(SYS_close, fd);
    return fault("close") ? fail(EDQUOT) : result;
}

int rename(const char *from, const char *to)
{
    if (getenv("CONVOY_TEST_MOUNTED") && strstr(from, "/life-") &&
        strstr(to, "/checkpoints/"))
        return fail(EXDEV);
    return fault("rename") ? fail(EROFS)
                           : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int symlink(const char *target, const char *path)
{
    return fault("symlink") ? fail(EPERM)
                            : (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

int unlink(const char *path)
{
    return fault("unlink") ? fail(EROFS)
                           : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static int open_with(const char *path, int flags, va_list arguments)
{
    const int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    if (flags & (O_WRONLY | O_RDWR) && fault("open"))
        return fail(EROFS);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int fd = open_with(path, flags, arguments);
    va_end(arguments);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int fd = open_with(path, flags, arguments);
    va_end(arguments);
    return fd;
}

/* Whether the address is in the program's code, not a library's. */
static bool is_in_program(const void *address)
{
    const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
    const size_t n = getauxval(AT_PHNUM), at = (size_t)address;
    size_t base = 0;
    for (size_t i = 0; i < n; i++)
        if (headers[i].p_type == PT_PHDR)
            base = (size_t)headers - headers[i].p_vaddr;
    for (size_t i = 0; i < n; i++)
        if (headers[i].p_type == PT_LOAD && at >= base + headers[i].p_vaddr &&
            at < base + headers[i].p_vaddr + headers[i].p_memsz)
            return true;
    return false;
}

/* Whether the caller at this address gets none. */
static bool lacks_memory(const void *address)
{
    if (!is_in_program(address) || !fault("malloc"))
        return false;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
    return lacks_memory(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return lacks_memory(CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
    return lacks_memory(CALLER) ? NULL : __libc_realloc(old, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return lacks_memory(CALLER) ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
    void *memory = lacks_memory(CALLER) ? NULL : __libc_memalign(alignment, n);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}
