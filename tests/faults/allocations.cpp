// SPDX-License-Identifier: GPL-3.0-or-later
//
// A library to be preloaded: counts the allocations of a program and of all processes that it starts, and lets one fail.
//
//     UMS_ALLOCATIONS  a file of 16 bytes, mapped: how many there were, and how often one has failed
//     UMS_FAILS        the number of the one that fails (1: the first); 0: none
//
// malloc() and its like return nothing with ENOMEM, operator new throws. With a sanitized program it must come before the
// sanitizer's library, which it calls then.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

struct Counts {
    std::atomic<std::uint64_t> allocations;
    std::atomic<std::uint64_t> failed;
};

Counts* counts = nullptr;
std::uint64_t fails = 0;
thread_local bool inside = false;  // an operator new that calls malloc() is one allocation

// What dlsym() itself allocates, before it has found anything.
alignas(16) char first_memory[4096];
std::size_t first_used = 0;

bool is_first(const void* memory) { return memory >= first_memory && memory < first_memory + sizeof first_memory; }

void* first_allocation(std::size_t size) {
    const auto at = (first_used + 15) & ~std::size_t{15};
    if (at + size > sizeof first_memory) _exit(125);
    first_used = at + size;
    return first_memory + at;
}

template <typename Function>
Function next(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool finding = false;

template <typename Function>
Function found(std::atomic<Function>& known, const char* name) {
    auto function = known.load(std::memory_order_relaxed);
    if (function == nullptr) {
        finding = true;
        function = next<Function>(name);
        finding = false;
        known = function;
    }
    return function;
}

bool is_the_one() {
    if (counts == nullptr || inside) return false;
    const auto number = ++counts->allocations;
    if (fails == 0 || number != fails) return false;
    ++counts->failed;
    return true;
}

[[gnu::constructor]] void begin() {
    const char* file = std::getenv("UMS_ALLOCATIONS");
    const char* number = std::getenv("UMS_FAILS");
    if (file == nullptr || number == nullptr) return;
    const int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) _exit(125);
    void* memory = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED) _exit(125);
    fails = std::strtoull(number, nullptr, 10);
    counts = static_cast<Counts*>(memory);
}

void* no_memory() {
    errno = ENOMEM;
    return nullptr;
}

template <typename... Sizes>
void* new_memory(std::atomic<void* (*)(Sizes...)>& known, const char* name, Sizes... sizes) {
    if (is_the_one()) return nullptr;
    const bool outermost = !inside;
    inside = true;
    void* memory = found(known, name)(sizes...);
    if (outermost) inside = false;
    return memory;
}

std::atomic<void* (*)(std::size_t)> real_malloc;
std::atomic<void* (*)(std::size_t, std::size_t)> real_calloc;
std::atomic<void* (*)(void*, std::size_t)> real_realloc;
std::atomic<void (*)(void*)> real_free;
std::atomic<int (*)(void**, std::size_t, std::size_t)> real_posix_memalign;
std::atomic<void* (*)(std::size_t, std::size_t)> real_aligned_alloc;
std::atomic<void* (*)(std::size_t)> real_new;
std::atomic<void* (*)(std::size_t)> real_new_array;
std::atomic<void* (*)(std::size_t, std::align_val_t)> real_new_aligned;

void* thrown_if_none(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
    if (finding) return first_allocation(size);
    if (is_the_one()) return no_memory();
    return found(real_malloc, "malloc")(size);
}

void* calloc(std::size_t count, std::size_t size) {
    if (finding) return std::memset(first_allocation(count * size), 0, count * size);
    if (is_the_one()) return no_memory();
    return found(real_calloc, "calloc")(count, size);
}

void* realloc(void* old, std::size_t size) {
    if (is_first(old)) _exit(125);
    if (is_the_one()) return no_memory();
    return found(real_realloc, "realloc")(old, size);
}

void free(void* memory) {
    // What dlsym() frees while it looks for this function is a few bytes.
    if (memory == nullptr || finding || is_first(memory)) return;
    found(real_free, "free")(memory);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
    if (is_the_one()) return ENOMEM;
    return found(real_posix_memalign, "posix_memalign")(memory, alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
    if (is_the_one()) return no_memory();
    return found(real_aligned_alloc, "aligned_alloc")(alignment, size);
}

}  // extern "C"

void* operator new(std::size_t size) { return thrown_if_none(new_memory(real_new, "_Znwm", size)); }
void* operator new[](std::size_t size) { return thrown_if_none(new_memory(real_new_array, "_Znam", size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return thrown_if_none(new_memory(real_new_aligned, "_ZnwmSt11align_val_t", size, alignment));
}
