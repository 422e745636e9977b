// SPDX-License-Identifier: MIT
//
// Pins: memory that a device can reach, released by its driver's word, or in quarantine until the
// device is quiet, whatever becomes of the VMO meanwhile.
#include "worlds.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;
enum { MACHINE = FIRST, SPACE, VMO, PIN };

static void setup(void)
{
    register_count = PIN + 1 + whole;
    (void)make_actor(5, whole ? 8 : 7);
    (void)give_machine(0);
    prepare((struct action){.number = SYSCALL_MACHINE_DMA_SPACE,
                            .argument = {R(MACHINE), R(ACCOUNT), V(DEVICE)},
                            .new_handles = 1});
}

static void pins(uint8_t vmo, uint64_t offset, uint64_t bytes, uint64_t direction)
{
    offer((struct action){
        .number = SYSCALL_PIN_CREATE,
        .argument = {R(SPACE), R(ACCOUNT), R(vmo), V(offset), V(bytes), V(direction)},
        .new_handles = 1});
}

static void actions(void)
{
    offer((struct action){.number = SYSCALL_VMO_CREATE,
                          .argument = {R(ACCOUNT), V(2 * PAGE), V(0)},
                          .new_handles = 1});
    offer((struct action){.number = SYSCALL_HANDLE_DUPLICATE,
                          .argument = {R(VMO), V(RIGHT_PIN | RIGHT_READ)},
                          .new_handles = 1});
    pins(VMO, 0, PAGE, DMA_BOTH);
    pins(VMO, PAGE, PAGE, DMA_TO_DEVICE);
    pins(VMO, PAGE, 2 * PAGE, DMA_BOTH);
    pins(VMO, 0, PAGE, 0);
    pins(VMO, 8, PAGE, DMA_BOTH);
    pins(SPACE, 0, PAGE, DMA_BOTH);
    for (uint8_t r = VMO; r < register_count; r++) {
        offer(CALLS(0, PIN_RELEASE, R(r)));
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
    }
    offer(CALLS(0, PIN_ADDRESSES, R(PIN), V(0)));
    offer(CALLS(0, PIN_ADDRESSES, R(PIN), V(1)));
    offer(CALLS(0, PIN_SYNC, R(PIN), V(PAGE - 16), V(16), V(SYNC_CPU)));
    offer(CALLS(0, PIN_SYNC, R(PIN), V(PAGE - 16), V(17), V(SYNC_CPU)));
    offer(CALLS(0, PIN_SYNC, R(PIN), V(0), V(16), V(3)));
    offer(CALLS(0, MACHINE_DEVICE_QUIET, R(MACHINE), V(DEVICE)));
    offer(CALLS(0, MACHINE_DEVICE_QUIET, R(MACHINE), V(DEVICE + 1)));
    offer(CALLS(0, VM_MAP, R(ASPACE), R(VMO), V(0), V(BASE + PAGE), V(PAGE), V(PROT_READ)));
    offer(CALLS(0, VM_UNMAP, R(ASPACE), V(BASE + PAGE)));
    offer(CALLS(0, HANDLE_CLOSE, R(SPACE)));
}

WORLD(pins, .about = "memory that a device can reach, and its quarantine", .bugs = {"M4", "M7"},
      .setup = setup, .actions = actions);
