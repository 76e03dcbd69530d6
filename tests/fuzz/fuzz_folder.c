/* Class folders: each line of the input is the name of a file, with folders in it,
 * whose bytes begin like an image where the name has an "i". */
#include "fuzz/fuzz.h"

#include "packing/source.h"
#include "support/scratch.h"

extern const struct source_kind source_folder;

enum { MAX_FILES = 12, MAX_NAME = 200 };

static const uint8_t image[] = {0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F'};

/* Whether name leads out of the folder, or is no name of a new file. */
static bool is_useless(const char *name)
{
    const size_t n = strlen(name);
    return n == 0 || n > MAX_NAME || name[0] == '/' || strstr(name, "..") ||
           name[n - 1] == '/' || strstr(name, "/./") || strncmp(name, "./", 2) == 0;
}

/* Makes the folders of path below the first n bytes. */
static void make_folders(char *path, size_t n)
{
    for (char *slash = strchr(path + n, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

static void make_file(const char *root, const char *name)
{
    char path[2 * SCRATCH_PATH];
    if (is_useless(name))
        return;
    snprintf(path, sizeof path, "%s/%s", root, name);
    make_folders(path, strlen(root) + 1);
    (void)scratch_write(path, image, strchr(name, 'i') ? sizeof image : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *name = NULL;
    char root[2 * SCRATCH_PATH];
    const convoy_pack_options options = {.parts = 0};
    struct listing listing = {.n = 0};
    snprintf(root, sizeof root, "%s/images", fuzz_folder());
    (void)mkdir(root, 0700);
    for (int i = 0; i < MAX_FILES && (name = strsep(&rest, "\n")) != NULL; i++)
        make_file(root, name);
    if (source_folder.list(root, &options, &listing) == CONVOY_OK)
        for (uint64_t i = 0; i < listing.n; i++) {
            fuzz_look(listing_name(&listing, i), 1);
            fuzz_expect((size_t)listing.entries[i].label < listing.classes.n,
                        "a label without a class");
        }
    listing_free(&listing);
    scratch_remove(root);
    free(text);
    return 0;
}
