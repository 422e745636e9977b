// SPDX-License-Identifier: MIT
//
// Memory, seen from outside: each frame has the state and the one owner that some object says
// (M1); page tables hold what the mappings say, and nothing else (M2, M3, M5); pins (M4, M7, M8);
// no TLB holds what the tables do not (M6, M7).
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "kernel_check.h"
#include "kernel_world.h"

struct ghost ghosts[GHOSTS_MAX];

void ghost_add(uint64_t device, paddr_t page)
{
    for (unsigned i = 0; i < GHOSTS_MAX; i++)
        if (!ghosts[i].live) {
            ghosts[i] = (struct ghost){device, page, true};
            return;
        }
    abort();
}

void ghost_quiet(uint64_t device)
{
    for (unsigned i = 0; i < GHOSTS_MAX; i++)
        ghosts[i].live &= ghosts[i].device != device;
}

static struct seen {
    uint32_t owners;   // objects that say that the frame is theirs
    uint32_t mappings; // entries that lead to it
    uint32_t pins;
    uint32_t blocks; // of contiguous memory that hold it
} *seen;
static uint64_t frame_numbers; // of the arena
static uint64_t owned;         // frames that some object owns, but for blocks
static uint64_t in_blocks;     // frames

static struct seen *seen_of(paddr_t page)
{
    return &seen[(page.value - HOST_RAM_START) >> PAGE_SHIFT];
}

// ---- who owns which frame

static void own(const struct object *owner, paddr_t page, enum frame_state state)
{
    const struct frame *frame = frame_of(page);
    CHECK(M1, frame->state == state && frame->owner == object_index(owner));
    CHECK(M1, seen_of(page)->owners++ == 0);
    owned++;
}

static void own_pointer(const struct object *owner, const void *page, enum frame_state state)
{
    own(owner, arch_ram_address(page), state);
}

// A block is one object's whole, or free, on one list of one account.
static void take_block(uint32_t page, unsigned order)
{
    CHECK(A4, page % (1u << order) == 0);
    for (uint32_t i = 0; i < 1u << order; i++)
        CHECK(A4, seen_of((paddr_t){(uint64_t)(page + i) << PAGE_SHIFT})->blocks++ == 0);
    in_blocks += 1u << order;
}

static void own_block(struct vmo *vmo)
{
    take_block(vmo->block.page, vmo->block.order);
    for (uint64_t i = 0; i < vmo->filled; i++)
        own(&vmo->object, vmo_page(vmo, i), FRAME_USER);
    owned -= vmo->filled;
}

static void walk_blocks(struct object *object)
{
    const struct account *account = (struct account *)(void *)object;
    uint64_t free = 0;
    for (unsigned order = 0; order < BLOCK_ORDERS; order++) {
        uint32_t previous = 0;
        for (uint32_t page = account->blocks[order]; page;) {
            const struct frame *entry = frame_of((paddr_t){(uint64_t)page << PAGE_SHIFT});
            CHECK(A4, entry->block == order + 1 && entry->owner == object_index(object) &&
                          entry->previous_free == previous);
            take_block(page, order);
            free += 1ull << order;
            previous = page;
            page = entry->next_free;
        }
    }
    CHECK(A4, free == account->blocks_free);
    CHECK(A4, free == account->contiguous.limit - account->contiguous.used -
                          account->contiguous.children);
}

static void own_vmo(struct vmo *vmo)
{
    if (vmo->device || vmo_is_slice(vmo))
        return;
    bool root = vmo->pages > VMO_LEAF_PAGES;
    if (vmo->block.page) {
        own_block(vmo);
        return;
    }
    if (root)
        for (uint64_t i = 0; i * VMO_LEAF_PAGES < vmo->pages; i++)
            if (vmo->root[i])
                own_pointer(&vmo->object, vmo->root[i], FRAME_KERNEL);
    if (vmo->pages > VMO_INLINE_PAGES)
        own_pointer(&vmo->object, root ? (void *)vmo->root : (void *)vmo->leaf, FRAME_KERNEL);
    for (uint64_t i = 0; i < vmo->filled; i++) {
        paddr_t page = vmo_page(vmo, i);
        // An orphan's pages go one by one.
        if (page.value != (uint64_t)-1 << PAGE_SHIFT)
            own(&vmo->object, page, FRAME_USER);
    }
}

static struct aspace *walked;
static uint64_t leaves, tables, large;

static void check_leaf(uint64_t address, pte_t leaf, uint64_t pages)
{
    leaves += pages;
    uint64_t protection = pte_protection(leaf);
    CHECK(M5, (protection & (PROT_WRITE | PROT_EXECUTE)) != (PROT_WRITE | PROT_EXECUTE));
    struct tree_node *node = tree_find_at_most(&walked->mappings, address);
    CHECK(M2, node);
    struct mapping *mapping = CONTAINER_OF(node, struct mapping, node);
    uint64_t page = (address - mapping->address) >> PAGE_SHIFT;
    CHECK(M2, page + pages <= mapping->cursor && (protection & ~mapping->protection) == 0);
    for (uint64_t i = 0; i < pages; i++) {
        paddr_t frame = mapping->vmo ? vmo_page(mapping->vmo, mapping->offset_pages + page + i)
                                     : mapping->buffer;
        CHECK(M2, pte_address(leaf).value + (i << PAGE_SHIFT) == frame.value);
        if (!mapping->vmo || !mapping->vmo->device)
            seen_of(frame)->mappings++;
    }
}

static void walk_table(paddr_t table, unsigned level, uint64_t base)
{
    const pte_t *entries = arch_ram(table);
    for (uint64_t i = 0; i < 512; i++) {
        if (!pte_present(entries[i]))
            continue;
        uint64_t address = base | i << (PAGE_SHIFT + 9 * level);
        if (level == 0) {
            check_leaf(address, entries[i], 1);
        } else if (pte_large(entries[i])) {
            CHECK(M2, level == 1 && pte_address(entries[i]).value % LARGE_BYTES == 0);
            check_leaf(address, entries[i], LARGE_PAGES);
            large++;
        } else {
            tables++;
            own(&walked->object, pte_address(entries[i]), FRAME_TABLE);
            const pte_t *below = arch_ram(pte_address(entries[i]));
            for (unsigned n = 0; n < 512 && level == 1; n++)
                seen_of(pte_address(entries[i]))->mappings += pte_present(below[n]);
            walk_table(pte_address(entries[i]), level - 1, address);
        }
    }
}

static void check_aspace(struct aspace *aspace)
{
    walked = aspace;
    leaves = tables = large = 0;
    own(&aspace->object, aspace->root, FRAME_TABLE);
    walk_table(aspace->root, 3, 0);
    CHECK(M2, leaves == aspace->pages);
    CHECK(A2, tables == aspace->table_pages);
    CHECK(M2, large == aspace->large_pages);
    uint64_t populated = 0;
    for (struct tree_node *node = tree_first(&aspace->mappings); node; node = tree_next(node))
        populated += CONTAINER_OF(node, struct mapping, node)->cursor;
    CHECK(M2, populated == leaves);
    uint64_t holders = 0;
    for (uint32_t i = 0; i < cpu_count(); i++)
        if (cpus[i]->aspace == aspace)
            holders |= cpu_bit(cpus[i]);
    CHECK(M6, aspace->holders.cpus == holders);
}

static void visit_owner(struct object *object)
{
    if (object->life == LIFE_GHOST)
        return;
    switch (object->type) {
    case OBJECT_PROCESS:
        for (unsigned i = 0; i < process_of(object)->handle_pages; i++)
            own_pointer(object, process_of(object)->pages[i], FRAME_KERNEL);
        break;
    case OBJECT_THREAD:
        if (thread_of(object)->buffer_mapping.object) {
            own_pointer(object, thread_of(object)->message, FRAME_USER);
            own_pointer(object, thread_of(object)->context, FRAME_KERNEL);
        }
        break;
    case OBJECT_ASPACE:
        check_aspace((struct aspace *)(void *)object);
        break;
    case OBJECT_VMO:
        own_vmo(vmo_of(object));
        break;
    case OBJECT_CHANNEL:
        for (unsigned i = 0; i < channel_of(object)->pages; i++)
            own_pointer(object, channel_of(object)->queue[i], FRAME_KERNEL);
        if (channel_of(object)->calls)
            own_pointer(object, channel_of(object)->calls, FRAME_KERNEL);
        break;
    case OBJECT_ACCOUNT:
        for (unsigned i = 0; i < BUDGET_PAGES_MAX; i++) {
            const uint8_t *page = ((struct account *)(void *)object)->budgets[i];
            if (page)
                own_pointer(object, page, FRAME_KERNEL);
        }
        break;
    case OBJECT_NONE:
    case OBJECT_PORT:
    case OBJECT_EVENT:
    case OBJECT_TIMER:
    case OBJECT_INTERRUPT:
    case OBJECT_IORANGE:
    case OBJECT_DMASPACE:
    case OBJECT_PIN:
    case OBJECT_MACHINE:
    case OBJECT_LOG:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
}

// ---- who may keep a frame

static void visit_pin(struct object *object)
{
    const struct pin *pin = (struct pin *)(void *)object;
    if (object->life == LIFE_GHOST || !pin->vmo)
        return;
    CHECK(M8, pin->charged_pages >= pin->pages);
    for (uint64_t i = 0; i < pin->pages; i++)
        seen_of(vmo_page(pin->vmo, pin->first + i))->pins++;
}

// Whether [first, first + pages) of the whole is inside the slice.
static bool inside(const struct vmo *slice, uint64_t first, uint64_t pages)
{
    return first >= slice->first && pages <= slice->pages &&
           first - slice->first <= slice->pages - pages;
}

// A slice reaches no further than what it was cut out of; it lists what is mapped through it.
static void visit_slice(struct object *object)
{
    const struct vmo *vmo = vmo_of(object);
    if (object->life == LIFE_GHOST || !vmo_is_slice(vmo))
        return;
    const struct vmo *parent = vmo_of(vmo->parent.object);
    CHECK(O2, parent->object.life == LIFE_LIVE || parent->object.life == LIFE_DYING);
    CHECK(M2, inside(parent, vmo->first, vmo->pages));
    CHECK(M2, vmo->device == parent->device && vmo->tables == parent->tables && !vmo->filled);
    CHECK(M2,
          vmo->whole.object == (vmo_is_slice(parent) ? parent->whole.object : vmo->parent.object));
    uint64_t shown = 0;
    LIST_FOR_EACH(node, &vmo->mappings)
    shown++;
    CHECK(M2, shown == counter_read(&vmo->shown));
}

static void visit_mapping(struct object *object)
{
    const struct mapping *mapping = mapping_of(object);
    const struct vmo *vmo = mapping->vmo;
    if (object->life == LIFE_LIVE && mapping->slice)
        CHECK(M2, mapping->slice->whole.object == &vmo->object &&
                      inside(mapping->slice, mapping->offset_pages, mapping->pages));
    if (object->life == LIFE_LIVE && vmo && !vmo->device && vmo->object.account != object->account)
        CHECK(M8, mapping->charged_pages >= mapping->pages);
}

static void check_tlbs(void)
{
    uint32_t slots = objects_ever();
    for (unsigned cpu = 0; cpu < HOST_CPUS; cpu++)
        for (unsigned i = 0; i < HOST_TLB_ENTRIES; i++) {
            const struct host_tlb_entry *entry = &host_tlb[cpu][i];
            if (!entry->valid)
                continue;
            struct aspace *owner = nullptr;
            for (uint32_t n = 0; n < slots && !owner; n++) {
                struct object *object = object_at(n);
                struct aspace *aspace = (struct aspace *)(void *)object;
                if (object->life != LIFE_FREE && object->type == OBJECT_ASPACE &&
                    aspace->asid == entry->asid && (entry->asid || cpus[cpu]->aspace == aspace))
                    owner = aspace;
            }
            CHECK(M6, owner && pagetable_get(owner, entry->page).value == entry->leaf.value);
        }
}

static void check_frames(void)
{
    uint64_t used = 0;
    for (uint64_t i = 0; i < frame_numbers; i++) {
        paddr_t page = {HOST_RAM_START + (i << PAGE_SHIFT)};
        if (!frames_overlap(page.value, page.value + PAGE_SIZE))
            continue;
        const struct frame *frame = frame_of(page);
        bool free = frame->state < FRAME_KERNEL;
        used += !free && seen[i].blocks == 0;
        // The kernel's own root table has no owner.
        CHECK(M1, free ? seen[i].owners == 0
                       : seen[i].owners == 1 || (frame->state == FRAME_TABLE && frame->owner == 0));
        CHECK(M3, free || frame->mappings == seen[i].mappings);
        CHECK(M4, free ? seen[i].pins == 0 : frame->pins == seen[i].pins);
    }
    CHECK(M1, used == owned + 1 && used == frames_total() - frames_free());
}

static void check_ghosts(void)
{
    for (unsigned i = 0; i < GHOSTS_MAX; i++)
        if (ghosts[i].live)
            CHECK(M7, frame_of(ghosts[i].page)->state == FRAME_USER &&
                          frame_of(ghosts[i].page)->pins > 0);
}

void check_memory(void)
{
    if (frame_numbers != host_ram_bytes >> PAGE_SHIFT) {
        free(seen);
        frame_numbers = host_ram_bytes >> PAGE_SHIFT;
        seen = malloc(frame_numbers * sizeof *seen);
    }
    memset(seen, 0, frame_numbers * sizeof *seen);
    owned = in_blocks = 0;
    for_each_object(OBJECT_NONE, visit_owner);
    for_each_object(OBJECT_ACCOUNT, walk_blocks);
    CHECK(A4, in_blocks == world.contiguous);
    for_each_object(OBJECT_PIN, visit_pin);
    for_each_object(OBJECT_MAPPING, visit_mapping);
    for_each_object(OBJECT_VMO, visit_slice);
    check_frames();
    check_tlbs();
    check_ghosts();
}
