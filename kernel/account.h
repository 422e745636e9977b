// SPDX-License-Identifier: MIT
//
// Accounts: hierarchical reservations of pages and objects. A child's limit is carved out of its
// parent's when it is made, so within its limit an allocation cannot fail for somebody else's
// sake. A1: used + children <= limit. A2: used is the sum of what is charged. A3: after teardown
// the parent has it all back, except pins in quarantine and contiguous memory that others still use,
// which move up to it.
//
//   LIVE -> DYING -> DEAD    (DEAD: TERMINATED is raised; the slot goes with the last handle)
#pragma once

#include "block.h"
#include "budget.h"
#include "object.h"

enum account_state : uint8_t { ACCOUNT_LIVE, ACCOUNT_DYING, ACCOUNT_DEAD, ACCOUNT_STATES };

struct account_figure {
    uint64_t limit;
    uint64_t used;
    uint64_t children; // the sum of the children's limits
    uint64_t high;     // the most that was ever used
};

struct account {
    struct object object;
    struct account *parent;
    char name[16];
    uint8_t priority; // of its teardown; written once, when it begins
    uint8_t depth;    // below the root account
    struct spinlock ledger;
    bool closed GUARDED_BY(&ledger); // no new charge: teardown has begun
    uint8_t
        budget_pages; // of those that it pays for; changes with the account locked, before it is closed
    struct account_figure pages GUARDED_BY(&ledger);
    struct account_figure objects GUARDED_BY(&ledger);
    uint32_t quarantined_pages GUARDED_BY(&ledger);
    uint32_t blocks_free GUARDED_BY(&blocks_lock); // pages of contiguous memory
    // Contiguous memory (block.h): pages, the first free block of each order (a page number; 0: none),
    // and blocks in use of accounts below that have ended.
    struct account_figure contiguous GUARDED_BY(&blocks_lock);
    uint32_t blocks[BLOCK_ORDERS] GUARDED_BY(&blocks_lock);
    struct list outlived GUARDED_BY(&blocks_lock);
    struct list live GUARDED_BY(&ledger);         // objects that it pays for
    struct list dying GUARDED_BY(&ledger);        // the same, teardown begun
    struct list quarantined GUARDED_BY(&ledger);  // pins, of its own or of dead children
    _Atomic(uint8_t *) budgets[BUDGET_PAGES_MAX]; // of its CPUs, BUDGETS_PER_PAGE to a page
};
OBJECT_BODY(account);

// More is used.
void account_figure_add(struct account_figure *figure, uint64_t amount);

// Makes the root account, which owns everything there is.
struct account *account_root_create(uint64_t pages, uint64_t objects);

// The one that never ends; nullptr before it is made.
struct object *account_root(void);

// Begins the teardown. false: it had begun.
bool account_destroy(struct object_ref account, uint8_t priority);

struct handle_lookup;

// Locks an account, which keeps its end from beginning, and its parent with it. Locked only if OK. Errors:
// GONE; INVALID: it is no child of that parent; BAD_STATE: its end has begun.
[[nodiscard]] status_t account_lock_child(const struct handle_lookup *parent,
                                          const struct handle_lookup *child);

// Whether its teardown has begun.
bool account_closed(struct account *account);

// Charges, all or nothing. Errors: BAD_STATE (dying), NO_PAGES, NO_OBJECTS. What is charged keeps
// the account from going away. The first charge of an operation is made by reference, since
// nothing else keeps an account that a handle names (GONE); later ones need no such care.
[[nodiscard]] status_t account_charge(struct account *account, uint64_t pages, uint64_t objects);
[[nodiscard]] status_t account_charge_ref(struct object_ref account, uint64_t pages,
                                          uint64_t objects);
void account_uncharge(struct account *account, uint64_t pages, uint64_t objects);

// Files an object with the account that pays for it, or takes it off.
void account_adopt(struct object *object);
void account_forget(struct object *object);
void account_object_dying(struct object *object);

// A dying pin goes into quarantine: it stays charged, here or further up, until its device is
// quiet. All under the quarantine's lock, which keeps pin->object.account as it is.
struct pin;
void account_quarantine(struct pin *pin);
void account_quarantine_ended(struct pin *pin);             // it ends like any other object now
bool account_quarantine_to_parent(struct account *account); // one of them; false: none

enum step account_teardown(struct object *object);
void account_inspect(struct object *object, struct abi_inspect *out);
