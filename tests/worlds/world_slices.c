// SPDX-License-Identifier: MIT
//
// Slices of a VMO of two pages: made, of the whole and of each other, mapped in two address spaces of
// two accounts, closed and destroyed in any order; what the second actor was given is less than what
// the first one has.
#include "worlds.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;
enum { VMO = FIRST, SLICE, OTHER };

static struct action slices(uint8_t actor, uint8_t vmo, uint64_t first, uint64_t pages,
                            uint64_t rights)
{
    return (struct action){
        .actor = actor,
        .number = SYSCALL_VMO_SLICE,
        .argument = {R(ACCOUNT), R(vmo), V(first * PAGE), V(pages * PAGE), V(rights)},
        .new_handles = 1};
}

static void setup(void)
{
    register_count = OTHER + 1;
    uint8_t one = make_actor(2, 5 + whole), two = make_actor(2, 4 + whole);
    prepare((struct action){.actor = one,
                            .number = SYSCALL_VMO_CREATE,
                            .argument = {R(ACCOUNT), V(2 * PAGE), V(0)},
                            .new_handles = 1});
    // The second one has a page of it.
    prepare(slices(one, VMO, 1, 1, RIGHTS_VMO & ~(uint64_t)(RIGHT_MANAGE | RIGHT_EXECUTE)));
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = one, .argument = {V(SLICE), V(two), V(VMO)}});
    prepare(CALLS(0, HANDLE_CLOSE, R(SLICE)));
}

static void maps(uint8_t actor, uint8_t vmo, uint64_t page, uint64_t offset, uint64_t pages,
                 uint64_t protection)
{
    offer(CALLS(actor, VM_MAP, R(ASPACE), R(vmo), V(offset * PAGE), V(BASE + page * PAGE),
                V(pages * PAGE), V(protection)));
}

static void of_first(void)
{
    offer(slices(0, VMO, 0, 2, RIGHTS_VMO));
    offer(slices(0, SLICE, 1, 1, RIGHTS_VMO));
    maps(0, VMO, 1, 0, 1, PROT_READ | PROT_WRITE);
    maps(0, OTHER, 1, 0, 1, PROT_READ | PROT_WRITE);
    if (whole)
        maps(0, SLICE, 2, 0, 2, PROT_READ);
    offer(CALLS(0, VM_UNMAP, R(ASPACE), V(BASE + PAGE)));
    for (uint8_t vmo = VMO; vmo <= OTHER; vmo++) {
        offer(CALLS(0, HANDLE_CLOSE, R(vmo)));
        offer(CALLS(0, OBJECT_DESTROY, R(vmo)));
        offer(CALLS(0, OBJECT_INSPECT, R(vmo)));
        // Never good, of none of them.
        offer(slices(0, vmo, 0, 3, RIGHT_READ));
        offer(slices(0, vmo, 2, 1, RIGHT_READ));
        offer(slices(0, vmo, 0, 0, RIGHT_READ));
        offer(slices(0, vmo, UINT64_MAX / PAGE, 1, RIGHT_READ));
        offer(slices(0, vmo, 0, 1, RIGHTS_VMO | RIGHT_SEND));
    }
    offer(slices(0, ACCOUNT, 0, 1, RIGHT_READ));
}

static void of_second(void)
{
    offer(slices(1, VMO, 0, 1, RIGHT_READ | RIGHT_MAP));
    offer(slices(1, VMO, 0, 1, RIGHTS_VMO));
    offer(slices(1, VMO, 0, 2, RIGHT_READ));
    offer(slices(1, SLICE, 0, 1, RIGHT_READ));
    maps(1, VMO, 1, 0, 1, PROT_READ | PROT_WRITE);
    maps(1, SLICE, 1, 0, 1, PROT_READ);
    maps(1, SLICE, 1, 0, 1, PROT_READ | PROT_WRITE);
    maps(1, SLICE, 1, 1, 1, PROT_READ);
    offer(CALLS(1, VM_UNMAP, R(ASPACE), V(BASE + PAGE)));
    offer(CALLS(1, HANDLE_CLOSE, R(VMO)));
    offer(CALLS(1, HANDLE_CLOSE, R(SLICE)));
    offer(CALLS(1, OBJECT_DESTROY, R(VMO)));
    offer(CALLS(1, OBJECT_DESTROY, R(SLICE)));
    for (uint64_t kind = 0; kind < 2; kind++)
        offer((struct action){
            .kind = ACTION_ACCESS, .actor = 1, .argument = {V(BASE + PAGE + 8), V(kind)}});
}

static void actions(void)
{
    of_first();
    of_second();
}

WORLD(slices, .about = "slices of a VMO, of each other, in two hands",
      .bugs = {"O1 slice", "M2 slice", "O2 slice", "M8"}, .setup = setup, .actions = actions);
