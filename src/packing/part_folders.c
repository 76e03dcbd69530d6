/* A source that is given a folder too high would train to recognise whether an image
 * was of the training or of the test part, and nothing would look wrong. Names tell:
 * "Train", "test_set", "val2017". So does the shape: every image lies at least two
 * folders deep, and folders of the same names lie in several "classes", as many or more
 * than there are "classes". (With more classes than that the folders below them are
 * kinds of images: 200 classes of "front" and "side". One name alone, as "images" in
 * every class of Tiny ImageNet, says nothing.) Where the shape misleads, two classes
 * with images of two years each, the user names the classes. */
#include "packing/part_folders.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The letters of a name, in lower case, as far as they fit. */
static void letters_of(const char *name, char out[32])
{
    size_t n = 0;
    for (; *name && n < 31; name++)
        if (isalpha((unsigned char)*name))
            out[n++] = (char)tolower((unsigned char)*name);
    out[n] = '\0';
}

static bool is_part_word(const char *name)
{
    static const char *const words[] = {"train",      "training", "val",     "valid",
                                        "validation", "test",     "testing", "eval",
                                        "evaluation", "dev",      "images",  "data"};
    static const char *const ends[] = {"", "set", "images", "data", "split"};
    char letters[32];
    letters_of(name, letters);
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
            const size_t n = strlen(words[w]);
            if (strncmp(letters, words[w], n) == 0 && strcmp(letters + n, ends[e]) == 0)
                return true;
        }
    return false;
}

/* Whether each class has the name of a part. */
static bool are_words(const struct listing *listing)
{
    size_t c = 0;
    while (c < listing->classes.n && is_part_word(texts_get(&listing->classes, c)))
        c++;
    return c == listing->classes.n;
}

/* What lies below the folder of entry i's class. */
static const char *inner_name(const struct listing *listing, uint64_t i)
{
    return strchr(listing_name(listing, i), '/') + 1;
}

/* A folder within a class; its name is n bytes. */
struct inner {
    const char *name;
    size_t n;
    int32_t class;
};

static int compare_inner(const void *a, const void *b)
{
    const struct inner *x = a, *y = b;
    const int order = memcmp(x->name, y->name, x->n < y->n ? x->n : y->n);
    if (order != 0)
        return order;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return (x->class > y->class) - (x->class < y->class);
}

static bool same_name(const struct inner *x, const struct inner *y)
{
    return x->n == y->n && memcmp(x->name, y->name, x->n) == 0;
}

/* New array of the folders that the images lie in within their classes, each once a
 * class; *n is 0 where an image lies in none. */
static convoy_status list_inner(const struct listing *listing, struct inner **out,
                                size_t *n)
{
    convoy_status status = CONVOY_OK;
    struct inner *folders = NULL;
    size_t capacity = 0;
    *n = 0;
    for (uint64_t i = 0; i < listing->n; i++) {
        const char *name = inner_name(listing, i), *slash = strchr(name, '/');
        if (!slash) {
            *n = 0;
            break;
        }
        const struct inner found = {name, (size_t)(slash - name),
                                    listing->entries[i].label};
        if (*n > 0 && compare_inner(&folders[*n - 1], &found) == 0)
            continue;
        TRY(mem_reserve((void **)&folders, &capacity, (*n + 1) * sizeof *folders));
        folders[(*n)++] = found;
    }
    *out = folders;
    folders = NULL;
cleanup:
    mem_free(folders);
    return status;
}

/* Of the sorted folders: how many names there are, and how many in several classes. */
static void count_names(const struct inner *folders, size_t n, size_t *n_names,
                        size_t *n_shared)
{
    *n_names = *n_shared = 0;
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        bool shared = false;
        for (; end < n && same_name(&folders[i], &folders[end]); end++)
            shared = shared || folders[end].class != folders[i].class;
        ++*n_names;
        *n_shared += shared;
    }
}

/* Whether the folders below the classes look like the classes, these like parts. */
static convoy_status have_shape(const struct listing *listing, bool *parts)
{
    convoy_status status = CONVOY_OK;
    struct inner *folders = NULL;
    size_t n = 0, n_names = 0, n_shared = 0;
    *parts = false;
    TRY(list_inner(listing, &folders, &n));
    if (n > 0) {
        qsort(folders, n, sizeof *folders, compare_inner);
        count_names(folders, n, &n_names, &n_shared);
        *parts = n_shared >= 2 && n_names >= listing->classes.n;
    }
cleanup:
    mem_free(folders);
    return status;
}

/* Whether the list, with commas, has a class by its name. */
static bool names_a_class(const char *list, const struct listing *listing)
{
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        for (size_t c = 0; c < listing->classes.n; c++) {
            const char *name = texts_get(&listing->classes, c);
            if (strlen(name) == n && strncmp(name, list, n) == 0)
                return true;
        }
        list += n + (list[n] == ',');
    }
    return false;
}

/* A single class whose images all lie deeper is a folder too high. */
static bool is_too_high(const struct listing *listing)
{
    uint64_t i = 0;
    while (i < listing->n && strchr(inner_name(listing, i), '/'))
        i++;
    return listing->classes.n == 1 && i == listing->n;
}

convoy_status part_folders_refuse(const char *path, const char *chosen,
                                  const struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    const char *first = texts_get(&listing->classes, 0);
    const char *second =
        listing->classes.n > 1 ? texts_get(&listing->classes, 1) : first;
    bool parts = false;
    if (names_a_class(chosen, listing))
        return CONVOY_OK;
    if (are_words(listing))
        TRY(FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: its classes would be '%s'%s: give the folder that holds the class "
            "folders, %s/%s, of an archive with --inside %s",
            path, first, listing->classes.n > 1 ? " and other parts of a data set" : "",
            path, first, first));
    if (is_too_high(listing))
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: its only class would be '%s', whose images all lie in folders "
                 "below; give the folder that holds the class folders, %s/%s, of an "
                 "archive with --inside %s",
                 path, first, path, first, first));
    TRY(have_shape(listing, &parts));
    if (parts)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: its classes would be '%s' and '%s', which hold folders of the "
                 "same names, such as '%.*s', and no images beside them: parts of a "
                 "data set? Give the folder that holds the class folders, %s/%s, of an "
                 "archive with --inside %s; if these are the classes, name them with "
                 "--classes",
                 path, first, second, (int)strcspn(inner_name(listing, 0), "/"),
                 inner_name(listing, 0), path, first, first));
cleanup:
    return status;
}
