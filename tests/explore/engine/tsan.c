// SPDX-License-Identifier: MIT
//
// What the compiler's thread-sanitizer instrumentation calls (clang 22, tsan_interface.h and
// tsan_interface_atomic.h of its runtime, which is not linked). Memory orders come as __ATOMIC_
// numbers.
#include <string.h>

#include "engine.h"
#include "stack.h"

#pragma clang diagnostic ignored "-Wmissing-prototypes"

#define PC ((uintptr_t)__builtin_return_address(0))

static bool is_seen(uintptr_t address)
{
    return exploring && current < THREADS && !is_own_stack(address) && !is_ignored(address);
}

static void plain(const void *address, size_t bytes, bool write, uintptr_t pc)
{
    if (is_seen((uintptr_t)address) && bytes > 0)
        race_plain((uintptr_t)address, bytes, write, pc);
}

void __tsan_init(void)
{
}

#define PLAIN(name, bytes, write)         \
    void name(void *address);             \
    void name(void *address)              \
    {                                     \
        plain(address, bytes, write, PC); \
    }
#define PLAIN_SIZES(prefix, suffix, write) \
    PLAIN(prefix##1##suffix, 1, write)     \
    PLAIN(prefix##2##suffix, 2, write)     \
    PLAIN(prefix##4##suffix, 4, write)     \
    PLAIN(prefix##8##suffix, 8, write)     \
    PLAIN(prefix##16##suffix, 16, write)
PLAIN_SIZES(__tsan_read, , false)
PLAIN_SIZES(__tsan_write, , true)
PLAIN_SIZES(__tsan_unaligned_read, , false)
PLAIN_SIZES(__tsan_unaligned_write, , true)
PLAIN_SIZES(__tsan_read_write, , true)
PLAIN_SIZES(__tsan_unaligned_read_write, , true)
PLAIN_SIZES(__tsan_volatile_read, , false)
PLAIN_SIZES(__tsan_volatile_write, , true)
PLAIN_SIZES(__tsan_unaligned_volatile_read, , false)
PLAIN_SIZES(__tsan_unaligned_volatile_write, , true)

void __tsan_read_range(void *address, size_t bytes)
{
    plain(address, bytes, false, PC);
}

void __tsan_write_range(void *address, size_t bytes)
{
    plain(address, bytes, true, PC);
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
    plain(from, bytes, false, PC);
    plain(to, bytes, true, PC);
    return memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
    plain(from, bytes, false, PC);
    plain(to, bytes, true, PC);
    return memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int value, size_t bytes)
{
    plain(to, bytes, true, PC);
    return memset(to, value, bytes);
}

// ---- atomics

static uint64_t atomic(enum operation_kind kind, enum rmw rmw, void *address, size_t size,
                       uint64_t value, int order, uintptr_t pc)
{
    struct operation op = {.kind = kind,
                           .rmw = rmw,
                           .size = (uint8_t)size,
                           .order = (uint8_t)order,
                           .failure_order = (uint8_t)order,
                           .address = (uintptr_t)address,
                           .pc = pc,
                           .value = value};
    operation_perform(&op);
    return op.old;
}

static bool compare(void *address, uint64_t *expected, uint64_t value, size_t size, int order,
                    int failure_order, uintptr_t pc)
{
    struct operation op = {.kind = OP_CAS,
                           .size = (uint8_t)size,
                           .order = (uint8_t)order,
                           .failure_order = (uint8_t)failure_order,
                           .address = (uintptr_t)address,
                           .pc = pc,
                           .value = value,
                           .expected = *expected};
    operation_perform(&op);
    *expected = op.old;
    return op.success;
}

#define RMW(name, type, bits, kind, builtin)                                                    \
    type __tsan_atomic##bits##_##name(volatile type *at, type value, int order)                 \
    {                                                                                           \
        if (!is_seen((uintptr_t)at))                                                            \
            return builtin(at, value, __ATOMIC_SEQ_CST);                                        \
        return (type)atomic(OP_RMW, kind, (void *)(uintptr_t)at, sizeof(type), (uint64_t)value, \
                            order, PC);                                                         \
    }

#define ATOMICS(bits)                                                                            \
    typedef uint##bits##_t u##bits;                                                              \
    u##bits __tsan_atomic##bits##_load(const volatile u##bits *at, int order)                    \
    {                                                                                            \
        if (!is_seen((uintptr_t)at))                                                             \
            return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                        \
        return (u##bits)atomic(OP_LOAD, RMW_EXCHANGE, (void *)(uintptr_t)at, sizeof(u##bits), 0, \
                               order, PC);                                                       \
    }                                                                                            \
    void __tsan_atomic##bits##_store(volatile u##bits *at, u##bits value, int order)             \
    {                                                                                            \
        if (!is_seen((uintptr_t)at))                                                             \
            __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                       \
        else                                                                                     \
            atomic(OP_STORE, RMW_EXCHANGE, (void *)(uintptr_t)at, sizeof(u##bits), value, order, \
                   PC);                                                                          \
    }                                                                                            \
    RMW(exchange, u##bits, bits, RMW_EXCHANGE, __atomic_exchange_n)                              \
    RMW(fetch_add, u##bits, bits, RMW_ADD, __atomic_fetch_add)                                   \
    RMW(fetch_sub, u##bits, bits, RMW_SUB, __atomic_fetch_sub)                                   \
    RMW(fetch_and, u##bits, bits, RMW_AND, __atomic_fetch_and)                                   \
    RMW(fetch_or, u##bits, bits, RMW_OR, __atomic_fetch_or)                                      \
    RMW(fetch_xor, u##bits, bits, RMW_XOR, __atomic_fetch_xor)                                   \
    RMW(fetch_nand, u##bits, bits, RMW_NAND, __atomic_fetch_nand)                                \
    static bool compare##bits(volatile u##bits *at, u##bits *expected, u##bits value, int order, \
                              int failure_order, uintptr_t pc)                                   \
    {                                                                                            \
        if (!is_seen((uintptr_t)at))                                                             \
            return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,     \
                                               __ATOMIC_SEQ_CST);                                \
        uint64_t wanted = *expected;                                                             \
        bool done = compare((void *)(uintptr_t)at, &wanted, value, sizeof(u##bits), order,       \
                            failure_order, pc);                                                  \
        *expected = (u##bits)wanted;                                                             \
        return done;                                                                             \
    }                                                                                            \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile u##bits *at, u##bits *expected,   \
                                                      u##bits value, int order, int failure)     \
    {                                                                                            \
        return compare##bits(at, expected, value, order, failure, PC);                           \
    }                                                                                            \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile u##bits *at, u##bits *expected,     \
                                                    u##bits value, int order, int failure)       \
    {                                                                                            \
        return compare##bits(at, expected, value, order, failure, PC);                           \
    }                                                                                            \
    u##bits __tsan_atomic##bits##_compare_exchange_val(volatile u##bits *at, u##bits expected,   \
                                                       u##bits value, int order, int failure)    \
    {                                                                                            \
        (void)compare##bits(at, &expected, value, order, failure, PC);                           \
        return expected;                                                                         \
    }
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

void __tsan_atomic_thread_fence(int order)
{
    if (exploring && current < THREADS)
        atomic(OP_FENCE, RMW_EXCHANGE, nullptr, 0, 0, order, PC);
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
