// SPDX-License-Identifier: MIT
//
// The driver of the machine's real-time clock. It serves proto/clock.toml.
#include <sdk/sdk.h>

#include <proto/clock.h>
#include <sdk/service.h>

#include "rtc.h"

constexpr uint32_t CONNECTIONS = 4;

static struct device device;
static const struct rtc_chip *chip;

static status_t on_now(void *context, struct wire_call call, struct clock_now_reply *reply)
{
    (void)context;
    (void)call;
    return chip->read(&device, &reply->seconds);
}

static const struct clock_server operations = {.now = on_now};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    clock_dispatch(&operations, connection, received);
}

static const struct rtc_chip *find_chip(void)
{
    static const struct rtc_chip *const chips[] = {&rtc_pl031, &rtc_cmos};
    for (size_t i = 0; i < ARRAY_SIZE(chips); i++)
        if (strcmp(chips[i]->compatible, device.compatible) == 0 &&
            (chips[i]->by_ports ? device.io.value != 0 : device.window_count != 0))
            return chips[i];
    fail("not a clock that this driver knows: %s", device.compatible);
}

int main(const char *argument)
{
    (void)argument;
    static struct loop loop;
    static struct connection connections[CONNECTIONS];
    static struct service service = {
        .connections = connections, .connection_max = CONNECTIONS, .message = on_message};
    status_t status = device_receive(&device);
    if (status != STATUS_OK)
        fail("no device: %s", status_name(status));
    chip = find_chip();
    status = loop_create(&loop);
    if (status == STATUS_OK)
        status = service_start(&service, &loop);
    if (status != STATUS_OK)
        fail("cannot start: %s", status_name(status));
    loop_run(&loop);
}
