// SPDX-License-Identifier: MIT
//
// Skerry's loader for UEFI machines: reads kernel, bundle and command line from the volume that it
// came from, checks them, and enters the kernel with the handover of <abi/handover.h>.
//
//   \EFI\BOOT\BOOTX64.EFI or BOOTAA64.EFI   this
//   \skerry\MACHINE\boot.conf               what to start: config.c
//
// Whatever is wrong is said on the firmware's console; everything that was taken is given back
// then, and the firmware goes on.
#include <bearssl_hash.h>
#include <lib/string.h>

#include "leave.h"

constexpr uint64_t KERNEL_BYTES_MAX = 64 << 20;
constexpr uint64_t BUNDLE_BYTES_MAX = 1 << 30;

struct efi_system_table *efi;

efi_status_t efi_main(efi_handle_t image, struct efi_system_table *system);

// ---- files

static bool read_needed(const char *name, uint64_t limit, struct file *file)
{
    const enum file_answer answer = file_read(name, limit, file);
    if (answer == FILE_MISSING)
        say("The file \\skerry\\%s\\%s is not there.", machine_name, name);
    return answer == FILE_READ;
}

static bool read_config(struct config *config)
{
    struct file file;
    unsigned line;
    if (!read_needed("boot.conf", CONFIG_BYTES_MAX, &file))
        return false;
    const char *wrong = config_read(file.data, file.bytes, config, &line);
    if (wrong != nullptr && line != 0)
        say("The file boot.conf is wrong in line %u: %s.", line, wrong);
    else if (wrong != nullptr)
        say("The file boot.conf is wrong: %s.", wrong);
    return wrong == nullptr;
}

// Finds damage. Against an attacker it takes a signature over boot.conf, too: docs/boot.md.
static bool has_sum(const struct file *file, const char *name, bool known, const uint8_t *sum)
{
    br_sha256_context context;
    uint8_t got[br_sha256_SIZE];
    if (!known)
        return true;
    br_sha256_init(&context);
    br_sha256_update(&context, file->data, file->bytes);
    br_sha256_out(&context, got);
    if (memcmp(got, sum, sizeof(got)) == 0)
        return true;
    say("The file %s is damaged: its SHA-256 sum is not the one in boot.conf.", name);
    return false;
}

static bool read_bundle(const struct config *config, struct file *file)
{
    if (!read_needed(config->bundle, BUNDLE_BYTES_MAX, file))
        return false;
    if (!has_sum(file, config->bundle, config->has_bundle_sum, config->bundle_sum))
        return false;
    const char *wrong = bundle_check(file->data, file->bytes);
    if (wrong != nullptr)
        say("The boot bundle %s is damaged: %s.", config->bundle, wrong);
    return wrong == nullptr;
}

static bool read_kernel(const struct config *config, struct kernel *kernel)
{
    struct file file;
    return read_needed(config->kernel, KERNEL_BYTES_MAX, &file) &&
           has_sum(&file, config->kernel, config->has_kernel_sum, config->kernel_sum) &&
           kernel_place(&file, config->kernel, kernel);
}

// Passed on as it is: nobody checks it yet.
static bool read_signature(struct file *file)
{
    *file = (struct file){.data = ""};
    return file_read("boot.sig", BOOT_SIGNATURE_BYTES_MAX, file) != FILE_BROKEN;
}

// ---- the firmware's tables

static uint64_t find_table(const struct efi_guid *guid)
{
    for (uint64_t i = 0; i < efi->table_count; i++)
        if (memcmp(&efi->tables[i].guid, guid, sizeof(*guid)) == 0)
            return (uint64_t)efi->tables[i].table;
    return 0;
}

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool find_tables(struct given *given)
{
    static const struct efi_guid acpi_20 = EFI_ACPI_20_GUID, acpi_10 = EFI_ACPI_10_GUID,
                                 device_tree = EFI_DEVICE_TREE_GUID;
    constexpr uint32_t tree_magic = 0xd00d'feed;
    constexpr uint32_t tree_bytes_max = 16 << 20;
    given->rsdp = find_table(&acpi_20);
    if (given->rsdp == 0)
        given->rsdp = find_table(&acpi_10);

    // Devicetree Specification 0.4, 5.2: magic and total size are the first two words.
    const uint64_t tree = find_table(&device_tree);
    if (tree != 0 && big_endian((const uint8_t *)tree) == tree_magic) {
        given->device_tree = tree;
        given->device_tree_bytes = big_endian((const uint8_t *)tree + 4);
    }
    if (given->device_tree_bytes > tree_bytes_max) {
        say("The firmware's device tree says that it has %llu bytes, which cannot be.",
            (unsigned long long)given->device_tree_bytes);
        return false;
    }
    if (given->rsdp == 0 && given->device_tree == 0) {
        say("The firmware describes the machine neither by ACPI nor by a device tree.");
        return false;
    }
    return true;
}

// ----

static void start(efi_handle_t image)
{
    static struct config config;
    static struct given given;
    const char *wrong = machine_check();
    if (wrong != nullptr) {
        say("This machine cannot run Skerry: %s.", wrong);
        return;
    }
    if (!files_open(image) || !read_config(&config) || !read_kernel(&config, &given.kernel) ||
        !read_bundle(&config, &given.bundle) || !read_signature(&given.signature) ||
        !find_tables(&given))
        return;
    given.command_line = config.command_line;
    if (!leave_prepare(&given))
        return;
    if (!machine_prepare()) {
        say("There is no memory for entering the kernel.");
        return;
    }
    files_close();
    say("Skerry: kernel %llu KiB at 0x%llx, bundle %llu KiB, %s.",
        (unsigned long long)given.kernel.bytes / 1024, (unsigned long long)given.kernel.start,
        (unsigned long long)given.bundle.bytes / 1024,
        given.device_tree != 0 ? "device tree" : "ACPI");
    struct abi_handover *handover = leave_firmware(image, &given);
    if (handover != nullptr)
        machine_enter(&given.kernel, (uint64_t)handover);
}

efi_status_t efi_main(efi_handle_t image, struct efi_system_table *system)
{
    efi = system;
    (void)efi->boot->watchdog(0, 0, 0, nullptr);
    start(image);
    files_close();
    say("Skerry was not started.");
    wait_for_key();
    pages_give_all_back();
    return EFI_LOAD_ERROR;
}
