// SPDX-License-Identifier: MIT
//
// build: user/devd/aml.c user/devd/aml_resources.c
//
// Devices that AML declares: a table as monitors write it, terms that cannot be known, damage.
#include <stdint.h>
#include <user/devd/aml.h>

#include "test.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// ---- writing AML: packages are opened and closed, their lengths in two bytes

static uint8_t aml[4096];
static size_t used, open_at[64], open_count;

static void put(const void *bytes, size_t count)
{
    memcpy(aml + used, bytes, count);
    used += count;
}

#define PUT(...) put((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void open(const char *op, const char *name)
{
    put_text(op);
    open_at[open_count++] = used;
    PUT(0, 0);
    put_text(name);
}

static void close(void)
{
    const size_t at = open_at[--open_count], length = used - at;
    aml[at] = (uint8_t)(0x40 | (length & 15));
    aml[at + 1] = (uint8_t)(length >> 4);
}

static void put_named(const char *name, const char *text)
{
    PUT(0x08);
    put_text(name);
    PUT(0x0d);
    put(text, strlen(text) + 1);
}

static void put_slot(const char *name, uint8_t page, uint8_t line)
{
    open("\x5b\x82", name);
    put_named("_HID", "LNRO0005");
    PUT(0x08, '_', 'U', 'I', 'D', 0);
    open("\x08_CRS\x11", "");
    PUT(0x0a, 23);
    PUT(0x86, 9, 0, 1, 0, page, 0xb0, 0xfe, 0, 2, 0, 0); // 0x200 bytes at 0xfeb0xx00
    PUT(0x89, 6, 0, 1, 1, line, 0, 0, 0);
    PUT(0x79, 0);
    close();
    close();
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
    uint8_t *copy = malloc(used);
    memcpy(copy, aml, used);
    found_count = 0;
    aml_devices(copy, used, on_found, found);
    free(copy);
}

static void write_table(void)
{
    used = open_count = 0;
    open("\x10", "\\_SB_");
    put_slot("VR00", 0x2c, 46);
    open("\x14", "MTHD"); // a method: whatever it holds
    PUT(0xff, 0x5b, 0x82);
    close();
    open("\x5b\x82", "COM1");
    PUT(0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01); // PNP0501
    PUT(0x08, '_', 'S', 'T', 'A', 0x0a, 0x0f);
    open("\x08_CRS\x11", "");
    PUT(0x0a, 13, 0x47, 1, 0xf8, 3, 0xf8, 3, 0, 8, 0x22, 0x10, 0, 0x79, 0);
    close();
    open("\x5b\x82", "SUB_"); // a device of a device
    put_named("_HID", "SUB0001");
    close();
    close();
    close();
    PUT(0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0, 0);                // a package
    PUT(0x5b, 0x80, 'R', 'E', 'G', 'N', 0, 0x0c, 0, 0, 0xd0, 0xfe, 0x0a, 8); // a region
    PUT(0x5b, 0x81, 0x0b, 'R', 'E', 'G', 'N', 1, 'F', 'L', 'D', '0', 8);     // its fields
    PUT(0x06, 0x2e, '_', 'S', 'B', '_', 'V', 'R', '0', '0', 'A', 'L', 'I', 'S');
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
    EXPECT(found[0].interrupts[0].trigger == TRIGGER_LEVEL_HIGH);
    EXPECT(strcmp(found[1].name, "SUB_") == 0 && found[1].range_count == 0);
    EXPECT(strcmp(found[2].name, "COM1") == 0 && strcmp(found[2].hid, "PNP0501") == 0);
    EXPECT(found[2].ranges[0].io && found[2].ranges[0].base == 0x3f8);
    EXPECT(found[2].ranges[0].bytes == 8 && found[2].interrupts[0].line == 4);
    EXPECT(found[2].interrupts[0].trigger == TRIGGER_EDGE);
    EXPECT(strcmp(found[3].name, "VR01") == 0 && found[3].interrupts[0].line == 47);
}

TEST(what_is_not_known_is_passed_over)
{
    used = 0;
    open("\x10", "_SB_");
    open("\x5b\x82", "GONE");
    put_named("_HID", "GONE0001");
    PUT(0x08, '_', 'S', 'T', 'A', 0); // absent
    close();
    open("\x5b\x82", "LATE"); // its id stands behind what is not understood
    PUT(0x70);
    put_named("_HID", "LATE0001");
    close();
    open("\x5b\x82", "REST"); // what was understood before it is kept
    put_named("_HID", "REST0001");
    PUT(0x70);
    close();
    PUT(0x70); // ends this scope, not the outer one
    put_slot("VR00", 0x2c, 46);
    close();
    put_slot("VR01", 0x2e, 47);
    look();
    EXPECT(found_count == 2 && strcmp(found[0].name, "REST") == 0);
    EXPECT(strcmp(found[1].name, "VR01") == 0);
}

TEST(scopes_in_scopes_without_end)
{
    used = open_count = 0;
    for (unsigned i = 0; i < 60; i++)
        open("\x10", "_SB_");
    put_slot("VR00", 0x2c, 46);
    while (open_count > 0)
        close();
    put_slot("VR01", 0x2e, 47);
    look();
    EXPECT(found_count == 1 && strcmp(found[0].name, "VR01") == 0);
}

TEST(damage)
{
    unsigned seen = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        write_table();
        for (unsigned n = 0; n <= round % 4; n++)
            aml[random_next() % used] = (uint8_t)random_next();
        if (round % 3 == 0)
            used -= random_next() % used;
        look();
        seen += found_count;
    }
    EXPECT(seen > 20'000);
}
