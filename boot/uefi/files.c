// SPDX-License-Identifier: MIT
//
// Files of the EFI system partition, read whole (UEFI 13.4, 13.5).
#include <lib/format.h>

#include "loader.h"

static struct efi_file *folder;

// The folder is named after the machine; names are plain ASCII.
static bool open_path(struct efi_file *from, const char *path, struct efi_file **opened,
                      efi_status_t *status)
{
    efi_char_t wide[CONFIG_NAME + 32];
    size_t length = 0;
    for (; path[length] != '\0'; length++) {
        if (length + 1 == sizeof(wide) / sizeof(wide[0]))
            return false;
        wide[length] = (efi_char_t)(unsigned char)path[length];
    }
    wide[length] = 0;
    *status = from->open(from, opened, wide, EFI_FILE_READ, 0);
    return *status == EFI_SUCCESS;
}

bool files_open(efi_handle_t image)
{
    static const struct efi_guid image_guid = EFI_LOADED_IMAGE_GUID;
    static const struct efi_guid system_guid = EFI_FILE_SYSTEM_GUID;
    void *found, *system;
    if (efi->boot->protocol(image, &image_guid, &found) != EFI_SUCCESS) {
        say("The firmware does not say where it found this loader.");
        return false;
    }
    const struct efi_loaded_image *loaded = found;
    struct efi_file *root;
    if (efi->boot->protocol(loaded->device, &system_guid, &system) != EFI_SUCCESS ||
        ((struct efi_file_system *)system)->open_volume(system, &root) != EFI_SUCCESS) {
        say("The volume that this loader came from cannot be read.");
        return false;
    }
    char path[32];
    efi_status_t status;
    format_text(path, sizeof(path), "\\skerry\\%s", machine_name);
    const bool opened = open_path(root, path, &folder, &status);
    (void)root->close(root);
    if (!opened)
        say("There is no folder %s on the volume that this loader came from.", path);
    return opened;
}

void files_close(void)
{
    if (folder != nullptr)
        (void)folder->close(folder);
    folder = nullptr;
}

static enum file_answer read_open(struct efi_file *opened, const char *name, uint64_t limit,
                                  struct file *file)
{
    uint64_t bytes;
    if (opened->set_position(opened, UINT64_MAX) != EFI_SUCCESS ||
        opened->get_position(opened, &bytes) != EFI_SUCCESS ||
        opened->set_position(opened, 0) != EFI_SUCCESS) {
        say("The file %s is no file that can be read.", name); // a folder
        return FILE_BROKEN;
    }
    if (bytes == 0 || bytes > limit) {
        say("The file %s has %llu bytes: %s.", name, (unsigned long long)bytes,
            bytes == 0 ? "it is empty" : "it is larger than such a file can be");
        return FILE_BROKEN;
    }
    void *data = pages_take(bytes, 0);
    if (data == nullptr) {
        say("There is no memory for the file %s, which has %llu bytes.", name,
            (unsigned long long)bytes);
        return FILE_BROKEN;
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t part = bytes - done;
        const efi_status_t status = opened->read(opened, &part, (char *)data + done);
        if (status != EFI_SUCCESS || part == 0 || part > bytes - done) {
            say("The file %s cannot be read behind byte %llu (status %llx).", name,
                (unsigned long long)done, (unsigned long long)status);
            return FILE_BROKEN;
        }
        done += part;
    }
    *file = (struct file){.data = data, .bytes = bytes};
    return FILE_READ;
}

enum file_answer file_read(const char *name, uint64_t limit, struct file *file)
{
    struct efi_file *opened;
    efi_status_t status = EFI_NOT_FOUND;
    if (!open_path(folder, name, &opened, &status)) {
        if (status == EFI_NOT_FOUND)
            return FILE_MISSING;
        say("The file %s cannot be opened (status %llx).", name, (unsigned long long)status);
        return FILE_BROKEN;
    }
    const enum file_answer answer = read_open(opened, name, limit, file);
    (void)opened->close(opened);
    return answer;
}
