// SPDX-License-Identifier: MIT
//
// Instructions that C cannot say, one function each, for arch/, hal/ and platform/ of x86_64.
// Numbers are from the Intel SDM, volume 4 (MSRs) and volume 3, 2.5 (control registers).
#pragma once

#include <stdint.h>

enum msr : uint32_t {
    MSR_APIC_BASE = 0x1b,
    MSR_X2APIC_FIRST = 0x800, // and the 63 behind it
    MSR_EFER = 0xc000'0080,
    MSR_STAR = 0xc000'0081,
    MSR_LSTAR = 0xc000'0082,
    MSR_FMASK = 0xc000'0084,
    MSR_GS_BASE = 0xc000'0101,
    MSR_KERNEL_GS_BASE = 0xc000'0102,
};

constexpr uint64_t CR0_MP = 1u << 1;
constexpr uint64_t CR0_EM = 1u << 2;
constexpr uint64_t CR0_TS = 1u << 3;
constexpr uint64_t CR0_NE = 1u << 5;
constexpr uint64_t CR0_WP = 1u << 16;
constexpr uint64_t CR0_AM = 1u << 18;
constexpr uint64_t CR4_TSD = 1u << 2;
constexpr uint64_t CR4_MCE = 1u << 6;
constexpr uint64_t CR4_PGE = 1u << 7;
constexpr uint64_t CR4_OSFXSR = 1u << 9;
constexpr uint64_t CR4_OSXMMEXCPT = 1u << 10;
constexpr uint64_t CR4_UMIP = 1u << 11;
constexpr uint64_t CR4_OSXSAVE = 1u << 18;
constexpr uint64_t CR4_SMEP = 1u << 20;
constexpr uint64_t CR4_SMAP = 1u << 21;
constexpr uint64_t EFER_SCE = 1u << 0;
constexpr uint64_t EFER_NXE = 1u << 11;

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    asm volatile("cpuid"
                 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                 : "a"(leaf), "c"(subleaf));
    return r;
}

// A leaf above the maximum answers with another leaf's numbers, so it reads as zeros here.
static inline struct cpuid cpuid_leaf(uint32_t leaf)
{
    if (cpuid_read(leaf & 0x8000'0000, 0).eax < leaf)
        return (struct cpuid){};
    return cpuid_read(leaf, 0);
}

static inline uint64_t msr_read(enum msr msr)
{
    uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(enum msr msr, uint64_t value)
{
    asm volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t cr0_read(void)
{
    uint64_t value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline void cr0_write(uint64_t value)
{
    asm volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

static inline uint64_t cr2_read(void)
{
    uint64_t value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t cr3_read(void)
{
    uint64_t value;
    asm volatile("mov %%cr3, %0" : "=r"(value)::"memory");
    return value;
}

static inline void cr3_write(uint64_t value)
{
    asm volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}

static inline uint64_t cr4_read(void)
{
    uint64_t value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void cr4_write(uint64_t value)
{
    asm volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

// The counter, not read before earlier instructions are done. LFENCE orders RDTSC on every
// processor with the x86-64 baseline.
static inline uint64_t tsc_read(void)
{
    uint32_t low, high;
    asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t port_read16(uint16_t port)
{
    uint16_t value;
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t port_read32(uint16_t port)
{
    uint32_t value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void port_write8(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void port_write16(uint16_t port, uint16_t value)
{
    asm volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void port_write32(uint16_t port, uint32_t value)
{
    asm volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
