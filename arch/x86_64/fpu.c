// SPDX-License-Identifier: MIT
//
// FP and vector registers of user threads. CR0.TS switches them off: any x87, MMX, SSE or AVX
// instruction then traps (SDM volume 3, 2.5). AVX comes by XSAVE, where the processor has both;
// whatever else XSAVE could switch on stays undefined. All CPUs are as the boot CPU.
#include <arch/arch.h>
#include <arch/instructions.h>

#include "trap.h"

constexpr uint32_t CPUID1_XSAVE = 1u << 26, CPUID1_AVX = 1u << 28; // ecx
constexpr uint32_t STATE_X87 = 1, STATE_SSE = 2, STATE_AVX = 4;    // XCR0 (SDM volume 1, 13.3)
constexpr uint32_t STATE_ALL = STATE_X87 | STATE_SSE | STATE_AVX;
constexpr uint16_t CONTROL_INITIAL = 0x37f; // as FNINIT sets it: all exceptions masked
constexpr uint32_t MXCSR_INITIAL = 0x1f80;  // likewise

static bool xsave; // AVX can be used; immutable after the boot CPU's x86_fpu_init

static bool has_avx(void)
{
    const uint32_t wanted = CPUID1_XSAVE | CPUID1_AVX;
    if ((cpuid_leaf(1).ecx & wanted) != wanted || cpuid_leaf(13).eax == 0)
        return false;
    const struct cpuid avx = cpuid_read(13, 2); // eax: its bytes, ebx: where they begin
    return avx.ebx == offsetof(struct arch_fpu, upper_halves) &&
           avx.eax == sizeof(((struct arch_fpu *)nullptr)->upper_halves);
}

void x86_fpu_init(void)
{
    static bool known;
    if (!known)
        xsave = has_avx();
    known = true;
    cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT | (xsave ? CR4_OSXSAVE : 0));
    if (xsave)
        asm volatile("xsetbv" ::"c"(0), "a"(STATE_ALL), "d"(0));
    cr0_write((cr0_read() | CR0_MP | CR0_NE | CR0_TS) & ~CR0_EM);
}

void arch_fpu_init(struct arch_fpu *fpu)
{
    *fpu = (struct arch_fpu){.control = CONTROL_INITIAL, .mxcsr = MXCSR_INITIAL};
}

// FNINIT: on AMD's processors the loads leave the addresses of the last x87 instruction alone while
// no exception is pending, and so the last thread's (APM volume 2, 11.4.4).
void arch_fpu_restore(const struct arch_fpu *fpu)
{
    asm volatile("clts\n\tfninit");
    if (xsave)
        asm volatile("xrstor64 %0" ::"m"(*fpu), "a"(STATE_ALL), "d"(0));
    else
        asm volatile("fxrstor64 %0" ::"m"(*fpu));
}

void arch_fpu_save(struct arch_fpu *fpu)
{
    if (xsave)
        asm volatile("xsave64 %0" : "+m"(*fpu) : "a"(STATE_ALL), "d"(0));
    else
        asm volatile("fxsave64 %0" : "+m"(*fpu));
    cr0_write(cr0_read() | CR0_TS);
}
