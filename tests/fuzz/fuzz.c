/* Inputs as files, and what stops a target. */
#include "fuzz/fuzz.h"

#include "support/scratch.h"

#include <errno.h>

static char folder[SCRATCH_PATH];

/* For faults of the machine, not of what is tested. */
static void give_up(const char *what)
{
    fprintf(stderr, "fuzz: cannot %s: %s\n", what, strerror(errno));
    exit(2);
}

static void remove_folder(void)
{
    scratch_remove(folder);
}

const char *fuzz_folder(void)
{
    if (!*folder) {
        if (scratch_make(folder) != 0)
            give_up("make a folder");
        atexit(remove_folder);
    }
    return folder;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    const char *path = scratch_path(fuzz_folder(), name);
    if (scratch_write(path, data, size) != 0)
        give_up("write a file");
    return path;
}

const char *fuzz_seed(const char *name)
{
    const char *seeds = getenv("FUZZ_SEEDS");
    return scratch_path(seeds ? seeds : ".", name);
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        give_up("get memory");
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

void fuzz_expect(bool truth, const char *text)
{
    if (truth)
        return;
    fprintf(stderr, "fuzz: this must never be: %s; the last status said: %s\n", text,
            convoy_status_text());
    abort();
}

void fuzz_look(const void *bytes, size_t n)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
}
