// SPDX-License-Identifier: MIT
//
// Commands on files: everything under /disk is the file service's. A call that dies with the
// service is made again with the next one: all of the protocol is idempotent, but node numbers
// end with the server, so a file is then looked up again by its path.
#include <bearssl_hash.h>

#include <proto/file.h>
#include <sdk/states.h>

#include "shell.h"

constexpr unsigned ATTEMPTS = 5;
static const char mount[] = "/disk";

static channel_t files; // .value 0: not connected

static status_t connect_files(void)
{
    if (files.value != 0)
        handle_close((handle_t){files.value});
    return service_connect("files", ABI_DEADLINE_NEVER, &files);
}

struct file {
    const char *path; // relative to the mount
    struct file_open_reply found;
};

static status_t file_find(struct file *file)
{
    struct file_open_request request;
    if (!text_copy(request.path, sizeof(request.path), file->path))
        return STATUS_TOO_BIG;
    status_t status = STATUS_PEER_CLOSED;
    for (unsigned i = 0; i < ATTEMPTS && status == STATUS_PEER_CLOSED; i++) {
        if (files.value != 0)
            status = file_open(files, &request, &file->found, ABI_DEADLINE_NEVER);
        if (status == STATUS_PEER_CLOSED) {
            status_t connected = connect_files();
            if (connected != STATUS_OK)
                return connected;
        }
    }
    return status;
}

static status_t read_file(struct file *file, uint64_t offset, struct file_read_reply *reply)
{
    status_t status = STATUS_PEER_CLOSED;
    for (unsigned i = 0; i < ATTEMPTS && status == STATUS_PEER_CLOSED; i++) {
        struct file_read_request request = {file->found.node, offset, sizeof(reply->data)};
        status = file_read(files, &request, reply, ABI_DEADLINE_NEVER);
        if (status == STATUS_PEER_CLOSED && file_find(file) != STATUS_OK)
            break;
    }
    return status;
}

static status_t read_folder(struct file *folder, uint64_t cursor,
                            struct file_read_folder_reply *reply)
{
    status_t status = STATUS_PEER_CLOSED;
    for (unsigned i = 0; i < ATTEMPTS && status == STATUS_PEER_CLOSED; i++) {
        struct file_read_folder_request request = {folder->found.node, cursor};
        status = file_read_folder(files, &request, reply, ABI_DEADLINE_NEVER);
        if (status == STATUS_PEER_CLOSED && file_find(folder) != STATUS_OK)
            break;
    }
    return status;
}

// What follows the mount in an absolute path; null: it is not below it.
static const char *below_mount(const char *path)
{
    size_t length = sizeof(mount) - 1;
    if (strncmp(path, mount, length) != 0 || (path[length] != '/' && path[length] != 0))
        return nullptr;
    path += length;
    while (*path == '/')
        path++;
    return path;
}

static bool is_root(const char *path)
{
    while (*path == '/')
        path++;
    return *path == 0;
}

static const char *explain(status_t status)
{
    if (status == STATUS_NOT_FOUND)
        return "no such file or folder";
    if (status == STATUS_CANCELLED)
        return "interrupted";
    if (status == STATUS_BAD_STATE)
        return "the file service is held after too many crashes; see 'log'";
    if (status == FILE_STALE)
        return "the disk was away meanwhile";
    if (status == FILE_IS_FOLDER)
        return "is a folder";
    if (status == FILE_NOT_FOLDER)
        return "a part of the path is no folder";
    return status_name(status);
}

// The service's own words about a damaged archive, in place of a bare error.
static int complain_file(const char *command, const char *path, status_t status)
{
    struct file_state_reply state;
    bool unreadable = status == FILE_BAD_ARCHIVE || status == FILE_IO;
    if ((unreadable || status == STATUS_NOT_FOUND) && files.value != 0 &&
        file_state(files, &state, ABI_DEADLINE_NEVER) == STATUS_OK && state.message[0] != 0)
        return unreadable ? complain(command, "%s: %s", path, state.message)
                          : complain(command, "%s: %s (%s)", path, explain(status), state.message);
    return complain(command, "%s: %s", path, explain(status));
}

// Opens an absolute path for a command, or says why not.
static int open_path(const char *command, const char *path, struct file *file)
{
    file->path = below_mount(path);
    if (file->path == nullptr)
        return complain(command, "%s: no such file or folder (files are under %s)", path, mount);
    status_t status = file_find(file);
    return status == STATUS_OK ? 0 : complain_file(command, path, status);
}

// ---- ls

static void show_entry(bool sizes, uint32_t kind, uint64_t size, const char *name)
{
    if (sizes && kind == FILE_KIND_FILE)
        print("%12lu  ", size);
    else if (sizes)
        print("%12s  ", kind == FILE_KIND_FOLDER ? "folder" : "other");
    print_bytes(name, strlen(name));
    print(kind == FILE_KIND_FOLDER ? "/\n" : "\n");
}

static int list_folder(struct file *folder, const char *path, bool sizes)
{
    static struct file_read_folder_reply entry;
    status_t status = STATUS_OK;
    for (uint64_t cursor = 0; !atomic_load(&interrupted); cursor = entry.next) {
        status = read_folder(folder, cursor, &entry);
        if (status != STATUS_OK)
            break;
        show_entry(sizes, entry.kind, entry.size, entry.name);
    }
    return status == STATUS_NOT_FOUND ? 0 : complain_file("ls", path, status);
}

// An archive that is damaged behind its first files is listed as far as it goes, and told about.
static int tell_damage(void)
{
    struct file_state_reply state;
    if (file_state(files, &state, ABI_DEADLINE_NEVER) != STATUS_OK || state.message[0] == 0)
        return 0;
    return complain("ls", "%s: %s", mount, state.message);
}

static int list(const char *path, bool sizes)
{
    if (is_root(path)) {
        show_entry(sizes, FILE_KIND_FOLDER, 0, mount + 1);
        return 0;
    }
    struct file file;
    int failed = open_path("ls", path, &file);
    if (failed != 0)
        return failed;
    if (file.found.kind == FILE_KIND_FOLDER) {
        failed = list_folder(&file, path, sizes);
        return file.path[0] == 0 ? failed | tell_damage() : failed;
    }
    show_entry(sizes, file.found.kind, file.found.size, path);
    return 0;
}

int command_ls(const struct words *words)
{
    int failed = 0;
    unsigned first = 1;
    bool sizes = words->count > 1 && strcmp(words->word[1], "-l") == 0;
    first += sizes;
    if (first == words->count)
        return list(mount, sizes);
    for (unsigned i = first; i < words->count; i++)
        failed |= list(words->word[i], sizes);
    return failed;
}

// ---- whole files

// Passes every byte of a file on. 0: to its end.
static int each_byte(const char *command, const char *path,
                     void (*take)(void *context, const uint8_t *data, uint32_t bytes),
                     void *context)
{
    static struct file_read_reply reply;
    struct file file;
    int failed = open_path(command, path, &file);
    if (failed != 0)
        return failed;
    if (file.found.kind == FILE_KIND_FOLDER)
        return complain_file(command, path, FILE_IS_FOLDER);
    uint64_t offset = 0;
    while (offset < file.found.size) {
        status_t status =
            atomic_load(&interrupted) ? STATUS_CANCELLED : read_file(&file, offset, &reply);
        if (status != STATUS_OK)
            return complain_file(command, path, status);
        if (reply.data_bytes == 0)
            return complain(command, "%s: ends after %lu of %lu bytes", path, offset,
                            file.found.size);
        take(context, reply.data, reply.data_bytes);
        offset += reply.data_bytes;
    }
    return 0;
}

static void take_print(void *context, const uint8_t *data, uint32_t bytes)
{
    (void)context;
    print_bytes(data, bytes);
}

int command_cat(const struct words *words)
{
    int failed = 0;
    for (unsigned i = 1; i < words->count; i++)
        failed |= each_byte("cat", words->word[i], take_print, nullptr);
    return failed;
}

static void take_hash(void *context, const uint8_t *data, uint32_t bytes)
{
    br_sha256_update(context, data, bytes);
}

int command_sha256sum(const struct words *words)
{
    int failed = 0;
    for (unsigned i = 1; i < words->count; i++) {
        br_sha256_context hash;
        br_sha256_init(&hash);
        if (each_byte("sha256sum", words->word[i], take_hash, &hash) != 0) {
            failed = 1;
            continue;
        }
        uint8_t sum[br_sha256_SIZE];
        br_sha256_out(&hash, sum);
        for (size_t j = 0; j < sizeof(sum); j++)
            print("%02x", sum[j]);
        print("  ");
        print_bytes(words->word[i], strlen(words->word[i]));
        print("\n");
        print_done();
    }
    return failed;
}
