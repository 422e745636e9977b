// SPDX-License-Identifier: MIT
//
// Memory: two address spaces of two accounts, three frames between the first actor's VMOs and none
// for the second but what it maps. Maps, unmaps, protections, rights, the last handle, revoking,
// and what user code can touch, on a TLB that forgets nothing by itself. And what is mapped already
// and given another protection, through handles that allow more and less.
#include <lib/types.h>

#include "worlds.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;
enum { VMO = FIRST, OTHER_VMO };

static void setup(void)
{
    register_count = FIRST + 2;
    uint8_t one = make_actor(3, 6), two = make_actor(2, 4);
    // The second one is given a smaller right to what the first one has.
    prepare((struct action){.actor = one,
                            .number = SYSCALL_VMO_CREATE,
                            .argument = {R(ACCOUNT), V(2 * PAGE), V(0)},
                            .new_handles = 1});
    prepare(
        (struct action){.kind = ACTION_GRANT, .actor = one, .argument = {V(VMO), V(two), V(VMO)}});
}

static void maps(uint8_t actor, uint8_t vmo, uint64_t page, uint64_t offset, uint64_t pages,
                 uint64_t protection)
{
    offer(CALLS(actor, VM_MAP, R(ASPACE), R(vmo), V(offset * PAGE), V(BASE + page * PAGE),
                V(pages * PAGE), V(protection)));
}

static void protects(uint8_t actor, uint64_t page, uint64_t protection)
{
    offer(CALLS(actor, VM_PROTECT, R(ASPACE), V(BASE + page * PAGE), V(protection)));
}

static void of_first(void)
{
    offer((struct action){
        .number = SYSCALL_VMO_CREATE, .argument = {R(ACCOUNT), V(1), V(0)}, .new_handles = 1});
    offer((struct action){.number = SYSCALL_VMO_CREATE,
                          .argument = {R(ACCOUNT), V(2 * PAGE), V(0)},
                          .new_handles = 1});
    for (uint8_t vmo = VMO; vmo <= OTHER_VMO; vmo++) {
        maps(0, vmo, 1, 0, 1, PROT_READ | PROT_WRITE);
        maps(0, vmo, 1, 0, 2, PROT_READ);
        maps(0, vmo, 2, 1, 1, PROT_READ | PROT_EXECUTE);
        offer(CALLS(0, HANDLE_CLOSE, R(vmo)));
        offer(CALLS(0, OBJECT_DESTROY, R(vmo)));
    }
    // Never good, in any state.
    maps(0, VMO, 2, 0, 1, PROT_WRITE | PROT_EXECUTE | PROT_READ);
    maps(0, VMO, 2, 0, 1, PROT_WRITE);
    maps(0, VMO, 2, 0, 1, 8 | PROT_READ);
    maps(0, VMO, 2, 2, 1, PROT_READ);
    maps(0, VMO, 2, 0, 0, PROT_READ);
    maps(0, VMO, 0, 0, 1, PROT_READ);
    offer(CALLS(0, VM_MAP, R(ASPACE), R(VMO), V(0), V(BASE + PAGE + 8), V(PAGE), V(PROT_READ)));
    offer(CALLS(0, VM_MAP, R(ASPACE), R(VMO), V(0), V(0), V(PAGE), V(PROT_READ)));
    offer(CALLS(0, VM_MAP, R(ACCOUNT), R(VMO), V(0), V(BASE + PAGE), V(PAGE), V(PROT_READ)));
    offer(CALLS(0, VM_MAP, R(ASPACE), R(ASPACE), V(0), V(BASE + PAGE), V(PAGE), V(PROT_READ)));
    offer((struct action){
        .number = SYSCALL_VMO_CREATE, .argument = {R(ACCOUNT), V(0), V(0)}, .new_handles = 1});
    offer((struct action){.number = SYSCALL_VMO_CREATE,
                          .argument = {R(ACCOUNT), V(PAGE), V(VMO_CONTIGUOUS)},
                          .new_handles = 1});
    for (uint64_t page = 0; page < 4; page++)
        offer(CALLS(0, VM_UNMAP, R(ASPACE), V(BASE + page * PAGE)));
    if (whole) {
        protects(0, 1, PROT_READ | PROT_WRITE);
        protects(0, 2, PROT_READ);
    }
}

static void of_second(void)
{
    maps(1, VMO, 1, 0, 1, PROT_READ);
    maps(1, VMO, 1, 0, 2, PROT_READ | PROT_WRITE);
    if (whole)
        maps(1, VMO, 2, 1, 1, PROT_READ | PROT_EXECUTE);
    offer(CALLS(1, HANDLE_CLOSE, R(VMO)));
    offer(CALLS(1, OBJECT_DESTROY, R(VMO)));
    offer((struct action){.actor = 1,
                          .number = SYSCALL_HANDLE_DUPLICATE,
                          .argument = {R(VMO), V(RIGHT_READ | RIGHT_MAP)},
                          .new_handles = 1});
    maps(1, OTHER_VMO, 1, 0, 1, PROT_READ | PROT_WRITE);
    offer(CALLS(1, HANDLE_CLOSE, R(OTHER_VMO)));
    for (uint64_t page = 1; page < 3; page++)
        offer(CALLS(1, VM_UNMAP, R(ASPACE), V(BASE + page * PAGE)));
}

static void accesses(void)
{
    for (uint8_t actor = 0; actor < 2; actor++)
        for (uint64_t page = 1; page < 3; page++)
            for (uint64_t kind = 0; kind < 3; kind++)
                offer((struct action){.kind = ACTION_ACCESS,
                                      .actor = actor,
                                      .argument = {V(BASE + page * PAGE + 8), V(kind)}});
}

static void actions(void)
{
    of_first();
    of_second();
    accesses();
}

WORLD(memory, .about = "VMOs, mappings, two address spaces, three frames",
      .bugs = {"M2 overlap", "M5", "M6 flush", "M8"}, .setup = setup, .actions = actions);

// ---- protections that change

enum { FULL = FIRST, DATA, CODE };

static void setup_protections(void)
{
    register_count = FIRST + 3;
    uint8_t one = make_actor(3, 6), two = make_actor(2, 4);
    prepare((struct action){.actor = one,
                            .number = SYSCALL_VMO_CREATE,
                            .argument = {R(ACCOUNT), V(2 * PAGE), V(0)},
                            .new_handles = 1});
    static const uint32_t rights[] = {RIGHT_WRITE, RIGHT_EXECUTE};
    for (unsigned i = 0; i < 2; i++)
        prepare((struct action){.actor = one,
                                .number = SYSCALL_HANDLE_DUPLICATE,
                                .argument = {R(FULL), V(RIGHT_MAP | RIGHT_READ | rights[i])},
                                .new_handles = 1});
    prepare((struct action){
        .kind = ACTION_GRANT, .actor = one, .argument = {V(CODE), V(two), V(CODE)}});
}

static void actions_protections(void)
{
    static const uint64_t good[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXECUTE};
    static const uint64_t bad[] = {PROT_READ | PROT_WRITE | PROT_EXECUTE, PROT_WRITE, PROT_EXECUTE,
                                   8 | PROT_READ, 0};
    for (uint8_t vmo = FULL; vmo <= CODE; vmo++) {
        maps(0, vmo, 1, 0, 1, PROT_READ);
        maps(0, vmo, 2, 1, 1, PROT_READ);
    }
    maps(0, FULL, 1, 0, 2, PROT_READ | PROT_WRITE);
    maps(1, CODE, 1, 0, 1, PROT_READ);
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        protects(0, 1, good[i]);
        protects(0, 2, good[i]);
        protects(1, 1, good[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        protects(0, 1, bad[i]);
    protects(0, 0, PROT_READ); // the message buffer
    offer(CALLS(0, VM_PROTECT, R(ASPACE), V(BASE + PAGE + 8), V(PROT_READ)));
    offer(CALLS(0, VM_PROTECT, R(FULL), V(BASE + PAGE), V(PROT_READ)));
    for (uint64_t page = 1; page < 3; page++)
        offer(CALLS(0, VM_UNMAP, R(ASPACE), V(BASE + page * PAGE)));
    offer(CALLS(1, VM_UNMAP, R(ASPACE), V(BASE + PAGE)));
    offer(CALLS(0, HANDLE_CLOSE, R(FULL)));
    offer(CALLS(0, OBJECT_DESTROY, R(FULL)));
    if (whole) {
        offer(CALLS(0, HANDLE_CLOSE, R(DATA)));
        offer(CALLS(0, HANDLE_CLOSE, R(CODE)));
        offer(CALLS(1, HANDLE_CLOSE, R(CODE)));
    }
    accesses();
}

WORLD(protections, .about = "mappings that are given other protections, and handles that forbid it",
      .bugs = {"M5", "M6 flush", "M6 protect"}, .setup = setup_protections,
      .actions = actions_protections);
