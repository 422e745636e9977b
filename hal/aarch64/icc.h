// SPDX-License-Identifier: MIT
//
// The CPU interface of a GICv3 by system registers, group 1 at EL1 (IHI 0069, chapter 12.2). What
// order their effects need is in 12.1.6: an acknowledgement is over when a DSB after it is; a write
// takes effect at the next context synchronisation.
#pragma once

#include <stdint.h>

#define ICC_READ(name)                                    \
    ({                                                    \
        uint64_t value_;                                  \
        __asm__ volatile("mrs %0, " name : "=r"(value_)); \
        value_;                                           \
    })
#define ICC_WRITE(name, value) \
    __asm__ volatile("msr " name ", %0" ::"r"((uint64_t)(value)) : "memory")

constexpr uint64_t ICC_SRE_SRE = 1u << 0;
constexpr uint64_t ICC_CTLR_EOIMODE = 1u << 1; // completing takes two writes
constexpr uint64_t ICC_CTLR_RSS = 1u << 18;    // SGIs reach more than 16 CPUs of one Aff1

// MPIDR_EL1's affinity fields: what GICD_IROUTER takes, too.
static inline uint64_t icc_affinity(void)
{
    return ICC_READ("mpidr_el1") & 0xff'00ff'ffff;
}

static inline bool icc_present(void)
{
    return (ICC_READ("id_aa64pfr0_el1") >> 24 & 0xf) != 0;
}

// Switches this CPU's interface on, all priorities let in. false: a higher exception level keeps
// it from EL1 (head.S has opened EL2's door where there is one).
static inline bool icc_start(void)
{
    ICC_WRITE("icc_sre_el1", ICC_READ("icc_sre_el1") | ICC_SRE_SRE);
    __asm__ volatile("isb" ::: "memory");
    if ((ICC_READ("icc_sre_el1") & ICC_SRE_SRE) == 0)
        return false;
    const uint64_t control = ICC_READ("icc_ctlr_el1");
    ICC_WRITE("icc_ctlr_el1", control & ~ICC_CTLR_EOIMODE);
    ICC_WRITE("icc_pmr_el1", 0xff);
    ICC_WRITE("icc_bpr1_el1", 7); // no preemption between interrupts
    // What whoever ran before had acknowledged and not completed; how many of the registers there
    // are depends on the number of priority bits.
    const uint64_t priority_bits = (control >> 8 & 7) + 1;
    ICC_WRITE("icc_ap1r0_el1", 0);
    if (priority_bits > 5)
        ICC_WRITE("icc_ap1r1_el1", 0);
    if (priority_bits > 6) {
        ICC_WRITE("icc_ap1r2_el1", 0);
        ICC_WRITE("icc_ap1r3_el1", 0);
    }
    __asm__ volatile("isb" ::: "memory");
    ICC_WRITE("icc_igrpen1_el1", 1);
    __asm__ volatile("isb" ::: "memory");
    return true;
}

static inline bool icc_range_selector(void)
{
    return (ICC_READ("icc_ctlr_el1") & ICC_CTLR_RSS) != 0;
}

// Memory that the interrupt is about is read after this, not ahead of it.
static inline uint32_t icc_acknowledge(void)
{
    uint64_t intid;
    __asm__ volatile("mrs %0, icc_iar1_el1\n\tdsb sy" : "=r"(intid)::"memory");
    return (uint32_t)intid & 0xff'ffff;
}

static inline void icc_complete(uint32_t intid)
{
    __asm__ volatile("msr icc_eoir1_el1, %0\n\tisb" ::"r"((uint64_t)intid) : "memory");
}

// What was written before is there for whoever acknowledges the SGI.
static inline void icc_send(uint64_t sgi)
{
    __asm__ volatile("dsb ishst\n\tmsr icc_sgi1r_el1, %0\n\tisb" ::"r"(sgi) : "memory");
}
