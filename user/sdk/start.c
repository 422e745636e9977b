// SPDX-License-Identifier: MIT
//
// From the first instruction to main: takes the start message and fills `start`. init has an
// entry of its own (user/init/entry.c); the linker takes that instead of this file.
#include <lib/string.h>
#include <proto/init.h>
#include <sdk/entry.h>
#include <sdk/start.h>
#include <sdk/thread.h>

static void take_handle(uint8_t role, uint64_t handle)
{
    switch ((enum start_role)role) {
    case ROLE_ACCOUNT:
        start.account.value = handle;
        break;
    case ROLE_ASPACE:
        start.aspace.value = handle;
        break;
    case ROLE_PROCESS:
        start.process.value = handle;
        break;
    case ROLE_LOG:
        start.log.value = handle;
        break;
    case ROLE_MACHINE:
        start.machine.value = handle;
        break;
    case ROLE_DISK:
        start.disk.value = handle;
        break;
    case ROLE_COUNT:
    default:
        handle_close((handle_t){handle});
        break;
    }
}

static void on_start(void *context, const struct init_start_notice *notice)
{
    (void)context;
    text_copy(start.name, sizeof(start.name), notice->name);
    text_copy(start.argument, sizeof(start.argument), notice->argument);
    start.priority = notice->priority;
    start.remembered = notice->remembered;
    start.heartbeat_ns = notice->heartbeat_ns;
    for (uint32_t i = 0; i < notice->handles_count; i++)
        take_handle(notice->roles[i], notice->handles[i].value);
}

void sdk_entry(uint64_t argument, uint64_t bootstrap)
{
    (void)argument;
    stack_top()->message_buffer = (struct abi_message_buffer *)ABI_INIT_MESSAGE_BUFFER;
    start.bootstrap.value = bootstrap;

    static const struct init_client first = {.start = on_start};
    struct wire_received received = {.end = start.bootstrap};
    status_t status =
        channel_receive(start.bootstrap, ABI_DEADLINE_NEVER, &received.message, &received.token);
    if (status != STATUS_OK)
        process_exit(status);
    init_client_dispatch(&first, nullptr, &received);
    process_exit((uint64_t)main(start.argument));
}
