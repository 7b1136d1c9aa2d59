# Run by surveyd_embed: INPUTS (a list) -> OUTPUT.
set(arrays "")
set(table "")
set(index 0)
foreach(input IN LISTS INPUTS)
  get_filename_component(name ${input} NAME)
  file(READ ${input} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char bytes_${index}[] = {${bytes}};\n")
  string(APPEND table
    "    {\"${name}\", {reinterpret_cast<const char*>(bytes_${index}), sizeof bytes_${index}}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"http/page.hpp\"

namespace surveyd::http {
namespace {
${arrays}
const PageFile files[] = {
${table}};
}  // namespace

std::span<const PageFile> page_files() { return files; }

}  // namespace surveyd::http
")
