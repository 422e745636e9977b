// SPDX-License-Identifier: MIT
//
// See aml.h. Sections are those of ACPI 6.5.

#include "aml.h"

#include <lib/string.h>

#include "aml_reader.h"
#include "aml_resources.h"

constexpr unsigned DEPTH_MAX = 12;

struct scan {
    void (*found)(void *context, const struct aml_device *device);
    void *context;
};

// What is being read of one device.
struct declared {
    struct aml_device device;
    bool absent;
};

// ---- what is said of a device

// Three letters of five bits and four hexadecimal digits, the first byte highest (6.1.5).
static void eisa_id(uint32_t id, char text[static 8])
{
    const uint32_t value = __builtin_bswap32(id);
    for (unsigned i = 0; i < 3; i++)
        text[i] = (char)('@' + (value >> (26 - 5 * i) & 31));
    for (unsigned i = 0; i < 4; i++)
        text[3 + i] = "0123456789ABCDEF"[value >> (12 - 4 * i) & 15];
    text[7] = '\0';
}

static void read_id(struct aml_device *device, const struct aml_value *value)
{
    if (value->kind == AML_NUMBER && value->number <= UINT32_MAX) {
        eisa_id((uint32_t)value->number, device->hid);
        return;
    }
    const uint64_t length = (uint64_t)(value->inside.end - value->inside.at);
    if (value->kind != AML_TEXT || length >= sizeof(device->hid))
        return;
    for (uint64_t i = 0; i < length; i++)
        if (value->inside.at[i] <= ' ' || value->inside.at[i] > '~')
            return;
    memcpy(device->hid, value->inside.at, length);
    device->hid[length] = '\0';
}

static void read_property(struct declared *declared, const char *name,
                          const struct aml_value *value)
{
    constexpr uint64_t present = 1; // 6.3.7
    const uint64_t length = (uint64_t)(value->inside.end - value->inside.at);
    if (strcmp(name, "_HID") == 0)
        read_id(&declared->device, value);
    else if (strcmp(name, "_STA") == 0 && value->kind == AML_NUMBER)
        declared->absent = (value->number & present) == 0;
    else if (strcmp(name, "_CRS") == 0 && value->kind == AML_BYTES)
        aml_resources(value->inside.at, length, &declared->device);
    else if (strcmp(name, "_CCA") == 0 && value->kind == AML_NUMBER)
        declared->device.coherent = value->number != 0; // 6.2.17
    else if (strcmp(name, "_SEG") == 0 && value->kind == AML_NUMBER)
        declared->device.segment = (uint32_t)value->number;
    else if (strcmp(name, "_BBN") == 0 && value->kind == AML_NUMBER)
        declared->device.bus = (uint32_t)value->number;
    else if (strcmp(name, "_PRT") == 0 && value->kind == AML_LIST)
        declared->device.routes = value->inside.at, declared->device.routes_bytes = length;
}

// ---- terms

static void read_list(struct scan *scan, struct aml_reader r, struct declared *declared,
                      unsigned depth);

static bool read_scope(struct scan *scan, struct aml_reader *r, struct declared *declared,
                       unsigned depth)
{
    struct aml_reader inside;
    char name[5];
    if (!aml_take_package(r, &inside))
        return false;
    if (aml_take_name(&inside, name))
        read_list(scan, inside, declared, depth + 1);
    return true;
}

static bool read_device(struct scan *scan, struct aml_reader *r, unsigned depth)
{
    struct declared declared = {};
    struct aml_reader inside;
    if (!aml_take_package(r, &inside))
        return false;
    if (!aml_take_name(&inside, declared.device.name))
        return true;
    read_list(scan, inside, &declared, depth + 1);
    if (declared.device.hid[0] != '\0' && !declared.absent)
        scan->found(scan->context, &declared.device);
    return true;
}

static bool read_extended(struct scan *scan, struct aml_reader *r, unsigned depth)
{
    struct aml_reader inside;
    struct aml_value value;
    char name[5];
    uint64_t op, number;
    if (!aml_take_number(r, 1, &op))
        return false;
    switch (op) {
    case EXTENDED_DEVICE:
        return read_device(scan, r, depth);
    case EXTENDED_MUTEX:
        return aml_take_name(r, name) && aml_take_number(r, 1, &number);
    case EXTENDED_EVENT:
        return aml_take_name(r, name);
    case EXTENDED_REGION:
        return aml_take_name(r, name) && aml_take_number(r, 1, &number) &&
               aml_take_value(r, &value) && aml_take_value(r, &value);
    case EXTENDED_FIELD:
    case EXTENDED_PROCESSOR:
    case EXTENDED_POWER_RESOURCE:
    case EXTENDED_THERMAL_ZONE:
    case EXTENDED_INDEX_FIELD:
    case EXTENDED_BANK_FIELD:
        return aml_take_package(r, &inside);
    default:
        return false;
    }
}

// false: the term is none that is understood, and where the next one begins is not known.
static bool read_term(struct scan *scan, struct aml_reader *r, struct declared *declared,
                      unsigned depth)
{
    struct aml_reader inside;
    struct aml_value value;
    char name[5];
    uint64_t op, numbers;
    if (!aml_take_number(r, 1, &op))
        return false;
    switch (op) {
    case OP_NAME:
        if (!aml_take_name(r, name) || !aml_take_value(r, &value))
            return false;
        if (declared != nullptr)
            read_property(declared, name, &value);
        return true;
    case OP_SCOPE: // of another device, if not of the root
        return read_scope(scan, r, nullptr, depth);
    case OP_EXTENDED:
        return read_extended(scan, r, depth);
    case OP_ALIAS:
        return aml_take_name(r, name) && aml_take_name(r, name);
    case OP_EXTERNAL:
        return aml_take_name(r, name) && aml_take_number(r, 2, &numbers);
    case OP_METHOD:
    case OP_IF:
    case OP_ELSE:
    case OP_WHILE:
        return aml_take_package(r, &inside);
    default:
        return false;
    }
}

static void read_list(struct scan *scan, struct aml_reader r, struct declared *declared,
                      unsigned depth)
{
    while (depth < DEPTH_MAX && r.at < r.end && read_term(scan, &r, declared, depth)) {}
}

void aml_devices(const void *bytes, uint64_t count,
                 void (*found)(void *context, const struct aml_device *device), void *context)
{
    struct scan scan = {found, context};
    const uint8_t *start = bytes;
    read_list(&scan, (struct aml_reader){start, start + count}, nullptr, 0);
}

// ---- routes

static bool read_route(struct aml_reader *r, struct aml_route *route)
{
    constexpr uint64_t all_functions = 0xffff;
    struct aml_value row, address, pin, source, index;
    if (!aml_take_value(r, &row))
        return false;
    *route = (struct aml_route){.pin = UINT32_MAX};
    if (row.kind != AML_LIST || !aml_take_value(&row.inside, &address) ||
        !aml_take_value(&row.inside, &pin) || !aml_take_value(&row.inside, &source) ||
        !aml_take_value(&row.inside, &index) || address.kind != AML_NUMBER ||
        (address.number & 0xffff) != all_functions || address.number > UINT32_MAX ||
        pin.kind != AML_NUMBER || pin.number > 3 || index.kind != AML_NUMBER ||
        index.number > UINT32_MAX)
        return true; // of no use, but the next one may be
    if (source.kind == AML_NAME)
        memcpy(route->link, source.name, sizeof(route->link));
    else if (source.kind != AML_NUMBER || source.number != 0)
        return true;
    route->device = (uint32_t)address.number >> 16;
    route->pin = (uint32_t)pin.number;
    route->line = (uint32_t)index.number;
    return true;
}

void aml_routes(const struct aml_device *host,
                void (*found)(void *context, const struct aml_route *route), void *context)
{
    struct aml_reader r = {host->routes, host->routes + host->routes_bytes};
    struct aml_route route;
    while (r.at < r.end && read_route(&r, &route))
        if (route.pin <= 3)
            found(context, &route);
}
