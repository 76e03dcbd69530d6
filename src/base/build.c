/* The linker's note NT_GNU_BUILD_ID, found in memory: of the loaded object whose
 * segments hold our own code. */
#include "base/build.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t round_up(size_t n)
{
    return (n + 3) / 4 * 4;
}

/* Looks through a segment of notes. */
static void read_notes(const uint8_t *at, size_t n, char *out)
{
    ElfW(Nhdr) note;
    while (n >= sizeof note) {
        memcpy(&note, at, sizeof note);
        const size_t name = sizeof note, bytes = name + round_up(note.n_namesz);
        const size_t end = bytes + round_up(note.n_descsz);
        if (end > n)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof "GNU" &&
            memcmp(at + name, "GNU", sizeof "GNU") == 0) {
            for (size_t i = 0; i < note.n_descsz && 2 * i + 2 < BUILD_ID_SIZE; i++)
                snprintf(out + 2 * i, 3, "%02x", at[bytes + i]);
            return;
        }
        at += end;
        n -= end;
    }
}

static const uint8_t *address_of(const struct dl_phdr_info *info,
                                 const ElfW(Phdr) * segment)
{
    return (const uint8_t *)(uintptr_t)(info->dlpi_addr + segment->p_vaddr);
}

static int look(struct dl_phdr_info *info, size_t size, void *out)
{
    const uint8_t *here = (const uint8_t *)(uintptr_t)build_id;
    bool is_ours = false;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uint8_t *begin = address_of(info, segment);
        if (segment->p_type == PT_LOAD && here >= begin &&
            here < begin + segment->p_memsz)
            is_ours = true;
    }
    for (int i = 0; is_ours && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            read_notes(address_of(info, &info->dlpi_phdr[i]),
                       info->dlpi_phdr[i].p_memsz, out);
    return is_ours;
}

void build_id(char out[BUILD_ID_SIZE])
{
    out[0] = '\0';
    dl_iterate_phdr(look, out);
}
