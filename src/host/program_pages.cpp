#include "host/program_pages.hpp"

#include <cstdint>

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace surveyd {

void give_back_program_pages() {
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void*) {
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        for (unsigned i = 0; i < object->dlpi_phnum; ++i) {
          const ElfW(Phdr)& segment = object->dlpi_phdr[i];
          // Never written to: the file holds all there is.
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
          const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
          const std::uintptr_t aligned = begin & ~(page - 1);
          // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader gives addresses as numbers
          auto* const pages = reinterpret_cast<void*>(aligned);
          (void)::madvise(pages, begin - aligned + segment.p_filesz, MADV_DONTNEED);
        }
        return 0;
      },
      nullptr);
}

}  // namespace surveyd
