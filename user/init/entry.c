// SPDX-License-Identifier: MIT
//
// From the kernel to main. Instead of a start message the first process finds its handles in its
// message buffer (abi/layout.h); everything else about it is as for any program.
#include "init.h"

#include <sdk/entry.h>

struct init init;

void sdk_entry(uint64_t argument, uint64_t gift)
{
    (void)gift;
    struct abi_message_buffer *buffer = (struct abi_message_buffer *)ABI_INIT_MESSAGE_BUFFER;
    stack_top()->message_buffer = buffer;
    if (argument != INIT_HANDLES)
        process_exit(STATUS_INVALID);
    start.account.value = buffer->handles[INIT_ACCOUNT];
    start.process.value = buffer->handles[INIT_PROCESS];
    start.aspace.value = buffer->handles[INIT_ASPACE];
    start.log.value = buffer->handles[INIT_LOG];
    init.machine.value = buffer->handles[INIT_MACHINE];
    vmo_t bundle = {buffer->handles[INIT_BUNDLE]};
    text_copy(start.name, sizeof(start.name), "init");

    const char *wrong = bundle_open(bundle);
    if (wrong != nullptr)
        fail("the boot bundle: %s", wrong);
    process_exit((uint64_t)main(""));
}

int main(const char *argument)
{
    (void)argument;
    uint64_t bytes = 0;
    const void *manifest = bundle_find("system.bin", &bytes);
    const char *wrong = manifest == nullptr ? "missing" : manifest_check(manifest, bytes);
    if (wrong != nullptr)
        fail("system.bin: %s", wrong);
    init.manifest = manifest;
    status_t status = loop_create(&init.loop);
    if (status != STATUS_OK)
        fail("no port: %s", status_name(status));

    status = bundle_slice(start.account, "disk", &init.disk);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        report_line("the disk in the bundle cannot be used: %s", status_name(status));

    service_start_all();
    for (;;) {
        status = loop_turn(&init.loop, services_next_deadline());
        if (status != STATUS_OK && status != STATUS_TIMED_OUT)
            fail("waiting failed: %s", status_name(status));
        services_run_deadlines();
    }
}
