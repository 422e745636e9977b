// SPDX-License-Identifier: MIT
//
// The ledger of each account, and the teardown of all that one pays for. See account.h.
#include "account.h"

#include <lib/string.h>

#include "dma.h"
#include "handlers.h"
#include "process.h"
#include "syscall.h"

static void figure_check(const struct account_figure *figure)
{
    (void)figure;
    CHECK(A1, figure->used + figure->children <= figure->limit);
}

static bool figure_has_room(const struct account_figure *figure, uint64_t amount)
{
    if (amount > 0 && RUNS_OUT("account"))
        return false;
    return amount <= figure->limit - figure->used - figure->children || SEEDED_BUG("A1");
}

void account_figure_add(struct account_figure *figure, uint64_t amount)
{
    figure->used += amount;
    if (figure->used > figure->high)
        figure->high = figure->used;
    figure_check(figure);
}

static struct object *root_object; // written once at boot

struct object *account_root(void)
{
    return root_object;
}

static void account_init(struct account *account) NO_THREAD_SAFETY
{
    lock_init(&account->ledger, RANK_ACCOUNT);
    list_init(&account->live);
    list_init(&account->dying);
    list_init(&account->quarantined);
    list_init(&account->outlived);
}

struct account *account_root_create(uint64_t pages, uint64_t objects) NO_THREAD_SAFETY
{
    root_object = object_new(nullptr, OBJECT_ACCOUNT);
    struct account *root = (struct account *)(void *)root_object;
    account_init(root);
    blocks_give_all(root);
    root->pages.limit = pages;
    root->objects.limit = objects;
    root->objects.used = root->objects.high = 1; // its own slot
    memcpy(root->name, "root", 5);
    return root;
}

bool account_closed(struct account *account) NO_THREAD_SAFETY
{
    if (!SEEDED_BUG("A3 closed"))
        lock_acquire(&account->ledger);
    bool closed = account->closed;
    if (!SEEDED_BUG("A3 closed"))
        lock_release(&account->ledger);
    return closed;
}

status_t account_charge(struct account *account, uint64_t pages, uint64_t objects)
{
    status_t status = STATUS_OK;
    lock_acquire(&account->ledger);
    if (account->closed)
        status = STATUS_BAD_STATE;
    else if (!figure_has_room(&account->pages, pages))
        status = STATUS_NO_PAGES;
    else if (!figure_has_room(&account->objects, objects))
        status = STATUS_NO_OBJECTS;
    if (status == STATUS_OK) {
        account_figure_add(&account->pages, pages);
        account_figure_add(&account->objects, objects);
    }
    lock_release(&account->ledger);
    return status;
}

status_t account_charge_ref(struct object_ref ref, uint64_t pages, uint64_t objects)
    NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return STATUS_GONE;
    status_t status = account_charge((struct account *)(void *)ref.object, pages, objects);
    object_unlock(ref.object);
    return status;
}

// Whether a dying account pays for nothing but its budgets any more. What is on its lists is paid for;
// and another CPU may have paid for something that it is still making, which is on none.
static bool pays_for_nothing(const struct account *account) REQUIRES(account->ledger)
{
    return account->pages.used == account->budget_pages && account->objects.used == 0;
}

void account_uncharge(struct account *account, uint64_t pages, uint64_t objects)
{
    lock_acquire(&account->ledger);
    CHECK(A2, account->pages.used >= pages && account->objects.used >= objects);
    if (!SEEDED_BUG("A2"))
        account->pages.used -= pages;
    account->objects.used -= objects;
    bool last = account->closed && pays_for_nothing(account);
    lock_release(&account->ledger);
    if (last)
        operation_resume(&account->object);
}

void account_adopt(struct object *object)
{
    struct account *account = object->account;
    lock_acquire(&account->ledger);
    list_push_back(&account->live, &object->account_node);
    bool closed = account->closed && !SEEDED_BUG("A3 adopt");
    lock_release(&account->ledger);
    if (closed)
        operation_resume(&account->object); // it was paid for just before
}

void account_object_dying(struct object *object)
{
    struct account *account = object->account;
    lock_acquire(&account->ledger);
    list_remove(&object->account_node);
    list_push_back(&account->dying, &object->account_node);
    lock_release(&account->ledger);
}

void account_forget(struct object *object)
{
    struct account *account = object->account;
    if (!account)
        return;
    lock_acquire(&account->ledger);
    list_remove(&object->account_node);
    CHECK(A2, account->objects.used > 0);
    account->objects.used--;
    object->account = nullptr;
    bool closed = account->closed;
    lock_release(&account->ledger);
    if (closed)
        operation_resume(&account->object);
}

// What contiguous memory came back since the last step is to move up first.
static bool nothing_left(const struct account *account) REQUIRES(account->ledger)
{
    return pays_for_nothing(account) && (blocks_gone(account) || SEEDED_BUG("A4 gone"));
}

void account_quarantine(struct pin *pin)
{
    struct account *account = pin->object.account;
    lock_acquire(&account->ledger);
    list_remove(&pin->object.account_node);
    list_push_back(&account->quarantined, &pin->object.account_node);
    account->quarantined_pages += pin->charged_pages;
    bool closed = account->closed;
    lock_release(&account->ledger);
    if (closed)
        operation_resume(&account->object); // it moves up
}

void account_quarantine_ended(struct pin *pin)
{
    struct account *account = pin->object.account;
    lock_acquire(&account->ledger);
    list_remove(&pin->object.account_node);
    list_push_back(&account->dying, &pin->object.account_node);
    account->quarantined_pages -= pin->charged_pages;
    lock_release(&account->ledger);
}

// With what it costs. The parent's limit already holds it as part of the child's: its total does
// not change.
bool account_quarantine_to_parent(struct account *account) NO_THREAD_SAFETY
{
    struct account *parent = account->parent;
    lock_acquire(&account->ledger);
    struct list_node *node = list_pop_front(&account->quarantined);
    if (!node) {
        lock_release(&account->ledger);
        return false;
    }
    struct pin *pin = CONTAINER_OF(node, struct pin, object.account_node);
    uint64_t pages = pin->charged_pages, objects = pin->charged_objects + 1;
    CHECK(A2, account->pages.used >= pages && account->objects.used >= objects);
    account->pages.used -= pages;
    account->pages.limit -= pages;
    account->objects.used -= objects;
    account->objects.limit -= objects;
    account->quarantined_pages -= pages;
    lock_release(&account->ledger);
    lock_acquire(&parent->ledger);
    parent->pages.children -= pages;
    parent->objects.children -= objects;
    account_figure_add(&parent->pages, pages);
    account_figure_add(&parent->objects, objects);
    parent->quarantined_pages += pages;
    pin->object.account = parent;
    list_push_back(&parent->quarantined, node);
    lock_release(&parent->ledger);
    return true;
}

// ---- teardown

bool account_destroy(struct object_ref ref, uint8_t priority) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return false;
    struct account *account = (struct account *)(void *)ref.object;
    lock_acquire(&account->ledger);
    bool begins = !account->closed;
    if (begins) {
        account->closed = true;
        account->priority = priority;
        list_append(&account->live, &account->dying);
    }
    lock_release(&account->ledger);
    if (begins) {
        object_transition(ref.object, ACCOUNT_DYING);
        operation_start(ref.object, account_teardown, priority);
    }
    object_unlock(ref.object);
    return begins;
}

// Begins the end of one object, or pushes on one that waits: being dead with its account can be
// what it waits for.
static bool kill_one(struct account *account)
{
    lock_acquire(&account->ledger);
    struct list_node *node = list_pop_front(&account->live);
    if (!node) {
        lock_release(&account->ledger);
        return false;
    }
    list_push_back(&account->dying, node);
    struct object *object = CONTAINER_OF(node, struct object, account_node);
    struct object_ref ref = object_reference(object);
    bool is_account = object->type == OBJECT_ACCOUNT;
    lock_release(&account->ledger);
    if (is_account)
        (void)account_destroy(ref, account->priority);
    if (!object_kill(ref, account->priority))
        operation_resume(object);
    return true;
}

static void return_limit(struct account *account) NO_THREAD_SAFETY
{
    struct account *parent = account->parent;
    CHECK(A3, account->pages.used == 0 && account->objects.used == 0 &&
                  account->pages.children == 0 && account->objects.children == 0 &&
                  account->contiguous.children == 0 && account->blocks_free == 0);
    lock_acquire(&parent->ledger);
    parent->pages.children -= account->pages.limit - (SEEDED_BUG("A3") ? 1 : 0);
    parent->objects.children -= account->objects.limit;
    figure_check(&parent->pages);
    lock_release(&parent->ledger);
    lock_acquire(&account->ledger); // somebody may look at it
    account->pages.limit = account->objects.limit = 0;
    lock_release(&account->ledger);
}

enum step account_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct account *account = (struct account *)(void *)object;
    if (object->state == ACCOUNT_DEAD)
        return STEP_DONE; // the last handle was dropped, or the parent dies
    if (kill_one(account) || quarantine_move_up(account) || blocks_move_up(account))
        return STEP_MORE;
    lock_acquire(&account->ledger);
    bool empty = nothing_left(account);
    lock_release(&account->ledger);
    if (!empty)
        return STEP_WAIT;
    enum step step = budgets_teardown(account);
    if (step != STEP_DONE)
        return step;
    return_limit(account);
    lock_acquire(&object->lock);
    object_transition(object, ACCOUNT_DEAD);
    lock_release(&object->lock);
    object_finish(object);
    return STEP_DONE;
}

// ---- system calls

// Takes the child's limits out of the parent's room, all or nothing. Its slot is paid.
static status_t carve(struct account *parent, struct account *child, uint64_t pages,
                      uint64_t objects, uint64_t contiguous) NO_THREAD_SAFETY
{
    status_t status;
    lock_acquire(&parent->ledger);
    if (parent->closed)
        status = STATUS_BAD_STATE;
    else if (!figure_has_room(&parent->pages, pages))
        status = STATUS_NO_PAGES;
    else if (!figure_has_room(&parent->objects, objects))
        status = STATUS_NO_OBJECTS;
    else
        status = blocks_lend(parent, child, contiguous);
    if (status == STATUS_OK) {
        parent->pages.children += child->pages.limit = pages;
        parent->objects.children += child->objects.limit = objects;
        figure_check(&parent->pages);
        figure_check(&parent->objects);
    }
    lock_release(&parent->ledger);
    return status;
}

status_t sys_account_create(struct entry *entry, const struct handle_lookup *parent_handle,
                            uint64_t pages, uint64_t objects, uint64_t contiguous, uint64_t name0,
                            uint64_t name1)
{
    if (pages == 0 || objects == 0)
        return STATUS_INVALID;
    struct object *object;
    status_t status = create_with_handle(entry, parent_handle, OBJECT_ACCOUNT, &object);
    if (status != STATUS_OK)
        return status;
    struct account *account = (struct account *)(void *)object;
    account_init(account);
    account->parent = object->account;
    account->depth = (uint8_t)(account->parent->depth + 1);
    status = account->depth <= ABI_ACCOUNT_DEPTH
                 ? carve(account->parent, account, pages, objects, contiguous)
                 : STATUS_INVALID;
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_discard(object);
        return status;
    }
    memcpy(account->name, &name0, 8);
    memcpy(account->name + 8, &name1, 8);
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_ACCOUNT);
    return STATUS_OK;
}

// ---- between a parent and its child

status_t account_lock_child(const struct handle_lookup *parent_handle,
                            const struct handle_lookup *handle) NO_THREAD_SAFETY
{
    const struct account *child = (const struct account *)(const void *)handle->object;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    const struct account *parent = child->parent;
    status_t status = STATUS_OK;
    if (!parent || parent_handle->object != &parent->object ||
        !object_is(&parent->object, parent_handle->generation))
        status = STATUS_INVALID;
    else if (child->object.state != ACCOUNT_LIVE)
        status = STATUS_BAD_STATE;
    if (status != STATUS_OK)
        object_unlock(handle->object);
    return status;
}

// Reservation moves: what one of them gives up is taken out of its room first, under its own ledger, so
// that nobody can use it on its way.

struct change {
    uint64_t grow, shrink; // one of them is 0
};

static struct change change_of(int64_t amount)
{
    return amount < 0 ? (struct change){.shrink = -(uint64_t)amount}
                      : (struct change){.grow = (uint64_t)amount};
}

static status_t shrink(struct account *child, struct change pages, struct change objects)
{
    status_t status = STATUS_OK;
    lock_acquire(&child->ledger);
    if (!figure_has_room(&child->pages, pages.shrink))
        status = STATUS_NO_PAGES;
    else if (!figure_has_room(&child->objects, objects.shrink))
        status = STATUS_NO_OBJECTS;
    if (status == STATUS_OK) {
        child->pages.limit -= pages.shrink;
        child->objects.limit -= objects.shrink;
    }
    lock_release(&child->ledger);
    return status;
}

// Contiguous memory moves between the two at once.
static status_t settle_with_parent(struct account *parent, struct account *child,
                                   struct change pages, struct change objects,
                                   struct change contiguous)
{
    status_t status;
    lock_acquire(&parent->ledger);
    if (parent->closed)
        status = STATUS_BAD_STATE;
    else if (!figure_has_room(&parent->pages, pages.grow))
        status = STATUS_NO_PAGES;
    else if (!figure_has_room(&parent->objects, objects.grow))
        status = STATUS_NO_OBJECTS;
    else if (contiguous.shrink > 0)
        status = blocks_return(parent, child, contiguous.shrink);
    else
        status = blocks_lend(parent, child, contiguous.grow);
    if (status == STATUS_OK) {
        parent->pages.children += pages.grow - pages.shrink;
        parent->objects.children += objects.grow - objects.shrink;
        figure_check(&parent->pages);
        figure_check(&parent->objects);
    }
    lock_release(&parent->ledger);
    return status;
}

static void enlarge(struct account *child, uint64_t pages, uint64_t objects) NO_THREAD_SAFETY
{
    if (!SEEDED_BUG("A1 enlarge"))
        lock_acquire(&child->ledger);
    child->pages.limit += pages;
    child->objects.limit += objects;
    if (!SEEDED_BUG("A1 enlarge"))
        lock_release(&child->ledger);
}

status_t sys_account_resize(struct entry *entry, const struct handle_lookup *parent_handle,
                            const struct handle_lookup *handle, int64_t by_pages,
                            int64_t by_objects, int64_t by_contiguous) NO_THREAD_SAFETY
{
    (void)entry;
    struct change pages = change_of(by_pages), objects = change_of(by_objects);
    status_t status = account_lock_child(parent_handle, handle);
    if (status != STATUS_OK)
        return status;
    struct account *child = (struct account *)(void *)handle->object, *parent = child->parent;
    status = shrink(child, pages, objects);
    if (status == STATUS_OK) {
        status = settle_with_parent(parent, child, pages, objects, change_of(by_contiguous));
        if (status == STATUS_OK)
            enlarge(child, pages.grow, objects.grow);
        else if (!SEEDED_BUG("A resize"))
            enlarge(child, pages.shrink, objects.shrink); // as it was
    }
    object_unlock(&child->object);
    return status;
}

void account_inspect(struct object *object, struct abi_inspect *out) NO_THREAD_SAFETY
{
    struct account *account = (struct account *)(void *)object;
    memcpy(out->name, account->name, sizeof out->name);
    lock_acquire(&account->ledger);
    out->account.pages_limit = account->pages.limit;
    out->account.pages_used = account->pages.used;
    out->account.pages_children = account->pages.children;
    out->account.pages_high = account->pages.high;
    out->account.objects_limit = account->objects.limit;
    out->account.objects_used = account->objects.used;
    out->account.objects_children = account->objects.children;
    out->account.objects_high = account->objects.high;
    out->account.quarantined_pages = account->quarantined_pages;
    lock_release(&account->ledger);
    lock_acquire(&blocks_lock);
    out->account.contiguous_limit = account->contiguous.limit;
    out->account.contiguous_used = account->contiguous.used;
    out->account.contiguous_children = account->contiguous.children;
    out->account.contiguous_high = account->contiguous.high;
    lock_release(&blocks_lock);
}
