/* One file in /dev/shm a node, which has no name any more as soon as all ranks have
 * opened it, and no pages before: whatever ends them, none of these stay behind.
 * MPI_Win_allocate_shared makes the same, but does not say that /dev/shm is full: a
 * rank that touches a page then gets SIGBUS. Here each rank asks for its pages
 * beforehand, which also lays them into its own NUMA domain; and giving the memory back
 * needs no other rank. */
#include "comm/node_memory.h"

#include "base/file.h"
#include "base/memory.h"
#include "comm/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char folder[] = "/dev/shm";
enum { PATH_SIZE = 64 };

struct node_memory {
    int n;           /* ranks of this node */
    size_t *offsets; /* [n + 1] of each rank's part */
    char *base;      /* [offsets[n]]; NULL: none */
    int file;        /* while it is made; -1: none yet */
};

uint64_t node_memory_left(void)
{
    struct statvfs s;
    return statvfs(folder, &s) == 0 ? (uint64_t)s.f_bavail * s.f_frsize : 0;
}

static convoy_status refuse(const char *what, size_t bytes)
{
    return FAIL(CONVOY_ERROR_IO,
                "%s: cannot %s %zu MiB for sums within a node: %s; make it larger (in "
                "a container: --shm-size), or set exchange.algorithm: direct",
                folder, what, bytes >> 20, strerror(errno));
}

static convoy_status allocate(const convoy_world *world, struct node_memory **made)
{
    convoy_status status = CONVOY_OK;
    TRY(mem_alloc(sizeof **made, (void **)made));
    (*made)->n = world->node_size;
    (*made)->file = -1;
    TRY(mem_alloc_array((size_t)world->node_size + 1, sizeof(size_t),
                        (void **)&(*made)->offsets));
cleanup:
    return status;
}

/* All ranks of the node learn how long the parts are: whole pages. */
static convoy_status lay_out(const convoy_world *world, struct node_memory *m,
                             size_t bytes)
{
    convoy_status status = CONVOY_OK;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned long own = (unsigned long)((bytes + page - 1) / page * page);
    _Static_assert(sizeof own == sizeof *m->offsets, "size_t is unsigned long");
    TRY_MPI(MPI_Allgather(&own, 1, MPI_UNSIGNED_LONG, m->offsets + 1, 1,
                          MPI_UNSIGNED_LONG, world->node_comm));
    for (int i = 0; i < m->n; i++)
        m->offsets[i + 1] += m->offsets[i];
cleanup:
    return status;
}

/* The node's first rank makes the file; path: its name, on all of them. */
static convoy_status create_file(const convoy_world *world, struct node_memory *m,
                                 char path[PATH_SIZE])
{
    convoy_status status = CONVOY_OK;
    if (world->node_rank == 0) {
        uint64_t number = 0;
        (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
        snprintf(path, PATH_SIZE, "%s/convoy-%ld-%016llx", folder, (long)getpid(),
                 (unsigned long long)number);
        m->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (m->file < 0 || ftruncate(m->file, (off_t)m->offsets[m->n]) != 0)
            status = refuse("make", m->offsets[m->n]);
    }
    return status;
}

static convoy_status open_file(struct node_memory *m, const char *path)
{
    if (m->file < 0)
        m->file = open(path, O_RDWR | O_CLOEXEC);
    return m->file < 0 ? refuse("open", m->offsets[m->n]) : CONVOY_OK;
}

/* All of the node have opened the file, or some cannot. */
static void remove_name(const convoy_world *world, char path[PATH_SIZE])
{
    if (world->node_rank == 0 && *path)
        unlink(path);
    path[0] = '\0';
}

/* Asks for the own pages, and sees all ranks'. */
static convoy_status map(const convoy_world *world, struct node_memory *m)
{
    const size_t begin = m->offsets[world->node_rank];
    const size_t own = m->offsets[world->node_rank + 1] - begin;
    errno = file_reserve(m->file, begin, own);
    if (errno != 0)
        return refuse("get", own);
    void *base =
        mmap(NULL, m->offsets[m->n], PROT_READ | PROT_WRITE, MAP_SHARED, m->file, 0);
    if (base == MAP_FAILED)
        return refuse("map", m->offsets[m->n]);
    m->base = base;
    /* Where the system has huge pages for such files; else it changes nothing. */
    madvise(base, m->offsets[m->n], MADV_HUGEPAGE);
    return CONVOY_OK;
}

convoy_status node_memory_create(convoy_world *world, size_t bytes,
                                 struct node_memory **made)
{
    convoy_status status = CONVOY_OK;
    struct node_memory *m = NULL;
    char path[PATH_SIZE] = "";
    TRY(convoy_world_agree(world, allocate(world, &m)));
    TRY(lay_out(world, m, bytes));
    TRY(convoy_world_agree(world, create_file(world, m, path)));
    TRY_MPI(MPI_Bcast(path, PATH_SIZE, MPI_CHAR, 0, world->node_comm));
    TRY(convoy_world_agree(world, open_file(m, path)));
    remove_name(world, path);
    TRY_MPI(
        MPI_Barrier(world->node_comm)); /* pages go with the last user from now on */
    TRY(convoy_world_agree(world, map(world, m)));
    *made = m;
cleanup:
    if (m && m->file >= 0)
        close(m->file);
    remove_name(world, path);
    if (status != CONVOY_OK)
        node_memory_destroy(m);
    return status;
}

void node_memory_destroy(struct node_memory *memory)
{
    if (!memory)
        return;
    if (memory->base)
        munmap(memory->base, memory->offsets[memory->n]);
    mem_free(memory->offsets);
    mem_free(memory);
}

void *node_memory_of(const struct node_memory *memory, int node_rank)
{
    return memory->base + memory->offsets[node_rank];
}
