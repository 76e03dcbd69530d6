/* Opening, closing and listing HDF5 files.
 *
 * Files are written in the format of HDF5 1.8 (readable by everything since), whose
 * metadata carries checksums, and opened with strong closing: h5_close closes what an
 * error path left open. Locks are off because some parallel file systems refuse them
 * and convoy's files get their name only when complete. No object holds the time it was
 * made at: what is written alone decides a file's bytes. */
#include "h5/h5_internal.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, SIGNATURE_BYTES = 8 };

void h5_quiet(void)
{
    /* At exit HDF5 would close again what it could not write, and crash (1.10.8). All
     * is closed by then; where HDF5 is in use already this does nothing. */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Why a call failed. */
struct reason {
    char text[STATUS_TEXT_SIZE / 4];
    bool is_system; /* the operating system refused: that says nothing of the file */
};

/* Takes the innermost description, which says most; of a failed system call only its
 * message, since the rest is addresses. */
static herr_t take_reason(unsigned n, const H5E_error2_t *error, void *out)
{
    static const char mark[] = "error message = '";
    struct reason *reason = out;
    if (n > 0 || !error->desc)
        return 0;
    const char *from = strstr(error->desc, mark);
    from = from ? from + sizeof mark - 1 : error->desc;
    size_t length = strcspn(from, from == error->desc ? "" : "'");
    if (length >= sizeof reason->text)
        length = sizeof reason->text - 1;
    memcpy(reason->text, from, length);
    reason->text[length] = '\0';
    reason->is_system = from != error->desc;
    return 0;
}

convoy_status h5_fail(const char *source, int line, const struct h5_file *file,
                      const char *object, const char *doing)
{
    struct reason reason = {.text = "no reason given"};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_reason, &reason);
    H5Eclear2(H5E_DEFAULT);
    bool whole = strcmp(object, "/") == 0;
    const bool is_io = file->writing || reason.is_system;
    return status_fail(is_io ? CONVOY_ERROR_IO : CONVOY_ERROR_FORMAT, source, line,
                       "%s: %s%scannot %s: %s", file->path, whole ? "" : object,
                       whole ? "" : ": ", doing, reason.text);
}

void h5_drop_space(hid_t id)
{
    if (id >= 0)
        H5Sclose(id);
}

void h5_drop_type(hid_t id)
{
    if (id >= 0)
        H5Tclose(id);
}

void h5_drop_list(hid_t id)
{
    if (id >= 0)
        H5Pclose(id);
}

static convoy_status file_new(const char *path, bool writing, struct h5_file **out)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    TRY(mem_alloc(sizeof *file, (void **)&file));
    file->id = H5I_INVALID_HID;
    file->writing = writing;
    TRY(mem_copy_text(path, &file->path));
    *out = file;
    file = NULL;
cleanup:
    h5_close(file);
    return status;
}

/* Where it gets no memory for what it keeps of an open file, HDF5 (1.10) crashes rather
 * than fail: so that much must be there before it is asked. */
static convoy_status check_memory(void)
{
    enum { NEEDED = 16 << 20 };
    void *memory = NULL;
    const convoy_status status = mem_alloc(NEEDED, &memory);
    mem_free(memory);
    return status;
}

/* Access properties for both ways of opening. */
static convoy_status access_list(const struct h5_file *file, hid_t *out)
{
    convoy_status status = CONVOY_OK;
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    TRY_H5(list, file, "/", "prepare");
    TRY_H5(H5Pset_fclose_degree(list, H5F_CLOSE_STRONG), file, "/", "prepare");
    TRY_H5(H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST), file, "/",
           "prepare");
    TRY_H5(H5Pset_alignment(list, PAGE, PAGE), file, "/", "prepare");
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    TRY_H5(H5Pset_file_locking(list, false, true), file, "/", "prepare");
#endif
    *out = list;
    list = H5I_INVALID_HID;
cleanup:
    h5_drop_list(list);
    return status;
}

convoy_status h5_create(const char *path, struct h5_file **out)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    hid_t list = H5I_INVALID_HID, making = H5I_INVALID_HID;
    h5_quiet();
    /* The system says better than HDF5 why a file cannot be made. */
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    close(fd);
    TRY(check_memory());
    TRY(file_new(path, true, &file));
    TRY(access_list(file, &list));
    making = H5Pcreate(H5P_FILE_CREATE);
    TRY(h5_forget_times(file, making));
    file->id = H5Fcreate(path, H5F_ACC_TRUNC, making, list);
    TRY_H5(file->id, file, "/", "create");
    *out = file;
    file = NULL;
cleanup:
    h5_drop_list(making);
    h5_drop_list(list);
    h5_close(file);
    return status;
}

/* Says why a file that HDF5 would refuse is none of its own. */
static convoy_status check_signature(const char *path, uint64_t *n_bytes)
{
    static const unsigned char expected[SIGNATURE_BYTES] = {0x89, 'H',  'D',  'F',
                                                            '\r', '\n', 0x1a, '\n'};
    convoy_status status = CONVOY_OK;
    unsigned char found[SIGNATURE_BYTES] = {0};
    struct stat info;
    int fd = -1;
    TRY(file_open(path, &fd, &info));
    if (info.st_size == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: the file is empty", path));
    ssize_t n = pread(fd, found, sizeof found, 0);
    if (n < 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot read: %s", path, strerror(errno)));
    if (memcmp(found, expected, sizeof expected) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: not an HDF5 file (its first bytes are not HDF5's signature)",
                 path));
    *n_bytes = (uint64_t)info.st_size;
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status h5_open(const char *path, struct h5_file **out)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    hid_t list = H5I_INVALID_HID;
    uint64_t n_bytes = 0;
    h5_quiet();
    TRY(check_signature(path, &n_bytes));
    TRY(file_new(path, false, &file));
    file->n_bytes = n_bytes;
    TRY(access_list(file, &list));
    file->id = H5Fopen(path, H5F_ACC_RDONLY, list);
    TRY_H5(file->id, file, "/", "open as HDF5 (damaged, cut short or not complete?)");
    *out = file;
    file = NULL;
cleanup:
    h5_drop_list(list);
    h5_close(file);
    return status;
}

convoy_status h5_finish(struct h5_file *file)
{
    convoy_status status = CONVOY_OK;
    h5_quiet();
    TRY_H5(H5Fflush(file->id, H5F_SCOPE_GLOBAL), file, "/", "write");
    hid_t id = file->id;
    file->id = H5I_INVALID_HID;
    TRY_H5(H5Fclose(id), file, "/", "close");
cleanup:
    return status;
}

void h5_close(struct h5_file *file)
{
    if (!file)
        return;
    h5_quiet();
    if (file->id >= 0)
        H5Fclose(file->id);
    mem_free(file->path);
    mem_free(file);
}

const char *h5_path(const struct h5_file *file)
{
    return file->path;
}

/* HDF5 only looks up a link whose parents exist and are groups: so they are asked for
 * one by one. *found: whether the link at path is there, and leads on where it must. */
static convoy_status find_link(const struct h5_file *file, const char *path,
                               bool leads_on, bool *found)
{
    convoy_status status = CONVOY_OK;
    hid_t object = H5I_INVALID_HID;
    const htri_t exists = H5Lexists(file->id, path, H5P_DEFAULT);
    TRY_H5(exists, file, path, "look it up");
    if (exists > 0 && leads_on) {
        object = H5Oopen(file->id, path, H5P_DEFAULT);
        TRY_H5(object, file, path, "open");
    }
    *found = exists > 0 && (!leads_on || H5Iget_type(object) == H5I_GROUP);
cleanup:
    if (object >= 0)
        H5Oclose(object);
    return status;
}

convoy_status h5_exists(const struct h5_file *file, const char *name, bool *exists)
{
    convoy_status status = CONVOY_OK;
    char *part = NULL;
    bool found = true;
    htri_t is_object = 0;
    h5_quiet();
    TRY(mem_copy_text(name, &part));
    for (size_t i = 1; found && i <= strlen(name); i++) {
        if (name[i] != '/' && name[i] != '\0')
            continue;
        part[i] = '\0';
        if (strcmp(part, "/") != 0)
            TRY(find_link(file, part, name[i] == '/', &found));
        part[i] = name[i];
    }
    if (found)
        is_object = H5Oexists_by_name(file->id, name, H5P_DEFAULT);
    TRY_H5(is_object, file, name, "look it up");
    *exists = found && is_object > 0;
cleanup:
    mem_free(part);
    return status;
}

convoy_status h5_forget_times(const struct h5_file *file, hid_t list)
{
    convoy_status status = CONVOY_OK;
    TRY_H5(list, file, "/", "prepare");
    TRY_H5(H5Pset_obj_track_times(list, false), file, "/", "prepare");
cleanup:
    return status;
}

static convoy_status make_one_group(struct h5_file *file, const char *path)
{
    convoy_status status = CONVOY_OK;
    hid_t list = H5I_INVALID_HID, group = H5I_INVALID_HID;
    bool exists = false;
    TRY(h5_exists(file, path, &exists));
    if (exists)
        return CONVOY_OK;
    list = H5Pcreate(H5P_GROUP_CREATE);
    TRY(h5_forget_times(file, list));
    group = H5Gcreate2(file->id, path, H5P_DEFAULT, list, H5P_DEFAULT);
    TRY_H5(group, file, path, "create the group");
cleanup:
    if (group >= 0)
        H5Gclose(group);
    h5_drop_list(list);
    return status;
}

/* Parents that HDF5 would make by itself would hold times. */
convoy_status h5_make_parents(struct h5_file *file, const char *name)
{
    convoy_status status = CONVOY_OK;
    char *path = NULL;
    TRY(mem_copy_text(name, &path));
    for (char *end = strchr(path + (*path != '\0'), '/'); end;
         end = strchr(end + 1, '/')) {
        *end = '\0';
        TRY(make_one_group(file, path));
        *end = '/';
    }
cleanup:
    mem_free(path);
    return status;
}

convoy_status h5_make_group(struct h5_file *file, const char *name)
{
    const convoy_status status = h5_make_parents(file, name);
    return status == CONVOY_OK ? make_one_group(file, name) : status;
}

/* A list of names that grows while HDF5 walks. */
struct names {
    char **texts;
    size_t n, capacity;
    convoy_status status;
};

static convoy_status names_add(struct names *names, const char *name)
{
    if (names->n == names->capacity) {
        size_t bytes = names->capacity * sizeof *names->texts;
        convoy_status status = mem_reserve((void **)&names->texts, &bytes,
                                           bytes + 64 * sizeof *names->texts);
        if (status != CONVOY_OK)
            return status;
        names->capacity = bytes / sizeof *names->texts;
    }
    convoy_status status = mem_copy_text(name, &names->texts[names->n]);
    if (status == CONVOY_OK)
        names->n++;
    return status;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info,
                    void *context)
{
    struct names *names = context;
    if (info->type != H5L_TYPE_HARD)
        return 0;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0)
        return -1;
    if (H5Iget_type(object) == H5I_DATASET)
        names->status = names_add(names, name);
    H5Oclose(object);
    return names->status == CONVOY_OK ? 0 : -1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

convoy_status h5_list(const struct h5_file *file, const char *group, char ***out,
                      size_t *n)
{
    convoy_status status = CONVOY_OK;
    struct names names = {.status = CONVOY_OK};
    h5_quiet();
    herr_t result = H5Lvisit_by_name(file->id, group, H5_INDEX_NAME, H5_ITER_NATIVE,
                                     visit, &names, H5P_DEFAULT);
    TRY(names.status);
    TRY_H5(result, file, group, "list");
    if (names.n > 0)
        qsort(names.texts, names.n, sizeof *names.texts, compare_names);
    *out = names.texts;
    *n = names.n;
    names = (struct names){0};
cleanup:
    h5_free_texts(names.texts, names.n);
    return status;
}

void h5_free_texts(char **texts, size_t n)
{
    if (!texts)
        return;
    for (size_t i = 0; i < n; i++)
        mem_free(texts[i]);
    mem_free(texts);
}

void h5_version(char text[32])
{
    unsigned major = 0, minor = 0, release = 0;
    h5_quiet(); /* the question alone makes HDF5 start */
    H5get_libversion(&major, &minor, &release);
    snprintf(text, 32, "%u.%u.%u", major, minor, release);
}
