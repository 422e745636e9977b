// SPDX-License-Identifier: MIT
//
// For tests: makes a disk driver crash at one of its fault points (docs/drivers.md).
//
//     run fault POINT [AFTER [SERVICE]]
//
// The driver crashes when it comes to POINT for the time after the next AFTER ones (default 0).
#include <sdk/sdk.h>

#include <proto/block.h>
#include <sdk/service.h>

// Takes the next word off a text; an empty one at its end.
static const char *next_word(const char *text, char *word, size_t size)
{
    size_t length = 0;
    while (*text == ' ')
        text++;
    for (; *text != ' ' && *text != '\0'; text++)
        if (length + 1 < size)
            word[length++] = *text;
    word[length] = '\0';
    return text;
}

static bool number(const char *text, uint64_t *value)
{
    *value = 0;
    for (; *text >= '0' && *text <= '9' && *value < UINT32_MAX; text++)
        *value = *value * 10 + (uint64_t)(*text - '0');
    return *text == '\0';
}

int main(const char *argument)
{
    struct block_fail_at_request request = {};
    char after[16], service[16];
    channel_t end;
    argument = next_word(argument, request.point, sizeof(request.point));
    argument = next_word(argument, after, sizeof(after));
    (void)next_word(argument, service, sizeof(service));
    if (!number(after, &request.after)) {
        log_line("not a number: %s", after);
        return 2;
    }
    const char *name = service[0] != '\0' ? service : "virtio-blk";
    status_t status = service_connect(name, ABI_DEADLINE_NEVER, &end);
    if (status == STATUS_OK)
        status = block_fail_at(end, &request, ABI_DEADLINE_NEVER);
    if (status == STATUS_PEER_CLOSED) // a point of the start: it has crashed already
        status = STATUS_OK;
    if (status != STATUS_OK)
        log_line("%s at '%s': %s", name, request.point, status_name(status));
    return status == STATUS_OK ? 0 : 1;
}
