// SPDX-License-Identifier: MIT
//
// Builds the first page tables. Runs with the MMU off, at whatever address the image was loaded,
// on a stack in .bss.boot: it may use PC-relative addresses (which are physical here) and nothing
// that holds a link address. It writes only to .bss.boot.
//
//   identity root -> ... -> the image's first page, executable: where the MMU is turned on
//   kernel root[511] -> top[510] -> image tables: the image, each part with its own protection
//                       top[0]   -> window: empty
#include "mapping.h"

#define BOOT [[gnu::section(".bss.boot")]]

BOOT struct page_table boot_kernel_root;
BOOT struct page_table boot_top;
BOOT struct page_table boot_window;
BOOT struct page_table boot_identity_root;
BOOT static struct page_table identity[3];
BOOT static struct page_table image_level1;
BOOT static struct page_table image_level0[LAYOUT_IMAGE_TABLES];

static_assert(LAYOUT_IMAGE >> 39 == LAYOUT_DEVICE_WINDOW >> 39); // one root slot
static_assert(LAYOUT_IMAGE % (1ull << 30) == 0 && LAYOUT_DEVICE_WINDOW % (1ull << 30) == 0);

static void table_clear(struct page_table *table)
{
    for (unsigned i = 0; i < TABLE_ENTRIES; i++)
        table->entries[i] = pte_none();
}

static pte_t table_link(const struct page_table *table)
{
    return kernel_table((uint64_t)table);
}

static void map_identity(uint64_t page)
{
    table_clear(&boot_identity_root);
    struct page_table *table = &boot_identity_root;
    for (unsigned level = 3; level > 0; level--) {
        struct page_table *next = &identity[level - 1];
        table_clear(next);
        table->entries[table_index(page, level)] = table_link(next);
        table = next;
    }
    table->entries[table_index(page, 0)] =
        kernel_leaf(page, KERNEL_EXECUTE, ARCH_MEMORY_NORMAL, false);
}

static void map_image(uint64_t image)
{
    const uint64_t text_end = (uint64_t)_text_end, rodata_end = (uint64_t)_rodata_end;
    const uint64_t end = (uint64_t)_image_end;

    table_clear(&image_level1);
    for (unsigned i = 0; i < LAYOUT_IMAGE_TABLES; i++) {
        table_clear(&image_level0[i]);
        image_level1.entries[i] = table_link(&image_level0[i]);
    }
    for (uint64_t page = image; page < end; page += PAGE_SIZE) {
        if (page == (uint64_t)boot_stack_guard || page == (uint64_t)boot_emergency_guard)
            continue;
        enum kernel_access access = page < text_end     ? KERNEL_EXECUTE
                                    : page < rodata_end ? KERNEL_READ
                                                        : KERNEL_WRITE;
        uint64_t index = (page - image) / PAGE_SIZE;
        image_level0[index / TABLE_ENTRIES].entries[index % TABLE_ENTRIES] =
            kernel_leaf(page, access, ARCH_MEMORY_NORMAL, false);
    }
}

// `image` is the physical address of _image_start.
void boot_map_build(uint64_t image)
{
    map_identity(image);
    map_image(image);
    table_clear(&boot_kernel_root);
    table_clear(&boot_top);
    table_clear(&boot_window);
    boot_kernel_root.entries[table_index(LAYOUT_IMAGE, 3)] = table_link(&boot_top);
    boot_top.entries[table_index(LAYOUT_IMAGE, 2)] = table_link(&image_level1);
    boot_top.entries[table_index(LAYOUT_DEVICE_WINDOW, 2)] = table_link(&boot_window);
}
