#include "cli/settings.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <unistd.h>

namespace surveyd::test {
namespace {

using cli::Command;
using cli::Settings;
using List = std::vector<std::string>;

/// Gives every case an environment without settings, and puts back what was there.
class SettingsTest : public testing::Test {
 protected:
  SettingsTest() : saved_(variables()) { clear(); }
  ~SettingsTest() override {
    clear();
    for (const auto& [name, value] : saved_) ::setenv(name.c_str(), value.c_str(), 1);
    std::filesystem::remove(file_);
  }

  void file(const std::string& text) {
    file_ = testing::TempDir() + "surveyd-settings-" + std::to_string(::getpid()) + ".toml";
    std::ofstream{file_} << text;
    set("SURVEYD_CONFIG", file_);
  }

  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  std::variant<Settings, int> parse(List arguments) {
    arguments.insert(arguments.begin(), "surveyd");
    std::vector<const char*> argv;
    for (const std::string& one : arguments) argv.push_back(one.c_str());
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    auto result = cli::parse_settings(static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    error_ = testing::internal::GetCapturedStderr();
    return result;
  }

  Settings accepted(List arguments) {
    const auto result = parse(std::move(arguments));
    EXPECT_TRUE(std::holds_alternative<Settings>(result)) << error_;
    return std::holds_alternative<Settings>(result) ? std::get<Settings>(result) : Settings{};
  }

  // One line on stderr that mentions the culprit, and status 2.
  void expect_refused(const List& arguments, const std::string& culprit) {
    const auto result = parse(arguments);
    ASSERT_TRUE(std::holds_alternative<int>(result)) << culprit;
    EXPECT_EQ(std::get<int>(result), 2);
    EXPECT_TRUE(error_.starts_with("surveyd: ")) << error_;
    EXPECT_EQ(error_.find('\n'), error_.size() - 1) << error_;
    EXPECT_NE(error_.find(culprit), std::string::npos) << error_;
    EXPECT_EQ(out_, "");
  }

  std::string out_;
  std::string error_;
  std::string file_;

 private:
  static std::map<std::string, std::string> variables() {
    std::map<std::string, std::string> result;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text{*entry};
      const auto equals = text.find('=');
      if (text.starts_with("SURVEYD_")) result[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return result;
  }
  static void clear() {
    for (const auto& [name, value] : variables()) ::unsetenv(name.c_str());
  }

  std::map<std::string, std::string> saved_;
};

TEST_F(SettingsTest, HaveTheDocumentedDefaults) {
  const Settings settings = accepted({});
  EXPECT_EQ(settings.command, Command::serve);
  EXPECT_EQ(settings.listen, List{});
  EXPECT_EQ(settings.listen_remote, List{});
  EXPECT_EQ(settings.unix_socket, std::nullopt);
  EXPECT_EQ(settings.interval.count(), 30);
  EXPECT_EQ(settings.cgroup_name, "zlayer");
  EXPECT_EQ(settings.cgroup_base, "");
  EXPECT_FALSE(settings.repair);
  EXPECT_EQ(settings.log_level, "info");
  EXPECT_EQ(settings.log_format, "text");
  EXPECT_FALSE(settings.json);
  EXPECT_EQ(settings.unknown_variables, List{});
}

TEST_F(SettingsTest, TakeTheCommandLineBeforeTheEnvironmentBeforeTheFile) {
  file("interval = 1\ncgroup-name = \"of-file\"\nlog-level = \"error\"\n");
  set("SURVEYD_INTERVAL", "2");
  set("SURVEYD_CGROUP_NAME", "of-environment");
  const Settings settings = accepted({"--interval", "3"});
  EXPECT_EQ(settings.interval.count(), 3);
  EXPECT_EQ(settings.cgroup_name, "of-environment");
  EXPECT_EQ(settings.log_level, "error");
}

TEST_F(SettingsTest, TakeEachOptionFromTheEnvironment) {
  set("SURVEYD_LISTEN", "127.0.0.1:1,[::1]:2");
  set("SURVEYD_LISTEN_REMOTE", "0.0.0.0:3,192.0.2.1:4");
  set("SURVEYD_UNIX_SOCKET", "/run/x.sock");
  set("SURVEYD_INTERVAL", "86400");
  set("SURVEYD_CGROUP_NAME", "x");
  set("SURVEYD_CGROUP_BASE", "/system.slice/surveyd@1.service");
  set("SURVEYD_REPAIR", "true");
  set("SURVEYD_LOG_LEVEL", "debug");
  set("SURVEYD_LOG_FORMAT", "json");
  const Settings settings = accepted({});
  EXPECT_EQ(settings.listen, (List{"127.0.0.1:1", "[::1]:2"}));
  EXPECT_EQ(settings.listen_remote, (List{"0.0.0.0:3", "192.0.2.1:4"}));
  EXPECT_EQ(settings.unix_socket, "/run/x.sock");
  EXPECT_EQ(settings.interval.count(), 86400);
  EXPECT_EQ(settings.cgroup_name, "x");
  EXPECT_EQ(settings.cgroup_base, "/system.slice/surveyd@1.service");
  EXPECT_TRUE(settings.repair);
  EXPECT_EQ(settings.log_level, "debug");
  EXPECT_EQ(settings.log_format, "json");
}

TEST_F(SettingsTest, TakeListsFromTheFile) {
  file("listen = [\"127.0.0.1:1\", \"[::1]:2\"]\nlisten-remote = \"0.0.0.0:3\"\n");
  const Settings settings = accepted({});
  EXPECT_EQ(settings.listen, (List{"127.0.0.1:1", "[::1]:2"}));
  EXPECT_EQ(settings.listen_remote, List{"0.0.0.0:3"});
}

TEST_F(SettingsTest, TakeListsByCommaAndByRepetition) {
  const Settings settings =
      accepted({"--listen", "127.0.0.1:1,127.0.0.2:2", "--listen", "[::1]:3"});
  EXPECT_EQ(settings.listen, (List{"127.0.0.1:1", "127.0.0.2:2", "[::1]:3"}));
}

TEST_F(SettingsTest, ReplaceAListAsAWhole) {
  set("SURVEYD_LISTEN", "127.0.0.1:1,127.0.0.1:2");
  EXPECT_EQ(accepted({"--listen", "[::1]:3"}).listen, List{"[::1]:3"});
}

TEST_F(SettingsTest, DoNotTakeTheNextWordForAnotherAddress) {
  const Settings settings = accepted({"--listen", "127.0.0.1:1", "survey", "--json"});
  EXPECT_EQ(settings.listen, List{"127.0.0.1:1"});
  EXPECT_EQ(settings.command, Command::survey);
  EXPECT_TRUE(settings.json);
}

TEST_F(SettingsTest, TurnTheUnixSocketOff) {
  EXPECT_EQ(accepted({"--unix-socket", "none"}).unix_socket, "");
  EXPECT_EQ(accepted({"--unix-socket", "/a"}).unix_socket, "/a");
}

TEST_F(SettingsTest, RefuseWrongValues) {
  expect_refused({"--interval", "0"}, "interval");
  expect_refused({"--interval", "86401"}, "interval");
  expect_refused({"--interval", "-1"}, "interval");
  expect_refused({"--interval", "30s"}, "interval");
  expect_refused({"--interval", ""}, "interval");
  expect_refused({"--cgroup-name", "a/b"}, "a/b");
  expect_refused({"--cgroup-name", "cgroup.procs"}, "cgroup.procs");
  expect_refused({"--cgroup-name", ""}, "cgroup-name");
  for (const char* base :
       {"", "/", "a", "a/b", "/a/", "/a//b", "/a/..", "/./a", "/a/cgroup.procs", "/a b", "/a\n"})
    expect_refused({"--cgroup-base", base}, "cgroup-base");
  expect_refused({"--log-level", "loud"}, "log-level");
  expect_refused({"--log-format", "xml"}, "log-format");
}

TEST_F(SettingsTest, ListenOnLoopbackOnlyUnlessAskedForMore) {
  for (const char* address :
       {"0.0.0.0:9847", "192.0.2.1:1", "[::]:1", "[::ffff:127.0.0.1]:1", "localhost:1", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:1", ":1"})
    expect_refused({"--listen", address}, address);
  for (const char* address : {"host:1", "192.0.2.1", "[192.0.2.1]:1", "1.2.3:1"})
    expect_refused({"--listen-remote", address}, address);
}

TEST_F(SettingsTest, RefuseWhatIsNoOption) {
  expect_refused({"--bogus"}, "bogus");
  expect_refused({"bogus"}, "bogus");
  expect_refused({"--json"}, "json");
  expect_refused({"survey", "check", "--mode", "full"}, "check");
}

TEST_F(SettingsTest, RefuseWrongValuesOfTheEnvironment) {
  set("SURVEYD_LOG_LEVEL", "loud");
  expect_refused({}, "loud");
}

TEST_F(SettingsTest, RefuseWrongValuesOfTheFileAndNameIt) {
  file("interval = 0\n");
  expect_refused({}, file_);
}

TEST_F(SettingsTest, RefuseKeysThatAreNoSettings) {
  for (const char* text : {"intervall = 5\n", "Interval = 5\n", "config = \"x\"\n",
                           "[serve]\ninterval = 5\n", "json = true\n"}) {
    file(text);
    expect_refused({}, file_);
  }
}

TEST_F(SettingsTest, RefuseAFileWithANul) {
  using namespace std::string_literals;
  file("cgroup-name = \"zlayer\0/../x\"\n"s);
  expect_refused({}, file_);
}

TEST_F(SettingsTest, RefuseASettingThatTheFileGivesTwice) {
  file("interval = 5\nrepair = true\ninterval = 6\n");
  expect_refused({}, "interval");
}

// The default would be in effect, and reads be open for one.
TEST_F(SettingsTest, RefuseASettingOfTheFileWithoutAValue) {
  for (const char* text : {"read-access = \"\"\n", "read-access =\n", "read-access = []\n"}) {
    file(text);
    expect_refused({}, "read-access");
  }
}

TEST_F(SettingsTest, RefuseAFileThatIsNotThere) {
  expect_refused({"--config", "/nonexistent/surveyd.toml"}, "/nonexistent/surveyd.toml");
}

TEST_F(SettingsTest, TakeTheFileOfTheCommandLine) {
  file("interval = 7\n");
  ::unsetenv("SURVEYD_CONFIG");
  EXPECT_EQ(accepted({"--config", file_}).interval.count(), 7);
}

TEST_F(SettingsTest, NameVariablesThatAreNoSettings) {
  set("SURVEYD_PORT", "tcp://10.0.0.1:9847");
  set("SURVEYD_INTERVAL", "5");
  file("interval = 6\n");
  EXPECT_EQ(accepted({}).unknown_variables, List{"SURVEYD_PORT"});
}

TEST_F(SettingsTest, FitSubcommandsBeforeAndAfterTheirOptions) {
  EXPECT_EQ(accepted({"serve", "--interval", "5"}).interval.count(), 5);
  EXPECT_EQ(accepted({"--interval", "5", "serve"}).interval.count(), 5);
  EXPECT_EQ(accepted({"survey"}).command, Command::survey);
}

TEST_F(SettingsTest, TakeWhatCheckAsksFor) {
  const Settings settings = accepted({"check", "--mode", "full", "--assessed-mode", "degraded",
                                      "--require", "is_root,tun_device_available"});
  EXPECT_EQ(settings.command, Command::check);
  EXPECT_EQ(settings.mode, "full");
  EXPECT_EQ(settings.assessed_mode, "degraded");
  EXPECT_EQ(settings.required, (List{"is_root", "tun_device_available"}));
}

TEST_F(SettingsTest, RefuseACheckOfNothingOrOfWhatIsNot) {
  expect_refused({"check"}, "--mode");
  expect_refused({"check", "--mode", "best"}, "mode");
  expect_refused({"check", "--require", "is_root,is_roott"}, "is_roott");
}

TEST_F(SettingsTest, AnswerHelpAndVersionOnTheStandardOutput) {
  for (const char* option : {"--help", "--version"}) {
    const auto result = parse({option});
    ASSERT_TRUE(std::holds_alternative<int>(result)) << option;
    EXPECT_EQ(std::get<int>(result), 0);
    EXPECT_NE(out_.find("surveyd"), std::string::npos) << option;
    EXPECT_EQ(error_, "");
  }
}

}  // namespace
}  // namespace surveyd::test
