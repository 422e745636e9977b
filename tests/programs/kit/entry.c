// SPDX-License-Identifier: MIT
//
// From the kernel to root_main, or from a parent to child_main. The linker takes this instead of
// the SDK's start.c.
#include <sdk/entry.h>

#include "child.h"

struct child_start child_start;

[[noreturn]] static void run_root(struct abi_message_buffer *buffer)
{
    start.account.value = buffer->handles[INIT_ACCOUNT];
    start.process.value = buffer->handles[INIT_PROCESS];
    start.aspace.value = buffer->handles[INIT_ASPACE];
    start.log.value = buffer->handles[INIT_LOG];
    start.machine.value = buffer->handles[INIT_MACHINE];
    vmo_t bundle = {buffer->handles[INIT_BUNDLE]};
    text_copy(start.name, sizeof(start.name), program_name);
    bundle_open(bundle);
    root_main();
    say("END %u", failures);
    machine_power(start.machine, POWER_OFF);
    process_exit(failures);
}

[[noreturn]] static void run_child(channel_t bootstrap)
{
    start.bootstrap = bootstrap;
    uint64_t message, token;
    status_t status = channel_receive(bootstrap, ABI_DEADLINE_NEVER, &message, &token);
    if (status != STATUS_OK || MSG_BYTES(message) != sizeof(struct child_message))
        process_exit(UINT64_MAX);
    struct child_message got;
    memcpy(&got, message_buffer()->data, sizeof(got));
    uint64_t *targets[CHILD_ROLES] = {
        [CHILD_ACCOUNT] = &start.account.value,   [CHILD_PROCESS] = &start.process.value,
        [CHILD_ASPACE] = &start.aspace.value,     [CHILD_LOG] = &start.log.value,
        [CHILD_MACHINE] = &start.machine.value,   [CHILD_TEXT] = &child_start.text.value,
        [CHILD_EXTRA] = &child_start.extra.value,
    };
    for (uint32_t i = 0; i < MSG_HANDLES(message); i++)
        *targets[got.roles[i]] = message_buffer()->handles[i];
    memcpy(child_start.words, got.words, sizeof(child_start.words));
    text_copy(start.name, sizeof(start.name), got.name);
    start.priority = got.priority;
    text_base = got.text_base;
    text_bytes = got.text_bytes;
    child_main();
    process_exit(failures);
}

void sdk_entry(uint64_t argument, uint64_t gift)
{
    struct abi_message_buffer *buffer = (struct abi_message_buffer *)ABI_INIT_MESSAGE_BUFFER;
    stack_top()->message_buffer = buffer;
    if (argument == INIT_HANDLES && gift == ABI_INIT_MESSAGE_BUFFER)
        run_root(buffer);
    run_child((channel_t){gift});
}
