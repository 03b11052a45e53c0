/* heap.c - first fit: blocks side by side, a header of 8 bytes before each, the free ones in a list by address.
 *
 *     | size, next | free …  | size, 0 | a tensor …       | size, next | free …       |
 *       ^ wb_free_list   |________________________________^
 *
 * Sizes count the header and are multiples of 8. Neighbours that are free become one block. */
#include "model.h"
#include "runtime.h"

typedef struct {
    uint32_t size, next; /* next: the place of the next free block; WB_END behind the last one */
} wb_header;

enum { HEADER = sizeof(wb_header), LEAST = 2 * HEADER };
#define WB_END 0xffffffffu

uint32_t wb_free_list;

static wb_header *wb_header_at(uint32_t place) { return (wb_header *)(void *)(wb_arena + place); }

void wb_heap_reset(void)
{
    *wb_header_at(0) = (wb_header){ sizeof wb_arena, WB_END };
    wb_free_list = 0;
}

/* The place of so many bytes. Without room it stops here: nothing can be trained. */
uint32_t wb_allocate(uint32_t bytes)
{
    const uint32_t size = (bytes + HEADER + 7) / 8 * 8;
    uint32_t *link = &wb_free_list;
    while (*link != WB_END) {
        const uint32_t place = *link;
        wb_header *block = wb_header_at(place);
        if (block->size >= size) {
            if (block->size >= size + LEAST) {
                *wb_header_at(place + size) = (wb_header){ block->size - size, block->next };
                block->size = size;
                *link = place + size;
            } else
                *link = block->next;
            return place + HEADER;
        }
        link = &block->next;
    }
    __builtin_trap(); /* there is no room */
}

void wb_free(uint32_t place)
{
    uint32_t at = place - HEADER, before = WB_END, after = wb_free_list;
    while (after < at) {
        before = after;
        after = wb_header_at(after)->next;
    }
    wb_header *block = wb_header_at(at);
    block->next = after;
    if (after != WB_END && at + block->size == after)
        *block = (wb_header){ block->size + wb_header_at(after)->size, wb_header_at(after)->next };
    if (before == WB_END)
        wb_free_list = at;
    else if (before + wb_header_at(before)->size == at)
        *wb_header_at(before) = (wb_header){ wb_header_at(before)->size + block->size, block->next };
    else
        wb_header_at(before)->next = at;
}
