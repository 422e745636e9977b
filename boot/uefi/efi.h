// SPDX-License-Identifier: MIT
//
// The part of UEFI that the loader uses, after the specification, version 2.10. Sections stand
// beside each piece. Members that are not called are only kept in place.
//
// Both machines are compiled for the Windows calling convention, which on x86_64 is UEFI's (2.3.4)
// and on AArch64 the usual one (2.3.6).
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint64_t efi_status_t; // appendix D
typedef void *efi_handle_t;
typedef uint16_t efi_char_t; // UCS-2

constexpr efi_status_t EFI_SUCCESS = 0;
constexpr efi_status_t EFI_ERROR = 1ull << 63;
constexpr efi_status_t EFI_LOAD_ERROR = EFI_ERROR | 1;
constexpr efi_status_t EFI_INVALID_PARAMETER = EFI_ERROR | 2;
constexpr efi_status_t EFI_BUFFER_TOO_SMALL = EFI_ERROR | 5;
constexpr efi_status_t EFI_NOT_FOUND = EFI_ERROR | 14;

struct efi_guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

struct efi_table_header { // 4.2
    uint64_t signature;
    uint32_t revision, bytes, crc32, reserved;
};

// ---- consoles: 12.3, 12.4

struct efi_key {
    uint16_t scan_code;
    efi_char_t character;
};

struct efi_text_input {
    efi_status_t (*reset)(struct efi_text_input *, bool extended);
    efi_status_t (*read_key)(struct efi_text_input *, struct efi_key *);
    void *wait_for_key;
};

struct efi_text_output {
    void *reset;
    efi_status_t (*output)(struct efi_text_output *, const efi_char_t *text);
    void *rest[8];
};

// ---- memory: 7.2

enum efi_allocate : uint32_t {
    EFI_ALLOCATE_ANY = 0,
    EFI_ALLOCATE_BELOW = 1, // wholly at or below the address given
    EFI_ALLOCATE_AT = 2,
};

enum efi_memory_type : uint32_t {
    EFI_RESERVED = 0,
    EFI_LOADER_CODE = 1,
    EFI_LOADER_DATA = 2,
    EFI_BOOT_CODE = 3,
    EFI_BOOT_DATA = 4,
    EFI_RUNTIME_CODE = 5,
    EFI_RUNTIME_DATA = 6,
    EFI_CONVENTIONAL = 7,
    EFI_UNUSABLE = 8,
    EFI_ACPI_RECLAIM = 9,
    EFI_ACPI_NVS = 10,
    EFI_MMIO = 11,
    EFI_MMIO_PORTS = 12,
    EFI_PAL_CODE = 13,
    EFI_PERSISTENT = 14,
};

constexpr uint64_t EFI_MEMORY_WB = 0x8; // can be cached as RAM is
constexpr uint64_t EFI_MEMORY_RUNTIME = 1ull << 63;
constexpr uint64_t EFI_PAGE_BYTES = 4096;

// The firmware's map has its own distance between two of these.
struct efi_memory_descriptor {
    uint32_t type; // enum efi_memory_type
    uint32_t padding;
    uint64_t physical, virtual, pages, attributes;
};

// ---- boot services: 4.4, 7.2 to 7.5

struct efi_boot_services {
    struct efi_table_header header;
    void *raise_tpl, *restore_tpl;
    efi_status_t (*allocate_pages)(uint32_t how, uint32_t type, uint64_t pages, uint64_t *address);
    efi_status_t (*free_pages)(uint64_t address, uint64_t pages);
    efi_status_t (*memory_map)(uint64_t *bytes, void *map, uint64_t *key, uint64_t *entry_bytes,
                               uint32_t *entry_version);
    void *allocate_pool, *free_pool;
    void *events[6];
    void *install_protocol, *reinstall_protocol, *uninstall_protocol;
    efi_status_t (*protocol)(efi_handle_t, const struct efi_guid *, void **interface);
    void *reserved, *register_notify, *locate_handle, *locate_device_path, *install_table;
    void *load_image, *start_image, *exit, *unload_image;
    efi_status_t (*exit_boot_services)(efi_handle_t image, uint64_t key);
    void *monotonic_count;
    efi_status_t (*stall)(uint64_t microseconds);
    efi_status_t (*watchdog)(uint64_t seconds, uint64_t code, uint64_t bytes, const efi_char_t *);
    // more follow
};
static_assert(offsetof(struct efi_boot_services, protocol) == 152);
static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 232);
static_assert(offsetof(struct efi_boot_services, watchdog) == 256);

// ---- the system table: 4.3, 4.6

struct efi_configuration_table {
    struct efi_guid guid;
    const void *table;
};

struct efi_system_table {
    struct efi_table_header header;
    const efi_char_t *vendor;
    uint32_t revision;
    efi_handle_t input_handle;
    struct efi_text_input *input;
    efi_handle_t output_handle;
    struct efi_text_output *output;
    efi_handle_t error_handle;
    struct efi_text_output *error;
    void *runtime;
    struct efi_boot_services *boot;
    uint64_t table_count;
    const struct efi_configuration_table *tables;
};
static_assert(offsetof(struct efi_system_table, boot) == 96);

#define EFI_ACPI_20_GUID \
    {0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}}
#define EFI_ACPI_10_GUID \
    {0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}}
#define EFI_DEVICE_TREE_GUID \
    {0xb1b621d5, 0xf19c, 0x41a5, {0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0}}

// ---- the image itself, and the volume that it came from: 9.1, 13.4, 13.5

#define EFI_LOADED_IMAGE_GUID \
    {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_FILE_SYSTEM_GUID \
    {0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}

struct efi_loaded_image {
    uint32_t revision;
    efi_handle_t parent;
    struct efi_system_table *system;
    efi_handle_t device;
    // more follow
};

constexpr uint64_t EFI_FILE_READ = 1;

struct efi_file {
    uint64_t revision;
    efi_status_t (*open)(struct efi_file *, struct efi_file **, const efi_char_t *name,
                         uint64_t mode, uint64_t attributes);
    efi_status_t (*close)(struct efi_file *);
    void *remove;
    efi_status_t (*read)(struct efi_file *, uint64_t *bytes, void *buffer);
    void *write;
    efi_status_t (*get_position)(struct efi_file *, uint64_t *position);
    efi_status_t (*set_position)(struct efi_file *, uint64_t position); // UINT64_MAX: the end
    // more follow
};

struct efi_file_system {
    uint64_t revision;
    efi_status_t (*open_volume)(struct efi_file_system *, struct efi_file **root);
};
