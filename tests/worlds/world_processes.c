// SPDX-License-Identifier: MIT
//
// Processes that an actor makes: their address spaces, mapped from outside, their threads, which
// never run, their exception channel, and what each of them leaves when it ends.
#include "worlds.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;
enum { VMO = FIRST, FREE };

static void setup(void)
{
    register_count = FREE + 3;
    (void)make_actor(whole ? 10 : 8, 7);
    prepare((struct action){
        .number = SYSCALL_VMO_CREATE, .argument = {R(ACCOUNT), V(PAGE), V(0)}, .new_handles = 1});
}

static void creates(struct operand exceptions)
{
    offer((struct action){.number = SYSCALL_PROCESS_CREATE,
                          .argument = {R(ACCOUNT), exceptions, V('p'), V(0)},
                          .new_handles = 2});
}

static void starts(uint8_t process, uint64_t priority, uint64_t address)
{
    offer((struct action){.number = SYSCALL_THREAD_CREATE,
                          .argument = {R(process), V(priority), V(address)},
                          .new_handles = 1});
}

static void actions(void)
{
    creates(V(0));
    creates(R(FREE + 1));
    offer((struct action){
        .number = SYSCALL_CHANNEL_CREATE,
        .argument = {R(ACCOUNT), R(ACCOUNT), V(ABI_CHANNEL_SHAPE(1, 0, 0, 0)), V(OVERFLOW_REJECT)},
        .new_handles = 2});
    // Each register may hold any of them.
    for (uint8_t r = FREE; r < FREE + 3; r++) {
        starts(r, 5, BASE + PAGE);
        offer(CALLS(0, VM_MAP, R(r), R(VMO), V(0), V(BASE + PAGE), V(PAGE), V(PROT_READ)));
        offer(CALLS(0, VM_UNMAP, R(r), V(BASE + PAGE)));
        offer(CALLS(0, HANDLE_CLOSE, R(r)));
        offer(CALLS(0, OBJECT_DESTROY, R(r)));
        offer(CALLS(0, OBJECT_WAIT, R(r), V(SIGNAL_TERMINATED), NOW));
        offer(CALLS(0, THREAD_CANCEL, R(r)));
    }
    starts(FREE, 11, BASE + PAGE);
    starts(FREE, 5, BASE + 8);
    starts(FREE, 5, 0);
    // Half of what an exception channel needs, and half of what a thread's process does.
    offer((struct action){.number = SYSCALL_HANDLE_DUPLICATE,
                          .argument = {R(FREE), V(RIGHT_SEND)},
                          .new_handles = 1});
    if (whole)
        offer((struct action){.number = SYSCALL_HANDLE_DUPLICATE,
                              .argument = {R(FREE), V(RIGHT_MANAGE)},
                              .new_handles = 1});
    offer(CALLS(0, OBJECT_DESTROY, R(VMO)));
}

WORLD(processes, .about = "processes made and ended from outside", .bugs = {"M3", "A2"},
      .setup = setup, .actions = actions);
