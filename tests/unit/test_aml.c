// SPDX-License-Identifier: MIT
//
// Devices that AML declares: a table as monitors write it, terms that cannot be known, damage.
#include <lib/hwtree/aml.h>
#include <stdint.h>

#include "aml_maker.h"
#include "test.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void put_slot(const char *name, uint8_t page, uint8_t line)
{
    aml_open("\x5b\x82", name);
    aml_named("_HID", "LNRO0005");
    AML(0x08, '_', 'U', 'I', 'D', 0);
    aml_open("\x08_CRS\x11", "");
    AML(0x0a, 23);
    AML(0x86, 9, 0, 1, 0, page, 0xb0, 0xfe, 0, 2, 0, 0); // 0x200 bytes at 0xfeb0xx00
    AML(0x89, 6, 0, 1, 1, line, 0, 0, 0);
    AML(0x79, 0);
    aml_close();
    aml_close();
}

static struct aml_device found[16];
static unsigned found_count;

static void on_found(void *context, const struct aml_device *device)
{
    EXPECT(context == found && device->hid[0] != '\0');
    EXPECT(device->range_count <= AML_RANGES && device->interrupt_count <= AML_INTERRUPTS);
    EXPECT(strlen(device->name) <= 4 && strlen(device->hid) < sizeof(device->hid));
    if (found_count < 16)
        found[found_count++] = *device;
}

// Exactly the bytes: what is read behind them the sanitizer sees.
static void look(void)
{
    uint8_t *copy = malloc(aml_used);
    memcpy(copy, aml, aml_used);
    found_count = 0;
    aml_devices(copy, aml_used, on_found, found);
    free(copy);
}

static void write_table(void)
{
    aml_begin();
    aml_open("\x10", "\\_SB_");
    put_slot("VR00", 0x2c, 46);
    aml_open("\x14", "MTHD"); // a method: whatever it holds
    AML(0xff, 0x5b, 0x82);
    aml_close();
    aml_open("\x5b\x82", "COM1");
    AML(0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01); // PNP0501
    AML(0x08, '_', 'S', 'T', 'A', 0x0a, 0x0f);
    aml_open("\x08_CRS\x11", "");
    AML(0x0a, 13, 0x47, 1, 0xf8, 3, 0xf8, 3, 0, 8, 0x22, 0x10, 0, 0x79, 0);
    aml_close();
    aml_open("\x5b\x82", "SUB_"); // a device of a device
    aml_named("_HID", "SUB0001");
    aml_close();
    aml_close();
    aml_close();
    AML(0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0, 0);                // a package
    AML(0x5b, 0x80, 'R', 'E', 'G', 'N', 0, 0x0c, 0, 0, 0xd0, 0xfe, 0x0a, 8); // a region
    AML(0x5b, 0x81, 0x0b, 'R', 'E', 'G', 'N', 1, 'F', 'L', 'D', '0', 8);     // its fields
    AML(0x06, 0x2e, '_', 'S', 'B', '_', 'V', 'R', '0', '0', 'A', 'L', 'I', 'S');
    put_slot("VR01", 0x2e, 47);
}

TEST(a_table_as_monitors_write_it)
{
    write_table();
    look();
    EXPECT(found_count == 4);
    EXPECT(strcmp(found[0].name, "VR00") == 0 && strcmp(found[0].hid, "LNRO0005") == 0);
    EXPECT(found[0].range_count == 1 && !found[0].ranges[0].io);
    EXPECT(found[0].ranges[0].base == 0xfeb0'2c00 && found[0].ranges[0].bytes == 0x200);
    EXPECT(found[0].interrupt_count == 1 && found[0].interrupts[0].line == 46);
    EXPECT(found[0].interrupts[0].trigger == HWTREE_TRIGGER_LEVEL);
    EXPECT(strcmp(found[1].name, "SUB_") == 0 && found[1].range_count == 0);
    EXPECT(strcmp(found[2].name, "COM1") == 0 && strcmp(found[2].hid, "PNP0501") == 0);
    EXPECT(found[2].ranges[0].io && found[2].ranges[0].base == 0x3f8);
    EXPECT(found[2].ranges[0].bytes == 8 && found[2].interrupts[0].line == 4);
    EXPECT(found[2].interrupts[0].trigger == HWTREE_TRIGGER_EDGE);
    EXPECT(strcmp(found[3].name, "VR01") == 0 && found[3].interrupts[0].line == 47);
}

TEST(what_is_not_known_is_passed_over)
{
    aml_begin();
    aml_open("\x10", "_SB_");
    aml_open("\x5b\x82", "GONE");
    aml_named("_HID", "GONE0001");
    AML(0x08, '_', 'S', 'T', 'A', 0); // absent
    aml_close();
    aml_open("\x5b\x82", "LATE"); // its id stands behind what is not understood
    AML(0x70);
    aml_named("_HID", "LATE0001");
    aml_close();
    aml_open("\x5b\x82", "REST"); // what was understood before it is kept
    aml_named("_HID", "REST0001");
    AML(0x70);
    aml_close();
    AML(0x70); // ends this scope, not the outer one
    put_slot("VR00", 0x2c, 46);
    aml_close();
    put_slot("VR01", 0x2e, 47);
    look();
    EXPECT(found_count == 2 && strcmp(found[0].name, "REST") == 0);
    EXPECT(strcmp(found[1].name, "VR01") == 0);
}

TEST(scopes_in_scopes_without_end)
{
    aml_begin();
    for (unsigned i = 0; i < 60; i++)
        aml_open("\x10", "_SB_");
    put_slot("VR00", 0x2c, 46);
    while (open_count > 0)
        aml_close();
    put_slot("VR01", 0x2e, 47);
    look();
    EXPECT(found_count == 1 && strcmp(found[0].name, "VR01") == 0);
}

static void put_space(uint8_t kind, uint8_t type, uint8_t flags, uint64_t first, uint64_t offset,
                      uint64_t bytes)
{
    const unsigned width = kind == 0x87 ? 4 : kind == 0x88 ? 2 : 8;
    const uint64_t numbers[] = {0, first, first + bytes - 1, offset, bytes};
    AML(kind, (uint8_t)(3 + 5 * width), 0, type, 0x0c, flags);
    for (unsigned i = 0; i < 5; i++)
        aml_put(&numbers[i], width);
}

TEST(windows_of_a_host)
{
    aml_begin();
    aml_open("\x5b\x82", "PCI0");
    aml_named("_HID", "PNP0A08");
    AML(0x08, '_', 'C', 'C', 'A', 1, 0x08, '_', 'S', 'E', 'G', 0x0a, 3, 0x08, '_', 'B', 'B', 'N',
        0x0a, 16);
    aml_open("\x08_CRS\x11", "");
    AML(0x0a, 0);
    put_space(0x88, 2, 0, 0, 0, 0x100); // bus numbers
    put_space(0x87, 0, 1, 0x1000'0000, 0, 0x2eff'0000);
    put_space(0x87, 1, 3, 0, 0x3eff'0000, 0x1'0000);
    put_space(0x88, 1, 3, 0xc000, 0, 0x1000);
    put_space(0x8a, 0, 7, 0x80'0000'0000, 0x1'0000'0000, 0x80'0000'0000);
    put_space(0x87, 0, 1, 0x5000'0000, 0, 0);   // empty
    AML(0x87, 9, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6); // too short
    AML(0x79, 0);
    aml_close();
    aml_close();
    look();
    EXPECT(found_count == 1 && found[0].coherent && found[0].segment == 3 && found[0].bus == 16);
    EXPECT(found[0].window_count == 4 && found[0].range_count == 0);
    const struct hwtree_window *w = found[0].windows;
    EXPECT(w[0].bus == 0x1000'0000 && w[0].cpu == 0x1000'0000 && w[0].bytes == 0x2eff'0000);
    EXPECT(!w[0].io && !w[0].wide && !w[0].prefetchable && w[0].space == HWTREE_SPACE_MEMORY);
    EXPECT(w[1].io && w[1].bus == 0 && w[1].cpu == 0x3eff'0000 &&
           w[1].space == HWTREE_SPACE_MEMORY);
    EXPECT(w[2].io && w[2].cpu == 0xc000 && w[2].space == HWTREE_SPACE_IO);
    EXPECT(w[3].wide && w[3].prefetchable && w[3].cpu == 0x81'0000'0000);
}

static struct aml_route routes[8];
static unsigned route_count;

static void on_route(void *context, const struct aml_route *route)
{
    EXPECT(context == routes && route->pin < 4 && strlen(route->link) <= 4);
    if (route_count < 8)
        routes[route_count++] = *route;
}

// Looks at the routes of a device while its bytes are there.
static void on_host(void *context, const struct aml_device *device)
{
    aml_routes(device, on_route, context);
}

TEST(routes_of_a_host)
{
    aml_begin();
    aml_open("\x5b\x82", "PCI0");
    aml_named("_HID", "PNP0A08");
    aml_open("\x08_PRT\x12", "");
    AML(9);                                                             // the number of elements
    AML(0x12, 11, 4, 0x0b, 0xff, 0xff, 0, 'G', 'S', 'I', '0', 0);       // a link
    AML(0x12, 12, 4, 0x0c, 0xff, 0xff, 2, 0, 0x0a, 3, 0, 0x0a, 77);     // a line
    AML(0x12, 11, 4, 0x0b, 0xfe, 0xff, 0, 'G', 'S', 'I', '0', 0);       // of one function
    AML(0x12, 12, 4, 0x0b, 0xff, 0xff, 0x0a, 4, 'G', 'S', 'I', '0', 0); // no such pin
    AML(0x12, 7, 3, 0x0b, 0xff, 0xff, 0, 0);                            // too few
    AML(0x0a, 5);                                                       // no row
    AML(0x12, 17, 4, 0x0b, 0xff, 0xff, 1, '\\', 0x2e, '_', 'S', 'B', '_', 'L', 'N', 'K', 'B', 0);
    AML(0x12, 60, 4); // longer than what is there
    aml_close();
    aml_close();
    uint8_t *copy = malloc(aml_used);
    memcpy(copy, aml, aml_used);
    route_count = 0;
    aml_devices(copy, aml_used, on_host, routes);
    free(copy);
    EXPECT_NOTE(route_count == 3, "%u", route_count);
    EXPECT(routes[0].device == 0 && routes[0].pin == 0 && strcmp(routes[0].link, "GSI0") == 0);
    EXPECT(routes[1].device == 2 && routes[1].pin == 3 && routes[1].line == 77);
    EXPECT(routes[1].link[0] == 0);
    EXPECT(routes[2].pin == 1 && strcmp(routes[2].link, "LNKB") == 0);
}

TEST(damage)
{
    unsigned seen = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        write_table();
        for (unsigned n = 0; n <= round % 4; n++)
            aml[random_next() % aml_used] = (uint8_t)random_next();
        if (round % 3 == 0)
            aml_used -= random_next() % aml_used;
        look();
        seen += found_count;
    }
    EXPECT(seen > 20'000);
}
