// 99 real environments, recorded with what the reference reported and what really worked there.

#include <fstream>
#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <surveyd/probe.hpp>
#include <surveyd/survey.hpp>

#include "support/fixture_host.hpp"

namespace surveyd::test {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* key) {
  const auto value = object.find(key);
  return value != object.end() && value->is_string() ? value->get<std::string>() : "";
}

std::uint64_t hexadecimal(const std::string& digits) {
  return std::stoull(digits, nullptr, 16);
}

// "dir 755 0:0", "file 644 0:0", "chr 600 0:0 10,200"; anything else means that it is not there.
void add_node(FixtureHost& host, const std::string& path, const std::string& listing,
              const std::string& content = {}) {
  static const std::regex form{R"((dir|file|chr) (\d+) (\d+):(\d+)(?: (\d+),(\d+))?)"};
  std::smatch match;
  if (!std::regex_match(listing, match, form)) return;
  const auto mode = static_cast<unsigned>(std::stoul(match[2], nullptr, 8));
  const auto owner = static_cast<unsigned>(std::stoul(match[3]));
  if (match[1] == "dir")
    host.add_directory(path, mode, owner);
  else if (match[1] == "file")
    host.add_file(path, content, mode, owner);
  else
    host.add_device(path, static_cast<unsigned>(std::stoul(match[5])),
                    static_cast<unsigned>(std::stoul(match[6])), mode, owner);
}

void add_identity(FixtureHost& host, const json& facts) {
  Identity& identity = host.identity;
  identity.effective_uid = facts["euid"];
  identity.real_uid = facts["uid"];
  identity.initial_user_namespace = text(facts, "ns_user") == "user:[4026531837]";
  if (!facts.contains("CapEff")) {  // there was no /proc to record it from
    identity.effective_capabilities.reset();
    return;
  }
  identity.effective_capabilities = hexadecimal(facts["CapEff"]);
  identity.permitted_capabilities = hexadecimal(facts["CapPrm"]);
}

void add_namespaces(FixtureHost& host, const json& facts) {
  static const std::regex form{R"(\w+:\[(\d+)\])"};
  for (const std::string name : {"cgroup", "pid", "user"}) {
    const std::string link = text(facts, ("ns_" + name).c_str());
    std::smatch match;
    if (!std::regex_match(link, match, form)) continue;
    Node node;
    node.info.inode = std::stoull(match[1]);
    host.nodes["/proc/self/ns/" + name] = node;
  }
}

void add_cgroups(FixtureHost& host, const json& facts, const json& truth) {
  const std::string root = "/sys/fs/cgroup";
  const std::string mount = text(facts, "sys_fs_cgroup");  // "cgroup2 rw"
  host.mounts[root] = {mount.starts_with("cgroup2") ? cgroup2_magic : tmpfs_magic,
                       mount.ends_with(" ro")};
  add_node(host, root, text(truth, "root_dir"));
  add_node(host, root + "/cgroup.subtree_control", text(truth, "root_subtree_control"));
  if (mount.starts_with("cgroup2")) {
    host.add_file(root + "/cgroup.controllers", text(truth, "root_controllers"));
    if (const std::string type = text(truth, "root_type"); !type.empty())
      host.add_file(root + "/cgroup.type", type);
  }

  // "/sys/fs/cgroup/a (dir 755 0:0)"
  static const std::regex form{R"((.*) \((.*)\))"};
  const std::string scope = text(truth, "own_scope");
  std::smatch match;
  if (!std::regex_match(scope, match, form) || match[1] == root) return;
  const std::string path = match[1];
  const std::string listing = match[2];
  if (!listing.starts_with("dir ")) return;
  add_node(host, path, listing);
  const std::string owner = listing.substr(listing.rfind(' ') + 1);
  add_node(host, path + "/cgroup.subtree_control", "file 644 " + owner);
  host.add_file(path + "/cgroup.controllers", text(truth, "own_controllers"));
  if (const std::string type = text(truth, "own_type"); !type.empty())
    host.add_file(path + "/cgroup.type", type);
}

void fill(FixtureHost& host, const json& row) {
  const json& facts = row["facts"];
  add_identity(host, facts);
  add_namespaces(host, facts);
  add_node(host, "/dev/net/tun", text(facts, "dev_net_tun"));
  add_node(host, "/dev/fuse", text(facts, "dev_fuse"));
  if (const std::string own = text(facts, "proc_self_cgroup"); !own.starts_with("errno:"))
    host.add_file("/proc/self/cgroup", own);
  if (const json& lines = facts["mountinfo_cgroup"]; lines.is_array() && !lines.empty()) {
    std::string mountinfo;
    for (const json& line : lines) mountinfo += line.get<std::string>() + "\n";
    host.add_file("/proc/self/mountinfo", mountinfo);
  }
  add_cgroups(host, facts, row["truth"]);
  host.release = text(facts, "kernel");
}

std::vector<json> rows() {
  std::ifstream file{SURVEYD_FIXTURES "/environments.jsonl"};
  std::vector<json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(json::parse(line));
  return rows;
}

class Environment : public testing::TestWithParam<json> {};

TEST_P(Environment, IsReportedAsTheReferenceAndAssessedAsItIs) {
  const json& row = GetParam();
  FixtureHost host;
  fill(host, row);
  const Survey survey = conclude(run_probes(probes_for({default_storage}), host, {}), {});
  const Capabilities& fields = survey.capabilities;
  const json& reference = row["reference"];

  EXPECT_EQ(fields.is_root, reference["is_root"]);
  EXPECT_EQ(fields.is_nested, reference["is_nested"]);
  EXPECT_EQ(fields.cgroup_parent.value_or(""), text(reference, "cgroup_parent"));
  EXPECT_EQ(fields.cgroup_parent.has_value(), !reference["cgroup_parent"].is_null());
  EXPECT_EQ(fields.can_write_cgroup_root, reference["can_write_cgroup_root"]);
  EXPECT_EQ(fields.has_cap_net_admin, reference["has_cap_net_admin"]);
  EXPECT_EQ(fields.tun_device_available, reference["tun_device_available"]);
  EXPECT_EQ(to_string(fields.effective_mode), reference["effective_mode"]);
  EXPECT_EQ(to_string(survey.assessment.mode), row["truth"]["mode"]);

  // Every difference is explained, and nothing else is.
  const bool differ = fields.effective_mode != survey.assessment.mode;
  EXPECT_EQ(survey.assessment.disagreements.size() > 1, differ);
  EXPECT_EQ(survey.unmet_for_full.empty(), fields.effective_mode == Mode::full);
}

INSTANTIATE_TEST_SUITE_P(Recorded, Environment, testing::ValuesIn(rows()), [](const auto& row) {
  std::string name = row.param["name"];
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

TEST(Environments, AreAllThere) {
  EXPECT_EQ(rows().size(), 99U);
}

}  // namespace

// Keeps a failed case readable: its name instead of the whole row.
void PrintTo(const nlohmann::json& row, std::ostream* out) {
  *out << row["name"];
}

}  // namespace surveyd::test
