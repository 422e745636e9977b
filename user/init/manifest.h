// SPDX-License-Identifier: MIT
//
// The compiled system.toml, as tools/manifest.py writes it into the bundle. It was checked when
// it was built; here only what would lead outside an array is checked again.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t MANIFEST_VERSION = 3;
constexpr unsigned MANIFEST_SERVICES_MAX = 32;
constexpr unsigned MANIFEST_ROLES_MAX = 8;
constexpr unsigned MANIFEST_MATCHES_MAX = 8;
constexpr uint32_t MANIFEST_CPU_ANY = UINT32_MAX; // init chooses

enum manifest_start : uint8_t { START_BOOT = 0, START_DEVICE = 1, START_HAND = 2 };
enum manifest_restart : uint8_t { RESTART_NEVER = 0, RESTART_ALWAYS = 1 };

// What a service may ask of init.
enum manifest_allow : uint32_t { ALLOW_DRIVERS = 1, ALLOW_SERVICES = 2, ALLOW_POWER = 4 };

struct manifest_service {
    char name[16];
    char program[48];
    char family[16]; // of an instance: the name without its number
    uint8_t start;   // enum manifest_start
    uint8_t restart; // enum manifest_restart
    uint8_t priority;
    uint8_t role_count;
    uint8_t roles[MANIFEST_ROLES_MAX]; // enum start_role
    uint32_t rights[MANIFEST_ROLES_MAX];
    uint32_t allows; // enum manifest_allow
    uint32_t heartbeat_ms;
    uint32_t cpu; // of its first thread; MANIFEST_CPU_ANY
    uint64_t pages, objects, contiguous;
    uint64_t connects; // bit per index of a service
    uint64_t shape;    // of the channels to it: ABI_CHANNEL_SHAPE
    char argument[256];
    uint32_t match_count;
    uint32_t budget_us, period_us; // of each CPU; 0: not limited
    uint32_t padding1;
    char matches[MANIFEST_MATCHES_MAX][64];
};
static_assert(sizeof(struct manifest_service) == 960);
static_assert(offsetof(struct manifest_service, pages) == 136);

struct manifest {
    char magic[8]; // "SKSYSTEM"
    uint32_t version;
    uint32_t count;
    uint64_t pages, objects, contiguous; // what all accounts together may reserve
    struct manifest_service services[];
};

// Returns null, or what is wrong.
const char *manifest_check(const void *image, uint64_t bytes);
