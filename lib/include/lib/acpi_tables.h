// SPDX-License-Identifier: MIT
//
// ACPICA's table layouts, without the rest of ACPICA: what its headers expect from <acenv.h>.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define ACPI_MACHINE_WIDTH 64
#define ACPI_USE_SYSTEM_INTTYPES
#define ACPI_SYSTEM_XFACE

#include <acpi/actypes.h>
// The tables need the types.
#include <acpi/actbl.h>
