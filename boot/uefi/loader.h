// SPDX-License-Identifier: MIT
//
// The loader's own parts. config.c, memory_map.c and bundle.c are pure and run in host tests, too.
#pragma once

#include <abi/handover.h>
#include <abi/layout.h>

#include "efi.h"

extern struct efi_system_table *efi;

// ---- console.c

// A line on the firmware's console. printf subset of <lib/format.h>.
[[gnu::format(printf, 1, 2)]] void say(const char *format, ...);

// Waits for a key, or for a while.
void wait_for_key(void);

// ---- pages.c: memory of the firmware that a failed start gives back

// Zeroed pages, `bytes` of them rounded up, that end at or below `limit` (0: wherever); null: the
// firmware has none.
void *pages_take(uint64_t bytes, uint64_t limit);

// Takes what is free of a range, so that nothing else of ours comes to lie there. At most
// PAGES_KEPT_MAX pages.
constexpr uint64_t PAGES_KEPT_MAX = 32768;
void pages_keep(uint64_t start, uint64_t bytes);
void pages_give_all_back(void);

// ---- files.c: the volume that the loader came from

struct file {
    const void *data; // on a page boundary
    uint64_t bytes;
};

// False: the volume cannot be read; why was said.
[[nodiscard]] bool files_open(efi_handle_t image);
void files_close(void);

enum file_answer : uint8_t { FILE_READ, FILE_MISSING, FILE_BROKEN };

// Reads a whole file of at most `limit` bytes from the loader's folder. FILE_BROKEN: why was said.
[[nodiscard]] enum file_answer file_read(const char *name, uint64_t limit, struct file *file);

// ---- config.c: the text file that says what to start

constexpr unsigned CONFIG_BYTES_MAX = 8192;
constexpr unsigned CONFIG_NAME = 64; // bytes of a file name, with its NUL

struct config {
    char kernel[CONFIG_NAME], bundle[CONFIG_NAME];
    bool has_kernel_sum, has_bundle_sum;
    uint8_t kernel_sum[32], bundle_sum[32]; // SHA-256
    char command_line[ABI_COMMAND_LINE];
};

// Returns null, or what is wrong, with the number of the line (from 1 on; 0: of none).
[[nodiscard]] const char *config_read(const char *text, uint64_t bytes, struct config *config,
                                      unsigned *line);

// ---- bundle.c

// Whether all that the bundle says of itself is true. Returns null, or what is wrong.
[[nodiscard]] const char *bundle_check(const void *bundle, uint64_t bytes);

// ---- memory_map.c

// Makes ranges of the firmware's map: sorted, disjoint, of as few pieces as they can be. Where two
// entries contradict each other, memory is what is the less RAM of both. `ranges` has room for
// memory_map_room() of them. Returns how many there are.
uint32_t memory_map_read(const void *map, uint64_t bytes, uint64_t entry_bytes,
                         struct abi_handover_range *ranges);

// How many ranges a map of so many entries can need, with one more that is marked.
uint32_t memory_map_room(uint64_t bytes, uint64_t entry_bytes);

// Calls what is RAM of [start, end) `kind` instead. Returns the new count; there is room for two
// more ranges.
uint32_t memory_map_mark(struct abi_handover_range *ranges, uint32_t count, uint64_t start,
                         uint64_t end, uint32_t kind);

// Whether all of [start, end) is RAM.
bool memory_map_is_ram(const struct abi_handover_range *ranges, uint32_t count, uint64_t start,
                       uint64_t end);

// ---- kernel.c

// Where it has to be, boot services may still have something of theirs: then it is copied there
// once they are gone.
struct kernel {
    uint64_t start, bytes, room; // where it has to be, page-aligned; room follows
    uint64_t staged;             // where it is now: may be the same
    uint64_t entry, reach;
};

// Makes the kernel's image in memory, of its ELF file. False: why was said.
[[nodiscard]] bool kernel_place(const struct file *file, const char *name, struct kernel *kernel);

// ---- x86_64/, aarch64/

extern const char machine_name[];  // of its folder
extern const uint16_t machine_elf; // e_machine of its programs

// What the kernel could not live with, before anything is given up. Null: nothing.
[[nodiscard]] const char *machine_check(void);

// Makes what was written to memory visible to a CPU whose caches are off.
void machine_clean(const void *start, uint64_t bytes);

// Takes the memory that entering needs. False: there is none.
[[nodiscard]] bool machine_prepare(void);

// Puts the kernel where it has to be, and enters it: docs/boot.md, "The entry". Boot services are
// gone.
[[noreturn]] void machine_enter(const struct kernel *kernel, uint64_t handover);
