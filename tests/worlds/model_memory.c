// SPDX-License-Identifier: MIT
//
// The model's memory: VMOs, mappings, who pays for them, and what user code can touch.
#include <stdlib.h>
#include <string.h>

#include "model.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, MAX_BYTES = 1ull << 30;
constexpr uint64_t USER_PROTECTION = PROT_READ | PROT_WRITE | PROT_EXECUTE;

// ---- VMOs

static uint8_t call_vmo_create(const struct action *action, struct m_outcome *out)
{
    uint8_t account;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status != STATUS_OK)
        return status;
    uint64_t bytes = value_argument(action, 1), flags = value_argument(action, 2);
    if (bytes == 0 || bytes > MAX_BYTES || flags & ~(uint64_t)VMO_CONTIGUOUS)
        return STATUS_INVALID;
    uint64_t pages = (bytes + PAGE - 1) / PAGE, block = 0;
    if (flags & VMO_CONTIGUOUS) {
        if (pages > ABI_CONTIGUOUS_MAX_PAGES)
            return STATUS_INVALID;
        for (block = 1; block < pages; block *= 2) {}
    }
    status = charge(account, block ? 0 : pages, 1);
    if (status != STATUS_OK)
        return status;
    // Not all that an account has need lie side by side: no world has more than a page of it, or asks for
    // more than one.
    struct m_object *payer = object_of(account);
    if (block > payer->contiguous.limit - payer->contiguous.used - payer->contiguous.children) {
        uncharge(account, 0, 1);
        return STATUS_NO_PAGES;
    }
    payer->contiguous.used += block;
    uint8_t vmo = object_make(OBJECT_VMO, account);
    object_of(vmo)->block = block;
    object_of(vmo)->holder = account;
    object_of(vmo)->size = pages;
    object_of(vmo)->state = 1;
    give_handle(out, 0, action->actor, vmo, RIGHTS_VMO);
    return STATUS_OK;
}

static uint8_t call_vmo_slice(const struct action *action, struct m_outcome *out)
{
    uint8_t account, source;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_VMO, RIGHT_DUPLICATE, &source);
    if (status != STATUS_OK)
        return status;
    uint64_t offset = value_argument(action, 2), bytes = value_argument(action, 3);
    uint64_t rights = value_argument(action, 4), size = object_of(source)->size * PAGE;
    if (offset % PAGE || bytes % PAGE || bytes == 0 || offset > size || bytes > size - offset ||
        rights & ~(uint64_t)handle_in(action, 1)->rights)
        return STATUS_INVALID;
    status = charge(account, 0, 1);
    if (status != STATUS_OK)
        return status;
    uint8_t slice = object_make(OBJECT_VMO, account);
    bool nested = object_of(source)->source != NOTHING;
    object_of(slice)->source = source;
    object_of(slice)->whole = nested ? object_of(source)->whole : source;
    object_of(slice)->first = object_of(source)->first + offset / PAGE;
    object_of(slice)->size = bytes / PAGE;
    object_of(source)->handles++;
    give_handle(out, 0, action->actor, slice, (uint32_t)rights);
    return STATUS_OK;
}

// Its life has ended. What is mapped or pinned stays until that ends; its own account
// pays on, unless that ends too: then those who pay for their mappings keep it.
void vmo_maybe_free(uint8_t vmo)
{
    struct m_object *object = object_of(vmo);
    bool account_ends = object->payer != NOTHING && object_of(object->payer)->state != 0;
    bool used = object->mapped > 0 || object->pinned > 0;
    if (used && account_ends) {
        uncharge(object->payer, object->block ? 0 : object->size, 1);
        if (object->block)
            hold_above(vmo);
        object->payer = NOTHING;
        object->orphan = true;
    }
    if (used)
        return;
    if (!object->orphan)
        uncharge(object->payer, object->block ? 0 : object->size, 0);
    if (object->block && object->holder != NOTHING)
        object_of(object->holder)->contiguous.used -= object->block;
    object_free(vmo);
}

static void mapping_remove(uint8_t aspace, unsigned at)
{
    struct m_object *space = object_of(aspace);
    struct m_mapping mapping = space->mappings[at];
    space->mapping_count--;
    memmove(&space->mappings[at], &space->mappings[at + 1],
            (space->mapping_count - at) * sizeof mapping);
    uncharge(space->payer, mapping.foreign ? mapping.pages : 0, mapping.foreign ? 2 : 1);
    object_of(mapping.vmo)->mapped--;
    if (mapping.slice != NOTHING)
        object_of(mapping.slice)->mapped--;
    if (object_of(mapping.vmo)->life == M_DYING)
        vmo_maybe_free(mapping.vmo);
}

// What was cut out of it ends first; with it, or not, what is mapped.
static void slices_end(uint8_t vmo, bool revoked)
{
    for (uint8_t i = 0; i < M_OBJECTS; i++)
        if (object_of(i)->life == M_LIVE && object_of(i)->type == OBJECT_VMO &&
            object_of(i)->source == vmo) {
            begin_end(i);
            vmo_end(i, revoked);
        }
}

// What is mapped through a slice stays, and is its source's matter; or goes.
static void slice_end(uint8_t slice, bool revoked)
{
    uint8_t source = object_of(slice)->source;
    uint8_t heir = object_of(source)->source == NOTHING ? NOTHING : source;
    for (uint8_t i = 0; i < M_OBJECTS; i++)
        for (unsigned n = object_of(i)->mapping_count; n-- > 0;) {
            struct m_mapping *mapping = &object_of(i)->mappings[n];
            if (mapping->slice != slice)
                continue;
            if (revoked) {
                mapping_remove(i, n);
                continue;
            }
            mapping->slice = heir;
            if (heir != NOTHING)
                object_of(heir)->mapped++;
        }
    object_free(slice);
    if (object_of(source)->life == M_LIVE)
        handle_dropped(source);
}

static void all_unmap(uint8_t vmo)
{
    for (uint8_t i = 0; i < M_OBJECTS; i++)
        for (unsigned n = object_of(i)->mapping_count; n-- > 0;)
            if (object_of(i)->mappings[n].vmo == vmo)
                mapping_remove(i, n);
}

void vmo_end(uint8_t vmo, bool revoked)
{
    bool slice = object_of(vmo)->source != NOTHING;
    if (slice) {
        slices_end(vmo, revoked);
        slice_end(vmo, revoked);
        return;
    }
    object_of(vmo)->life = M_ENDING; // it is not free before that is done
    slices_end(vmo, revoked);
    if (revoked)
        all_unmap(vmo);
    object_of(vmo)->life = M_DYING;
    vmo_maybe_free(vmo);
}

void aspace_end(uint8_t aspace)
{
    while (object_of(aspace)->mapping_count > 0)
        mapping_remove(aspace, 0);
}

// ---- mappings

static uint8_t protection_allowed(uint64_t protection, uint32_t rights)
{
    if (!(protection & PROT_READ) || protection & ~USER_PROTECTION)
        return STATUS_INVALID;
    if (protection & PROT_WRITE && protection & PROT_EXECUTE)
        return STATUS_INVALID;
    uint32_t needed = RIGHT_READ;
    if (protection & PROT_WRITE)
        needed |= RIGHT_WRITE;
    if (protection & PROT_EXECUTE)
        needed |= RIGHT_EXECUTE;
    return (rights & needed) == needed ? STATUS_OK : STATUS_NO_RIGHT;
}

static bool overlaps(const struct m_object *space, uint64_t page, uint64_t pages)
{
    for (unsigned i = 0; i < space->mapping_count; i++) {
        const struct m_mapping *mapping = &space->mappings[i];
        if (page < mapping->page + mapping->pages && mapping->page < page + pages)
            return true;
    }
    return space->buffer != 0 && page <= space->buffer && space->buffer < page + pages;
}

bool buffer_fits(uint8_t aspace, uint64_t page)
{
    return !overlaps(object_of(aspace), page, 1);
}

// One of each level below the root.
uint64_t tables_missing(uint8_t aspace)
{
    return object_of(aspace)->tables == 0 ? 3 : 0;
}

static void mapping_insert(struct m_object *space, struct m_mapping mapping)
{
    unsigned at = space->mapping_count;
    if (space->mapping_count++ == M_MAPPINGS)
        abort();
    for (; at > 0 && space->mappings[at - 1].page > mapping.page; at--)
        space->mappings[at] = space->mappings[at - 1];
    space->mappings[at] = mapping;
}

static uint8_t call_map(const struct action *action)
{
    uint8_t aspace, vmo;
    uint8_t status = handle_argument(action, 0, OBJECT_ASPACE, RIGHT_MAP, &aspace);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_VMO, RIGHT_MAP, &vmo);
    if (status != STATUS_OK)
        return status;
    uint64_t offset = value_argument(action, 2), address = value_argument(action, 3);
    uint64_t bytes = value_argument(action, 4), protection = value_argument(action, 5);
    if (offset % PAGE || bytes % PAGE || address % PAGE || bytes == 0 || address < ABI_USER_MIN ||
        address >= ABI_USER_MAX || bytes > ABI_USER_MAX - address || bytes > MAX_BYTES)
        return STATUS_INVALID;
    status = protection_allowed(protection, handle_in(action, 1)->rights);
    if (status != STATUS_OK)
        return status;
    struct m_object *space = object_of(aspace);
    uint8_t slice = object_of(vmo)->source == NOTHING ? NOTHING : vmo;
    struct m_mapping mapping = {.vmo = vmo,
                                .slice = slice,
                                .page = address / PAGE,
                                .pages = bytes / PAGE,
                                .offset = offset / PAGE,
                                .protection = protection,
                                .rights = handle_in(action, 1)->rights};
    if (mapping.offset > object_of(vmo)->size ||
        mapping.pages > object_of(vmo)->size - mapping.offset)
        return STATUS_INVALID;
    if (slice != NOTHING) {
        mapping.vmo = vmo = object_of(slice)->whole;
        mapping.offset += object_of(slice)->first;
    }
    mapping.foreign = object_of(vmo)->payer != space->payer;
    if (overlaps(space, mapping.page, mapping.pages))
        return STATUS_OVERLAP;
    uint64_t tables = tables_missing(aspace);
    status = charge(space->payer, tables + (mapping.foreign ? mapping.pages : 0),
                    mapping.foreign ? 2 : 1);
    if (status != STATUS_OK)
        return status;
    space->tables += tables;
    mapping_insert(space, mapping);
    object_of(vmo)->mapped++;
    if (slice != NOTHING)
        object_of(slice)->mapped++;
    return STATUS_OK;
}

// The index of the mapping that begins at an address; `mapping_count`: none.
static unsigned mapping_at(const struct m_object *space, uint64_t address)
{
    unsigned at = 0;
    while (at < space->mapping_count && space->mappings[at].page * PAGE != address)
        at++;
    return at;
}

static uint8_t call_unmap(const struct action *action)
{
    uint8_t aspace;
    uint8_t status = handle_argument(action, 0, OBJECT_ASPACE, RIGHT_MAP, &aspace);
    if (status != STATUS_OK)
        return status;
    unsigned at = mapping_at(object_of(aspace), value_argument(action, 1));
    if (at == object_of(aspace)->mapping_count)
        return STATUS_NOT_FOUND;
    mapping_remove(aspace, at);
    return STATUS_OK;
}

static uint8_t call_protect(const struct action *action)
{
    uint8_t aspace;
    uint8_t status = handle_argument(action, 0, OBJECT_ASPACE, RIGHT_MAP, &aspace);
    if (status != STATUS_OK)
        return status;
    uint64_t protection = value_argument(action, 2);
    if (protection_allowed(protection, PROTECTION_RIGHTS) != STATUS_OK)
        return STATUS_INVALID;
    struct m_object *space = object_of(aspace);
    unsigned at = mapping_at(space, value_argument(action, 1));
    if (at == space->mapping_count)
        return STATUS_NOT_FOUND;
    struct m_mapping *mapping = &space->mappings[at];
    status = protection_allowed(protection, mapping->rights);
    if (status == STATUS_OK)
        mapping->protection = protection;
    return status;
}

uint8_t call_memory(const struct action *action, struct m_outcome *out)
{
    switch (action->number) {
    case SYSCALL_VMO_CREATE:
        return call_vmo_create(action, out);
    case SYSCALL_VMO_SLICE:
        return call_vmo_slice(action, out);
    case SYSCALL_VM_MAP:
        return call_map(action);
    case SYSCALL_VM_PROTECT:
        return call_protect(action);
    default:
        return call_unmap(action);
    }
}

bool model_access(uint8_t actor, uint64_t address, uint64_t kind)
{
    static const uint64_t needed[] = {PROT_READ, PROT_WRITE, PROT_EXECUTE};
    const struct m_object *space = object_of(model.actors[actor].aspace);
    for (unsigned i = 0; i < space->mapping_count; i++) {
        const struct m_mapping *mapping = &space->mappings[i];
        if (address / PAGE - mapping->page < mapping->pages)
            return mapping->protection & needed[kind];
    }
    return address / PAGE == ABI_INIT_MESSAGE_BUFFER / PAGE && kind != 2;
}
