/* max_pool2d_each.h - the inner loops of max_pool2d.h for one type of element; included once for each, so no #pragma once.
 * WB_ELEMENT: the type. WB_NAMED(name): what a function is called for it. WB_IS_NUMBER(x): it is not NaN. */

/* Row oy of a channel. x: the first row of its windows that lies on the image, with the next `pitch` behind it; at: of
 * y's first element the place in `places`. */
WB_KERNEL void WB_NAMED(max_pool2d_row)(wb_max_pool2d p, int oy, int pitch, const WB_ELEMENT *restrict x,
                                        WB_ELEMENT *restrict y, void *places, int at)
{
    const int iy = oy * p.sh - p.pt, ky0 = wb_max(0, -iy), ky1 = wb_min(p.kh, p.x.rows - iy);
    __asm("" : "+r"(x)); /* GCC keeps this address in a register, and does not sum it up for each element */
    for (int ox = 0; ox < p.y.columns; ++ox) {
        const int ix = ox * p.sw - p.pl, kx0 = wb_max(0, -ix), kx1 = wb_min(p.kw, p.x.columns - ix);
        int place = ky0 * p.kw + kx0;
        WB_ELEMENT best = x[ix + kx0];
        for (int ky = ky0; ky < ky1; ++ky)
            for (int kx = kx0; kx < kx1; ++kx) {
                const WB_ELEMENT value = x[(ky - ky0) * pitch + ix + kx];
                if (!(value <= best) && WB_IS_NUMBER(best)) {
                    best = value;
                    place = ky * p.kw + kx;
                }
            }
        y[ox] = best;
        wb_set_place(p.place_bytes, places, at + ox, place);
    }
}
