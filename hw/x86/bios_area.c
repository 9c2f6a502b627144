/*
 * hw/x86/bios_area.c: what a BIOS leaves behind for kernels that look at it or drop to real mode, where
 * none runs: interrupt vectors whose handlers end the interrupt or say "not supported", the BIOS data
 * area (IBM PS/2 and PC BIOS interface technical reference), its extension, ticks of IRQ 0, and a jump
 * at F000:FFF0 that resets the machine. Services it has none, but for the equipment word (INT 11h), the
 * size of memory below 1 MiB (INT 12h) and the tick count.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/x86/bios_area.h"
#include "hw/core/machine.h"
#include "hw/timer/i8254.h"

#define SEGMENT 0xf000u
#define CODE_SIZE (0x100000 - BIOS_CODE_ADDR)
#define HANDLER_SIZE 32
#define HANDLER_OFFSET(h) ((BIOS_CODE_ADDR & 0xffff) + (h) * HANDLER_SIZE)
enum { VECTORS = 256, DATA_AREA = 0x400, LOW_SIZE = 0x500 };
enum { BDA_COM1 = 0x400, BDA_EBDA_SEGMENT = 0x40e, BDA_EQUIPMENT = 0x410, BDA_MEMORY_KIB = 0x413 };
enum { EQUIPMENT_FPU = BIT(1), EQUIPMENT_MOUSE = BIT(2), EQUIPMENT_ONE_SERIAL = 1 << 9 };
#define EBDA_ADDR 0x9fc00u

/* Real-mode code. */
typedef enum { IGNORE, END_MASTER, END_SLAVE, TICK, EQUIPMENT, MEMORY, UNSUPPORTED, RESET, HANDLERS } Handler;
#define CODE(...) {sizeof((const uint8_t[]){__VA_ARGS__}), {__VA_ARGS__}}
/* The operand of LIDT: six zero bytes behind the handlers. */
#define NO_IDT HANDLER_OFFSET(HANDLERS)
static const struct { uint8_t size, code[HANDLER_SIZE]; } handlers[HANDLERS] = {
    [IGNORE] = CODE(0xcf),                       /* iret */
    [END_MASTER] = CODE(0x50,                    /* push ax */
                        0xb0, 0x20, 0xe6, 0x20,  /* mov al, 20h; out 20h, al */
                        0x58, 0xcf),             /* pop ax; iret */
    [END_SLAVE] = CODE(0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf), /* out a0h, al as well */
    [TICK] = CODE(0x1e, 0x50, 0x31, 0xc0, 0x8e, 0xd8,       /* push ds; push ax; xor ax, ax; mov ds, ax */
                  0x66, 0xff, 0x06, 0x6c, 0x04, 0xcd, 0x1c, /* inc dword [46ch]; int 1ch */
                  0xb0, 0x20, 0xe6, 0x20, 0x58, 0x1f, 0xcf),
    [EQUIPMENT] = CODE(0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0xa1, 0x10, 0x04, 0x1f, 0xcf), /* mov ax, [410h] */
    [MEMORY] = CODE(0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0xa1, 0x13, 0x04, 0x1f, 0xcf),    /* mov ax, [413h] */
    [UNSUPPORTED] = CODE(0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x01, 0x5d, /* CF of the flags on the stack */
                         0xb4, 0x86, 0xcf),                              /* mov ah, 86h; iret */
    [RESET] = CODE(0xfa, 0x2e, 0x0f, 0x01, 0x1e, NO_IDT & 0xff, NO_IDT >> 8, /* cli; lidt cs:[NO_IDT] */
                   0xcc),                                                    /* int3: a triple fault */
};
static const struct { uint8_t first, last; Handler handler; } vectors[] = {
    {0x08, 0x08, TICK}, {0x09, 0x0f, END_MASTER}, {0x10, 0x10, UNSUPPORTED}, {0x11, 0x11, EQUIPMENT}, {0x12, 0x12, MEMORY},
    {0x13, 0x17, UNSUPPORTED}, {0x18, 0x19, RESET}, {0x1a, 0x1a, UNSUPPORTED}, {0x70, 0x77, END_SLAVE},
};

static bool add_low_memory(GError **error)
{
    uint8_t low[LOW_SIZE] = {0};

    for (unsigned v = 0; v < VECTORS; v++) {
        stl_le(low + v * 4, SEGMENT << 16 | HANDLER_OFFSET(IGNORE));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        for (unsigned v = vectors[i].first; v <= vectors[i].last; v++) {
            stw_le(low + v * 4, HANDLER_OFFSET(vectors[i].handler));
        }
    }
    stw_le(low + BDA_COM1, 0x3f8);
    stw_le(low + BDA_EBDA_SEGMENT, EBDA_ADDR >> 4);
    stw_le(low + BDA_EQUIPMENT, EQUIPMENT_FPU | EQUIPMENT_MOUSE | EQUIPMENT_ONE_SERIAL);
    stw_le(low + BDA_MEMORY_KIB, EBDA_ADDR / KiB);
    return rom_add_blob("bios-data", low, sizeof(low), 0, error);
}

bool bios_area_add(GError **error)
{
    static const uint8_t ebda_kib = 1;
    g_autofree uint8_t *code = g_malloc0(CODE_SIZE);
    uint8_t *entry = code + CODE_SIZE - 16;

    for (unsigned h = 0; h < HANDLERS; h++) {
        memcpy(code + h * HANDLER_SIZE, handlers[h].code, handlers[h].size);
    }
    entry[0] = 0xea; /* jmp far */
    stl_le(entry + 1, SEGMENT << 16 | HANDLER_OFFSET(RESET));
    memcpy(entry + 5, "01/01/24", 8);
    entry[14] = 0xfc; /* model: AT */
    return add_low_memory(error) && rom_add_blob("bios-extended-data", &ebda_kib, 1, EBDA_ADDR, error)
           && rom_add_blob("bios-code", code, CODE_SIZE, BIOS_CODE_ADDR, error);
}

void bios_start_ticks(void)
{
    static const struct { uint16_t port; uint8_t value; } writes[] = {
        {0x43, 0x36}, {0x40, 0}, {0x40, 0}, /* channel 0: mode 3, 65,536 */
    };

    for (unsigned i = 0; pit_find() && i < ARRAY_SIZE(writes); i++) {
        address_space_st(&address_space_io, writes[i].port, writes[i].value, 1, MEMTXATTRS_NONE, NULL);
    }
}
