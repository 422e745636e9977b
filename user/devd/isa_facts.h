// SPDX-License-Identifier: MIT
//
// The facts of the PC that no table gives and that user space needs. This is the whole list.
#pragma once

#include <stdint.h>

// The first serial port. ACPI's SPCR would name it; QEMU's q35 has none.
constexpr uint16_t ISA_COM1 = 0x3f8;
constexpr uint16_t ISA_COM1_PORTS = 8;
constexpr uint8_t ISA_COM1_INTERRUPT = 4; // of the ISA bus; the MADT says which global one it is

// The clock, behind an index and a data register.
constexpr uint16_t ISA_CMOS = 0x70;
constexpr uint16_t ISA_CMOS_PORTS = 2;
constexpr uint8_t ISA_CMOS_INTERRUPT = 8;

// PCI configuration (pci_ports.h). Only looked at where no MCFG says where it is in memory.
constexpr uint16_t ISA_PCI = 0xcf8;
constexpr uint16_t ISA_PCI_PORTS = 8;
