// SPDX-License-Identifier: MIT
//
// The buddies of each account, and what moves between accounts. See block.h.
#include "block.h"

#include <lib/string.h>

#include "account.h"
#include "frame.h"

constexpr uint64_t POOL_ALIGNMENT = 2u << 20;
constexpr uint64_t POOL_PART = 32; // of RAM, where the command line says nothing
constexpr uint64_t POOL_DEFAULT_MAX = 32u << 20;
constexpr uint64_t POOL_MAX = 1u << 30; // bounds how many blocks make up a reservation
constexpr unsigned MOVE_STEP_BLOCKS = 16;

struct spinlock blocks_lock;
static uint32_t pool_first, pool_end; // page numbers; written once at boot

// ---- free blocks

static struct frame *entry_of(uint32_t page)
{
    return frame_of((paddr_t){(uint64_t)page << PAGE_SHIFT});
}

static void list_add(struct account *account, uint32_t page, unsigned order) REQUIRES(blocks_lock)
{
    uint32_t next = account->blocks[order];
    *entry_of(page) = (struct frame){
        .block = (uint8_t)(order + 1), .owner = object_index(&account->object), .next_free = next};
    if (next)
        entry_of(next)->previous_free = page;
    account->blocks[order] = page;
}

static void list_take(struct account *account, uint32_t page) REQUIRES(blocks_lock)
{
    struct frame *entry = entry_of(page);
    CHECK(A4, entry->block > 0 && entry->owner == object_index(&account->object));
    if (entry->previous_free)
        entry_of(entry->previous_free)->next_free = entry->next_free;
    else
        account->blocks[entry->block - 1] = entry->next_free;
    if (entry->next_free)
        entry_of(entry->next_free)->previous_free = entry->previous_free;
    entry->block = 0;
}

// The entry of a buddy says the truth: a block that holds it in its middle would hold the other one
// too. So it is the first of one, and was written; its user leaves `block` alone.
static bool is_free_buddy(const struct account *account, uint32_t page, unsigned order)
    REQUIRES(blocks_lock)
{
    if (page < pool_first || page >= pool_end)
        return false;
    const struct frame *entry = entry_of(page);
    return entry->block == order + 1 &&
           (entry->owner == object_index(&account->object) || SEEDED_BUG("A4 merge"));
}

static void free_add(struct account *account, uint32_t page, unsigned order) REQUIRES(blocks_lock)
{
    CHECK(A4, entry_of(page)->block == 0 && entry_of(page)->state == FRAME_UNTOUCHED);
    account->blocks_free += 1ull << order;
    for (; order + 1 < BLOCK_ORDERS; order++) {
        uint32_t buddy = page ^ 1u << order;
        if (!is_free_buddy(account, buddy, order))
            break;
        list_take(account, buddy);
        page &= buddy;
    }
    list_add(account, page, order);
}

// Breaks up the smallest that will do. 0: there is none.
static uint32_t free_take(struct account *account, unsigned order) REQUIRES(blocks_lock)
{
    unsigned from = order;
    while (from < BLOCK_ORDERS && account->blocks[from] == 0)
        from++;
    if (from == BLOCK_ORDERS || RUNS_OUT("blocks"))
        return 0;
    uint32_t page = account->blocks[from];
    list_take(account, page);
    while (from-- > order)
        list_add(account, page + (1u << from), from);
    account->blocks_free -= 1ull << order;
    return page;
}

static void room_check(const struct account *account) REQUIRES(blocks_lock)
{
    (void)account;
    CHECK(A4, account->blocks_free == account->contiguous.limit - account->contiguous.used -
                                          account->contiguous.children);
}

// ---- the pool

static void option_bytes(const char *line, const char *name, uint64_t *bytes)
{
    size_t length = strlen(name);
    for (const char *at = line; *at; at++) {
        if ((at != line && at[-1] != ' ') || strncmp(at, name, length) != 0 || at[length] != '=')
            continue;
        uint64_t value = 0;
        const char *digit = at + length + 1;
        for (; *digit >= '0' && *digit <= '9' && value <= POOL_MAX; digit++)
            value = value * 10 + (uint64_t)(*digit - '0');
        unsigned shift = *digit == 'K' ? 10 : *digit == 'M' ? 20 : *digit == 'G' ? 30 : 0;
        *bytes = value << shift; // not more than 2^34 GiB, which fits
        return;
    }
}

uint64_t blocks_init(const struct boot_info *boot, uint64_t ram) NO_THREAD_SAFETY
{
    lock_init(&blocks_lock, RANK_BLOCKS);
    uint64_t bytes = ram / POOL_PART < POOL_DEFAULT_MAX ? ram / POOL_PART : POOL_DEFAULT_MAX;
    option_bytes(boot->command_line, "contiguous", &bytes);
    uint64_t most = ram / 2 < POOL_MAX ? ram / 2 : POOL_MAX; // the rest of the system has to start
    bytes = align_down(bytes < most ? bytes : most, POOL_ALIGNMENT);
    uint64_t start = 0;
    while (bytes > 0 && (start = frames_set_aside(bytes, POOL_ALIGNMENT)) == 0)
        bytes -= POOL_ALIGNMENT;
    pool_first = (uint32_t)(start >> PAGE_SHIFT);
    pool_end = pool_first + (uint32_t)(bytes >> PAGE_SHIFT);
    return bytes >> PAGE_SHIFT;
}

void blocks_give_all(struct account *root) NO_THREAD_SAFETY
{
    root->contiguous.limit = pool_end - pool_first;
    for (uint32_t page = pool_first; page < pool_end;) {
        unsigned order = BLOCK_ORDERS - 1;
        while (page & ((1u << order) - 1) || page + (1u << order) > pool_end)
            order--;
        list_add(root, page, order);
        root->blocks_free += 1ull << order;
        page += 1u << order;
    }
    room_check(root);
}

unsigned block_order(uint64_t pages)
{
    return pages > 1 ? 64 - (unsigned)__builtin_clzll(pages - 1) : 0;
}

// ---- blocks in use

status_t block_take(struct account *account, unsigned order, struct block *out)
{
    status_t status = STATUS_OK;
    lock_acquire(&blocks_lock);
    if (account->blocks_free < 1ull << order || RUNS_OUT("contiguous memory"))
        status = STATUS_NO_PAGES;
    else if ((out->page = free_take(account, order)) == 0)
        status = STATUS_NO_RESOURCE;
    if (status == STATUS_OK) {
        out->order = (uint8_t)order;
        out->account = account;
        account_figure_add(&account->contiguous, 1ull << order);
        room_check(account);
    }
    lock_release(&blocks_lock);
    return status;
}

void block_give(struct block *block) NO_THREAD_SAFETY
{
    if (!SEEDED_BUG("A4 unlocked"))
        lock_acquire(&blocks_lock);
    struct account *account = block->account;
    CHECK(A2, account->contiguous.used >= 1ull << block->order);
    account->contiguous.used -= 1ull << block->order;
    free_add(account, block->page, block->order);
    if (SEEDED_BUG("A4 twice"))
        free_add(account, block->page, block->order);
    room_check(account);
    if (block->outlives)
        list_remove(&block->node);
    if (!SEEDED_BUG("A4 unlocked"))
        lock_release(&blocks_lock);
}

// With the reservation that it is of. Both totals stay what they are.
static void hold_above(struct block *block) REQUIRES(blocks_lock)
{
    struct account *account = block->account, *parent = account->parent;
    uint64_t pages = 1ull << block->order;
    account->contiguous.used -= pages;
    account->contiguous.limit -= pages;
    parent->contiguous.children -= pages;
    account_figure_add(&parent->contiguous, pages);
    block->account = parent;
    list_push_back(&parent->outlived, &block->node);
    room_check(account);
    room_check(parent);
}

void block_outlives(struct block *block)
{
    lock_acquire(&blocks_lock);
    block->outlives = true;
    hold_above(block);
    lock_release(&blocks_lock);
}

// ---- between accounts

// Free blocks of the sizes of the number's binary digits, the largest first.
static bool move(struct account *from, struct account *to, uint64_t pages) REQUIRES(blocks_lock)
{
    uint32_t taken = 0; // a list, with each one's order
    uint64_t left = pages;
    while (left > 0) {
        unsigned order = 63 - (unsigned)__builtin_clzll(left);
        order = order < BLOCK_ORDERS ? order : BLOCK_ORDERS - 1;
        uint32_t page = free_take(from, order);
        if (page == 0)
            break;
        entry_of(page)->previous_free = order;
        entry_of(page)->next_free = taken;
        taken = page;
        left -= 1ull << order;
    }
    struct account *owner = left == 0 ? to : from;
    while (taken) {
        uint32_t page = taken;
        taken = entry_of(page)->next_free;
        free_add(owner, page, entry_of(page)->previous_free);
    }
    return left == 0;
}

// A look at the room comes first: it bounds the number of blocks.
static status_t move_checked(struct account *from, struct account *to, uint64_t pages)
    REQUIRES(blocks_lock)
{
    if (pages == 0)
        return STATUS_OK;
    if (from->blocks_free < pages || RUNS_OUT("contiguous memory"))
        return STATUS_NO_PAGES;
    return move(from, to, pages) ? STATUS_OK : STATUS_NO_RESOURCE;
}

status_t blocks_lend(struct account *parent, struct account *child, uint64_t pages)
{
    lock_acquire(&blocks_lock);
    status_t status = move_checked(parent, child, pages);
    if (status == STATUS_OK) {
        parent->contiguous.children += pages;
        child->contiguous.limit += pages;
    }
    room_check(parent);
    room_check(child);
    lock_release(&blocks_lock);
    return status;
}

status_t blocks_return(struct account *parent, struct account *child, uint64_t pages)
{
    lock_acquire(&blocks_lock);
    status_t status = move_checked(child, parent, pages);
    if (status == STATUS_OK) {
        child->contiguous.limit -= pages;
        parent->contiguous.children -= pages;
    }
    room_check(parent);
    room_check(child);
    lock_release(&blocks_lock);
    return status;
}

// ---- the end of an account

static bool free_one_up(struct account *account) REQUIRES(blocks_lock)
{
    unsigned order = 0;
    while (order < BLOCK_ORDERS && account->blocks[order] == 0)
        order++;
    if (order == BLOCK_ORDERS)
        return false;
    uint32_t page = account->blocks[order];
    list_take(account, page);
    account->blocks_free -= 1ull << order;
    account->contiguous.limit -= 1ull << order;
    account->parent->contiguous.children -= 1ull << order;
    free_add(account->parent, page, order);
    return true;
}

bool blocks_move_up(struct account *account)
{
    bool any = false;
    lock_acquire(&blocks_lock);
    for (unsigned i = 0; i < MOVE_STEP_BLOCKS; i++) {
        struct list_node *node = list_pop_front(&account->outlived);
        if (node)
            hold_above(CONTAINER_OF(node, struct block, node));
        else if (!free_one_up(account))
            break;
        any = true;
    }
    room_check(account);
    room_check(account->parent);
    lock_release(&blocks_lock);
    return any;
}

// Of a dying account it changes with its own steps, and with the ends of what it pays for, which come first.
bool blocks_gone(const struct account *account) NO_THREAD_SAFETY
{
    return account->contiguous.limit == 0;
}
