#pragma once

#include <span>
#include <string_view>

namespace surveyd::http {

struct PageFile {
  std::string_view name;
  std::string_view bytes;
};

/// The files of web/, embedded at build time.
[[nodiscard]] std::span<const PageFile> page_files();

}  // namespace surveyd::http
