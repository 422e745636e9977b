// SPDX-License-Identifier: MIT
//
// Reading AML, piece by piece: numbers, names, packages and constants (ACPI 6.5, 20.2). A piece that
// is not whole, or is something else, is answered by false; what was passed over then is not said.
#pragma once

#include <stdint.h>

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

struct aml_reader {
    const uint8_t *at, *end;
};

enum aml_kind : uint8_t {
    AML_NONE,
    AML_NUMBER,
    AML_TEXT,
    AML_BYTES, // of a buffer
    AML_NAME,  // of another object, which is not looked up
    AML_LIST,  // a package
};

// A constant.
struct aml_value {
    enum aml_kind kind;
    char name[5];             // AML_NAME: the last part
    uint64_t number;          // AML_NUMBER
    struct aml_reader inside; // of a text without its end, a buffer, or a package: its elements
};

// `bytes` bytes of a number, at most 8.
[[nodiscard]] bool aml_take_number(struct aml_reader *r, unsigned bytes, uint64_t *value);
// A package: its length and what is inside (20.2.4).
[[nodiscard]] bool aml_take_package(struct aml_reader *r, struct aml_reader *inside);
// A name (20.2.2); `last` is its last part, or empty.
[[nodiscard]] bool aml_take_name(struct aml_reader *r, char last[static 5]);
// A constant: a number, a text, a buffer, a package, or the name of another object.
[[nodiscard]] bool aml_take_value(struct aml_reader *r, struct aml_value *value);
