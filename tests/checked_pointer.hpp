/* checked_pointer.hpp - a pointer that knows its array, in place of a kernel's `float *`: tests/checked_pointers.py compiles
 * the kernels with it. Where one is formed outside [first element, one past the last], or read beyond, wb_outside notes it. */
#pragma once
#include <stdint.h>

#define restrict
#define WB_CHECKED static inline __attribute__((always_inline)) /* so that wb_outside returns to the kernel's own line */

extern "C" void wb_outside(void);

template <class T> struct ptr {
    T *at, *begin, *end;

    __attribute__((always_inline)) ptr(int = 0) : at(0), begin(0), end(0) {}
    __attribute__((always_inline)) ptr(T *at, T *begin, T *end) : at(at), begin(begin), end(end) {}
    template <class U, unsigned N> __attribute__((always_inline)) ptr(U (&a)[N]) : at(a), begin(a), end(a + N) {} /* a local array */
    template <class U> __attribute__((always_inline)) ptr(const ptr<U> &o)
        : at((T *)o.at), begin((T *)o.begin), end((T *)o.end)
    {
    }

    __attribute__((always_inline)) ptr moved(int by) const
    {
        const ptr to = { at + by, begin, end };
        if (to.at < begin || to.at > end || (!at && by))
            wb_outside();
        return to;
    }
    __attribute__((always_inline)) T &operator[](int i) const
    {
        if (at + i < begin || at + i >= end)
            wb_outside();
        return at[i];
    }
    __attribute__((always_inline)) T &operator*() const { return (*this)[0]; }
    __attribute__((always_inline)) ptr operator+(int by) const { return moved(by); }
    __attribute__((always_inline)) ptr operator-(int by) const { return moved(-by); }
    __attribute__((always_inline)) ptr &operator+=(int by) { return *this = moved(by); }
    __attribute__((always_inline)) ptr &operator++() { return *this = moved(1); }
    __attribute__((always_inline)) ptr operator++(int)
    {
        const ptr was = *this;
        *this = moved(1);
        return was;
    }
    __attribute__((always_inline)) explicit operator bool() const { return at; }
    __attribute__((always_inline)) bool operator!() const { return !at; }
    __attribute__((always_inline)) bool operator!=(int) const { return at; }
    template <class U> __attribute__((always_inline)) bool operator!=(const ptr<U> &o) const { return at != o.at; }
    template <class U> __attribute__((always_inline)) explicit operator U *() const { return (U *)(void *)at; }
};

template <class T, unsigned N> WB_CHECKED ptr<T> whole(T (&a)[N]) { return ptr<T>(a, a, a + N); }
template <class T> WB_CHECKED ptr<T> whole(T &a) { return ptr<T>(&a, &a, &a + 1); }

/* `bytes` of the arena from `at` on. */
template <class T> WB_CHECKED ptr<T> piece(uint8_t *at, int bytes)
{
    return ptr<T>((T *)(void *)at, (T *)(void *)at, (T *)(void *)(at + bytes));
}

/* An array in a call, as C's compound literals are. */
template <class T, unsigned N> struct list {
    T a[N];
    operator const T *() const { return a; }
};
template <class T, class... U> WB_CHECKED list<T, sizeof...(U)> listed(U... u) { return { { T(u)... } }; }
