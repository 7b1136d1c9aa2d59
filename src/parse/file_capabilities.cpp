#include "parse/file_capabilities.hpp"

#include <cstddef>

#include <linux/capability.h>

namespace surveyd::parse {
namespace {

// Little endian on every machine.
std::uint32_t word(std::string_view attribute, std::size_t index) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(attribute[index * 4 + i]))
             << (8 * i);
  return value;
}

}  // namespace

std::optional<FileCapabilities> file_capabilities(std::string_view attribute) {
  if (attribute.size() < 4) return std::nullopt;
  const std::uint32_t magic = word(attribute, 0);
  const std::uint32_t revision = magic & VFS_CAP_REVISION_MASK;
  const bool second = revision == VFS_CAP_REVISION_2 && attribute.size() == XATTR_CAPS_SZ_2;
  const bool third = revision == VFS_CAP_REVISION_3 && attribute.size() == XATTR_CAPS_SZ_3;
  if (!second && !third) return std::nullopt;

  // Permitted and inheritable, the lower 32 capabilities and then the higher ones.
  FileCapabilities result;
  result.permitted = word(attribute, 1) | static_cast<std::uint64_t>(word(attribute, 3)) << 32;
  result.effective = (magic & VFS_CAP_FLAGS_EFFECTIVE) != 0;
  if (third) result.root = word(attribute, 5);
  return result;
}

}  // namespace surveyd::parse
