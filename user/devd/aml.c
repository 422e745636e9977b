// SPDX-License-Identifier: MIT
//
// See aml.h. Sections are those of ACPI 6.5.

#include "aml.h"

#include <lib/string.h>

#include "aml_resources.h"

constexpr unsigned DEPTH_MAX = 12;

enum aml_op : uint8_t { // 20.3
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_ALIAS = 0x06,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_VAR_PACKAGE = 0x13,
    OP_METHOD = 0x14,
    OP_EXTERNAL = 0x15,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXTENDED = 0x5b,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1,
    OP_WHILE = 0xa2,
    OP_ONES = 0xff,
    // behind OP_EXTENDED
    EXTENDED_MUTEX = 0x01,
    EXTENDED_EVENT = 0x02,
    EXTENDED_REGION = 0x80,
    EXTENDED_FIELD = 0x81,
    EXTENDED_DEVICE = 0x82,
    EXTENDED_PROCESSOR = 0x83,
    EXTENDED_POWER_RESOURCE = 0x84,
    EXTENDED_THERMAL_ZONE = 0x85,
    EXTENDED_INDEX_FIELD = 0x86,
    EXTENDED_BANK_FIELD = 0x87,
};

struct reader {
    const uint8_t *at, *end;
};

struct scan {
    void (*found)(void *context, const struct aml_device *device);
    void *context;
};

// What is being read of one device.
struct declared {
    struct aml_device device;
    bool absent;
};

// A constant.
struct value {
    enum { VALUE_NONE, VALUE_NUMBER, VALUE_TEXT, VALUE_BYTES } kind;
    uint64_t number;
    struct reader bytes; // of a text without its end
};

static bool take(struct reader *r, uint64_t count, const uint8_t **start)
{
    if (count > (uint64_t)(r->end - r->at))
        return false;
    *start = r->at;
    r->at += count;
    return true;
}

static bool take_number(struct reader *r, unsigned bytes, uint64_t *value)
{
    const uint8_t *start;
    if (!take(r, bytes, &start))
        return false;
    *value = 0;
    memcpy(value, start, bytes); // little-endian
    return true;
}

// A package: its length and what is inside (20.2.4). The length counts itself.
static bool take_package(struct reader *r, struct reader *inside)
{
    const uint8_t *start = r->at;
    uint64_t lead, rest = 0;
    if (!take_number(r, 1, &lead))
        return false;
    const unsigned more = (unsigned)(lead >> 6);
    if (!take_number(r, more, &rest))
        return false;
    const uint64_t length = more == 0 ? lead & 0x3f : (lead & 0xf) | rest << 4;
    if (length < (uint64_t)(r->at - start) || length > (uint64_t)(r->end - start))
        return false;
    *inside = (struct reader){r->at, start + length};
    r->at = inside->end;
    return true;
}

static bool is_lead_character(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || c == '_';
}

// A name (20.2.2); `last` is its last part, or empty.
static bool take_name(struct reader *r, char last[static 5])
{
    const uint8_t *start;
    uint64_t segments = 1, op;
    memset(last, 0, 5);
    while (r->at < r->end && (*r->at == '\\' || *r->at == '^'))
        r->at++;
    if (r->at == r->end)
        return false;
    op = *r->at;
    if (op == OP_ZERO || op == OP_DUAL_NAME || op == OP_MULTI_NAME)
        r->at++;
    else if (!is_lead_character((uint8_t)op))
        return false;
    if (op == OP_ZERO)
        return true;
    if (op == OP_DUAL_NAME)
        segments = 2;
    if (op == OP_MULTI_NAME && !take_number(r, 1, &segments))
        return false;
    if (segments == 0 || !take(r, 4 * segments, &start))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t c = start[4 * (segments - 1) + i];
        last[i] = c > ' ' && c <= '~' ? (char)c : '?';
    }
    return true;
}

static bool take_text(struct reader *r, struct value *value)
{
    value->kind = VALUE_TEXT;
    value->bytes.at = r->at;
    while (r->at < r->end && *r->at != 0)
        r->at++;
    if (r->at == r->end)
        return false;
    value->bytes.end = r->at++;
    return true;
}

// A number or a text, or another's name, which has no value here. false: it is something else.
static bool take_plain(struct reader *r, struct value *value)
{
    char name[5];
    uint64_t op;
    *value = (struct value){};
    if (r->at < r->end && (is_lead_character(*r->at) || *r->at == '\\' || *r->at == '^'))
        return take_name(r, name);
    if (!take_number(r, 1, &op))
        return false;
    value->kind = VALUE_NUMBER;
    switch (op) {
    case OP_ZERO:
    case OP_ONE:
        value->number = op;
        return true;
    case OP_ONES:
        value->number = UINT64_MAX;
        return true;
    case OP_BYTE:
        return take_number(r, 1, &value->number);
    case OP_WORD:
        return take_number(r, 2, &value->number);
    case OP_DWORD:
        return take_number(r, 4, &value->number);
    case OP_QWORD:
        return take_number(r, 8, &value->number);
    case OP_STRING:
        return take_text(r, value);
    default:
        return false;
    }
}

// The same, or what holds others (20.2.3), of which buffers have a value.
static bool take_value(struct reader *r, struct value *value)
{
    struct reader inside;
    struct value size;
    const uint8_t op = r->at < r->end ? *r->at : OP_ZERO;
    if (op != OP_BUFFER && op != OP_PACKAGE && op != OP_VAR_PACKAGE)
        return take_plain(r, value);
    r->at++;
    *value = (struct value){};
    if (!take_package(r, &inside))
        return false;
    // The size may be computed, or larger than what stands there: neither concerns us.
    if (op == OP_BUFFER && take_plain(&inside, &size) && size.kind == VALUE_NUMBER)
        *value = (struct value){.kind = VALUE_BYTES, .bytes = inside};
    return true;
}

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

static void read_id(struct aml_device *device, const struct value *value)
{
    if (value->kind == VALUE_NUMBER && value->number <= UINT32_MAX) {
        eisa_id((uint32_t)value->number, device->hid);
        return;
    }
    const uint64_t length = (uint64_t)(value->bytes.end - value->bytes.at);
    if (value->kind != VALUE_TEXT || length >= sizeof(device->hid))
        return;
    for (uint64_t i = 0; i < length; i++)
        if (value->bytes.at[i] <= ' ' || value->bytes.at[i] > '~')
            return;
    memcpy(device->hid, value->bytes.at, length);
    device->hid[length] = '\0';
}

static void read_property(struct declared *declared, const char *name, const struct value *value)
{
    constexpr uint64_t present = 1; // 6.3.7
    if (strcmp(name, "_HID") == 0)
        read_id(&declared->device, value);
    else if (strcmp(name, "_STA") == 0 && value->kind == VALUE_NUMBER)
        declared->absent = (value->number & present) == 0;
    else if (strcmp(name, "_CRS") == 0 && value->kind == VALUE_BYTES)
        aml_resources(value->bytes.at, (uint64_t)(value->bytes.end - value->bytes.at),
                      &declared->device);
}

// ---- terms

static void read_list(struct scan *scan, struct reader r, struct declared *declared,
                      unsigned depth);

static bool read_scope(struct scan *scan, struct reader *r, struct declared *declared,
                       unsigned depth)
{
    struct reader inside;
    char name[5];
    if (!take_package(r, &inside))
        return false;
    if (take_name(&inside, name))
        read_list(scan, inside, declared, depth + 1);
    return true;
}

static bool read_device(struct scan *scan, struct reader *r, unsigned depth)
{
    struct declared declared = {};
    struct reader inside;
    if (!take_package(r, &inside))
        return false;
    if (!take_name(&inside, declared.device.name))
        return true;
    read_list(scan, inside, &declared, depth + 1);
    if (declared.device.hid[0] != '\0' && !declared.absent)
        scan->found(scan->context, &declared.device);
    return true;
}

static bool read_extended(struct scan *scan, struct reader *r, unsigned depth)
{
    struct reader inside;
    struct value value;
    char name[5];
    uint64_t op, number;
    if (!take_number(r, 1, &op))
        return false;
    switch (op) {
    case EXTENDED_DEVICE:
        return read_device(scan, r, depth);
    case EXTENDED_MUTEX:
        return take_name(r, name) && take_number(r, 1, &number);
    case EXTENDED_EVENT:
        return take_name(r, name);
    case EXTENDED_REGION:
        return take_name(r, name) && take_number(r, 1, &number) && take_value(r, &value) &&
               take_value(r, &value);
    case EXTENDED_FIELD:
    case EXTENDED_PROCESSOR:
    case EXTENDED_POWER_RESOURCE:
    case EXTENDED_THERMAL_ZONE:
    case EXTENDED_INDEX_FIELD:
    case EXTENDED_BANK_FIELD:
        return take_package(r, &inside);
    default:
        return false;
    }
}

// false: the term is none that is understood, and where the next one begins is not known.
static bool read_term(struct scan *scan, struct reader *r, struct declared *declared,
                      unsigned depth)
{
    struct reader inside;
    struct value value;
    char name[5];
    uint64_t op, numbers;
    if (!take_number(r, 1, &op))
        return false;
    switch (op) {
    case OP_NAME:
        if (!take_name(r, name) || !take_value(r, &value))
            return false;
        if (declared != nullptr)
            read_property(declared, name, &value);
        return true;
    case OP_SCOPE: // of another device, if not of the root
        return read_scope(scan, r, nullptr, depth);
    case OP_EXTENDED:
        return read_extended(scan, r, depth);
    case OP_ALIAS:
        return take_name(r, name) && take_name(r, name);
    case OP_EXTERNAL:
        return take_name(r, name) && take_number(r, 2, &numbers);
    case OP_METHOD:
    case OP_IF:
    case OP_ELSE:
    case OP_WHILE:
        return take_package(r, &inside);
    default:
        return false;
    }
}

static void read_list(struct scan *scan, struct reader r, struct declared *declared, unsigned depth)
{
    while (depth < DEPTH_MAX && r.at < r.end && read_term(scan, &r, declared, depth)) {}
}

void aml_devices(const void *bytes, uint64_t count,
                 void (*found)(void *context, const struct aml_device *device), void *context)
{
    struct scan scan = {found, context};
    const uint8_t *start = bytes;
    read_list(&scan, (struct reader){start, start + count}, nullptr, 0);
}
