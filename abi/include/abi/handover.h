// SPDX-License-Identifier: MIT
//
// Between a loader and the kernel, the same on every machine: docs/boot.md is the contract.
//
// The kernel's ELF file says in a note how it wants to be placed and entered. The loader builds
// one block of memory, the handover, and enters the kernel with its physical address. What is in
// the block is read once, checked, and copied; afterwards it is just RAM.
//
// Numbers are little-endian. Later versions may add fields behind those of today: a reader goes by
// the sizes that are stated, and refuses another version.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t HANDOVER_VERSION = 1;

// ---- the note: in a PT_NOTE segment, by this name and type

constexpr char HANDOVER_NOTE_NAME[] = "Skerry"; // with its NUL
constexpr uint32_t HANDOVER_NOTE_TYPE = 1;

enum abi_handover_note_flags : uint32_t {
    HANDOVER_ANYWHERE = 1, // on any page; else exactly at the physical addresses of the segments
};

struct abi_handover_note {
    uint32_t version; // that the kernel reads
    uint32_t flags;   // enum abi_handover_note_flags
    uint64_t entry;   // physical, as linked: it moves with the image
    uint64_t room;    // bytes of free RAM that follow the image, for the kernel's first tables
    uint64_t reach;   // the handover ends at or below this physical address; 0: wherever it is
};
static_assert(sizeof(struct abi_handover_note) == 32);

// ---- the handover

constexpr uint64_t HANDOVER_MAGIC = 0x5245'564f'4e41'4b53; // "SKANOVER"
constexpr uint32_t HANDOVER_BYTES_MAX = 1u << 20;

// What memory is. What no range names is nothing, or the registers of devices.
enum abi_handover_kind : uint32_t {
    HANDOVER_RAM = 1,      // the kernel's, with what the loader put there
    HANDOVER_TABLES = 2,   // tables of the firmware: to be read, never to be given away
    HANDOVER_FIRMWARE = 3, // the firmware goes on using it, or nobody may: not even mapped
    HANDOVER_DEVICE = 4,   // registers that the firmware lists
};

struct abi_handover_range {
    uint64_t start, end; // physical, page-aligned, end exclusive
    uint32_t kind;       // enum abi_handover_kind
    uint32_t reserved;   // 0
};
static_assert(sizeof(struct abi_handover_range) == 24);

// What the loader knows of the signature (docs/boot.md).
enum abi_handover_trust : uint32_t {
    HANDOVER_UNVERIFIED = 0, // nobody has checked one
    HANDOVER_VERIFIED = 1,   // by a key in the loader, over kernel, bundle and command line
};

struct abi_handover {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes; // of the whole block
    // Offsets are from the block's first byte; a length of 0: there is none.
    uint32_t range_offset, range_count;               // sorted, disjoint
    uint32_t command_line_offset, command_line_bytes; // without a NUL
    uint32_t signature_offset, signature_bytes;       // struct abi_boot_signature, as it was found
    uint32_t trust;                                   // enum abi_handover_trust
    uint32_t reserved;
    uint64_t bundle, bundle_bytes; // physical, page-aligned; 0: none
    uint64_t rsdp;                 // ACPI's RSDP, of version 2 where there is one; 0: none
    uint64_t device_tree, device_tree_bytes; // 0: none
};
static_assert(sizeof(struct abi_handover) == 88);

// ---- a signature: the file boot.sig beside boot.conf, see docs/boot.md. Nothing checks one yet.

constexpr uint32_t BOOT_SIGNATURE_BYTES_MAX = 4096;

enum abi_boot_signature_algorithm : uint32_t {
    BOOT_SIGNATURE_ED25519 = 1, // 64 bytes
};

struct abi_boot_signature {
    char magic[8]; // "SKERRYSG"
    uint32_t version;
    uint32_t algorithm;       // enum abi_boot_signature_algorithm
    uint8_t key[32];          // SHA-256 of the public key that belongs to it
    uint8_t statement[32];    // SHA-256 of boot.conf, which names those of kernel and bundle
    uint32_t signature_bytes; // which follow
    uint32_t reserved;
};
static_assert(sizeof(struct abi_boot_signature) == 88);
