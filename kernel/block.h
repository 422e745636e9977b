// SPDX-License-Identifier: MIT
//
// Contiguous memory: blocks of 2^order adjacent pages, aligned at their size, in a pool that is set
// aside at boot. A block, free or in use, is held by one account: a reservation of contiguous pages
// is blocks, so that nobody else can break up what an account has. Free blocks are binary buddies,
// and one merges only with a buddy of the same account.
//
// A4: an account's free blocks are all that is left under its limit. What is used of it outlives the
// account where others map or pin it; they have paid ordinary pages, and the block is held, as used,
// by the nearest account above that lives. So the pool is always the sum of what accounts hold.
//
// The entries of free blocks stand in the frame table. One lock guards all blocks, and the accounts'
// figures of them; nothing under it takes longer than the logarithm of the pool.
#pragma once

#include <kernel/boot.h>
#include <lib/list.h>
#include <lib/types.h>

#include "lock.h"

struct account;

constexpr unsigned BLOCK_ORDERS = 16; // 4 KiB to 128 MiB
static_assert(ABI_CONTIGUOUS_MAX_PAGES == 1u << (BLOCK_ORDERS - 1));

extern struct spinlock blocks_lock;

// A block in use, embedded in what uses it.
struct block {
    uint32_t page; // number of its first frame; 0: none
    uint8_t order;
    bool outlives; // on its account's list of those whose own account has ended
    struct account *account GUARDED_BY(&blocks_lock); // that holds it
    struct list_node node GUARDED_BY(&blocks_lock);
};

// Sets the pool aside: what the command line says (contiguous=BYTES, with K, M or G), or a part of
// RAM; less where there is no such piece. Returns its pages.
uint64_t blocks_init(const struct boot_info *boot, uint64_t ram);

// Gives the pool to the root account, at boot.
void blocks_give_all(struct account *root);

// The order of the smallest block that holds so many pages, at most ABI_CONTIGUOUS_MAX_PAGES.
unsigned block_order(uint64_t pages);

// Takes a block out of the account's free ones and charges it. Something else that is charged to the
// account keeps it. Errors: NO_PAGES, NO_RESOURCE (enough pages, but not side by side).
[[nodiscard]] status_t block_take(struct account *account, unsigned order, struct block *out);

// Back to the account that holds it. Its frames are retired. An account that waits for its end hears of
// what else was charged with the block.
void block_give(struct block *block);

// Its account ends before whoever uses it.
void block_outlives(struct block *block);

// Moves reservation from an account to its child, or back: free blocks, by the binary digits of
// `pages`. All or nothing. Errors as block_take, of the side that gives.
[[nodiscard]] status_t blocks_lend(struct account *parent, struct account *child, uint64_t pages);
[[nodiscard]] status_t blocks_return(struct account *parent, struct account *child, uint64_t pages);

// Moves a bounded part of what a dying account holds to its parent. false: there is nothing to move.
bool blocks_move_up(struct account *account);

// Whether an account that is dying, and pays for nothing else any more, holds none, free or in use.
bool blocks_gone(const struct account *account);
