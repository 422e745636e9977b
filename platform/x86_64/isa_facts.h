// SPDX-License-Identifier: MIT
//
// The facts of the PC that no firmware table gives. This is the whole list; everything else that
// the kernel knows of a machine comes from its tables.
#pragma once

#include <stdint.h>

// The first serial port, our debug console. ACPI's SPCR table would name it; QEMU's q35 has none.
constexpr uint16_t ISA_COM1 = 0x3f8;

// Command ports of the two i8259 interrupt controllers, which are only masked.
constexpr uint16_t ISA_I8259_FIRST = 0x20;
constexpr uint16_t ISA_I8259_SECOND = 0xa0;

// The i8254 timer, in use only where the tables name no timer.
constexpr uint16_t ISA_I8254 = 0x40;

// Where the BIOS may leave the RSDP (ACPI 6.5, 5.2.5.1).
constexpr uint64_t ISA_BIOS_START = 0xe0000;
constexpr uint64_t ISA_BIOS_BYTES = 0x20000;

// The BIOS's data: a word of it is the segment of more of them (MultiProcessor Specification 1.4,
// chapter 4).
constexpr uint64_t ISA_BIOS_DATA = 0x400;
constexpr uint64_t ISA_BIOS_DATA_BYTES = 0x100;
constexpr uint64_t ISA_BIOS_DATA_EXTENDED = 0x0e;
constexpr uint64_t ISA_BASE_MEMORY_LAST = 639 * 1024; // its last kibibyte

// The reset control register of PC chip sets.
constexpr uint16_t ISA_RESET_CONTROL = 0xcf9;

// SLP_TYP of soft off. The table that gives it (\_S5) is AML, code that the kernel does not run.
// QEMU's q35 and pc use 0; its machines with reduced hardware (microvm), 5.
constexpr uint8_t ISA_SOFT_OFF_TYPE = 0;
constexpr uint8_t ISA_REDUCED_SOFT_OFF_TYPE = 5;

// The first 15 interrupts of the ISA bus are global interrupts of the same number, edge-triggered
// and active high, unless the MADT says otherwise (ACPI 6.5, 5.2.12.5).
