// Text of the kernel's files and of those in /etc. The first byte chooses the parser: others may
// write what they read (a command's name, a mount point, a cgroup, /etc/subuid in a container).

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "parse/accounts.hpp"
#include "parse/credentials.hpp"
#include "parse/file_capabilities.hpp"
#include "parse/id_map.hpp"
#include "parse/kernel.hpp"
#include "parse/mountinfo.hpp"
#include "parse/os_release.hpp"
#include "parse/proc_cgroup.hpp"
#include "parse/proc_stat.hpp"
#include "parse/proc_status.hpp"
#include "parse/subordinate_ids.hpp"
#include "parse/systemd_unit.hpp"
#include "parse/words.hpp"

namespace surveyd::fuzz {
namespace {

constexpr std::string_view white_space = " \t\r\n\v\f";

bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_of(white_space) == std::string_view::npos;
}

bool lies_in(std::string_view part, std::string_view text) {
  return part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size();
}

// Every file of lines says the same when it is read in two parts, cut behind a line: one of the
// first, as each costs a reading.
template <class Parse>
void check_lines(std::string_view text, Parse parse) {
  const auto whole = parse(text);
  auto cut = text.find('\n');
  for (int i = 0; i < 8 && cut != std::string_view::npos; ++i, cut = text.find('\n', cut + 1)) {
    const auto first = parse(text.substr(0, cut + 1));
    const auto second = parse(text.substr(cut + 1));
    require(first.size() + second.size() == whole.size(), "lines are read one by one");
  }
}

void check_words(std::string_view text) {
  std::string again;
  for (const std::string_view line : parse::lines(text)) {
    require(line.find('\n') == std::string_view::npos && lies_in(line, text),
            "a line has no line end");
    again += std::string{line} + "\n";
  }
  require(again == text || again == std::string{text} + "\n", "lines are all of the text");
  const auto words = parse::words(text);
  require(std::all_of(words.begin(), words.end(), is_word), "words are without white space");
  require(parse::words(parse::joined(words)).size() == words.size(), "joined words stay words");
  const std::string_view trimmed = parse::trimmed(text);
  require(parse::trimmed(trimmed) == trimmed, "what is trimmed stays so");
}

void check_mountinfo(std::string_view text) {
  check_lines(text, [](std::string_view lines) { return parse::mountinfo(lines); });
  const auto mounts = parse::mountinfo(text);
  require(mounts.size() <= parse::lines(text).size(), "a line is one mount at most");
  for (const parse::Mount& mount : mounts) {
    require(mount.options.find(' ') == std::string::npos, "options are one field");
    const parse::Mount* top = parse::mount_at(mounts, mount.mount_point);
    require(top != nullptr && top >= &mount && top->mount_point == mount.mount_point,
            "the later mount is on top");
  }
}

void check_process_stat(std::string_view text) {
  const auto stat = parse::process_stat(text);
  if (!stat) return;
  require(std::string_view{white_space}.find(stat->state) == std::string_view::npos,
          "a state is a letter");
  // The text with the command's own brackets and blanks: again the same.
  std::string again = "1 (" + stat->command + ") " + stat->state + " " +
                      std::to_string(stat->parent) + " 0 0 0 0 " + std::to_string(stat->flags);
  for (int i = 7; i < 19; ++i) again += " 0";
  const auto second = parse::process_stat(again + " " + std::to_string(stat->start_time));
  require(second && second->command == stat->command && second->state == stat->state &&
              second->parent == stat->parent && second->flags == stat->flags &&
              second->start_time == stat->start_time,
          "a command cannot pretend to be another field");
}

void check_status(std::string_view text) {
  for (const char* key : {"Uid", "CapEff", "Groups", "NoNewPrivs", "NSpid"}) {
    const auto value = parse::status_field(text, key);
    require(!value || value->find('\n') == std::string::npos, "a value is of one line");
  }
  const auto found = parse::credentials(text);
  if (!found) return;
  require(parse::credentials(std::string{text} + "\nUid:\t0\t0\t0\t0\n") == found,
          "the first line counts, whatever follows");
}

void check_capability_set(std::string_view text) {
  const auto set = parse::capability_set(text);
  if (!set) return;
  require(text.size() <= 16 && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos,
          "a set is hexadecimal digits");
  char again[17];
  std::snprintf(again, sizeof again, "%016llx", static_cast<unsigned long long>(*set));
  require(parse::capability_set(again) == set, "a set is written as it is read");
}

void check_cgroup(std::string_view text) {
  if (const auto path = parse::cgroup_v2_path(text)) {
    require(!path->empty() && parse::trimmed(*path) == *path, "a path is trimmed");
    require(path->find('\n') == std::string::npos, "a path is of one line");
    const auto traits = parse::cgroup_path_traits(*path);
    require(!(traits.is_root && traits.outside_namespace), "a root is not outside");
  }
  for (const char* controller : {"devices", "cpu", "name=systemd"})
    if (const auto path = parse::cgroup_v1_path(text, controller))
      require(lies_in(*path, text) && path->find('\n') == std::string_view::npos,
              "a path is of one line");
}

void check_unit(std::string_view path) {
  const auto unit = parse::systemd_unit(path);
  if (!unit) return;
  constexpr std::string_view allowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@";
  // It goes into commands that people paste.
  require(unit->name.find_first_not_of(allowed) == std::string::npos && unit->name.size() < 256 &&
              (unit->name.ends_with(".service") || unit->name.ends_with(".scope")),
          "a unit has a unit's name");
  require(path.find(unit->name) != std::string_view::npos, "it is in the path");
}

void check_id_map(std::string_view text) {
  const std::uint64_t mapped = parse::mapped_ids(text);
  bool any = false;
  for (const unsigned id : {0U, 1U, 1000U, 65534U, 65536U, 4294967294U})
    any = parse::id_inside(text, id).has_value() || any;
  require(!any || mapped > 0, "an id inside is one that is mapped");
  for (auto cut = text.find('\n'); cut != std::string_view::npos; cut = text.find('\n', cut + 1))
    require(parse::mapped_ids(text.substr(0, cut + 1)) + parse::mapped_ids(text.substr(cut + 1)) ==
                mapped,
            "lines are counted one by one");
}

void check_subordinate(std::string_view text) {
  check_lines(text, parse::subordinate_ranges);
  const auto ranges = parse::subordinate_ranges(text);
  constexpr std::uint64_t end_of_ids = 0xFFFFFFFF;
  for (const parse::SubordinateRange& range : ranges) {
    require(range.count > 0 && range.first + range.count <= end_of_ids, "a range is of real ids");
    require(range.owner.find_first_of(":\n") == std::string::npos && !range.owner.empty(),
            "an owner is a field");
    require(parse::ids_of(ranges, range.owner, 0) >= range.count, "an owner has his range");
    require(parse::ids_of(ranges, range.owner, 0) <= end_of_ids, "no id counts twice");
  }
  if (const auto free = parse::free_range(ranges))
    for (const parse::SubordinateRange& range : ranges)
      require(
          *free + parse::ids_for_containers <= range.first || range.first + range.count <= *free,
          "what is free is nobody's");
}

void check_accounts(std::string_view text) {
  for (const unsigned id : {0U, 1000U}) {
    const auto name = parse::user_name(text, id);
    require(name == parse::group_name(text, id), "passwd and group are read alike");
    require(!name || (!name->empty() && name->find_first_of(":\n") == std::string::npos),
            "a name is a field");
  }
  for (const std::string_view line : parse::lines(text)) {
    std::string again;
    for (const std::string_view field : parse::colon_fields(line))
      again += (again.empty() && field.data() == line.data() ? "" : ":") + std::string{field};
    require(again == line, "fields are all of the line");
  }
}

void check_services(std::string_view text) {
  if (const auto services = parse::name_services(text, "subid"))
    require(std::all_of(services->begin(), services->end(), is_word), "services are words");
  const auto distributions = parse::distributions(text);
  require(std::all_of(distributions.begin(), distributions.end(), is_word),
          "distributions are words");
}

void check_environment(std::string_view text) {
  const auto value = parse::environment_variable(text, "container");
  if (!value) return;
  require(value->find('\0') == std::string_view::npos && lies_in(*value, text),
          "a value ends at its entry");
}

void check_file_capabilities(std::string_view attribute) {
  const auto found = parse::file_capabilities(attribute);
  if (!found) return;
  require(attribute.size() == 20 || attribute.size() == 24, "an attribute has its size");
  require(attribute.size() == 24 || found->root == 0, "only revision 3 names a root");
  require(!found->gives(21) || found->effective, "what is given is effective");
}

void check_kernel(std::string_view text) {
  if (const auto version = parse::kernel_version(text))
    require(parse::kernel_version(std::to_string(version->first) + "." +
                                  std::to_string(version->second) + "-x") == version,
            "a version is written as it is read");
  check_lines(text, parse::module_names);
  for (const std::string& name : parse::module_names(text))
    require(!name.empty() && name.find_first_of("/-\n:") == std::string::npos,
            "a module has a module's name");
}

void check_devices(std::string_view text) {
  if (parse::lists_misc_device(text, 200, "tun"))
    require(text.find("200") != text.npos && text.find("tun") != text.npos,
            "a device that is listed is in the text");
  if (parse::has_cpu_feature(text, 0x85))
    require(text.find("85") != text.npos, "a feature that is there is in the text");
}

constexpr void (*parsers[])(std::string_view) = {check_words,
                                                 check_mountinfo,
                                                 check_process_stat,
                                                 check_status,
                                                 check_capability_set,
                                                 check_cgroup,
                                                 check_unit,
                                                 check_id_map,
                                                 check_subordinate,
                                                 check_accounts,
                                                 check_services,
                                                 check_environment,
                                                 check_file_capabilities,
                                                 check_kernel,
                                                 check_devices};

}  // namespace
}  // namespace surveyd::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace surveyd::fuzz;
  std::string_view input = text_of(data, size);
  parsers[choose(input, std::size(parsers))](input);
  return 0;
}
